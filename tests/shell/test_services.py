"""Services of both kinds of init, and processes that must not run."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.model_steps import Step, whole_file
from tests.shell.world import SHELLS, SYSTEMCTL, Case, Ran, World, machine_shell, proofs, script_of

CHKCONFIG = r"""
# $fake/levels/NAME: the levels in which it starts; $fake/units/NAME exists where it runs.
cd $fake; mkdir -p levels
case $1 in
--list)
    for one in levels/*; do
        [ -e "$one" ] || continue
        printf '%-15s' "${one#levels/}"
        for level in 0 1 2 3 4 5 6; do
            case $(cat $one) in *$level*) printf '\t%s:on' $level ;; *) printf '\t%s:off' $level ;; esac
        done
        echo
    done ;;
--add) [ -e levels/$2 ] || echo '' >levels/$2 ;;
*) [ -e levels/$1 ] || { echo "no $1" >&2; exit 1; }
    case $2 in on) echo 2345 >levels/$1 ;; off) echo '' >levels/$1 ;; esac ;;
esac
"""
SERVICE = r"""
cd $fake; mkdir -p running
case $2 in
status) [ -e running/$1 ] || exit 3 ;;
start) [ ! -e running/$1.fails ] || { echo "$1: no" >&2; exit 1; }; touch running/$1 ;;
stop) rm -f running/$1 ;;
esac
"""


def services(*words: str, **more: str) -> Step:
    return Step("services", "services", words, (), **more)  # type: ignore[arg-type]


ALL = ("app", "on", "b@1.timer", "enabled", "c", "off", "d", "running", "e", "masked", "gone", "off", "gone2", "masked")


def _units(**units: str) -> None:
    def prepare(world: World) -> None:
        (world.fake / "units").mkdir()
        for name, words in units.items():
            (world.fake / "units" / name.replace("_", "@1.")).write_text("".join(f"{w}\n" for w in words.split()))

    return prepare  # type: ignore[return-value]


def _unit(name: str, words: str) -> object:
    return lambda w: (w.fake / "units" / name).write_text("".join(f"{word}\n" for word in words.split()))


def _scripts(world: World) -> None:
    world.tool("chkconfig", CHKCONFIG)
    world.tool("service", SERVICE)
    for name in ("app", "b", "c", "c2"):
        world.write(f"etc/init.d/{name}", "", 0o755)
    (world.fake / "levels").mkdir()
    (world.fake / "running").mkdir()
    for name, levels in {"b": "345", "c": "2345", "c2": "", "cc": "35"}.items():
        (world.fake / "levels" / name).write_text(f"{levels}\n")
    (world.fake / "running/c").touch()


CASES = [
    Case(
        "systemd",
        (services(*ALL),),
        prepare=_units(app="", b_timer="masked", c="enabled active", d="", e="enabled active"),  # type: ignore[arg-type]
        drifts={
            "stopped": _unit("app", "enabled"),  # type: ignore[dict-item]
            "on-disabled": _unit("b@1.timer", ""),  # type: ignore[dict-item]
            "enabled": _unit("c", "enabled"),  # type: ignore[dict-item]
            "started": _unit("c", "active"),  # type: ignore[dict-item]
            "not-running": _unit("d", ""),  # type: ignore[dict-item]
        },
    ),
    Case(
        "sysv",
        (services("app", "on", "b", "enabled", "c", "off", "c2", "running", "gone", "off"),),
        prepare=_scripts,
        drifts={
            "disabled": lambda w: (w.fake / "levels/app").write_text("2\n"),
            "stopped": lambda w: (w.fake / "running/app").unlink(),
            "enabled": lambda w: (w.fake / "levels/c").write_text("4\n"),
            "started": lambda w: (w.fake / "running/c").touch(),
        },
        release="el6",
    ),
]

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def _words(world: World, name: str) -> set[str]:
    return set((world.fake / "units" / name).read_text().split())


OLD = (
    r"""
# Before systemd 252: the first unit that is not known ends the answer; a script of /etc/init.d is told first.
if [ "$1" = is-enabled ]; then
    shift
    [ ! -e $fake/sysv ] || for unit; do [ "$unit" != b ] || echo disabled; done
    for unit; do
        [ "$unit" != b ] || [ ! -e $fake/sysv ] || continue
        [ -e "$fake/units/$unit" ] || { echo "Failed to get unit file state for $unit" >&2; exit 1; }
        grep -qx enabled "$fake/units/$unit" && echo enabled || echo disabled
    done
    exit 1
fi
"""
    + SYSTEMCTL
)


def test_what_is_made_so(shell: list[str], tmp_path: Path) -> None:
    case = CASES[0]
    world, script = case.world(tmp_path / "w"), case.script(tmp_path)
    assert world.run(shell, script).status == 0
    assert _words(world, "app") == {"enabled", "active"} and _words(world, "b@1.timer") == {"enabled"}
    assert _words(world, "c") == set() and _words(world, "d") == {"active"} and "masked" in _words(world, "e")
    assert "active" not in _words(world, "e") and not (world.fake / "units/gone").exists()
    calls = len(world.calls())
    assert world.run(shell, script).status == 0
    assert len(world.calls()) == calls + 2, "two questions tell for all of them"


def test_old_systemctl(shell: list[str], tmp_path: Path) -> None:
    """Answers that lack a unit, or come in another order, are not taken for those of others."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    _units(a="enabled active", b="active", c="active")(world)  # type: ignore[misc]
    world.tool("systemctl", OLD)
    script.write_text(script_of([services("gone", "off", "a", "on", "b", "on", "c", "enabled")]))
    assert world.run(shell, script).texts["services"] == "b enabled, c enabled"
    (world.fake / "units/b").write_text("active\n")
    (world.fake / "sysv").touch()
    world.write("etc/init.d/b", "")
    script.write_text(script_of([services("a", "on", "b", "on", "c", "enabled")]))
    assert world.run(shell, script).texts["services"] == "b enabled"


def test_at_install_nothing_is_started(shell: list[str], tmp_path: Path) -> None:
    for case in CASES:
        world, script = case.world(tmp_path / case.name), case.script(tmp_path)
        before = sorted(p.name for p in world.fake.glob("running/*"))
        ran = world.run(shell, script, "--phase", "install")
        assert (ran.status, ran.statuses["services"]) == (0, "changed"), ran
        assert not [call for call in world.calls() if call.split()[1] in ("start", "stop", "is-active")]
        assert not [call for call in world.calls() if call.startswith("service ")]
        assert sorted(p.name for p in world.fake.glob("running/*")) == before
    assert "enabled" in _words(CASES[0].world(tmp_path / "z"), "c")


def test_a_service_that_does_not_exist(shell: list[str], tmp_path: Path) -> None:
    """It is an error, the others are mended all the same; while a package would still come it is only told."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    _units(a="")(world)  # type: ignore[misc]
    script.write_text(script_of([services("a", "on", "none", "running", "z", "on")]))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["services"]) == (5, "failed")
    assert ran.texts["services"] == "a enabled, a started, there is no service none, there is no service z"
    assert _words(world, "a") == {"enabled", "active"}
    assert world.run(shell, script, "--check").status == 5
    script.write_text(script_of([whole_file("packages", "/x", "x", ()), services("none", "on")]))
    told = world.run(shell, script, "--check")
    assert (told.status, told.statuses["services"]) == (1, "would")


def test_a_start_that_fails_is_told(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    _scripts(world)
    (world.fake / "running/app.fails").touch()
    script.write_text(script_of([services("app", "on", "b", "on")], "el5"))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["services"]) == (5, "failed")
    assert "app started, failed: service app start fails" in ran.texts["services"]
    assert (world.fake / "running/b").exists()


def test_a_unit_that_was_just_written_is_read_first(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    _units(a="")(world)  # type: ignore[misc]
    unit = whole_file("files:/etc/systemd/system/a.service", "/etc/systemd/system/a.service", "x", (),
                      notify=("daemon-reload",))  # fmt: skip
    script.write_text(script_of([unit, services("a", "on")]))
    assert world.run(shell, script).status == 0
    calls = world.calls()
    assert calls.index("systemctl daemon-reload") < calls.index("systemctl start a")
    assert calls.count("systemctl daemon-reload") == 1


# Processes: real ones, of a name that nobody else has


@pytest.fixture
def name(tmp_path: Path) -> Iterator[str]:
    name = f"bf-{os.getpid()}-{os.urandom(2).hex()}"[:15]
    shutil.copy(shutil.which("sleep") or "sleep", tmp_path / name)
    yield name


def _world(tmp_path: Path) -> World:
    world = World(tmp_path / "w")
    (world.root / "proc").symlink_to("/proc")
    return world


def _text(ran: Ran) -> tuple[int, str, str]:
    return ran.status, ran.statuses["processes"], ran.texts["processes"]


def test_processes_that_must_not_run_are_ended(shell: list[str], tmp_path: Path, name: str) -> None:
    world, script = _world(tmp_path), tmp_path / "b"
    script.write_text(script_of([Step("processes", "processes", ("bf-none", name), (), ("boot", "run"))]))
    assert _text(world.run(shell, script)) == (0, "ok", "")
    # Its name is a word of what /proc/PID/stat says of any process.
    other = subprocess.Popen([shutil.copy(tmp_path / name, tmp_path / "0"), "1000"])
    first, second = (subprocess.Popen([tmp_path / name, "1000"]) for _ in range(2))
    try:
        told = world.run(shell, script, "--check")
        assert _text(told) == (1, "would", f"ended: {name}")
        assert "processes" not in world.run(shell, script, "--phase", "install").statuses
        assert first.poll() is None and second.poll() is None
        assert _text(world.run(shell, script)) == (0, "changed", f"ended: {name}")
        assert (first.wait(5), second.wait(5), other.poll()) == (-signal.SIGTERM, -signal.SIGTERM, None)
    finally:
        for process in (first, second, other):
            process.kill()
            process.wait()


def test_what_does_not_listen_is_killed(tmp_path: Path, name: str) -> None:
    world, script = _world(tmp_path), tmp_path / "b"
    script.write_text(script_of([Step("processes", "processes", (name,), (), ("boot", "run"))]))
    deaf = subprocess.Popen(["sh", "-c", f"trap '' TERM; exec {tmp_path}/{name} 1000"])
    try:
        while Path(f"/proc/{deaf.pid}/comm").read_text().strip() != name:
            time.sleep(0.01)
        began = time.monotonic()
        assert _text(world.run(["dash"], script)) == (0, "changed", f"ended: {name}")
        assert time.monotonic() - began > 9
        assert deaf.wait(5) == -signal.SIGKILL
    finally:
        deaf.kill()
        deaf.wait()
