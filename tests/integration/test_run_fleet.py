"""``run`` on many machines, in batches, and interrupted."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from tests.integration.edge import until
from tests.integration.machines import (
    ROLE,
    TOKEN,
    Lab,
    begun,
    kinds,
    lab,
    leaking_processes,
    name,
    outcomes,
    places,
    run_site,
    slow_lab,
    ssh_processes,
)
from tests.support import ROOT, environment, heed_interrupts


@pytest.fixture
def two(tmp_path: Path) -> Iterator[Lab]:
    with lab(tmp_path / "lab", run_site(tmp_path / "site", 2, ROLE), 2) as made:
        yield made


# Many hosts


def test_two_hundred_hosts(tmp_path: Path) -> None:
    """Two are not there, one fails; at most fifty are at work at once, and nothing is left anywhere."""
    site = run_site(tmp_path / "site", 200, ROLE)
    (tmp_path / "tmp").mkdir()
    with lab(tmp_path / "lab", site, 0) as made:
        made.configure(200)
        made.add(*(number for number in range(1, 201) if number not in (50, 150)))
        made.machine(100).sh("mkdir /etc/bf-motd")
        args = ("web*", "--take-over", "--only", "files", "--jobs", "50", "--json")
        process = made.begin(*args, TMPDIR=str(tmp_path / "tmp"))
        most, descriptors, seen = 0, 0, set()
        out = b""
        assert process.stdout and process.stderr
        while process.poll() is None:
            most = max(most, len(ssh_processes(made)))
            with suppress(OSError):
                descriptors = max(descriptors, len(os.listdir(f"/proc/{process.pid}/fd")))
            seen |= leaking_processes(process.pid)
            if select.select([process.stdout], [], [], 0)[0]:
                out += os.read(process.stdout.fileno(), 1 << 20)
        rest, err = process.communicate()
        said = {one["host"]: one for one in json.loads(out + rest)}
        assert process.returncode == 5 and len(said) == 200
        others = {host: one["outcome"] for host, one in said.items() if one["outcome"] != "changed"}
        assert others == {name(50): "unreachable", name(150): "unreachable", name(100): "failed"}
        assert said[name(50)]["why"] == "refused"
        assert [s["text"] for s in said[name(100)]["steps"] if s["status"] == "failed"] == [
            "/etc/bf-motd is a directory"
        ]
        # Three pipes for each at work, both ends of these and one more while it is started.
        assert 0 < most <= 50 and descriptors < 50 * 8 + 40, (most, descriptors)
        assert seen == set() and TOKEN.encode() not in out + rest + err
        assert ssh_processes(made) == [] and [*(tmp_path / "tmp").iterdir()] == []
        for number, machine in made.machines.items():
            assert [*machine.run.glob("bootforge*")] == [*(machine.at / "shm").iterdir()] == []
            assert number == 100 or machine.read("/etc/bf-motd") == "hello\n"
        assert set(places(made.at)) == {f"m{number}/upper/etc/bf-token" for number in made.machines}

        table = made.run("web*", "--take-over", "--only", "files", "--jobs", "50").out.splitlines()
        assert len(table) == 2 + 1 + 2 + 1, table
        assert table[2].split()[:3] == ["197", "hosts", "ok"]
        assert {line.split()[0] for line in table[3:]} == {name(50), name(150), name(100)}


def test_batches_stop_when_too_many_failed(tmp_path: Path) -> None:
    site = run_site(tmp_path / "site", 6, ROLE)
    with lab(tmp_path / "lab", site, 3) as made:
        made.configure(6)
        names = [name(n) for n in (1, 2, 3, 4, 5, 6)]
        canary = made.run("web*", "--take-over", "--batch", "1,50%", "--json")
        assert [kinds(canary)[n] for n in "123456"] == ["changed"] * 3 + ["unreachable"] + ["not begun"] * 2
        assert "more than --max-fail" in outcomes(canary)["6"]["text"] and canary.status == 5
        made.machine(1).stop()
        first = made.run("web*", "--batch", "1,50%", "--json")
        assert [kinds(first)[n] for n in "123456"] == ["unreachable"] + ["not begun"] * 5
        patient = made.run("web*", "--batch", "1,50%", "--max-fail", "100%", "--json")
        assert [kinds(patient)[n] for n in "123456"] == ["unreachable", "ok", "ok"] + ["unreachable"] * 3
        assert made.run(*names, "--batch", "2", "--max-fail", "1", "--json").status == 5


# Interrupts


def terminal_run(made: Lab, *args: str) -> tuple[subprocess.Popen[bytes], int]:
    """A run on a terminal of its own, as its foreground process group: what is typed there reaches it."""
    leader, follower = pty.openpty()
    env = environment(**made.environment(TERM="xterm", COLUMNS="100", LINES="30"))
    process = subprocess.Popen(
        [sys.executable, "-m", "bootforge", "run", *args],
        stdin=follower,
        stdout=follower,
        stderr=follower,
        env=env,
        cwd=ROOT,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(follower)
    return process, leader


def _take_terminal() -> None:
    import fcntl
    import termios

    heed_interrupts()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def drain(process: subprocess.Popen[bytes], leader: int, typed: list[tuple[Callable[[str], bool], bytes]]) -> str:
    """All that is shown until the process has ended; each of ``typed`` once its condition on that holds."""
    shown = b""
    end = time.monotonic() + 90
    while time.monotonic() < end:
        if typed and typed[0][0](shown.decode(errors="replace")):
            os.write(leader, typed.pop(0)[1])
        if not select.select([leader], [], [], 0.1)[0]:
            if process.poll() is not None:
                break
            continue
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        shown += data
    process.wait(10)
    os.close(leader)
    return shown.decode(errors="replace")


def test_the_first_interrupt_lets_those_at_work_come_to_their_end(two: Lab) -> None:
    slow_lab(two)
    process, leader = terminal_run(two, "web[12].*", "--jobs", "1")
    shown = drain(process, leader, [(lambda shown: begun(two.machine(1))(), b"\x03")])
    assert process.returncode == 130, shown
    assert "interrupted: 1 ended, 0 go on by themselves, 1 were not begun" in shown
    assert shown.count("\x1b[?25h") >= shown.count("\x1b[?25l") > 0, "the cursor is back"
    assert (two.machine(1).upper / "bf-slow").exists() and not (two.machine(2).upper / "etc/bf-slow").exists()
    assert ssh_processes(two) == []


def test_the_second_interrupt_ends_at_once_and_hosts_go_on(two: Lab) -> None:
    slow_lab(two)
    process, leader = terminal_run(two, "web[12].*", "--jobs", "1")
    first = (lambda shown: begun(two.machine(1))(), b"\x03")
    shown = drain(process, leader, [first, (lambda shown: "no more hosts are begun" in shown, b"\x03")])
    assert process.returncode == 130, shown
    assert "interrupted: 0 ended, 1 go on by themselves, 1 were not begun" in shown
    assert shown.count("\x1b[?25h") >= shown.count("\x1b[?25l") > 0
    assert ssh_processes(two) == []
    assert until(lambda: (two.machine(1).upper / "bf-slow").exists(), 20)
    assert until(lambda: "\nend\t" in two.machine(1).read("/var/lib/bootforge/report"))
    assert not (two.machine(2).upper / "etc/bf-slow").exists()
    assert until(lambda: not [*two.machine(1).run.glob("bootforge.*")], 20)
