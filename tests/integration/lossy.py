"""A cable that loses frames: ``python lossy.py A B N`` carries them between two interfaces and drops one of N, by a
chance that is the same in every run. Prints what it carried and dropped when it is told to end."""

from __future__ import annotations

import random
import select
import signal
import socket
import sys


def main(first: str, second: str, one_of: str) -> None:
    chance, carried, dropped = random.Random(6), 0, 0
    ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in range(2)]
    for end, name in zip(ends, (first, second), strict=True):
        end.bind((name, 3))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(f"carried {carried}, dropped {dropped}"))
    print("ready", flush=True)
    while True:
        for end in select.select(ends, [], [])[0]:
            frame, address = end.recvfrom(65536)
            if address[2] == socket.PACKET_OUTGOING:
                continue
            if chance.randrange(int(one_of)) == 0:
                dropped += 1
                continue
            carried += 1
            ends[end is ends[0]].send(frame)


if __name__ == "__main__":
    main(*sys.argv[1:])
