"""What all parts of the HTTP side have in common: the one refusal, and how a path is shown in logs."""

from __future__ import annotations

import re
from email.utils import formatdate

REFUSED = b"not found\n"
_TOKEN = re.compile(r"[0-9A-Fa-f]{16,}")
_SHOWN = 300


def shown_path(path: str) -> str:
    """A request's path for logs: without what could be a token, wherever a confused client put it, and without
    anything that a terminal would obey."""
    return _TOKEN.sub("-", path)[:_SHOWN].encode("unicode_escape").decode()


def refusal(head_only: bool = False) -> bytes:
    """The answer to everything that is not permitted or does not exist, as it goes over the wire: byte for byte that
    of ``refused`` in http.py."""
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
    return "\r\n".join([*head, "", ""]).encode() + (b"" if head_only else REFUSED)
