"""A read-only TFTP server: loader files to firmware, and nothing that a datagram can break.

RFC 1350, 2347 (options), 2348 blksize, 2349 tsize and timeout, 7440 windowsize. One asyncio loop; one
connected UDP socket per transfer, bound to the address that was asked: replies leave from there and
the kernel drops strangers. What the standards leave open, and the answer here:

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

import asyncio
import logging
import os
import resource
import signal
import socket
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bootforge.serve.tftp_wire import (
    NOT_FOUND,
    REQUEST_BYTES,
    UNDEFINED,
    Address,
    Refused,
    Request,
    asked_address,
    error_packet,
    header,
    negotiate,
    open_file,
    parse_request,
    udp,
)

Lookup = Callable[[str], Path | None]
"""The name as asked -> a regular file to send, or None (ERROR 1). What it raises is logged, and ERROR 0."""

MAX_SESSIONS = 2000
HOST_SESSIONS = 1000  # one address, however hostile, leaves half of the table to the others
HOST_HALF_OPEN = 256
REQUESTS_PER_WAKEUP = 64
CHUNK_BYTES = 96 << 10  # read ahead per transfer: 64 blocks of 1468; about 200 MiB for 2,000 transfers
RESEND_AFTER, LONGEST_WAIT, RESENDS = 1.0, 16.0, 5  # seconds: 1, 2, 4, 8, 16, and 16 more before giving up
DRAIN = 30.0  # seconds
LOG_PERIOD, LINES_SENT, LINES_REFUSED = 60.0, 3000, 60  # seconds, and lines in them: nobody fills a disk


_log = logging.getLogger(__name__).info


def run(sock: socket.socket, lookup: Lookup) -> None:
    """Serve on ``sock`` until SIGTERM or SIGINT, let transfers in flight finish (DRAIN seconds), return."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    need = 2 * MAX_SESSIONS + 64  # a socket and a file each
    if soft != resource.RLIM_INFINITY and soft < need:
        soft = need if hard == resource.RLIM_INFINITY else min(need, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    async def until_signalled() -> None:
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        await TftpServer(sock, lookup).serve(stop)

    asyncio.run(until_signalled())


class TftpServer:
    """Serves what ``lookup`` names on a bound UDP socket, which stays the caller's to close.

    ``log`` gets whole lines with the peer and, once known, the file: rate-limited, no control characters.
    """

    def __init__(
        self, sock: socket.socket, lookup: Lookup, log: Callable[[str], None] = _log, *, drain: float = DRAIN
    ) -> None:
        sock.setblocking(False)
        self._sock, self._lookup, self._drain = sock, lookup, drain
        self._live: dict[Address, _Transfer] = {}
        self._idle = asyncio.Event()
        self.hosts: Counter[str] = Counter()
        self.half_open: Counter[str] = Counter()
        self.say = _Throttle(log, LINES_SENT, "transfers")
        self.grumble = _Throttle(log, LINES_REFUSED, "refused requests")

    async def serve(self, stop: asyncio.Event) -> None:
        """Answer requests until ``stop`` is set, then let transfers in flight finish for ``drain`` seconds;
        the rest get ERROR 0. Requests that come meanwhile stay in the socket for the next server."""
        loop = asyncio.get_running_loop()
        loop.add_reader(self._sock, self._on_requests)
        try:
            await stop.wait()
            loop.remove_reader(self._sock)
            if self._live:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._idle.wait(), self._drain)
        finally:
            loop.remove_reader(self._sock)
            for transfer in list(self._live.values()):
                transfer.fail("the server is stopping")
            self.say.turn()
            self.grumble.turn()

    def forget(self, peer: Address) -> None:
        """The transfer to ``peer`` has ended."""
        del self._live[peer]
        _subtract(self.hosts, peer[0])
        if not self._live:
            self._idle.set()

    def _on_requests(self) -> None:
        for _ in range(REQUESTS_PER_WAKEUP):  # the rest waits a turn, so that transfers go on in a flood
            try:
                datagram, control, _, peer = self._sock.recvmsg(REQUEST_BYTES, 256)
            except OSError:  # as a rule: there are no more
                return
            host = asked_address(control) if control else self._sock.getsockname()[0]
            if host and peer[1]:  # nothing can be sent to port 0
                # A new port is the server's TID (RFC 1350, section 4); a link-local address needs its scope.
                self._on_request(datagram, (host, 0, *peer[2:]), peer)

    def _on_request(self, datagram: bytes, local: Address, peer: Address) -> None:
        who = f"tftp {peer[0].removeprefix('::ffff:')} port {peer[1]}"
        try:
            request = parse_request(datagram)
            who = f"{who}: {ascii(request.name[:200])}"
            if not self._is_repeated(datagram, peer):
                self._start(request, local, peer, who)
        except Refused as refusal:
            self.grumble(f"{who}: refused: {refusal}")
            if refusal.code is not None:
                with suppress(OSError), udp(self._sock.family, local, peer) as sock:
                    sock.send(error_packet(refusal.code, str(refusal)))
        except OSError as error:  # no descriptors left, or a peer that cannot be answered: silence
            self.grumble(f"{who}: not served: {error}")

    def _is_repeated(self, datagram: bytes, peer: Address) -> bool:
        if live := self._live.get(peer):
            live.receive()  # OVMF's ERROR 8, which ends this, may still be unread when its next request is
        if not live or peer not in self._live:
            return False
        if live.request.datagram == datagram and (live.half_open or not live.resends):
            return True
        live.end("the client started over")
        return False

    def _start(self, request: Request, local: Address, peer: Address, who: str) -> None:
        host = peer[0]
        full = len(self._live) >= MAX_SESSIONS or self.hosts[host] >= HOST_SESSIONS
        if full or self.half_open[host] >= HOST_HALF_OPEN:
            raise Refused(None, f"busy: {len(self._live)} transfers, {self.hosts[host]} to this address")
        try:
            path = self._lookup(request.name)
        except Exception as error:
            self.grumble(f"{who}: the lookup failed: {error!r}")
            raise Refused(UNDEFINED, "the lookup failed") from None
        if path is None:
            raise Refused(NOT_FOUND, "file not found")
        fd = open_file(path, request.netascii)
        try:
            sock = udp(self._sock.family, local, peer)
        except OSError:
            os.close(fd)
            raise
        self._live[peer] = transfer = _Transfer(self, sock, fd, peer, request, who)
        self._idle.clear()
        self.hosts[host] += 1
        self.half_open[host] += 1
        transfer.start()


