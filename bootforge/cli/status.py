"""The verb status: how installs and bootstraps are going, of the fleet or of one host."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootforge.cli import options
from bootforge.cli.output import print_json, print_table, when
from bootforge.cli.reports import PHASES, phase, print_filled, result, run_json
from bootforge.errors import SiteError, UsageError

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.store import HostStatus, LastRuns, StepRow, Store

_FOLLOW = 1.0
_WIDE = 60
"""Characters of what was said or went wrong, in a table of many hosts."""


@click.command()
@options.hosts
@click.option("--watch", is_flag=True, help="Print again whenever something changed, until interrupted.")
@options.site
@options.store
@options.as_json
@options.more
def status(hosts: tuple[str, ...], watch: bool, site: Path, store: str | None, as_json: bool, more: bool) -> None:
    """Show how installs and bootstraps are going.

    Of every host: its state, since when, and when silence will end it; how its newest run ended; handlers that are
    owed; and whether the host was brought to the plan that the site makes now (current) or to another (behind). Of one
    host that is named also its steps: what became of each in the newest run, when it last changed something, when it
    last failed, and why.
    """
    with options.opened(store) as opened:
        names, plans = _hosts(hosts, site, opened)
        one = names[0] if names == [*hosts] and len(hosts) == 1 else ""
        seen = None
        while True:
            rows = _rows(opened, names, plans)
            steps = _steps(opened, one) if one else []
            if (rows, steps) != seen:
                _print(rows, steps, as_json, one, more)
                seen = rows, steps
            if not watch:
                return
            time.sleep(_FOLLOW)


@dataclass(frozen=True, slots=True)
class _Plans:
    """Digests of the plans that the site makes; none without a site."""

    site: Generation | None = None
    made: dict[str, str | None] = field(default_factory=dict)

    def of(self, host: str) -> str | None:
        """None for a host that is in no site."""
        from bootforge.plan.digest import plan_digest

        if host not in self.made:
            plan = self.site.plans.get(host) if self.site else None
            self.made[host] = plan_digest(plan) if plan else None
        return self.made[host]


def _hosts(words: Sequence[str], site: Path, opened: Store) -> tuple[list[str], _Plans]:
    """The hosts, and their plans. Hosts that the store knows can be asked after without a site."""
    known = {one.host for one in opened.status(words)} | set(opened.last_runs(words))
    by_name = bool(words) and known.issuperset(words)
    try:
        generation = options.load(site)
    except (SiteError, UsageError):
        if not by_name:
            raise
        click.echo(f"the site {site} cannot be read ('bootforge check' says why): plans are not compared", err=True)
        return sorted(set(words)), _Plans()
    return sorted(set(words)) if by_name else options.selected(generation, words), _Plans(generation)


def _rows(opened: Store, names: Sequence[str], plans: _Plans) -> list[dict[str, Any]]:
    states = {one.host: one for one in opened.status(names)}
    runs = opened.last_runs(names)
    return [_row(name, states.get(name), runs.get(name), plans) for name in names]


def _row(name: str, one: HostStatus | None, runs: LastRuns | None, plans: _Plans) -> dict[str, Any]:
    grant, stamped = one.grant if one else None, runs.stamped if runs else None
    planned = plans.of(name) if stamped else None
    return {
        "host": name,
        "state": one.state if one else "idle",
        "since": one.since if one else None,
        "deadline": one.deadline if one else None,
        "why": grant.why if grant else "",
        "armed_by": grant.armed_by if grant else "",
        "wipe": grant.wiped if grant else (),
        "first_boot": _first_boot(one) if one else "",
        "run": run_json(runs.newest) if runs else None,
        "result": _result(one, runs),
        "pending": [*runs.done.pending] if runs and runs.done else [],
        "applied": {"at": stamped.at, "revision": stamped.revision, "plan": stamped.plan} if stamped else None,
        "current": planned == stamped.plan if stamped and planned else None,
    }


def _first_boot(one: HostStatus) -> str:
    if one.grant.state != "installed":
        return ""
    return "done" if one.grant.booted_at else "failed" if one.grant.boot_failed_at else "awaited"


def _result(one: HostStatus | None, runs: LastRuns | None) -> str:
    """How the newest run ended; of a host whose first boot failed, that first."""
    told = result(runs.newest) if runs else ""
    if one is None or _first_boot(one) != "failed":
        return told
    newest = runs.newest if runs else None
    if newest and newest.phase == "boot":
        return f"installed, first boot failed: {told.removeprefix('failed: ')}"
    return "installed, first boot failed" + (f"; {phase(newest)}: {told}" if newest else "")


def _steps(opened: Store, host: str) -> list[dict[str, Any]]:
    """Every step of the newest run, and those that it did not have of which something is remembered."""
    newest = opened.runs(host)[-1:]
    remembered = {row.name: row for row in opened.steps(host)}
    now = {line.step: line for run in newest for line in run.report.steps}
    return [
        {
            "step": name,
            "status": now[name].status if name in now else "",
            "ms": now[name].ms if name in now else None,
            "text": now[name].text if name in now else "",
            **_remembered(remembered.get(name)),
        }
        for name in [*now, *(name for name in remembered if name not in now)]
    ]


def _remembered(row: StepRow | None) -> dict[str, Any]:
    keys = ("changed_at", "changed_text", "failed_at", "failed_text")
    return {key: getattr(row, key) if row else "" if key.endswith("text") else None for key in keys}


def _print(rows: list[dict[str, Any]], steps: list[dict[str, Any]], as_json: bool, one: str, more: bool) -> None:
    if as_json:
        print_json([{**rows[0], "steps": steps}] if one else rows)
        return
    header = [*_COLUMNS, *(_MORE if more else ())]
    print_filled(header, ([*_cells(row, more or bool(one)), *(_more(row) if more else ())] for row in rows), 3)
    if steps:
        click.echo()
        failed_first = sorted(steps, key=lambda step: (step["status"] != "failed", step["status"] != "blocked"))
        print_table(("step", "status", "text", "last changed", "last failed", "why"), map(_step_cells, failed_first))


_COLUMNS = ("host", "state", "since", "deadline", "why", "wipe", "last run", "phase", "result", "pending", "plan")
_MORE = ("armed by", "by", "seconds", "changed", "would change", "failed", "revision", "applied")
_CURRENT = {True: "current", False: "behind", None: ""}


def _cells(row: Mapping[str, Any], whole: bool) -> list[str]:
    run, why, told, pending = row["run"], row["why"], row["result"], " ".join(row["pending"])
    if not whole:
        why, told, pending = _short(why), _short(told), _short(pending)
    last = [when(run["at"]), PHASES[run["phase"]] + (" --check" if run["check"] else "")] if run else ["", ""]
    grant = [when(row["since"]), when(row["deadline"]), why, ",".join(row["wipe"])]
    return [row["host"], row["state"], *grant, *last, told, pending, _CURRENT[row["current"]]]


def _more(row: Mapping[str, Any]) -> list[str]:
    run, applied = row["run"], row["applied"]
    counts = [str(run[key] or "") for key in ("changed", "would", "failed")] if run else [""] * 3
    ran = [run["by"], f"{run['ms'] / 1000:.1f}", *counts, run["revision"]] if run else [""] * 6
    return [row["armed_by"], *ran, f"{applied['revision']} {when(applied['at'])}" if applied else ""]


def _short(text: str) -> str:
    return text if len(text) <= _WIDE else f"{text[: _WIDE - 3]}..."


def _step_cells(step: Mapping[str, Any]) -> list[str]:
    text = "" if step["status"] == "failed" else step["text"] or step["changed_text"]
    why = step["text"] if step["status"] == "failed" else step["failed_text"]
    return [step["step"], step["status"] or "-", text, when(step["changed_at"]), when(step["failed_at"]), why]
