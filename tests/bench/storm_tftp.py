"""The TFTP half of storm.py: who serves, what is asked of them, and the load itself.

As a program it is the load: one process, one epoll, one socket for each reader, as firmware would do it. It compares
every block with the file's, acknowledges, repeats its last packet after a second of silence, gives up after eight of
those, and prints one JSON object. It knows nothing of the server but its address.

    python -m tests.bench.storm_tftp ADDRESS FILE NAME --readers N --transfers M [--window W] [--blksize B]
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import select
import socket
import sys
import time
from pathlib import Path

from tests.bench.storm_lab import CLIENTS, Contestant, Goal, Outcome, Workload

PATIENCE, TRIES = 1.0, 8
SMALL, LARGE = "undionly.kpxe", "snponly.efi"
"""Names that Bootforge serves; the files behind them are made for the run."""
SIZES = {SMALL: 1 << 20, LARGE: 100_000_000}
PROCESS = "bootforge-tftp"
VARIANTS = {"bootforge": "", "one-port": "--tftp-single-port"}
_MODULE = ("-m", "tests.bench.storm_tftp")

CONTESTANTS = (
    Contestant("dnsmasq", "dnsmasq", "dnsmasq --keep-in-foreground --conf-file=/dev/null --port=0 --user=root"
               " --pid-file= --log-facility=/dev/null --listen-address={address} --bind-interfaces"
               " --enable-tftp --tftp-root={root} --tftp-max=2000"),
    Contestant("tftpd-hpa", "in.tftpd", "in.tftpd --foreground --secure --user root --address {address}:69 {root}"),
    Contestant("atftpd", "atftpd", "atftpd --daemon --no-fork --maxthread 2000 --user root --group root"
               " --logfile /dev/null --bind-address {address} {root}"),
)  # fmt: skip

WORKLOADS = (
    Workload("lock-step", (*_MODULE, SMALL, "--readers", "50", "--transfers", "400")),
    Workload("window 4", (*_MODULE, SMALL, "--readers", "50", "--transfers", "800", "--window", "4")),
    Workload("window 16", (*_MODULE, SMALL, "--readers", "50", "--transfers", "2000", "--window", "16")),
    Workload("500 readers", (*_MODULE, SMALL, "--readers", "500", "--transfers", "500")),
    Workload("500 readers, window 16", (*_MODULE, SMALL, "--readers", "500", "--transfers", "500", "--window", "16")),
    Workload("1 reader, 100 MB", (*_MODULE, LARGE, "--readers", "1", "--transfers", "1")),
    Workload("1 reader, 100 MB, window 16", (*_MODULE, LARGE, "--readers", "1", "--transfers", "3", "--window", "16")),
    Workload("2,000 readers", (*_MODULE, SMALL, "--readers", "2000", "--transfers", "2000", "--head", "131072")),
)

GOALS = (
    Goal("lock-step", "dnsmasq", "lock-step", 1.5),
    Goal("window 4", "dnsmasq", "lock-step", 0.75),
    Goal("window 16", "dnsmasq", "lock-step", 0.3),
)


class NoWindow(Exception):
    """The server did not grant the window: it has no such option."""


class Reader:
    """Fetches ``name`` again and again, as often as ``load`` has transfers left."""

    def __init__(self, load: Load, address: str) -> None:
        self.load, self.address = load, address
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.begin()

    def begin(self) -> None:
        """A new transfer from a new port."""
        self.sock.close()
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((self.address, 0))
        self.got, self.unacknowledged, self.tries = 0, 0, 0
        self.connected = False
        self.packet = self.load.request
        self.deadline = time.monotonic() + PATIENCE
        self.sock.sendto(self.packet, self.load.server)

    def receive(self, now: float) -> bool:
        """Takes what is there; True at the end of the file."""
        load = self.load
        blocks, window = load.packets, load.window
        sock = self.sock
        while True:
            try:
                if self.connected:
                    packet = sock.recv(65536)
                else:
                    packet, sender = sock.recvfrom(65536)
                    if packet[1] == 5:
                        load.errors.add(packet[4:-1].decode("latin-1"))
                    if packet[1] != 6:  # of a transfer that had this port before
                        continue
                    sock.connect(sender)
                    self.connected = True
                    if window > 1 and b"windowsize\0" not in packet.lower():
                        raise NoWindow
                    self.acknowledge()
                    self.deadline, self.tries = now + PATIENCE, 0
                    continue
            except BlockingIOError:
                return False
            except OSError:
                load.refused += 1
                return False
            if packet == blocks[self.got]:
                self.got += 1
                self.unacknowledged += 1
                if self.got == load.last:
                    self.acknowledge()
                    return True
                if self.unacknowledged == window:
                    self.acknowledge()
                    self.deadline, self.tries = now + PATIENCE, 0
                    if window == 1:
                        return False
            elif packet[1] == 5:
                load.errors.add(packet[4:-1].decode("latin-1"))
            else:
                load.extra += 1
                if packet[1] == 3 and packet[4:] != blocks[load.number(packet, self.got)][4:]:
                    load.errors.add("wrong bytes")

    def acknowledge(self) -> None:
        self.unacknowledged = 0
        self.packet = b"\0\4" + (self.got & 0xFFFF).to_bytes(2, "big")
        try:
            self.sock.send(self.packet)
        except OSError:
            self.load.refused += 1

    def on_silence(self, now: float) -> bool:
        """Repeats the last packet; False once it gives up."""
        self.tries += 1
        self.load.timeouts += 1
        self.deadline = now + PATIENCE
        if self.tries > TRIES:
            return False
        try:
            if self.connected:
                self.acknowledge()
            else:
                self.sock.sendto(self.packet, self.load.server)
        except OSError:
            self.load.refused += 1
        return True


class Load:
    """``transfers`` fetches of one file by ``readers`` at a time."""

    def __init__(self, server: str, name: str, content: bytes, window: int, blksize: int, head: int) -> None:
        self.server, self.window = (server, 69), window
        options = f"{name}\0octet\0blksize\0{blksize}\0" + (f"windowsize\0{window}\0" if window > 1 else "")
        self.request = b"\0\1" + options.encode()
        blocks = (content[at : at + blksize] for at in range(0, len(content) + 1, blksize))
        self.packets = [b"\0\3" + (n & 0xFFFF).to_bytes(2, "big") + block for n, block in enumerate(blocks, 1)]
        self.last = min(len(self.packets), -(-head // blksize)) if head else len(self.packets)
        self.bytes_each = sum(map(len, self.packets[: self.last])) - 4 * self.last
        self.timeouts = self.extra = self.refused = self.failed = self.done = 0
        self.errors: set[str] = set()

    def number(self, packet: bytes, near: int) -> int:
        """The index of a DATA packet's block, the one nearest to where the reader is."""
        ahead = (int.from_bytes(packet[2:4], "big") - 1 - near) & 0xFFFF
        index = near + ahead - (0x10000 if ahead > 0x8000 else 0)
        return max(0, min(index, len(self.packets) - 1))

    def run(self, readers: int, transfers: int, limit: float) -> Outcome:
        start = now = time.monotonic()
        epoll, by_fd, left = select.epoll(), {}, transfers - readers
        for address in itertools.islice(itertools.cycle(CLIENTS), readers):
            reader = Reader(self, address)
            epoll.register(reader.sock, select.EPOLLIN)
            by_fd[reader.sock.fileno()] = reader
        scan = now + 0.1

        def finish(fd: int, reader: Reader) -> None:
            nonlocal left
            epoll.unregister(fd)
            del by_fd[fd]
            if left > 0:
                left -= 1
                reader.begin()
                epoll.register(reader.sock, select.EPOLLIN)
                by_fd[reader.sock.fileno()] = reader
            else:
                reader.sock.close()

        while by_fd and now < start + limit:
            events = epoll.poll(0.1, 256)
            now = time.monotonic()
            for fd, _ in events:
                reader = by_fd[fd]
                if reader.receive(now):
                    self.done += 1
                    finish(fd, reader)
            if now > scan:
                scan = now + 0.1
                for fd, reader in list(by_fd.items()):
                    if reader.deadline < now and not reader.on_silence(now):
                        self.failed += 1
                        finish(fd, reader)
        self.failed += len(by_fd) + max(0, left)
        return Outcome(
            bytes=self.done * self.bytes_each + sum(r.got for r in by_fd.values()) * len(self.packets[0]),
            seconds=now - start,
            done=self.done,
            failed=self.failed,
            timeouts=self.timeouts,
            notes=f"{self.extra} blocks more than once" if self.extra else "",
            errors=sorted(self.errors),
        )


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("address")
    parser.add_argument("root", type=Path)
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--transfers", type=int, default=1)
    parser.add_argument("--window", type=int, default=1)
    parser.add_argument("--blksize", type=int, default=1468)
    parser.add_argument("--head", type=int, default=0, help="leave after so many bytes")
    parser.add_argument("--share", type=float, default=1, help="of the transfers")
    parser.add_argument("--limit", type=float, default=60, help="seconds")
    asked = parser.parse_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    content = (asked.root / asked.name).read_bytes()
    load = Load(asked.address, asked.name, content, asked.window, asked.blksize, asked.head)
    try:
        transfers = max(asked.readers, round(asked.transfers * asked.share))
        outcome = load.run(asked.readers, transfers, asked.limit)
    except NoWindow:
        sys.exit(print("null"))
    print(json.dumps(outcome._asdict()))


if __name__ == "__main__":
    main()
