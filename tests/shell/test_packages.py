"""Keys, .repo files, modules and packages, with stand-ins for rpm and for yum, dnf and dnf5; the real ones are in
tests/integration/test_dnf.py."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bootforge.model_steps import Step, whole_file
from tests.shell.world import SHELLS, Case, Ran, World, machine_shell, proofs, script_of

RPM = r"""
# $fake/installed: "NAME VERSION" a line; keys: eight digits a line; provides: "WHAT NAME"; needs: "NAME WHAT".
cd $fake; touch installed keys provides needs
is() { grep -q "^$1 " installed; }
provided() { p=$(sed -n "s/^$1 //p" provides); [ -n "$p" ] && is "$p"; }
case $* in
*gpg-pubkey*) cat keys ;;
-q*--whatprovides*)
    shift 4
    for n; do
        if provided "$n"; then echo 'is there'; else echo "no package provides $n"; fi
    done ;;
-q*)
    [ ! -e broken ] || { echo "error: cannot open Packages database in /var/lib/rpm"; exit 1; }
    shift 3
    for n; do
        if is "$n"; then echo 'is there'; else echo "package $n is not installed"; fi
    done ;;
--import*) sed -n 's/^ID //p' "$2" >new; sort -u keys new -o keys; rm new ;;
-e*)
    shift 3
    status=0
    while read -r n what; do
        case " $* " in
        *" $n-1 "*) ;;
        *" $what "*) echo "	$what is needed by (installed) $n-1"; status=1 ;;
        esac
    done <needs
    exit $status ;;
esac
"""
TOOL = r"""
# $fake/offered: "NAME VERSION" a line. What is done is done at the end, or not at all; shell goes on after an error,
# and does what is left over when its script ends, as dnf's does.
cd $fake; touch installed offered; now=$(cat installed)
version() { sed -n "s/^$1 //p" offered; }
drop() { now=$(echo "$now" | grep -v "^$1 "); }
put() {
    v=$(version "$1"); p=$(sed -n "s/^$1 //p" provides)
    if [ -n "$p" ]; then put "$p"; return; fi
    [ -n "$v" ] || { echo "No match for argument: $1"; echo "Error: Unable to find a match: $1"; return 1; }
    drop "$1"; now="$now
$1 $v"
}
all_of_it() {
    echo "$now" | grep . | sort >new; mkdir -p ../root/var/lib/rpm || exit 1; cd ../root/var/lib/rpm
    cp $fake/new .new || { rm -f .new; echo "Error: no space"; exit 1; }
    mv .new Packages; cd $fake; mv new installed; echo Complete!
}
cached='' yes=''
while :; do
    case $1 in
    -C) cached=1 ;;
    -y) yes=1 ;;
    -*) ;;
    *) break ;;
    esac
    shift
done
action=$1; shift
case $action in
check-update)
    [ -z "$cached" ] || [ -s offered ] || { echo "Error: Cache-only enabled but no cache"; exit 1; }
    status=0; echo
    for n; do
        v=$(version "$n")
        [ -z "$v" ] || grep -q "^$n $v$" installed || { echo "$n.noarch   $v   site"; status=100; }
    done
    exit $status ;;
install) for n; do put "$n" || exit 1; done; all_of_it ;;
remove) for n; do drop "$n"; done; all_of_it ;;
do)
    for n; do
        case $n:$what in
        --action=*) what=${n#*=} ;;
        *:remove) drop "$n" ;;
        *) put "$n" || exit 1 ;;
        esac
    done
    all_of_it ;;
shell)
    while read -r word names; do
        case $word in
        remove) for n in $names; do drop "$n"; done ;;
        install) for n in $names; do put "$n"; done ;;
        run) all_of_it ;;
        exit) exit 0 ;;
        esac
    done
    [ -z "$yes" ] || all_of_it ;;
module)
    mkdir -p ../root/etc/dnf/modules.d; n=${2%:*}
    cd ../root/etc/dnf/modules.d
    printf '[%s]\nname=%s\nstream=%s\nprofiles=\nstate=enabled\n' "$n" "$n" "${2#*:}" >"$n.module" ;;
