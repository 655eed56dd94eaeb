# ruff: noqa: F811 (fixtures of another module)
"""Runs of the bootstrap in the store: what is kept of them and of each step, whatever a host writes.

``BOOTFORGE_TEST_POSTGRES`` as in test_store.py."""

from __future__ import annotations

import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from bootforge.report import parse_report
from bootforge.store import RunRow, Store, events, open_store, runs, schema
from tests.unit.test_store import (  # noqa: F401
    HOUR,
    NOON,
    Clock,
    Host,
    clock,
    fresh_database,
    host,
    race,
    store,
    url,
    wait,
)

Line = tuple[str, str, str]


def text(*lines: Line, exit: int | None = 0, phase: str = "run", check: bool = False, host: str = "web1") -> str:
    """A report as a host writes it; lines of status, step and text."""
    head = f"bootforge\t{host}\t{phase}\t{'check' if check else ''}\tr1\tplan-1\n"
    said = "".join(f"{status}\t10\t{step}\t{what}\n" for status, step, what in lines)
    return head + said + (f"end\t1200\t{exit}\t\n" if exit is not None else "")


def stored(store: Store, host: str = "web1") -> list[RunRow]:
    return store.runs(host)


OK: tuple[Line, ...] = (("ok", "hostname", ""), ("ok", "stamp", ""))


def test_a_run_is_kept_with_its_steps(store: Store, clock: Clock) -> None:
    lines = (("changed", "hostname", "/etc/hostname"), ("failed", "sysctl", "no such key"), ("failed", "stamp", "no"))
    row = store.record_run("web1", text(*lines, ("skipped", "handler:restart:a", ""), exit=5), "alice")
    (kept,) = stored(store)
    assert row and (kept.id, kept.at, kept.text != "", row.text) == (row.id, NOON, True, "")
    assert (kept.host, kept.by, kept.phase, kept.check) == ("web1", "alice", "run", False)
    assert (kept.revision, kept.plan, kept.exit, kept.ms) == ("r1", "plan-1", 5, 1200)
    assert (kept.changed, kept.would, kept.failed, kept.pending) == (1, 0, 1, ("restart:a",))
    assert (kept.why, kept.stamped) == ("sysctl: no such key", False)
    assert [(one.status, one.ms, one.step, one.text) for one in kept.report.steps][1] == (
        "failed", 10, "sysctl", "no such key",
    )  # fmt: skip
    assert store.last_runs()["web1"] == runs.LastRuns(row, row, None)


def test_the_last_runs_of_each_host(store: Store) -> None:
    whole = store.record_run("web1", text(*OK), "a")
    broken = store.record_run("web1", text(("failed", "x", ""), exit=5), "a")
    checked = store.record_run("web1", text(("would", "x", ""), ("would", "stamp", ""), exit=1, check=True), "a")
    other = store.record_run("db1", text(*OK, check=True), "a")
    assert whole and other
    assert store.last_runs(["web1"]) == {"web1": runs.LastRuns(checked, broken, whole)}  # type: ignore[arg-type]
    assert store.last_runs() == store.last_runs(["web1"]) | {"db1": runs.LastRuns(other, None, other)}
    assert store.last_runs(["web1", *(f"h{n}" for n in range(runs.MANY))]) == store.last_runs(["web1"])
    assert store.last_runs([]) == {}


@pytest.mark.parametrize(
    ("lines", "check", "stamped"),
    [
        (OK, False, True),
        ((OK[0], ("changed", "stamp", "")), False, True),
        (OK, True, True),
        ((OK[0], ("would", "stamp", "")), True, False),
        ((OK[0], ("failed", "stamp", "a step before it failed")), False, False),
        ((OK[0],), False, False),  # --only hostname
        ((OK[1],), False, False),  # --only stamp: it says nothing of the others
    ],
)
def test_what_a_host_was_brought_to(store: Store, lines: tuple[Line, ...], check: bool, stamped: bool) -> None:
    row = store.record_run("web1", text(*lines, check=check), "a")
    assert row and row.stamped == stamped


