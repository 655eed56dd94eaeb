"""Grants under any sequence of requests: the store agrees with a tiny model, and the promises hold by themselves.

The model says who is permitted; the promises are checked against what was permitted, without the model: a
kickstart never goes to two unplanned addresses, nothing boots after the bootstrap was fetched, nothing at all is
permitted to a grant that was disarmed or superseded.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from bootforge.store import Decision, Outcome, open_store

MINUTE, HOUR = 60.0, 3600.0
HOSTS = ("web1", "web2")
PLANNED = "192.0.2.10"
WRONG = "a token that nobody ever had"
HOST = st.sampled_from((*["web1"] * 4, "web2"))
WHOSE = st.sampled_from((*["own"] * 8, "older", "older", "other's", "nobody's"))
ADDRESS = st.sampled_from((PLANNED, "198.51.100.1", "198.51.100.2", "::ffff:198.51.100.1"))
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where a write costs nothing: what is tested here is not whether the disk keeps it."""


@dataclass
class Model:
    """A grant as boot.md tells it; times in seconds, None for what has not happened."""

    host: str
    expires: float
    ended: str = ""
    kickstart: float | None = None
    bootstrapped: bool = False
    retries: int = 0
    fetches: dict[str, int] = field(default_factory=lambda: {"kickstart": 0, "bootstrap": 0, "report": 0})
    first: dict[str, str] = field(default_factory=dict)
    texts: dict[str, str] = field(default_factory=dict)

    def boot(self, now: float) -> bool:
        if self.ended or self.bootstrapped:
            return False
        if self.kickstart is None:
            return now < self.expires
        may = now < self.kickstart + 2 * MINUTE and self.retries < 2
        self.retries += may
        return may

    def fetch_kickstart(self, now: float, address: str) -> bool:
        if self.ended or self.bootstrapped or not self._client(address, "kickstart"):
            return False
        if self.kickstart is None:
            may = now < self.expires
        else:
            may = now < self.kickstart + 15 * MINUTE and self.fetches["kickstart"] < 10
        if may:
            self.kickstart = now if self.kickstart is None else self.kickstart
            self._fetched("kickstart", address, "kickstart")
        return may

    def fetch_bootstrap(self, now: float, address: str) -> bool:
        may = not self.ended and self._installing(now) and self._client(address, "bootstrap")
        if may := may and self.fetches["bootstrap"] < 10:
            self.bootstrapped = True
            self._fetched("bootstrap", address, "bootstrap")
        return may

    def report(self, now: float, address: str, outcome: str, name: str, text: str) -> bool:
        known = self._client(address, "bootstrap") or address == self.first.get("kickstart")
        agrees = self.ended in ("", outcome) and self.texts.get(name, text) == text
        may = self._installing(now) and known and agrees and self.fetches["report"] < 20
        if may:
            self.ended, self.texts[name] = outcome, text
            self._fetched("report", address, "bootstrap")
        return may

    def _installing(self, now: float) -> bool:
        return self.kickstart is not None and now < self.kickstart + 4 * HOUR

    def _client(self, address: str, stage: str) -> bool:
        return address == PLANNED or self.first.get(stage, address) == address

    def _fetched(self, what: str, address: str, stage: str) -> None:
        self.fetches[what] += 1
        self.first.setdefault(stage, address)