esac
"""


def prepare(world: World) -> None:
    world.tool("rpm", RPM)
    for name in ("yum", "dnf", "dnf5"):
        world.tool(name, TOOL)
    (world.fake / "offered").write_text("a 1\nb.x 1\nl 2\nz 1\n")
    (world.fake / "installed").write_text("gone 1\nl 1\n")
    (world.fake / "provides").write_text("virtual a\n")
    (world.fake / "needs").write_text("")
    (world.fake / "keys").write_text("0badc0de\n")
    for name in ("foreign.repo", "a foreign's $1.repo", "left.alone"):
        world.write(f"etc/yum.repos.d/{name}", "[x]\n")


def _packages(tool: str, present: str = "a b.x virtual", latest: str = "l", absent: str = "gone never") -> Step:
    return Step(
        "packages", "packages", (tool, f"{tool}{present}{latest}{absent}".replace(" ", ""), present, latest, absent), ()
    )


KEY = "/etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-x"
PRINT = "9c5febb94860d9788bd809560bffaf9c45ef95bf"
REPO = "/etc/yum.repos.d/bootforge-x.repo"


def _say(name: str, text: str) -> Callable[[World], object]:
    return lambda world: (world.fake / name).write_text(text)


def _database(world: World, text: str) -> None:
    """What somebody else does with rpm, later than the last run."""
    (world.fake / "installed").write_text(text)
    os.utime(world.write("var/lib/rpm/Packages", text), (time.time() + 5, time.time() + 5))


CASES = [
    Case(
        "keys-and-repositories",
        (
            whole_file("rpm-keys:x", KEY, f"ID {PRINT[-8:]}\n", ()),
            Step("rpm-keys", "rpm_keys", (KEY, PRINT), ()),
            whole_file("repos:x", REPO, "[bootforge-x]\nbaseurl=http://m/$basearch/'\"\n", ()),
            Step("repos-purge", "repos_purge", (REPO,), (), needs=("repos",)),
            Step("modules:app", "module", ("app", "1.x"), ()),
        ),
        prepare=prepare,
        drifts={
            "key": lambda w: (w.root / KEY[1:]).write_text("other"),
            "key-unknown": _say("keys", "0badc0de\n"),
            "repo": lambda w: (w.root / REPO[1:]).unlink(),
            "foreign": lambda w: w.write("etc/yum.repos.d/new one.repo", "[y]\n"),
            "module": lambda w: w.write("etc/dnf/modules.d/app.module", "[app]\nstream=1.x\nstate=\n"),
        },
    ),
    Case(
        "packages-dnf",
        (_packages("dnf"),),
        prepare=prepare,
        drifts={
            "missing": lambda w: _database(w, "l 2\nb.x 1\n"),
            "back": lambda w: _database(w, "a 1\nb.x 1\ngone 1\nl 2\n"),
        },
    ),
    Case("packages-dnf5", (_packages("dnf5"),), prepare=prepare),
    Case("packages-yum", (_packages("yum", "a virtual", "", "gone"),), prepare=prepare),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def _world(at: Path, *steps: Step) -> tuple[World, Path]:
    world = World(at / "w")
    prepare(world)
    script = at / "bootstrap"
    script.write_text(script_of(steps))
    return world, script


def _asked(world: World, shell: list[str], script: Path, *args: str) -> tuple[Ran, list[str]]:
    (world.fake / "calls").unlink(missing_ok=True)
    ran = world.run(shell, script, *args)
    return ran, [one for one in world.calls() if one.startswith(("rpm ", "dnf "))]


def test_nothing_is_asked_while_rpms_database_is_older(shell: list[str], tmp_path: Path) -> None:
    world, script = _world(tmp_path, _packages("dnf"))
    assert world.run(shell, script).status == 0
    world_now = time.time()
    os.utime(world.root / "var/lib/rpm/Packages", (world_now - 60, world_now - 60))
    assert _asked(world, shell, script)[1] == []
    assert len(_asked(world, shell, script, "--only", "packages")[1]) == 3, "two of rpm, and whether there are newer"
    os.utime(world.root / "var/lib/rpm/Packages", (world_now + 60, world_now + 60))
    assert [one.split()[0] for one in _asked(world, shell, script)[1]] == ["rpm", "rpm"]
    os.utime(world.root / "var/lib/rpm/Packages", (world_now - 60, world_now - 60))
    script.write_text(script_of((_packages("dnf", "a"),)))
    assert len(_asked(world, shell, script)[1]) == 1, "another list was never found right"
    yesterday = time.time() - 90000
    os.utime(world.root / "var/lib/bootforge/ok/latest", (yesterday, yesterday))
    (world.fake / "offered").write_text("a 1\nl 3\n")
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["packages"]) == (0, "update l")


def test_a_database_that_cannot_be_read_removes_nothing(shell: list[str], tmp_path: Path) -> None:
    world, script = _world(tmp_path, _packages("dnf"))
    (world.fake / "broken").touch()
    ran, calls = _asked(world, shell, script)
    assert (ran.status, ran.texts["packages"]) == (5, "rpm says: error: cannot open Packages database in /var/lib/rpm")
    assert not [one for one in calls if not one.startswith("rpm -q")]
    world.tool("rpm", "exit 0")
    assert world.run(shell, script).texts["packages"].startswith("rpm ")
    (world.bin / "rpm").unlink()
    assert world.run(shell, script).status == 5


@pytest.mark.parametrize("tool", ["yum", "dnf", "dnf5"])
def test_what_is_not_to_be_had_is_told_and_nothing_removed(shell: list[str], tmp_path: Path, tool: str) -> None:
    world, script = _world(tmp_path, _packages(tool, "a nosuch", ""))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["packages"]) == (5, "failed") and "No match for argument: nosuch" in ran.texts[
        "packages"
    ]
    assert "gone 1\n" in (world.fake / "installed").read_text()


def test_what_needs_a_removed_package_is_named(shell: list[str], tmp_path: Path) -> None:
    world, script = _world(tmp_path, _packages("dnf", "", "", "gone"))
    (world.fake / "needs").write_text("p gone\nq p-1\n")
    assert world.run(shell, script, "--check").texts["packages"] == "remove gone and what needs it: p-1 q-1"


def test_check_says_what_it_cannot_know(shell: list[str], tmp_path: Path) -> None:
    world, script = _world(tmp_path, _packages("dnf", "", "l", ""))
    (world.fake / "offered").write_text("")
    ran = world.run(shell, script, "--check")
    assert ran.texts["packages"] == "not known without metadata whether there are newer: l"


def test_nothing_is_purged_before_ours_are_there(shell: list[str], tmp_path: Path) -> None:
    world, script = _world(tmp_path, Step("repos-purge", "repos_purge", (REPO,), ()))
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["repos-purge"]) == (5, f"{REPO} is not there, so that nothing is removed")
    assert (world.root / "etc/yum.repos.d/foreign.repo").exists()


def test_another_stream_is_left(shell: list[str], tmp_path: Path) -> None:
    world, script = _world(tmp_path, Step("modules:app", "module", ("app", "2"), ()))
    world.write("etc/dnf/modules.d/app.module", "[app]\nname=app\nstream = 1\nstate = enabled\n")
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["modules:app"].split(";")[0], world.calls()) == (5, "app:1 is enabled", [])
