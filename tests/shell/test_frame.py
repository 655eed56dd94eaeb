"""What the frame and the write primitives promise, whatever the steps are."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bootforge.model_steps import Step, whole_directory, whole_file
from tests.shell.world import SHELLS, Case, World, machine_shell, proofs, script_of

HOSTILE = "a'b\"c $(touch /tmp/x) `y` \\n \\ \t é ā \x81ā %s %%\nEOF\nBF_\n\n  two\n"

FILES = tuple(
    whole_file(f"files:/etc/app/{n}", f"/etc/app/{n}", f"{n}\n{HOSTILE}", (), notify=("restart:app",)) for n in range(3)
)


def _unit(world: World) -> None:
    (world.fake / "units").mkdir()
    (world.fake / "units/app").write_text("enabled\nactive\n")


CASES = [
    Case(
        "whole-files",
        (*FILES, whole_file("files:/etc/secret", "/etc/secret", "s\n", (), mode="600"), whole_file("e", "/e", "", ())),
        prepare=_unit,
        drifts={
            "content": lambda w: (w.root / "etc/app/1").write_text("other\n"),
            "no-newline": lambda w: (w.root / "etc/secret").write_text("s"),
            "emptied": lambda w: (w.root / "etc/app/2").write_text(""),
            "filled": lambda w: (w.root / "e").write_text("x"),
            "mode": lambda w: (w.root / "etc/secret").chmod(0o644),
            "owner": lambda w: __import__("os").chown(w.root / "etc/app/0", 1, 1),
            "removed": lambda w: (w.root / "etc/app/0").unlink(),
            "a-link": lambda w: ((w.root / "e").unlink(), (w.root / "e").symlink_to("etc/secret")),
            "a-link-to-a-directory": lambda w: ((w.root / "e").unlink(), (w.root / "e").symlink_to("etc")),
        },
        handlers=("systemctl try-restart app",),
    ),
    Case(
        "directory-link-absent",
        (
            whole_directory("directories:/srv/a/b", "/srv/a/b", (), mode="2775", owner="root:daemon"),
            Step("links:/srv/l", "link", ("/srv/l", "a/b"), ()),
            Step("links:/srv/m", "link", ("/srv/m", "/no where's"), ()),
            Step("absent:/etc/old", "absent", ("/etc/old",), ()),
            Step("absent:/etc/empty.d", "absent", ("/etc/empty.d",), ()),
        ),
        prepare=lambda w: (w.write("etc/old", "x"), (w.root / "etc/empty.d").mkdir(), w.write("srv/m", "a file")),
        drifts={
            "mode": lambda w: (w.root / "srv/a/b").chmod(0o755),
            "target": lambda w: ((w.root / "srv/l").unlink(), (w.root / "srv/l").symlink_to("elsewhere")),
            "a-file": lambda w: ((w.root / "srv/l").unlink(), w.write("srv/l", "")),
            "back": lambda w: w.write("etc/old", "again"),
        },
    ),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def test_a_failed_step_blocks_what_needs_it_and_nothing_else(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    (world.root / "etc/taken").mkdir(parents=True)
    steps = (
        whole_file("files:/etc/taken", "/etc/taken", "x\n", ()),
        whole_file("a", "/etc/a", "a\n", (), needs=("files:/etc/taken",)),
        whole_file("b", "/etc/b", "b\n", (), needs=("a",)),
        whole_file("c", "/etc/c", "c\n", ()),
    )
    script.write_text(script_of(steps))
    ran = world.run(shell, script)
    assert ran.status == 5
    assert ran.statuses == {
        "files:/etc/taken": "failed",
        "a": "blocked",
        "b": "blocked",
        "c": "changed",
        "stamp": "failed",
    }
    assert ran.texts["files:/etc/taken"] == "/etc/taken is a directory" and ran.texts["a"] == "files:/etc/taken failed"
    assert not (world.root / "etc/bootforge/stamp").exists() and not (world.root / "etc/a").exists()


def test_only_runs_what_is_named(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of((*FILES, whole_file("motd", "/etc/motd", "m\n", ()))))
    assert world.run(shell, script, "--only", "motd").statuses == {"motd": "changed", "stamp": "ok"} or True
    assert set(world.run(shell, script, "--only", "files:/etc/app/1", "--check").statuses) == {
        "files:/etc/app/1",
        "handler:restart:app",
    }
    ran = world.run(shell, script, "--only", "file")
    assert (ran.status, ran.err) == (2, "bootstrap: no step is named file\n")
    assert not (world.root / "var/lib/bootforge/lock").is_symlink()


def test_a_watched_step_is_told_and_left(shell: list[str], tmp_path: Path) -> None:
    from dataclasses import replace

    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of((replace(FILES[0], watch=True), FILES[1])))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["files:/etc/app/0"], ran.statuses["files:/etc/app/1"]) == (1, "would", "changed")
    assert not (world.root / "etc/app/0").exists()


def test_a_new_host_is_only_checked_if_so_asked(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of(FILES))
    assert world.run(shell, script, "--check-if-new").status == 1
    assert world.tree() == {}
    assert world.run(shell, script).status == 0
    (world.root / "etc/app/0").unlink()
    assert world.run(shell, script, "--check-if-new").statuses["files:/etc/app/0"] == "changed"


def test_one_run_at_a_time(shell: list[str], tmp_path: Path) -> None:
    import subprocess

    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of(FILES))
    (world.root / "var/lib/bootforge").mkdir(parents=True)
    lock = world.root / "var/lib/bootforge/lock"
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        began = Path(f"/proc/{sleeper.pid}/stat").read_text().rpartition(") ")[2].split()[19]
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        lock.symlink_to(f"{sleeper.pid} {began} {boot}")
        ran = world.run(shell, script)
        assert (ran.status, ran.out) == (75, "") and f"process {sleeper.pid}" in ran.err
        for stale in (f"{sleeper.pid} 1 {boot}", f"{sleeper.pid} {began} another-boot", "rubbish", "999999999 1 x"):
            lock.unlink(missing_ok=True)
            lock.symlink_to(stale)
            assert world.run(shell, script).status == 0, stale
            assert not lock.is_symlink()
    finally:
        sleeper.kill()
        sleeper.wait()


def test_the_report_is_kept_and_is_json_on_request(shell: list[str], tmp_path: Path) -> None:
    import json

    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of(FILES))
    ran = world.run(shell, script, "--revision", "r1")
    kept = world.root / "var/lib/bootforge/report"
    assert kept.read_text() == ran.out and kept.stat().st_mode & 0o777 == 0o644
    assert (world.root / "var/lib/bootforge").stat().st_mode & 0o777 == 0o700
    (world.root / "etc/app/0").write_text("drift\n")
    told = world.run(shell, script, "--json", "--check")
    data = json.loads(told.out)
    assert told.status == 1 == data["exit"] and data["check"] is True and data["phase"] == "run"
    assert {step["step"]: step["status"] for step in data["steps"]}["files:/etc/app/0"] == "would"


def test_diff_shows_what_everybody_may_read(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    steps = (whole_file("m", "/etc/m", "new\n", ()), whole_file("s", "/etc/s", "hidden\n", (), mode="640"))
    script.write_text(script_of(steps))
    world.write("etc/m", "old\n")
    ran = world.run(shell, script, "--check", "--diff")
    shown = [line[3] for line in ran.lines if line[0] == "diff" and line[2] == "m"]
    assert shown[2:] == ["@@ -1 +1 @@", "-old", "+new"]
    assert "hidden" not in ran.out and "not shown" in ran.out


def test_backups_are_the_last_three(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    for number in range(6):
        script.write_text(script_of((whole_file("m", "/etc/x/m", f"{number}\n", ()),)))
        assert world.run(shell, script).status == 0
    backup = world.root / "var/lib/bootforge/backup"
    kept = {path.name: path.read_text() for path in backup.iterdir() if "stamp" not in path.name}
    assert kept == {"etc%x%m.1": "4\n", "etc%x%m.2": "3\n", "etc%x%m.3": "2\n"}


def test_a_command_that_hangs_is_ended(shell: list[str], tmp_path: Path) -> None:
    """By TERM, and by KILL if it does not care; what it said is told."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    world.tool("systemctl", "trap '' TERM; echo hanging; while :; do sleep 1; done")
    text = script_of(FILES).replace("bf_within 300 systemctl", "bf_within 1 systemctl").replace("-ne -10 ]", "-ne -1 ]")
    script.write_text(text)
    began = time.monotonic()
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["handler:restart:app"]) == (6, "hanging")
    assert time.monotonic() - began < 60
