"""Everything that can go wrong, and what a caller is told: problems, exceptions and exit codes.

A :class:`Problem` is one finding at one place of the site, printed the way compilers print theirs.
Exceptions carry the exit code of the process that fails with them (docs/cli.md has the table).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass, field
from difflib import get_close_matches

from bootforge.model import Origin


class Exit(enum.IntEnum):
    """Exit codes of every verb: a contract for scripts."""

    OK = 0
    DIFFERS = 1
    USAGE = 2
    NOT_FOUND = 3
    RENDER = 4
    REMOTE = 5
    PENDING = 6
    CRASH = 70
    LOCKED = 75
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One finding: where, what, and what to do about it.

    ``code`` is a key of docs/errors.md; ``host`` names the host it was found for, if any.
    """

    origin: Origin
    code: str
    message: str
    hint: str = ""
    host: str = ""
    severity: str = field(default="error", compare=False)

    def line(self) -> str:
        """The one-line form: ``file:line:col: error[BF012]: host: message; hint``."""
        host = f"{self.host}: " if self.host else ""
        hint = f"; {self.hint}" if self.hint else ""
        return f"{self.origin}: {self.severity}[{self.code}]: {host}{self.message}{hint}"


class BootforgeError(Exception):
    """A failure that has a message for the operator and an exit code; anything else is a crash (70)."""

    exit = Exit.CRASH

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class UsageError(BootforgeError):
    """The command was called wrongly, or something it needs at the start is not there."""

    exit = Exit.USAGE


class NotFound(BootforgeError):
    """The host, artifact or key that was asked for does not exist."""

    exit = Exit.NOT_FOUND


class RenderError(BootforgeError):
    """A template is not allowed, or a value cannot be written in the grammar it is needed in."""

    exit = Exit.RENDER


class SecretError(BootforgeError):
    """A secret could not be had from its source. The message names the secret, never its value."""

    exit = Exit.REMOTE


class SiteError(BootforgeError):
    """The site is not valid: every problem that was found, sorted by place."""

    exit = Exit.USAGE

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(problems))
        count = len(self.problems)
        super().__init__(f"{count} problem{'s' if count != 1 else ''} in the site")


def told(error: ValueError, before: str = "") -> tuple[str, str]:
    """The message and the hint of a reader's complaint, which are parted by a semicolon."""
    message, _, hint = str(error).partition("; ")
    return before + message, hint


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint that names the nearest known word, or lists the known ones when few; '' when there are none."""
    choices = sorted(known)
    begun = [one for one in choices if min(len(one), len(word)) > 3 and (one.startswith(word) or word.startswith(one))]
    begun = begun or [one for one in choices if len(one) > 2 and word.startswith(one)]
    near = get_close_matches(word, begun, n=1, cutoff=0) or get_close_matches(
        word, choices, n=1, cutoff=0.5 if len(word) < 5 else 0.6
    )
    near = near or [one for one in choices if one.lower() == word.lower()]
    if near:
        return f"did you mean {near[0]!r}?"
    if 0 < len(choices) <= 12:
        return "known: " + ", ".join(choices)
    return ""
