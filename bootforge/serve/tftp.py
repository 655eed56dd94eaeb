"""A read-only TFTP server: loader files to firmware, and nothing that a datagram can break.

RFC 1350, 2347 (options), 2348 blksize, 2349 tsize and timeout, 7440 windowsize. One loop; transfers have a socket each,
bound to the address that was asked, or all use the port of the requests. What the standards leave open, and the
answer here:

- An option that is no number or out of range is left out of the OACK, as if never asked (RFC 2347). Too large
  a blksize or windowsize gets our largest (2348 and 7440 allow less than asked); a timeout must match (2349),
  so it is left out. The first of two equal options counts.
- ``tsize`` of an empty file is left out: curl takes ``tsize 0`` for a protocol error (curl, lib/tftp.c).
- netascii (RFC 1123, 4.2.4: MUST; tftp-hpa's default) is translated up to 256 KiB; above, ERROR 0.
- Writes get ERROR 4. What is no request, or was broadcast (RFC 1123, 4.2.3.5), gets silence: two servers can
  not be made to talk to each other.
- Full (2,000 transfers; per address 1,000, and 256 that have acknowledged nothing yet) is silence too: clients
  ask again by themselves, an ERROR would end the boot. Racks behind one NAT address rarely notice: 256 of their
  machines get past their first packet in each round trip.
- An equal request from a live (address, port) is dropped: the timer answers it. A different one, or an equal
  one once the transfer fell silent, is a machine that started over (ROMs reuse their port): it replaces it.
"""

from __future__ import annotations

import logging
import os
import resource
import signal
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bootforge.serve import counters
from bootforge.serve.logs import told
from bootforge.serve.questions import Asker, Question
from bootforge.serve.tftp_files import Cache, as_asked, open_file
from bootforge.serve.tftp_line import Line, OwnLine, SharedLine, SharedPort
from bootforge.serve.tftp_loop import WRITE, Loop
from bootforge.serve.tftp_transfer import Transfer
from bootforge.serve.tftp_wire import (
    NOT_FOUND,
    REQUEST_BYTES,
    UNDEFINED,
    Address,
    Refused,
    Request,
    asked_address,
    error_packet,
    negotiate,
    parse_request,
)

Lookup = Callable[[str], Path | bytes | None]
"""The name as asked -> a regular file or a text to send, or None (ERROR 1). What it raises is logged, and ERROR 0."""

IsAsked = Callable[[str], bool]
"""Whether what ``Lookup`` does not know is to be asked by ``Asker``."""

MAX_SESSIONS = 2000
HOST_SESSIONS = 1000  # one address, however hostile, leaves half of the table to the others
HOST_HALF_OPEN = 256
REQUESTS_PER_WAKEUP = 64
QUESTIONS, HOST_QUESTIONS, ANSWERED = 256, 64, 5.0  # that wait; of one address; seconds after which they do no more
DRAIN = 30.0  # seconds
TICK = 0.025  # seconds: how exact timers are
LOG_PERIOD, LINES_SENT, LINES_REFUSED = 60.0, 3000, 60  # seconds, and lines in them: nobody fills a disk


log = logging.getLogger(__name__)

TRANSFERS = counters.Number(
    "counter",
    "bootforge_tftp_transfers",
    "Transfers that ended, by how.",
    result=("sent", "told-size", "failed", "left"),
)
BYTES = counters.Number("counter", "bootforge_tftp_bytes", "Bytes of files that clients acknowledged.")
OPEN = counters.Number("gauge", "bootforge_tftp_open_transfers", "Transfers that are going on.")
REFUSED = counters.Number("counter", "bootforge_tftp_refused", "Requests that were refused, or not answered when full.")


class Waiting(NamedTuple):
    """A request that is answered once a question is."""

    request: Request
    local: Address
    peer: Address
    who: str
    until: float


