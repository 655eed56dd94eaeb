"""The HTTP half of storm.py: who serves, what is asked of them, and the load itself; and how long a kickstart takes
while a row of racks downloads.

As a program it is the load: one process, one epoll, one connection for each transfer. It compares every byte with the
file's, and prints one JSON object.

    python -m tests.bench.storm_http NAME ADDRESS ROOT --readers N --transfers M [--start BYTE] [--rate BYTES]

With ``kickstarts`` it starts a server of its own in a network of namespaces, and fetches kickstarts from it: alone,
then beside readers who take what they can from it, then beside readers who take 128 KB/s each, then beside
connections that never finish asking. The exit code is 1 when the 99th percentile beside slow readers is more than ten
times that without, or when a kickstart was refused.

    python -m tests.bench.storm_http kickstarts
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench.storm_lab import CLIENTS, Contestant, Goal, Lab, Outcome, Server, Workload  # noqa: E402

LARGE, SMALL = "initrd.img", "package.rpm"
SIZES = {LARGE: 60 << 20, SMALL: 1 << 20}
PROCESS = "bootforge-front"
VARIANTS = {"bootforge": "--media {root}"}
_MODULE = ("-m", "tests.bench.storm_http")

_NGINX = (
    "pid {state}/pid; error_log {state}/error.log; worker_processes 1; user root; daemon off;"
    " events {{ worker_connections 4096; }} http {{ access_log {state}/access.log; sendfile on; tcp_nopush on;"
    " client_body_temp_path {state}/1; proxy_temp_path {state}/2; fastcgi_temp_path {state}/3;"
    " uwsgi_temp_path {state}/4; scgi_temp_path {state}/5;"
    " server {{ listen {address}:80 backlog=2048; location /media/ {{ alias {root}/; }} }} }}"
)
CONTESTANTS = (
    Contestant(
        "nginx",
        "nginx",
        f"sh -c 'echo \"{_NGINX}\" >{{state}}/conf && exec nginx -e {{state}}/error.log -c {{state}}/conf'",
    ),
)

WORKLOADS = (
    Workload("whole, 60 MiB", (*_MODULE, LARGE, "--readers", "8", "--transfers", "32")),
    Workload("ranged, 60 MiB", (*_MODULE, LARGE, "--readers", "8", "--transfers", "32", "--start", "1")),
    Workload("500 readers, 1 MiB", (*_MODULE, SMALL, "--readers", "500", "--transfers", "1000")),
    Workload("500 readers at 128 KB/s", (*_MODULE, LARGE, "--readers", "500", "--transfers", "500", "--rate", "131072",
                                         "--head", "1310720")),
)  # fmt: skip

GOALS = (
    Goal("whole, 60 MiB", "nginx", "whole, 60 MiB", 1.5),
    Goal("ranged, 60 MiB", "nginx", "ranged, 60 MiB", 2.0),
)

_BUFFER = 1 << 20
_TURN = 0.1
"""Seconds between what a reader with a rate takes."""


class Reader:
    """One transfer on a connection of its own."""

    def __init__(self, load: Load, address: str) -> None:
        self.load = load
        self.sock = socket.socket()
        if load.rate:
            # As firmware has it; without a limit the kernel would take the file whatever the reader does.
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        self.sock.bind((address, 0))
        self.sock.settimeout(30)
        self.sock.connect(load.server)
        self.sock.sendall(load.request)
        self.sock.setblocking(False)
        self.head, self.at, self.due = b"", load.start, 0.0

    def receive(self) -> bool:
        """Takes what is there, or its share; True at the end. Raises OSError, ValueError for a wrong answer."""
        load = self.load
        left = int(load.rate * _TURN) if load.rate else 4 * _BUFFER
        while left > 0:
            try:
                size = self.sock.recv_into(load.buffer, min(left, _BUFFER))
            except BlockingIOError:
                return False
            if not size:
                raise ValueError("it ended early")
            left -= size
            data = memoryview(load.buffer)[:size]
            if b"\r\n\r\n" not in self.head:
                self.head += bytes(data)
                head, end, body = self.head.partition(b"\r\n\r\n")
                if not end:
                    continue
                if not head.startswith(b"HTTP/1.1 206" if load.start else b"HTTP/1.1 200"):
                    raise ValueError(head.partition(b"\r\n")[0].decode("latin-1"))
                self.head, data = head + end, memoryview(body)
            if data != memoryview(load.content)[self.at : self.at + len(data)]:
                raise ValueError("wrong bytes")
            self.at += len(data)
            if self.at >= load.end:
                return True
        return False


class Load:
    """``transfers`` fetches of one file by ``readers`` at a time, each at ``rate`` bytes per second if not 0."""

    def __init__(self, server: str, name: str, content: bytes, start: int, head: int, rate: int) -> None:
        self.server, self.content, self.start, self.rate = (server, 80), content, start, rate
        self.end = min(len(content), start + head) if head else len(content)
        ranged = f"Range: bytes={start}-\r\n" if start else ""
        self.request = f"GET /media/{name} HTTP/1.1\r\nHost: x\r\n{ranged}Connection: close\r\n\r\n".encode()
        self.buffer = bytearray(_BUFFER)
        self.done = self.failed = self.bytes = 0
        self.errors: set[str] = set()

    def run(self, readers: int, transfers: int, limit: float) -> Outcome:
        start = now = time.monotonic()
        epoll, by_fd, left = select.epoll(), {}, transfers
        addresses = itertools.cycle(CLIENTS)
        waiting: list[Reader] = []
        while (by_fd or waiting or left) and now < start + limit:
            while left and len(by_fd) + len(waiting) < readers:
                left -= 1
                try:
                    reader = Reader(self, next(addresses))
                except OSError as error:
                    self.failed += 1
                    self.errors.add(str(error))
                    continue
                by_fd[reader.sock.fileno()] = reader
                epoll.register(reader.sock, select.EPOLLIN)
            for fd, _ in epoll.poll(0.02, 256):
                reader = by_fd[fd]
                before = reader.at
                try:
                    ended = reader.receive()
                    self.done += ended
                except (OSError, ValueError) as error:
                    self.failed += 1
                    self.errors.add(str(error))
                    ended = True
                self.bytes += reader.at - before
                if ended or self.rate:
                    epoll.unregister(fd)
                    del by_fd[fd]
                if ended:
                    reader.sock.close()
                elif self.rate:
                    reader.due = max(reader.due, now) + _TURN
                    waiting.append(reader)
            now = time.monotonic()
            for reader in [one for one in waiting if one.due <= now]:
                waiting.remove(reader)
                by_fd[reader.sock.fileno()] = reader
                epoll.register(reader.sock, select.EPOLLIN)
        unfinished = len(by_fd) + len(waiting) + left
        notes = f"{unfinished} not finished" if unfinished else ""
        return Outcome(self.bytes, now - start, self.done, self.failed + unfinished, 0, notes, sorted(self.errors))


# Kickstarts beside it


def _site(root: Path, hosts: int) -> Path:
    from tests.support import write_site

    site = """\
