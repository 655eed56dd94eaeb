"""A TFTP transfer without sockets: when it sends, how much in one go, and when it sends again."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from bootforge.serve import tftp_files, tftp_transfer
from bootforge.serve.tftp_files import Cache, open_file
from bootforge.serve.tftp_transfer import Transfer
from bootforge.serve.tftp_wire import Refused, negotiate, parse_request


class Line:
    """A line to nobody: what was sent over it, one list of block numbers for each send."""

    def __init__(self, refuse: int = 0, no_segments: bool = False) -> None:
        self.sent: list[list[int]] = []
        self.refuse, self.no_segments = refuse, no_segments
        self.size, self.paused, self.closed = 0, False, False
        self.room = 1_000_000

    def send(self, packet: bytes | memoryview) -> None:
        packet = bytes(packet)
        if self.size and self.refuse:
            raise OSError(self.refuse, os.strerror(self.refuse))
        if not self.room:
            raise BlockingIOError
        self.room -= 1
        step = self.size or len(packet)
        parts = [packet[at : at + step] for at in range(0, len(packet), step)]
        self.sent.append([int.from_bytes(part[2:4], "big") if part[1] == 3 else -part[1] for part in parts])

    def open(self, receiver: object) -> None:
        pass

    def poll(self) -> None:
        pass

    def segment(self, size: int) -> None:
        if self.no_segments:
            raise OSError(errno.ENOPROTOOPT, "no such option")
        self.size = size

    def pause(self, paused: bool) -> None:
        self.paused = paused

    def close(self) -> None:
        self.closed = True

    def taken(self) -> list[list[int]]:
        """What was sent since this was last asked."""
        sent, self.sent = self.sent, []
        return sent


class Talk:
    """A transfer of a file of ``size`` bytes and its client, with a clock that only the test moves."""

    def __init__(self, root: Path, size: int, line: Line | None = None, **options: int) -> None:
        (root / "file").write_bytes(os.urandom(size))
        fields = b"".join(b"%b\0%d\0" % (name.encode(), value) for name, value in options.items())
        request = parse_request(b"\0\1file\0octet\0" + fields)
        fd, status = open_file(root / "file", netascii=False)
        granted = negotiate(request.options, status.st_size)
        file = Cache().take(fd, status, granted[b"blksize"][1] if b"blksize" in granted else 512)
        self.line, self.loop, self.ends = line or Line(), SimpleNamespace(now=100.0), list[str]()
        ended = lambda _, how: self.ends.append(how)  # noqa: E731
        loop: Any = self.loop
        self.transfer = Transfer(loop, self.line, file, request, granted, ("peer", 1), lambda _: None, ended)
        self.transfer.start()

    def ack(self, block: int, after: float = 0.0) -> list[list[int]]:
        """The client acknowledges, ``after`` seconds; what is sent in answer."""
        self.loop.now += after
        self.transfer.receive(b"\0\4" + (block & 0xFFFF).to_bytes(2, "big"))
        return self.line.taken()

    def silence(self) -> tuple[float, list[list[int]]]:
        """Nothing comes until the deadline: the seconds until then, and what is sent."""
        wait = self.transfer.deadline - self.loop.now
        self.loop.now = self.transfer.deadline
        self.transfer.on_deadline()
        return round(wait, 3), self.line.taken()


OACK = [[-6]]


def test_a_window_is_one_send(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 100 * 1468, blksize=1468, windowsize=16)
    assert talk.line.taken() == OACK
    assert talk.ack(0) == [list(range(1, 17))]
    assert talk.ack(16) == [list(range(17, 33))]
    assert talk.ack(20) == [list(range(21, 33)), list(range(33, 37))]  # two chunks of 32 blocks, after a loss
    for block in (36, 52, 68, 84):
        talk.ack(block)
    assert talk.line.closed is False
    assert talk.ack(100) == [[101]]
    assert talk.ack(101) == [] and talk.line.closed and talk.ends[0].startswith("sent 146800 bytes")


def test_lock_step_is_not_segmented(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000, blksize=1468)
    talk.ack(0)
    assert talk.line.size == 0


def test_small_blocks_are_not_segmented_as_the_oack_would_be(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000, blksize=8, windowsize=4)
    assert talk.line.taken() == OACK
    assert talk.ack(0) == [[1], [2], [3], [4]]


def test_no_datagram_is_too_long(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 64 * 8192, blksize=8192, windowsize=64)
    talk.line.taken()
    sends = talk.ack(0)
    assert max(map(len, sends)) * 8196 < 65507
    big = Talk(tmp_path, 10 * 65464, blksize=65464, windowsize=8)
    big.line.taken()
    assert big.ack(0) == [[1], [2], [3]]


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EIO, errno.EMSGSIZE])
def test_a_kernel_that_refuses_to_cut_gets_blocks(tmp_path: Path, number: int) -> None:
    talk = Talk(tmp_path, 100_000, Line(refuse=number), blksize=4000, windowsize=4)
    assert talk.line.taken() == OACK
    assert talk.ack(0) == [[1], [2], [3], [4]]
    assert talk.ack(4) == [[5], [6], [7], [8]]


def test_a_kernel_without_segments_gets_blocks(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 100_000, Line(no_segments=True), blksize=1468, windowsize=4)
    talk.line.taken()
    assert talk.ack(0) == [[1], [2], [3], [4]]


def test_a_path_that_loses_segments_gets_blocks(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 100_000, blksize=1468, windowsize=4)
    talk.line.taken()
    assert talk.ack(0) == [[1, 2, 3, 4]]
    assert talk.silence()[1] == [[1, 2, 3, 4]]
    assert talk.silence()[1] == [[1], [2], [3], [4]]
    assert talk.ack(4) == [[5], [6], [7], [8]]


def test_one_client_has_128_kib_in_its_turn(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 64 * 16384, blksize=16384, windowsize=64)
    talk.line.taken()
    assert talk.ack(0) == [[1, 2], [3, 4], [5, 6], [7, 8]] and talk.line.paused
    for turn in range(1, 8):
        assert talk.line.paused
        talk.transfer.fill()
        assert sum(map(len, talk.line.taken())) == 8, turn
    assert talk.transfer.sent == 64 and not talk.line.paused
    talk.ack(64)
    assert talk.transfer.sent == 65


def test_a_full_buffer_is_waited_for(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 100_000, blksize=512, windowsize=4)
    talk.transfer._send_whole()
    talk.line.taken()
    talk.line.room = 2
    assert talk.ack(0) == [[1], [2]] and talk.line.paused
    assert talk.ack(2) == [] and talk.line.paused
    talk.line.room = 100
    talk.transfer.fill()
    assert talk.line.taken() == [[3], [4], [5], [6]] and not talk.line.paused


def test_without_an_estimate_the_timer_begins_at_a_second(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 100_000)
    assert talk.line.taken() == [[1]]
    assert [talk.silence() for _ in range(3)] == [(1, [[1]]), (2, [[1]]), (4, [[1]])]


def test_the_timer_follows_the_round_trips(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000_000, blksize=1468)
    talk.ack(0, after=0.01)
    assert talk.silence()[0] == 0.2  # RFC 6298 would be 0.03, but there is a least
    slow = Talk(tmp_path, 10_000_000, blksize=1468)
    for block in range(800):
        slow.ack(block, after=0.1)
    assert slow.silence()[0] == 0.2
    for block in range(800, 1600):
        slow.ack(block, after=0.1 if block % 16 else 0.4)
    assert 0.5 < slow.silence()[0] < 1  # now and then it takes longer, and that is no loss


def test_what_was_sent_twice_teaches_nothing(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000_000, blksize=1468)
    talk.ack(0, after=0.1)
    for block in range(1, 8):
        talk.ack(block, after=0.1)
    before = talk.transfer._rto
    talk.silence()
    talk.ack(8, after=0.0001)  # for the first of the two: Karn
    assert talk.transfer._rto == before


def test_the_back_off_ends_with_the_next_ack(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000_000, blksize=1468)
    talk.ack(0, after=0.1)
    waits = [talk.silence()[0] for _ in range(4)]
    assert waits == [0.3, 0.6, 1.2, 2.4]
    talk.ack(1)
    assert talk.silence()[0] == 0.3


def test_a_timeout_that_was_asked_for_counts(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000_000, timeout=3)
    talk.ack(0, after=0.01)
    for block in range(1, 17):
        talk.ack(block, after=0.01)
    assert [talk.silence()[0] for _ in range(4)] == [3, 6, 12, 16]
    long = Talk(tmp_path, 10_000_000, timeout=255)
    assert [long.silence()[0] for _ in range(5)] == [255] * 5
    assert not long.ends


def test_a_silent_client_is_given_up_after_45_seconds(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 10_000_000, blksize=1468)
    talk.ack(0, after=0.01)
    start = talk.loop.now
    while not talk.ends:
        talk.silence()
    assert talk.ends == ["failed: no answer after block 0"]
    assert 45 <= talk.loop.now - start <= 61
    assert talk.line.closed


def test_old_acks_send_nothing(tmp_path: Path) -> None:
    talk = Talk(tmp_path, 100_000, blksize=1468, windowsize=4)
    talk.line.taken()
    talk.ack(0)
    talk.ack(4)
    for old in (0, 1, 4, 9, 65535):
        assert talk.ack(old) == []
    assert talk.ack(6) == [[7, 8, 9, 10]]
    assert talk.ack(6) == []


def test_chunks_are_read_once_and_shared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_bytes(bytes(1_000_000))
    reads: list[int] = []
    pread = os.pread

    def counted(fd: int, count: int, at: int) -> bytes:
        reads.append(at)
        return pread(fd, count, at)

    monkeypatch.setattr(os, "pread", counted)
    cache = Cache()
    users = [cache.take(*open_file(tmp_path / "file", False), 1468) for _ in range(3)]
    assert users[0] is users[1] is users[2]
    other = cache.take(*open_file(tmp_path / "file", False), 512)
    assert other is not users[0]
    chunks = {id(user.chunk(3)) for user in users}
    assert len(chunks) == 1 and len(reads) == 1
    for user in (*users, other):
        user.release()
    assert cache.bytes == 0 and not cache._files and not cache._chunks


def test_the_cache_has_an_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tftp_files, "CACHE_BYTES", 200_000)
    (tmp_path / "file").write_bytes(os.urandom(1_000_000))
    cache = Cache()
    file = cache.take(*open_file(tmp_path / "file", False), 1468)
    assert file.chunk(0) == file.chunk(0) and cache.bytes == 0  # one reader alone needs none
    file.users += 1
    first = file.chunk(0)
    assert file.chunk(0) is first
    for index in range(1, 20):
        file.chunk(index)
        assert cache.bytes <= 200_000
    assert file.chunk(0) is not first and file.chunk(0) == first
    file.release()
    file.release()
    assert cache.bytes == 0


def test_a_changed_file_is_refused_and_a_new_request_gets_the_new_one(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(1_000_000))
    cache = Cache()
    old = cache.take(*open_file(path, False), 1468)
    assert cache.take(*open_file(path, False), 1468) is old
    old.chunk(0)
    with path.open("ab") as file:
        file.write(b"more")
    assert len(old.chunk(0)) == 32 * 1472  # what is there is as it was
    with pytest.raises(Refused, match="the file changed"):
        old.chunk(1)
    new = cache.take(*open_file(path, False), 1468)
    assert new is not old and new.size == 1_000_004
    new.chunk(1)


def test_segments_are_as_many_as_every_kernel_takes() -> None:
    assert tftp_transfer.SEGMENTS <= 64 and tftp_transfer.SEND_BYTES <= 65507
