"""Texts of the site as a host gets them: of files, with the host's facts where they are wanted."""

from __future__ import annotations

import re

from bootforge.errors import did_you_mean
from bootforge.model import Path
from bootforge.plan.faults import Fault
from bootforge.resolve import ResolvedHost, decided_facts
from bootforge.site.load import Site

_FACT = re.compile(r"\{([a-z][a-z0-9_]*)\}")
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


def read_text(site: Site, name: str, path: Path, code: str, faults: list[Fault]) -> str | None:
    """A file of the site as text of lines; None, and a fault of that code, when there is none or it is no text."""
    if name not in site.files:
        hint = did_you_mean(name, [file for file in site.files if file.startswith("files/")])
        faults.append(Fault(path, code, f"no file {name} in the site", hint or "put it below files/"))
        return None
    content = site.files[name]
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        what = f"{name} is not UTF-8 text: byte 0x{content[error.start]:02x} in line {_line(content, error.start)}"
        faults.append(Fault(path, code, what, "let a package bring it"))
        return None
    if found := _NOT_TEXT.search(text):
        what = f"{name} has the control character {found[0]!a} in line {text.count(chr(10), 0, found.start()) + 1}"
        faults.append(Fault(path, code, what, "remove it, or let a package bring the file"))
        return None
    return text


def _line(content: bytes, at: int) -> int:
    return content.count(b"\n", 0, at) + 1


def fill(site: Site, host: ResolvedHost, text: str, path: Path, faults: list[Fault]) -> str:
    """The text with the host's facts; one that the host lacks is a fault."""
    facts = {**host.facts, **decided_facts(site, host.facts, host.release, host.arch)}
    for name in sorted({match[1] for match in _FACT.finditer(text)} - facts.keys()):
        hint = did_you_mean(name, facts) or f"facts: {', '.join(sorted(facts))}"
        faults.append(Fault(path, "BF025", f"no fact '{name}'", hint))
    return _FACT.sub(lambda match: facts.get(match[1], match[0]), text)