def test_old_runs_go_and_what_their_steps_did_stays(store: Store, clock: Clock) -> None:
    store.record_run("web1", text(("changed", "a", "first"), ("failed", "b", "why"), exit=5), "x")
    for n in range(runs.RUNS_KEPT + 3):
        wait(clock, HOUR)
        store.record_run("web1", text(("changed", "a", f"again {n}"), ("ok", "b", "")), "x")
        store.record_run("web1", text(("failed", "a", "a check says nothing of what was done"), check=True), "x")
    kept = stored(store)
    assert [sum(row.check is check for row in kept) for check in (True, False)] == [runs.RUNS_KEPT] * 2
    assert not any("first" in row.text for row in kept)
    assert store.steps("web1") == [
        runs.StepRow("a", clock.now, f"again {runs.RUNS_KEPT + 2}", None, ""),
        runs.StepRow("b", None, "", NOON, "why"),
    ]


def test_the_steps_of_a_host_are_bounded(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "STEPS_KEPT", 3)
    for n in range(5):
        wait(clock, 1)
        store.record_run("web1", text(("changed", f"s{n}", ""), ("changed", "s0", "")), "x")
    assert [row.name for row in store.steps("web1")] == ["s0", "s3", "s4"]
    wait(clock, 1)
    store.record_run("web1", text(*(("changed", f"t{n}", "") for n in range(9)), ("failed", "worst", "")), "x")
    names = [row.name for row in store.steps("web1")]
    assert len(names) == 3 and "worst" in names


def test_of_too_many_steps_those_that_matter_are_kept(store: Store) -> None:
    lines = [("ok", f"ok{n}", "") for n in range(3000)] + [("failed", "last", "w" * 5000), ("changed", "late", "")]
    row = store.record_run("web1", text(*lines, exit=5), "x")
    (kept,) = stored(store)
    assert row and (row.failed, row.changed, len(row.why)) == (1, 1, 500)
    steps = kept.report.steps
    assert len(steps) == runs.LINES_KEPT and [one.step for one in steps[-2:]] == ["last", "late"]
    assert len(steps[-2].text) == runs.TEXT_CHARS and steps[0].step == "ok0"


def test_a_wide_report_is_cut_to_what_fits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "BODY_BYTES", 20_000)
    store.record_run("web1", text(*(("changed", f"s{n}", "\u00e9" * 900) for n in range(100))), "x")
    (kept,) = stored(store)
    assert 5 < len(kept.report.steps) < 20 and kept.exit == 0 and len(kept.text.encode()) < 25_000


HEAD = "bootforge\tweb1\trun\t\tr\tp\n"
HOSTILE = {
    "nothing": "",
    "zeros": "\x00" * 1000,
    "no report": "hello\nworld\n",
    "an end only": "end\t1\t0\t\n",
    "a line without end": HEAD + "ok\t1\t" + "x" * 1_000_000,
    "many lines": HEAD + "failed\t1\ta\t\n" * 100_000,
    "many steps": HEAD + "".join(f"changed\t1\ts{n}\tx\n" for n in range(50_000)),
    "huge numbers": HEAD + f"failed\t{'9' * 12}\ta\tb\nend\t{'9' * 12}\t999\t\n",
    "wrong numbers": HEAD + "failed\tNaN\ta\tb\nfailed\t-5\tb\tc\nend\tx\ty\t\n",
    "what a terminal obeys": "bootforge\tweb1\trun\t\t\x1b]0;r\x07\t\u202ep\nfailed\t1\ta\t\x1b[2J\x00\u202eb\n",
    "lone surrogates": HEAD + "failed\t1\ta\t\udcff\udc80\nend\t1\t5\t\n",
    "SQL": "bootforge\tweb1\trun\t\t'\t\"\nfailed\t1\t';DROP TABLE run;--\t%s :x\nend\t1\t5\t\n",
    "an unknown phase": "bootforge\tweb1\tfinal\t\tr\tp\nok\t1\ta\t\nend\t1\t0\t\n",
    "two first lines": HEAD * 2 + "ok\t1\ta\t\nend\t1\t0\t\n",
    "long names": f"bootforge\tweb1\trun\t\t{'r' * 600}\t{'p' * 600}\nfailed\t1\t{'a' * 500}\t{'b' * 4000}\n",
}


