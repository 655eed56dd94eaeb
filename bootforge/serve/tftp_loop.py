"""The loop under the TFTP server: which descriptors are ready (epoll), and a way to stop it from outside.

It is no asyncio: a transfer in lock-step is one small packet in and one out, and what lies between counts
(docs/performance.md has the server before this one, which was asyncio's).
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Callable

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
_EVENTS = 64  # in a turn: what became ready meanwhile is heard in the next

log = logging.getLogger(__name__)


class Loop:
    """Calls back, one call at a time. ``now`` is the monotonic time at which the current turn began."""

    def __init__(self) -> None:
        self.now = time.monotonic()
        self.stopping = False
        self._epoll = select.epoll()
        self._calls: dict[int, Callable[[int], None]] = {}
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self.watch(self._wake, self._on_wake)

    def close(self) -> None:
        self._epoll.close()
        os.close(self._wake)

    def stop(self) -> None:
        """Set ``stopping``. May be called by a signal handler, or another thread."""
        os.eventfd_write(self._wake, 1)

    def watch(self, fd: int, call: Callable[[int], None], events: int = READ) -> None:
        """Have ``call`` told the events of a descriptor, until unwatched. A call that raises ends that, too."""
        self._epoll.register(fd, events)
        self._calls[fd] = call

    def change(self, fd: int, events: int) -> None:
        """Watch for other events from now on."""
        self._epoll.modify(fd, events)

    def unwatch(self, fd: int) -> None:
        """Never again; must come before the descriptor is closed. One that is not watched is none either."""
        if self._calls.pop(fd, None):
            self._epoll.unregister(fd)

    def turn(self, wait: float | None) -> None:
        """Wait for something to do, ``wait`` seconds at the longest, and do it."""
        calls = self._calls
        events = self._epoll.poll(wait, _EVENTS)
        self.now = time.monotonic()
        for fd, event in events:
            if call := calls.get(fd):  # else it was closed a moment ago, in this turn
                try:
                    call(event)
                except Exception:
                    log.exception("tftp: a fault of this server")
                    self.unwatch(fd)

    def _on_wake(self, _: int) -> None:
        os.eventfd_read(self._wake)
        self.stopping = True
