"""The store: every cell of state x event, clocks, addresses, races, floods, files and migrations.

``BOOTFORGE_TEST_POSTGRES=postgresql://...`` runs what does not depend on SQLite's files against that database,
which is emptied for every test.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from bootforge.errors import Exit, UsageError
from bootforge.store import Decision, Store, StoreError, StoreLocked, database, events, grants, open_store
from bootforge.store import store as store_module
from bootforge.store.schema import REVISIONS, metadata

POSTGRES = os.environ.get("BOOTFORGE_TEST_POSTGRES", "")
NOON = 1_800_000_000.0
HOUR, MINUTE = 3600.0, 60.0
PLANNED, LEASE, LEASE2, THIEF = "192.0.2.10", "192.0.2.200", "192.0.2.201", "192.0.2.66"


class Clock:
    """A clock that only moves when it is told to."""

    def __init__(self) -> None:
        self.now = NOON

    def __call__(self) -> float:
        return self.now


def make_token(grant_id: str) -> str:
    return hashlib.sha256(b"key of the test" + grant_id.encode()).hexdigest()[:32]


@pytest.fixture(scope="session")
def fresh_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database file, to be copied."""
    path = tmp_path_factory.mktemp("fresh") / "store.db"
    open_store(f"sqlite:///{path}").close()
    return path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def url(fresh_database: Path, tmp_path: Path) -> str:
    if POSTGRES:
        wipe = sa.create_engine(POSTGRES)
        with wipe.begin() as connection:
            connection.exec_driver_sql("DROP SCHEMA public CASCADE")
            connection.exec_driver_sql("CREATE SCHEMA public")
        wipe.dispose()
        return POSTGRES
    shutil.copy(fresh_database, tmp_path / "store.db")
    return f"sqlite:///{tmp_path}/store.db"


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    opened = open_store(url, clock)
    yield opened
    opened.close()


sqlite_only = pytest.mark.skipif(bool(POSTGRES), reason="about SQLite's files")


class Host:
    """A host and what its machine would ask, from a planned address unless told otherwise."""

    def __init__(self, store: Store, name: str = "web1") -> None:
        self.store, self.name, self.token = store, name, "token-of-nobody-at-all"

    def arm(self, ttl: float = 2 * HOUR) -> None:
        (grant,) = self.store.arm([self.name], ttl=ttl, why="test", by="root", tokens=make_token)
        self.token = make_token(grant.id)

    def boot(self, address: str = PLANNED) -> Decision:
        return self.store.permit_boot(self.name, address)

    def kickstart(self, address: str = PLANNED) -> Decision:
        return self.store.permit_kickstart(self.name, self.token, address, address == PLANNED)

    def bootstrap(self, address: str = PLANNED) -> Decision:
        return self.store.permit_bootstrap(self.name, self.token, address, address == PLANNED)

    def installed(self, address: str = PLANNED, name: str = "report", text: str = "the end") -> Decision:
        return self.store.report(self.name, self.token, address, address == PLANNED, "installed", name, text)

    def failed(self, address: str = PLANNED, name: str = "report", text: str = "the end") -> Decision:
        return self.store.report(self.name, self.token, address, address == PLANNED, "failed", name, text)

    def log(self, address: str = PLANNED, name: str = "syslog", text: str = "a log") -> Decision:
        return self.store.keep_log(self.name, self.token, address, address == PLANNED, name, text)

    def booted(self, address: str = LEASE, text: str = "up") -> Decision:
        return self.store.report_boot(self.name, self.token, address, True, text)

    def boot_failed(self, address: str = LEASE, text: str = "no") -> Decision:
        return self.store.report_boot(self.name, self.token, address, False, text)

    def disarm(self) -> None:
        self.store.disarm([self.name], by="root")

    def state(self) -> str:
        return next((row.state for row in self.store.status([self.name])), "idle")


@pytest.fixture
def host(store: Store) -> Host:
    return Host(store)


# --- every state, every event

STATES = """
| state | shown | boot | kickstart | bootstrap | installed | failed | log | booted | boot-failed | disarm |
|---|---|---|---|---|---|---|---|---|---|---|
| idle | idle | not armed | unknown token | unknown token | unknown token | unknown token | unknown token | unknown token | unknown token | = idle |
| armed | armed | -> booting | -> installing | no kickstart yet | no kickstart yet | no kickstart yet | no kickstart yet | contradicts | contradicts | -> disarmed |
| armed, past its time | expired | expired | expired | no kickstart yet | no kickstart yet | no kickstart yet | no kickstart yet | contradicts | contradicts | -> disarmed |
| booting | booting | = booting | -> installing | no kickstart yet | no kickstart yet | no kickstart yet | no kickstart yet | contradicts | contradicts | -> disarmed |
| booting, silent for 15 min | stuck | -> booting | -> installing | no kickstart yet | no kickstart yet | no kickstart yet | no kickstart yet | contradicts | contradicts | -> disarmed |
| booting, past its time | expired | expired | expired | no kickstart yet | no kickstart yet | no kickstart yet | no kickstart yet | contradicts | contradicts | -> disarmed |
| installing | installing | = installing | = installing | -> bootstrapping | -> first-boot | -> failed | = installing | contradicts | contradicts | -> disarmed |
| installing, booted twice more | installing | spent | = installing | -> bootstrapping | -> first-boot | -> failed | = installing | contradicts | contradicts | -> disarmed |
| installing for 2 min | installing | spent | = installing | -> bootstrapping | -> first-boot | -> failed | = installing | contradicts | contradicts | -> disarmed |
| installing for 15 min | installing | spent | used up | -> bootstrapping | -> first-boot | -> failed | = installing | contradicts | contradicts | -> disarmed |
| installing for 4 h | stuck | spent | used up | too late | too late | too late | too late | contradicts | contradicts | -> disarmed |
| bootstrapping | bootstrapping | spent | spent | = bootstrapping | -> first-boot | -> failed | = bootstrapping | contradicts | contradicts | -> disarmed |
| bootstrapping, 4 h | stuck | spent | spent | too late | too late | too late | too late | contradicts | contradicts | -> disarmed |
| first-boot | first-boot | spent | spent | spent | = first-boot | contradicts | = first-boot | -> installed | -> failed | = first-boot |
| first-boot, silent for 1 h | stuck | spent | spent | spent | = stuck | contradicts | = stuck | -> installed | -> failed | = stuck |
| the first boot failed | failed | spent | spent | spent | = failed | contradicts | = failed | -> installed | = failed | = failed |
| installed | installed | spent | spent | spent | = installed | contradicts | = installed | = installed | = installed | = installed |
| installed a week ago | installed | spent | spent | spent | too late | too late | too late | too late | too late | = installed |
| failed | failed | spent | spent | spent | contradicts | = failed | = failed | contradicts | contradicts | = failed |
| disarmed | disarmed | disarmed | disarmed | disarmed | disarmed | disarmed | disarmed | disarmed | disarmed | = disarmed |
| superseded | armed | -> booting | superseded | superseded | superseded | superseded | superseded | superseded | superseded | -> disarmed |
"""  # noqa: E501
"""Rows as in docs/states.md. Cells: the state that a permitted request leads to or leaves, or why it is refused.
'superseded' asks with the older token of a host that was armed again."""


