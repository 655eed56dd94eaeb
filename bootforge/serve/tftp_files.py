"""Files as TFTP sends them: blocks behind their headers, in chunks that transfers of one file share.

A window is then one slice of a chunk, which the kernel cuts into packets; and 500 machines that load the same file
have it read and framed once.
"""

from __future__ import annotations

import errno
import os
import stat
from collections import OrderedDict
from pathlib import Path

from bootforge.serve.tftp_wire import ACCESS, NOT_FOUND, UNDEFINED, Refused, header

NETASCII_BYTES = 256 << 10
CHUNK_BYTES, CHUNK_BLOCKS = 48 << 10, 64
_OPEN = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CACHE_BYTES = 32 << 20  # beside what transfers hold: one chunk each, or one block if that is larger


class Framed:
    """A file in blocks of one size. ``last`` is the number of the short, perhaps empty, block at its end."""

    def __init__(self, cache: Cache, fd: int, status: os.stat_result, blksize: int) -> None:
        self.key = _key(status, blksize)
        self.size, self.blksize, self.step = status.st_size, blksize, blksize + 4
        self.last = self.size // blksize + 1
        # A power of two: windows, which usually are one as well, lie within a chunk.
        fitting = max(1, min(CHUNK_BLOCKS, CHUNK_BYTES // self.step))
        self.per_chunk = 1 << fitting.bit_length() - 1
        self.users, self.cached = 0, set[int]()
        self._cache, self._fd = cache, fd
        self._stamp = status.st_size, status.st_mtime_ns

    def chunk(self, index: int) -> bytes:
        """Blocks ``index * per_chunk + 1`` and following, each behind its header. Raises Refused, OSError."""
        return self._cache.get(self, index)

    def read(self, index: int) -> bytes:
        """The same from the disk. What is sent is the file as it was opened, or nothing."""
        size, first = self.blksize, index * self.per_chunk + 1
        count, start = min(self.per_chunk, self.last - first + 1), (first - 1) * size
        data = os.pread(self._fd, count * size, start)
        status = os.fstat(self._fd)
        whole = len(data) == min(count * size, self.size - start)
        if not whole or (status.st_size, status.st_mtime_ns) != self._stamp:
            raise Refused(UNDEFINED, "the file changed while it was sent")
        blocks = (header(3, first + n & 0xFFFF) + data[n * size : (n + 1) * size] for n in range(count))
        return b"".join(blocks)

    def release(self) -> None:
        """One user less; the last one closes it."""
        self.users -= 1
        if not self.users:
            self._cache.drop(self)
            os.close(self._fd)


class Cache:
    """The files that are being sent, and their chunks that were used last."""

    def __init__(self) -> None:
        self._files: dict[tuple[int, ...], Framed] = {}
        self._chunks: OrderedDict[tuple[Framed, int], bytes] = OrderedDict()
        self.bytes = 0

    def take(self, fd: int, status: os.stat_result, blksize: int) -> Framed:
        """The file of a descriptor, which is the cache's from now on, for one more user."""
        file = self._files.get(_key(status, blksize))
        if file:
            os.close(fd)
        else:
            file = Framed(self, fd, status, blksize)
            self._files[file.key] = file
        file.users += 1
        return file

    def get(self, file: Framed, index: int) -> bytes:
        """A chunk of a file that was taken."""
        key = file, index
        if chunk := self._chunks.get(key):
            self._chunks.move_to_end(key)
            return chunk
        chunk = file.read(index)
        if file.users == 1:  # nobody to share it with
            return chunk
        self._chunks[key] = chunk
        file.cached.add(index)
        self.bytes += len(chunk)
        while self.bytes > CACHE_BYTES:
            (owner, number), old = self._chunks.popitem(last=False)
            owner.cached.discard(number)
            self.bytes -= len(old)
        return chunk

    def drop(self, file: Framed) -> None:
        """Forget a file."""
        del self._files[file.key]
        for index in file.cached:
            self.bytes -= len(self._chunks.pop((file, index)))


def _key(status: os.stat_result, blksize: int) -> tuple[int, ...]:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, blksize


def open_file(found: Path | bytes, netascii: bool) -> tuple[int, os.stat_result]:
    """A descriptor of the regular file, or of a text; of its netascii form where that is asked for. Raises OSError,
    Refused."""
    try:
        fd = _in_memory(found) if isinstance(found, bytes) else os.open(found, _OPEN)
    except (FileNotFoundError, NotADirectoryError):
        raise Refused(NOT_FOUND, "file not found") from None
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise Refused(ACCESS, "access violation") from None
    return as_asked(fd, netascii)


def as_asked(fd: int, netascii: bool) -> tuple[int, os.stat_result]:
    """The same of a descriptor, which is closed when it cannot be sent. Raises OSError, Refused."""
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise Refused(ACCESS, "not a regular file")
        if netascii:
            text = os.pread(fd, NETASCII_BYTES + 1, 0)
            if len(text) > NETASCII_BYTES:
                raise Refused(UNDEFINED, "too large for netascii, ask for octet")
            memory = _in_memory(text.replace(b"\r", b"\r\0").replace(b"\n", b"\r\n"))
            os.dup2(memory, fd, inheritable=False)
            os.close(memory)
        return fd, os.fstat(fd)
    except (OSError, Refused):
        os.close(fd)
        raise


def _in_memory(text: bytes) -> int:
    """A descriptor of a file without a name."""
    with open(os.memfd_create("bootforge"), "wb", buffering=0) as memory:
        memory.write(text)
        return os.dup(memory.fileno())
