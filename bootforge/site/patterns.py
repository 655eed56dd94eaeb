"""Regular expressions that mean the same to every awk and to us, so that what an edit does is known beforehand.

What gawk 3.1 (EL5), later gawk, mawk and busybox take alike: literals, ``.``, brackets with ranges and classes,
groups, ``|``, ``* + ?`` once after an atom, ``^`` and ``$`` at an end, and a backslash before punctuation. Repetitions
in braces are literal in gawk 3.1; a backslash before a letter, or within brackets, differs between them.
"""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from functools import lru_cache

_CLASSES = {
    "alpha": "a-zA-Z",
    "digit": "0-9",
    "alnum": "a-zA-Z0-9",
    "upper": "A-Z",
    "lower": "a-z",
    "space": r" \t\n\r\f\v",
    "blank": r" \t",
    "punct": re.escape(string.punctuation),
    "xdigit": "0-9A-Fa-f",
}
_BRACKET = re.compile(r"\[(\^?)(\]?(?:\[:[a-z]+:\]|[^]\\[])*)\]")
_MEMBER = re.compile(r"\[:([a-z]+):\]|(.)-([^]])|(.)")


@dataclass(frozen=True, slots=True)
class Pattern:
    """``awk`` is what awk is given; ``python`` finds in bytes what awk finds in the C locale."""

    awk: str
    python: re.Pattern[bytes]

    def finds(self, line: str) -> bool:
        return bool(self.python.search(line.encode()))


@lru_cache(maxsize=4096)
def compile_match(text: str) -> Pattern:
    """Raises ValueError with a message for the operator."""
    awk, python, depth, at = "", "", 0, 0
    atom = False  # whether a quantifier may follow
    while at < len(text):
        char, rest = text[at], text[at:]
        if not (char.isascii() and char.isprintable()):
            raise ValueError(f"{text!r} has {char!a}, which is more than one byte; write . for it")
        if char == "\\":
            literal = rest[1:2]
            if not literal or literal not in string.punctuation:
                raise ValueError(
                    f"{text!r} has '\\{literal}', which not every awk knows; write [0-9], [[:space:]] or [.]"
                )
            awk += rest[:2]
            python += re.escape(literal)
            atom, at = True, at + 2
            continue
        if char == "[":
            bracket = _BRACKET.match(rest)
            if not bracket or not bracket[2]:
                raise ValueError(
                    f"{text!r} has a bracket that is never closed, or a backslash in one; write [.] or [[:space:]]"
                )
            awk += bracket[0]
            python += f"[{bracket[1]}{_members(bracket[2], text)}]"
            atom, at = True, at + bracket.end()
            continue
        if char in "*+?":
            if not atom:
                raise ValueError(
                    f"{text!r} has '{char}' where nothing can be repeated; write \\{char} for the character"
                )
            atom = False
        elif char in "{}":
            raise ValueError(
                f"{text!r} has '{char}', which not every awk reads alike; write [{char}] for the character"
            )
        elif char == "^":
            if at and text[at - 1] not in "(|":
                raise ValueError(f"{text!r} has '^' inside; write \\^ for the character")
            atom = False
        elif char == "$":
            if rest[1:2] not in ("", ")", "|"):
                raise ValueError(f"{text!r} has '$' inside; write [$] for the character")
            atom = False
        elif char in "|)":
            if at == 0 or text[at - 1] in "(|" or (char == "|" and rest[1:2] in ("", ")", "|")):
                raise ValueError(f"{text!r} has nothing on one side of '{char}'; write what may stand there")
            depth -= char == ")"
            if depth < 0:
                raise ValueError(f"{text!r} closes a group that is not open; write \\) for the character")
            atom = char == ")"
        elif char == "(":
            depth += 1
            atom = False
        else:
            atom = True
        awk += char
        python += char if char in "*+?^$|().{}" else re.escape(char)
        at += 1
    if depth or not text:
        raise ValueError(
            f"{text!r} has a group that is never closed; write \\( for the character" if depth else "is empty"
        )
    return Pattern(awk, re.compile(python.encode(), re.DOTALL))


def _members(text: str, whole: str) -> str:
    found = ""
    for match in _MEMBER.finditer(text):
        if match[1]:
            if match[1] not in _CLASSES:
                raise ValueError(f"{whole!r} has no class [:{match[1]}:]; write one of {', '.join(sorted(_CLASSES))}")
            found += _CLASSES[match[1]]
        elif match[2]:
            if match[2] > match[3]:
                raise ValueError(f"{whole!r} has the range {match[2]}-{match[3]}; write the lower one first")
            found += f"{re.escape(match[2])}-{re.escape(match[3])}"
        else:
            found += re.escape(match[4])
    return found
