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
- Full (2,000 transfers; per address 1,000, and 64 that have acknowledged nothing yet) is silence too: clients
  ask again by themselves, an ERROR would end the boot. A rack behind one NAT address waits its turn, which is
  short: 64 of its machines get past their first packet in each round trip.
- An equal request from a live (address, port) is dropped: the timer answers it. A different one, or an equal
  one once the transfer fell silent, is a machine that started over (ROMs reuse their port): it replaces it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import resource
import signal
import socket
import stat
import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

Lookup = Callable[[str], Path | None]
"""The name as asked -> a regular file to send, or None (ERROR 1). What it raises is logged, and ERROR 0."""

MAX_SESSIONS = 2000
HOST_SESSIONS = 1000  # one address, however hostile, leaves half of the table to the others
HOST_HALF_OPEN = 64
REQUESTS_PER_WAKEUP = 64
REQUEST_BYTES = 1500  # RFC 2347 says 512, but a longer name does no harm
MAX_BLKSIZE, MAX_WINDOW = 65464, 64
CHUNK_BYTES = 96 << 10  # read ahead per transfer: 64 blocks of 1468; 2,000 transfers stay under 200 MiB
NETASCII_BYTES = 256 << 10
RESEND_AFTER, LONGEST_WAIT, RESENDS = 1.0, 16.0, 5  # seconds: 1, 2, 4, 8, 16, and 16 more before giving up
DRAIN = 30.0  # seconds
LOG_PERIOD, LINES_SENT, LINES_REFUSED = 60.0, 3000, 60  # lines per seconds: nobody fills a disk

UNDEFINED, NOT_FOUND, ACCESS, ILLEGAL = 0, 1, 2, 4  # error codes: RFC 1350, section 5
_IP_PKTINFO = 8  # <linux/in.h>; neither has a name in Python 3.11
_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>

_Address = tuple[Any, ...]
_Options = tuple[tuple[bytes, bytes], ...]
_header = struct.Struct("!HH").pack
_log = logging.getLogger(__name__).info


class Refused(Exception):
    """Why a request is not served, with the TFTP error ``code`` for the client, or None for silence."""

    def __init__(self, code: int | None, why: str) -> None:
        super().__init__(why)
        self.code = code


class Request(NamedTuple):
    """A read request. ``options`` are pairs of a name as spelled and a value, neither of them judged yet."""

    datagram: bytes
    name: str
    netascii: bool
    options: _Options


def parse_request(datagram: bytes) -> Request:
    """Read a datagram of the request port (RFC 1350, section 5; RFC 2347). Raises Refused, nothing else."""
    if datagram[:2] == b"\0\2":
        raise Refused(ILLEGAL, "this server is read-only")
    if datagram[:2] != b"\0\1":
        raise Refused(None, "not a request")
    fields = datagram[2:].split(b"\0")
    if len(fields) < 3:
        raise Refused(ILLEGAL, "malformed request")
    if (mode := fields[1].lower()) not in (b"octet", b"netascii"):
        raise Refused(ILLEGAL, "unknown mode, ask for octet")
    try:
        name = fields[0].decode()
    except UnicodeDecodeError:
        raise Refused(NOT_FOUND, "file not found") from None
    # The last field is what follows the last NUL: nothing in a whole request, else an option cut off.
    options = tuple(zip(fields[2:-1:2], fields[3:-1:2], strict=False))
    return Request(datagram, name, mode == b"netascii", options)


def negotiate(options: _Options, size: int) -> dict[bytes, tuple[bytes, int]]:
    """What is granted for a file of ``size`` bytes: canonical name -> (name as spelled, value)."""
    granted: dict[bytes, tuple[bytes, int]] = {}
    for spelled, text in options:
        name = spelled.lower()
        if name in granted or not text.isdigit():
            continue
        value = int(text)
        if name == b"blksize" and value >= 8:
            granted[name] = spelled, min(value, MAX_BLKSIZE)
        elif name == b"windowsize" and value >= 1:
            granted[name] = spelled, min(value, MAX_WINDOW)
        elif name == b"timeout" and 1 <= value <= 255:
            granted[name] = spelled, value
        elif name == b"tsize" and size:
            granted[name] = spelled, size
    return granted


