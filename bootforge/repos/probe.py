"""Asks a web server what yum, dnf, zchunk, curl and firmware ask, and says whom its answers would break.

The server's word is not taken: mod_dav_svn sends ``Accept-Ranges: bytes`` and then the whole file. Every answer is
compared, byte for byte, with the file as it came whole.
"""

from __future__ import annotations

import hashlib
import http.client
import re
import socket
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from urllib.parse import urljoin, urlsplit

from bootforge.errors import BootforgeError, Exit, UsageError

_TIMEOUT = 20.0
_MOST = 64 << 20
"""Bytes of the file that is asked for at most; a larger one is left alone."""
_REDIRECTS = 5


class ProbeError(BootforgeError):
    """The server cannot be asked at all."""

    exit = Exit.REMOTE


@dataclass(frozen=True, slots=True)
class Outcome:
    """One probe: what was asked, whether the answer is right, why not, and which clients that breaks."""

    name: str
    ok: bool
    why: str
    breaks: str


@dataclass(slots=True)
class _Answer:
    status: int
    headers: Mapping[str, str]
    body: bytes
    cut: bool = False


@dataclass(slots=True)
class _Server:
    """The file at a URL, as it came whole first."""

    url: str
    content: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    def ask(self, method: str = "GET", **headers: str) -> _Answer:
        """One request on a connection of its own. Raises ProbeError."""
        parts = urlsplit(self.url)
        secure = parts.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            with closing(kind(parts.netloc, timeout=_TIMEOUT)) as connection:
                named = {key.replace("_", "-"): value for key, value in headers.items()}
                connection.request(method, path, headers={"User-Agent": "bootforge", **named})
                answer = connection.getresponse()
                said = {key.lower(): value for key, value in answer.getheaders()}
                try:
                    return _Answer(answer.status, said, answer.read(_MOST + 1))
                except http.client.IncompleteRead as error:
                    return _Answer(answer.status, said, error.partial, cut=True)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ProbeError(f"{self.url}: {_why(error)}", "is the server up, and the URL right?") from None


