"""Grants: who may boot the installer, and who may have what it asks for.

Each permission is a list of checks, in SQL. One UPDATE applies the transition where all of them hold, so that two
clients cannot both be the first; only when it changed nothing is the first check that fails looked up, to say why.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy import ColumnElement, and_, or_
from sqlalchemy.sql.functions import coalesce

from bootforge.store.schema import LIVE, State, clean, grant, log

Reason = Literal[
    "", "not armed", "unknown token", "token of another host", "another client", "expired", "too late",
    "used up", "spent", "disarmed", "superseded", "no kickstart yet", "contradicts", "try again",
]  # fmt: skip
"""Why a request was refused; '' when it was permitted."""

Outcome = Literal["installed", "failed"]

MINUTE = 60.0
BOOT_WINDOW = 15 * MINUTE
"""From the latest boot to the first kickstart fetch; later the host is shown as stuck, but may still fetch."""
BOOT_GRACE = 2 * MINUTE
BOOT_RETRIES = 2
"""After the first kickstart fetch a lost boot may be repeated this often, for this long."""
KICKSTART_WINDOW = 15 * MINUTE
KICKSTART_FETCHES = 10
INSTALL_WINDOW = 240 * MINUTE
"""From the first kickstart fetch to the last bootstrap fetch or report; later the host is stuck."""
BOOTSTRAP_FETCHES = 10
FIRST_BOOT_WINDOW = 7 * 24 * 60 * MINUTE
"""From the report of the install to the last report of the first boot."""
FIRST_BOOT_SILENCE = 60 * MINUTE
"""From the report of the install; later the host is shown as stuck, but its first boot may still report."""
REPORTS = 20
LOGS = 20
"""Texts of one grant, reports among them."""
MANY = 500
"""Hosts in one statement; old SQLite takes 999 values."""


@dataclass(frozen=True, slots=True)
class GrantRow:
    """A grant as it is stored: no token. Times are seconds since the epoch (UTC), None for what has not
    happened; ``docs/states.md`` tells the states. ``kickstart_address`` and ``bootstrap_address`` are the
    first fetchers. ``wipe``: the disks that may be wiped whatever is on them, with commas between. ``booted_at``: the
    first boot went well; ``boot_failed_at``: the latest that did not."""

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
    wipe: str = ""
    booted_at: float | None = None
    boot_failed_at: float | None = None

    @property
    def wiped(self) -> tuple[str, ...]:
        """The names in ``wipe``."""
        return tuple(self.wipe.split(",")) if self.wipe else ()


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
class Rule:
    """A permission, as statements made once: the transition, and the grant or the reason. ``asks`` are the
    parameters that they take."""

    transition: sa.Update
    newest: sa.Select[Any]
    asks: frozenset[str]
    absent: Reason


def token_hash(token: str) -> str:
    """What the store keeps of a token: its SHA-256, in hex."""
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()


def _rule(
    about: ColumnElement[bool],
    checks: Sequence[tuple[Reason, ColumnElement[bool]]],
    changes: Mapping[str, Any],
    absent: Reason = "unknown token",
) -> Rule:
    """``about``: which grant is asked for; ``checks``: what must hold, and the reason when it does not (a check is
    true or false, never NULL, when those before it hold); ``changes``: the new values."""
    transition = sa.update(grant).where(about, *(check for _, check in checks)).values(changes)
    why = sa.case(*((~check, sa.literal(reason)) for reason, check in checks), else_="try again")
    newest = sa.select(grant, why.label("reason")).where(about).order_by(grant.c.seq.desc()).limit(1)
    asks = frozenset(name for name in transition.compile().params if name.startswith("ask_"))
    return Rule(transition, newest, asks, absent)


_g = grant.c
_now = sa.bindparam("ask_now", type_=sa.Double)
_host = sa.bindparam("ask_host", type_=sa.String)
_hash = sa.bindparam("ask_hash", type_=sa.String)
_address = sa.bindparam("ask_address", type_=sa.String)
_planned = sa.bindparam("ask_planned", type_=sa.Boolean)
_outcome = sa.bindparam("ask_outcome", type_=sa.String)
_name = sa.bindparam("ask_name", type_=sa.String)
_digest = sa.bindparam("ask_digest", type_=sa.String)
_went_well = sa.bindparam("ask_went_well", type_=sa.Boolean)


def _same_client(first: ColumnElement[Any], *also: ColumnElement[Any]) -> ColumnElement[bool]:
    # An address that is not known is nobody's: it never counts as the first fetcher's.
    return or_(_planned, and_(_address != "", or_(first.is_(None), *(one == _address for one in (first, *also)))))


def _enter(state: str | ColumnElement[str]) -> dict[str, Any]:
    return {"state": state, "changed": sa.case((_g.state == state, _g.changed), else_=_now)}


_unfetched = _g.kickstart_at.is_(None)
_before_bootstrap = _g.state.in_(("armed", "booting", "installing"))
_in_time: tuple[Reason, ColumnElement[bool]] = ("expired", or_(~_unfetched, _g.expires > _now))
_in_force: tuple[tuple[Reason, ColumnElement[bool]], ...] = (
    ("token of another host", _g.host == _host),
    ("disarmed", _g.state != "disarmed"),
    ("superseded", _g.state != "superseded"),
)
_during_install: tuple[tuple[Reason, ColumnElement[bool]], ...] = (
    ("no kickstart yet", ~_unfetched),
    ("too late", _g.kickstart_at > _now - INSTALL_WINDOW),
)

BOOT = _rule(
    # The netboot script is asked for without a token, so the host's newest grant counts.
    about=_g.host == _host,
    absent="not armed",
    checks=[
        ("disarmed", _g.state != "disarmed"),
        ("spent", _before_bootstrap),
        _in_time,
        ("spent", or_(_unfetched, and_(_g.kickstart_at > _now - BOOT_GRACE, _g.retries < BOOT_RETRIES))),
    ],
    changes={
        **_enter(sa.case((_g.state == "armed", "booting"), else_=_g.state)),
        "boots": _g.boots + 1,
        "boot_at": _now,
        "retries": sa.case((_unfetched, 0), else_=_g.retries + 1),
    },
)
"""Until the grant expires, and to repeat a lost boot shortly after the first kickstart fetch."""

KICKSTART = _rule(
    about=_g.token_hash == _hash,
    checks=[
        *_in_force,
        ("spent", _before_bootstrap),
        _in_time,
        (
            "used up",
            or_(
                _unfetched,
                and_(_g.kickstart_at > _now - KICKSTART_WINDOW, _g.kickstarts < KICKSTART_FETCHES),
            ),
        ),
        ("another client", _same_client(_g.kickstart_address)),
    ],
    changes={
        **_enter("installing"),
        "kickstarts": _g.kickstarts + 1,
        "kickstart_at": coalesce(_g.kickstart_at, _now),
        "kickstart_address": coalesce(_g.kickstart_address, _address),
    },
)
"""First before the grant expires, then some times within a window, to one client."""

BOOTSTRAP = _rule(
    about=_g.token_hash == _hash,
    checks=[
        *_in_force,
        ("spent", _g.state.not_in(("installed", "failed"))),
        *_during_install,
        ("used up", _g.bootstraps < BOOTSTRAP_FETCHES),
        ("another client", _same_client(_g.bootstrap_address)),
    ],
    changes={
        **_enter("bootstrapping"),
        "bootstraps": _g.bootstraps + 1,
        "bootstrap_at": coalesce(_g.bootstrap_at, _now),
        "bootstrap_address": coalesce(_g.bootstrap_address, _address),
    },
)
"""After the kickstart, while the install lasts, to one client of its own: NetworkManager may hold another lease
than dracut."""

_same_name = sa.select(log.c.id).where(log.c.grant_id == _g.id, log.c.name == _name)

REPORT = _rule(
    about=_g.token_hash == _hash,
    checks=[
        *_in_force,
        *_during_install,
        ("contradicts", or_(_g.state.in_(("installing", "bootstrapping")), _g.state == _outcome)),
        ("contradicts", ~_same_name.where(log.c.digest != _digest).exists()),
        ("used up", _g.reports < REPORTS),
        ("another client", _same_client(_g.bootstrap_address, _g.kickstart_address)),
    ],
    changes={
        **_enter(_outcome),
        "reports": _g.reports + 1,
        "report_at": coalesce(_g.report_at, _now),
        "bootstrap_address": coalesce(_g.bootstrap_address, _address),
    },
)
"""After the kickstart, while the install lasts, from the client that fetched the kickstart or the bootstrap, and
never against what was reported before."""

FIRST_BOOT = _rule(
    about=_g.token_hash == _hash,
    checks=[
        *_in_force,
        ("contradicts", _g.state == "installed"),
        ("too late", coalesce(_g.report_at, 0) > _now - FIRST_BOOT_WINDOW),
        ("used up", _g.reports < REPORTS),
    ],
    changes={
        "reports": _g.reports + 1,
        "booted_at": sa.case((_went_well, coalesce(_g.booted_at, _now)), else_=_g.booted_at),
        "boot_failed_at": sa.case((_went_well, _g.boot_failed_at), else_=_now),
    },
)
"""Once the host is installed, for a week: how its first boot went. From any address, because the installed system may
have another than its installer had, and the token has gone to nobody else."""

_logs = sa.select(sa.func.count()).select_from(log).where(log.c.grant_id == _g.id).scalar_subquery()

LOG = _rule(
    about=_g.token_hash == _hash,
    checks=[
        *_in_force,
        *_during_install,
        ("used up", ~_same_name.exists()),
        ("used up", _logs < LOGS),
        ("another client", _same_client(_g.bootstrap_address, _g.kickstart_address)),
    ],
    changes={"changed": _g.changed},
)
"""After the kickstart, while the install could last, whether or not it has ended: each name once, from a client that
may report. The grant itself stays as it is."""


def decide(connection: sa.Connection, rule: Rule, ask: Mapping[str, Any]) -> Decision:
    """Applies a rule: the transition and the grant, or nothing and the reason."""
    asked = {name: value for name, value in ask.items() if name in rule.asks}
    permitted = connection.execute(rule.transition, asked).rowcount > 0
    row = connection.execute(rule.newest, asked).one_or_none()
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
    shown, began = row.state, row.changed
    if row.state == "installed" and row.booted_at is not None:
        began = row.booted_at
    elif row.state == "installed" and row.boot_failed_at is not None:
        shown, began = "failed", row.boot_failed_at
    elif row.state == "installed" and row.report_at is not None:
        shown = "first-boot"
        late.append((row.report_at + FIRST_BOOT_SILENCE, "stuck"))
    deadline = min((since for since, _ in late if since > now), default=None)
    for since, state in late:
        if since <= now:
            return HostStatus(row.host, state, since, deadline, row)
    return HostStatus(row.host, shown, began, deadline, row)