class Grants(RuleBasedStateMachine):
    """Two hosts, several clients, old and wrong tokens, and time that passes."""

    fresh: Path

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(dir=MEMORY))
        shutil.copy(self.fresh, self.directory / "store.db")
        self.now = 1_800_000_000.0
        self.store = open_store(f"sqlite:///{self.directory}/store.db", lambda: self.now)
        self.models: dict[str, Model] = {}  # by token
        self.tokens: dict[str, list[str]] = {host: [] for host in HOSTS}
        self.dead: set[str] = set()
        self.past_bootstrap: set[str] = set()
        self.unplanned: dict[str, set[str]] = {}
        self.late_boots: dict[str, int] = {}

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.directory)

    @initialize(address=ADDRESS, stage=st.integers(0, 3))
    def begin(self, address: str, stage: int) -> None:
        """Both hosts are armed, and one may have come further."""
        for host in HOSTS:
            self.arm(host, HOUR)
        for step in (self.kickstart, self.kickstart, self.bootstrap)[:stage]:
            step("web1", "own", address)

    @rule(host=HOST, ttl=st.sampled_from((HOUR, MINUTE, 5 * HOUR)))
    def arm(self, host: str, ttl: float) -> None:
        (grant,) = self.store.arm([host], ttl=ttl, why="", by="", tokens=lambda id: f"token of {id}")
        self._end(host, "superseded")
        token = f"token of {grant.id}"
        self.models[token] = Model(host, self.now + ttl)
        self.tokens[host].append(token)

    @rule(host=HOST, whim=st.integers(0, 3))
    def disarm(self, host: str, whim: int) -> None:
        if whim != 3:
            return  # most grants are to live on
        ended = self.models[self.tokens[host][-1]].ended
        assert self.store.disarm([host], by="") == ([] if ended else [host])
        self._end(host, "disarmed")

    @rule(seconds=st.sampled_from((*[1.0, 59.0, 2 * MINUTE] * 2, 13 * MINUTE, 15 * MINUTE, HOUR, 4 * HOUR)))
    def wait(self, seconds: float) -> None:
        self.now += seconds

    @rule(host=HOST, address=ADDRESS)
    def boot(self, host: str, address: str) -> None:
        token = self.tokens[host][-1]
        decision = self.store.permit_boot(host, address)
        self._check(decision, self.models[token].boot(self.now), token)
        if decision.permitted:
            assert token not in self.past_bootstrap
            if token in self.unplanned:
                self.late_boots[token] = self.late_boots.get(token, 0) + 1
                assert self.late_boots[token] <= 2

    @rule(host=HOST, whose=WHOSE, address=ADDRESS)
    def kickstart(self, host: str, whose: str, address: str) -> None:
        token, model = self._token(host, whose)
        decision = self.store.permit_kickstart(host, token, address, address == PLANNED)
        address = address.removeprefix("::ffff:")
        self._check(decision, model is not None and model.fetch_kickstart(self.now, address), token)
        if decision.permitted:
            self.unplanned.setdefault(token, set()).update({address} - {PLANNED})
            assert len(self.unplanned[token]) <= 1
            assert token not in self.past_bootstrap

    @rule(host=HOST, whose=WHOSE, address=ADDRESS)
    def bootstrap(self, host: str, whose: str, address: str) -> None:
        token, model = self._token(host, whose)
        decision = self.store.permit_bootstrap(host, token, address, address == PLANNED)
        address = address.removeprefix("::ffff:")
        self._check(decision, model is not None and model.fetch_bootstrap(self.now, address), token)
        if decision.permitted:
            assert token in self.unplanned, "a kickstart comes first"
            self.past_bootstrap.add(token)

    @rule(
        host=HOST,
        whose=WHOSE,
        address=ADDRESS,
        outcome=st.sampled_from(("installed", "failed")),
        name=st.sampled_from(("report", "syslog")),
        text=st.sampled_from(("one", "two")),
    )
    def report(self, host: str, whose: str, address: str, outcome: Outcome, name: str, text: str) -> None:
        token, model = self._token(host, whose)
        decision = self.store.report(host, token, address, address == PLANNED, outcome, name, text)
        address = address.removeprefix("::ffff:")
        self._check(decision, model is not None and model.report(self.now, address, outcome, name, text), token)
        if decision.permitted:
            assert token in self.unplanned, "a kickstart comes first"
            self.past_bootstrap.add(token)

    @invariant()
    def the_store_tells_the_state(self) -> None:
        told = {row.host: row for row in self.store.status()}
        assert set(told) == set(HOSTS)
        for host, row in told.items():
            model = self.models[self.tokens[host][-1]]
            if model.ended == "installed":
                assert row.state in ("first-boot", "stuck"), "no first boot has reported here"
            elif model.ended:
                assert row.state == model.ended
            elif model.kickstart is None:
                assert (row.state == "expired") == (self.now >= model.expires)
            else:
                assert (row.state == "stuck") == (self.now >= model.kickstart + 4 * HOUR)
            if row.state not in ("expired", "stuck", "first-boot"):
                assert row.state == row.grant.state

    def _token(self, host: str, whose: str) -> tuple[str, Model | None]:
        """A token to show for ``host``, and the model when it is one of that host."""
        other = HOSTS[1 - HOSTS.index(host)]
        token = {
            "own": self.tokens[host][-1],
            "older": self.tokens[host][-2:][0],
            "other's": self.tokens[other][-1],
            "nobody's": WRONG,
        }[whose]
        return token, None if whose == "other's" else self.models.get(token)

    def _end(self, host: str, how: str) -> None:
        for token in self.tokens[host][-1:]:
            if not self.models[token].ended:
                self.models[token].ended = how
                self.dead.add(token)

    def _check(self, decision: Decision, permitted: bool, token: str) -> None:
        if decision.grant:
            assert token not in self.dead
            assert token == f"token of {decision.grant.id}"
        assert decision.permitted == permitted, decision
        assert decision.permitted == (decision.reason == "")


def test_grants() -> None:
    with tempfile.TemporaryDirectory(dir=MEMORY) as directory:
        Grants.fresh = Path(directory) / "store.db"
        open_store(f"sqlite:///{Grants.fresh}").close()
        run_state_machine_as_test(Grants, settings=settings(max_examples=150, stateful_step_count=40, deadline=None))
