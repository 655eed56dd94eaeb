"""Runs on a host of the SAN tests: writes blocks past the cache for as long as it may, and reads every one back.

    python3 - FILE STOP

Each block is of its number alone. Until STOP exists: writes the next one (64 KiB of a file of 256 blocks, which are
written again and again), waits until it is on the disk, reads it back. At the end all are read once more. What it
prints is one line of JSON: ``blocks`` written, the longest ``gap`` between two that were done in seconds, ``bad``, how
many read back otherwise, and ``error``.
"""

import hashlib
import json
import mmap
import os
import sys
import time

SIZE, COUNT = 65536, 256


def block(number: int) -> bytes:
    return hashlib.sha256(b"%d" % number).digest() * (SIZE // 32)


def main(path: str, stop: str) -> dict[str, object]:
    buffer = mmap.mmap(-1, SIZE)  # O_DIRECT wants memory that begins with a page
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_DIRECT | os.O_SYNC, 0o600)
    number, gap, bad, error = 0, 0.0, 0, ""
    written: dict[int, int] = {}

    def same(place: int) -> bool:
        return os.preadv(file, [buffer], place * SIZE) == SIZE and buffer[:] == block(written[place])

    last = time.monotonic()
    try:
        while not os.path.exists(stop):
            buffer[:] = block(number)
            if os.pwritev(file, [buffer], number % COUNT * SIZE) != SIZE:
                raise OSError("a short write")
            written[number % COUNT] = number
            bad += not same(number % COUNT)
            now = time.monotonic()
            gap, last, number = max(gap, now - last), now, number + 1
            time.sleep(0.05)
        bad += sum(not same(place) for place in written)
    except OSError as failed:
        error = str(failed)
    return {"blocks": number, "gap": round(gap, 2), "bad": bad, "error": error}


if __name__ == "__main__":
    print(json.dumps(main(*sys.argv[1:])))
