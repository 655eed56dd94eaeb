"""What the real programs make of the storage network's files: multipath, open-iscsi, LVM. In a mount namespace with an
/etc of its own, so that the machine's is not looked at."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bootforge.model_steps import Step
from tests.golden.test_storage_files import FILES, PROFILES
from tests.shell.test_san import EQL, EXT4, NODE, SECRETS, VOL, begun, steps_of
from tests.shell.world import World, machine_shell, script_of
from tests.support import need


@pytest.fixture
def etc(tmp_path: Path) -> Path:
    """A directory that stands for /etc."""
    need("unshare", "multipath", "iscsiadm", "lvmconfig")
    if os.geteuid():
        pytest.skip("a namespace needs root")
    etc = tmp_path / "etc"
    etc.mkdir()
    for name in ("ld.so.cache", "passwd", "group"):
        shutil.copy(f"/etc/{name}", etc)
    shutil.copytree("/etc/iscsi", etc / "iscsi")
    return etc


def inside(etc: Path, script: str) -> subprocess.CompletedProcess[str]:
    """What a script in sh says with that /etc, without a network."""
    around = f"mount --make-rprivate / && mount --bind {etc} /etc && mount -t tmpfs tmpfs /run && mkdir /run/lock &&"
    command = ["unshare", "-m", "-n", "sh", "-c", f"PATH=/usr/sbin:/sbin:/usr/bin:/bin; {around} {script}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("release", PROFILES)
def test_multipath_reads_its_file(etc: Path, release: str) -> None:
    """Without a word on stderr, but for what EL5 and EL6 are told and no later one knows."""
    shutil.copy(FILES / release / "etc/multipath.conf", etc)
    done = inside(etc, "multipath -t")
    old = ["ignoring deprecated option", "getuid_callout"] if release in ("el5", "el6") else []
    said = [line for line in done.stderr.splitlines() if "kernel driver" not in line and "device-mapper" not in line]
    assert all(any(word in line for word in old) for line in said) and bool(said) == bool(old)
    lines = [" ".join(line.split()) for line in done.stdout.splitlines()]
    alias, device = lines.index('alias "data"'), lines.index('product "100E-00"', lines.index("devices {"))
    assert lines[alias - 1] == 'wwid "36090a01820494c580000000000000001"'
    section = lines[device : lines.index("}", device)]
    assert {'path_grouping_policy "multibus"', "no_path_retry 30", 'path_checker "tur"'} <= set(section)


def test_a_word_that_multipath_does_not_know_is_seen(etc: Path) -> None:
    text = (FILES / "el9/etc/multipath.conf").read_text()
    (etc / "multipath.conf").write_text(text.replace("no_path_retry", "no_path_retries"))
    assert "invalid keyword" in inside(etc, "multipath -t").stderr


@pytest.mark.parametrize("release", PROFILES)
def test_open_iscsi_reads_the_ifaces(etc: Path, release: str) -> None:
    shutil.copytree(FILES / release / "var/lib/iscsi/ifaces", etc / "iscsi/ifaces")
    done = inside(etc, "iscsiadm -m iface")
    assert (done.returncode, done.stderr) == (0, "")
    assert {
        "san0 tcp,52:54:00:12:35:02,<empty>,<empty>,<empty>",
        "san1 tcp,52:54:00:12:35:03,<empty>,<empty>,<empty>",
    } <= set(done.stdout.splitlines())
    with (etc / "iscsi/ifaces/san0").open("a") as file:
        file.write("iface.nosuch = 1\n")
    assert inside(etc, "iscsiadm -m iface").returncode == 7


def test_open_iscsi_reads_a_node_record_that_was_edited(etc: Path, tmp_path: Path) -> None:
    """One that it made itself, with our keys and secrets."""
    shutil.copytree(FILES / "el9/var/lib/iscsi/ifaces", etc / "iscsi/ifaces")
    node = f"iscsiadm -m node -T {VOL} -p 10.9.0.10:3260,1 -I san0"
    assert inside(etc, f"{node} -o new").returncode == 0
    world, script = begun(World(tmp_path / "w")), tmp_path / "s"
    shutil.copytree(etc / "iscsi/nodes", world.root / "var/lib/iscsi/nodes")
    assert (world.root / NODE / "san0").is_file()
    (world.fake / "silent").write_text("eth1 10.9.0.10\neth2 10.9.0.10\n")  # nobody logs in
    (login,) = (step for step in steps_of(EQL, EXT4) if step.id == "iscsi-login")
    script.write_text(script_of([login]))
    assert world.run(machine_shell("dash"), script, *SECRETS).status == 5
    shutil.rmtree(etc / "iscsi/nodes")
    shutil.copytree(world.root / "var/lib/iscsi/nodes", etc / "iscsi/nodes")
    done = inside(etc, f"{node} -o show -S")
    assert done.returncode == 0
    assert {
        "node.session.timeo.replacement_timeout = 15",
        "node.conn[0].timeo.noop_out_timeout = 10",
        "node.session.iscsi.FastAbort = No",
        "node.session.auth.authmethod = CHAP",
        "node.session.auth.password = the host's secret",
        "node.session.auth.username_in = eql",
        "node.session.auth.password_in = what it answers",
    } <= set(done.stdout.splitlines())


@pytest.mark.parametrize("release", ["el5", "el6", "el7", "el8"])
def test_lvm_reads_the_filter(etc: Path, release: str) -> None:
    shutil.copytree("/etc/lvm", etc / "lvm", dirs_exist_ok=True)
    shutil.copy(FILES / release / "etc/lvm/lvm.conf", etc / "lvm/lvm.conf")
    key = "filter" if release in ("el5", "el6") else "global_filter"
    done = inside(etc, f"lvmconfig devices/{key} && lvmconfig --validate")
    assert done.returncode == 0, done
    assert done.stdout.splitlines()[0] == (
        f'{key}=["a|^/dev/mapper/data$|","r|^/dev/disk/by-path/.*-iscsi-|","r|^/dev/vg_data/|",'
        '"r|^/dev/mapper/vg_data-[^-]|"]'
    )


def test_lvm_reads_the_filter_in_debians_own_file(etc: Path, tmp_path: Path) -> None:
    """The file of a package: two thousand lines of comments, sections and values."""
    world, script = World(tmp_path / "w"), tmp_path / "s"
    world.write("etc/lvm/lvm.conf", Path("/etc/lvm/lvm.conf").read_text())
    words = ("global_filter", '[ "a|^/dev/mapper/data$|" ]')
    script.write_text(script_of([Step("lvm-scope", "lvm_scope", words, ())]))
    assert world.run(machine_shell("dash"), script).status == 0
    assert world.run(machine_shell("dash"), script).statuses["lvm-scope"] == "ok"
    shutil.copytree("/etc/lvm", etc / "lvm", dirs_exist_ok=True)
    shutil.copy(world.root / "etc/lvm/lvm.conf", etc / "lvm/lvm.conf")
    done = inside(etc, "lvmconfig devices/global_filter && lvmconfig --validate")
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, 'global_filter="a|^/dev/mapper/data$|"')


@pytest.mark.parametrize("file", ["el9/usr/libexec/bootforge-san", "el6/etc/rc.d/init.d/bootforge-san"])
def test_what_logs_in_at_boot_passes_shellcheck(file: str) -> None:
    need("shellcheck")
    done = subprocess.run(["shellcheck", "-s", "sh", FILES / file], capture_output=True, text=True)
    assert done.stdout == ""
