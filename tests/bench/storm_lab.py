"""What the halves of storm.py share: a network of two namespaces, servers in one and the load in the other, and the
CPU and memory of everything that a server is.

The namespaces are joined by a veth pair with an MTU of 1500, where the sender's kernel cuts what was handed to it for
segmentation (tx-udp-segmentation off), as it does for a NIC that cannot, unless that is asked for. Nothing leaves them.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

SYSTEM_PATH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
CLIENTS = [f"10.99.0.{n}" for n in range(200, 240)]
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Contestant:
    """A server; ``command`` is filled with {address}, {root} (its files) and {state} (a directory of its own).
    ``process`` is the name of those of its processes that do the work, where others have other work."""

    name: str
    program: str
    command: str
    process: str = ""


@dataclass(frozen=True)
class Workload:
    """A load; ``client`` are arguments of Python, to which the server's address and the root are appended."""

    name: str
    client: tuple[str, ...]


@dataclass(frozen=True)
class Goal:
    """Bootforge's CPU s per GiB at ``workload`` is at most ``limit`` times what ``peer`` takes at ``beside``."""

    workload: str
    peer: str
    beside: str
    limit: float


class Outcome(NamedTuple):
    """What a load saw: bytes that arrived and were right, transfers that ended well or not, repeated packets."""

    bytes: int
    seconds: float
    done: int
    failed: int
    timeouts: int
    notes: str
    errors: list[str]


class Memory(NamedTuple):
    """MiB: resident, the same with shared pages divided among those who share them, and that of ``process``."""

    rss: float = 0.0
    pss: float = 0.0
    process: float = 0.0


class Lab:
    """Two namespaces for as long as it is entered."""

    def __init__(self, addresses: int, nic_cuts: bool) -> None:
        self.nic_cuts = nic_cuts
        tag = os.getpid() % 100_000
        self.servers, self.clients = f"storm{tag}s", f"storm{tag}c"
        self.addresses = [f"10.99.0.{n + 1}" for n in range(addresses)]

    def __enter__(self) -> Lab:
        server, client = self.servers, self.clients
        try:
            for namespace in (server, client):
                _ip("netns", "add", namespace)
                _ip("-n", namespace, "link", "set", "lo", "up")
            _ip("-n", server, "link", "add", "storm0", "type", "veth", "peer", "name", "storm0", "netns", client)
            for address in self.addresses:
                _ip("-n", server, "address", "add", f"{address}/24", "dev", "storm0")
            for address in CLIENTS:
                _ip("-n", client, "address", "add", f"{address}/24", "dev", "storm0")
            for namespace in (server, client):
                _ip("-n", namespace, "link", "set", "storm0", "up", "mtu", "1500")
            cut = "on" if self.nic_cuts else "off"
            _run("ip", "netns", "exec", server, "ethtool", "-K", "storm0", "tx-udp-segmentation", cut)
            # What arrives is dealt with by the processor of the load, as in another machine.
            mask = f"{1 << _cpus()[-1]:x}"
            queue = "/sys/class/net/storm0/queues/rx-0/rps_cpus"
            _run("ip", "netns", "exec", client, "sh", "-c", f"echo {mask} >{queue}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in (self.servers, self.clients):
            subprocess.run(["ip", "netns", "delete", namespace], check=False, capture_output=True)

    def inside(self, namespace: str, cpu: int, argv: list[str]) -> list[str]:
        """The command in a namespace and on one processor of its own, where there are two."""
        pinned = ["taskset", "--cpu-list", str(_cpus()[cpu])] if len(_cpus()) > 1 else []
        return ["ip", "netns", "exec", namespace, *pinned, *argv]


class Server:
    """A running contestant."""

    def __init__(self, lab: Lab, contestant: Contestant, address: str, root: Path, state: Path) -> None:
        self.contestant, self.address = contestant, address
        state.mkdir()
        words = shlex.split(contestant.command)
        filled = [word.format(address=address, root=root, state=state) for word in words]
        program = filled[0] if "/" in filled[0] else shutil.which(filled[0], path=SYSTEM_PATH) or filled[0]
        self._argv = lab.inside(lab.servers, 0, [program, *filled[1:]])
        self._group = _new_group(f"{lab.servers}-{contestant.name}")
        if self._group:
            self._argv = ["sh", "-c", f'echo $$ >{self._group}/cgroup.procs && exec "$@"', "sh", *self._argv]
        self.log = state / "log"
        self.start()

    def start(self) -> None:
        """Starts it, or starts it again."""
        with self.log.open("a") as log:
            self.process = subprocess.Popen(self._argv, stdout=log, stderr=log, start_new_session=True)

    def stop(self) -> None:
        """Ends it, and waits."""
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        if self._group:
            self._end_group(self._group)

    def _end_group(self, group: Path) -> None:
        """Ends what outlived the server, as processes of tftpd-hpa do, and takes the group away."""
        end = time.monotonic() + 10
        while time.monotonic() < end:
            for pid in (group / "cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            with suppress(OSError):
                return group.rmdir()
            time.sleep(0.1)

    def tree(self) -> list[int]:
        """The process and all its descendants."""
        found = [self.process.pid]
        for pid in found:
            with suppress(OSError):
                for task in os.listdir(f"/proc/{pid}/task"):
                    found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
        return found

    def cpu(self) -> float:
        """Seconds of CPU so far: of all processes that it has or had, by a control group of its own. Without those,
        of the tree and what it has waited for, which tftpd-hpa does not do."""
        if self._group:
            return int((self._group / "cpu.stat").read_text().split()[1]) / 1e6
        ticks = 0
        for pid in self.tree():
            with suppress(OSError):
                fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
                ticks += sum(map(int, fields[11:15]))
        return ticks / _TICK

    def memory(self) -> Memory:
        """What it holds now."""
        rss = pss = own = 0
        for pid in self.tree():
            with suppress(OSError):
                name = Path(f"/proc/{pid}/comm").read_text().strip()
                fields = Path(f"/proc/{pid}/smaps_rollup").read_text().split()
                size = int(fields[fields.index("Pss:") + 1])
                rss, pss = rss + int(fields[fields.index("Rss:") + 1]), pss + size
                own += size if name == (self.contestant.process or name) else 0
        return Memory(rss / 1024, pss / 1024, own / 1024)

    def settle(self) -> float:
        """Waits until it is idle (10 s at most); its CPU seconds then."""
        before, end = self.cpu(), time.monotonic() + 10
        while time.monotonic() < end:
            time.sleep(0.3)
            if (now := self.cpu()) - before < 0.02:
                return now
            before = now
        return before


class Peak:
    """The most memory of a server while it is entered: looked at twice a second."""

    def __init__(self, server: Server) -> None:
        self.server, self.memory = server, Memory()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def _watch(self) -> None:
        while True:
            now = self.server.memory()
            self.memory = Memory(*map(max, now, self.memory))
            if self._stop.wait(0.5):
                return

    def __enter__(self) -> Peak:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()


def _cpus() -> list[int]:
    """The processors that may be used, two at the most."""
    return sorted(os.sched_getaffinity(0))[:2]


def _new_group(name: str) -> Path | None:
    """A control group (version 2) to count CPU with; None where that is not to be had."""
    for line in Path("/proc/mounts").read_text().splitlines():
        _, mount, kind, *_ = line.split()
        if kind == "cgroup2":
            with suppress(OSError):
                group = Path(mount, name)
                group.mkdir()
                return group
    return None


def _ip(*arguments: str) -> None:
    _run("ip", *arguments)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, capture_output=True, env={**os.environ, "PATH": SYSTEM_PATH})
