"""The verb log: what a host reported, and why something failed there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootforge.cli import options
from bootforge.cli.output import local, plain, print_json
from bootforge.cli.reports import phase, print_filled, result, run_json
from bootforge.errors import NotFound, UsageError, did_you_mean

if TYPE_CHECKING:
    from bootforge.store import LogRow, RunRow, StepRow


@dataclass(frozen=True, slots=True)
class _Known:
    """All that is known of a host, oldest first."""

    host: str
    texts: Sequence[LogRow]
    runs: Sequence[RunRow]
    steps: Sequence[StepRow]


@click.command()
@options.host
@click.argument("name", required=False)
@click.option("--runs", "listed", is_flag=True, help="List the runs that are kept, each with its number.")
@options.site
@options.store
@options.as_json
@options.verbose
def log(host: str, name: str | None, listed: bool, site: Path, store: str | None, as_json: bool) -> None:
    """Print what HOST reported: its newest run, what failed there before the rest.

    NAME is that of a step, or the kind of several (files): what became of it in the runs that are kept, and before
    them when it last changed something and last failed. Or the number of a run. Or the name of a text, which is printed
    as it came: bootstrap, booted and boot-failed are reports, and installers also send their logs, as anaconda.log;
    their names follow the newest report, on standard error."""
    if listed and name:
        raise UsageError("--runs lists all runs", "leave out the name")
    with options.opened(store) as opened:
        known = _Known(host, opened.logs(host), opened.runs(host), opened.steps(host))
    if listed:
        _print_runs(known, as_json)
    elif name is None:
        _print_newest(known, as_json)
    elif texts := [row for row in known.texts if row.name == name]:
        _print_text(texts[-1], as_json)
    elif runs := [run for run in known.runs if str(run.id) == name]:
        _print_run(runs[0], as_json)
    else:
        _print_step(known, name, as_json)


def _print_runs(known: _Known, as_json: bool) -> None:
    if not known.runs:
        raise NotFound(f"{known.host} has reported no run", "")
    if as_json:
        print_json([run_json(run) for run in known.runs])
        return
    header = ("number", "at", "phase", "by", "seconds", "result", "pending", "revision")
    print_filled(header, (_run_cells(run) for run in known.runs), 6)


def _run_cells(run: RunRow) -> list[str]:
    ended = [f"{run.ms / 1000:.1f}", result(run), " ".join(run.pending), run.revision]
    return [str(run.id), local(run.at), phase(run), run.by, *ended]


def _print_newest(known: _Known, as_json: bool) -> None:
    """The newest run, or the newest report that tells of none."""
    reports = [row for row in known.texts if row.outcome]
    run, text = known.runs[-1:], reports[-1:]
    if not run and not text:
        raise NotFound(f"{known.host} has reported nothing", ", ".join(sorted({row.name for row in known.texts})))
    grants = {row.grant_id for row in reports[-1:]}
    others = sorted({row.name for row in known.texts if row.grant_id in grants and not row.outcome})
    if others:
        click.echo(f"logs: {', '.join(others)}", err=True)
    if run and (not text or run[0].at >= text[0].at):
        _print_run(run[0], as_json)
    else:
        _print_text(text[0], as_json)


def _print_run(run: RunRow, as_json: bool) -> None:
    lines = run.report.steps
    if as_json:
        print_json({"host": run.host, **run_json(run), "steps": plain(lines), "text": run.text})
        return
    by = "" if run.by in ("installer", "first boot") else f" by {run.by}"
    click.echo(f"{run.host}: {phase(run)}{by}, {local(run.at)}, {run.ms / 1000:.1f} s: {result(run)}")
    made = [f"{word} {value}" for word, value in (("revision", run.revision), ("plan", run.plan)) if value]
    if made:
        click.echo(", ".join(made))
    click.echo()
    cells = (
        [line.status.upper() if line.status == "failed" else line.status, line.step, f"{line.ms / 1000:.2f}", line.text]
        for line in sorted(lines, key=lambda line: (line.status != "failed", line.status != "blocked"))
    )
    print_filled(("status", "step", "seconds", "text"), cells, 3)


def _print_text(row: LogRow, as_json: bool) -> None:
    if as_json:
        print_json(plain(row))
    else:
        click.echo(_printable(row.text), nl=False)


def _print_step(known: _Known, name: str, as_json: bool) -> None:
    rows = [*_before(known, name), *_history(known.runs, name)]
    if not rows:
        names = {row.name for row in known.texts}
        steps = {line.step for run in known.runs for line in run.report.steps} | {row.name for row in known.steps}
        hint = did_you_mean(name, names | steps) or ", ".join(sorted(names))
        raise NotFound(f"{known.host} has reported nothing named {name!r}", hint)
    if as_json:
        print_json(rows)
        return
    keys = ("step", "status", "text")
    cells = ([local(row["at"]), *(str(row[key]) for key in ("phase", "by", *keys))] for row in rows)
    print_filled(("at", "phase", "by", *keys), cells, 5)


def _is(step: str, name: str) -> bool:
    return name in (step, step.partition(":")[0])


def _history(runs: Iterable[RunRow], name: str) -> Iterator[dict[str, Any]]:
    for run in runs:
        for line in run.report.steps:
            if _is(line.step, name):
                of = {"at": run.at, "run": run.id, "phase": phase(run), "by": run.by}
                yield {**of, "step": line.step, "status": line.status, "ms": line.ms, "text": line.text}


def _before(known: _Known, name: str) -> list[dict[str, Any]]:
    """What is remembered of the steps from runs that are kept no more."""
    kept = {run.at for run in known.runs}
    rows = []
    for row in known.steps:
        for status, at, text in (
            ("changed", row.changed_at, row.changed_text),
            ("failed", row.failed_at, row.failed_text),
        ):
            if at is not None and at not in kept and _is(row.name, name):
                of = {"at": at, "run": None, "phase": "", "by": ""}
                rows.append({**of, "step": row.name, "status": status, "ms": None, "text": text})
    return sorted(rows, key=lambda row: row["at"])


def _printable(text: str) -> str:
    """A machine's text without what a terminal would obey."""
    return "".join(char if char in "\n\t" or char.isprintable() else "?" for char in text)
