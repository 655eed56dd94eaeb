"""The packets and sockets of TFTP, without any state: what a request says, what is granted, what is sent.

RFC 1350, 2347 (options), 2348 blksize, 2349 tsize and timeout, 7440 windowsize. tftp.py says what is decided where
the standards leave it open.
"""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import Any, NamedTuple

MAX_BLKSIZE, MAX_WINDOW = 65464, 64
REQUEST_BYTES = 1500  # RFC 2347 says 512, but a longer name does no harm

UNDEFINED, NOT_FOUND, ACCESS, ILLEGAL = 0, 1, 2, 4  # error codes: RFC 1350, section 5
IP_PKTINFO = 8  # <linux/in.h>; none of these has a name in Python 3.11
UDP_SEGMENT = 103  # <linux/udp.h>, from Linux 4.18 on
_SO_RCVBUFFORCE = 33  # <asm-generic/socket.h>

Address = tuple[Any, ...]
Options = tuple[tuple[bytes, bytes], ...]
header = struct.Struct("!HH").pack
"""The first four bytes of a packet: opcode, and block or error code."""


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
    options: Options


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


def negotiate(options: Options, size: int) -> dict[bytes, tuple[bytes, int]]:
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


def bind(address: str, port: int, *, single_port: bool = False) -> socket.socket:
    """A UDP socket for :class:`TftpServer` at a numeric address (``::``: both families); port 0: a free one.

    It tells the address each datagram was sent to, and holds 1 MiB: a rack that asks at once; 4 MiB, a packet of
    each of 2,000 transfers, if those use it as well. Raises OSError.
    """
    info = socket.getaddrinfo(address, port, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
    sock = udp(info[0][0], info[0][4])
    room = (4 if single_port else 1) << 20
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, room)  # at most net.core.rmem_max, but
    with suppress(PermissionError):  # with CAP_NET_ADMIN
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, room)
    sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)  # with '::' for its IPv4 clients
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    return sock


def udp(family: int, local: Address, peer: Address | None = None) -> socket.socket:
    """A UDP socket bound to ``local`` and, with a ``peer``, connected to it. Raises OSError."""
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


def asked_address(control: list[tuple[int, int, bytes]]) -> str:
    """The address a datagram was sent to, from its ancillary data; '' for broadcast and multicast."""
    asked = ""
    for level, kind, data in control:  # an IPv4 datagram on an IPv6 socket has both kinds
        if level == socket.IPPROTO_IP and kind == IP_PKTINFO:
            _, ours, destination = struct.unpack("=I4s4s", data[:12])
            if ours != destination:
                return ""
            asked = asked or socket.inet_ntoa(destination)
        elif level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and data[0] != 0xFF:
            asked = socket.inet_ntop(socket.AF_INET6, data[:16])
    return asked


def error_packet(code: int, message: str) -> bytes:
    """An ERROR packet (RFC 1350, section 5)."""
    return header(5, code) + message.encode("ascii", "replace") + b"\0"