def run(
    sock: socket.socket,
    lookup: Lookup,
    *,
    asker: Asker | None = None,
    is_asked: IsAsked = lambda name: False,
    single_port: bool = False,
) -> None:
    """Serve on ``sock`` until SIGTERM or SIGINT, let transfers in flight finish (DRAIN seconds), return."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * MAX_SESSIONS + 64  # a socket and a file each
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    server = TftpServer(sock, lookup, asker=asker, is_asked=is_asked, single_port=single_port)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: server.stop())
    server.serve()


class TftpServer:
    """Serves what ``lookup`` names on a bound UDP socket, which stays the caller's to close.

    ``say`` gets whole lines with the peer and, once known, the file: rate-limited, no control characters; ``extra``, as
    a logger takes it, with those about transfers.
    ``asker``: asked for names that ``is_asked`` and that ``lookup`` does not know. ``single_port``: transfers use that
    socket, too.
    """

    def __init__(
        self,
        sock: socket.socket,
        lookup: Lookup,
        say: Callable[..., None] = log.info,
        *,
        asker: Asker | None = None,
        is_asked: IsAsked = lambda name: False,
        drain: float = DRAIN,
        single_port: bool = False,
    ) -> None:
        sock.setblocking(False)
        self._sock, self._lookup, self._drain = sock, lookup, drain
        self._asker, self._is_asked = asker, is_asked
        self._waiting: dict[int, Waiting] = {}
        self._loop, self._cache = Loop(), Cache()
        self._shared = SharedPort(self._loop, sock) if single_port else None
        self._draining, self._next_tick = False, 0.0
        self._live: dict[Address, Transfer] = {}
        self._hosts: Counter[str] = Counter()
        self._half_open: Counter[str] = Counter()
        self._say = _Throttle(self._loop, say, LINES_SENT, "transfers")
        self._grumble = _Throttle(self._loop, say, LINES_REFUSED, "refused requests")

    def stop(self) -> None:
        """Have ``serve`` come to its end; from a signal handler or another thread, too."""
        self._loop.stop()

    def serve(self) -> None:
        """Answer requests until stopped, then let transfers in flight finish for ``drain`` seconds; the rest get
        ERROR 0. Requests that come meanwhile stay in the socket for the next server, or with a single port are
        not answered: clients ask again."""
        loop = self._loop
        loop.watch(self._sock.fileno(), self._on_event)
        if self._asker:
            loop.watch(self._asker.fileno(), self._on_answers)
        try:
            while not loop.stopping:
                self._turn()
            self._draining = True
            if not self._shared:
                loop.unwatch(self._sock.fileno())
            end = loop.now + self._drain
            while self._live and loop.now < end:
                self._turn()
        finally:
            for transfer in list(self._live.values()):
                transfer.fail("the server is stopping")
            loop.unwatch(self._sock.fileno())
            self._say.tick(float("inf"))
            self._grumble.tick(float("inf"))
            loop.close()

    def _turn(self) -> None:
        loop = self._loop
        loop.turn(TICK if self._live else LOG_PERIOD)
        if loop.now >= self._next_tick:
            self._next_tick = loop.now + TICK
            for transfer in [one for one in self._live.values() if one.deadline <= loop.now]:
                self._guard(transfer, transfer.on_deadline)
            self._say.tick(loop.now)
            self._grumble.tick(loop.now)

    def _guard(self, transfer: Transfer, call: Callable[..., None], *arguments: object) -> None:
        """Call; what it raises ends that transfer alone."""
        try:
            call(*arguments)
        except Exception:
            log.exception("tftp: a fault of this server")
            if self._live.get(transfer.peer) is transfer:
                transfer.end("failed: a fault of this server")

    def _on_event(self, event: int) -> None:
        if event != WRITE:
            self._on_datagrams()
        if event & WRITE and self._shared:
            self._shared.go_on()

    def _on_datagrams(self) -> None:
        for _ in range(REQUESTS_PER_WAKEUP):  # the rest waits a turn, so that transfers go on in a flood
            try:
                datagram, control, _, peer = self._sock.recvmsg(REQUEST_BYTES, 256)
            except OSError:  # as a rule: there are no more
                return
            if self._shared and datagram[:2] != b"\0\1" and (live := self._live.get(peer)):
                self._guard(live, live.receive, datagram)
                continue
            if self._draining:
                continue
            host = asked_address(control) if control else self._sock.getsockname()[0]
            if host and peer[1]:  # nothing can be sent to port 0
                # A new port is the server's TID (RFC 1350, section 4); a link-local address needs its scope.
                self._on_request(datagram, (host, 0, *peer[2:]), peer)

    def _on_request(self, datagram: bytes, local: Address, peer: Address) -> None:
        who = f"tftp {peer[0].removeprefix('::ffff:')} port {peer[1]}"
        try:
            request = parse_request(datagram)
        except Refused as refusal:
            self._refuse(refusal, local, peer, who)
            return
        who = f"{who}: {ascii(request.name[:200])}"
        self._answering(local, peer, who, partial(self._asked, request, local, peer, who))

    def _asked(self, request: Request, local: Address, peer: Address, who: str) -> None:
        if not self._is_repeated(request.datagram, peer):
            self._start(request, local, peer, who)

    def _ask(self, asker: Asker, waiting: Waiting) -> None:
        """What is behind a name that the worker knows. An equal request that comes meanwhile is dropped."""
        now, peer = self._loop.now, waiting.peer
        self._waiting = {number: one for number, one in self._waiting.items() if one.until > now}
        if any(one.peer == peer and one.request == waiting.request for one in self._waiting.values()):
            return
        same = sum(one.peer[0] == peer[0] for one in self._waiting.values())
        full = len(self._waiting) >= QUESTIONS or same >= HOST_QUESTIONS
        number = None if full else asker.ask(Question("tftp", peer[0], waiting.request.name.lstrip("/")))
        if number is None:
            raise Refused(None, f"busy: {len(self._waiting)} wait to be told what to boot, {same} at this address")
        self._waiting[number] = waiting

    def _on_answers(self, _: int) -> None:
        for number, fd in self._asker.answers() if self._asker else ():
            one = self._waiting.pop(number, None)
            if one and not self._draining:
                self._answering(one.local, one.peer, one.who, partial(self._start_found, fd, one))
            elif fd is not None:
                os.close(fd)

    def _start_found(self, fd: int | None, one: Waiting) -> None:
        if fd is None:
            raise Refused(NOT_FOUND, "file not found")
        fd, status = as_asked(fd, one.request.netascii)
        if self._is_full(one.peer[0]) or self._is_repeated(one.request.datagram, one.peer):
            os.close(fd)
            return
        self._send(fd, status, one.request, one.local, one.peer, one.who)

    def _answering(self, local: Address, peer: Address, who: str, call: Callable[[], None]) -> None:
        """Call; a refusal is told to the peer, and whatever goes wrong to the log."""
        try:
            call()
        except Refused as refusal:
            self._refuse(refusal, local, peer, who)
        except OSError as error:  # no descriptors left, or a peer that cannot be answered: silence
            self._grumble(f"{who}: not served: {error}")
        except Exception as error:
            self._grumble(f"{who}: a fault of this server: {error!r}")

    def _refuse(self, refusal: Refused, local: Address, peer: Address, who: str) -> None:
        REFUSED.add()
        self._grumble(f"{who}: refused: {refusal}")
        if refusal.code is not None:
            with suppress(OSError):
                line = self._line(local, peer)
                line.send(error_packet(refusal.code, str(refusal)))
                line.close()

    def _line(self, local: Address, peer: Address) -> Line:
        if self._shared:
            return SharedLine(self._shared, local, peer)
        return OwnLine(self._loop, self._sock.family, local, peer)

    def _is_repeated(self, datagram: bytes, peer: Address) -> bool:
        if live := self._live.get(peer):
            live.poll()  # OVMF's ERROR 8, which ends this, may still be unread when its next request is
        if not live or peer not in self._live:
            return False
        if live.request.datagram == datagram and (live.half_open or not live.resends):
            return True
        live.end("the client started over")
        return False

    def _start(self, request: Request, local: Address, peer: Address, who: str) -> None:
        if self._is_full(peer[0]):
            raise Refused(None, f"busy: {len(self._live)} transfers, {self._hosts[peer[0]]} to this address")
        try:
            found = self._lookup(request.name)
        except Exception as error:
            self._grumble(f"{who}: the lookup failed: {error!r}")
            raise Refused(UNDEFINED, "the lookup failed") from None
        if found is None:
            if self._asker and self._is_asked(request.name.lstrip("/")):
                self._ask(self._asker, Waiting(request, local, peer, who, self._loop.now + ANSWERED))
                return
            raise Refused(NOT_FOUND, "file not found")
        fd, status = open_file(found, request.netascii)
        self._send(fd, status, request, local, peer, who)

    def _is_full(self, host: str) -> bool:
        full = len(self._live) >= MAX_SESSIONS or self._hosts[host] >= HOST_SESSIONS
        return full or self._half_open[host] >= HOST_HALF_OPEN

    def _send(self, fd: int, status: os.stat_result, request: Request, local: Address, peer: Address, who: str) -> None:
        granted = negotiate(request.options, status.st_size)
        file = self._cache.take(fd, status, granted[b"blksize"][1] if b"blksize" in granted else 512)
        try:
            line = self._line(local, peer)
        except OSError:
            file.release()
            raise
        ended = partial(self._on_end, who)
        transfer = Transfer(self._loop, line, file, request, granted, peer, self._on_confirmed, ended)
        self._live[peer] = transfer
        self._hosts[peer[0]] += 1
        self._half_open[peer[0]] += 1
        OPEN.put(len(self._live))
        transfer.start()

    def _on_confirmed(self, transfer: Transfer) -> None:
        _subtract(self._half_open, transfer.peer[0])

    def _on_end(self, who: str, transfer: Transfer, how: str) -> None:
        del self._live[transfer.peer]
        _subtract(self._hosts, transfer.peer[0])
        if transfer.half_open:
            _subtract(self._half_open, transfer.peer[0])
        result = {"sent": "sent", "told": "told-size", "the": "left"}.get(how.partition(" ")[0], "failed")
        TRANSFERS.add(result)
        BYTES.add(n=transfer.delivered)
        OPEN.put(len(self._live))
        more = told(client=transfer.peer[0].removeprefix("::ffff:"), result=result, bytes=transfer.delivered)
        # A peer that never sent an ACK may be a forged address: noise, when they come in floods.
        (self._grumble if transfer.half_open else self._say)(f"{who}: {how}", extra=more)


class _Throttle:
    """Passes ``limit`` lines in each LOG_PERIOD, and says how many more there were."""

    def __init__(self, loop: Loop, write: Callable[..., None], limit: int, what: str) -> None:
        self._loop, self._write, self._limit, self._what = loop, write, limit, what
        self._count, self._end = 0, 0.0

    def __call__(self, line: str, **more: object) -> None:
        if not self._count:
            self._end = self._loop.now + LOG_PERIOD
        self._count += 1
        if self._count <= self._limit:
            self._write(line, **more)

    def tick(self, now: float) -> None:
        """Ends a period that is over."""
        if self._count and now >= self._end:
            if self._count > self._limit:
                self._write(f"tftp: {self._count - self._limit} more lines about {self._what} suppressed")
            self._count = 0


def _subtract(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
