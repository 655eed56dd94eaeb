"""The store: what was permitted, what happened and what was reported. Intent is in the site, never here."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import IPv6Address, ip_address
from types import MappingProxyType
from typing import Any, TypeVar

import sqlalchemy as sa

from bootforge.errors import UsageError
from bootforge.report import parse_report
from bootforge.store import events, grants, runs
from bootforge.store.database import Database
from bootforge.store.events import EventRow, News
from bootforge.store.grants import Decision, GrantRow, HostStatus, Outcome, Rule
from bootforge.store.runs import LastRuns, RunRow, StepRow
from bootforge.store.schema import clean, grant, log

T = TypeVar("T")

TOKEN_LENGTH = 16
"""The least number of characters of a token."""
LOG_BYTES = 256 * 1024
"""The longest text that is kept of a report; of a longer one, the end."""
LOGS_KEPT = 5
"""Texts of one name that are kept for a host."""
BOOT_EVENTS = 10
"""Boots of one grant that are told one by one; netboot scripts are asked for without a token."""
COALESCE = 60.0
"""Seconds within which equal refusals are counted in one event."""
RUN_COALESCE = 24 * 3600.0
"""Seconds within which equal runs of a host are counted in one event: a run every hour that changes nothing is one."""


@dataclass(frozen=True, slots=True)
class LogRow:
    """The text of a report, or with ``outcome`` '' of a log that came with it; ``at`` in seconds since the epoch
    (UTC). Bytes that are no UTF-8 are replaced."""

    id: int
    grant_id: str
    host: str
    name: str
    at: float
    outcome: str
    text: str


class Store:
    """Grants, events and logs in one database, opened by :func:`bootforge.store.open_store`. Threads may
    share it; processes may not, each opens its own.

    Every method raises StoreError (StoreLocked, UsageError) when the database cannot be read or written; then
    nothing was permitted and nothing changed. Strings from the network may be passed as they came.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def close(self) -> None:
        """Closes the connections; the store may not be used afterwards."""
        self._database.close()

    # --- what the operator permits

    def arm(
        self,
        hosts: Sequence[str],
        *,
        ttl: float,
        why: str,
        by: str,
        tokens: Callable[[str], str],
        wipe: Collection[str] = (),
    ) -> list[GrantRow]:
        """Permits one install of each host for ``ttl`` seconds; all of them or, after an error, none.

        ``wipe``: names of disks that may be wiped whatever is on them, or ``all``.
        ``tokens`` is called with each new grant's id and returns its token, of which only a hash is kept.
        Older grants of these hosts that have not ended become 'superseded'. Answers in the order of ``hosts``,
        duplicates once. Raises UsageError for a ``ttl`` that is not a positive number or too many disks,
        ValueError for a token that is too short.
        """
        if not (math.isfinite(ttl) and ttl > 0):
            raise UsageError(f"a grant cannot last {ttl} seconds", "give a time to live such as 2h")
        ids = {host: uuid.uuid4().hex for host in hosts}
        hashes = {}
        for id in ids.values():
            token = tokens(id)
            if len(token) < TOKEN_LENGTH:
                raise ValueError(f"a grant's token must have at least {TOKEN_LENGTH} characters")
            hashes[id] = grants.token_hash(token)
        wiped = ",".join(sorted(set(wipe)))
        if clean(wiped, grant.c.wipe) != wiped:
            raise UsageError("too many disks to wipe", "write 'all'")
        why, by = clean(why, grant.c.why), clean(by, grant.c.armed_by)

        def work(connection: sa.Connection, now: float) -> list[GrantRow]:
            rows = [GrantRow(id, host, "armed", why, by, now, now + ttl, now, wipe=wiped) for host, id in ids.items()]
            grants.arm(connection, rows, hashes, now)
            detail = f"by {by} until {datetime.fromtimestamp(now + ttl, UTC):%Y-%m-%dT%H:%M:%SZ}: {why}"
            detail += f" (wipe {wiped})" if wiped else ""
            events.add_all(connection, now, [News("armed", host, detail=detail) for host in ids])
            return rows

        return self._write(work)

    def disarm(self, hosts: Iterable[str], *, by: str) -> list[str]:
        """Ends the grants of these hosts at once, whatever the install has come to.

        Answers the hosts that had a grant which had not ended (an expired one counts), sorted."""

        def work(connection: sa.Connection, now: float) -> list[str]:
            ended = grants.end(connection, set(hosts), "disarmed", now)
            events.add_all(connection, now, [News("disarmed", host, detail=f"by {by}") for host in ended])
            return ended

        hosts = list(hosts)
        return self._write(work)

    # --- what a machine may have

    def permit_boot(self, host: str, address: str) -> Decision:
        """Whether the netboot script of ``host`` boots the installer now; ``address`` is for the event."""
        return self._permit("boot", grants.BOOT, host, address)

    def would_boot(self, host: str, address: str) -> Decision:
        """What :meth:`permit_boot` would answer now. It changes nothing, and there is no event."""
        ask = {"ask_host": clean(host, grant.c.host), "ask_address": _plain(address), "ask_planned": False}
        with self._database.write() as connection:
            decision = grants.decide(connection, grants.BOOT, {**ask, "ask_now": self._clock(), "ask_hash": ""})
            connection.rollback()
        return decision

    def is_writable(self) -> bool:
        """Whether it can be written now: a transaction that is undone. Raises StoreError, UsageError when not."""
        with self._database.write() as connection:
            connection.execute(sa.update(grant).where(grant.c.seq == -1).values(why=""))
            connection.rollback()
        return True

    def permit_kickstart(self, host: str, token: str, address: str, planned: bool) -> Decision:
        """Whether this client may have the kickstart of ``host``. ``planned``: the plan gives ``address`` to
        the host; any other client is permitted only when it was the first to fetch."""
        return self._permit("kickstart", grants.KICKSTART, host, address, token, planned)

    def permit_bootstrap(self, host: str, token: str, address: str, planned: bool) -> Decision:
        """Whether this client may have the bootstrap of ``host``; ``planned`` as for the kickstart, with a
        first client of its own."""
        return self._permit("bootstrap", grants.BOOTSTRAP, host, address, token, planned)

    def report(
        self, host: str, token: str, address: str, planned: bool, outcome: Outcome, name: str, text: str
    ) -> Decision:
        """The installer says how it ended, with a text that is kept in the log under ``name``.

        The first report decides. One that repeats it is permitted and changes nothing; more texts under other
        names may follow; another outcome, or another text under the same name, is refused. The token is taken
        out of ``text``; of more than LOG_BYTES the end is kept. Raises ValueError for an unknown outcome.
        """
        if outcome not in ("installed", "failed"):
            raise ValueError(f"{outcome!r} is not an outcome of an install")
        told, odd = runs.read_report(_without(token, text), host, "install")
        name, body, digest = _kept(name, text, token)

        def keep(connection: sa.Connection, now: float, of: GrantRow) -> None:
            if _keep(connection, now, of, name, outcome, body, digest) and told:
                runs.add(connection, now, of.host, "installer", told)

        what = {"ask_outcome": outcome, "ask_name": name, "ask_digest": digest}
        detail = f"{outcome}: {name}" + (f" ({odd})" if odd else "")
        return self._permit("report", grants.REPORT, host, address, token, planned, what, keep, detail)

    def report_boot(self, host: str, token: str, address: str, went_well: bool, text: str) -> Decision:
        """The installed host says how its first boot went, for a week at most; a boot that failed may be followed by
        one that went well. The text is kept in the log as ``booted`` or ``boot-failed``."""
        told, odd = runs.read_report(_without(token, text), host, "boot")
        name, body, digest = _kept("booted" if went_well else "boot-failed", text, token)

        def keep(connection: sa.Connection, now: float, of: GrantRow) -> None:
            _keep(connection, now, of, name, name, body, digest)
            if told and not runs.is_known(connection, of.host, told):
                runs.add(connection, now, of.host, "first boot", told)

        detail = name + (f" ({odd})" if odd else "")
        what = {"ask_went_well": went_well}
        return self._permit("report", grants.FIRST_BOOT, host, address, token, False, what, keep, detail)

    def record_run(self, host: str, report_text: str, by: str) -> RunRow | None:
        """Keeps the report of a run that ``by`` had done on ``host``, and an event of it; equal ones of a day are
        counted in one. A run that did everything also settles a first boot that failed or was not heard of. Who calls
        this knows whose report it is: the name in it is not looked at. None for a text that tells of no run."""
        report = parse_report(report_text)

        def work(connection: sa.Connection, now: float) -> RunRow:
            row = runs.add(connection, now, host, by, report)
            if row.exit == 0 and row.stamped and not row.check:
                grants.settle(connection, row.host, now)
            detail = f"{'check ' if row.check else ''}by {row.by}: {row.told}"
            events.add(connection, now, News("run", row.host, detail=detail, source="run", coalesce=RUN_COALESCE))
            return row

        return self._write(work) if report.phase in runs.PHASES else None

    def keep_log(self, host: str, token: str, address: str, planned: bool, name: str, text: str) -> Decision:
        """The installer sends a log, before or after its report; it is kept under ``name``, without an outcome.

        Each name is taken once for a grant. The token and what is too long go as in :meth:`report`. Which names there
        are is the caller's to decide."""
        name, body, digest = _kept(name, text, token)

        def keep(connection: sa.Connection, now: float, of: GrantRow) -> None:
            _keep(connection, now, of, name, "", body, digest)

        return self._permit("log", grants.LOG, host, address, token, planned, {"ask_name": name}, keep, name)

    # --- reading and recording

    def status(self, hosts: Collection[str] | None = None) -> list[HostStatus]:
        """The state of each host's newest grant as of now, sorted by host. A host that was never armed is not
        in the answer. ``hosts`` None: all."""
        with self._database.read() as connection:
            return grants.status(connection, hosts, self._clock())

    def record(
        self,
        kind: str,
        *,
        host: str = "",
        mac: str = "",
        address: str = "",
        detail: str = "",
        coalesce: float = 0,
        own: bool = False,
    ) -> None:
        """Records an event. An equal one younger than ``coalesce`` seconds is counted up instead.

        Rows have a share per hour and kind, and are kept apart from those of grants, unless they are our own
        doing: nothing that a client can cause may be recorded as ``own``."""
        news = News(kind, host, mac, address, detail, "own" if own else "stranger", coalesce)
        self._write(lambda connection, now: events.add(connection, now, news))

    def events(
        self, host: str | None = None, after: int | None = None, limit: int = 1000, kind: str | None = None
    ) -> list[EventRow]:
        """Events by rising id: the newest ``limit`` of them, or those that follow the id ``after``. An event
        that is counted up keeps its id."""
        with self._database.read() as connection:
            return events.read(connection, host, kind, after, limit)

    def logs(self, host: str, name: str | None = None) -> list[LogRow]:
        """The texts that were sent for a host, reports and logs, oldest first."""
        rows = sa.select(log).where(log.c.host == clean(host, log.c.host)).order_by(log.c.id)
        if name is not None:
            rows = rows.where(log.c.name == name)
        with self._database.read() as connection:
            return [_log_row(row) for row in connection.execute(rows)]

    def runs(self, host: str) -> list[RunRow]:
        """The runs that are kept of a host, with their texts, oldest first."""
        with self._database.read() as connection:
            return runs.of_host(connection, host)

    def last_runs(self, hosts: Collection[str] | None = None) -> dict[str, LastRuns]:
        """The last runs of each host that has any, without their texts. ``hosts`` None: all."""
        with self._database.read() as connection:
            return runs.last(connection, hosts)

    def steps(self, host: str) -> list[StepRow]:
        """When each step of a host last changed something and last failed, also in runs that are kept no more."""
        with self._database.read() as connection:
            return runs.steps_of(connection, host)

    # --- transactions

    def _permit(
        self,
        what: str,
        rule: Rule,
        host: str,
        address: str,
        token: str = "",
        planned: bool = False,
        more: Mapping[str, str | bool] = MappingProxyType({}),
        then: Callable[[sa.Connection, float, GrantRow], None] | None = None,
        detail: str = "",
    ) -> Decision:
        host, address = clean(host, grant.c.host), _plain(address)
        ask = {"ask_host": host, "ask_address": address, "ask_planned": planned, **more}
        ask["ask_hash"] = grants.token_hash(token)

        def work(connection: sa.Connection, now: float) -> Decision:
            decision = grants.decide(connection, rule, {**ask, "ask_now": now})
            if decision.grant and then:
                then(connection, now, decision.grant)
            events.add(connection, now, _news(what, host, address, decision, detail))
            return decision

        return self._write(work)

    def _write(self, work: Callable[[sa.Connection, float], T]) -> T:
        """Does ``work`` in one transaction, and again when another server inserted the same row meanwhile."""
        for _ in range(4):
            with suppress(sa.exc.IntegrityError), self._database.write() as connection:
                return work(connection, self._clock())
        with self._database.write() as connection:
            return work(connection, self._clock())


