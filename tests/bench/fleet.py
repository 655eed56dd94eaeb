"""What a fleet costs: a believable site of 10,000 hosts through the whole pipeline, in CPU seconds.

    python tests/bench/fleet.py [--hosts N] [--cobbler PYTHON]

CPU seconds of the process and of its children, because they say more than times on a machine that has other work;
what is judged are ratios. ``--cobbler`` is the Python of an environment that has Cobbler (cobbler_fleet.sh runs it as
root, in a mount namespace of its own); without it, Cobbler's figures are the published ones, and are marked so.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bootforge.plan.digest import plan_shape  # noqa: E402
from tests.bench.fleet_site import write_fleet  # noqa: E402

PUBLISHED = {"kickstart": 0.0059, "sync": 0.0105, "sync again": 0.0105}
"""CPU seconds for each host with Cobbler 3.3.10 and 1,000 systems on Debian 12 with two processors: the middle of what
was measured (4 to 8 ms, 9 to 12 s). Its second sync writes everything again."""


def cpu(run: Callable[[], object]) -> float:
    """CPU seconds of this process and of the children that it waited for."""

    def used() -> float:
        return sum(
            usage.ru_utime + usage.ru_stime
            for usage in (resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN))
        )

    before = used()
    run()
    return used() - before


def verb(*args: str, cache: Path) -> tuple[float, str]:
    """CPU seconds of a verb in a process of its own, and what it said."""
    said = []
    env = {**os.environ, "XDG_CACHE_HOME": str(cache), "PYTHONPATH": str(ROOT)}

    def run() -> None:
        command = [sys.executable, "-m", "bootforge", *args]
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        said.append(done.stderr.strip())

    return cpu(run), said[0]


def in_a_process(function: str, *args: object) -> dict[str, float]:
    """What a function below prints as JSON; a process of its own keeps one measurement's memory out of the next."""
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); from tests.bench import fleet; fleet.{function}{args!r}"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found: dict[str, float] = json.loads(done.stdout)
    return found


def build(site: str) -> None:
    """Load, resolve and plan; then kickstarts, one after the other, as a server renders them."""
    from bootforge.generation import build_generation
    from bootforge.render import render
    from bootforge.render.bootstrap import render_bootstrap
    from bootforge.render.kickstart import render_kickstart

    start = time.process_time()
    generation = build_generation(site)
    built = time.process_time() - start
    plans = list(generation.plans.values())[:: max(1, len(generation.plans) // 300)]
    render(plans[0], generation.engine)  # compiles the templates
    each: dict[str, list[float]] = {"kickstart": [], "all": []}
    for plan in plans:
        start = time.process_time()
        render_kickstart(plan, render_bootstrap(plan, generation.engine), generation.engine)
        each["kickstart"].append(time.process_time() - start)
        start = time.process_time()
        render(plan, generation.engine)
        each["all"].append(time.process_time() - start)
    shapes = len({plan_shape(plan) for plan in generation.plans.values()})
    times = {name: statistics.median(found) for name, found in each.items()}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps({"build": built, "shapes": shapes, "memory": memory, **times}))


def cobbler(python: str | None, hosts: int) -> tuple[dict[str, float], str]:
    """Cobbler's CPU seconds for each host, and where they are from."""
    if python is None:
        return PUBLISHED, "published figures, not measured here"
    script = Path(__file__).with_name("cobbler_fleet.sh")
    done = subprocess.run(["sh", str(script), python, str(hosts)], capture_output=True, text=True)
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert done.returncode == 0 and lines, f"Cobbler did not run:\n{done.stdout[-2000:]}{done.stderr[-2000:]}"
    found = json.loads(lines[-1])
    return found, f"Cobbler {found['version']}, {hosts} systems, measured in this run"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--hosts", type=int, default=10_000, help="hosts of the large site (default: 10000)")
    parser.add_argument("--cobbler", metavar="PYTHON", help="measure Cobbler with this interpreter")
    parser.add_argument("--cobbler-hosts", type=int, default=1000, help="systems of Cobbler (default: 1000)")
    options = parser.parse_args()
    many, few = options.hosts, max(1, options.hosts // 10)
    with tempfile.TemporaryDirectory(prefix="bootforge-bench-") as scratch:
        where = Path(scratch)
        small, large = write_fleet(where / "few", few), write_fleet(where / "many", many)
        first, all_of_them = in_a_process("build", str(small)), in_a_process("build", str(large))
        print(f"{'':44}{few:>9} hosts{many:>9} hosts   ratio")
        row("load, resolve, plan: CPU s", first["build"], all_of_them["build"])
        row("peak memory: MiB", first["memory"], all_of_them["memory"])
        row("shapes of kickstarts", first["shapes"], all_of_them["shapes"])
        cache, out = where / "cache", where / "out"
        cold, _ = verb("check", "--site", str(large), cache=cache)
        warm, _ = verb("check", "--site", str(large), cache=cache)
        print(f"check, nothing remembered: CPU s            {'':15}{cold:9.2f}")
        print(f"check, everything remembered: CPU s         {'':15}{warm:9.2f}")
        written, said = verb("render", "--all", "-o", str(out), "--site", str(large), cache=cache)
        before = stamps(out)
        again, said_again = verb("render", "--all", "-o", str(out), "--site", str(large), cache=cache)
        print(f"render --all: CPU s                         {'':15}{written:9.2f}   {said}")
        print(f"render --all again: CPU s                   {'':15}{again:9.2f}   {said_again}")
        assert stamps(out) == before and " 0 files" in said_again, "the second run touched files"
        theirs, source = cobbler(options.cobbler, options.cobbler_hosts)
        print(f"\nfor each host, CPU ms{'':24}{'Bootforge':>13}{'Cobbler':>13}   ratio   ({source})")
        compare("one kickstart, warm (median)", all_of_them["kickstart"], theirs["kickstart"])
        compare("every file of the fleet, first time", written / many, theirs["sync"])
        compare("every file of the fleet, again", again / many, theirs["sync again"])


def row(what: str, few: float, many: float) -> None:
    print(f"{what:44}{few:15.2f}{many:15.2f}{many / few:8.1f}")


def compare(what: str, ours: float, theirs: float) -> None:
    print(f"{what:44}{ours * 1000:14.2f}{theirs * 1000:13.2f}{theirs / ours:8.1f}")


def stamps(root: Path) -> dict[str, tuple[int, int]]:
    """Inode and time of every file."""
    found = ((path, path.stat()) for path in root.rglob("*") if path.is_file())
    return {str(path): (status.st_ino, status.st_mtime_ns) for path, status in found}


if __name__ == "__main__":
    main()