schema: 1
environments: {prod: {}}
names: ["{role}{n:int}.{env}.example.com"]
networks: {lan: {subnet: 10.99.0.0/16, server: "http://10.99.0.1"}}
secrets: {root_hash: {env: BOOTFORGE_ROOT_HASH}}
defaults: {profile: rocky9, layout: lvm, root_password: {secret: root_hash}}
"""
    nics = "  nics: {{lan: {{mac: '02:00:00:00:{:02x}:{:02x}', address: 10.99.{}.{}}}}}\n"
    numbered = (f"web{n}.prod.example.com:\n" + nics.format(n >> 8, n & 255, 1 + n // 200, 1 + n % 200)
                for n in range(1, hosts + 1))  # fmt: skip
    files = {"site.yaml": site, "roles/web.yaml": "nics: {lan: {network: lan}}\n", "hosts/web.yaml": "".join(numbered)}
    return write_site(root, files)


def fetch(address: str, paths: list[str]) -> None:
    """Each path once, one after the other, on a connection of its own; prints the seconds, and what failed."""
    seconds, failed = [], 0
    for path in paths:
        start = time.monotonic()
        try:
            with socket.create_connection((address, 80), 30) as connection:
                connection.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                received = bytearray()
                while data := connection.recv(65536):
                    received += data
            failed += not received.startswith(b"HTTP/1.1 200 ") or b"rootpw" not in received
        except OSError:
            failed += 1
        seconds.append(time.monotonic() - start)
    print(json.dumps({"seconds": seconds, "failed": failed}))


def kickstarts(hosts: int, rounds: int) -> int:
    """Prints the table; the exit code."""
    from bootforge.plan.cmdline import kickstart_path
    from bootforge.state import server_key
    from bootforge.store import open_store
    from tests.support import environment

    os.environ.update(environment())
    beside = {
        "nothing": None,
        "8 readers of 60 MiB, as fast as it goes": ("--readers", "8", "--transfers", "100000", "--limit", "20"),
        "500 readers at 128 KB/s": ("--readers", "500", "--transfers", "500", "--rate", "131072", "--limit", "20"),
        "600 connections that never ask": ("--half-open", "600", "--limit", "20"),
    }
    found: dict[str, list[float]] = {name: [] for name in beside}
    failures = dict.fromkeys(beside, 0)
    with tempfile.TemporaryDirectory(prefix="storm") as scratch, Lab(1, False) as lab:
        media = Path(scratch, "media")
        media.mkdir()
        (media / LARGE).write_bytes(os.urandom(SIZES[LARGE]))
        site = _site(Path(scratch, "site"), hosts)
        command = (
            f"{sys.executable} -m bootforge serve --site {site} --store sqlite:///{{state}}/store.db --bind {{address}}"
            " --media {root}"
        )
        server = Server(lab, Contestant("bootforge", "", command), lab.addresses[0], media, Path(scratch, "state"))
        url = f"sqlite:///{scratch}/state/store.db"
        try:
            _wait(lab, server.address)
            key, names = server_key(url), [f"web{n}.prod.example.com" for n in range(1, hosts + 1)]
            for number in range(rounds):
                for what in [*beside][number % 4 :] + [*beside][: number % 4]:
                    store = open_store(url)
                    rows = store.arm(names, ttl=7200, why="", by="storm", tokens=key.token)
                    store.close()
                    paths = [kickstart_path(row.host, key.token(row.id)) for row in rows]
                    python = [sys.executable, "-m", "tests.bench.storm_http"]
                    load = None
                    if options := beside[what]:
                        argv = [*python, LARGE, server.address, str(media), *options]
                        load = subprocess.Popen(lab.inside(lab.clients, 1, argv), cwd=ROOT, stdout=subprocess.DEVNULL)
                        time.sleep(4)
                    argv = lab.inside(lab.clients, 1, [*python, "fetch", server.address, *paths])
                    done = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True)
                    if load:
                        load.terminate()
                        load.wait()
                    said = json.loads(done.stdout)
                    found[what] += said["seconds"]
                    failures[what] += said["failed"]
        finally:
            server.stop()
    print(f"load {os.getloadavg()[0]:.1f}; {rounds} rounds of {hosts} kickstarts, one after the other")
    idle = _p99(found["nothing"])
    print(f"  {'beside':42}{'p50 ms':>8}{'p99 ms':>8}{'ratio':>7}{'failed':>8}")
    for what, seconds in found.items():
        p99 = _p99(seconds)
        print(f"  {what:42}{statistics.median(seconds) * 1e3:8.1f}{p99 * 1e3:8.1f}{p99 / idle:7.1f}{failures[what]:8}")
    missed = _p99(found["500 readers at 128 KB/s"]) > 10 * idle or any(failures.values())
    print(f"goal: at most 10 times the p99 without readers, none refused: {'MISSED' if missed else 'met'}")
    return int(missed)


def _p99(seconds: list[float]) -> float:
    return sorted(seconds)[int(len(seconds) * 0.99)]


def _wait(lab: Lab, address: str) -> None:
    argv = lab.inside(lab.clients, 1, ["curl", "-sf", "-o", "/dev/null", f"http://{address}/boot.ipxe"])
    for _ in range(300):
        if subprocess.run(argv, capture_output=True, check=False).returncode == 0:
            return
        time.sleep(0.1)
    sys.exit("the server does not answer")


def half_open(address: str, count: int, limit: float) -> None:
    """Connections that send half of a request, and are opened again as they are closed."""
    end = time.monotonic() + limit
    held: list[socket.socket] = []
    addresses = itertools.cycle(CLIENTS)
    while time.monotonic() < end:
        while len(held) < count:
            held.append(socket.create_connection((address, 80), 30, source_address=(next(addresses), 0)))
            held[-1].sendall(b"GET /boot.ipxe HTTP/1.1\r\nHost:")
        ready = set(select.select(held, [], [], 0.2)[0])
        for one in ready:
            one.close()
        held = [one for one in held if one not in ready]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name")
    parser.add_argument("address", nargs="?", default="")
    parser.add_argument("root", nargs="*")
    parser.add_argument("--readers", type=int, default=1)
    parser.add_argument("--transfers", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the first byte that is asked for")
    parser.add_argument("--head", type=int, default=0, help="leave after so many bytes")
    parser.add_argument("--rate", type=int, default=0, help="bytes per second for each reader")
    parser.add_argument("--half-open", type=int, default=0, help="connections that never finish asking, instead")
    parser.add_argument("--share", type=float, default=1, help="of the transfers")
    parser.add_argument("--limit", type=float, default=120, help="seconds")
    parser.add_argument("--hosts", type=int, default=200, help="kickstarts in a round")
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_intermixed_args()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if asked.name == "kickstarts":
        sys.exit(kickstarts(asked.hosts, asked.rounds))
    if asked.name == "fetch":
        fetch(asked.address, asked.root)
    elif asked.half_open:
        half_open(asked.address, asked.half_open, asked.limit)
    else:
        content = Path(asked.root[0], asked.name).read_bytes()
        load = Load(asked.address, asked.name, content, asked.start, asked.head, asked.rate)
        transfers = max(asked.readers, round(asked.transfers * asked.share))
        print(json.dumps(load.run(asked.readers, transfers, asked.limit)._asdict()))


if __name__ == "__main__":
    main()
