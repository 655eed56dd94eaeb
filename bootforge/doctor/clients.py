"""Clients that ask as firmware and loaders do. What they get is from whoever listens there: bounded, and believed for
nothing."""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from types import MappingProxyType
from urllib.parse import urljoin, urlsplit

PATIENCE = 10.0
"""Seconds without an answer, after which there is none."""
MOST = 1 << 30
"""Bytes of a file that are taken; there are no larger boot programs."""
_REDIRECTS = 5
_RECVERR = {socket.AF_INET: (socket.IPPROTO_IP, 11), socket.AF_INET6: (socket.IPPROTO_IPV6, 25)}
_SENT_AGAIN = 4


@dataclass(frozen=True, slots=True)
class Got:
    """An answer, by HTTP with a ``status``. ``error`` says why it is none, in one line without control characters.
    ``size`` is what the body has, or of a HEAD what it would have, -1 when that is not told; ``date`` the server's
    clock in seconds since the epoch."""

    error: str = ""
    status: int = 0
    size: int = -1
    digest: str = ""
    seconds: float = 0.0
    body: bytes = field(default=b"", repr=False)
    how: str = ""
    date: float | None = None


# HTTP


def fetch(
    url: str, head: bool = False, headers: Mapping[str, str] = MappingProxyType({}), patience: float = PATIENCE
) -> Got:
    """A GET, or HEAD, that follows redirects as iPXE and curl do. No proxy and no netrc is heeded."""
    began = time.monotonic()
    try:
        for _ in range(_REDIRECTS):
            got, to = _one(url, head, headers, patience)
            if not to:
                return _timed(got, began)
            url = urljoin(url, to)
        return _timed(Got("too many redirects"), began)
    except ssl.SSLCertVerificationError as error:
        return _timed(Got(_plain(f"its certificate is not good: {error.verify_message}")), began)
    except (OSError, http.client.HTTPException, ValueError) as error:
        return _timed(Got(_plain(getattr(error, "strerror", None) or str(error) or type(error).__name__)), began)


def _one(url: str, head: bool, headers: Mapping[str, str], patience: float) -> tuple[Got, str]:
    """One answer, and where it leads to."""
    parts = urlsplit(url)
    kinds = {"http": http.client.HTTPConnection, "https": http.client.HTTPSConnection}
    if parts.scheme not in kinds or not parts.hostname:
        raise ValueError(f"{url!r} is no URL of HTTP")
    connection = kinds[parts.scheme](parts.hostname, parts.port, timeout=patience)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("HEAD" if head else "GET", path, headers={"User-Agent": "bootforge", **headers})
        answer = connection.getresponse()
        if answer.status in (301, 302, 303, 307, 308) and (to := answer.getheader("Location")):
            return Got(), to
        body = b"" if head else answer.read(MOST)
        length = answer.getheader("Content-Length", "")
        size = (int(length) if length.isascii() and length.isdecimal() else -1) if head else len(body)
        got = Got(status=answer.status, size=size, body=body, date=_date(answer.getheader("Date", "")))
        return got, ""
    finally:
        connection.close()


def _date(text: str) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None


def certificate_days(host: str, port: int, patience: float = PATIENCE) -> float:
    """Days for which the certificate of a server is good. Raises OSError (ssl.SSLError among them)."""
    context = ssl.create_default_context()
    with (
        socket.create_connection((host, port), patience) as plain,
        context.wrap_socket(plain, server_hostname=host) as one,
    ):
        found = one.getpeercert() or {}
    return (ssl.cert_time_to_seconds(str(found["notAfter"])) - time.time()) / 86400


def _timed(got: Got, began: float) -> Got:
    digest = hashlib.sha256(got.body).hexdigest() if got.body else ""
    return Got(got.error, got.status, got.size, digest, time.monotonic() - began, got.body, got.how, got.date)


# TFTP