def _superseded(h: Host, clock: Clock) -> None:
    h.arm()
    h.kickstart()
    old = h.token
    h.arm()
    h.token = old


REACH: dict[str, Callable[[Host, Clock], object]] = {
    "idle": lambda h, c: None,
    "armed": lambda h, c: h.arm(),
    "armed, past its time": lambda h, c: (h.arm(), wait(c, 2 * HOUR)),
    "booting": lambda h, c: (h.arm(), h.boot()),
    "booting, silent for 15 min": lambda h, c: (h.arm(), h.boot(), wait(c, 15 * MINUTE)),
    "booting, past its time": lambda h, c: (h.arm(), h.boot(), wait(c, 2 * HOUR)),
    "installing": lambda h, c: (h.arm(), h.boot(), h.kickstart()),
    "installing, booted twice more": lambda h, c: (h.arm(), h.boot(), h.kickstart(), h.boot(), h.boot()),
    "installing for 2 min": lambda h, c: (h.arm(), h.boot(), h.kickstart(), wait(c, 2 * MINUTE)),
    "installing for 15 min": lambda h, c: (h.arm(), h.boot(), h.kickstart(), wait(c, 15 * MINUTE)),
    "installing for 4 h": lambda h, c: (h.arm(), h.boot(), h.kickstart(), wait(c, 4 * HOUR)),
    "bootstrapping": lambda h, c: (h.arm(), h.boot(), h.kickstart(), h.bootstrap()),
    "bootstrapping, 4 h": lambda h, c: (h.arm(), h.boot(), h.kickstart(), h.bootstrap(), wait(c, 4 * HOUR)),
    "first-boot": lambda h, c: (h.arm(), h.boot(), h.kickstart(), h.bootstrap(), h.installed()),
    "first-boot, silent for 1 h": lambda h, c: (h.arm(), h.kickstart(), h.installed(), wait(c, HOUR)),
    "the first boot failed": lambda h, c: (h.arm(), h.kickstart(), h.installed(), h.boot_failed()),
    "installed": lambda h, c: (h.arm(), h.boot(), h.kickstart(), h.bootstrap(), h.installed(), h.booted()),
    "installed a week ago": lambda h, c: (h.arm(), h.kickstart(), h.installed(), h.booted(), wait(c, 7 * 24 * HOUR)),
    "failed": lambda h, c: (h.arm(), h.boot(), h.kickstart(), h.failed()),
    "disarmed": lambda h, c: (h.arm(), h.kickstart(), h.disarm()),
    "superseded": _superseded,
}


def wait(clock: Clock, seconds: float) -> None:
    clock.now += seconds


def table() -> Iterator[tuple[str, str, str]]:
    lines = [[cell.strip() for cell in line.strip("| ").split("|")] for line in STATES.strip().splitlines()]
    for cells in lines[2:]:
        for event, outcome in zip(lines[0][1:], cells[1:], strict=True):
            yield cells[0], event, outcome


@pytest.mark.parametrize(("state", "event", "outcome"), list(table()))
def test_cell(host: Host, clock: Clock, state: str, event: str, outcome: str) -> None:
    REACH[state](host, clock)
    before = host.state()
    if event == "shown":
        assert before == outcome
        return
    stored = stored_grants(host.store)
    decision = getattr(host, event.replace("-", "_"))()
    if outcome.startswith(("->", "=")):
        assert host.state() == outcome.split()[1]
        assert decision is None or (decision.permitted and decision.reason == "")
        assert outcome.startswith("=") == (before == host.state())
    else:
        assert (decision.reason, decision.grant, decision.permitted) == (outcome, None, False)
        assert stored_grants(host.store) == stored, "a refused request changes nothing"
        assert host.store.events()[-1].kind == ("local" if event == "boot" else "refused")


@pytest.mark.parametrize("state", REACH)
def test_arming_starts_anew_from_every_state(host: Host, clock: Clock, state: str) -> None:
    REACH[state](host, clock)
    old = host.token
    host.arm()
    assert host.state() == "armed"
    new, host.token = host.token, old
    assert not host.kickstart().permitted
    host.token = new
    assert [host.boot().reason, host.kickstart().reason, host.bootstrap().reason, host.installed().reason] == [""] * 4


def stored_grants(store: Store) -> list[tuple[object, ...]]:
    with store._database.engine.connect() as connection:
        return [tuple(row) for row in connection.execute(sa.select(grants.grant).order_by(grants.grant.c.seq))]


