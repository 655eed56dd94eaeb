"""What ``status`` of a fleet costs beyond loading its site, in CPU seconds: every host was armed and has twenty runs.

python tests/bench/status.py [--hosts N]
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bootforge.cli import options, status  # noqa: E402
from bootforge.plan.digest import plan_digest  # noqa: E402
from bootforge.report import parse_report  # noqa: E402
from bootforge.store import Store, open_store, runs, schema  # noqa: E402
from tests.bench.fleet_site import write_fleet  # noqa: E402

STEPS = "".join(f"ok\t10\tfiles:/etc/some/file{number}\t\n" for number in range(80)) + "ok\t1\tstamp\t\n"


def fill(store: Store, plans: dict[str, str]) -> None:
    """A grant and twenty runs of 82 steps for each host, half of them checks."""
    store.arm([*plans], ttl=3600, why="a benchmark", by="root", tokens="a token of {}".format)
    report = parse_report(f"bootforge\t\trun\t\tr1\t\n{STEPS}changed\t5\thostname\tset\nend\t900\t0\t\n")
    values = {**runs._told(report), "body": runs._packed(report), "at": time.time(), "by": "root"}
    with store._database.write() as connection:
        for number in range(20):
            new = [{**values, "host": host, "plan": plan, "checked": number % 2} for host, plan in plans.items()]
            connection.execute(sa.insert(schema.run), new)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--hosts", type=int, default=10_000)
    count = parser.parse_args().hosts
    with tempfile.TemporaryDirectory() as directory:
        site, shown = Path(directory) / "site", io.StringIO()
        write_fleet(site, count)
        generation = options.load(site)
        store = open_store(f"sqlite:///{directory}/store.db")
        fill(store, {name: plan_digest(plan) for name, plan in generation.plans.items()})
        print(f"CPU seconds, {count} hosts, a store of {Path(directory, 'store.db').stat().st_size / 1e6:.0f} MB")
        _, generation = cpu("load, resolve, plan", lambda: options.load(site))
        names, plans = sorted(generation.hosts), status._Plans(generation)
        chosen, _ = cpu("which hosts", lambda: options.selected(generation, ()))
        digests, _ = cpu("their plans' digests", lambda: [plans.of(name) for name in names])
        read, rows = cpu("their states and runs", lambda: status._rows(store, names, plans))

        def show() -> None:
            with redirect_stdout(shown):
                status._print(rows, [], False, "", False)

        printed, _ = cpu("the table", show)
        assert shown.getvalue().count("current") == count
        print(f"{'beyond loading the site':30} {chosen + digests + read + printed:6.2f}")
        store.close()


T = TypeVar("T")


def cpu(what: str, run: Callable[[], T]) -> tuple[float, T]:
    """CPU seconds of this process, printed, and what came of it."""
    start = time.process_time()
    made = run()
    used = time.process_time() - start
    print(f"{what:30} {used:6.2f}", flush=True)
    return used, made


if __name__ == "__main__":
    main()
