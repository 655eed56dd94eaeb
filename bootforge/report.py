"""Reports of the bootstrap, read as they come: one line for each step, as templates/bootstrap/lib/frame.sh writes them.

What comes from a host is hostile: lines and their number are bounded, what a terminal would obey becomes a question
mark, and what is no line of a report is left out. Nothing here raises because of what a host wrote.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

STATUSES = ("ok", "changed", "would", "failed", "skipped", "blocked")
"""What a step can have come to; ``would`` with --check, or where it only tells."""

MAX_LINE = 8192
"""Bytes of a line; what is longer is cut off."""

MAX_REPORT = 512 * 1024
"""Characters of a report; lines beyond them are left out, but for the last."""

_NUMBER = re.compile(r"-?[0-9]{1,12}")
_ID = re.compile(r"[!-~]{1,512}")


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: which host the script was made for, and from what."""

    host: str
    phase: str
    check: bool
    revision: str
    plan: str


@dataclass(frozen=True, slots=True)
class StepLine:
    """What became of a step, after how many milliseconds; ``text`` is one line."""

    status: str
    ms: int
    step: str
    text: str


@dataclass(frozen=True, slots=True)
class DiffLine:
    """A line of how a file of a step differs."""

    step: str
    text: str


@dataclass(frozen=True, slots=True)
class End:
    """The last line: milliseconds of the whole run, and its exit status."""

    ms: int
    exit: int


Line = Header | StepLine | DiffLine | End


@dataclass(frozen=True, slots=True)
class Report:
    """A run. One that was cut off has no ``exit``; one without a first line has no ``host`` either."""

    host: str = ""
    phase: str = ""
    check: bool = False
    revision: str = ""
    plan: str = ""
    steps: tuple[StepLine, ...] = ()
    ms: int = 0
    exit: int | None = None

    def count(self, status: str) -> int:
        """How many steps came to that."""
        return sum(step.status == status for step in self.steps)


def printable(text: str) -> str:
    """Text with a question mark for all that a terminal would obey; tabs are blanks."""
    return text if text.isprintable() else "".join(c if c.isprintable() else " " if c == "\t" else "?" for c in text)


def parse_line(line: str) -> Line | None:
    """A line without its end; None when it is no line of a report."""
    first, _, rest = line.partition("\t")
    if first == "bootforge":
        words = rest.split("\t")
        if len(words) != 5 or words[2] not in ("", "check"):
            return None
        host, phase, check, revision, plan = (printable(word[:512]) for word in words)
        return Header(host, phase, bool(check), revision, plan)
    fields = rest.split("\t", 2)
    if len(fields) != 3:
        return None
    ms, word, text = fields
    if first == "end":
        return End(_number(ms), int(word)) if re.fullmatch(r"[0-9]{1,3}", word) else None
    if not _ID.fullmatch(word):
        return None
    if first == "diff":
        return DiffLine(word, printable(text))
    return StepLine(first, _number(ms), word, printable(text)) if first in STATUSES else None


def _number(word: str) -> int:
    return max(0, int(word)) if _NUMBER.fullmatch(word) else 0


class ReportReader:
    """Takes a report in pieces, as they arrive, and gives its lines as soon as they are whole. A line counts after the
    first line of a report and up to the last. ``text``: the lines that counted, as a report of their own."""

    def __init__(self) -> None:
        self._rest = b""
        self._header: Header | None = None
        self._end: End | None = None
        self._steps: list[StepLine] = []
        self._diffs: list[DiffLine] = []
        self._kept: list[str] = []
        self._size = 0

    @property
    def text(self) -> str:
        return "".join(self._kept)

    @property
    def diffs(self) -> tuple[DiffLine, ...]:
        return tuple(self._diffs)

    def report(self) -> Report:
        """What is known so far."""
        head = self._header
        if head is None:
            return Report()
        ms, exit = (self._end.ms, self._end.exit) if self._end else (0, None)
        return Report(head.host, head.phase, head.check, head.revision, head.plan, tuple(self._steps), ms, exit)

    def feed(self, data: bytes) -> list[Line]:
        """The lines that these bytes made whole."""
        *whole, rest = (self._rest + data).split(b"\n")
        self._rest = rest[:MAX_LINE]
        lines = (self._take(raw[:MAX_LINE].decode(errors="replace")) for raw in whole)
        return [line for line in lines if line]

    def _take(self, text: str) -> Line | None:
        if self._end:
            return None
        line = parse_line(text)
        match line:
            case Header() if self._header is None:
                self._header = line
            case End() if self._header:
                self._end = line
            case StepLine() | DiffLine() if self._header and self._size + len(text) <= MAX_REPORT:
                self._steps += [line] if isinstance(line, StepLine) else []
                self._diffs += [line] if isinstance(line, DiffLine) else []
            case _:
                return None
        self._size += len(text)
        self._kept.append(
            "\t".join(printable(word) for word in text.split("\t", 5 if line is self._header else 3)) + "\n"
        )
        return line


def print_report(report: Report) -> str:
    """The lines of a report, which :func:`parse_report` reads; without differences."""
    lines = [("bootforge", report.host, report.phase, "check" if report.check else "", report.revision, report.plan)]
    told = [(one.status, str(one.ms), one.step, one.text) for one in report.steps]
    ended = [] if report.exit is None else [("end", str(report.ms), str(report.exit), "")]
    return "".join("\t".join(words) + "\n" for words in (*lines, *told, *ended))


def parse_report(text: str) -> Report:
    """A whole report, as it was printed or kept."""
    reader = ReportReader()
    reader.feed(text.encode(errors="replace") + b"\n")
    return reader.report()
