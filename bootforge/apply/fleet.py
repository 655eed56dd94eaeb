"""Many hosts at once, and in batches: what begins when, and when no more is begun."""

from __future__ import annotations

import math
import re
import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue

from bootforge.apply.outcome import FAILURES, Outcome
from bootforge.apply.session import Control
from bootforge.report import Line

_TICK = 0.5
_AMOUNT = re.compile(r"([0-9]{1,6})(%?)")


@dataclass(frozen=True, slots=True)
class Amount:
    """A number of hosts, or a percentage of some."""

    number: int
    percent: bool

    def of(self, hosts: int) -> float:
        return hosts * self.number / 100 if self.percent else self.number


def parse_amount(text: str) -> Amount:
    """``5`` or ``5%``. Raises ValueError."""
    match = _AMOUNT.fullmatch(text)
    if not match or (match[2] and int(match[1]) > 100):
        raise ValueError(f"{text!r} is neither a number nor a percentage; write 5 or 5%")
    return Amount(int(match[1]), bool(match[2]))


def batches_of(hosts: Sequence[str], sizes: Sequence[Amount]) -> list[list[str]]:
    """The hosts in batches of these sizes, of which the last holds for all that follow; percentages are of all hosts,
    rounded up. One batch without sizes."""
    if not sizes:
        return [[*hosts]]
    found: list[list[str]] = []
    at = 0
    while at < len(hosts):
        size = max(1, math.ceil(sizes[min(len(found), len(sizes) - 1)].of(len(hosts))))
        found.append([*hosts[at : at + size]])
        at += size
    return found


@dataclass(frozen=True, slots=True)
class Begun:
    host: str


@dataclass(frozen=True, slots=True)
class Said:
    host: str
    line: Line


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened for a while."""


Event = Begun | Said | Tick | Outcome
Attend = Callable[[str, Control, Callable[[Line], None]], Outcome]


@dataclass(slots=True)
class Fleet:
    """``attend`` is called for each host, by ``jobs`` threads. When more hosts of those begun failed than ``max_fail``
    allows (a percentage is of those begun), no further batch begins."""

    batches: Sequence[Sequence[str]]
    attend: Attend
    jobs: int
    max_fail: Amount | None = None
    control: Control = field(default_factory=Control)

    def run(self) -> Generator[Event, None, None]:
        """What happens, as it happens; at the end an outcome for every host. Once it is closed, no host begins."""
        begun = failed = 0
        stopped = ""
        for number, batch in enumerate(self.batches):
            if self.control.enough:
                stopped = stopped or "interrupted"
            if stopped:
                yield from (Outcome(host, "not begun", text=stopped) for host in batch)
                continue
            for event in self._batch(batch):
                failed += isinstance(event, Outcome) and event.kind in FAILURES
                yield event
            begun += len(batch)
            if self.max_fail and failed > self.max_fail.of(begun):
                stopped = (
                    f"{failed} of {begun} hosts failed in the first {number + 1} batches, which is more than --max-fail"
                )

    def _batch(self, hosts: Sequence[str]) -> Generator[Event, None, None]:
        events: SimpleQueue[Event | BaseException] = SimpleQueue()
        waiting = deque(hosts)
        workers = [
            threading.Thread(target=self._work, args=(waiting, events)) for _ in range(min(self.jobs, len(hosts)))
        ]
        for worker in workers:
            worker.start()
        left = len(hosts)
        try:
            while left:
                try:
                    event = events.get(timeout=_TICK)
                except Empty:
                    yield Tick()
                    continue
                if isinstance(event, BaseException):
                    raise event
                left -= isinstance(event, Outcome)
                yield event
        finally:
            if left:
                self.control.interrupt()
                self.control.interrupt()
            for worker in workers:
                worker.join()

    def _work(self, waiting: deque[str], events: SimpleQueue[Event | BaseException]) -> None:
        while True:
            try:
                host = waiting.popleft()
            except IndexError:
                return
            try:
                events.put(self._one(host, events))
            except BaseException as error:
                events.put(error)
                return

    def _one(self, host: str, events: SimpleQueue[Event | BaseException]) -> Outcome:
        if self.control.enough:
            return Outcome(host, "not begun", text="interrupted")
        events.put(Begun(host))
        return self.attend(host, self.control, lambda line: events.put(Said(host, line)))
