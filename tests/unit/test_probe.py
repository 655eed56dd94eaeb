"""``repo probe`` against web servers that are wrong in one way each, and against one that is right."""

from __future__ import annotations

import http.server
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from bootforge.errors import Exit
from bootforge.repos.probe import find_file
from bootforge.serve.ranges import Reply, Span, Version, reply
from tests.support import verb

CONTENT = os.urandom(50_000)
FILE = Version(len(CONTENT), 1_700_000_000, '"tag"')
NOW = 1_800_000_000.0

Wrong = Callable[[dict[str, str], str], Reply | None]


@contextmanager
def serving(wrong: Wrong) -> Iterator[str]:
    """A server that is right but for what ``wrong`` answers, which gets the headers and the method."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            headers = {key.lower(): value for key, value in self.headers.items()}
            asked = {**headers, "range": ""} if self.command == "HEAD" else headers
            made = wrong(headers, self.command) or reply(asked, FILE, NOW)
            self.send_response(made.status)
            for key, value in made.headers:
                self.send_header(key, value)
            self.end_headers()
            if self.command == "GET":
                for one in made.body:
                    self.wfile.write(one if isinstance(one, bytes) else CONTENT[one.start : one.start + one.length])

        do_HEAD = do_GET

        def log_message(self, *args: Any) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/file"
    finally:
        server.shutdown()
        server.server_close()


def whole(headers: dict[str, str]) -> Reply:
    return reply({**headers, "range": ""}, FILE, NOW)


def ignores_ranges(headers: dict[str, str], method: str) -> Reply | None:
    """As mod_dav_svn of Apache 2.4: it says that it accepts ranges, and sends everything."""
    return whole(headers)


def no_multipart(headers: dict[str, str], method: str) -> Reply | None:
    """As Werkzeug 3.1: 416 to more than one range, and to units that it does not know."""
    asked = headers.get("range", "")
    wrong = "," in asked or (asked and not asked.startswith("bytes="))
    return Reply(416, (("Content-Range", f"bytes */{FILE.size}"), ("Content-Length", "0"))) if wrong else None


def splices(headers: dict[str, str], method: str) -> Reply | None:
    """As aiohttp 3.14: an entity tag in If-Range is not looked at."""
    return reply({key: value for key, value in headers.items() if key != "if-range"}, FILE, NOW)


def no_head(headers: dict[str, str], method: str) -> Reply | None:
    return Reply(405, (("Content-Length", "0"),)) if method == "HEAD" else None


def wrong_bytes(headers: dict[str, str], method: str) -> Reply | None:
    """One byte too far, as from an off-by-one."""
    made = reply(headers, FILE, NOW)
    if made.status != 206:
        return None
    moved = [Span(one.start + 1, one.length) if isinstance(one, Span) and one.start else one for one in made.body]
    return Reply(206, made.headers, tuple(moved))


def never_304(headers: dict[str, str], method: str) -> Reply | None:
    return reply({key: value for key, value in headers.items() if key != "if-none-match"}, FILE, NOW)


def no_content_range(headers: dict[str, str], method: str) -> Reply | None:
    made = reply(headers, FILE, NOW)
    return Reply(made.status, tuple(pair for pair in made.headers if pair[0] != "Content-Range"), made.body)


def chunked(headers: dict[str, str], method: str) -> Reply | None:
    made = whole(headers)
    return Reply(200, tuple(pair for pair in made.headers if pair[0] != "Content-Length"), made.body)


@pytest.mark.parametrize(
    "wrong,failing",
    [
        (ignores_ranges, {"range a-b", "range a-", "range -n", "2 ranges", "100 ranges", "range that cannot be: 416"}),
        (no_multipart, {"2 ranges", "100 ranges", "256 ranges, or the whole file", "unknown unit is ignored"}),
        (splices, {"If-Range, another entity tag", "If-Range, another date"}),
        (no_head, {"HEAD"}),
        (wrong_bytes, {"range a-b", "range a-", "2 ranges", "If-Range, unchanged"}),
        (never_304, {"unchanged: 304"}),
        (no_content_range, {"range a-b", "range that cannot be: 416"}),
        (chunked, {"whole file, Content-Length", "range a-b"}),
    ],
)
def test_a_server_that_is_wrong(wrong: Wrong, failing: set[str]) -> None:
    with serving(wrong) as url:
        done = verb("repo", "probe", url)
        shown = verb("repo", "probe", url, "--json").json
    assert done.status == Exit.REMOTE
    assert done.out.count("FAIL ") == sum(not one["ok"] for one in shown)
    failed = {one["name"] for one in shown if not one["ok"]}
    assert failing <= failed, failed
    assert all(one["why"] and one["breaks"] for one in shown if not one["ok"])
    if (
        wrong is not ignores_ranges
        and wrong is not wrong_bytes
        and wrong is not chunked
        and wrong is not no_content_range
    ):
        assert failed == failing


def test_a_server_that_is_right() -> None:
    with serving(lambda headers, method: None) as url:
        done = verb("repo", "probe", url)
    assert done.status == 0, done.out
    assert re.fullmatch(r"(ok   .*\n){16}", done.out)


def test_what_cannot_be_asked() -> None:
    assert verb("repo", "probe", "ftp://127.0.0.1/x").status == 2
    assert verb("repo", "probe", "nonsense").status == 2
    done = verb("repo", "probe", "http://127.0.0.1:9/x")
    assert done.status == Exit.REMOTE and "refused" in done.err
    with serving(lambda headers, method: Reply(404, (("Content-Length", "0"),))) as url:
        assert verb("repo", "probe", url).status == Exit.REMOTE


def test_a_repository_is_asked_for_its_largest_list() -> None:
    repomd = b'<repomd><data type="primary"><location href="repodata/1-primary.xml.zck"/></data></repomd>'

    def answers(headers: dict[str, str], method: str) -> Reply | None:
        return Reply(200, (("Content-Length", str(len(repomd))),), (repomd,))

    with serving(answers) as url:
        top = url.removesuffix("/file")
        assert find_file(top) == find_file(f"{top}/") == f"{top}/repodata/1-primary.xml.zck"