def find_file(url: str) -> str:
    """The URL of the file to ask for: below a repository a list of packages, else the URL itself. Raises UsageError,
    ProbeError."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"{url!r} is no URL of a repository", "write http://HOST/PATH")
    for _ in range(_REDIRECTS):
        repomd = url.rstrip("/") + "/repodata/repomd.xml"
        answer = _Server(repomd).ask()
        if answer.status == 200:
            hrefs = re.findall(rb'<location\s+href="([^"<>]+)"', answer.body)
            return (
                _largest([urljoin(url.rstrip("/") + "/", href.decode("utf-8", "replace")) for href in hrefs]) or repomd
            )
        answer = _Server(url).ask("HEAD")
        if answer.status in (301, 302, 303, 307, 308) and answer.headers.get("location"):
            url = urljoin(url, answer.headers["location"])
            continue
        return url
    raise ProbeError(f"{url} leads on and on")


def _largest(urls: list[str]) -> str | None:
    """A file with enough in it for a hundred ranges, if there is one."""
    sizes = {}
    for url in urls:
        if "primary" in url or "filelists" in url:
            length = _Server(url).ask("HEAD").headers.get("content-length", "")
            if length.isdecimal() and int(length) <= _MOST:
                sizes[url] = int(length)
    return max(sizes, key=lambda url: sizes[url], default=None)


def probe(url: str) -> Iterator[Outcome]:
    """The outcome of every probe, in order. Raises UsageError, ProbeError."""
    server = _Server(find_file(url))
    whole = server.ask()
    if whole.status != 200 or whole.cut:
        raise ProbeError(f"{server.url}: status {whole.status}", "name a repository, or a file of it")
    if not 0 < len(whole.body) <= _MOST:
        raise UsageError(f"{server.url} has {len(whole.body)} bytes", "name a file of a few KiB to a few MiB")
    server.content, server.headers = whole.body, whole.headers
    for name, breaks, check in _PROBES:
        why = check(server)
        yield Outcome(name, not why, why, breaks if why else "")


_Check = Callable[[_Server], str]


def _whole(server: _Server) -> str:
    length = server.headers.get("content-length")
    return "" if length == str(len(server.content)) else f"Content-Length is {length or 'missing'}"


def _head(server: _Server) -> str:
    answer = server.ask("HEAD")
    if answer.status != 200 or answer.body:
        return f"status {answer.status}, {len(answer.body)} bytes"
    length = answer.headers.get("content-length")
    return "" if length == str(len(server.content)) else f"Content-Length is {length or 'missing'}"


def _single(first: int | None, last: int | None) -> _Check:
    """A range by its ends, as in Range: shares of the file, in per mille; no first is a suffix of that length."""

    def check(server: _Server) -> str:
        size = len(server.content)
        start = None if first is None else size * first // 1000
        end = None if last is None else max(size * last // 1000, (start or 0) + (0 if start is not None else 1))
        asked = f"bytes={'' if start is None else start}-{'' if end is None else end}"
        if start is None:
            start, end = size - min(end or 0, size), size - 1
        until = size - 1 if end is None else min(end, size - 1)
        return _is_part(server, server.ask(Range=asked), start, until)

    return check


def _is_part(server: _Server, answer: _Answer, start: int, end: int) -> str:
    if answer.status != 206:
        return f"status {answer.status}, {len(answer.body)} bytes"
    if answer.body != server.content[start : end + 1] or answer.cut:
        return "the bytes are others"
    said, wanted = answer.headers.get("content-range", ""), f"bytes {start}-{end}/{len(server.content)}"
    return "" if said == wanted else f"Content-Range is {said or 'missing'}, not {wanted}"


def _many(count: int) -> _Check:
    def check(server: _Server) -> str:
        size = len(server.content)
        step = size // count
        if step < 2:
            return ""  # as many parts are not in it: nobody will ask for them
        spans = [(number * step, number * step + max(step // 2, 1) - 1) for number in range(count)]
        answer = server.ask(Range="bytes=" + ",".join(f"{first}-{last}" for first, last in spans))
        if answer.status == 200 and answer.body == server.content and count > 100:
            return ""  # librepo asks for less at a time then
        if answer.status != 206:
            return f"status {answer.status}, {len(answer.body)} bytes"
        return _are_parts(server, answer, spans)

    return check


def _are_parts(server: _Server, answer: _Answer, spans: list[tuple[int, int]]) -> str:
    kind = answer.headers.get("content-type", "")
    if not kind.lower().startswith("multipart/byteranges"):
        return f"Content-Type is {kind or 'missing'}"
    parsed = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + answer.body, policy=policy.HTTP)
    boundary = (parsed.get_boundary() or "").encode()
    body = answer.body
    if not boundary or not body.rstrip(b"\r\n").endswith(b"--" + boundary + b"--"):
        return "the last part has no end"
    for first, last in spans:
        where = f"bytes {first}-{last}/{len(server.content)}".encode()
        wanted = b"\r\n\r\n" + server.content[first : last + 1] + b"\r\n--" + boundary
        at = body.lower().find(b"content-range: " + where.lower())
        if at < 0 or not body[body.find(b"\r\n\r\n", at) :].startswith(wanted):
            return f"the part {first}-{last} is not there, or other bytes are"
        body = body[at:]
    return ""


def _beyond(server: _Server) -> str:
    size = len(server.content)
    answer = server.ask(Range=f"bytes={size + 10}-{size + 20}")
    if answer.status != 416:
        return f"status {answer.status}, {len(answer.body)} bytes"
    said = answer.headers.get("content-range", "")
    return "" if said == f"bytes */{size}" else f"Content-Range is {said or 'missing'}, not bytes */{size}"


def _unknown_unit(server: _Server) -> str:
    answer = server.ask(Range="lines=0-9")
    return "" if answer.status == 200 and answer.body == server.content else f"status {answer.status}"


def _resumed(server: _Server) -> str:
    """If-Range with the file's own entity tag, or else its date."""
    tag = server.headers.get("etag", "")
    condition = tag if tag.startswith('"') else server.headers.get("last-modified", "")
    if not condition:
        return "neither a strong ETag nor Last-Modified"
    answer = server.ask(Range=f"bytes={len(server.content) // 2}-", If_Range=condition)
    if answer.status == 200 and answer.body == server.content:
        return "status 200: every download that is resumed begins anew"
    return _is_part(server, answer, len(server.content) // 2, len(server.content) - 1)


def _stale(condition: str) -> _Check:
    def check(server: _Server) -> str:
        answer = server.ask(Range=f"bytes={len(server.content) // 2}-", If_Range=condition)
        if answer.status == 200 and answer.body == server.content:
            return ""
        return f"status {answer.status}: two versions of a file would be spliced"

    return check


def _unchanged(server: _Server) -> str:
    tag, date = server.headers.get("etag"), server.headers.get("last-modified")
    conditions = [{"If_None_Match": tag}] if tag else [{"If_Modified_Since": date}] if date else []
    for condition in conditions:
        answer = server.ask(**{key: value for key, value in condition.items() if value})
        if answer.status != 304:
            return f"status {answer.status}"
    return "" if conditions else "neither ETag nor Last-Modified"


def _same_again(server: _Server) -> str:
    answer = server.ask()
    same = hashlib.sha256(answer.body).digest() == hashlib.sha256(server.content).digest()
    encoded = answer.headers.get("content-encoding", "identity")
    return "" if same and encoded == "identity" else f"other bytes, Content-Encoding {encoded}"


_YUM = "yum on EL5 to EL7 (headers of packages), every resumed download"
_ZCHUNK = "dnf with zchunk metadata, zckdl"
_RESUME = "curl -C -, wget -c, dnf5: resumed downloads"
_PROBES: tuple[tuple[str, str, _Check], ...] = (
    ("whole file, Content-Length", "UEFI HTTP boot, iPXE, progress of every client", _whole),
    ("HEAD", "UEFI HTTP boot, mirror tools", _head),
    ("range a-b", _YUM, _single(100, 200)),
    ("range a-", _RESUME, _single(500, None)),
    ("range -n", "zchunk, tools that read the end of a file", _single(None, 100)),
    ("range beyond the end is clipped", _YUM, _single(900, 5000)),
    ("range that cannot be: 416", _RESUME, _beyond),
    ("2 ranges", _ZCHUNK, _many(2)),
    ("100 ranges", _ZCHUNK, _many(100)),
    ("256 ranges, or the whole file", _ZCHUNK, _many(256)),
    ("unknown unit is ignored", "clients of other units: RFC 9110 14.2", _unknown_unit),
    ("If-Range, unchanged", _RESUME, _resumed),
    ("If-Range, another entity tag", _RESUME, _stale('"another"')),
    ("If-Range, another date", _RESUME, _stale("Thu, 01 Jan 1998 00:00:00 GMT")),
    ("unchanged: 304", "caches and mirror tools fetch everything each time", _unchanged),
    ("the same once more, not encoded", "checksums of dnf and yum", _same_again),
)


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or error}"
    if isinstance(error, socket.gaierror):
        return error.strerror or str(error)
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
