"""What the verbs status and log share: runs in words, for people and as JSON, and tables of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from bootforge.cli.output import print_table
from bootforge.errors import Exit

if TYPE_CHECKING:
    from bootforge.store import RunRow

PHASES = {"install": "install", "boot": "first boot", "run": "run"}


def phase(run: RunRow) -> str:
    """Of which phase a run was, and whether it only told."""
    return PHASES[run.phase] + (" --check" if run.check else "")


def result(run: RunRow) -> str:
    """How a run ended, and of one that did not go well the reason."""
    if run.failed:
        more = f" (and {run.failed - 1} more)" if run.failed > 1 else ""
        if run.exit == Exit.PENDING:
            return f"handler pending: {run.why.removeprefix('handler:')}{more}"
        return f"failed: {run.why}{more}"
    if run.exit is None:
        return "cut off"
    counts = ((run.changed, "changed"), (run.would, "would change"))
    told = ", ".join(f"{count} {word}" for count, word in counts if count)
    if run.exit not in (Exit.OK, Exit.DIFFERS):
        return f"exit {run.exit}" + (f": {told}" if told else "")
    return told or "ok"


def run_json(run: RunRow) -> dict[str, Any]:
    """A run as JSON, without its steps."""
    keys = ("id", "at", "by", "phase", "check", "revision", "plan", "exit", "ms", "changed", "would", "failed", "why")
    return {**{key: getattr(run, key) for key in keys}, "pending": [*run.pending], "result": result(run)}


def print_filled(header: Sequence[str], rows: Iterable[Sequence[str]], always: int) -> None:
    """A table without the columns in which no row says anything; the first ones are always there."""
    rows = [*rows]
    filled = [n for n in range(len(header)) if n < always or any(row[n] not in ("", "-") for row in rows)]
    print_table([header[n] for n in filled], ([row[n] for n in filled] for row in rows))
