"""What the server counts: numbers in memory that all of its processes share, and that outlives each of them.

The supervisor has the memory before it starts a child, so a child that is started again goes on counting where the
last one was. Each process adds in a row of its own (chosen by its pid) without asking the others; a number is the sum
of its rows. Only what a list names becomes a label: no host, address or token can be one.
"""

from __future__ import annotations

import mmap
import os
import threading
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Literal

_ROWS = 16
_SLOTS = 4096
_memory = memoryview(mmap.mmap(-1, _ROWS * _SLOTS * 8)).cast("d")
_lock = threading.Lock()
_row = os.getpid() % _ROWS * _SLOTS
_used = 0

OTHER = "other"
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds in seconds of what a histogram keeps apart: those of Prometheus's clients."""


def _after_fork() -> None:
    global _row, _lock
    _row, _lock = os.getpid() % _ROWS * _SLOTS, threading.Lock()


os.register_at_fork(after_in_child=_after_fork)


def _take(count: int) -> int:
    global _used
    first, _used = _used, _used + count
    if _used > _SLOTS:
        raise MemoryError("too many counters")
    return first


def _total(slot: int) -> float:
    return sum(_memory[row * _SLOTS + slot] for row in range(_ROWS))


class Number:
    """A number for each combination of its labels' values; what is no known value of a label counts as OTHER. A
    ``counter`` only grows, a ``gauge`` is what one process put there last."""

    def __init__(self, kind: Literal["counter", "gauge"], name: str, about: str, **labels: Sequence[str]) -> None:
        self.kind, self.name, self.about, self.labels = kind, name, about, tuple(labels)
        self._known = list(labels.values())
        self._slots: dict[tuple[str, ...], int] = {}
        ALL.append(self)

    def fix(self) -> None:
        """The values of labels are those that are known by now."""
        combinations = list(product(*([*known, OTHER] for known in self._known)))
        first = _take(len(combinations))
        self._slots = {values: first + at for at, values in enumerate(combinations)}

    def _slot(self, values: tuple[str, ...]) -> int:
        if not self._slots:
            fix()
        found = self._slots.get(values)
        if found is None:
            pairs = zip(values, self._known, strict=True)
            found = self._slots[tuple(value if value in known else OTHER for value, known in pairs)]
        return found

    def add(self, *values: str, n: float = 1) -> None:
        """Counts, with a value for each label."""
        at = self._slot(values)
        with _lock:
            _memory[_row + at] += n

    def put(self, value: float, *values: str) -> None:
        """The gauge is ``value`` from now on."""
        _memory[self._slot(values)] = value

    def get(self, *values: str) -> float:
        """The sum of all processes, dead ones too."""
        return _total(self._slot(values))

    def samples(self) -> Iterator[tuple[tuple[str, ...], float]]:
        """The values of the labels and the number; what is 0 only where there is one label, and OTHER never then."""
        self._slot(tuple(OTHER for _ in self.labels))
        for values, slot in self._slots.items():
            number = _total(slot)
            if number or len(values) < 2 and OTHER not in values:
                yield values, number


class Histogram:
    """How long things took, for each value of one label."""

    def __init__(self, name: str, about: str, label: str, values: Sequence[str]) -> None:
        self.name, self.about, self.label, self._known = name, about, label, values
        self._slots: dict[str, int] = {}
        ALL.append(self)

    def fix(self) -> None:
        """The values of the label are those that are known by now."""
        size = len(BUCKETS) + 2  # what took longer, and the sum
        first = _take((len(self._known) + 1) * size)
        self._slots = {value: first + at * size for at, value in enumerate([*self._known, OTHER])}

    def observe(self, value: str, seconds: float) -> None:
        if not self._slots:
            fix()
        first = self._slots.get(value, self._slots[OTHER])
        at = next((at for at, bound in enumerate(BUCKETS) if seconds <= bound), len(BUCKETS))
        with _lock:
            _memory[_row + first + at] += 1
            _memory[_row + first + len(BUCKETS) + 1] += seconds

    def samples(self) -> Iterator[tuple[str, list[float], float]]:
        """The label's value, how many were in each bucket and above them all, and the sum of seconds."""
        for value, first in self._slots.items():
            counts = [_total(first + at) for at in range(len(BUCKETS) + 1)]
            if sum(counts):
                yield value, counts, _total(first + len(BUCKETS) + 1)


ALL: list[Number | Histogram] = []


def fix() -> None:
    """Every number gets its place, before any process is started: all of them must agree."""
    for one in ALL:
        if not one._slots:
            one.fix()


# What more than one module counts

NO_ROUTE = "none"
ROUTES = [NO_ROUTE]
"""The rules of all routes, which their modules add, and what has none: a path that leads nowhere, or no HTTP."""
_STATUSES = ("200", "206", "304", "404", "412", "416", "503")

REQUESTS = Number("counter", "bootforge_http_requests", "Requests that were answered.", route=ROUTES, status=_STATUSES)
DURATIONS = Histogram("bootforge_http_request_duration_seconds", "Time until there was an answer.", "route", ROUTES)
REFUSED = Number("counter", "bootforge_refused", "Requests for what a grant opens that were refused.")
ALARMS = Number("counter", "bootforge_alarms", "Machines that did not look like the planned one, and were let pass.")
STORE_ERRORS = Number("counter", "bootforge_store_errors", "Requests that failed because the store did.")

HOSTS = Number("gauge", "bootforge_generation_hosts", "Hosts of the generation that is served.")
BUILT = Number("gauge", "bootforge_generation_timestamp_seconds", "When it was built, since the epoch; 0 before that.")
GOOD = Number("gauge", "bootforge_last_reload_successful", "1 if the site was good when it was last read.")
RELOADS = Number("counter", "bootforge_reloads", "Times that the site was read.", result=("ok", "failed"))

SEEN = Number(
    "gauge", "bootforge_process_seen_seconds", "When it was last at work (monotonic).", process=("front", "http")
)
_PROCESSES = ("front", "http", "tftp", "dhcp", "admin")
RESTARTS = Number("counter", "bootforge_restarts", "Processes that ended and were started again.", process=_PROCESSES)