# --- requests lost, repeated, reordered

HAPPY = ("boot", "kickstart", "bootstrap", "installed")


@pytest.mark.parametrize("lost", ["boot", "bootstrap"])
def test_a_lost_step_does_not_stop_the_install(host: Host, lost: str) -> None:
    host.arm()
    for step in HAPPY:
        if step != lost:
            assert getattr(host, step)().permitted, step
    assert host.state() == "first-boot"


def test_a_lost_report_reinstalls_nothing(host: Host, clock: Clock) -> None:
    host.arm()
    host.boot()
    host.kickstart()
    host.bootstrap()
    assert host.boot().reason == "spent"
    wait(clock, 5 * HOUR)
    assert (host.boot().reason, host.state()) == ("spent", "stuck")


@pytest.mark.parametrize("step", HAPPY)
def test_a_repeated_step_is_answered_again(host: Host, step: str) -> None:
    host.arm()
    for each in HAPPY[: HAPPY.index(step) + 1]:
        assert getattr(host, each)().permitted
    state = host.state()
    assert getattr(host, step)().permitted
    assert host.state() == state


def test_reports_out_of_order(host: Host) -> None:
    host.arm()
    host.kickstart()
    assert host.failed().permitted
    assert host.installed().reason == "contradicts"
    assert host.bootstrap().reason == "spent"
    assert host.failed().permitted
    assert host.state() == "failed"
    assert [(row.outcome, row.text) for row in host.store.logs("web1")] == [("failed", "the end")]


def test_more_texts_of_one_report(host: Host) -> None:
    host.arm()
    host.kickstart()
    assert host.failed(name="report", text="one").permitted
    assert host.failed(name="syslog", text="two\x1b[0m\x00\udcff").permitted
    assert host.failed(name="report", text="other").reason == "contradicts"
    assert [(row.name, row.text) for row in host.store.logs("web1")] == [
        ("report", "one"), ("syslog", "two\x1b[0m\x00\\udcff"),
    ]  # fmt: skip
    assert [row.outcome for row in host.store.logs("web1", "syslog")] == ["failed"]


