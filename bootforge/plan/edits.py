"""Edits of a file that a package owns, as the program that the shell library's bf_edits carries out in one pass.

An edit finds some lines and leaves one of its own. Applied twice it must be what it was applied once: no edit may find
the line that another one of the same file leaves. That is looked at here, with the regular expressions that awk gets.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from bootforge.model import Path
from bootforge.plan.faults import Fault
from bootforge.plan.texts import fill
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.site.patterns import compile_match
from bootforge.site.schema_files import EditSpec, LineSpec

_BLANKS = " \t"


@dataclass(frozen=True, slots=True)
class _Edit:
    """``finds``: whether a line is one that the edit replaces or takes out. ``leaves``: the line that is left."""

    path: Path
    words: tuple[str, ...]
    finds: Callable[[str], bool]
    leaves: str | None


def plan_edit(site: Site, host: ResolvedHost, file: str, edit: EditSpec, faults: list[Fault]) -> str:
    """The program: an operation and its operands, each in a line of its own."""
    at: Path = ("edits", file)

    def filled(text: str, *key: str) -> str:
        return fill(site, host, text, (*at, *key), faults) if edit.facts else text

    def fault(path: Path, message: str, hint: str) -> None:
        faults.append(Fault(path, "BF113", message, hint))

    begin, end = (f"{edit.comment} {word} Bootforge" for word in ("BEGIN", "END"))
    block = filled(edit.block, "block").rstrip("\n").split("\n") if edit.block else []
    edits = [_setting(edit, at, key, filled(value, "settings", key)) for key, value in sorted(edit.settings.items())]
    for name, said in sorted(edit.lines.items()):
        text = filled(said.line, "lines", name, "line") if said.line else None
        if one := _line(said, text, (*at, "lines", name), fault):
            edits.append(one)
    if not (edit.settings or edit.lines or edit.block):
        fault(at, f"{file} has nothing to edit", "say settings, lines or a block")
    strip = edit.separator.strip(_BLANKS)
    for key in edit.settings:
        if set(key) & set(strip):
            fault((*at, "settings", key), f"the key '{key}' has a character of the separator", "use 'lines:'")
    for number, line in enumerate(block, 1):
        if line in (begin, end):
            fault((*at, "block"), f"line {number} of the block is one that marks its ends", "remove it")
    for one in edits:
        if one.leaves in (begin, end):
            fault(one.path, "this line marks an end of the block", "change it")
        for other in edits:
            if other is not one and one.leaves is not None and other.finds(one.leaves):
                what = f"{'.'.join(other.path[2:])} finds the line that this leaves, so that they would undo each other"
                fault(one.path, what, "narrow the one that finds too much, or drop one")
    words = [word for one in edits for word in one.words]
    return "\n".join([*words, "block", begin, end, str(len(block)), *block]) + "\n"


def _setting(edit: EditSpec, at: Path, key: str, value: str) -> _Edit:
    strip, line = edit.separator.strip(_BLANKS), f"{key}{edit.separator}{value}"

    def finds(other: str) -> bool:
        rest = other.lstrip(_BLANKS)
        if not rest.startswith(key):
            return False
        rest = rest[len(key) :]
        return rest.lstrip(_BLANKS).startswith(strip) if strip else rest[:1] in ("", *_BLANKS)

    return _Edit((*at, "settings", key), ("set", key, strip, line), finds, line)


def _line(line: LineSpec, text: str | None, path: Path, fault: Callable[[Path, str, str], None]) -> _Edit | None:
    pattern = compile_match(line.match) if line.match else None
    absent = line.state == "absent"
    if text is None and (not absent or pattern is None):
        fault(path, f"'{path[-1]}' has no line", "write 'line:'; with 'state: absent' a 'match:' will do")
        return None
    if pattern and text is not None and not absent and not pattern.finds(text):
        hint = "a second run would not find what the first one wrote; make it fit both"
        fault((*path, "match"), "'match' is not found in 'line'", hint)
        return None

    def finds(other: str) -> bool:
        return other == text or (pattern is not None and pattern.finds(other))

    words = ("absent" if absent else "present", pattern.awk if pattern else "", text or "")
    return _Edit(path, words, finds, None if absent else text)
