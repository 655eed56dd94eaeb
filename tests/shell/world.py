"""A machine for the bootstrap's steps: a root directory, and stand-ins for the tools that would reach beyond it; and
what must hold of every step, under every shell: check, run, run again, drift, killed anywhere, and a full disk."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest

from bootforge.generation import Generation, build_generation
from bootforge.model_steps import Step
from bootforge.render.bootstrap import render_bootstrap
from bootforge.site.load import Site
from tests.support import SMALL, need

SHELLS = ("dash", "bash", "mksh", "busybox sh")
HOST = "web01.prod.den.example.com"
STATE = "var/lib/bootforge"
TOOLS = (
    "awk cat chmod chown cmp cp cut diff dirname env find grep head id ln ls mkdir mv printf readlink rm rmdir sed"
    " sha256sum sleep sort stat tail tr true uname uniq wc"
)
"""What a script finds besides its shell and the stand-ins; nothing else, so that a step cannot reach the machine."""

_REST = (f"{STATE}/backup", f"{STATE}/report", f"{STATE}/ok")
"""What may differ between two runs that end alike."""


@dataclass
class Ran:
    """``lines``: the report's, split at tabs, without the first and the last."""

    status: int
    out: str
    err: str

    @property
    def lines(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines() if not line.startswith(("bootforge\t", "end\t"))]

    @property
    def statuses(self) -> dict[str, str]:
        return {line[2]: line[0] for line in self.lines}

    @property
    def texts(self) -> dict[str, str]:
        return {line[2]: line[3] for line in self.lines}


class World:
    """``root`` is BF_ROOT, ``fake`` is where stand-ins keep what they know, ``bin`` is the whole of PATH."""

    def __init__(self, at: Path) -> None:
        self.at = at
        self.root, self.fake, self.bin = at / "root", at / "fake", at / "bin"
        for directory in (self.root, self.fake, self.bin):
            directory.mkdir(parents=True)
        for name in TOOLS.split():
            (self.bin / name).symlink_to(shutil.which(name) or name)
        self.tool("systemctl", SYSTEMCTL)

    def tool(self, name: str, script: str) -> None:
        """A stand-in, in sh; $fake is its directory, and what it is asked is appended to $fake/calls."""
        path = self.bin / name
        path.unlink(missing_ok=True)
        head = f'#!/bin/sh\nfake={self.fake}\nPATH=/usr/bin:/bin\necho "{name} $*" >>$fake/calls\n'
        path.write_text(head + script + "\n")
        path.chmod(0o755)

    def calls(self) -> list[str]:
        """What the stand-ins were asked, in order."""
        path = self.fake / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def write(self, name: str, text: str, mode: int = 0o644) -> Path:
        path = self.root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        return path

    def run(self, shell: Sequence[str], script: Path, *args: str, path: str = "") -> Ran:
        """``args``: {at} stands for the directory that has the world's."""
        env = {"PATH": path or str(self.bin), "BF_ROOT": str(self.root), "LC_ALL": "C"}
        args = tuple(arg.replace("{at}", str(self.at)) for arg in args)
        command = [shutil.which(shell[0]) or shell[0], *shell[1:], str(script), *args]
        done = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, text=True, start_new_session=True
        )
        out, err = done.communicate(timeout=120)
        return Ran(done.returncode, out, err)

    def tree(self) -> dict[str, tuple[str, str, str]]:
        """Every path below the root, and what the stand-ins know: type and mode, owner, content."""
        found = {}
        for top, prefix in ((self.root, ""), (self.fake, "fake:")):
            for path in sorted(top.rglob("*")):
                name = prefix + path.relative_to(top).as_posix()
                if name == "fake:calls" or name.startswith(_REST):
                    continue
                stat = path.lstat()
                link = path.is_symlink()
                content = os.readlink(path) if link else path.read_bytes().hex() if path.is_file() else ""
                found[name] = (oct(stat.st_mode), f"{stat.st_uid}:{stat.st_gid}", content)
        return found


