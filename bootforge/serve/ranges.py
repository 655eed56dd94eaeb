"""What of a file a request gets: all of it, parts of it, or the news that it has not changed. Pure.

RFC 9110, sections 13 and 14. A download that is resumed never splices two versions of a file: If-Range must name the
version that is there now, or the whole file is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime

MOST = 512
"""Ranges in one request. librepo sends 256 at most (librepo/downloader.c, max_ranges) and halves that number when it
gets the whole file."""
_TYPE = "application/octet-stream"
_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
_DIGITS = 18

Headers = Mapping[str, str]
"""Of a request, by their names in lower case; what came twice is joined by commas."""


@dataclass(frozen=True, slots=True)
class Version:
    """A file as it is now: its length, the time of its last change in seconds, and what tells it from every other."""

    size: int
    modified: int
    etag: str


@dataclass(frozen=True, slots=True)
class Span:
    """Bytes of the file: where they begin, and how many they are."""

    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: its status, its headers, and what its body is made of, in this order."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: tuple[bytes | Span, ...] = ()


def reply(headers: Headers, file: Version, now: float) -> Reply:
    """The answer to a GET. That to a HEAD is the same without Range, which is for GET alone (RFC 9110 14.2), and
    without its body."""
    known = (
        ("Last-Modified", formatdate(file.modified, usegmt=True)),
        ("ETag", file.etag),
        ("Accept-Ranges", "bytes"),
    )
    status = _condition(headers, file, now)
    if status == 304:
        return Reply(304, known)
    if status == 412:
        return Reply(412, (("Content-Length", "0"),))
    spans = _wanted(headers, file)
    if spans is None:
        whole = (("Content-Type", _TYPE), ("Content-Length", str(file.size)))
        return Reply(200, (*known, *whole), (Span(0, file.size),))
    if not spans:
        return Reply(416, (("Content-Range", f"bytes */{file.size}"), ("Content-Length", "0")))
    if len(spans) == 1:
        one = (("Content-Range", _content_range(spans[0], file)), ("Content-Length", str(spans[0].length)))
        return Reply(206, (*known, ("Content-Type", _TYPE), *one), (spans[0],))
    body = _multipart(spans, file)
    length = sum(part.length if isinstance(part, Span) else len(part) for part in body)
    parts = (("Content-Type", f"multipart/byteranges; boundary={_boundary(file)}"), ("Content-Length", str(length)))
    return Reply(206, (*known, *parts), body)


def _condition(headers: Headers, file: Version, now: float) -> int:
    """200, 304 or 412: the order is that of RFC 9110 13.2.2."""
    if match := headers.get("if-match"):
        if match != "*" and file.etag not in _etags(match):
            return 412
    elif date := headers.get("if-unmodified-since"):
        seconds = _seconds(date)
        if seconds is not None and file.modified > seconds:
            return 412
    if none_match := headers.get("if-none-match"):
        tags = [tag.removeprefix("W/") for tag in _etags(none_match)]
        return 304 if none_match == "*" or file.etag in tags else 200
    if date := headers.get("if-modified-since"):
        seconds = _seconds(date)
        if seconds is not None and file.modified <= seconds <= now:
            return 304
    return 200


def _etags(text: str) -> list[str]:
    return re.findall(r'(?:W/)?"[^"]*"', text)


def _seconds(date: str) -> float | None:
    try:
        parsed = parsedate_to_datetime(date)
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _wanted(headers: Headers, file: Version) -> list[Span] | None:
    """The ranges that are to be sent; none when no range can be; None for the whole file: without Range, with one
    that makes no sense or is of another version, and with ranges that come to more than the file."""
    text = headers.get("range", "")
    unit, equals, ranges = text.partition("=")
    if not equals or unit.strip().lower() != "bytes" or not _is_current(headers.get("if-range"), file):
        return None
    words = [word.strip(" \t") for word in ranges.split(",")]
    words = [word for word in words if word]
    if not words or len(words) > MOST:
        return None
    spans = []
    for word in words:
        match = _RANGE.fullmatch(word)
        if match is None or word == "-" or max(len(match[1]), len(match[2])) > _DIGITS:
            return None
        first, last = match[1], match[2]
        if first and last and int(first) > int(last):
            return None
        start = int(first) if first else max(0, file.size - int(last))
        end = min(int(last) + 1 if first and last else file.size, file.size)
        if start < end:
            spans.append(Span(start, end - start))
    return None if len(spans) > 1 and sum(span.length for span in spans) > file.size else spans


def _is_current(condition: str | None, file: Version) -> bool:
    """If-Range: a strong entity tag, or the very date of the last change (RFC 9110 13.1.5)."""
    if condition is None:
        return True
    if condition.startswith(('"', "W/")):
        return condition == file.etag
    return _seconds(condition) == file.modified


def _content_range(span: Span, file: Version) -> str:
    return f"bytes {span.start}-{span.start + span.length - 1}/{file.size}"


def _boundary(file: Version) -> str:
    """Unquoted: librepo and zckdl take the parameter as it is."""
    return "bootforge." + file.etag.strip('"')


def _multipart(spans: list[Span], file: Version) -> tuple[bytes | Span, ...]:
    body: list[bytes | Span] = []
    boundary = _boundary(file)
    for span in spans:
        where = _content_range(span, file)
        body += [f"\r\n--{boundary}\r\nContent-Type: {_TYPE}\r\nContent-Range: {where}\r\n\r\n".encode(), span]
    return (*body, f"\r\n--{boundary}--\r\n".encode())
