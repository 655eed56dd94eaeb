"""Ranges and conditions: what a file of a hundred bytes is answered with."""

from __future__ import annotations

from email import message_from_bytes, policy
from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootforge.serve.ranges import MOST, Reply, Span, Version, reply

CONTENT = bytes(range(100))
CHANGED = 1_700_000_000
FILE = Version(100, CHANGED, '"now"')
NOW = CHANGED + 1000.0
DATE = formatdate(CHANGED, usegmt=True)
OLDER, LATER = formatdate(CHANGED - 1, usegmt=True), formatdate(CHANGED + 1, usegmt=True)


def asked(**headers: str) -> Reply:
    return reply({key.replace("_", "-"): value for key, value in headers.items()}, FILE, NOW)


def body(answer: Reply) -> bytes:
    made = b"".join(
        one if isinstance(one, bytes) else CONTENT[one.start : one.start + one.length] for one in answer.body
    )
    if answer.status != 304:
        assert dict(answer.headers)["Content-Length"] == str(len(made))
    return made


@pytest.mark.parametrize(
    "asked_for,start,end",
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-9", 0, 9),
        ("bytes=10-", 10, 99),
        ("bytes=-10", 90, 99),
        ("bytes=-1000", 0, 99),
        ("bytes=90-1000", 90, 99),
        ("bytes=99-99", 99, 99),
        ("BYTES=0-9", 0, 9),
        ("bytes= 0-9 ", 0, 9),
        ("bytes=0-9,", 0, 9),
        ("bytes=200-300,0-9", 0, 9),
    ],
)
def test_one_range(asked_for: str, start: int, end: int) -> None:
    answer = asked(range=asked_for)
    assert answer.status == 206 and body(answer) == CONTENT[start : end + 1]
    assert dict(answer.headers)["Content-Range"] == f"bytes {start}-{end}/100"


@pytest.mark.parametrize(
    "asked_for",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=abc",
        "bytes=9-0",
        "bytes=-",
        "bytes=--1",
        "bytes=0-9,x",
        "bytes=0-9;10-19",
        "bytes=0x0-9",
        "bytes=+0-9",
        "bytes=\u0660-9",
        "lines=0-9",
        "bytes=0-" + "9" * 40,
        "0-9",
    ],
)
def test_what_makes_no_sense_is_ignored(asked_for: str) -> None:
    answer = asked(range=asked_for)
    assert answer.status == 200 and body(answer) == CONTENT


@pytest.mark.parametrize("asked_for", ["bytes=100-", "bytes=100-200", "bytes=-0", "bytes=100-,200-300"])
def test_what_cannot_be(asked_for: str) -> None:
    answer = asked(range=asked_for)
    assert answer.status == 416 and dict(answer.headers)["Content-Range"] == "bytes */100" and not answer.body
    empty = reply({"range": asked_for}, Version(0, CHANGED, '"x"'), NOW)
    assert empty.status == 416 and dict(empty.headers)["Content-Range"] == "bytes */0"


def parts(answer: Reply) -> list[tuple[str, bytes]]:
    """Read by the standard library's parser of MIME."""
    kind = dict(answer.headers)["Content-Type"]
    assert kind.startswith("multipart/byteranges; boundary=") and '"' not in kind
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body(answer), policy=policy.HTTP)
    read = [(str(one["Content-Range"]), one.get_payload(decode=True)) for one in message.iter_parts()]
    return [(where, content) for where, content in read if isinstance(content, bytes)]


def test_several_ranges() -> None:
    answer = asked(range="bytes=0-9, 32-40,-5, 300-")
    assert answer.status == 206
    assert parts(answer) == [
        ("bytes 0-9/100", CONTENT[:10]),
        ("bytes 32-40/100", CONTENT[32:41]),
        ("bytes 95-99/100", CONTENT[95:]),
    ]