SYSTEMCTL = r"""
# $fake/units/NAME has what is so of a unit, in words: enabled, active, masked. A unit that has no file does not exist.
cd $fake; mkdir -p units; action=$1; shift
[ "$action" = daemon-reload ] && exit 0
status=0
for unit; do
    case $unit in -*) continue ;; esac
    unit=${unit%.service}
    has() { grep -qx "$1" "units/$unit" 2>/dev/null; }
    add() { has "$1" || echo "$1" >>"units/$unit"; }
    drop() { grep -vx "$1" "units/$unit" >"units/.$unit"; mv "units/.$unit" "units/$unit"; }
    if [ ! -e "units/$unit" ]; then
        case $action in
        is-enabled) echo not-found; status=1 ;;
        is-active) echo inactive; status=3 ;;
        try-restart | reload-or-try-restart) ;;
        *) echo "Unit $unit.service not found." >&2; status=5 ;;
        esac
        continue
    fi
    case $action in
    is-enabled)
        if has masked; then echo masked; status=1
        elif has enabled; then echo enabled
        else echo disabled; status=1; fi ;;
    is-active) if has active; then echo active; else echo inactive; status=3; fi ;;
    enable) add enabled ;;
    disable) drop enabled ;;
    mask) add masked ;;
    unmask) drop masked ;;
    start | restart) add active ;;
    stop) drop active ;;
    try-restart | reload-or-try-restart) ;;
    *) echo "systemctl stand-in: $action?" >&2; exit 1 ;;
    esac
done
exit $status
"""


@dataclass(frozen=True)
class Case:
    """Steps on a machine. ``prepare`` makes what is there before. ``drifts``: by name, what somebody changes after the
    first run. ``handlers``: stand-ins' calls that the first run must bring, and that no kill may lose. ``args``: of
    every run. ``again``: what is added to them in runs that must find nothing to do."""

    name: str
    steps: tuple[Step, ...]
    prepare: Callable[[World], Any] = lambda world: None
    drifts: Mapping[str, Callable[[World], Any]] = field(default_factory=dict)
    handlers: tuple[str, ...] = ()
    release: str = "el9"
    args: tuple[str, ...] = ()
    again: tuple[tuple[str, ...], ...] = ((), ("--check",), ("--phase", "boot"), ("--phase", "install"))

    def __str__(self) -> str:
        return self.name

    def world(self, at: Path) -> World:
        world = World(at)
        self.prepare(world)
        return world

    def script(self, at: Path) -> Path:
        path = at / "bootstrap"
        path.write_text(script_of(self.steps, self.release))
        return path


_small: list[Generation] = []


def small() -> Generation:
    """The small site, built once."""
    if not _small:
        _small.append(build_generation(SMALL))
    return _small[0]


def script_of(steps: Sequence[Step], release: str = "el9") -> str:
    """A bootstrap of these steps and no other; its stamp stands beside them as in every bootstrap."""
    plan = replace(small().plan(HOST), steps=tuple(steps), release=release)
    return render_bootstrap(plan, small().engine).text


def site_of() -> Site:
    return small().site


def machine_shell(shell: str) -> list[str]:
    """The words of a shell; skips where it is missing or we are not root."""
    need("dash", "busybox", shell.split()[0])
    if os.geteuid():
        pytest.skip("owners and mounts need root")
    return shell.split()


def proofs(cases: Sequence[Case]) -> tuple[Callable[..., None], ...]:
    """The tests that every case has to pass: converges, drifts, killed, full disk. A test module takes them by
    ``test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)``."""
    each = pytest.mark.parametrize("case", cases, ids=str)
    drifts = [(case, drift) for case in cases for drift in case.drifts]
    return (
        each(pytest.mark.parametrize("shell", SHELLS)(_new(_converges))),
        _in_turn("case, drift", [(f"{case}-{drift}", (case, drift)) for case, drift in drifts])(_new(_drifts)),
        _in_turn("case", [(str(case), (case,)) for case in cases], pytest.mark.slow)(_new(_killed)),
        each(_new(_full_disk)),
    )


def _in_turn(
    names: str, rows: Sequence[tuple[str, tuple[Any, ...]]], *marks: pytest.MarkDecorator
) -> pytest.MarkDecorator:
    """Each row under dash, and under one other shell, which takes turns: what takes long is not done by all four.
    ``marks``: of those under the other shell."""
    params = [
        pytest.param(*row, shell, id=f"{id}-{shell}", marks=marks if shell != SHELLS[0] else ())
        for number, (id, row) in enumerate(rows)
        for shell in (SHELLS[0], SHELLS[1 + number % (len(SHELLS) - 1)])
    ]
    return pytest.mark.parametrize(f"{names}, shell", params)


def _new(test: Callable[..., None]) -> Callable[..., None]:
    """A function of its own for each module: marks are kept at the function."""
    return FunctionType(test.__code__, test.__globals__, test.__name__)