def _without(token: str, text: str) -> str:
    return text.replace(token, "[token]") if len(token) >= TOKEN_LENGTH else text


def _kept(name: str, text: str, token: str) -> tuple[str, bytes, str]:
    """Name, body and digest of a text as it is stored: without the token, and of what is too long the end."""
    body = _without(token, text).encode("utf-8", "backslashreplace")[-LOG_BYTES:]
    return clean(name, log.c.name), body, hashlib.sha256(body).hexdigest()


def _keep(
    connection: sa.Connection, now: float, of: GrantRow, name: str, outcome: str, body: bytes, digest: str
) -> bool:
    """Stores a text once for its grant and name, and forgets the oldest of that name; whether it was not there."""
    same = sa.select(log.c.id).where(log.c.grant_id == of.id, log.c.name == name)
    if connection.execute(same).first() is None:
        new = {"grant_id": of.id, "host": of.host, "name": name, "at": now, "outcome": outcome}
        connection.execute(sa.insert(log).values(digest=digest, body=body, **new))
        of_name = sa.and_(log.c.host == of.host, log.c.name == name)
        newest = sa.select(log.c.id).where(of_name).order_by(log.c.id.desc()).limit(LOGS_KEPT)
        connection.execute(sa.delete(log).where(of_name, log.c.id.not_in(newest)))
        return True
    return False


