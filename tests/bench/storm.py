"""A row of racks that switches on: Bootforge beside the servers that it competes with, in one interleaved run.

    python tests/bench/storm.py [tftp|http] [--rounds 3] [--only NAME ...] [--workload NAME ...] [--program atftpd=PATH]

As root, with iproute2, ethtool and those of the other servers that are installed (Debian's tftpd-hpa and atftpd
exclude each other: unpack one with dpkg-deb, and name it with --program). All contestants run at the same time, each
at an address of its own; in every round each load is given to each of them in turn, so that other work on the machine
hits all alike. Servers have one processor, the load another. What is printed are medians of the rounds: CPU seconds
(user and system, of all processes of a server) per GiB that arrived and was right, MB/s, transfers that failed,
packets that clients had to repeat after a second, and the peak of memory (of all processes, and of those that do this
work). What counts are the ratios. The exit code is 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections import defaultdict
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.bench import storm_http, storm_tftp  # noqa: E402
from tests.bench.storm_lab import SYSTEM_PATH, Contestant, Lab, Outcome, Peak, Server, Workload  # noqa: E402
from tests.support import SMALL, environment  # noqa: E402

HALVES = {"tftp": storm_tftp, "http": storm_http}
BOOTFORGE = (
    f"{sys.executable} -m bootforge serve --site {SMALL} --store sqlite:///{{state}}/store.db --bind {{address}}"
)


class Sample:
    """One load on one server."""

    def __init__(self, outcome: Outcome, cpu: float, peak: Peak, survived: bool) -> None:
        self.outcome, self.memory, self.survived = outcome, peak.memory, survived
        self.per_gib = cpu / (outcome.bytes / 2**30) if outcome.bytes and survived else float("nan")
        self.rate = outcome.bytes / outcome.seconds / 1e6 if outcome.seconds else 0.0


Samples = dict[tuple[str, str], list[Sample]]


def measure(lab: Lab, server: Server, workload: Workload, root: Path, share: str) -> Sample | None:
    """None when the server has not what the load asks for."""
    before = server.settle()
    argv = lab.inside(lab.clients, 1, [sys.executable, *workload.client, server.address, str(root), "--share", share])
    with Peak(server) as peak:
        done = subprocess.run(argv, cwd=ROOT, check=True, capture_output=True, text=True)
    said = json.loads(done.stdout)
    after = server.settle()
    survived = server.process.poll() is None
    if not survived:
        server.start()
    return Sample(Outcome(**said), after - before, peak, survived) if said else None


def table(workload: str, samples: Samples, base: float) -> None:
    print(f"\n{workload}")
    head = ("", "CPU s/GiB", "ratio", "MB/s", "failed", "repeated", "RSS MiB", "PSS MiB", "of which")
    print("  {:18}{:>10}{:>7}{:>8}{:>8}{:>9}{:>9}{:>9}{:>10}".format(*head))
    for (name, _), some in ((key, some) for key, some in samples.items() if key[1] == workload):
        cpu = statistics.median(sample.per_gib for sample in some)
        rate = statistics.median(sample.rate for sample in some)
        failed = sum(sample.outcome.failed for sample in some)
        timeouts = sum(sample.outcome.timeouts for sample in some)
        rss, pss, process = map(max, *(sample.memory for sample in some), (0.0, 0.0, 0.0))
        notes = {note for sample in some for note in (sample.outcome.notes, *sample.outcome.errors) if note}
        notes |= {"THE SERVER DIED"} if not all(sample.survived for sample in some) else set()
        print(
            f"  {name:18}{cpu:10.2f}{cpu / base:7.2f}{rate:8.0f}{failed:8}{timeouts:9}{rss:9.1f}{pss:9.1f}"
            f"{process:10.1f}  {'; '.join(sorted(notes)[:3])}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("half", nargs="?", choices=sorted(HALVES), default="tftp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", help="contestants by name")
    parser.add_argument("--workload", nargs="*", help="loads by name")
    parser.add_argument("--program", action="append", default=[], metavar="NAME=PATH", help="where a server is")
    parser.add_argument("--before", metavar="PATH", help="another checkout of Bootforge, a contestant as well")
    parser.add_argument("--share", default="1", help="of the transfers of each load, for a quick look")
    parser.add_argument("--nic-cuts", action="store_true", help="as if NICs cut segments: veth does, on arrival")
    asked = parser.parse_args()
    half = HALVES[asked.half]
    paths = dict(pair.split("=", 1) for pair in asked.program)
    ours = [
        Contestant(name, sys.executable, f"{BOOTFORGE} {options}", half.PROCESS)
        for name, options in half.VARIANTS.items()
    ]
    if asked.before:
        command = f"env --chdir={asked.before} {BOOTFORGE}"
        ours.append(Contestant("before", sys.executable, command, half.PROCESS))
    everyone = (*ours, *half.CONTESTANTS)
    contestants = [
        one
        for one in everyone
        if (not asked.only or one.name in asked.only)
        and (paths.get(one.name) or shutil.which(one.program, path=SYSTEM_PATH))
    ]
    workloads = [one for one in half.WORKLOADS if not asked.workload or one.name in asked.workload]
    samples: Samples = defaultdict(list)
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory(prefix="storm") as scratch, ExitStack() as stack:
        root = Path(scratch, "root")
        root.mkdir()
        for name, size in half.SIZES.items():
            (root / name).write_bytes(random.Random(size).randbytes(size))
        os.environ.update(environment(BOOTFORGE_LOADERS=str(root)))
        lab = stack.enter_context(Lab(len(contestants), asked.nic_cuts))
        servers = []
        for number, one in enumerate(contestants):
            command = " ".join([paths.get(one.name, one.command.split()[0]), *one.command.split()[1:]])
            server = Server(lab, replace(one, command=command), lab.addresses[number], root, Path(scratch, one.name))
            stack.callback(server.stop)
            servers.append(server)
        for server in servers:
            server.settle()
            if server.process.poll() is not None:
                sys.exit(f"{server.contestant.name} did not start: {server.log.read_text()}")
        for number in range(asked.rounds):
            for workload in workloads:
                for server in servers[number % len(servers) :] + servers[: number % len(servers)]:
                    if sample := measure(lab, server, workload, root, asked.share):
                        samples[server.contestant.name, workload.name].append(sample)
            loads.append(os.getloadavg()[0])
    print(f"{platform.release()}, {os.cpu_count()} processors, Python {platform.python_version()}; ", end="")
    print(
        f"{asked.rounds} rounds; load {min(loads):.1f} to {max(loads):.1f}; "
        f"segments are cut by the {'NIC' if asked.nic_cuts else 'kernel'}"
    )
    missed = False
    bases = {(goal.peer, goal.beside) for goal in half.GOALS}
    for peer, beside in sorted(base for base in bases if len(bases) == 1 or base in samples):
        found = samples.get((peer, beside))
        base = statistics.median(sample.per_gib for sample in found) if found else float("nan")
        print(f"ratio: to {peer}'s CPU s/GiB at {beside}")
        for workload in workloads:
            table(workload.name, samples, base)
        print("\ngoals")
        for goal in half.GOALS:
            mine = samples.get(("bootforge", goal.workload))
            if mine and (goal.peer, goal.beside) == (peer, beside):
                ratio = statistics.median(sample.per_gib for sample in mine) / base
                verdict = "met" if ratio <= goal.limit else "MISSED"
                missed |= verdict != "met"
                print(f"  {goal.workload}: {ratio:.2f} of {goal.peer}, at most {goal.limit}: {verdict}")
    sys.exit(missed)


if __name__ == "__main__":
    main()
