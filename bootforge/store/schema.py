"""The tables, and how text from outside is made fit for them. Times are seconds since the epoch (UTC).

A change here needs a migration in ``migrations/versions`` and its revision in :data:`REVISIONS`;
a test compares the two.
"""

from __future__ import annotations

from typing import Literal

import sqlalchemy as sa
from sqlalchemy import Column, Double, Index, Integer, String

REVISIONS = ("0001", "0002", "0003")
"""Every schema this version can read or bring up to date, oldest first; the last is the present one."""

State = Literal[
    "armed", "booting", "installing", "bootstrapping", "first-boot", "installed", "failed", "disarmed", "superseded",
    "expired", "stuck",
]  # fmt: skip
"""What a grant can be in. ``expired`` and ``stuck`` are never stored, for they are read off the clock; nor is
``first-boot``, which is ``installed`` without a report of the first boot."""

LIVE = ("armed", "booting", "installing", "bootstrapping")
"""The stored states of a grant that has not ended; a host has at most one such grant (``one_live_grant``)."""

_LIVE_SQL = sa.text("state IN ('armed', 'booting', 'installing', 'bootstrapping')")

metadata = sa.MetaData()

grant = sa.Table(
    "grant",
    metadata,
    Column("seq", Integer, primary_key=True),
    Column("id", String(32), nullable=False, unique=True),
    Column("host", String(255), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("why", String(500), nullable=False),
    Column("armed_by", String(100), nullable=False),
    Column("armed_at", Double, nullable=False),
    Column("expires", Double, nullable=False),
    Column("changed", Double, nullable=False),  # when the state last changed
    Column("boots", Integer, nullable=False, default=0),
    Column("boot_at", Double),  # the latest permitted boot
    Column("retries", Integer, nullable=False, default=0),  # boots after the first kickstart fetch
    Column("kickstarts", Integer, nullable=False, default=0),
    Column("kickstart_at", Double),  # the first fetch; every window is counted from here
    Column("kickstart_address", String(64)),  # the first fetcher
    Column("bootstraps", Integer, nullable=False, default=0),
    Column("bootstrap_at", Double),
    Column("bootstrap_address", String(64)),  # the first to fetch the bootstrap or to report
    Column("reports", Integer, nullable=False, default=0),
    Column("report_at", Double),
    Column("wipe", String(1000), nullable=False, server_default=""),  # names of disks, with commas between, or all
    Column("booted_at", Double),  # the first boot went well
    Column("boot_failed_at", Double),  # the latest one that did not
    Index("ix_grant_host", "host"),
    Index("one_live_grant", "host", unique=True, sqlite_where=_LIVE_SQL, postgresql_where=_LIVE_SQL),
)

event = sa.Table(
    "event",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("at", Double, nullable=False),
    Column("last", Double, nullable=False),
    Column("count", Integer, nullable=False, default=1),
    Column("source", String(8), nullable=False),  # whose doing: a key of events.QUOTAS
    Column("kind", String(32), nullable=False),
    Column("host", String(255), nullable=False),
    Column("mac", String(32), nullable=False),
    Column("address", String(64), nullable=False),
    Column("detail", String(800), nullable=False),
    Index("ix_event_source_at", "source", "at"),
    Index("ix_event_host", "host"),
    sqlite_autoincrement=True,  # a reader continues after the highest id it saw, so no id may come twice
)

log = sa.Table(
    "log",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("grant_id", String(32), sa.ForeignKey("grant.id"), nullable=False),
    Column("host", String(255), nullable=False),
    Column("name", String(64), nullable=False),
    Column("at", Double, nullable=False),
    Column("outcome", String(16), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("body", sa.LargeBinary, nullable=False),  # UTF-8; bytes, because a log may hold NUL
    sa.UniqueConstraint("grant_id", "name", name="one_log_per_name"),
    Index("ix_log_host", "host"),
)

run = sa.Table(
    "run",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("host", String(255), nullable=False),
    Column("at", Double, nullable=False),  # when its report came
    Column("by", String(100), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("checked", Integer, nullable=False),  # 1: it only told
    Column("revision", String(80), nullable=False),
    Column("plan", String(64), nullable=False),
    Column("exit", Integer),  # NULL: the report was cut off
    Column("ms", Integer, nullable=False),
    Column("changed", Integer, nullable=False),
    Column("would", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("why", String(500), nullable=False),  # the first step that failed, and what it said
    Column("body", sa.LargeBinary, nullable=False),  # the report, without differences
    Index("ix_run_host", "host"),
)

step = sa.Table(
    "step",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("name", String(255), primary_key=True),
    Column("changed_at", Double),
    Column("changed_text", String(500), nullable=False),
    Column("failed_at", Double),
    Column("failed_text", String(500), nullable=False),
)


def clean(value: str, column: Column[str]) -> str:
    """``value`` as it may stand in ``column``: whatever does not print (control characters, lone surrogates,
    bidirectional overrides) is written as an escape, and the rest is cut at the column's length."""
    limit = column.type.length  # type: ignore[attr-defined]
    printable = (c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in value[:limit])
    return "".join(printable)[:limit]
