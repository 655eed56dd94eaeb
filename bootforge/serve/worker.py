"""gunicorn's worker of threads, with what it leaves open closed: whoever does not finish asking is cut off, one
address never holds every thread, and what is no HTTP gets the answer that everything refused gets.
"""

from __future__ import annotations

import logging
import socket
import time
from contextlib import suppress
from email.utils import formatdate
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

from bootforge.serve.http import REFUSED

log = logging.getLogger(__name__)

READING = 30.0
"""Seconds for a whole request to arrive; the answer may take as long as it takes, while the client reads."""
UNREAD = 60.0
"""Seconds for which a client may read nothing of an answer, or be gone without a word."""
THREADS = 256
PER_ADDRESS = THREADS // 2
"""Connections that one address may hold at a time."""


class Worker(ThreadWorker):  # type: ignore[misc]
    """Overrides only what gunicorn has kept since version 23; in older ones a missing hook would be no error."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._live: set[Any] = set()
        logging.getLogger("gunicorn.error").addFilter(_without_traceback)

    def enqueue_req(self, conn: Any) -> None:
        if conn not in self._live and not self._admit(conn):
            self.nr_conns -= 1
            conn.close()
            return
        super().enqueue_req(conn)

    def _admit(self, conn: Any) -> bool:
        same = sum(one.client[0] == conn.client[0] and one.sock.fileno() >= 0 for one in self._live)
        if same >= PER_ADDRESS:
            log.warning("%s holds %d connections; one more was closed", conn.client[0], same)
            return False
        with suppress(OSError):
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD * 1000))
        self._live.add(conn)
        return True

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
        with suppress(OSError):
            client.settimeout(5.0)
            client.sendall(_refusal())


def _refusal() -> bytes:
    """What ``refused`` in http.py comes to on the wire."""
    head = (
        "HTTP/1.1 404 NOT FOUND",
        "Server: gunicorn",
        f"Date: {formatdate(usegmt=True)}",
        "Connection: close",
        "Content-Type: text/plain; charset=utf-8",
        f"Content-Length: {len(REFUSED)}",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
    )
    return "\r\n".join([*head, "", ""]).encode() + REFUSED


def _without_traceback(record: logging.LogRecord) -> bool:
    """A client that left is no crash: its connection's end is one line."""
    if record.exc_info and isinstance(record.exc_info[1], OSError):
        record.msg, record.args = f"{record.getMessage()} {record.exc_info[1].strerror}", ()
        record.exc_info = None
    return True
