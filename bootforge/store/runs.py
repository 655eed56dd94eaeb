"""Runs of the bootstrap as hosts reported them, and what is known of each step: when it last changed something, when it
last failed, and why."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa

from bootforge.report import Report, parse_report, print_report
from bootforge.store.schema import clean, run, step

RUNS_KEPT = 10
"""Runs that are kept of a host, and as many that only told."""
STEPS_KEPT = 1000
"""Steps that are remembered of a host; what comes beyond them is in the runs only."""
BODY_BYTES = 256 * 1024
MANY = 500
"""Hosts in one statement; old SQLite takes 999 values."""
_LIGHT = tuple(column for column in run.c if column.name != "body")


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run: ``at`` in seconds since the epoch (UTC), ``ms`` how long it took. ``check``: it only told. ``exit`` is the
    bootstrap's, None when its report was cut off. ``why``: the first step that failed, and what it said."""

    id: int
    host: str
    at: float
    by: str
    phase: str
    check: bool
    revision: str
    plan: str
    exit: int | None
    ms: int
    changed: int
    would: int
    failed: int
    why: str
    text: str = ""

    @property
    def report(self) -> Report:
        """With its steps, where the run was read with its text."""
        return parse_report(self.text)


@dataclass(frozen=True, slots=True)
class StepRow:
    """What is known of a step; times in seconds since the epoch (UTC), None for what has not happened."""

    name: str
    changed_at: float | None
    changed_text: str
    failed_at: float | None
    failed_text: str


def add(connection: sa.Connection, now: float, host: str, by: str, report: Report) -> RunRow:
    """Keeps a run, forgets the oldest, and remembers what its steps did. ``report.phase`` and ``report.check`` are
    believed; whose report it is, the caller knows."""
    said = next((one for one in report.steps if one.status == "failed"), None)
    values = {
        "host": clean(host, run.c.host),
        "at": now,
        "by": clean(by, run.c.by),
        "phase": clean(report.phase, run.c.phase),
        "checked": int(report.check),
        "revision": clean(report.revision, run.c.revision),
        "plan": clean(report.plan, run.c.plan),
        "exit": report.exit,
        "ms": min(report.ms, 2**31 - 1),
        **{status: report.count(status) for status in ("changed", "would", "failed")},
        "why": clean(f"{said.step}: {said.text}" if said else "", run.c.why),
        "body": _body(report),
    }
    key = connection.execute(sa.insert(run).values(values)).inserted_primary_key
    alike = sa.and_(run.c.host == values["host"], run.c.checked == values["checked"])
    newest = sa.select(run.c.id).where(alike).order_by(run.c.id.desc()).limit(RUNS_KEPT)
    connection.execute(sa.delete(run).where(alike, run.c.id.not_in(newest)))
    if not report.check:
        _remember(connection, now, str(values["host"]), report)
    return replace(_row({**values, "id": key[0] if key else 0}), text="")


def _body(report: Report) -> bytes:
    """The report as it is kept: of one that is too long, as many steps as fit."""
    while len(body := print_report(report).encode()) > BODY_BYTES:
        report = replace(report, steps=report.steps[: len(report.steps) // 2])
    return body


def _remember(connection: sa.Connection, now: float, host: str, report: Report) -> None:
    news: dict[str, dict[str, object]] = {}
    for line in report.steps:
        if line.status in ("changed", "failed"):
            at, text = f"{line.status}_at", f"{line.status}_text"
            told = clean(line.text, step.c[text])
            news.setdefault(clean(line.step, step.c.name), {}).update({at: now, text: told})
    if not news:
        return
    known = set(connection.scalars(sa.select(step.c.name).where(step.c.host == host)))
    for name in sorted(news):
        if name in known:
            connection.execute(sa.update(step).where(step.c.host == host, step.c.name == name).values(news[name]))
        elif len(known) < STEPS_KEPT:
            known.add(name)
            blank = {"changed_at": None, "changed_text": "", "failed_at": None, "failed_text": ""}
            connection.execute(sa.insert(step).values({"host": host, "name": name, **blank, **news[name]}))


def of_host(connection: sa.Connection, host: str) -> list[RunRow]:
    """The runs that are kept of a host, with their texts, oldest first."""
    rows = sa.select(run).where(run.c.host == clean(host, run.c.host)).order_by(run.c.id)
    return [_row(row._mapping) for row in connection.execute(rows)]


def newest(connection: sa.Connection, hosts: Collection[str] | None, good: bool) -> dict[str, RunRow]:
    """The newest run of each host, without its text; with ``good`` the newest that did everything."""
    last = sa.select(sa.func.max(run.c.id)).group_by(run.c.host)
    if good:
        last = last.where(run.c.exit == 0, run.c.checked == 0)
    rows = sa.select(*_LIGHT).where(run.c.id.in_(last))
    if hosts is not None and len(hosts) <= MANY:
        rows = rows.where(run.c.host.in_([clean(host, run.c.host) for host in hosts]))
    wanted = None if hosts is None else set(hosts)
    found = (_row(row._mapping) for row in connection.execute(rows))
    return {row.host: row for row in found if wanted is None or row.host in wanted}


def steps_of(connection: sa.Connection, host: str) -> list[StepRow]:
    """The steps of a host that ever changed something or failed, sorted by name."""
    columns = (step.c.name, step.c.changed_at, step.c.changed_text, step.c.failed_at, step.c.failed_text)
    rows = sa.select(*columns).where(step.c.host == clean(host, step.c.host)).order_by(step.c.name)
    return [StepRow(*row) for row in connection.execute(rows)]


def _row(values: Mapping[str, Any] | sa.RowMapping) -> RunRow:
    known = dict(values)
    check, text = bool(known.pop("checked")), known.pop("body", b"").decode("utf-8", "replace")
    return RunRow(check=check, text=text, **known)
