"""One client of the front: the head of its request, what it is to get, and how that goes into its socket."""

from __future__ import annotations

import os
import socket
from collections import deque
from collections.abc import Iterator
from email.utils import formatdate

from bootforge.serve.bootfiles import is_fetched
from bootforge.serve.media import PREFIX
from bootforge.serve.ranges import Reply, Span

_SMALL = 16 * 1024
"""What is copied, and sent together with the head before it, rather than sent by the kernel alone."""
_TOGETHER = 256 * 1024
"""Bytes that are copied at a time."""


class Connection:
    """A client: asking, until the whole head of a request is there; then sending; then asking again, or closed."""

    __slots__ = ("asked", "client", "deadline", "fd", "file", "keep", "lingers", "parts", "question", "sends", "socket")

    def __init__(self, connected: socket.socket, client: str, deadline: float) -> None:
        self.socket, self.fd, self.client, self.deadline = connected, connected.fileno(), client, deadline
        self.parts: deque[bytes | Span] = deque()
        self.file = -1
        self.keep = self.lingers = self.sends = False
        self.asked, self.question = b"", 0


def is_media(data: bytes) -> bool:
    """Whether the first line names a file of the media directory, as a path or as a whole URL."""
    return _fetched(data).startswith(PREFIX)


def boot_file(data: bytes) -> str | None:
    """The name of a boot file, if that is what the first line asks for."""
    path = _fetched(data).partition(b"?")[0].removeprefix(b"/").decode("latin-1")
    return path if is_fetched(path) else None


def _fetched(data: bytes) -> bytes:
    """The path of what is to be sent, or of which it is asked what it is; b'' of everything else."""
    words = data.partition(b"\r\n")[0].split(b" ")
    return _path(words[1]) if len(words) == 3 and words[0] in (b"GET", b"HEAD") else b""


def _path(target: bytes) -> bytes:
    """The path of a target, which may be a whole URL (RFC 9112 3.2.2)."""
    if target[:7].lower() == b"http://":
        return b"/" + target[7:].partition(b"/")[2]
    return target


def parse(head: bytes) -> tuple[str, bytes, str, dict[str, str]]:
    """Method, path, version and headers. Raises ValueError for what is no request, or has a body."""
    first, *lines = head.split(b"\r\n")
    method, target, version = first.split(b" ")
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        raise ValueError("another version")
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(b":")
        if not colon or not name or name != name.strip() or b"\n" in line or b"\r" in line or b"\0" in line:
            raise ValueError("no header")
        key, text = name.decode("latin-1").lower(), value.strip(b" \t").decode("latin-1")
        headers[key] = f"{headers[key]}, {text}" if key in headers else text
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise ValueError("a body")
    return method.decode(), _path(target), version.decode(), headers


_REASONS = {
    200: "OK",
    206: "Partial Content",
    304: "Not Modified",
    412: "Precondition Failed",
    416: "Range Not Satisfiable",
    503: "Service Unavailable",
}


def head(made: Reply, keep: bool) -> bytes:
    """Caches on the way may keep a file, and ask each time whether it has changed."""
    lines = [f"HTTP/1.1 {made.status} {_REASONS[made.status]}", f"Date: {formatdate(usegmt=True)}"]
    lines += [f"{name}: {value}" for name, value in made.headers]
    lines += ["Cache-Control: no-cache", "X-Content-Type-Options: nosniff"]
    lines += [f"Connection: {'keep-alive' if keep else 'close'}", "", ""]
    return "\r\n".join(lines).encode("latin-1")


def send_part(connection: Connection, most: int) -> int:
    """Sends from the first part what fits; the number of bytes. Raises OSError, BlockingIOError among them."""
    parts = connection.parts
    first = parts[0]
    if isinstance(first, Span) and first.length > _SMALL:
        sent = os.sendfile(connection.fd, connection.file, first.start, min(first.length, most))
        if not sent:
            raise OSError("the file has become shorter")
        parts.popleft()
        if sent < first.length:
            parts.appendleft(Span(first.start + sent, first.length - sent))
        return sent
    data = b"".join(_copied(connection))
    parts.appendleft(data)
    sent = connection.socket.send(data, socket.MSG_MORE if len(parts) > 1 else 0)
    parts.popleft()
    if sent < len(data):
        parts.appendleft(data[sent:])
    return sent


def _copied(connection: Connection) -> Iterator[bytes]:
    """Takes heads and short spans from the front of what is to be sent, as bytes."""
    parts, size = connection.parts, 0
    while parts and size < _TOGETHER:
        first = parts[0]
        if isinstance(first, Span):
            if first.length > _SMALL:
                return
            data = os.pread(connection.file, first.length, first.start)
            if len(data) < first.length:
                raise OSError("the file has become shorter")
        else:
            data = first
        parts.popleft()
        size += len(data)
        yield data