@pytest.mark.parametrize("what", HOSTILE)
def test_whatever_a_host_writes_is_survived(store: Store, what: str) -> None:
    row = store.record_run("web1", HOSTILE[what], "root\x1b[2J")
    empty = ("nothing", "zeros", "no report", "an end only", "an unknown phase")
    assert (row is None) == (what in empty)
    for kept in stored(store):
        told = (kept.by, kept.revision, kept.plan, kept.why, *kept.pending)
        assert all(word.isprintable() for word in told) and kept.text.replace("\t", "").replace("\n", "").isprintable()
        assert len(kept.text.encode()) <= 2 * runs.BODY_BYTES and len(kept.report.steps) <= runs.LINES_KEPT
        assert parse_report(kept.text).steps == kept.report.steps
    assert len(store.steps("web1")) <= runs.STEPS_KEPT
    assert all(one.name.isprintable() and one.failed_text.isprintable() for one in store.steps("web1"))
    assert [one.kind for one in store.events("web1")] == ([] if row is None else ["run"])


# --- reports of installs


def installed(host: Host, said: str = "the end") -> None:
    host.arm()
    host.kickstart()
    assert host.installed(text=said).permitted


def test_a_first_boot_that_failed_and_then_went_well(host: Host, clock: Clock) -> None:
    installed(host, text(("changed", "hostname", ""), ("skipped", "handler:restart:a", "left"), phase="install"))
    wait(clock, 60)
    failed = text(("failed", "sysctl", "no"), exit=5, phase="boot")
    assert host.boot_failed(text=failed).permitted
    assert (host.state(), host.store.last_runs()["web1"].newest.why) == ("failed", "sysctl: no")
    assert host.boot_failed(text=failed).permitted, "the answer was lost"
    wait(clock, 60)
    assert host.booted(text=text(("changed", "sysctl", "set"), phase="boot")).permitted
    assert host.state() == "installed"
    told = [(row.at - NOON, row.phase, row.by, row.exit, row.pending) for row in stored(host.store)]
    assert told == [
        (0, "install", "installer", 0, ("restart:a",)),
        (60, "boot", "first boot", 5, ()),
        (120, "boot", "first boot", 0, ()),
    ]
    (sysctl,) = (row for row in host.store.steps("web1") if row.name == "sysctl")
    assert (sysctl.changed_at, sysctl.failed_at, sysctl.failed_text) == (NOON + 120, NOON + 60, "no")


def test_a_handler_that_is_pending_is_no_success(host: Host) -> None:
    installed(host)
    lines: tuple[Line, ...] = (*OK, ("failed", "handler:restart:a", "no"))
    host.boot_failed(text=text(*lines, exit=6, phase="boot"))
    assert host.state() == "failed"
    row = host.store.record_run("web1", text(*lines, exit=6), "root")
    assert row and (row.pending, row.stamped, host.state()) == (("restart:a",), True, "failed")
    assert host.store.record_run("web1", text(*OK), "root") and host.state() == "installed"


@pytest.mark.parametrize(
    "said",
    [
        text(*OK, check=True),
        text(*OK, exit=1),
        text(*OK, exit=None),
        text(OK[0]),
    ],
    ids=["a check", "not all is right", "cut off", "some steps"],
)
def test_only_a_whole_run_settles_a_first_boot(host: Host, said: str) -> None:
    installed(host)
    assert host.store.record_run("web1", said, "root") and host.state() == "first-boot"


def test_what_was_written_without_a_bootstrap_is_a_run_too(host: Host) -> None:
    host.arm()
    host.kickstart()
    told = (
        f"failed\t0\tfetch\thttp://x/i/web1/{host.token}/bootstrap could not be fetched\n\n== anaconda.log\nfailed to\n"
    )
    assert host.failed(text=told).permitted
    (row,) = stored(host.store)
    assert (row.phase, row.exit, row.failed) == ("install", None, 1)
    assert row.why == "fetch: http://x/i/web1/[token]/bootstrap could not be fetched" and host.token not in row.text
    assert host.token not in str(host.store.steps("web1"))


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (text(*OK, phase="run"), "installed: report (the text is of phase 'run')"),
        (text(*OK, phase="install", check=True), "installed: report (the text is of a check in phase 'install')"),
        ("it went well", "installed: report"),
    ],
)
def test_what_is_no_report_of_the_install_is_a_text_only(host: Host, said: str, told: str) -> None:
    installed(host, said)
    assert (stored(host.store), host.state()) == ([], "first-boot")
    assert [row.text for row in host.store.logs("web1")] == [said]
    assert host.store.events("web1")[-1].detail == told


