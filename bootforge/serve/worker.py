"""gunicorn's worker of threads, for requests that front.py hands over; with what gunicorn leaves open closed: whoever
does not finish sending is cut off, one address never holds every thread, and what is no HTTP gets the answer that
everything refused gets.
"""

from __future__ import annotations

import errno
import logging
import select
import selectors
import socket
import time
from collections import deque
from contextlib import suppress
from functools import partial
from typing import Any, ClassVar

from gunicorn.workers.gthread import ThreadWorker

from bootforge.serve import counters
from bootforge.serve.answers import refusal

log = logging.getLogger(__name__)

READING = 30.0
"""Seconds for a whole request to arrive; the answer may take as long as it takes, while the client reads."""
UNREAD = 60.0
"""Seconds for which a client may read nothing of an answer, or be gone without a word."""
THREADS = 256
PER_ADDRESS = THREADS // 2
"""Threads that one address may have at a time."""
WAITING = 1024
"""Connections of one address that may wait for one."""
CONNECTIONS = 8 * WAITING
LINGER = 2.0
"""Seconds for a client to close his side, once he has been answered."""
_LAST = 1.0
"""Seconds for the last connections to be handed over, when everybody stops."""


class Handed:
    """Stands where gunicorn has a listener: what it accepts are connections that front.py hands over."""

    def __init__(self, queue: socket.socket, listener: Any) -> None:
        self._queue, self._listener = queue, listener

    def accept(self) -> tuple[socket.socket, Any]:
        """A connection and its client's address. Raises BlockingIOError when there is none, and what gunicorn takes
        for a client that has left."""
        data, descriptors, _, _ = socket.recv_fds(self._queue, 1, 1, socket.MSG_DONTWAIT)
        if not descriptors:
            raise BlockingIOError if data else EOFError
        connection = socket.socket(fileno=descriptors[0])
        try:
            return connection, connection.getpeername()
        except OSError:
            connection.close()
            raise ConnectionAbortedError(errno.ECONNABORTED, "left meanwhile") from None

    def fileno(self) -> int:
        return self._queue.fileno()

    def getsockname(self) -> Any:
        return self._listener.getsockname()

    def setblocking(self, whether: bool) -> None:
        """Never: each call says so by itself."""

    def close(self) -> None:
        self._queue.close()


class Worker(ThreadWorker):  # type: ignore[misc]
    """Overrides only what gunicorn has kept since version 23; in older ones a missing hook would be no error."""

    queue: ClassVar[socket.socket]
    """The worker's end of the pair by which connections come."""
    nginx: ClassVar[str | None] = None
    """The address from which a front of the site's own asks, for everybody."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sockets: list[Any] = [Handed(self.queue, self.sockets[0])]
        self._live: set[Any] = set()
        self._ending: dict[Any, float] = {}
        self._waiting: dict[str, deque[Any]] = {}
        logging.getLogger("gunicorn.error").addFilter(_without_traceback)

    def enqueue_req(self, conn: Any) -> None:
        conn.close = partial(self._end, conn)
        self._enqueue(conn)

    def _enqueue(self, conn: Any) -> None:
        """One address has so many threads at most; what it asks beyond that waits until it has one again."""
        if conn not in self._live:
            same = sum(one.client[0] == conn.client[0] and one.sock.fileno() >= 0 for one in self._live)
            if same >= PER_ADDRESS and conn.client[0] != self.nginx:
                self._wait(conn)
                return
            with suppress(OSError):
                conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD * 1000))
            self._live.add(conn)
        super().enqueue_req(conn)

    def _wait(self, conn: Any) -> None:
        waiting = self._waiting.setdefault(conn.client[0], deque())
        if not waiting:
            log.warning("%s has %d requests that are not answered yet; more of them wait", conn.client[0], PER_ADDRESS)
        if len(waiting) < WAITING:
            waiting.append(conn)
        else:
            self.nr_conns -= 1
            conn.close()

    def finish_request(self, conn: Any, *args: Any) -> None:
        super().finish_request(conn, *args)
        if conn.sock.fileno() < 0 or conn in self._ending:
            self._live.discard(conn)
            if waiting := self._waiting.get(conn.client[0]):
                self._enqueue(waiting.popleft())
                if not waiting:
                    del self._waiting[conn.client[0]]

    def _end(self, conn: Any, graceful: bool = False) -> None:
        """Closes a connection. gunicorn 27 waits in its only loop for the client to have closed it too, two seconds at
        most; here the loop goes on meanwhile."""
        if graceful and self.alive:
            with suppress(OSError):
                conn.sock.shutdown(socket.SHUT_WR)
                conn.sock.setblocking(False)
                self.poller.register(conn.sock, selectors.EVENT_READ, partial(self._drain, conn))
                self._ending[conn] = time.monotonic() + LINGER
                return
        conn.sock.close()

    def _drain(self, conn: Any, *_: Any) -> None:
        """Drops what the client sends still: closed with it unread, the connection would take the answer along."""
        with suppress(OSError):
            if conn.sock.recv(65536):
                return
        self._ended(conn)

    def _ended(self, conn: Any) -> None:
        del self._ending[conn]
        self.poller.unregister(conn.sock)
        conn.sock.close()

    def set_accept_enabled(self, enabled: bool) -> None:
        """At the end, whatever was handed over is answered: until the other side has closed the pair."""
        super().set_accept_enabled(enabled)
        if not enabled and not self.alive:
            with suppress(EOFError):
                while select.select([self.queue], [], [], _LAST)[0]:
                    super().accept(self.sockets[0])

    def accept(self, *listeners: Any) -> None:
        with suppress(EOFError):  # everybody stops, and SIGTERM is on its way
            super().accept(*listeners)

    def handle(self, conn: Any) -> Any:
        conn.deadline = time.monotonic() + READING
        try:
            return super().handle(conn)
        finally:
            conn.deadline = None

    def notify(self) -> None:
        """Comes about once a second, also while the worker drains."""
        super().notify()
        now = time.monotonic()
        counters.SEEN.put(now, "http")
        for conn in [one for one, deadline in self._ending.items() if deadline < now]:
            self._ended(conn)
        for conn in list(self._live):
            if conn.sock.fileno() < 0:
                self._live.discard(conn)
            elif (getattr(conn, "deadline", None) or now) < now:
                with suppress(OSError):  # the thread that waits for more reads the end, and gives up
                    conn.sock.shutdown(socket.SHUT_RD)

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answers what cannot be parsed. What was sent is not logged: it may hold a token."""
        if type(exc).__module__.startswith("gunicorn."):
            log.info("%s sent no valid request: %s", addr[0], type(exc).__name__)
        else:
            log.error("%s: the request failed: %s", addr[0], type(exc).__name__, exc_info=exc)
        counters.REQUESTS.add(counters.NO_ROUTE, "404")
        with suppress(OSError):
            client.settimeout(5.0)
            client.sendall(refusal())


def _without_traceback(record: logging.LogRecord) -> bool:
    """A client that left is no crash: its connection's end is one line."""
    if record.exc_info and isinstance(record.exc_info[1], OSError):
        record.msg, record.args = f"{record.getMessage()} {record.exc_info[1].strerror}", ()
        record.exc_info = None
    return True
