"""Host names: patterns that parse a name into facts.

A pattern is a literal name with captures: ``{role}{n:int}.{env}.{site}.example.com``; after `` = `` it may state
constant facts, as in ``xen{n:int}.{site}.example.com = role:dom0 env:prod``. The alphabets of {role}, {env} and
{site} are what the site declares; any other capture takes one DNS label; ``{n:int}`` takes digits.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from bootforge.errors import did_you_mean

DECIDED = ("branch", "release", "releasever", "arch")
"""Facts that the environment and the profile state, so that no name may."""

CAPTURE = re.compile(r"\{([a-z][a-z0-9_]*)(?::([a-z]+))?\}")
_LABEL = "[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_WORD = "[a-z](?:[a-z0-9-]*[a-z])?"
_NONE = "the site declares none: roles/NAME.yaml, environments:, or 'site:' of a network"


@dataclass(frozen=True)
class Pattern:
    """A compiled pattern; made by :func:`compile_pattern`."""

    source: str
    parts: tuple[str | tuple[str, str], ...]
    constants: Mapping[str, str]
    alphabets: Mapping[str, tuple[str, ...]]

    @cached_property
    def exact(self) -> re.Pattern[str]:
        return re.compile("".join(self._part(part, strict=True) for part in self.parts))

    @cached_property
    def loose(self) -> re.Pattern[str]:
        return re.compile("".join(self._part(part, strict=False) for part in self.parts))

    def _part(self, part: str | tuple[str, str], *, strict: bool) -> str:
        if isinstance(part, str):
            return re.escape(part)
        name, kind = part
        if kind == "int":
            return f"(?P<{name}>[0-9]+)"
        if strict and name in self.alphabets:
            words = sorted(self.alphabets[name], key=len, reverse=True)
            return f"(?P<{name}>{'|'.join(map(re.escape, words)) or '(?!)'})"
        return f"(?P<{name}>{_WORD if name in self.alphabets else _LABEL})"

    def parse(self, name: str) -> dict[str, str] | None:
        """The facts that ``name`` states, or None when it is not of this form."""
        match = self.exact.fullmatch(name)
        return {**match.groupdict(), **self.constants} if match else None

    def near_miss(self, name: str) -> str:
        """Why a name of this form is refused: ``no role 'bd'; did you mean 'db'?``; '' when it has another form."""
        match = self.loose.fullmatch(name)
        for fact, word in match.groupdict().items() if match else ():
            if fact in self.alphabets and word not in self.alphabets[fact]:
                return f"no {fact} {word!r}; {did_you_mean(word, self.alphabets[fact]) or _NONE}"
        return ""


def compile_pattern(source: str, alphabets: Mapping[str, Collection[str]]) -> Pattern:
    """A pattern from its text. Raises ValueError with a message for the operator."""
    text, _, tail = source.partition(" = ")
    constants: dict[str, str] = {}
    for word in tail.split():
        key, colon, value = word.partition(":")
        if not colon or not key or not value:
            raise ValueError(f"{word!r} after '=' is not a fact; write fact:value")
        if key in alphabets and value not in alphabets[key]:
            raise ValueError(f"no {key} {value!r}; {did_you_mean(value, alphabets[key]) or _NONE}")
        constants[key] = value
    parts: list[str | tuple[str, str]] = []
    at = 0
    for match in CAPTURE.finditer(text):
        if match.start() > at:
            parts.append(text[at : match.start()])
        if match[2] not in (None, "int"):
            raise ValueError(f"{match[0]!r} has an unknown type; write {{{match[1]}}} or {{{match[1]}:int}}")
        parts.append((match[1], match[2] or "label"))
        at = match.end()
    parts += [text[at:]] if text[at:] else []
    stated = [part[0] for part in parts if isinstance(part, tuple)] + list(constants)
    if twice := next((name for name in stated if stated.count(name) > 1), None):
        raise ValueError(f"fact '{twice}' is stated twice; rename one capture")
    if taken := next((name for name in stated if name in DECIDED), None):
        raise ValueError(f"fact '{taken}' is stated by the profile or the environment; rename the capture")
    for part in parts:
        if isinstance(part, str) and (bad := re.search(r"[^a-z0-9.-]", part)):
            raise ValueError(f"{bad[0]!r} cannot be in a name; write lower case, and captures as {{role}} or {{n:int}}")
    _check_adjacent(parts, alphabets)
    return Pattern(source, tuple(parts), constants, {key: tuple(words) for key, words in alphabets.items()})


def _check_adjacent(parts: Sequence[str | tuple[str, str]], alphabets: Mapping[str, Collection[str]]) -> None:
    for left, right in zip(parts, parts[1:], strict=False):
        if isinstance(left, str) or isinstance(right, str):
            continue
        words = alphabets.get(left[0]) if left[1] != "int" else None
        if right[1] != "int" or words is None:
            raise ValueError(f"{{{left[0]}}} and {{{right[0]}}} touch and cannot be told apart; put '.' or '-' between")
        longer = ((word, short) for word in words for short in words if word != short and word.startswith(short))
        if both := next((pair for pair in longer if pair[0].removeprefix(pair[1]).isdigit()), None):
            one, other = both
            what = f"{left[0]} '{one}' could be {left[0]} '{other}' with a number, because {{{right[0]}:int}} follows"
            raise ValueError(f"{what}; rename one of them")
