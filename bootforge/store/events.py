"""What happened, told so that nobody from outside can fill the table or push out what matters.

Every row has a source: whose doing it is decides how many rows an hour may bring and how many are kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import sqlalchemy as sa

from bootforge.store.schema import clean, event

Source = Literal["own", "run", "token", "stranger"]

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class Quota:
    """``hourly``: new rows within an hour per ``group`` (a column's name); ``kept``: rows that survive
    pruning."""

    kept: int
    hourly: int = 0
    group: str = ""


QUOTAS: dict[Source, Quota] = {
    # the operator, the server, and what a grant permitted (its counters bound that)
    "own": Quota(kept=50_000),
    # runs of the bootstrap that somebody began: a fleet that is run every day must not push out who armed what
    "run": Quota(kept=20_000),
    # whoever holds a grant's token or asks for an armed host, when refused or more often than needed
    "token": Quota(kept=15_000, hourly=60, group="host"),
    # anybody
    "stranger": Quota(kept=15_000, hourly=1000, group="kind"),
}
"""Together 100,000 rows. What exceeds an hour's share is counted in one row of the kind 'flood'."""

PRUNE_EVERY = 256
"""Rows between two prunings: the table may be that much larger than the quotas say."""


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something that happened ``count`` times between ``at`` and ``last`` (seconds since the epoch)."""

    id: int
    at: float
    last: float
    count: int
    source: str
    kind: str
    host: str
    mac: str
    address: str
    detail: str


@dataclass(frozen=True, slots=True)
class News:
    """An event to be recorded; ``coalesce`` is how old, in seconds, an equal row may be to be counted up
    instead."""

    kind: str
    host: str = ""
    mac: str = ""
    address: str = ""
    detail: str = ""
    source: Source = "own"
    coalesce: float = 0

    def values(self) -> dict[str, str]:
        """The row's columns, fit for the table."""
        return {
            "source": self.source,
            "kind": clean(self.kind, event.c.kind),
            "host": clean(self.host, event.c.host),
            "mac": clean(self.mac, event.c.mac),
            "address": clean(self.address, event.c.address),
            "detail": clean(self.detail, event.c.detail),
        }


_INSERT = sa.insert(event)
_TEXTS = ("source", "kind", "host", "mac", "address", "detail")
_newest_equal = (
    sa.select(sa.func.max(event.c.id))
    .where(event.c.at > sa.bindparam("since"), *(event.c[name] == sa.bindparam(f"same_{name}") for name in _TEXTS))
    .scalar_subquery()
)
_COUNT_UP = sa.update(event).where(event.c.id == _newest_equal).values(count=event.c.count + 1)
_SHARE = {
    group: sa.select(sa.func.count()).where(
        event.c.source == sa.bindparam("of"),
        event.c.at > sa.bindparam("since"),
        event.c[group] == sa.bindparam("group"),
    )
    for group in ("host", "kind")
}


def add(connection: sa.Connection, now: float, news: News) -> None:
    """Records one event, within its source's share of the table."""
    values = news.values()
    if news.coalesce and _count_up(connection, now, values, news.coalesce):
        return
    quota = QUOTAS[news.source]
    if quota.group:
        of = {"of": news.source, "since": now - HOUR, "group": values[quota.group]}
        if (connection.scalar(_SHARE[quota.group], of) or 0) >= quota.hourly:
            values |= {"kind": "flood", "mac": "", "address": "", "detail": f"more than {quota.hourly} in an hour"}
            if quota.group == "kind":
                values |= {"host": "", "detail": f"{values['detail']}: {clean(news.kind, event.c.kind)}"}
            if _count_up(connection, now, values, HOUR):
                return
    key = connection.execute(_INSERT, {"at": now, "last": now, **values}).inserted_primary_key
    if key is not None and key[0] % PRUNE_EVERY == 0:
        prune(connection)


def _count_up(connection: sa.Connection, now: float, values: dict[str, str], age: float) -> bool:
    same = {f"same_{name}": value for name, value in values.items()}
    return connection.execute(_COUNT_UP, {"last": now, "since": now - age, **same}).rowcount > 0


def add_all(connection: sa.Connection, now: float, news: list[News]) -> None:
    """Records many events of our own doing, such as the arming of a thousand hosts, in one statement."""
    if news:
        rows = [{"at": now, "last": now, **one.values()} for one in news]
        connection.execute(_INSERT, rows)
        prune(connection)


def prune(connection: sa.Connection) -> None:
    """Deletes each source's oldest rows beyond its quota."""
    for source, quota in QUOTAS.items():
        of_source = event.c.source == source
        surplus = sa.select(event.c.id).where(of_source).order_by(event.c.id.desc()).offset(quota.kept).limit(1)
        newest_surplus = connection.scalar(surplus)
        if newest_surplus is not None:
            connection.execute(sa.delete(event).where(of_source, event.c.id <= newest_surplus))


def read(
    connection: sa.Connection, host: str | None, kind: str | None, after: int | None, limit: int
) -> list[EventRow]:
    """Events by id: the first ``limit`` after an id, or the last ``limit`` when ``after`` is None."""
    rows = sa.select(event).limit(limit)
    if host is not None:
        rows = rows.where(event.c.host == clean(host, event.c.host))
    if kind is not None:
        rows = rows.where(event.c.kind == kind)
    if after is None:
        found = connection.execute(rows.order_by(event.c.id.desc())).all()[::-1]
    else:
        found = list(connection.execute(rows.where(event.c.id > after).order_by(event.c.id)))
    return [EventRow(**row._mapping) for row in found]
