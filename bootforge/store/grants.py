"""Grants: who may boot the installer, and who may have what it asks for.
 Each permission is a list of checks, in SQL. One UPDATE applies the transition where all of them hold, so
that two clients cannot both be the first; only when it changed nothing is the first check that fails looked
up, to say why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import ColumnElement, or_

from bootforge.store.schema import LIVE, State, clean, grant, log

Reason = Literal[
    "", "not armed", "unknown token", "token of another host", "another client", "expired", "too late",
    "used up", "spent", "disarmed", "superseded", "no kickstart yet", "contradicts", "try again",
]  # fmt: skip
"""Why a request was refused; '' when it was permitted."""

Outcome = Literal["installed", "failed"]

MINUTE = 60.0
BOOT_WINDOW = 15 * MINUTE
"""From the latest boot to the first kickstart fetch; later the host is shown as stuck, but may still
fetch."""
BOOT_GRACE = 2 * MINUTE
BOOT_RETRIES = 2
"""After the first kickstart fetch a lost boot may be repeated this often, for this long."""
KICKSTART_WINDOW = 15 * MINUTE
KICKSTART_FETCHES = 10
INSTALL_WINDOW = 240 * MINUTE
"""From the first kickstart fetch to the last bootstrap fetch or report; later the host is stuck."""
BOOTSTRAP_FETCHES = 10
REPORTS = 20
MANY = 500
"""Hosts in one statement; old SQLite takes 999 values."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as it is stored: no token. Times are seconds since the epoch (UTC), None for what has not
    happened; ``docs/states.md`` tells the states. ``kickstart_address`` and ``bootstrap_address`` are the
    first fetchers."""

    id: str
    host: str
    state: State
    why: str
    armed_by: str
    armed_at: float
    expires: float
    changed: float
    boots: int = 0
    boot_at: float | None = None
    retries: int = 0
    kickstarts: int = 0
    kickstart_at: float | None = None
    kickstart_address: str | None = None
    bootstraps: int = 0
    bootstrap_at: float | None = None
    bootstrap_address: str | None = None
    reports: int = 0
    report_at: float | None = None


@dataclass(frozen=True, slots=True)
class Decision:
    """The answer to a request: the grant that permits it, or the reason why nothing does.

    ``owner`` is the host whose token was shown, '' for an unknown token; of a boot, the host.
    """

    grant: GrantRow | None
    reason: Reason
    owner: str = ""

    @property
    def permitted(self) -> bool:
        """Whether the request may be answered."""
        return self.grant is not None


@dataclass(frozen=True, slots=True)
class HostStatus:
    """The state of a host's newest grant as of now, since when, and when silence will change it (None:
    never)."""

    host: str
    state: State
    since: float
    deadline: float | None
    grant: GrantRow


@dataclass(frozen=True, slots=True)
class Ask:
    """A machine's request: for which host, from where, with which token, and whether the plan gives that
    address to the host."""

    host: str
    address: str
    token: str
    planned: bool


@dataclass(frozen=True, slots=True)
class Rule:
    """A permission: which grants it is about, what must hold, what then changes."""

    about: ColumnElement[bool]
    checks: Sequence[tuple[Reason, ColumnElement[bool]]]
    changes: Mapping[str, Any]
    absent: Reason = "unknown token"


def token_hash(token: str) -> str:
    """What the store keeps of a token: its SHA-256, in hex."""
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()


def boot_rule(ask: Ask, now: float) -> Rule:
    """Boot permission: until the grant expires, and to repeat a lost boot shortly after the first kickstart
    fetch. The netboot script is asked for without a token, so the host's newest grant counts."""
    g = grant.c
    first = g.state == "armed"
    unfetched = g.kickstart_at.is_(None)
    return Rule(
        about=g.host == ask.host,
        absent="not armed",
        checks=[
            ("disarmed", g.state != "disarmed"),
            ("spent", g.state.in_(("armed", "booting", "installing"))),
            ("expired", or_(~unfetched, g.expires > now)),
            ("spent", or_(unfetched, (g.kickstart_at > now - BOOT_GRACE) & (g.retries < BOOT_RETRIES))),
        ],
        changes={
            "state": sa.case((first, "booting"), else_=g.state),
            "changed": sa.case((first, now), else_=g.changed),
            "boots": g.boots + 1,
            "boot_at": now,
            "retries": sa.case((unfetched, 0), else_=g.retries + 1),
        },
    )