def test_reports_are_counted_and_capped(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOG_BYTES", 10)
    host.arm()
    host.kickstart()
    assert host.failed(text="0123456789abcdef").permitted
    assert host.store.logs("web1")[0].text == "6789abcdef"
    for n in range(1, grants.REPORTS):
        assert host.failed(name=f"log{n}").permitted
    assert host.failed(name="one more").reason == "used up"


def test_each_log_is_taken_once_and_decides_nothing(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOG_BYTES", 10)
    host.arm()
    host.kickstart(LEASE)
    assert host.log(LEASE, text="0123456789abcdef").permitted and host.state() == "installing"
    assert [host.log(LEASE).reason, host.log(LEASE, text="0123456789abcdef").reason] == ["used up"] * 2
    assert host.installed(LEASE).permitted
    assert host.log(LEASE, name="report").reason == "used up", "a log is not another text of the report"
    assert host.log(THIEF, name="storage.log").reason == "another client"
    assert host.log(LEASE, name="storage.log", text=f"ks={host.token}").permitted and host.state() == "first-boot"
    assert [(row.name, row.outcome, row.text) for row in host.store.logs("web1")] == [
        ("syslog", "", "6789abcdef"), ("report", "installed", "the end"), ("storage.log", "", "ks=[token]"),
    ]  # fmt: skip
    assert [(row.kind, row.detail) for row in host.store.events("web1") if row.kind == "log"] == [
        ("log", "syslog"), ("log", "storage.log"),
    ]  # fmt: skip


def test_a_first_boot_that_failed_may_go_well_later(host: Host) -> None:
    host.arm()
    host.kickstart()
    host.installed()
    assert host.store.report_boot("web1", host.token, "", False, "no").permitted
    assert host.booted(text=f"yes {host.token}").permitted and host.booted(text="again").permitted
    assert [(row.name, row.outcome, row.text) for row in host.store.logs("web1")][1:] == [
        ("boot-failed", "boot-failed", "no"), ("booted", "booted", "yes [token]"),
    ]  # fmt: skip
    for _ in range(grants.REPORTS):
        last = host.booted()
    assert (last.reason, host.state()) == ("used up", "installed")


def test_logs_of_a_grant_are_counted(host: Host) -> None:
    host.arm()
    host.kickstart()
    for number in range(grants.LOGS):
        assert host.log(name=f"{number}.log").permitted
    assert host.log(name="one-more.log").reason == "used up"
    assert host.installed().permitted, "the report is no log"
    host.arm()
    host.kickstart()
    assert host.log().permitted, "another grant, another count"


def test_few_old_texts_are_kept(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "LOGS_KEPT", 2)
    for text in ("first", "second", "third"):
        host.arm()
        host.kickstart()
        host.failed(text=text)
        host.failed(text=text, name="other")
    assert [row.text for row in host.store.logs("web1", "report")] == ["second", "third"]
    assert len(host.store.logs("web1")) == 4


def test_an_unknown_outcome_is_a_mistake_of_the_caller(store: Store) -> None:
    with pytest.raises(ValueError, match="'done' is not an outcome"):
        store.report("web1", "x" * 32, PLANNED, True, "done", "report", "")  # type: ignore[arg-type]


# --- counts and clocks


def test_kickstart_fetches_are_counted(host: Host) -> None:
    host.arm()
    reasons = [host.kickstart().reason for _ in range(grants.KICKSTART_FETCHES + 1)]
    assert reasons == [""] * grants.KICKSTART_FETCHES + ["used up"]


def test_bootstrap_fetches_are_counted(host: Host) -> None:
    host.arm()
    host.kickstart()
    reasons = [host.bootstrap().reason for _ in range(grants.BOOTSTRAP_FETCHES + 1)]
    assert reasons == [""] * grants.BOOTSTRAP_FETCHES + ["used up"]


def test_refused_fetches_are_not_counted(host: Host) -> None:
    host.arm()
    host.kickstart()
    for _ in range(grants.KICKSTART_FETCHES):
        assert host.kickstart(THIEF).reason == "another client"
    assert host.kickstart().permitted


@pytest.mark.parametrize(
    ("ask", "last", "reason"),
    [
        ("boot", 2 * HOUR, "expired"),
        ("kickstart", 2 * HOUR, "expired"),
        ("boot after kickstart", 2 * MINUTE, "spent"),
        ("kickstart after kickstart", 15 * MINUTE, "used up"),
        ("bootstrap after kickstart", 4 * HOUR, "too late"),
        ("failed after kickstart", 4 * HOUR, "too late"),
    ],
)
def test_windows_end_at_their_second(host: Host, clock: Clock, ask: str, last: float, reason: str) -> None:
    step, _, after = ask.partition(" after ")
    for late in (False, True):
        host.arm()
        if after:
            host.kickstart()
        wait(clock, last if late else last - 0.001)
        assert getattr(host, step)().reason == (reason if late else "")


def test_what_began_in_time_may_end_after_the_grant_expired(host: Host, clock: Clock) -> None:
    host.arm(ttl=10 * MINUTE)
    wait(clock, 10 * MINUTE - 1)
    assert host.kickstart().permitted
    wait(clock, MINUTE)
    assert [host.boot().reason, host.kickstart().reason, host.bootstrap().reason, host.installed().reason] == [""] * 4


def test_boots_before_the_kickstart_are_no_retries(host: Host) -> None:
    host.arm()
    assert [host.boot().reason for _ in range(5)] == [""] * 5
    host.kickstart()
    assert [host.boot().reason for _ in range(3)] == ["", "", "spent"]


def test_the_first_of_each_is_remembered(host: Host, clock: Clock) -> None:
    host.arm()
    for step in ("kickstart", "bootstrap", "installed"):
        for _ in range(2):
            wait(clock, 1)
            getattr(host, step)()
    row = host.store.status()[0].grant
    assert (row.kickstart_at, row.bootstrap_at, row.report_at) == (NOON + 1, NOON + 3, NOON + 5)
    assert (row.kickstarts, row.bootstraps, row.reports) == (2, 2, 2)


def test_a_clock_that_goes_back_gives_no_more_boots(host: Host, clock: Clock) -> None:
    host.arm()
    host.kickstart()
    wait(clock, -HOUR)
    assert [host.boot().reason for _ in range(3)] == ["", "", "spent"]


def test_status_says_since_when_and_until_when(host: Host, clock: Clock) -> None:
    def seen() -> tuple[str, float, float | None]:
        (row,) = host.store.status()
        return row.state, row.since - NOON, None if row.deadline is None else row.deadline - NOON

    host.arm(ttl=HOUR)
    assert seen() == ("armed", 0, HOUR)
    wait(clock, 10)
    host.boot()
    assert seen() == ("booting", 10, 10 + 15 * MINUTE)
    wait(clock, 15 * MINUTE)
    assert seen() == ("stuck", 10 + 15 * MINUTE, HOUR)
    host.boot()
    assert seen() == ("booting", 10, 10 + 30 * MINUTE)
    host.kickstart()
    assert seen() == ("installing", 10 + 15 * MINUTE, 10 + 15 * MINUTE + 4 * HOUR)
    wait(clock, 1)
    host.kickstart()
    assert seen()[1] == 10 + 15 * MINUTE
    host.bootstrap()
    assert seen() == ("bootstrapping", 11 + 15 * MINUTE, 10 + 15 * MINUTE + 4 * HOUR)
    host.installed()
    assert seen() == ("first-boot", 11 + 15 * MINUTE, 11 + 15 * MINUTE + HOUR)
    wait(clock, 1)
    host.boot_failed()
    assert seen() == ("failed", 12 + 15 * MINUTE, None)
    wait(clock, 1)
    host.booted()
    assert seen() == ("installed", 13 + 15 * MINUTE, None)


def test_status_of_some_hosts(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("web3", "web1", "web2"):
        Host(store, name).arm()
    assert [row.host for row in store.status()] == ["web1", "web2", "web3"]
    assert [row.host for row in store.status({"web3", "web1", "db"})] == ["web1", "web3"]
    assert store.status([]) == []
    monkeypatch.setattr(grants, "MANY", 1)
    assert [row.host for row in store.status(["web3", "web1", "db"])] == ["web1", "web3"]


# --- tokens and addresses


@pytest.mark.parametrize("step", ["kickstart", "bootstrap", "installed"])
def test_only_its_own_token_opens(store: Store, step: str) -> None:
    web1, web2 = Host(store, "web1"), Host(store, "web2")
    for each in (web1, web2):
        each.arm()
        each.kickstart()
    own, web1.token = web1.token, web2.token
    assert getattr(web1, step)().reason == "token of another host"
    for wrong in ("", own[:-1], own + "0", own.upper(), own[::-1], " " + own, "\udcff", "'; --", "\x00"):
        web1.token = wrong
        assert getattr(web1, step)().reason == "unknown token", wrong
    web1.token = own
    assert getattr(web1, step)().permitted


BINDING = [
    # who asks, in order (P planned, L and M leases, T a thief): permitted or not
    ("L L M", "+ + -"),
    ("L P L", "+ + +"),
    ("P L P", "+ - +"),
    ("L M P M", "+ - + -"),
    ("P T L", "+ - -"),
]


@pytest.mark.parametrize(("who", "permitted"), BINDING)
@pytest.mark.parametrize("step", ["kickstart", "bootstrap", "failed"])
def test_the_first_unplanned_client_is_the_only_one(host: Host, step: str, who: str, permitted: str) -> None:
    address = {"P": PLANNED, "L": LEASE, "M": LEASE2, "T": THIEF}
    host.arm()
    if step != "kickstart":
        host.kickstart("192.0.2.99")
    decisions = [getattr(host, step)(address[one]) for one in who.split()]
    assert ["+" if one.permitted else "-" for one in decisions] == permitted.split()
    assert {one.reason for one in decisions} <= {"", "another client"}


def test_each_stage_may_have_its_own_lease(host: Host) -> None:
    host.arm()
    assert host.boot("192.0.2.9").permitted
    assert host.kickstart(LEASE).permitted
    assert host.bootstrap(LEASE2).permitted
    assert host.bootstrap(LEASE).reason == "another client"
    assert host.failed(THIEF).reason == "another client"
    assert host.failed(LEASE, name="dracut").permitted
    assert host.failed(LEASE2).permitted


@pytest.mark.parametrize("step", ["kickstart", "bootstrap", "failed"])
def test_an_unknown_address_is_nobody(host: Host, step: str) -> None:
    host.arm()
    if step != "kickstart":
        host.store.permit_kickstart("web1", host.token, "", True)
    assert getattr(host, step)("").reason == "another client"


def test_one_address_in_two_forms_is_one_client(host: Host) -> None:
    host.arm()
    assert host.kickstart("::ffff:192.0.2.200").permitted
    assert host.kickstart(LEASE).permitted
    host.arm()
    assert host.kickstart("2001:db8:0:0::1").permitted
    assert host.kickstart("2001:DB8::1").permitted
    assert host.kickstart("2001:db8::2").reason == "another client"


@pytest.mark.parametrize("ugly", ["\udcff", "a\x00b", "x" * 5000, "\n", "\u202e", "'; DROP TABLE event; --", "%"])
def test_whatever_comes_from_the_network_is_survived(host: Host, ugly: str) -> None:
    host.arm()
    host.kickstart()
    store = host.store
    assert store.permit_boot(ugly, ugly).reason == "not armed"
    assert store.permit_kickstart(ugly, ugly, ugly, False).reason == "unknown token"
    assert store.permit_kickstart(ugly, host.token, ugly, False).reason == "token of another host"
    assert store.permit_kickstart("web1", host.token, ugly, False).reason == "another client"
    assert store.permit_bootstrap("web1", host.token, ugly, False).permitted
    assert store.report("web1", host.token, ugly, False, "failed", ugly, ugly).permitted
    store.record(ugly, host=ugly, mac=ugly, address=ugly, detail=ugly, coalesce=60)
    for row in store.events():
        for text in (row.kind, row.host, row.mac, row.address, row.detail):
            assert text.isprintable() and len(text) <= 800
    assert store.events(ugly) and store.logs(ugly) == []


# --- arming and disarming


def test_arming_answers_in_order_and_tells_why(store: Store, clock: Clock) -> None:
    rows = store.arm(["b", "a", "b"], ttl=HOUR, why="new\ndisk", by="alice", tokens=make_token)
    assert [row.host for row in rows] == ["b", "a"]
    assert {(row.state, row.why, row.armed_by, row.expires) for row in rows} == {
        ("armed", "new\\ndisk", "alice", NOON + HOUR)
    }
    assert [row.grant for row in store.status()] == sorted(rows, key=lambda row: row.host)
    (event,) = store.events("a")
    assert (event.kind, event.detail) == ("armed", "by alice until 2027-01-15T09:00:00Z: new\\ndisk")
    assert store.arm([], ttl=1, why="", by="", tokens=make_token) == []


@pytest.mark.parametrize("ttl", [0, -1, float("nan"), float("inf")])
def test_a_grant_lasts_for_a_while(store: Store, ttl: float) -> None:
    with pytest.raises(UsageError, match="cannot last"):
        store.arm(["web1"], ttl=ttl, why="", by="", tokens=make_token)
    assert store.status() == []


def test_arming_is_all_or_nothing(host: Host) -> None:
    host.arm()
    with pytest.raises(ValueError, match="at least 16 characters"):
        host.store.arm(["web1", "web2"], ttl=1, why="", by="", tokens=lambda _: "short")
    with pytest.raises(sa.exc.IntegrityError):
        host.store.arm(["web1", "web2"], ttl=1, why="", by="", tokens=lambda _: "the same for both of them")
    assert [(row.host, row.state) for row in host.store.status()] == [("web1", "armed")]
    assert host.kickstart().permitted


def test_disarming_answers_who_was_armed(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grants, "MANY", 2)
    for name in "hgfedcba":
        Host(store, name).arm()
    done = Host(store, "z")
    done.arm()
    done.kickstart()
    done.installed()
    assert store.disarm(["b"], by="root") == ["b"]
    assert store.disarm(iter([*"hgfedcbaz", "nobody"]), by="bob") == list("acdefgh")
    assert [row.host for row in store.events() if row.detail == "by bob"] == list("acdefgh")
    assert done.state() == "first-boot"


# --- races


def race(work: Callable[[int], Decision], runners: int = 32) -> list[Decision]:
    start = threading.Barrier(runners)

    def run(n: int) -> Decision:
        start.wait()
        return work(n)

    with ThreadPoolExecutor(runners) as pool:
        return list(pool.map(run, range(runners)))


@pytest.mark.parametrize("step", ["kickstart", "bootstrap", "failed"])
def test_one_of_many_threads_is_first(host: Host, step: str) -> None:
    host.arm()
    if step != "kickstart":
        host.kickstart()
    decisions = race(lambda n: getattr(host, step)(f"198.51.100.{n}"))
    winner = host.store.status()[0].grant
    first = winner.kickstart_address if step == "kickstart" else winner.bootstrap_address
    assert [n for n, one in enumerate(decisions) if one.permitted] == [int(str(first).split(".")[-1])]
    assert {one.reason for one in decisions if not one.permitted} == {"another client"}


def test_many_threads_get_two_retries_of_a_boot(host: Host) -> None:
    host.arm()
    host.kickstart()
    assert sum(one.permitted for one in race(lambda n: host.boot(f"198.51.100.{n}"))) == grants.BOOT_RETRIES


def test_one_of_two_outcomes_is_kept(host: Host) -> None:
    host.arm()
    host.kickstart()
    decisions = race(lambda n: host.installed() if n % 2 else host.failed(), 16)
    kept = {n % 2 for n, one in enumerate(decisions) if one.permitted}
    assert len(kept) == 1
    assert host.state() == ("first-boot" if kept == {1} else "failed")
    assert len(host.store.logs("web1")) == 1


def test_arming_at_the_same_time_leaves_one_grant(store: Store) -> None:
    hosts = [f"web{n}" for n in range(20)]

    def arm(n: int) -> Decision:
        store.arm(hosts[n:] + hosts[:n], ttl=HOUR, why=str(n), by="root", tokens=make_token)
        return Decision(None, "")

    race(arm, 8)
    with store._database.engine.connect() as connection:
        live = sa.select(sa.func.count()).where(grants.grant.c.state == "armed")
        assert connection.scalar(live) == len(hosts)
    assert {row.state for row in store.status()} == {"armed"}


RACER = """
import sys, time
from bootforge.store import open_store
url, start, step, token, first = sys.argv[1:]
store = open_store(url, lambda: 1_800_000_000.0)
time.sleep(max(0, float(start) - time.time()))
for n in range(int(first), int(first) + 10):
    address = f"198.51.100.{n}"
    if step == "boot":
        decision = store.permit_boot("web1", address)
    else:
        decision = store.permit_kickstart("web1", token, address, False)
    if decision.permitted:
        print(address)
"""


def processes(commands: list[list[str]]) -> list[str]:
    running = [
        subprocess.Popen([sys.executable, "-c", *each], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for each in commands
    ]
    output = []
    for each in running:
        out, err = each.communicate(timeout=60)
        assert each.returncode == 0, err
        output.append(out)
    return output


@pytest.mark.parametrize(("step", "wins"), [("kickstart", 1), ("boot", grants.BOOT_RETRIES)])
def test_processes_race(host: Host, url: str, step: str, wins: int) -> None:
    import time

    host.arm()
    if step == "boot":
        host.kickstart()
    start = str(time.time() + 1.5)
    out = processes([[RACER, url, start, step, host.token, str(first)] for first in (10, 20, 30)])
    assert len("".join(out).split()) == wins


OPENER = """
import sys, time
from bootforge.store import open_store
start = float(sys.argv[2])
for n in range(5):
    time.sleep(max(0, start + n * 0.4 - time.time()))
    store = open_store(sys.argv[1].replace("NUMBER", str(n)))
    store.record("opened")
    store.close()
"""


@sqlite_only
def test_processes_open_a_fresh_database_together(tmp_path: Path) -> None:
    import time

    url = f"sqlite:///{tmp_path}/deep/NUMBER/store.db"
    processes([[OPENER, url, str(time.time() + 1.5)] for _ in range(4)])
    for n in range(5):
        store = open_store(url.replace("NUMBER", str(n)))
        assert [row.kind for row in store.events()] == ["opened"] * 4
        store.close()


@sqlite_only
def test_threads_open_a_fresh_database_together(tmp_path: Path) -> None:
    def run(_: int) -> Decision:
        opened = open_store(f"sqlite:///{tmp_path}/new/store.db")
        opened.record("opened")
        opened.close()
        return Decision(None, "")

    race(run, 8)


# --- events


def test_every_step_is_an_event(host: Host) -> None:
    host.arm()
    for step in HAPPY:
        getattr(host, step)(LEASE)
    host.kickstart(THIEF)
    host.arm()
    host.disarm()
    assert [(row.kind, row.address, row.detail) for row in host.store.events("web1")][1:-2] == [
        ("boot", LEASE, ""),
        ("kickstart", LEASE, ""),
        ("bootstrap", LEASE, ""),
        ("report", LEASE, "installed: report"),
        ("refused", THIEF, "kickstart: spent"),
    ]
    assert [row.kind for row in host.store.events()][-2:] == ["armed", "disarmed"]


def test_misuse_of_a_token_is_told_of_its_owner(store: Store) -> None:
    web1, web2 = Host(store, "web1"), Host(store, "web2")
    web1.arm()
    web2.token = web1.token
    web2.kickstart(THIEF)
    assert store.events("web1")[-1].detail == "kickstart for web2: token of another host"
    assert store.events("web2") == []


def test_equal_events_are_counted(store: Store, clock: Clock) -> None:
    for seconds in (0, 30, 59, 60, 61):
        clock.now = NOON + seconds
        store.record("discovered", mac="52:54:00:00:00:01", coalesce=60)
    store.record("discovered", mac="52:54:00:00:00:02", coalesce=60)
    store.record("discovered", mac="52:54:00:00:00:01", detail="other", coalesce=60)
    store.record("discovered", mac="52:54:00:00:00:01")
    rows = [(row.mac[-1], row.count, row.at - NOON, row.last - NOON) for row in store.events()]
    assert rows == [("1", 3, 0, 59), ("1", 2, 60, 61), ("2", 1, 61, 61), ("1", 1, 61, 61), ("1", 1, 61, 61)]


def test_events_in_pages_and_from_the_end(store: Store) -> None:
    for n in range(10):
        store.record("note", host=f"h{n % 2}", detail=str(n))
    ids = [row.id for row in store.events()]
    assert ids == sorted(ids)
    assert [row.detail for row in store.events(limit=3)] == ["7", "8", "9"]
    assert [row.detail for row in store.events(after=0, limit=3)] == ["0", "1", "2"]
    assert [row.detail for row in store.events(after=ids[2], limit=3)] == ["3", "4", "5"]
    assert [row.detail for row in store.events("h1", after=ids[5])] == ["7", "9"]
    assert store.events(after=ids[-1]) == []


def test_a_stranger_cannot_push_out_what_matters(host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    for source, kept in (("own", 40), ("token", 20), ("stranger", 30)):
        share = {"own": 0, "token": 5, "stranger": 10}[source]
        monkeypatch.setitem(events.QUOTAS, source, events.Quota(kept, share, events.QUOTAS[source].group))
    monkeypatch.setattr(events, "PRUNE_EVERY", 1)
    host.arm()
    assert host.kickstart(LEASE).permitted
    host.kickstart(THIEF)
    for hour in range(6):
        clock.now = NOON + hour * HOUR
        for n in range(30):
            host.store.permit_kickstart(f"host{n}", "wrong", THIEF, False)
            host.store.permit_kickstart("web1", "wrong", f"198.51.100.{n}", False)
            host.store.record("discovered", mac=f"52:54:00:00:00:{n:02x}", coalesce=60)
            host.kickstart(f"203.0.113.{n}")
    rows = host.store.events()
    assert [row.kind for row in rows if row.source == "own"] == ["armed", "kickstart"]
    assert sum(row.source == "stranger" for row in rows) == 30
    assert sum(row.source == "token" for row in rows) == 20
    last = [row for row in rows if row.at >= clock.now]
    assert sum(row.kind == "discovered" for row in last) == 10
    floods = {(row.host, row.detail): row.count for row in last if row.kind == "flood"}
    assert floods == {
        ("web1", "more than 5 in an hour"): 25,
        ("", "more than 10 in an hour: refused"): 50,
        ("", "more than 10 in an hour: discovered"): 20,
    }


def test_boots_of_an_armed_host_do_not_flood(host: Host) -> None:
    host.arm()
    for n in range(200):
        assert host.boot(f"198.51.100.{n}").permitted
    rows = host.store.events()
    assert sum(row.source == "own" for row in rows) == 1 + store_module.BOOT_EVENTS
    assert sum(row.source == "token" for row in rows) == events.QUOTAS["token"].hourly + 1


def test_our_own_events_are_kept_apart(store: Store) -> None:
    store.record("generation", detail="abc", own=True)
    store.record("discovered")
    assert [row.source for row in store.events()] == ["own", "stranger"]


def test_the_table_is_no_longer_than_promised() -> None:
    assert sum(quota.kept for quota in events.QUOTAS.values()) == 100_000


# --- files


@sqlite_only
def test_no_token_in_any_byte_of_the_files(tmp_path: Path, clock: Clock) -> None:
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock)
    web1, web2 = Host(store, "web1"), Host(store, "web2")
    web1.arm()
    web2.arm()
    for step in HAPPY:
        for stranger in (web1, web2):
            store.permit_kickstart("web3", stranger.token, THIEF, False)
        getattr(web1, step)()
        getattr(web2, step)(THIEF)
    web2.failed(text="other")
    web1.installed(name="cmdline", text=f"BOOT_IMAGE=x inst.ks=http://192.0.2.1/g/{web1.token}/ks quiet")
    assert "g/[token]/ks" in store.logs("web1", "cmdline")[0].text

    def bytes_of_all() -> bytes:
        return b"".join(path.read_bytes() for path in sorted(tmp_path.iterdir()))

    assert (tmp_path / "store.db-wal").stat().st_size > 0
    for when in ("open", "closed"):
        found = bytes_of_all()
        assert b"web1" in found
        for token in (web1.token, web2.token):
            for start in range(len(token) - 8):
                part = token[start : start + 9]
                assert part.encode() not in found, (when, part)
                assert start % 2 or bytes.fromhex(token[start : start + 8]) not in found, (when, part)
        store.close()


@sqlite_only
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o777])
def test_files_are_for_their_user_alone(tmp_path: Path, umask: int) -> None:
    old = os.umask(umask)
    try:
        store = open_store(f"sqlite:///{tmp_path}/var/store.db")
        store.record("note")
    finally:
        os.umask(old)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "var").iterdir()}
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
    (tmp_path / "var").chmod(0o750)
    for path in (tmp_path / "var").iterdir():
        path.chmod(0o664)
    store.close()
    open_store(f"sqlite:///{tmp_path}/var/store.db").close()
    assert {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "var").iterdir()} == {0o600}
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o750, "an operator's directory is left as it is"


