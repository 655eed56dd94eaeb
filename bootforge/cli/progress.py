"""What is shown while hosts are at work: on a terminal a line for each, in a pipe a line for each that has ended."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from bootforge.apply.fleet import Begun, Event, Said
from bootforge.apply.outcome import FAILURES, Outcome
from bootforge.report import StepLine

if TYPE_CHECKING:
    from rich.console import RenderableType

_WIDEST = 160


def told(outcome: Outcome) -> str:
    """What became of a host, in a few words: the step that failed and why, or the steps that changed."""
    text = _words(outcome)
    return text if len(text) <= _WIDEST else f"{text[:_WIDEST]}..."


def _words(outcome: Outcome) -> str:
    failed = [step for step in outcome.report.steps if step.status == "failed"]
    if failed and not outcome.text:
        more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
        return f"{failed[0].step}: {failed[0].text}{more}"
    if outcome.text:
        return outcome.text
    steps = outcome.steps
    return " ".join(steps[:4]) + (f" and {len(steps) - 4} more" if len(steps) > 4 else "")


@dataclass
class Plain:
    """A line on standard error for each host that has ended; with ``every``, for each step too that is not ok."""

    every: bool

    def __enter__(self) -> Plain:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def take(self, event: Event) -> None:
        if isinstance(event, Outcome):
            self.say("  ".join(word for word in (event.host, event.kind, told(event)) if word))
        elif isinstance(event, Said) and self.every and isinstance(event.line, StepLine) and event.line.status != "ok":
            line = event.line
            self.say("  ".join(word for word in (event.host, line.status, line.step, line.text) if word))

    def say(self, text: str) -> None:
        click.echo(text, err=True)


@dataclass
class _Row:
    begun: float
    done: int = 0


@dataclass
class Live(AbstractContextManager["Live"]):
    """A terminal's display: how many hosts came to what, and those at work with the step that each is at. ``steps``:
    the steps of a host in their order. What failed is printed above, as it comes."""

    total: int
    steps: Callable[[str], Sequence[str]]
    clock: Callable[[], float] = time.monotonic
    console: Any = None
    _rows: dict[str, _Row] = field(default_factory=dict)
    _ended: Counter[str] = field(default_factory=Counter)
    _known: dict[str, Sequence[str]] = field(default_factory=dict)
    _live: Any = None

    def __enter__(self) -> Live:
        from rich.console import Console
        from rich.live import Live as Rich

        self.console = Console(stderr=True, highlight=False, markup=False)
        self._live = Rich(console=self.console, get_renderable=self.render, refresh_per_second=4, transient=True)
        self._live.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._live.__exit__(kind, error, trace)

    def take(self, event: Event) -> None:
        match event:
            case Begun(host):
                self._known[host] = self.steps(host)
                self._rows[host] = _Row(self.clock())
            case Said(host, StepLine()) if host in self._rows:
                self._rows[host].done += 1
            case Outcome(host, kind):
                self._rows.pop(host, None)
                self._known.pop(host, None)
                self._ended[kind] += 1
                if kind in FAILURES:
                    self.say(f"{host}  {kind}  {told(event)}")

    def say(self, text: str) -> None:
        self.console.print(text)

    def render(self) -> RenderableType:
        """The display as it is now; no higher than the terminal."""
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        rows = list(self._rows.items())
        counts = "  ".join(f"{number} {kind}" for kind, number in sorted(self._ended.items()))
        shown = rows[: max(1, self.console.height - 4)]
        grid = Table.grid(padding=(0, 2))
        grid.add_row(f"{sum(self._ended.values())} of {self.total}", f"{len(rows)} at work", Text(counts))
        table = Table.grid(padding=(0, 2))
        for host, row in shown:
            table.add_row(*(Text(cell, no_wrap=True, overflow="ellipsis") for cell in self._cells(host, row)))
        group: list[RenderableType] = [grid, table]
        if len(rows) > len(shown):
            group.append(Text(f"and {len(rows) - len(shown)} more at work"))
        return Group(*group)

    def _cells(self, host: str, row: _Row) -> tuple[str, ...]:
        steps = self._known.get(host, ())
        step = steps[row.done] if row.done < len(steps) else "its handlers"
        where = step if row.done else "connecting"
        return host, f"{min(row.done, len(steps))}/{len(steps)}", where, f"{self.clock() - row.begun:.0f} s"


def summary(outcomes: Sequence[Outcome]) -> list[tuple[str, ...]]:
    """Rows of the table at the end: a row for each host that is worth one. Hosts of which nothing is to be done are
    counted; those that changed or differ alike share a row when they are more than five."""
    rows: list[tuple[str, ...]] = []
    alike: dict[tuple[str, str], list[Outcome]] = {}
    for one in outcomes:
        key = (one.kind, "" if one.kind == "ok" else told(one))
        alike.setdefault(key, []).append(one)
    order = {kind: at for at, kind in enumerate(_ORDER)}
    for (kind, what), same in sorted(alike.items(), key=lambda item: (order[item[0][0]], item[1][0].host)):
        single = kind in _SINGLE or (kind != "ok" and len(same) <= 5)
        for group in [[one] for one in same] if single else [same]:
            rows.append(_row(group, what))
    return rows


_ORDER = (
    *("ok", "changed", "differs", "new", "not begun", "left"),
    *("locked", "pending", "lost", "unreachable", "failed"),
)
_SINGLE = ("locked", "pending", "lost", "left", "unreachable", "failed")


def _row(group: Sequence[Outcome], what: str) -> tuple[str, ...]:
    first = group[0]
    name = first.host if len(group) == 1 else f"{len(group)} hosts" if first.kind == "ok" else _named(group)
    counts = (str(first.report.count(word) or "-") for word in ("changed", "would", "failed"))
    slowest = max(one.seconds for one in group)
    return name, first.kind, *counts, f"{slowest:.1f}" if slowest else "-", what


def _named(group: Sequence[Outcome]) -> str:
    return f"{group[0].host} and {len(group) - 1} like it"


def differences(outcomes: Sequence[Outcome]) -> list[str]:
    """The lines of --diff: each difference once, with the hosts that have it."""
    found: dict[tuple[str, tuple[str, ...]], list[str]] = {}
    for one in outcomes:
        by_step: dict[str, list[str]] = {}
        for line in one.diffs:
            by_step.setdefault(line.step, []).append(line.text)
        for step, texts in by_step.items():
            found.setdefault((step, tuple(texts)), []).append(one.host)
    shown = []
    for (step, lines), hosts in found.items():
        more = f" and {len(hosts) - 3} others" if len(hosts) > 3 else ""
        shown += [f"{step}, {len(hosts)} host{'s' if len(hosts) > 1 else ''}: {', '.join(hosts[:3])}{more}"]
        shown += [*(f"  {line}" for line in lines), ""]
    return shown


def as_json(one: Outcome) -> Mapping[str, Any]:
    """An outcome for scripts."""
    report = one.report
    return {
        "host": one.host,
        "outcome": one.kind,
        "why": one.why,
        "text": one.text,
        "seconds": round(one.seconds, 3),
        "check": report.check,
        "revision": report.revision,
        "exit": report.exit,
        **{word: report.count(word) for word in ("changed", "would", "failed")},
        "steps": [{"status": s.status, "ms": s.ms, "step": s.step, "text": s.text} for s in report.steps],
        "diff": [{"step": line.step, "text": line.text} for line in one.diffs],
    }
