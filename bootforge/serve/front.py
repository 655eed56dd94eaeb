"""The process that every HTTP connection comes to first: one loop that gives out media and boot files by itself, and
hands whoever asks for anything else over to the threads of the HTTP worker once the whole head of his request is there.
Which file a host boots by, it asks the worker.

So nobody who reads slowly, or does not finish asking, ever holds a thread: that is what keeps kickstarts from waiting
behind downloads. A connection is handed over as a descriptor, its request unread, and never comes back: the worker
sees the true client and the very bytes, and nothing is parsed twice in two ways.
"""

from __future__ import annotations

import logging
import os
import resource
import select
import signal
import socket
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from bootforge.serve import counters
from bootforge.serve.answers import refusal, shown_path
from bootforge.serve.connection import Connection, boot_file, head, is_media, parse, send_part
from bootforge.serve.logs import told
from bootforge.serve.media import RULE, Absent, Media, Opened, accel, version_of
from bootforge.serve.questions import Asker, Question
from bootforge.serve.ranges import Reply, Span, reply

log = logging.getLogger(__name__)

ASKING = 10.0
"""Seconds for the whole head of a request to arrive, from the moment of the connection."""
IDLE = 15.0
"""Seconds for which a connection may stay open between two requests."""
UNREAD = 60.0
"""Seconds for which a client may read nothing of an answer."""
LINGER = 2.0
HEAD = 16 * 1024
"""Bytes of a request's head; librepo's with 256 ranges has 5,600."""
SLICE = 1 << 20
"""Bytes of one file that are sent before it is another's turn."""
_TURNS = 8
"""Slices before new requests are looked at again: a few milliseconds."""

FILES = "/loaders/<path>", "/m/<mac>/<path>"
"""The routes of boot files, as in bootfiles.py."""
counters.ROUTES += [RULE, *FILES]
BYTES = counters.Number("counter", "bootforge_media_bytes", "Bytes of media that were sent, with the heads of answers.")
OPEN = counters.Number(
    "gauge", "bootforge_http_connections", "Connections that are open, by what they do.", doing=("asking", "sending")
)

_READ = select.EPOLLIN | select.EPOLLRDHUP | select.EPOLLET