def bind(address: str, port: int) -> socket.socket:
    """A UDP socket for :class:`TftpServer` at a numeric address (``::``: both families); port 0: a free one.

    It tells the address each datagram was sent to, and holds 1 MiB: a rack that asks at once. Raises OSError.
    """
    info = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    sock = _udp(info[0][0], info[0][4])
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)  # at most net.core.rmem_max, but
    with suppress(PermissionError):  # with CAP_NET_ADMIN
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 1 << 20)
    sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)  # with '::' for its IPv4 clients
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return sock


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
        self._live: dict[_Address, _Transfer] = {}
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

    def forget(self, peer: _Address) -> None:
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
            host = _asked_address(control) if control else self._sock.getsockname()[0]
            if host and peer[1]:  # nothing can be sent to port 0
                # A new port is the server's TID (RFC 1350, section 4); a link-local address needs its scope.
                self._on_request(datagram, (host, 0, *peer[2:]), peer)

    def _on_request(self, datagram: bytes, local: _Address, peer: _Address) -> None:
        who = f"tftp {peer[0].removeprefix('::ffff:')} port {peer[1]}"
        try:
            request = parse_request(datagram)
            who = f"{who}: {ascii(request.name[:200])}"
            if not self._is_repeated(datagram, peer):
                self._start(request, local, peer, who)
        except Refused as refusal:
            self.grumble(f"{who}: refused: {refusal}")
            if refusal.code is not None:
                with suppress(OSError), _udp(self._sock.family, local, peer) as sock:
                    sock.send(_error(refusal.code, str(refusal)))
        except OSError as error:  # no descriptors left, or a peer that cannot be answered: silence
            self.grumble(f"{who}: not served: {error}")

    def _is_repeated(self, datagram: bytes, peer: _Address) -> bool:
        if live := self._live.get(peer):
            live.receive()  # OVMF's ERROR 8, which ends this, may still be unread when its next request is
        if not live or peer not in self._live:
            return False
        if live.request.datagram == datagram and (live.half_open or not live.resends):
            return True
        live.end("the client started over")
        return False

    def _start(self, request: Request, local: _Address, peer: _Address, who: str) -> None:
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
        fd = _open(path, request.netascii)
        try:
            sock = _udp(self._sock.family, local, peer)
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
        self, server: TftpServer, sock: socket.socket, fd: int, peer: _Address, request: Request, who: str
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
        blocks = (_header(3, first + n & 0xFFFF) + data[n * size : (n + 1) * size] for n in range(count))
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
            self._sock.send(_error(UNDEFINED, why))
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


def _open(path: Path, netascii: bool) -> int:
    """A descriptor of the regular file, or of its netascii form in memory. Raises OSError, Refused."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(NOT_FOUND, "file not found") from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise Refused(ACCESS, "access violation") from None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(ACCESS, "not a regular file")
        if netascii:
            text = os.pread(fd, NETASCII_BYTES + 1, 0)
            if len(text) > NETASCII_BYTES:
                raise Refused(UNDEFINED, "too large for netascii, ask for octet")
            with open(os.memfd_create("netascii"), "wb", buffering=0) as memory:
                memory.write(text.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n"))
                os.dup2(memory.fileno(), fd, inheritable=False)
    except (OSError, Refused):
        os.close(fd)
        raise
    return fd


def _udp(family: int, local: _Address, peer: _Address | None = None) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # whatever net.ipv6.bindv6only says
        sock.bind(local)
        if peer:
            sock.connect(peer)
    except OSError:
        sock.close()
        raise
    return sock


def _asked_address(control: list[tuple[int, int, bytes]]) -> str:
    """The address a datagram was sent to, from its ancillary data; '' for broadcast and multicast."""
    asked = ""
    for level, kind, data in control:  # an IPv4 datagram on an IPv6 socket has both kinds
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO:
            _, ours, destination = struct.unpack("=I4s4s", data[:12])
            if ours != destination:
                return ""
            asked = asked or socket.inet_ntoa(destination)
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and data[0] != 0xFF:
            asked = socket.inet_ntop(socket.AF_INET6, data[:16])
    return asked


def _error(code: int, message: str) -> bytes:
    return _header(5, code) + message.encode("ascii", "replace") + b"\0"


def _subtract(counter: Counter[str], key: str) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]
