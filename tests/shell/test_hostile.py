"""What a user, a full or read-only disk, a clock or a tool may do to a run."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

import pytest

from bootforge.model_steps import Step, whole_directory, whole_file
from tests.shell import test_packages
from tests.shell.world import SHELLS, STATE, World, machine_shell, script_of

USER = 4321


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def made(tmp_path: Path, *steps: Step) -> tuple[World, Path]:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of(steps))
    return world, script


def test_a_link_that_is_a_users_leads_root_nowhere(shell: list[str], tmp_path: Path) -> None:
    """Of the directories on the way, that is; root's own are followed, as /etc/init.d is."""
    at = "/home/alice/conf"
    world, script = made(
        tmp_path,
        whole_file("files:put", f"{at}/put", "x\n", (), owner="daemon:daemon"),
        whole_directory("directories:dir", f"{at}/dir", (), owner="daemon:daemon"),
        Step("links:link", "link", (f"{at}/link", "x"), ()),
        Step("absent:passwd", "absent", (f"{at}/passwd",), ()),
    )
    world.write("etc/passwd", "root\n")
    link = world.root / at[1:]
    link.parent.mkdir(parents=True)
    link.symlink_to("../../etc")
    os.chown(link, USER, USER, follow_symlinks=False)
    before = world.tree()
    for args in (("--check",), ()):
        ran = world.run(shell, script, *args)
        assert ran.status == 5 and list(ran.statuses.values()).count("failed") == 5, "four, and the stamp"
        assert ran.texts["files:put"] == f"{at}/put: on the way there {at} is a link that is not root's"
        assert {n: w for n, w in world.tree().items() if not n.startswith("var")} == before
    os.chown(link, 0, 0, follow_symlinks=False)
    assert world.run(shell, script).status == 0
    assert (world.root / "etc/put").read_text() == "x\n" and not (world.root / "etc/passwd").exists()


@pytest.mark.parametrize("planted", ["link", "dangling", "link-to-device", "device"])
def test_what_takes_the_place_of_a_new_file_is_not_written_to(shell: list[str], tmp_path: Path, planted: str) -> None:
    """As if a user were quick enough after rm; root gives him neither a file nor its owner."""
    if shell[0] == "busybox":
        pytest.skip("busybox's own rm cannot be taken away")
    world, script = made(tmp_path, whole_file("f", "/home/a/f", "x\n", (), mode="4755", owner="daemon:daemon"))
    victim, new = world.write("etc/shadow", "secret\n", 0o600), world.root / "home/a/.f.bf-new"
    new.parent.mkdir(parents=True)
    match planted:
        case "link":
            new.symlink_to(victim)
        case "dangling":
            new.symlink_to(world.root / "etc/nologin")
        case "link-to-device":
            new.symlink_to("/dev/null")
        case "device":
            os.mknod(new, 0o600 | 0o020000, os.makedev(1, 3))
    world.tool("rm", 'case "$*" in *bf-new*) ;; *) exec /bin/rm "$@" ;; esac')
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["f"].split(", ")[-1]) == (5, "/home/a/f could not be written")
    stat = victim.stat()
    assert (victim.read_text(), stat.st_uid, stat.st_mode & 0o7777) == ("secret\n", 0, 0o600)
    assert not (world.root / "etc/nologin").exists() and os.stat("/dev/null").st_uid == 0
    assert not (world.root / "home/a/f").exists()


def test_a_clock_that_was_set_back_hides_nothing(shell: list[str], tmp_path: Path) -> None:
    """What was found right in a time that is still to come says nothing about a database that is older than that."""
    packages = Step("packages", "packages", ("dnf", "d", "a", "l", ""), ())
    world, script = made(tmp_path, packages)
    test_packages.prepare(world)
    assert world.run(shell, script).status == 0
    for name in ("packages", "latest"):
        os.utime(world.root / STATE / "ok" / name, (time.time() + 90000,) * 2)
    (world.fake / "installed").write_text("l 2\n")
    os.utime(world.root / "var/lib/rpm/Packages", (time.time() + 600,) * 2)
    assert world.run(shell, script, "--check").statuses["packages"] == "would"
    (world.fake / "calls").unlink()
    assert world.run(shell, script).statuses["packages"] == "changed"
    assert [one for one in world.calls() if "check-update" in one]


def test_a_disk_that_cannot_be_written_is_no_lock_of_another(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, whole_file("f", "/etc/f", "x\n", ()))
    assert world.run(shell, script).status == 0
    state = world.root / STATE
    subprocess.run(["mount", "--bind", state, state], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", state], check=True)
        ran = world.run(shell, script)
        assert ran.status == 5 and "lock cannot be made" in ran.err
        assert world.run(shell, script, "--check").status == 0, "to look needs no lock"
    finally:
        subprocess.run(["umount", state], check=True)
    assert world.run(shell, script).status == 0


def test_a_long_name_has_its_backup_too(shell: list[str], tmp_path: Path) -> None:
    path = "/srv" + "/directory-of-forty-characters-in-all-aa" * 8 + "/f"
    world, script = made(tmp_path, whole_file("f", path, "new\n", ()))
    world.write(path, "old\n")
    assert world.run(shell, script).status == 0
    (kept,) = (world.root / STATE / "backup").iterdir()
    assert kept.read_text() == "old\n" and kept.name.endswith("%f.1")


def test_what_tools_say_moves_no_cursor(shell: list[str], tmp_path: Path) -> None:
    """Escape sequences, carriage returns and tabs in a message are blanks in the report."""
    said = "printf 'a\\033[2Jb\\rc\\td\\177\\n'; exit 2"
    world, script = made(tmp_path, Step("hooks:it", "hook", ("it",), (), content=said))
    assert world.run(shell, script).texts["hooks:it"] == "check exits with 2: a [2Jb c d "