def test_the_grant_says_whose_report_it_is(host: Host) -> None:
    installed(host, text(*OK, phase="install", host="db1"))
    assert (len(stored(host.store)), stored(host.store, "db1")) == (1, [])
    assert host.store.events("web1")[-1].detail == "installed: report (the text is of host 'db1')"
    assert host.store.events("db1") == []


def test_a_refused_report_leaves_nothing(host: Host) -> None:
    host.arm()
    assert not host.installed(text=text(*OK, phase="install")).permitted
    assert not host.booted(text=text(*OK, phase="boot")).permitted
    assert (stored(host.store), host.store.steps("web1")) == ([], [])


# --- events


def test_a_fleet_that_is_run_every_hour_does_not_flood(
    host: Host, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(events.QUOTAS, "run", events.Quota(kept=50))
    monkeypatch.setattr(events, "PRUNE_EVERY", 1)
    host.arm()
    for _ in range(5):
        host.store.record_run("web1", text(*OK), "root")
        wait(clock, HOUR)
    host.store.record_run("web1", text(("changed", "a", ""), exit=6), "root")
    told = [(row.detail, row.count) for row in host.store.events("web1") if row.kind == "run"]
    assert told == [("by root: nothing to do", 5), ("by root: 1 changed, exit 6", 1)]
    for n in range(100):
        host.store.record_run(f"h{n}", text(*OK), "root")
    kinds = [row.kind for row in host.store.events()]
    assert (kinds.count("run"), kinds.count("armed")) == (50, 1)


# --- races, and what was there before


def test_runs_that_end_together_are_all_kept(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(n: int) -> RunRow | None:
        return store.record_run(f"h{n % 2}", text(("changed", "a", str(n)), ("failed", f"b{n}", "")), "root")

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(end, range(24)))
    for name in ("h0", "h1"):
        assert len(stored(store, name)) == runs.RUNS_KEPT
        assert len(store.steps(name)) == 13
    assert sum(row.count for row in store.events() if row.kind == "run") == 24


def test_the_same_report_from_many_threads_is_one_run(host: Host) -> None:
    installed(host)
    said = text(("failed", "a", ""), exit=5, phase="boot")
    assert all(one.permitted for one in race(lambda n: host.boot_failed(text=said), 8))
    assert len(stored(host.store)) == 1


def test_hosts_that_were_installed_before_are_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from alembic import command

    url, upgrade = f"sqlite:///{tmp_path}/store.db", command.upgrade
    with monkeypatch.context() as patched:
        patched.setattr(command, "upgrade", lambda config, to: upgrade(config, "0002"))
        open_store(url).close()
    columns = "host, state, report_at, id, token_hash, why, armed_by, armed_at, expires, changed"
    counts = "boots, retries, kickstarts, bootstraps, reports"
    engine = sa.create_engine(url)
    with engine.begin() as plain:
        for n, state in enumerate(("installed", "failed", "bootstrapping")):
            values = f"'h{n}', '{state}', 7, 'i{n}', 't{n}', '', 'root', 1, 2, 3, 0, 0, 0, 0, 1"
            plain.exec_driver_sql(f'INSERT INTO "grant" ({columns}, {counts}) VALUES ({values})')
    engine.dispose()
    store = open_store(url, Clock())
    assert [(one.state, one.grant.booted_at) for one in store.status()] == [
        ("installed", 7), ("failed", None), ("bootstrapping", None),
    ]  # fmt: skip
    store.close()


def test_runs_are_packed(store: Store) -> None:
    store.record_run("web1", text(*(("ok", f"files:/etc/{n}", "") for n in range(300))), "x")
    with store._database.read() as connection:
        body = connection.scalar(sa.select(schema.run.c.body))
    assert body and len(body) < len(zlib.decompress(body)) / 3
