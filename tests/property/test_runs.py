"""Reports of any kind, in any order: what the store says of a host's runs and steps agrees with a model that forgets
nothing, and never exceeds its bounds."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bootforge.report import STATUSES, Report, StepLine, parse_report, print_report
from bootforge.store import RunRow, StepRow, Store, open_store, runs

MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
NUMBER = st.integers(0, 10**12 - 1)
WORD = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=12)
STEP = st.sampled_from(("hostname", "files:/a", "files:/b", "stamp", "handler:restart:a", "handler:reload:b"))
LINE = st.builds(StepLine, st.sampled_from(STATUSES), NUMBER, STEP | WORD, st.text(max_size=30))
REPORT = st.builds(
    Report,
    st.sampled_from(("web1", "db1", "nobody")),
    st.sampled_from(runs.PHASES),
    st.booleans(),
    st.sampled_from(("r1", "r2", "")),
    WORD,
    st.lists(LINE, max_size=12).map(tuple),
    NUMBER,
    st.none() | st.sampled_from((0, 1, 5, 6, 75, 255)),
)
NOISE = st.text() | st.binary().map(lambda raw: raw.decode("utf-8", "surrogateescape"))


class Time:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def opened() -> Iterator[tuple[Store, Time]]:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        time = Time()
        store = open_store(f"sqlite:///{Path(directory)}/store.db", time)
        yield store, time
        store.close()


@settings(max_examples=150, deadline=None)
@given(said=st.lists(st.tuples(st.sampled_from(("web1", "db1")), REPORT), min_size=1, max_size=12))
def test_the_store_agrees_with_a_memory_that_forgets_nothing(
    opened: tuple[Store, Time], said: Sequence[tuple[str, Report]]
) -> None:
    store, time = opened
    _forget(store)
    told: dict[str, list[tuple[float, Report]]] = {"web1": [], "db1": []}
    with mock.patch.object(runs, "RUNS_KEPT", 2):
        for host, report in said:
            time.now += 1
            text = print_report(report)
            row = store.record_run(host, text, "root")
            assert row
            told[host].append((time.now, parse_report(text)))
    for host, reports in told.items():
        kept = store.runs(host)
        stamped = [at for at, one in reports if _is_stamped(one)][-1:]
        for check in (True, False):
            alike = [(at, one) for at, one in reports if one.check == check]
            alike = [one for place, one in enumerate(alike) if place >= len(alike) - 2 or one[0] in stamped]
            assert [(row.at, row.report) for row in kept if row.check == check] == alike
        assert store.steps(host) == _remembered(reports)
        _check_last(store.last_runs().get(host), kept)


def _forget(store: Store) -> None:
    with store._database.write() as connection:
        for table in (runs.run, runs.step):  # type: ignore[attr-defined]
            connection.execute(table.delete())


def _remembered(reports: Sequence[tuple[float, Report]]) -> list[StepRow]:
    found: dict[str, dict[str, tuple[float | None, str]]] = {}
    for at, report in reports:
        for line in report.steps:
            if line.status in ("changed", "failed") and not report.check:
                found.setdefault(line.step, {})[line.status] = (at, line.text)
    nothing = (None, "")
    return [
        StepRow(name, *found[name].get("changed", nothing), *found[name].get("failed", nothing))
        for name in sorted(found)
    ]


def _is_stamped(report: Report) -> bool:
    said = {line.status for line in report.steps if line.step == "stamp"}
    return len(report.steps) > 1 and not said.isdisjoint({"ok"} if report.check else {"ok", "changed"})


def _check_last(last: runs.LastRuns | None, kept: Sequence[RunRow]) -> None:
    """Of the runs that are kept, the newest of each kind."""
    if last is None:
        assert not kept
        return
    by_id = {row.id: row for row in kept}
    done = [row.id for row in kept if not row.check]
    stamped = [row.id for row in kept if row.stamped]
    assert last.newest.id == max(by_id)
    assert (last.done.id if last.done else None) == max(done, default=None)
    assert (last.stamped.id if last.stamped else None) == max(stamped, default=None)


@settings(max_examples=300, deadline=None)
@given(noise=NOISE, report=REPORT, cut=st.integers(0, 2000))
def test_noise_is_a_text_and_never_an_error(opened: tuple[Store, Time], noise: str, report: Report, cut: int) -> None:
    store, _ = opened
    for text in (noise, print_report(report)[:cut], print_report(report)[:cut] + noise, noise + print_report(report)):
        for phase in runs.PHASES:
            found, odd = runs.read_report(text, "web1", phase)
            assert found is None or (found.phase, found.check) == (phase, False)
            assert odd.isprintable()
        row = store.record_run("web1", text, noise)
        if row:
            assert all(word.isprintable() for word in (row.by, row.revision, row.plan, row.why, *row.pending))
    assert len(store.runs("web1")) <= 2 * runs.RUNS_KEPT + 1
