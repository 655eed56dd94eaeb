"""Runs of the bootstrap as hosts reported them, and what is known of each step: when it last changed something, when it
last failed, and why.

What a host writes is believed about that host only, and everything is bounded: the steps of a run, the length of their
texts, the runs and the steps of a host. Whose report it is, the caller knows; the name in it counts for nothing.
"""

from __future__ import annotations

import zlib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, get_args

import sqlalchemy as sa

from bootforge.model_steps import Phase
from bootforge.report import Report, StepLine, parse_report, print_report
from bootforge.store.database import lock_host
from bootforge.store.schema import clean, run, step

PHASES: tuple[str, ...] = get_args(Phase)
RUNS_KEPT = 10
"""Runs that are kept of a host, and as many that only told; and the newest that found or made it what its plan says."""
LINES_KEPT = 1000
"""Steps that are kept of a run; of more, those that failed, then those that changed something, then the first."""
STEPS_KEPT = 1000
"""Steps that are remembered of a host; of more, those that did something last."""
TEXT_CHARS = 1000
"""The longest text of a step."""
BODY_BYTES = 256 * 1024
MANY = 500
"""Hosts in one statement; old SQLite takes 999 values."""
STAMP = "stamp"
"""The step that says on the host what it was made from, once all others have succeeded: plan/steps.py."""
_LIGHT = tuple(column for column in run.c if column.name != "body")
"""The columns of a run without its report, in the order of :class:`RunRow`."""
_ORDER = {status: place for place, status in enumerate(("failed", "changed", "would", "blocked", "skipped", "ok"))}
_NOTHING = {"changed_at": None, "changed_text": "", "failed_at": None, "failed_text": ""}


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run: ``at`` in seconds since the epoch (UTC), when its report came; ``ms`` how long it took. ``check``: it only
    told. ``exit`` is the bootstrap's, None when the report was cut off or was written before there was a bootstrap.
    ``pending``: handlers that it left to be done. ``stamped``: it found or made the host what its plan says. ``why``:
    the first step that failed, and what it said."""

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
    pending: tuple[str, ...]
    stamped: bool
    why: str
    text: str = ""

    @property
    def told(self) -> str:
        """How it ended, in a few words: that only which is not well."""
        counts = ((self.changed, "changed"), (self.would, "would change"), (self.failed, "failed"))
        words = [f"{count} {word}" for count, word in counts if count]
        words += ["cut off"] if self.exit is None else [f"exit {self.exit}"] if self.exit else []
        return ", ".join(words) or "nothing to do"

    @property
    def report(self) -> Report:
        """With its steps, where the run was read with its text."""
        return parse_report(self.text)


@dataclass(frozen=True, slots=True)
class LastRuns:
    """Of a host: its newest run, the newest that was no check, the newest that found or made it what a plan says."""

    newest: RunRow
    done: RunRow | None
    stamped: RunRow | None


@dataclass(frozen=True, slots=True)
class StepRow:
    """What is known of a step; times in seconds since the epoch (UTC), None for what has not happened."""

    name: str
    changed_at: float | None
    changed_text: str
    failed_at: float | None
    failed_text: str


def read_report(text: str, host: str, phase: str) -> tuple[Report | None, str]:
    """The run that a text tells of, which came as one of ``host`` and of ``phase``; and what is odd about it, '' for
    nothing. A text that tells of no run, or of one that does not belong there, is no report.

    %pre and %post report in lines of steps too, without a first line: there was no bootstrap yet."""
    report = parse_report(text)
    if not report.phase:
        report = parse_report(f"bootforge\t{host}\t{phase}\t\t\t\n{text}")
        return (report if report.steps else None), ""
    if report.phase != phase or report.check:
        return None, f"the text is of {'a check in ' if report.check else ''}phase {report.phase!r}"
    return report, f"the text is of host {report.host!r}" if report.host != host else ""


def add(connection: sa.Connection, now: float, host: str, by: str, report: Report) -> RunRow:
    """Keeps a run, forgets the oldest, and remembers what its steps did."""
    host = clean(host, run.c.host)
    lock_host(connection, host)
    values = {"host": host, "at": now, "by": clean(by, run.c.by), **_told(report), "body": _packed(report)}
    key = connection.execute(sa.insert(run).values(values)).inserted_primary_key
    _prune(connection, host)
    if not report.check:
        _remember(connection, now, host, report)
    return replace(_row({**values, "id": key[0] if key else 0}), text="")


def _prune(connection: sa.Connection, host: str) -> None:
    of_host = run.c.host == host
    new = (
        sa.select(run.c.id).where(of_host, run.c.checked == checked).order_by(run.c.id.desc()).limit(RUNS_KEPT)
        for checked in (0, 1)
    )
    stamped = sa.select(sa.func.max(run.c.id)).where(of_host, run.c.stamped == 1).scalar_subquery()
    old = (run.c.id.not_in(one) for one in new)
    connection.execute(sa.delete(run).where(of_host, *old, run.c.id != sa.func.coalesce(stamped, 0)))


def is_known(connection: sa.Connection, host: str, report: Report) -> bool:
    """Whether this report was the last of its phase: it comes again when the answer to it was lost."""
    host = clean(host, run.c.host)
    lock_host(connection, host)
    alike = (run.c.host == host, run.c.phase == clean(report.phase, run.c.phase))
    body = connection.scalar(sa.select(run.c.body).where(*alike).order_by(run.c.id.desc()).limit(1))
    return body == _packed(report)


def _told(report: Report) -> dict[str, Any]:
    """The columns that are read without the report."""
    # The stamp fails when a step before it did, and is not one more.
    failures = [one for one in report.steps if one.status == "failed"]
    failures = [one for one in failures if one.step != STAMP] or failures
    why = f"{failures[0].step}: {failures[0].text}".removesuffix(": ") if failures else ""
    handlers = (one for one in report.steps if one.step.startswith("handler:"))
    owed = (one.step.partition(":")[2] for one in handlers if one.status in ("failed", "skipped"))
    # With --only, the stamp says nothing of the other steps, and no other run has one step only.
    stamp = ("ok",) if report.check else ("ok", "changed")
    stamped = len(report.steps) > 1 and any(one.step == STAMP and one.status in stamp for one in report.steps)
    return {
        "phase": clean(report.phase, run.c.phase),
        "checked": int(report.check),
        "revision": clean(report.revision, run.c.revision),
        "plan": clean(report.plan, run.c.plan),
        "exit": report.exit,
        "ms": min(report.ms, 2**31 - 1),
        **{status: report.count(status) for status in ("changed", "would")},
        "failed": len(failures),
        "pending": clean(" ".join(owed), run.c.pending),
        "stamped": int(stamped),
        "why": clean(why, run.c.why),
    }


def _packed(report: Report) -> bytes:
    """The report as it is kept: what matters most, as much as fits, in its order."""
    lines = [replace(one, text=one.text[:TEXT_CHARS]) for one in report.steps]
    kept, room = [], BODY_BYTES
    for place in sorted(range(len(lines)), key=lambda place: _ORDER[lines[place].status])[:LINES_KEPT]:
        room -= len(f"{lines[place]}".encode())
        if room < 0:
            break
        kept.append(place)
    return zlib.compress(print_report(replace(report, steps=tuple(lines[place] for place in sorted(kept)))).encode())


def _remember(connection: sa.Connection, now: float, host: str, report: Report) -> None:
    lines = sorted((one for one in report.steps if one.status in ("changed", "failed")), key=_by_status)
    news: dict[str, dict[str, object]] = {}
    for line in lines[:STEPS_KEPT]:
        at, text = f"{line.status}_at", f"{line.status}_text"
        told = {at: now, text: clean(line.text, step.c[text])}
        news.setdefault(clean(line.step, step.c.name), {"at": now}).update(told)
    if not news:
        return
    rows = connection.execute(sa.select(step).where(step.c.host == host))
    known = {row.name: dict(row._mapping) for row in rows}
    there = [{**known[name], **what, "of_host": host, "of_name": name} for name, what in news.items() if name in known]
    new = [{"host": host, "name": name, **_NOTHING, **what} for name, what in news.items() if name not in known]
    if there:
        at_name = (step.c.host == sa.bindparam("of_host"), step.c.name == sa.bindparam("of_name"))
        connection.execute(sa.update(step).where(*at_name), there)
    if new:
        connection.execute(sa.insert(step), new)
    if len(known) + len(new) > STEPS_KEPT:
        last = sa.select(step.c.name).where(step.c.host == host).order_by(step.c.at.desc(), step.c.name)
        connection.execute(sa.delete(step).where(step.c.host == host, step.c.name.not_in(last.limit(STEPS_KEPT))))


def _by_status(line: StepLine) -> int:
    return _ORDER[line.status]


def of_host(connection: sa.Connection, host: str) -> list[RunRow]:
    """The runs that are kept of a host, with their texts, oldest first."""
    rows = sa.select(run).where(run.c.host == clean(host, run.c.host)).order_by(run.c.id)
    return [_row(row._mapping) for row in connection.execute(rows)]


def last(connection: sa.Connection, hosts: Collection[str] | None) -> dict[str, LastRuns]:
    """The last runs of each host that has any, or of those of ``hosts``, without their texts."""
    some: sa.ColumnElement[bool] = sa.true()
    if hosts is not None and len(hosts) <= MANY:
        some = run.c.host.in_([clean(host, run.c.host) for host in hosts])
    kinds = (sa.true(), run.c.checked == 0, run.c.stamped == 1)
    newest = [sa.select(sa.func.max(run.c.id)).where(some, kind).group_by(run.c.host) for kind in kinds]
    rows = sa.select(*_LIGHT).where(run.c.id.in_(sa.union(*newest))).order_by(run.c.id)
    wanted = None if hosts is None else set(hosts)
    found: dict[str, LastRuns] = {}
    for row in (_light(row) for row in connection.execute(rows)):
        if wanted is None or row.host in wanted:
            before = found.get(row.host, LastRuns(row, None, None))
            found[row.host] = LastRuns(row, before.done if row.check else row, row if row.stamped else before.stamped)
    return found


def steps_of(connection: sa.Connection, host: str) -> list[StepRow]:
    """The steps of a host that ever changed something or failed, sorted by name."""
    columns = (step.c.name, step.c.changed_at, step.c.changed_text, step.c.failed_at, step.c.failed_text)
    rows = sa.select(*columns).where(step.c.host == clean(host, step.c.host)).order_by(step.c.name)
    return [StepRow(*row) for row in connection.execute(rows)]


def _light(row: sa.Row[Any]) -> RunRow:
    values = [*row]
    values[5], values[13], values[14] = bool(values[5]), tuple(values[13].split()), bool(values[14])
    return RunRow(*values)


def _row(values: Mapping[str, Any] | sa.RowMapping) -> RunRow:
    known = dict(values)
    body = known.pop("body", None)
    text = zlib.decompress(body).decode() if body else ""
    pending = tuple(known.pop("pending").split())
    return RunRow(
        check=bool(known.pop("checked")), stamped=bool(known.pop("stamped")), pending=pending, text=text, **known
    )