def fetch_tftp(
    server: str, port: int, name: str, blksize: int = 1456, window: int = 1, patience: float = PATIENCE
) -> Got:
    """A file by TFTP, octet, with the options tsize and blksize, and windowsize when it is more than 1."""
    began = time.monotonic()
    try:
        family = socket.AF_INET6 if ":" in server else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            # A port that nobody listens on is told at once, though the socket is not connected: answers come from
            # another port than was asked (ip(7), IP_RECVERR).
            sock.setsockopt(*_RECVERR[family], 1)
            return _timed(_Tftp(sock, (server, port), patience).fetch(name, blksize, window), began)
    except _Failed as failed:
        return _timed(Got(_plain(str(failed))), began)
    except OSError as error:
        return _timed(Got(_plain(error.strerror or "no answer")), began)


class _Failed(Exception):
    """The transfer failed."""


class _Tftp:
    """One transfer. The first answer decides which port it is (RFC 1350, section 4)."""

    def __init__(self, sock: socket.socket, server: tuple[str, int], patience: float) -> None:
        self.sock, self.peer, self.patience = sock, server, patience
        self.bound = False

    def fetch(self, name: str, blksize: int, window: int) -> Got:
        asked = {"tsize": 0, "blksize": blksize, **({"windowsize": window} if window > 1 else {})}
        options = b"".join(f"{key}\0{value}\0".encode() for key, value in asked.items())
        packet = self._ask(b"\0\1" + name.encode() + b"\0octet\0" + options)
        granted: dict[str, int] = {}
        body, block, unsaid = bytearray(), 0, 0
        if packet[:2] == b"\0\6":
            granted = self._granted(packet, asked)
            packet = self._ask(self._ack(0))
        blksize, window = granted.get("blksize", 512), granted.get("windowsize", 1)
        while True:
            number = int.from_bytes(packet[2:4], "big")
            if packet[:2] == b"\0\3" and number == (block + 1) & 0xFFFF:
                data, block, unsaid = packet[4:], block + 1, unsaid + 1
                body += data
                if len(body) > MOST:
                    raise _Failed("the file is too long")
                if len(data) < blksize:
                    self.sock.sendto(self._ack(block), self.peer)
                    break
                if unsaid < window:
                    packet = self._receive(self._ack(block))
                    continue
            # The window is complete, or a packet of it is missing: the last one that came in order is acknowledged.
            packet, unsaid = self._ask(self._ack(block)), 0
        if "tsize" in granted and granted["tsize"] != len(body):
            raise _Failed(f"{len(body)} bytes came, {granted['tsize']} were said to")
        how = f"{block} blocks of {blksize}, window {window}"
        return Got(size=len(body), body=bytes(body), how=how)

    @staticmethod
    def _ack(block: int) -> bytes:
        return b"\0\4" + (block & 0xFFFF).to_bytes(2, "big")

    def _granted(self, packet: bytes, asked: Mapping[str, int]) -> dict[str, int]:
        words = packet[2:].split(b"\0")
        pairs = zip(words[::2], words[1::2], strict=False)
        granted = {key.decode("latin-1").lower(): int(value) for key, value in pairs if value.isdigit()}
        if set(granted) - set(asked) or any(not 0 < granted[key] <= asked[key] for key in granted if key != "tsize"):
            raise _Failed("it grants what was not asked for")
        return granted

    def _ask(self, packet: bytes) -> bytes:
        """Sends a packet, a few times if need be, and waits for the next one."""
        for _ in range(_SENT_AGAIN):
            self.sock.sendto(packet, self.peer)
            with suppress(TimeoutError):
                return self._next(self.patience / _SENT_AGAIN)
        raise _Failed("no answer")

    def _receive(self, packet: bytes) -> bytes:
        """The next packet of a window; ``packet`` is sent when none comes."""
        try:
            return self._next(self.patience / _SENT_AGAIN)
        except TimeoutError:
            return self._ask(packet)

    def _next(self, seconds: float) -> bytes:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            packet, sender = self.sock.recvfrom(65536)
            if sender[0] != self.peer[0] or (self.bound and sender[1] != self.peer[1]):
                continue  # a stranger
            self.peer, self.bound = (sender[0], sender[1]), True
            if packet[:2] == b"\0\5":
                raise _Failed(f"error {int.from_bytes(packet[2:4], 'big')}: {packet[4:104].decode('latin-1')}")
            return packet
        raise TimeoutError


_ODD = re.compile(r"[^ -~]+")


def _plain(text: str) -> str:
    """One line of what somebody else said."""
    return _ODD.sub(" ", text).strip()[:200] or "no answer"