class _Transfer:
    """One file on its way to one peer. ``acked`` is the last block the client has, ``sent`` the last sent;
    block 0 is the OACK. Blocks are counted on without end and cut to 16 bits on the wire: any size works."""

    def __init__(
        self, server: TftpServer, sock: socket.socket, fd: int, peer: Address, request: Request, who: str
    ) -> None:
        self._server, self._sock, self._fd, self._who = server, sock, fd, who
        self.peer, self.request = peer, request
        status = os.fstat(fd)
        self._size, self._stamp = status.st_size, (status.st_size, status.st_mtime_ns)
        granted = negotiate(request.options, self._size)
        value = {name: number for name, (_, number) in granted.items()}
        self._oack = b"".join(b"%b\0%d\0" % pair for pair in granted.values())
        self._blksize = value.get(b"blksize", 512)
        self._window = value.get(b"windowsize", 1)
        self._patience = value.get(b"timeout", RESEND_AFTER)
        self._last = self._size // self._blksize + 1  # the short, perhaps empty, block at the end
        self._chunk, self._chunk_first = memoryview(b""), 0
        self._chunk_blocks = max(1, min(64, CHUNK_BYTES // self._blksize))
        self.acked = self.sent = -1 if granted else 0
        self.half_open, self.resends, self._stalled = True, 0, False
        self._loop = asyncio.get_running_loop()
        self._started = self._loop.time()
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self._loop.add_reader(self._sock, self.receive)
        self._fill()

    def receive(self) -> None:
        """Take one packet from the client; what is neither ACK nor ERROR is ignored."""
        try:
            packet = self._sock.recv(512)
        except ConnectionRefusedError:
            return self._on_refused()
        except OSError:  # nothing there, or a route that may come back: the timer decides
            return
        if packet[:2] == b"\0\4" and len(packet) >= 4:
            self._on_ack(packet[2] << 8 | packet[3])
        elif packet[:2] == b"\0\5":
            text = ascii(packet[4:104].partition(b"\0")[0].decode("latin-1"))
            said = f"ERROR {int.from_bytes(packet[2:4], 'big')} {text}"
            # In answer to an OACK this is no failure: the client only wanted the size (RFC 2347; OVMF).
            self.end(f"told its size, {said}" if self.acked < 0 else f"failed: the client sent {said}")

    def _on_ack(self, number: int) -> None:
        ahead = (number - self.acked) & 0xFFFF
        # The ACK of an old block sends nothing (Sorcerer's Apprentice, RFC 1123, 4.2.3.1); one inside the
        # window says that the block after it was lost, and sending goes on from there (RFC 7440, section 4).
        if not 0 < ahead <= self.sent - self.acked:
            return
        self.acked += ahead
        self.sent, self.resends = self.acked, 0
        if self.half_open:
            self.half_open = False
            _subtract(self._server.half_open, self.peer[0])
        if self.acked == self._last:
            self._done()
        else:
            self._fill()

    def _fill(self) -> None:
        """Send what the window has room for, and set the timer."""
        top = min(self.acked + self._window, self._last) if self.acked >= 0 else 0
        while self.sent < top:
            try:
                packet = self._packet(self.sent + 1)
            except (Refused, OSError) as error:
                return self.fail(str(error))
            try:
                self._sock.send(packet)
            except BlockingIOError:  # a full send buffer: go on when it has room
                self._stalled = True
                self._loop.add_writer(self._sock, self._fill)
                return self._arm()
            except ConnectionRefusedError:
                return self._on_refused()
            except OSError:  # a firewall, no route: lost like any packet, and resent by the timer
                pass
            self.sent += 1
        if self._stalled:
            self._stalled = False
            self._loop.remove_writer(self._sock)
        self._arm()

    def _packet(self, block: int) -> memoryview | bytes:
        if block == 0:
            return b"\0\6" + self._oack
        step = self._blksize + 4
        at = (block - self._chunk_first) * step
        if not 0 <= at < len(self._chunk):
            self._chunk, self._chunk_first, at = memoryview(self._read(block)), block, 0
        return self._chunk[at : at + step]

    def _read(self, first: int) -> bytes:
        """A chunk of the file from block ``first`` on, each behind its header: a window is one slice."""
        size, start = self._blksize, (first - 1) * self._blksize
        count = min(self._chunk_blocks, self._last - first + 1)
        data = os.pread(self._fd, count * size, start)
        status = os.fstat(self._fd)
        whole = len(data) == min(count * size, self._size - start)
        if not whole or (status.st_size, status.st_mtime_ns) != self._stamp:
            raise Refused(UNDEFINED, "the file changed while it was sent")
        blocks = (header(3, first + n & 0xFFFF) + data[n * size : (n + 1) * size] for n in range(count))
        return b"".join(blocks)

    def _arm(self) -> None:
        """Push the deadline back. The timer moves only when it must: about once a second, not per packet."""
        wait = min(self._patience * 2**self.resends, max(self._patience, LONGEST_WAIT))
        self._deadline = self._loop.time() + wait
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_timer)
        elif self.resends == RESENDS:
            self.fail(f"no answer after block {self.acked}")
        else:
            self.resends += 1
            self.sent = self.acked
            self._fill()

    def _on_refused(self) -> None:
        if self.sent == self._last:  # a client that closed its port because it has it all; its ACK was lost
            self._done(", last ACK lost")
        else:
            self.end(f"failed: the client left after block {self.acked}")

    def _done(self, note: str = "") -> None:
        how = f"in {self._loop.time() - self._started:.2f} s, blksize {self._blksize}, window {self._window}"
        self.end(f"sent {self._size} bytes {how}{note}")

    def fail(self, why: str) -> None:
        """End with an ERROR to the client."""
        with suppress(OSError):
            self._sock.send(error_packet(UNDEFINED, why))
        self.end(f"failed: {why}")

    def end(self, how: str) -> None:
        """Close everything, and log how it went."""
        self._loop.remove_reader(self._sock)
        self._loop.remove_writer(self._sock)
        if self._timer is not None:
            self._timer.cancel()
        self._sock.close()
        os.close(self._fd)
        if self.half_open:
            _subtract(self._server.half_open, self.peer[0])
        self._server.forget(self.peer)
        # A peer that never sent an ACK may be a forged address: noise, when they come in floods.
        (self._server.grumble if self.half_open else self._server.say)(f"{self._who}: {how}")


class _Throttle:
    """Passes ``limit`` lines in each LOG_PERIOD, and says how many more there were."""

    def __init__(self, write: Callable[[str], None], limit: int, what: str) -> None:
        self._write, self._limit, self._what, self._count = write, limit, what, 0

    def __call__(self, line: str) -> None:
        if not self._count:
            asyncio.get_running_loop().call_later(LOG_PERIOD, self.turn)
        self._count += 1
        if self._count <= self._limit:
            self._write(line)

    def turn(self) -> None:
        """The period is over."""
        if self._count > self._limit:
            self._write(f"tftp: {self._count - self._limit} more lines about {self._what} suppressed")
        self._count = 0


def _subtract(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
