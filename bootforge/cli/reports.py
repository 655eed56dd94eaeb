"""Verbs that tell what hosts reported: status, log."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootforge.cli import options
from bootforge.cli.output import plain, print_json, print_table, when
from bootforge.errors import Exit, NotFound, SiteError, UsageError, did_you_mean

if TYPE_CHECKING:
    from bootforge.store import HostStatus, RunRow, StepRow, Store

_FOLLOW = 1.0


@click.command()
@options.hosts
@click.option("--watch", is_flag=True, help="Print again whenever something changed, until interrupted.")
@options.site
@options.store
@options.as_json
@options.verbose
def status(hosts: tuple[str, ...], watch: bool, site: Path, store: str | None, as_json: bool) -> None:
    """Show how installs and bootstraps are going.

    Of every host: its state, since when, and when silence will end it; its newest run, and whether it has what the site
    says now. Of one host that is named also its steps: when each last changed something, when it last failed, and why.
    """
    with options.opened(store) as opened:
        names, plans = _hosts(hosts, site, opened)
        one = names[0] if len(hosts) == 1 and names == [*hosts] else ""
        seen = None
        while True:
            rows = _status_rows(opened, names, plans)
            steps = _step_rows(opened, one) if one else []
            if (rows, steps) != seen:
                _print_status(rows, steps, as_json, one)
                seen = rows, steps
            if not watch:
                return
            time.sleep(_FOLLOW)


@dataclass(frozen=True, slots=True)
class _Plans:
    """Digests of what the site makes of hosts, made when they are asked for; none without a site."""

    site: Any = None

    def of(self, host: str) -> str:
        from bootforge.plan.digest import plan_digest

        return plan_digest(self.site.plan(host)) if self.site and host in self.site.hosts else ""


def _hosts(words: Sequence[str], site: Path, opened: Store) -> tuple[list[str], _Plans]:
    """The hosts, and their plans where the site can be read: hosts that the store knows can be asked after without."""
    known = {one.host for one in opened.status(words)} | set(opened.newest_runs(words))
    try:
        generation = options.load(site)
    except (SiteError, UsageError):
        if words and known.issuperset(words):
            return sorted(words), _Plans()
        raise
    return options.selected(generation, words), _Plans(generation)


def _status_rows(opened: Store, names: Sequence[str], plans: _Plans) -> list[dict[str, Any]]:
    states = {one.host: one for one in opened.status(names)}
    newest, good = opened.newest_runs(names), opened.newest_runs(names, good=True)
    return [_status_row(name, states.get(name), newest.get(name), good.get(name), plans) for name in names]


def _status_row(
    name: str, one: HostStatus | None, run: RunRow | None, good: RunRow | None, plans: _Plans
) -> dict[str, Any]:
    planned = plans.of(name) if good else ""
    return {
        "host": name,
        "state": one.state if one else "idle",
        "since": one.since if one else None,
        "deadline": one.deadline if one else None,
        "why": one.grant.why if one else "",
        "armed_by": one.grant.armed_by if one else "",
        "wipe": one.grant.wiped if one else (),
        "run": _run_row(run) if run else None,
        "current": planned == good.plan if good and planned else None,
    }


def _run_row(run: RunRow) -> dict[str, Any]:
    keys = ("at", "by", "phase", "check", "revision", "plan", "exit", "ms", "changed", "would", "failed", "why")
    return {**{key: getattr(run, key) for key in keys}, "result": _result(run)}


def _result(run: RunRow) -> str:
    """How a run ended, in a few words."""
    if run.failed:
        pending = "pending: " if run.exit == Exit.PENDING else ""
        return f"{pending}{run.why.removeprefix('handler:')}" if pending else f"failed: {run.why}"
    if run.exit is None:
        return "cut off"
    told = [f"{count} {word}" for count, word in ((run.changed, "changed"), (run.would, "would change")) if count]
    return ", ".join(told) or ("ok" if run.exit == 0 else f"exit {run.exit}")


def _step_rows(opened: Store, host: str) -> list[dict[str, Any]]:
    """Every step of the newest run, and what is remembered of those that are in it no more."""
    runs = opened.runs(host)
    remembered = {row.name: row for row in opened.steps(host)}
    now = {line.step: line for line in runs[-1].report.steps} if runs else {}
    return [
        {
            "step": name,
            "status": now[name].status if name in now else "",
            "text": now[name].text if name in now else "",
            **_remembered(remembered.get(name)),
        }
        for name in [*now, *(name for name in remembered if name not in now)]
    ]


def _remembered(row: StepRow | None) -> dict[str, Any]:
    keys = ("changed_at", "changed_text", "failed_at", "failed_text")
    return {key: getattr(row, key) if row else ("" if key.endswith("text") else None) for key in keys}


def _print_status(rows: list[dict[str, Any]], steps: list[dict[str, Any]], as_json: bool, one: str) -> None:
    if as_json:
        print_json([{**rows[0], "steps": steps}] if one else rows)
        return
    _print_filled(
        ("host", "state", "since", "deadline", "why", "wipe", "last run", "phase", "by", "result", "plan"),
        (_cells(row) for row in rows),
    )
    if steps:
        click.echo()
        header = ("step", "status", "last changed", "last failed", "text")
        print_table(header, (_step_cells(row) for row in sorted(steps, key=lambda row: row["status"] != "failed")))


def _cells(row: Mapping[str, Any]) -> list[str]:
    run = row["run"]
    told = (
        [when(run["at"]), run["phase"] + (" --check" if run["check"] else ""), run["by"], run["result"]] if run else []
    )
    plan = {True: "current", False: "behind", None: ""}[row["current"]]
    grant = [when(row["since"]), when(row["deadline"]), row["why"], ",".join(row["wipe"])]
    return [row["host"], row["state"], *grant, *(told or [""] * 4), plan]


def _step_cells(row: Mapping[str, Any]) -> list[str]:
    text = row["text"]
    if row["status"] != "failed" and row["failed_at"] and row["failed_at"] > (row["changed_at"] or 0):
        text = row["failed_text"]
    elif not text:
        text = row["changed_text"]
    return [row["step"], row["status"] or "-", when(row["changed_at"]), when(row["failed_at"]), text]


def _print_filled(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table without the columns in which no row says anything; the first three are always there."""
    rows = [*rows]
    filled = [n for n in range(len(header)) if n < 3 or any(row[n] not in ("", "-") for row in rows)]
    print_table([header[n] for n in filled], ([row[n] for n in filled] for row in rows))