def _news(what: str, host: str, address: str, decision: Decision, detail: str) -> News:
    """The event of a decision: told of the token's owner, and in the share of whoever could cause it."""
    if decision.grant is None:
        stray = f" for {host}" if decision.owner not in ("", host) else ""
        known = decision.owner != "" and what != "boot"  # a boot shows no token: anybody can ask
        return News(
            kind="refused" if what != "boot" else "local",  # a machine that is sent to its disk: the usual thing
            host=decision.owner or host,
            address=address,
            detail=f"{what}{stray}: {decision.reason}" if what != "boot" else decision.reason,
            source="token" if known else "stranger",
            coalesce=COALESCE,
        )
    if what == "boot" and decision.grant.boots > BOOT_EVENTS:
        return News(what, host, address=address, detail="again", source="token", coalesce=COALESCE)
    return News(what, host, address=address, detail=detail)


def _plain(address: str) -> str:
    """The one form of an address: IPv4 that arrived on an IPv6 socket is the same client as without."""
    with suppress(ValueError):
        parsed = ip_address(address)
        mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
        address = str(mapped or parsed)
    return clean(address, grant.c.kickstart_address)


def _log_row(row: sa.Row[Any]) -> LogRow:
    text = row.body.decode("utf-8", "replace")
    return LogRow(row.id, row.grant_id, row.host, row.name, row.at, row.outcome, text)