def kickstart_rule(ask: Ask, now: float) -> Rule:
    """Kickstart permission: first before the grant expires, then often within a window, to one client."""
    g = grant.c
    unfetched = g.kickstart_at.is_(None)
    in_use = (g.kickstart_at > now - KICKSTART_WINDOW) & (g.kickstarts < KICKSTART_FETCHES)
    return Rule(
        about=g.token_hash == token_hash(ask.token),
        checks=[
            *_in_force(ask),
            ("spent", g.state.in_(("armed", "booting", "installing"))),
            ("expired", or_(~unfetched, g.expires > now)),
            ("used up", or_(unfetched, in_use)),
            ("another client", _same_client(ask, g.kickstart_address)),
        ],
        changes={
            **_enter("installing", now),
            "kickstarts": g.kickstarts + 1,
            "kickstart_at": sa.func.coalesce(g.kickstart_at, now),
            "kickstart_address": sa.func.coalesce(g.kickstart_address, ask.address),
        },
    )


def bootstrap_rule(ask: Ask, now: float) -> Rule:
    """Bootstrap permission: after the kickstart, while the install lasts, to one client of its own
    (NetworkManager may hold another lease than dracut)."""
    g = grant.c
    return Rule(
        about=g.token_hash == token_hash(ask.token),
        checks=[
            *_in_force(ask),
            ("spent", g.state.not_in(("installed", "failed"))),
            *_during_install(now),
            ("used up", g.bootstraps < BOOTSTRAP_FETCHES),
            ("another client", _same_client(ask, g.bootstrap_address)),
        ],
        changes={
            **_enter("bootstrapping", now),
            "bootstraps": g.bootstraps + 1,
            "bootstrap_at": sa.func.coalesce(g.bootstrap_at, now),
            "bootstrap_address": sa.func.coalesce(g.bootstrap_address, ask.address),
        },
    )


def report_rule(ask: Ask, now: float, *, outcome: Outcome, name: str, digest: str) -> Rule:
    """Report permission: after the kickstart, while the install lasts, from the client that fetched the
    kickstart or the bootstrap, and never against what was reported before."""
    g = grant.c
    same_name = sa.select(log.c.id).where(log.c.grant_id == g.id, log.c.name == name)
    return Rule(
        about=g.token_hash == token_hash(ask.token),
        checks=[
            *_in_force(ask),
            *_during_install(now),
            ("contradicts", g.state.in_(("installing", "bootstrapping", outcome))),
            ("contradicts", ~same_name.where(log.c.digest != digest).exists()),
            ("used up", g.reports < REPORTS),
            ("another client", _same_client(ask, g.bootstrap_address, g.kickstart_address)),
        ],
        changes={
            **_enter(outcome, now),
            "reports": g.reports + 1,
            "report_at": sa.func.coalesce(g.report_at, now),
            "bootstrap_address": sa.func.coalesce(g.bootstrap_address, ask.address),
        },
    )


def _in_force(ask: Ask) -> list[tuple[Reason, ColumnElement[bool]]]:
    return [
        ("token of another host", grant.c.host == ask.host),
        ("disarmed", grant.c.state != "disarmed"),
        ("superseded", grant.c.state != "superseded"),
    ]


def _during_install(now: float) -> list[tuple[Reason, ColumnElement[bool]]]:
    return [
        ("no kickstart yet", grant.c.kickstart_at.is_not(None)),
        ("too late", grant.c.kickstart_at > now - INSTALL_WINDOW),
    ]