class Front:
    """``queue`` is the end of a pair of sockets by which connections are handed over, ``asker`` of one for questions.
    ``nginx``: the address of one that asks for everybody, and sends the files itself. ``drain``: seconds for transfers
    to end after SIGTERM."""

    def __init__(
        self,
        listener: socket.socket,
        queue: socket.socket,
        asker: Asker,
        media: Media,
        nginx: str | None,
        drain: float,
    ) -> None:
        listener.setblocking(False)
        queue.setblocking(False)
        self.listener, self.queue, self.media, self.nginx = listener, queue, media, nginx
        self.quick, self.bulk = select.epoll(), select.epoll()
        self.askers: dict[int, Connection] = {}
        self.senders: dict[int, Connection] = {}
        self.handed: deque[Connection] = deque()
        self.asker = asker
        self.waiting: dict[int, Connection] = {}
        self.most = max(_most_descriptors() // 2 - 64, 64)
        self.transfers = self.most * 3 // 4
        self.stopping = self.listening = False
        self.drain, self.end = drain, float("inf")
        self.wake, wake = socket.socketpair()
        wake.setblocking(False)
        signal.set_wakeup_fd(wake.fileno())
        self.waker = wake
        signal.signal(signal.SIGTERM, lambda number, frame: None)
        for fd in (self.wake.fileno(), self.bulk.fileno(), asker.fileno()):
            self.quick.register(fd, select.EPOLLIN)
        self.quick.register(queue.fileno(), 0)
        self._listen(True)

    def run(self) -> None:
        """Until SIGTERM, and then until the last transfer has ended."""
        swept = time.monotonic()
        counters.SEEN.put(swept, "front")
        busy = (self.senders, self.handed, self.waiting)
        while not self.stopping or (any(busy) and time.monotonic() < self.end):
            ready = dict(self.quick.poll(1.0))
            for fd, event in ready.items():
                if connection := self.askers.get(fd):
                    self._guarded(self._asked, connection, event)
            if self.queue.fileno() in ready:
                self._hand_over()
            if self.asker.fileno() in ready:
                self._answered()
            if self.bulk.fileno() in ready:
                for fd, _ in self.bulk.poll(0, _TURNS):
                    if connection := self.senders.get(fd):
                        self._guarded(self._send, connection)
            # Last, so that no event is still to be seen of a descriptor that a new connection has by now.
            if self.listening and self.listener.fileno() in ready:
                self._accept()
            if self.wake.fileno() in ready:
                self._stop()
            now = time.monotonic()
            if now - swept >= 1:
                swept = now
                self._sweep(now)

    def _guarded(self, step: Callable[..., None], connection: Connection, *args: int) -> None:
        """A fault of one connection's, or of ours, ends that connection."""
        try:
            step(connection, *args)
        except OSError:
            self._close(connection)
        except Exception:
            log.exception("%s: the request failed", connection.client)
            self._close(connection)

    # Connections that come

    def _listen(self, whether: bool) -> None:
        if whether != self.listening:
            self.listening = whether
            (self.quick.register if whether else self.quick.unregister)(
                self.listener.fileno(), *([select.EPOLLIN] if whether else [])
            )

    def _accept(self) -> None:
        for _ in range(64):
            try:
                connected, address = self.listener.accept()
            except BlockingIOError:
                return
            except OSError as error:  # aborted meanwhile, or no descriptor left
                if not self._make_room():
                    log.warning("no connection can be taken: %s", error.strerror)
                    self._listen(False)
                return
            connected.setblocking(False)
            with suppress(OSError):
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(UNREAD * 1000))
            self._ask(Connection(connected, address[0], 0.0), ASKING)
            if len(self.askers) + len(self.senders) + len(self.handed) > self.most and not self._make_room():
                self._listen(False)
                return

    def _make_room(self) -> bool:
        """Ends the connection that has been asking for longest."""
        for connection in self.askers.values():
            log.info("%s: closed, there are too many connections", connection.client)
            self._close(connection)
            return True
        return False

    def _ask(self, connection: Connection, seconds: float) -> None:
        connection.deadline = time.monotonic() + seconds
        self.askers[connection.fd] = connection
        self.quick.register(connection.fd, _READ)

    def _asked(self, connection: Connection, event: int) -> None:
        """More of a request is there. Nothing is taken out of the socket before it is known whose it is."""
        if connection.lingers:
            while connection.socket.recv(65536):
                pass
            self._close(connection)
            return
        ended = bool(event & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR))
        if connection.question:
            if event & (select.EPOLLHUP | select.EPOLLERR):
                self._close(connection)
            return
        try:
            data = connection.socket.recv(HEAD, socket.MSG_PEEK)
        except BlockingIOError:
            return
        asked, end, _ = data.partition(b"\r\n\r\n")
        whole = bool(end)
        if not data:
            self._close(connection)
        elif whole and is_media(data):
            connection.socket.recv(len(asked) + len(end))
            self._answer(connection, asked)
        elif whole and (name := boot_file(data)):
            connection.socket.recv(len(asked) + len(end))
            self._ask_worker(connection, asked, name)
        elif whole or ended:
            self._forget(connection)
            self.handed.append(connection)
            self._hand_over()
        elif len(data) >= HEAD:
            log.info("%s: the head of the request has no end", connection.client)
            self._refuse(connection)

    def _hand_over(self) -> None:
        while self.handed:
            connection = self.handed[0]
            try:
                socket.send_fds(self.queue, [b"."], [connection.fd])
            except BlockingIOError:
                break
            except OSError as error:  # the worker is gone for good, or too many are on their way
                log.error("%s: cannot be handed over: %s", connection.client, error.strerror)
            self.handed.popleft()
            connection.socket.close()
        if self.handed or not self.stopping:
            self.quick.modify(self.queue.fileno(), select.EPOLLOUT if self.handed else 0)
        elif self.queue.fileno() >= 0:
            self.quick.unregister(self.queue.fileno())
            self.queue.close()  # by which the worker knows that nothing more will come

    # Media

    def _answer(self, connection: Connection, asked: bytes) -> None:
        try:
            method, target, version, headers = parse(asked)
        except ValueError:
            self._refuse(connection)
            return
        connection.asked = b""
        if len(self.senders) >= self.transfers:
            self._busy(connection, "too many transfers")
            return
        try:
            opened = self.media.open(target)
        except Absent:
            opened = None
        self._give(connection, method, target, version, headers, opened)

    def _ask_worker(self, connection: Connection, asked: bytes, name: str) -> None:
        try:
            parse(asked)
        except ValueError:
            self._refuse(connection)
            return
        number = self.asker.ask(Question("http", connection.client, name))
        if number is None or len(self.senders) >= self.transfers:
            self._busy(connection, "too many transfers, or questions of what to boot")
            return
        connection.asked, connection.question = asked, number
        connection.deadline = time.monotonic() + ASKING
        self.waiting[number] = connection

    def _answered(self) -> None:
        for number, fd in self.asker.answers():
            connection = self.waiting.pop(number, None)
            if connection:
                connection.question = 0
                self._guarded(self._found, connection, -1 if fd is None else fd)
            elif fd is not None:
                os.close(fd)

    def _found(self, connection: Connection, fd: int) -> None:
        opened = Opened(fd, version_of(os.fstat(fd)), None) if fd >= 0 else None
        method, target, version, headers = parse(connection.asked)
        self._give(connection, method, target, version, headers, opened)

    def _busy(self, connection: Connection, why: str) -> None:
        log.warning("%s 503: %s", connection.client, why)
        counters.REQUESTS.add(_route(connection), "503")
        self._begin(connection, head(Reply(503, (("Retry-After", "5"), ("Content-Length", "0"))), False))

    def _give(
        self,
        connection: Connection,
        method: str,
        target: bytes,
        version: str,
        headers: dict[str, str],
        opened: Opened | None,
    ) -> None:
        shown, route = shown_path(target.decode("latin-1")), _route(connection)
        if not opened:
            more = told(client=connection.client, route=route, status=404)
            log.info("%s %s %s 404", connection.client, method, shown, extra=more)
            self._refuse(connection, method == "HEAD", route)
            return
        connection.file = opened.fd
        if connection.client == self.nginx and opened.path is not None:
            there = (("X-Accel-Redirect", accel(opened.path)), ("Content-Type", "application/octet-stream"))
            made = Reply(200, (*there, ("Content-Length", "0")))
        else:
            made = reply({**headers, "range": ""} if method == "HEAD" else headers, opened.version, time.time())
        size = sum(part.length if isinstance(part, Span) else len(part) for part in made.body)
        more = told(client=connection.client, route=route, status=made.status, bytes=size if method == "GET" else 0)
        log.info("%s %s %s %d", connection.client, method, shown, made.status, extra=more)
        counters.REQUESTS.add(route, str(made.status))
        words = [word.strip().lower() for word in headers.get("connection", "").split(",")]
        connection.keep = version == "HTTP/1.1" and "close" not in words and not self.stopping
        body = made.body if method == "GET" else ()
        self._begin(connection, head(made, connection.keep), *body)

    def _refuse(self, connection: Connection, head_only: bool = False, route: str = counters.NO_ROUTE) -> None:
        counters.REQUESTS.add(route, "404")
        connection.keep = False
        self._begin(connection, refusal(head_only))

    def _begin(self, connection: Connection, *parts: bytes | Span) -> None:
        connection.parts.extend(parts)
        self.askers.pop(connection.fd, None)
        self.senders[connection.fd] = connection
        connection.deadline = time.monotonic() + UNREAD
        self._send(connection)

    def _send(self, connection: Connection) -> None:
        """A slice of what a client is to get, or as much of it as his socket takes."""
        left = SLICE
        try:
            while connection.parts and left > 0:
                left -= send_part(connection, left)
        except BlockingIOError:
            pass
        finally:
            BYTES.add(n=SLICE - left)
        if left < SLICE:
            connection.deadline = time.monotonic() + UNREAD
        if not connection.parts:
            self._sent(connection)
        elif not connection.sends:
            connection.sends = True
            self.bulk.register(connection.fd, select.EPOLLOUT)

    def _sent(self, connection: Connection) -> None:
        """The answer is out: back to asking, or to waiting until the client has it and goes."""
        if connection.sends:
            connection.sends = False
            self.bulk.unregister(connection.fd)
        if connection.file >= 0:
            os.close(connection.file)
            connection.file = -1
        del self.senders[connection.fd]
        self.askers[connection.fd] = connection
        if self.stopping:
            self._close(connection)
            return
        if not connection.keep:
            connection.lingers = True  # what is unread when a socket is closed would tear up the answer
            connection.socket.shutdown(socket.SHUT_WR)
        connection.deadline = time.monotonic() + (IDLE if connection.keep else LINGER)
        self.quick.modify(connection.fd, _READ)  # tells of what is there already, too

    # Ends

    def _forget(self, connection: Connection) -> None:
        """Both loops forget it: a descriptor that another process has as well does not leave them by being closed."""
        self.askers.pop(connection.fd, None)
        self.senders.pop(connection.fd, None)
        self.waiting.pop(connection.question, None)
        for loop in (self.quick, self.bulk) if connection.sends else (self.quick,):
            with suppress(OSError):
                loop.unregister(connection.fd)

    def _close(self, connection: Connection) -> None:
        self._forget(connection)
        if connection.file >= 0:
            os.close(connection.file)
            connection.file = -1
        connection.socket.close()

    def _sweep(self, now: float) -> None:
        """Closes whoever does not finish asking, or does not read."""
        for connection in [one for one in (*self.askers.values(), *self.senders.values()) if one.deadline < now]:
            log.debug("%s: closed, nothing came for too long", connection.client)
            self._close(connection)
        OPEN.put(len(self.askers), "asking")
        OPEN.put(len(self.senders), "sending")
        counters.SEEN.put(now, "front")
        if not self.stopping:
            self._listen(True)

    def _stop(self) -> None:
        """What is asked already is answered; nobody else is let in."""
        self.wake.recv(4096)
        if self.stopping:
            return
        for _ in range(32):  # as many as may have been waiting
            self._accept()
        self.stopping, self.end = True, time.monotonic() + self.drain
        self._listen(False)
        self.listener.close()
        for connection in list(self.askers.values()):
            self._guarded(self._asked, connection, 0)
        for connection in [one for one in self.askers.values() if not one.question]:
            self._close(connection)
        self._hand_over()


def _route(connection: Connection) -> str:
    """The rule of what is being answered."""
    if not connection.asked:
        return RULE
    return FILES[b"/loaders/" not in connection.asked.split(b" ")[1]]


def _most_descriptors() -> int:
    """How many this process may have, once it has asked for all that it is allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
        soft = hard
    return soft if soft != resource.RLIM_INFINITY else 1 << 20


def run(
    listener: socket.socket, queue: socket.socket, asker: Asker, media: Media, nginx: str | None, drain: float
) -> None:
    """Serves until SIGTERM, and then until the last transfer has ended."""
    Front(listener, queue, asker, media, nginx, drain).run()
