"""How a run ended on a host, and what follows for the whole."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

from bootforge.errors import Exit
from bootforge.report import DiffLine, Report

# fmt: off
Kind = Literal[
    "ok", "changed", "differs", "new", "pending", "locked", "failed", "unreachable", "lost", "left", "not begun"
]
# fmt: on
"""``differs``: --check, or a step that only tells, found differences. ``new``: was only checked, because no run ever
succeeded there, or that of another host. ``pending``: a handler failed and is owed still. ``lost``: the connection
broke, or the time was up, while the script was at work there; ``left``: it was at work when the operator had enough. In
both it goes on there."""

FAILURES: tuple[Kind, ...] = ("failed", "pending", "unreachable", "lost")
"""What counts for --max-fail."""

_EXITS: tuple[tuple[Exit, tuple[Kind, ...]], ...] = (
    (Exit.INTERRUPTED, ("left",)),
    (Exit.REMOTE, ("failed", "unreachable", "lost")),
    (Exit.PENDING, ("pending",)),
    (Exit.LOCKED, ("locked",)),
    (Exit.DIFFERS, ("differs", "new")),
)
"""Worst first: the first that any host ended with is the exit code of the whole (docs/cli.md)."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """``text``: why, in a line, where the report does not say it. ``why``: what kept us from an unreachable host, in a
    word. ``seconds`` on our clock. ``raw``: the report's lines, for those who keep them."""

    host: str
    kind: Kind
    report: Report = Report()
    text: str = ""
    why: str = ""
    seconds: float = 0.0
    raw: str = ""
    diffs: tuple[DiffLine, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """The ids of the steps that tell what became of the host."""
        words = ("failed",) if self.report.count("failed") else ("changed", "would")
        return tuple(step.step for step in self.report.steps if step.status in words)


def exit_of(outcomes: Collection[Outcome], interrupted: bool) -> Exit:
    """The exit code of a run on several hosts."""
    kinds = {one.kind for one in outcomes}
    if interrupted:
        return Exit.INTERRUPTED
    return next((exit for exit, worst in _EXITS if not kinds.isdisjoint(worst)), Exit.OK)
