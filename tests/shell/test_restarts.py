"""No restart is lost: not one that fails, not one that a killed run still owed (cfengine, ansible and pyinfra lose
both; tests/bench/converge.py shows it side by side)."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from bootforge.model_steps import Command, Step, whole_file
from bootforge.render.bootstrap import render_bootstrap
from tests.shell.world import HOST, SHELLS, World, machine_shell, script_of, small

APPS = ("app", "other")
FILES = tuple(whole_file(f"files:/etc/{name}", f"/etc/{name}", "x\n", (), notify=(f"restart:{name}",)) for name in APPS)
FAILS_ONCE = '[ "$2" != app ] || [ -e $fake/failed ] || { : >$fake/failed; echo "app: no" >&2; exit 1; }'


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def made(tmp_path: Path, release: str = "el9") -> tuple[World, Path]:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of(FILES, release))
    return world, script


def restarts(world: World) -> list[str]:
    return [one.split()[-1] for one in world.calls() if "try-restart" in one]


def test_one_that_fails_once_is_tried_again_by_the_next_run(shell: list[str], tmp_path: Path) -> None:
    """The others happen all the same, once. While it is owed, every run says so by its exit status."""
    world, script = made(tmp_path)
    world.tool("systemctl", FAILS_ONCE)
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["handler:restart:app"], ran.texts["handler:restart:app"]) == (
        6,
        "failed",
        "app: no",
    )
    assert ran.statuses["handler:restart:other"] == "changed" and restarts(world) == ["app", "other"]
    checked = world.run(shell, script, "--check")
    assert (checked.status, checked.statuses["handler:restart:app"]) == (1, "would")
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["handler:restart:app"]) == (0, "changed")
    assert restarts(world) == ["app", "other", "app"]
    assert world.run(shell, script).status == 0 and len(restarts(world)) == 3


def test_it_is_owed_as_long_as_it_fails(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path)
    world.tool("systemctl", "exit 1")
    assert [world.run(shell, script).status for _ in range(3)] == [6, 6, 6]
    world.tool("systemctl", "exit 0")
    assert [world.run(shell, script).status for _ in range(2)] == [0, 0]
    assert restarts(world) == ["app", "other"] * 4


def test_a_run_that_is_killed_before_its_handlers_owes_them(shell: list[str], tmp_path: Path) -> None:
    """The last step kills the run, when every file has been written already; the next run finds nothing to write."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    kills = 'case $1 in apply) kill -9 0 ;; esac; [ -e "$BF_ROOT/calm" ]'
    script.write_text(script_of((*FILES, Step("hooks:kill", "hook", ("kill",), (), content=kills))))
    assert world.run(shell, script).status < 0 and restarts(world) == []
    assert all((world.root / "etc" / name).read_text() == "x\n" for name in APPS)
    world.write("calm", "")
    ran = world.run(shell, script)
    assert (ran.status, restarts(world)) == (0, ["app", "other"])
    assert {ran.statuses[step.id] for step in FILES} == {"ok"}


def test_one_that_a_later_site_does_not_name_is_still_owed(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path)
    world.tool("systemctl", "exit 1")
    assert world.run(shell, script).status == 6
    world.tool("systemctl", "exit 0")
    script.write_text(script_of(()))
    assert world.run(shell, script).statuses["handler:restart:app"] == "changed"


def test_install_leaves_them_to_the_first_boot(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path)
    world.tool("systemctl", FAILS_ONCE)
    ran = world.run(shell, script, "--phase", "install")
    assert (ran.status, ran.statuses["handler:restart:app"], world.calls()) == (0, "skipped", [])
    assert world.run(shell, script, "--phase", "boot").status == 6
    assert world.run(shell, script, "--phase", "boot").status == 0 and restarts(world) == ["app", "other", "app"]


@pytest.mark.parametrize("release", ["el6", "el9"])
def test_what_a_handler_leaves_running_holds_nobody_up(shell: list[str], release: str, tmp_path: Path) -> None:
    """A daemon that keeps the output of what started it open, as old init scripts and programs of a site do."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    daemon = "sleep 60 & echo $! >>$fake/pids; echo begun"
    world.tool("service", daemon)
    world.tool("app", f"{daemon}; exit 3")
    steps = (
        whole_file("files:/etc/a", "/etc/a", "x\n", (), notify=("restart:app", "run:app")),
        Step("hooks:it", "hook", ("it",), (), content='sleep 60 & echo $! >>$BF_ROOT/pids; [ "$1" = apply ]'),
    )
    plan = replace(small().plan(HOST), steps=steps, release=release, commands=(Command("app", ("app",)),))
    script.write_text(render_bootstrap(plan, small().engine).text)
    begun = time.monotonic()
    try:
        ran = world.run(shell, script)
        assert time.monotonic() - begun < 50, "it waited for the daemon"
        assert (ran.status, ran.texts["handler:run:app"]) == (5, "begun")
        assert ran.texts["hooks:it"].startswith("still not right")
    finally:
        for file in (world.fake / "pids", world.root / "pids"):
            for pid in file.read_text().split() if file.exists() else ():
                with suppress(ProcessLookupError):
                    os.kill(int(pid), 9)