@sqlite_only
def test_each_connection_is_careful(store: Store) -> None:
    with store._database.engine.connect() as connection:
        said = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        }
    assert said == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 20000}


# --- opening, migrating, and what goes wrong


@sqlite_only
def test_migration_makes_what_the_code_expects(tmp_path: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    scripts = ScriptDirectory(str(Path(database.__file__).parent / "migrations"))
    assert tuple(each.revision for each in scripts.walk_revisions())[::-1] == REVISIONS
    url = f"sqlite:///{tmp_path}/store.db"
    for _ in range(2):  # the second time, nothing is left to do
        store = open_store(url)
        store.record("opened")
        with store._database.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"compare_type": True})
            assert compare_metadata(context, metadata) == []
            assert context.get_current_revision() == REVISIONS[-1]
            migrated = tables(connection)
        store.close()
    made = sa.create_engine("sqlite://")
    metadata.create_all(made)
    with made.connect() as connection:
        assert tables(connection) == migrated


@sqlite_only
def test_a_store_of_the_version_before_is_brought_up_to_date(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its grants permit to wipe nothing."""
    from alembic import command

    url, upgrade = f"sqlite:///{tmp_path}/store.db", command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, to: upgrade(config, "0001"))
        open_store(url).close()
    with sqlite3.connect(tmp_path / "store.db") as plain:
        plain.execute(
            'INSERT INTO "grant" (id, host, token_hash, state, why, armed_by, armed_at, expires, changed, boots,'
            " retries, kickstarts, bootstraps, reports)"
            " VALUES ('i', 'web1', 'h', 'armed', '', 'root', 1, 2, 1, 0, 0, 0, 0, 0)"
        )
    store = open_store(url)
    assert [(one.host, one.grant.wipe) for one in store.status()] == [("web1", "")]
    store.close()


def test_what_a_grant_permits_to_wipe_is_kept_and_told(store: Store) -> None:
    (grant,) = store.arm(["web1"], ttl=HOUR, why="", by="root", tokens=make_token, wipe=("b", "a", "b"))
    assert grant.wipe == store.status()[0].grant.wipe == store.permit_boot("web1", "").grant.wipe == "a,b"  # type: ignore[union-attr]
    assert "(wipe a,b)" in store.events("web1")[0].detail
    with pytest.raises(UsageError, match="too many disks"):
        store.arm(["web1"], ttl=HOUR, why="", by="root", tokens=make_token, wipe=[f"disk{n}" for n in range(300)])


def tables(connection: sa.Connection) -> set[str]:
    rows = connection.exec_driver_sql("SELECT sql FROM sqlite_master WHERE name NOT LIKE 'alembic%' AND sql <> ''")
    return {" ".join(row.sql.split()) for row in rows}


@sqlite_only
def test_an_interrupted_migration_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic.operations import Operations

    url = f"sqlite:///{tmp_path}/store.db"

    def crash(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Operations, "create_index", crash)
        with pytest.raises(KeyboardInterrupt):
            open_store(url)
    with sqlite3.connect(tmp_path / "store.db") as plain:
        assert plain.execute("SELECT name FROM sqlite_master").fetchall() == []
    open_store(url).close()


@sqlite_only
def test_alembic_is_imported_only_to_migrate(url: str, tmp_path: Path) -> None:
    code = textwrap.dedent("""
        import sys
        from bootforge.store import open_store
        open_store(sys.argv[1]).record("opened")
        print("alembic" in sys.modules)
    """)
    assert processes([[code, url], [code, f"sqlite:///{tmp_path}/other.db"]]) == ["False\n", "True\n"]


def refused(url: str) -> str:
    with pytest.raises(UsageError) as caught:
        open_store(url)
    assert caught.value.exit == Exit.USAGE and caught.value.hint
    return str(caught.value)


def test_a_newer_database_is_refused(store: Store, url: str) -> None:
    with store._database.write() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    said = refused(url)
    assert "schema is 9999" in said and "run the newer version" in said


@sqlite_only
def test_what_is_not_a_store_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    path.write_text("root:x:0:0:root:/root:/bin/bash\n" * 100)
    path.chmod(0o644)
    assert "not a database" in refused(f"sqlite:///{path}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o644 and path.read_text().startswith("root:")
    path.unlink()
    with sqlite3.connect(path) as plain:
        plain.execute("CREATE TABLE recipes (name)")
    assert "not those of a Bootforge store" in refused(f"sqlite:///{path}")
    assert "is not a file" in refused(f"sqlite:///{tmp_path}")
    assert "Not a directory" in refused(f"sqlite:///{path}/store.db")
    assert "File name too long" in refused(f"sqlite:///{tmp_path}/{'x' * 300}/store.db")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("store.db", "cannot be read"),
        ("sqlite://", "must be a file"),
        ("sqlite:///:memory:", "must be a file"),
        ("sqlite:///file:x?uri=true", "must be a file"),
        ("mysql://h/d", "cannot be kept in 'mysql'"),
    ],
)
def test_a_wrong_url_is_refused(url: str, said: str) -> None:
    assert said in refused(url)


def test_a_password_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg")
    said = refused("postgresql://bf:geheim@127.0.0.1:1/store?connect_timeout=2")
    assert "geheim" not in said and "see that PostgreSQL is running" in said
    assert "geheim" not in refused("postgresql://bf:geheim@h:port/store")


def test_postgresql_without_its_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    assert "pip install 'bootforge[postgres]'" in refused("postgresql://bf@h/store")


@sqlite_only
def test_a_locked_store_says_so(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    host.arm()
    host.store.close()
    monkeypatch.setattr(database, "BUSY", 0.05)
    other = sqlite3.connect(tmp_path / "store.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreLocked, match="locked; another process is writing") as caught:
        host.kickstart()
    assert caught.value.exit == Exit.LOCKED
    assert host.state() == "armed", "reading goes on"
    other.execute("ROLLBACK")
    assert host.kickstart().permitted
    other.close()


@sqlite_only
def test_opening_waits_for_whoever_creates_the_database(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    later = threading.Timer(0.3, other.execute, ["ROLLBACK"])
    later.start()
    open_store(f"sqlite:///{path}").close()
    later.join()
    other.close()


@sqlite_only
def test_a_full_disk_permits_nothing(host: Host) -> None:
    host.arm()
    with host.store._database.engine.connect() as connection:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(StoreError, match="disk is full; free some space") as caught:
        for n in range(1000):
            host.store.record("note", detail=f"{n} " + "x" * 700)
    assert caught.value.exit == Exit.REMOTE
    with pytest.raises(StoreError):
        host.store.arm([f"host{n}" for n in range(1000)], ttl=1, why="", by="", tokens=make_token)
    assert [row.host for row in host.store.status()] == ["web1"]


@sqlite_only
def test_a_damaged_store_says_what_to_do(host: Host, tmp_path: Path) -> None:
    for _ in range(200):
        host.store.record("note", detail="x" * 700)
    host.store.close()
    path = tmp_path / "store.db"
    data = bytearray(path.read_bytes())
    data[4096:] = b"\xff" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(UsageError, match="malformed; restore it from a backup"):
        host.store.events()
