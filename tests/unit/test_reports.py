"""The verbs status and log, as an operator asks them: what changed, when, why it failed, what is owed and behind."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.cli.output import print_table
from bootforge.errors import Exit
from bootforge.generation import build_generation
from bootforge.plan.digest import plan_digest
from bootforge.store import Store, open_store
from tests.support import SMALL, Done, verb, write_site

WEB, DB, APP = "web01.prod.den.example.com", "db01.prod.den.example.com", "app01.qa.den.example.com"
NOON = 1_800_000_000.0
PLANS = {name: plan_digest(plan) for name, plan in build_generation(SMALL).plans.items()}
TOKEN = "token-of-the-test"
LONG = "No space left on device while /etc/sysctl.d/50-bootforge.conf was written, and more of it"

Line = tuple[str, str, str]


class Fleet:
    """A store with a story, and its verbs."""

    def __init__(self, root: Path) -> None:
        self.now = NOON
        self.url = f"sqlite:///{root}/store.db"
        self.store: Store = open_store(self.url, lambda: self.now)
        self.site = SMALL

    def run(self, host: str, *lines: Line, exit: int = 0, phase: str = "run", check: str = "", plan: str = "") -> None:
        self.now += 3600
        self.store.record_run(host, self.text(host, *lines, exit=exit, phase=phase, check=check, plan=plan), "alice")

    def text(self, host: str, *lines: Line, exit: int = 0, phase: str = "run", check: str = "", plan: str = "") -> str:
        said = "".join(f"{status}\t20\t{step}\t{what}\n" for status, step, what in lines)
        return f"bootforge\t{host}\t{phase}\t{check}\tr1\t{plan or PLANS[host]}\n{said}end\t1500\t{exit}\t\n"

    def install(self, host: str, booted: str, went_well: bool) -> None:
        (grant,) = self.store.arm([host], ttl=3600, why="rack 12", by="root", tokens=lambda id: TOKEN + id)
        token = TOKEN + grant.id
        self.store.permit_kickstart(host, token, "", True)
        lines = (("changed", "packages", "install httpd"), ("changed", "stamp", ""), OWED)
        self.store.report(host, token, "", True, "installed", "bootstrap", self.text(host, *lines, phase="install"))
        self.now += 60
        assert self.store.report_boot(host, token, "", went_well, booted).permitted

    def verb(self, *args: str) -> Done:
        return verb(*args, BOOTFORGE_SITE=str(self.site), BOOTFORGE_STORE=self.url, TZ="UTC")

    def cells(self, *args: str) -> dict[str, dict[str, str]]:
        """The table of status, by host."""
        done = self.verb("status", *args)
        assert done.status == 0, done
        return table(done.out)


def table(out: str) -> dict[str, dict[str, str]]:
    """The rows of the first table, by their first cell."""
    header, _, *rows = out.partition("\n\n")[0].splitlines()
    starts = [found.start() for found in re.finditer(r"(?:^|(?<=   ))\S", header)]
    ends = [*starts[1:], None]
    parts = [[line[start:end].strip() for start, end in zip(starts, ends, strict=True)] for line in [header, *rows]]
    return {cells[0]: dict(zip(parts[0], cells, strict=True)) for cells in parts[1:]}


OK: tuple[Line, ...] = (("ok", "hostname", ""), ("ok", "sysctl", ""), ("ok", "stamp", ""))
OWED: Line = ("skipped", "handler:restart:httpd", "left to the first boot")
BROKEN: tuple[Line, ...] = (
    ("ok", "hostname", ""), ("failed", "sysctl", LONG), ("blocked", "files:/x", "sysctl failed"),
    ("failed", "stamp", "a step before it failed"),
)  # fmt: skip


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    made = Fleet(tmp_path)
    yield made
    made.store.close()


# status


def test_a_fleet_at_a_glance(fleet: Fleet) -> None:
    fleet.install(WEB, fleet.text(WEB, *BROKEN, exit=5, phase="boot"), False)
    fleet.install(DB, fleet.text(DB, *OK, phase="boot"), True)
    fleet.run(DB, *OK, ("failed", "handler:restart:httpd", "no unit"), exit=6)
    cells = fleet.cells()
    assert [*cells] == [APP, DB, WEB] and "wipe" not in cells[WEB] and "revision" not in cells[WEB]
    assert (cells[APP]["state"], cells[APP]["last run"], cells[APP]["plan"]) == ("idle", "", "")
    assert (cells[DB]["state"], cells[DB]["phase"], cells[DB]["pending"]) == ("installed", "run", "restart:httpd")
    assert cells[DB]["result"] == "handler pending: restart:httpd: no unit"
    assert (cells[WEB]["state"], cells[WEB]["phase"]) == ("failed", "first boot")
    assert cells[WEB]["result"].startswith("installed, first boot failed: sysctl: No space")
    assert cells[WEB]["result"].endswith("...") and len(cells[WEB]["result"]) == 60
    more = fleet.cells("-v")
    assert more[WEB]["result"] == f"installed, first boot failed: sysctl: {LONG}"
    assert (more[DB]["by"], more[DB]["failed"], more[DB]["revision"], more[DB]["seconds"]) == (
        "alice",
        "1",
        "r1",
        "1.5",
    )


def test_a_run_that_did_everything_ends_a_failed_first_boot(fleet: Fleet) -> None:
    fleet.install(WEB, fleet.text(WEB, *BROKEN, exit=5, phase="boot"), False)
    fleet.run(WEB, *BROKEN, exit=5)
    assert fleet.cells("-v")[WEB]["result"] == f"installed, first boot failed; run: failed: sysctl: {LONG}"
    fleet.run(WEB, ("ok", "hostname", ""), ("changed", "sysctl", "set"), ("changed", "stamp", ""))
    row = fleet.cells()[WEB]
    assert (row["state"], row["result"], row["plan"]) == ("installed", "2 changed", "current")


def test_who_is_behind(fleet: Fleet, tmp_path: Path) -> None:
    def plan() -> object:
        return fleet.verb("status", WEB, "--json").json[0]["current"]

    assert plan() is None
    fleet.run(WEB, *OK, plan="an older one")
    assert plan() is False and fleet.cells()[WEB]["plan"] == "behind"
    fleet.run(WEB, ("changed", "sysctl", ""))  # --only
    assert plan() is False
    fleet.run(WEB, *BROKEN, exit=5)
    assert plan() is False
    fleet.run(WEB, *OK)
    fleet.run(WEB, ("would", "sysctl", ""), exit=1, check="check", plan="another site's")
    assert plan() is True and fleet.cells()[WEB]["plan"] == "current"
    fleet.site = Path(shutil.copytree(SMALL, tmp_path / "site"))
    write_site(fleet.site, {"roles/web.yaml": (fleet.site / "roles/web.yaml").read_text() + "timezone: Europe/Paris\n"})
    assert plan() is False


def test_a_host_step_by_step(fleet: Fleet) -> None:
    fleet.install(WEB, fleet.text(WEB, *BROKEN, exit=5, phase="boot"), False)
    out = fleet.verb("status", WEB).out
    first, _, steps = out.partition("\n\n")
    assert LONG in first and "..." not in out
    assert [line.split()[:2] for line in steps.splitlines()[2:]] == [
        ["sysctl", "failed"], ["stamp", "failed"], ["files:/x", "blocked"], ["hostname", "ok"], ["packages", "-"],
    ]  # fmt: skip
    assert "2027-01-15 08:01:00Z" in steps.splitlines()[2] and LONG in steps.splitlines()[2]
    (row,) = fleet.verb("status", WEB, "--json").json
    assert list(row["steps"][1]) == [
        "step", "status", "ms", "text", "changed_at", "changed_text", "failed_at", "failed_text",
    ]  # fmt: skip
    assert {step["step"]: (step["changed_at"], step["failed_at"]) for step in row["steps"]} == {
        "hostname": (None, None), "sysctl": (None, NOON + 60), "files:/x": (None, None), "stamp": (NOON, NOON + 60),
        "packages": (NOON, None),
    }  # fmt: skip
    assert "steps" not in fleet.verb("status", "web*", "--json").json[0]


def test_the_keys_of_status(fleet: Fleet) -> None:
    fleet.install(WEB, fleet.text(WEB, *OK, phase="boot"), True)
    row = fleet.verb("status", "web*", "--json").json[0]
    assert list(row) == [
        "host", "state", "since", "deadline", "why", "armed_by", "wipe", "first_boot", "run", "result", "pending",
        "applied", "current",
    ]  # fmt: skip
    assert list(row["run"]) == [
        "id", "at", "by", "phase", "check", "revision", "plan", "exit", "ms", "changed", "would", "failed", "why",
        "pending", "result",
    ]  # fmt: skip
    assert row["applied"] == {"at": NOON + 60, "revision": "r1", "plan": PLANS[WEB]}
    assert (row["first_boot"], row["run"]["phase"], row["result"]) == ("done", "boot", "ok")


def test_a_host_that_is_in_no_site_any_more(fleet: Fleet, tmp_path: Path) -> None:
    PLANS.setdefault("gone.example.com", "a plan")
    fleet.run("gone.example.com", *BROKEN, exit=5)
    done = fleet.verb("status", "gone.example.com", "--json")
    assert (done.status, done.json[0]["run"]["failed"], done.json[0]["current"]) == (0, 1, None)
    fleet.site = Path(shutil.copytree(SMALL, tmp_path / "site"))
    write_site(fleet.site, {"roles/web.yaml": "broken"})
    done = fleet.verb("status", "gone.example.com")
    assert done.status == 0 and "sysctl" in done.out and "plans are not compared" in done.err
    assert fleet.verb("status").status == Exit.USAGE


# log


def test_why_it_failed_in_one_command(fleet: Fleet) -> None:
    fleet.install(WEB, fleet.text(WEB, *BROKEN, exit=5, phase="boot"), False)
    lines = fleet.verb("log", WEB).out.splitlines()
    assert lines[0] == f"{WEB}: first boot, 2027-01-15T08:01:00+00:00, 1.5 s: failed: sysctl: {LONG}"
    assert lines[1] == f"revision r1, plan {PLANS[WEB]}" and lines[5].split(maxsplit=3) == [
        "FAILED",
        "sysctl",
        "0.02",
        LONG,
    ]
    assert [line.split()[1] for line in lines[5:]] == ["sysctl", "stamp", "files:/x", "hostname"]
    told = fleet.verb("log", WEB, "--json").json
    assert (told["host"], told["exit"], told["steps"][1]["text"]) == (WEB, 5, LONG) and told["text"].endswith("\t5\t\n")
    fleet.run(WEB, *OK)
    assert fleet.verb("log", WEB).out.startswith(f"{WEB}: run by alice, 2027-01-15T09:01:00+00:00, 1.5 s: ok\n")
    assert LONG in fleet.verb("log", WEB, "boot-failed").out
    assert fleet.verb("log", WEB, "bootstrap").out.startswith(f"bootforge\t{WEB}\tinstall\t")


def test_the_history_of_a_step(fleet: Fleet) -> None:
    fleet.run(WEB, *BROKEN, exit=5)
    fleet.run(WEB, ("changed", "sysctl", "set"), ("changed", "files:/x", "new"), ("ok", "files:/y", ""))
    lines = [line.split(maxsplit=5) for line in fleet.verb("log", WEB, "sysctl").out.splitlines()[2:]]
    assert [(line[3], line[4], line[5]) for line in lines] == [("sysctl", "failed", LONG), ("sysctl", "changed", "set")]
    rows = fleet.verb("log", WEB, "files", "--json").json
    assert [(row["step"], row["status"], row["by"]) for row in rows] == [
        ("files:/x", "blocked", "alice"), ("files:/x", "changed", "alice"), ("files:/y", "ok", "alice"),
    ]  # fmt: skip
    for _ in range(10):
        fleet.run(WEB, *OK)
    rows = fleet.verb("log", WEB, "sysctl", "--json").json
    assert [(row["status"], row["text"], row["run"]) for row in rows[:3]][:2] == [
        ("failed", LONG, None), ("changed", "set", None),
    ]  # fmt: skip
    assert [row["status"] for row in rows[2:]] == ["ok"] * 10, "the runs themselves are gone"
    assert rows[0]["at"] == NOON + 3600
    done = fleet.verb("log", WEB, "sysclt")
    assert done.status == Exit.NOT_FOUND and "did you mean 'sysctl'?" in done.err


def test_runs_by_their_number(fleet: Fleet) -> None:
    fleet.run(WEB, *BROKEN, exit=5)
    fleet.run(DB, *OK)
    fleet.run(WEB, ("would", "sysctl", ""), exit=1, check="check")
    rows = table(fleet.verb("log", WEB, "--runs").out)
    assert [(row["phase"], row["result"]) for row in rows.values()] == [
        ("run", f"failed: sysctl: {LONG}"), ("run --check", "1 would change"),
    ]  # fmt: skip
    first = [*rows][0]
    assert LONG in fleet.verb("log", WEB, first).out
    assert [run["id"] for run in fleet.verb("log", WEB, "--runs", "--json").json] == [*map(int, rows)]
    assert fleet.verb("log", DB, first).status == Exit.NOT_FOUND, "it is another host's"


def test_nothing_that_a_terminal_would_obey(fleet: Fleet) -> None:
    fleet.install(WEB, fleet.text(WEB, ("failed", "sysctl", "\x1b[2Jred\x07\u202e\x9b1m"), exit=5, phase="boot"), False)
    outs = [fleet.verb(*args).out for args in (("status", "-v"), ("status", WEB), ("log", WEB), ("log", WEB, "sysctl"))]
    outs += [fleet.verb("log", WEB, "--runs").out, fleet.verb("log", WEB, "boot-failed").out]
    assert all("red" in out for out in outs)
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", "".join(outs))


def test_a_table_is_aligned_whatever_is_in_it(capsys: pytest.CaptureFixture[str]) -> None:
    print_table(("a", "bb"), [["x", 1], ["\u65e5\u672c", "yy"], ["", "[red]z"]])
    assert capsys.readouterr().out == (f"a      bb\n{chr(0x2500) * 13}\nx      1\n\u65e5\u672c   yy\n       [red]z\n")
    print_table(("a",), [])
    assert capsys.readouterr().out == ""