def _converges(case: Case, shell: str, tmp_path: Path) -> None:
    """--check finds what is to do and does nothing; a run does it; another does nothing."""
    words = machine_shell(shell)
    world, script = case.world(tmp_path / "w"), case.script(tmp_path)
    before = world.tree()
    checked = world.run(words, script, *case.args, "--check", "--diff")
    assert (checked.status, checked.err) == (1, ""), checked
    assert world.tree() == before, "--check changed something"
    ran = world.run(words, script, *case.args)
    assert (ran.status, ran.err) == (0, ""), ran
    would = {id for id, status in checked.statuses.items() if status == "would"}
    changed = {id for id, status in ran.statuses.items() if status == "changed"}
    assert would == changed, "--check must tell what a run changes"
    for handler in case.handlers:
        assert world.calls().count(handler) == 1, (handler, world.calls())
    made, calls = world.tree(), len(world.calls())
    for args in case.again:
        again = world.run(words, script, *case.args, *args)
        assert (again.status, set(again.statuses.values()) - {"ok"}) == (0, set()), (args, again)
    assert world.tree() == made
    assert not [one for one in world.calls()[calls:] if one in case.handlers], "a handler ran for nothing"


def _drifts(case: Case, drift: str, shell: str, tmp_path: Path) -> None:
    """What drifted is named by --check and mended by a run."""
    words = machine_shell(shell)
    world, script = case.world(tmp_path / "w"), case.script(tmp_path)
    assert world.run(words, script, *case.args).status == 0
    made = world.tree()
    case.drifts[drift](world)
    drifted = world.tree()
    assert drifted != made, "the drift is none"
    checked = world.run(words, script, *case.args, "--check")
    assert checked.status == 1 and "would" in checked.statuses.values(), checked
    assert world.tree() == drifted
    ran = world.run(words, script, *case.args)
    assert (ran.status, "changed" in ran.statuses.values()) == (0, True), ran
    assert world.tree() == made
    assert world.run(words, script, *case.args, "--check").status == 0


def _killed(case: Case, shell: str, tmp_path: Path) -> None:
    """Killed at any external command, with everything that it started, the next run ends as a run that was not."""
    words = machine_shell(shell)
    script, wrappers, left = case.script(tmp_path), tmp_path / "wrappers", tmp_path / "left"
    clean = case.world(tmp_path / "clean")
    assert clean.run(words, script, *case.args).status == 0
    made = clean.tree()
    wrappers.mkdir()
    for kill in range(400):
        world = case.world(tmp_path / "w")
        for tool in world.bin.iterdir():
            wrapper = wrappers / tool.name
            if wrapper.exists():
                continue
            if tool.name == "sleep":  # a watchdog's, beside the command that it watches: when it comes is chance
                wrapper.symlink_to(tool)
                continue
            wrapper.write_text(
                # Of two commands that run side by side one may find the file empty: that one is not counted.
                f'#!/bin/sh\nread n <{left}\n[ -z "$n" ] || echo $((n - 1)) >{left}\n[ "$n" != 0 ] || kill -9 0\n'
                f'exec {tool} "$@"\n'
            )
            wrapper.chmod(0o755)
        left.write_text(f"{kill}\n")
        ran = world.run(words, script, *case.args, path=str(wrappers))
        if ran.status != -signal.SIGKILL:
            assert ran.status == 0, (kill, ran)
            break
        ran = world.run(words, script, *case.args)
        assert ran.status == 0, (kill, ran)
        assert world.tree() == made, f"killed at command {kill}"
        for handler in case.handlers:
            assert handler in world.calls(), f"killed at command {kill}, {handler} is lost"
        shutil.rmtree(world.at)
    else:
        pytest.fail("400 commands are too many for one case")
    assert kill >= 3 or shell.startswith("busybox"), "hardly anything was killed"  # its commands are built in


def _full_disk(case: Case, tmp_path: Path) -> None:
    """On a disk without room every file is as it was before, or whole; with room again, a run mends."""
    words = machine_shell("dash")
    script = case.script(tmp_path)
    clean = case.world(tmp_path / "clean")
    before = clean.tree()
    assert clean.run(words, script, *case.args).status == 0
    made = clean.tree()
    world = case.world(tmp_path / "w")
    kept = tmp_path / "kept"
    shutil.move(world.root, kept)
    world.root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m,mode=755", "tmpfs", world.root], check=True)
    try:
        shutil.copytree(kept, world.root, symlinks=True, dirs_exist_ok=True)
        with (world.root / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(b"x" * 4096)
        world.run(words, script, *case.args)
        for name, what in world.tree().items():
            if name not in ("filler", STATE) and not name.startswith((f"{STATE}/", "fake:")) and what[2]:
                assert what in (before.get(name), made.get(name)), f"{name} is half-written"
        (world.root / "filler").unlink()
        assert world.run(words, script, *case.args).status == 0
        assert {n: w for n, w in world.tree().items() if not n.startswith("fake:")} == {
            n: w for n, w in made.items() if not n.startswith("fake:")
        }
    finally:
        subprocess.run(["umount", world.root], check=True)