@pytest.mark.parametrize("count", [100, 256, 300, MOST])
def test_many_ranges(count: int) -> None:
    content = bytes(32 + n % 90 for n in range(10_000))
    answer = reply({"range": "bytes=" + ",".join(f"{n * 10}-{n * 10 + 4}" for n in range(count))}, big(), NOW)
    assert answer.status == 206
    spans = [one for one in answer.body if isinstance(one, Span)]
    assert [content[one.start : one.start + one.length] for one in spans] == [
        content[n * 10 : n * 10 + 5] for n in range(count)
    ]


def big() -> Version:
    return Version(10_000, CHANGED, '"big"')


def test_ranges_that_come_to_more_than_the_file_get_the_file() -> None:
    for text in (",".join(["0-"] * 300), ",".join(["0-9990"] * 2), ",".join(f"{n}-" for n in range(300))):
        answer = reply({"range": f"bytes={text}"}, big(), NOW)
        assert answer.status == 200 and answer.body == (Span(0, 10_000),)
    too_many = ",".join(f"{n * 10}-{n * 10}" for n in range(MOST + 1))
    assert reply({"range": f"bytes={too_many}"}, big(), NOW).status == 200


@pytest.mark.parametrize(
    "condition,status",
    [
        ('"now"', 206),
        ('"old"', 200),
        ('W/"now"', 200),
        (DATE, 206),
        (OLDER, 200),
        (LATER, 200),
        ("nonsense", 200),
        ("", 200),
        ('"now", "old"', 200),
    ],
)
def test_if_range(condition: str, status: int) -> None:
    answer = asked(range="bytes=50-", if_range=condition)
    assert answer.status == status and body(answer) == (CONTENT[50:] if status == 206 else CONTENT)
    assert asked(range="bytes=200-", if_range='"old"').status == 200, "a version that is gone cannot be asked beyond"


@pytest.mark.parametrize(
    "headers,status",
    [
        ({"if_none_match": '"now"'}, 304),
        ({"if_none_match": 'W/"now", "x"'}, 304),
        ({"if_none_match": "*"}, 304),
        ({"if_none_match": '"old"'}, 200),
        ({"if_none_match": '"old"', "if_modified_since": DATE}, 200),
        ({"if_modified_since": DATE}, 304),
        ({"if_modified_since": LATER}, 304),
        ({"if_modified_since": OLDER}, 200),
        ({"if_modified_since": formatdate(NOW + 10, usegmt=True)}, 200),
        ({"if_modified_since": "Thu, 99 Foo 1970 99:99:99 GMT"}, 200),
        ({"if_modified_since": "\0"}, 200),
        ({"if_none_match": '"now"', "range": "bytes=0-9"}, 304),
        ({"if_match": '"now"'}, 200),
        ({"if_match": "*"}, 200),
        ({"if_match": '"old"'}, 412),
        ({"if_match": 'W/"now"'}, 412),
        ({"if_unmodified_since": DATE}, 200),
        ({"if_unmodified_since": OLDER}, 412),
    ],
)
def test_conditions(headers: dict[str, str], status: int) -> None:
    answer = asked(**headers)
    assert answer.status == status
    if status == 304:
        assert not answer.body and dict(answer.headers)["ETag"] == '"now"'


@given(
    st.dictionaries(st.sampled_from(["range", "if-range", "if-none-match", "if-modified-since", "if-match"]), st.text())
)
def test_whatever_is_asked_there_is_an_answer(headers: dict[str, str]) -> None:
    answer = reply(headers, FILE, NOW)
    assert answer.status in (200, 206, 304, 412, 416)
    body(answer)


@given(st.lists(st.tuples(st.integers(0, 130), st.integers(0, 130)), min_size=1, max_size=8))
def test_every_part_is_of_the_file_and_not_more_than_the_file(ranges: list[tuple[int, int]]) -> None:
    answer = asked(range="bytes=" + ",".join(f"{a}-{b}" for a, b in ranges))
    sent = sum(one.length for one in answer.body if isinstance(one, Span))
    assert sent <= 100
    if answer.status == 206:
        spans = [(one.start, one.start + one.length) for one in answer.body if isinstance(one, Span)]
        assert spans == [(a, min(b + 1, 100)) for a, b in ranges if a < 100]