@click.command()
@options.host
@click.argument("name", required=False)
@click.option("--runs", "listed", is_flag=True, help="List the runs that are kept.")
@options.site
@options.store
@options.as_json
@options.verbose
def log(host: str, name: str | None, listed: bool, site: Path, store: str | None, as_json: bool) -> None:
    """Print what HOST reported: the newest report, the newest text of that NAME, or what a step of that NAME did.

    Installers also send their logs, as anaconda.log; their names follow the report, on standard error."""
    if listed and name:
        raise UsageError("--runs lists all runs", "leave out the name")
    with options.opened(store) as opened:
        texts, runs = opened.logs(host), opened.runs(host)
    if listed:
        _print_runs(host, runs, as_json)
    elif name is None:
        _print_newest(host, texts, runs, as_json)
    elif found := [row for row in texts if row.name == name]:
        _print_text(found[-1], as_json)
    else:
        _print_step(host, name, {row.name for row in texts}, runs, as_json)


def _print_runs(host: str, runs: Sequence[RunRow], as_json: bool) -> None:
    if not runs:
        raise NotFound(f"{host} has reported no run", "")
    if as_json:
        print_json([_run_row(run) for run in runs])
        return
    header = ("at", "phase", "by", "seconds", "result", "revision")
    print_table(
        header,
        (
            (
                when(run.at),
                run.phase + (" --check" if run.check else ""),
                run.by,
                f"{run.ms / 1000:.1f}",
                _result(run),
                run.revision,
            )
            for run in runs
        ),
    )


def _print_newest(host: str, texts: Sequence[Any], runs: Sequence[RunRow], as_json: bool) -> None:
    """The newest report, whether it came with an install or from a run."""
    reports = [row for row in texts if row.outcome]
    newest = max([*reports, *runs], key=lambda row: row.at, default=None)
    if newest is None:
        raise NotFound(f"{host} has reported nothing", ", ".join(sorted({row.name for row in texts})))
    grants = {row.grant_id for row in reports[-1:]}
    others = sorted({row.name for row in texts if row.grant_id in grants and not row.outcome})
    if others:
        click.echo(f"logs: {', '.join(others)}", err=True)
    _print_text(newest, as_json)


def _print_text(row: Any, as_json: bool) -> None:
    if as_json:
        print_json(plain(row))
    else:
        click.echo(_printable(row.text), nl=False)


def _print_step(host: str, name: str, texts: Iterable[str], runs: Sequence[RunRow], as_json: bool) -> None:
    """What a step, or the steps of a kind, did in the runs that are kept."""
    rows = [*_history(name, runs)]
    if not rows:
        known = {*texts, *(line.step for run in runs for line in run.report.steps)}
        raise NotFound(
            f"{host} has reported nothing named {name!r}", did_you_mean(name, known) or ", ".join(sorted(texts))
        )
    if as_json:
        print_json(rows)
    else:
        cells = ([when(row["at"]), row["phase"], row["by"], row["step"], row["status"], row["text"]] for row in rows)
        print_table(("at", "phase", "by", "step", "status", "text"), cells)


def _history(name: str, runs: Sequence[RunRow]) -> Iterator[dict[str, Any]]:
    for run in runs:
        for line in run.report.steps:
            if name in (line.step, line.step.partition(":")[0]):
                at = {"at": run.at, "phase": run.phase, "by": run.by, "check": run.check}
                yield {**at, "step": line.step, "status": line.status, "ms": line.ms, "text": line.text}


def _printable(text: str) -> str:
    """A machine's text without what a terminal would obey."""
    return "".join(char if char in "\n\t" or char.isprintable() else "?" for char in text)