def _same_client(ask: Ask, first: sa.Column[Any], *also: sa.Column[Any]) -> ColumnElement[bool]:
    # An address that is not known is nobody's: it never counts as the first fetcher's.
    if ask.planned or not ask.address:
        return sa.literal(ask.planned)
    return or_(first.is_(None), *(column == ask.address for column in (first, *also)))


def _enter(state: State, now: float) -> dict[str, Any]:
    return {"state": state, "changed": sa.case((grant.c.state == state, grant.c.changed), else_=now)}


def decide(connection: sa.Connection, rule: Rule) -> Decision:
    """Applies a rule: the transition and the grant, or nothing and the reason."""
    holds = [check for _, check in rule.checks]
    transition = sa.update(grant).where(rule.about, *holds).values(rule.changes)
    permitted = connection.execute(transition).rowcount > 0
    why = sa.case(*((~check, sa.literal(reason)) for reason, check in rule.checks), else_="try again")
    newest = sa.select(grant, why.label("reason")).where(rule.about).order_by(grant.c.seq.desc()).limit(1)
    row = connection.execute(newest).one_or_none()
    if row is None:
        return Decision(None, rule.absent)
    if permitted:
        return Decision(GrantRow(**_values(row)), "", row.host)
    return Decision(None, row.reason, row.host)


def arm(connection: sa.Connection, rows: Sequence[GrantRow], hashes: Mapping[str, str], now: float) -> None:
    """Stores new grants with the hashes of their tokens (by id); a host's grant in force is superseded."""
    end(connection, [row.host for row in rows], "superseded", now)
    in_order = sorted(rows, key=lambda row: row.host)
    if new := [{**_values(row), "token_hash": hashes[row.id]} for row in in_order]:
        connection.execute(sa.insert(grant), new)


def end(connection: sa.Connection, hosts: Collection[str], state: State, now: float) -> list[str]:
    """Ends the grants of ``hosts``; answers which of them had one that had not ended, sorted."""
    ended: list[str] = []
    in_order = sorted(hosts)  # so that two who end the same grants wait and do not deadlock
    for start in range(0, len(in_order), MANY):
        live = (grant.c.host.in_(in_order[start : start + MANY]), grant.c.state.in_(LIVE))
        rows = sa.select(grant.c.host).where(*live).order_by(grant.c.host).with_for_update()
        ended += connection.scalars(rows)
        connection.execute(sa.update(grant).where(*live).values(state=state, changed=now))
    return ended


def status(connection: sa.Connection, hosts: Collection[str] | None, now: float) -> list[HostStatus]:
    """The newest grant of every host, or of ``hosts``, sorted by host; a host that was never armed has
    none."""
    newest = sa.select(sa.func.max(grant.c.seq)).group_by(grant.c.host)
    rows = sa.select(grant).where(grant.c.seq.in_(newest)).order_by(grant.c.host)
    if hosts is not None and len(hosts) <= MANY:
        rows = rows.where(grant.c.host.in_([clean(host, grant.c.host) for host in hosts]))
    found = (GrantRow(**_values(row)) for row in connection.execute(rows))
    wanted = None if hosts is None else set(hosts)
    return [_status_of(row, now) for row in found if wanted is None or row.host in wanted]


_FIELDS = tuple(field.name for field in fields(GrantRow))


def _values(row: GrantRow | sa.Row[Any]) -> dict[str, Any]:
    return {name: getattr(row, name) for name in _FIELDS}


def _status_of(row: GrantRow, now: float) -> HostStatus:
    late: list[tuple[float, State]] = []
    if row.state in ("armed", "booting"):
        late.append((row.expires, "expired"))
    if row.state == "booting" and row.boot_at is not None:
        late.append((row.boot_at + BOOT_WINDOW, "stuck"))
    if row.state in ("installing", "bootstrapping") and row.kickstart_at is not None:
        late.append((row.kickstart_at + INSTALL_WINDOW, "stuck"))
    deadline = min((since for since, _ in late if since > now), default=None)
    for since, state in late:
        if since <= now:
            return HostStatus(row.host, state, since, deadline, row)
    return HostStatus(row.host, row.state, row.changed, deadline, row)
