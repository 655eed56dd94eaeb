"""The storage network of a host: what is written before its first boot, logins, and that no volume is destroyed."""

from __future__ import annotations

import atexit
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootforge.generation import Generation
from bootforge.model import Plan
from bootforge.model_steps import Step
from tests.shell.san import SIZE, array, knows_the_label, label
from tests.shell.test_services import CHKCONFIG, SERVICE
from tests.shell.world import SHELLS, Case, World, machine_shell, proofs, script_of
from tests.sites import san_with

EQL, TWO, XEN = "db02.prod.den.example.com", "db03.prod.den.example.com", "xen01.den.example.com"
WWID, GUESTS, LOGS = (
    *("36090a01820494c580000000000000001", "36090a01820494c580000000000000002"),
    "36000d31000a1b2c30000000000000001",
)
VOL = "iqn.2001-05.com.equallogic:0-8a0906-lab-vol1"
FIRST, SECOND = "iqn.2002-03.com.compellent:5000d31000a1b2c3", "iqn.2002-03.com.compellent:5000d31000a1b2c4"
GROUP = "10.9.0.10:3260"
KINDS = (
    *("storage-nics", "iscsi-initiator", "iscsi-conf", "iscsi-ifaces", "multipath", "lvm-scope", "san-boot", "fstab"),
    *("san-services", "san-sysctl-live", "iscsi-login", "volumes", "paths"),
)
EXT4 = ("mount: /srv/orders", "fs: ext4, mount: /srv/orders")

_kept = Path(tempfile.mkdtemp(prefix="bf-san-"))
atexit.register(shutil.rmtree, _kept, ignore_errors=True)
(_kept / "chap_host").write_text("the host's secret\n")
(_kept / "chap_array").write_text("what it answers\n")
SECRETS = ("--secrets", str(_kept))
_made: dict[tuple[tuple[str, str], ...], Generation] = {}


def plan_of(host: str, *changes: tuple[str, str]) -> Plan:
    if changes not in _made:
        _made[changes] = san_with(Path(tempfile.mkdtemp(dir=_kept)), *changes)
    return _made[changes].plan(host)


def steps_of(host: str, *changes: tuple[str, str]) -> tuple[Step, ...]:
    """The steps of a host's storage."""
    return tuple(step for step in plan_of(host, *changes).steps if step.id.partition(":")[0] in KINDS)


def equallogic(world: World) -> World:
    """One subnet, two nics, one address of the group, which sends each session on."""
    nics = {"eth0": "52:54:00:12:35:01", "eth1": "52:54:00:12:35:02", "eth2": "52:54:00:12:35:03"}
    array(world, nics, f"{GROUP} {VOL} asked={GROUP}\n", {"/dev/mapper/data": (WWID, VOL)})
    (world.fake / "chap").write_text("the host's secret")
    for key in ("arp_announce", "arp_ignore", "rp_filter"):
        world.write(f"proc/sys/net/ipv4/conf/all/{key}", "1\n")
    return world


def fabrics(world: World) -> World:
    """Two fabrics, and an array that tells each nic the portals of both."""
    nics = {"eth0": "52:54:00:12:36:01", "eth1": "52:54:00:12:36:02", "eth2": "52:54:00:12:36:03"}
    portals = ("10.9.4.10:3260", "10.9.4.11:3260", "10.9.5.10:3260", "10.9.5.11:3260")
    lines = "".join(
        f"{portal} {target} asked={asked}\n"
        for asked in portals
        for portal, target in zip(portals, (FIRST, SECOND, FIRST, SECOND), strict=True)
    )
    return array(world, nics, lines, {"/dev/mapper/logs": (LOGS, FIRST)}, "etc/iscsi")


def old(world: World) -> World:
    """A dom0 with one nic for it and SysV's scripts."""
    disk = f"/dev/disk/by-id/scsi-{GUESTS}"
    nics = {"eth0": "52:54:00:12:37:01", "eth1": "52:54:00:12:37:02"}
    array(world, nics, f"{GROUP} {VOL} asked={GROUP}\n", {disk: (GUESTS, VOL)})
    world.tool("chkconfig", CHKCONFIG)
    world.tool("service", SERVICE + "case $2 in force-start) touch running/$1 ;; esac\n")
    (world.bin / "lvmdevices").unlink()
    world.write("lib/udev/scsi_id", f"#!/bin/sh\necho {GUESTS}\n", 0o755)
    (world.fake / "running").mkdir()
    (world.fake / "levels").mkdir()
    for name in ("iscsid", "iscsi", "netfs"):
        world.write(f"etc/init.d/{name}", "", 0o755)
    return world


def edited(name: str, was: str, becomes: str) -> Callable[[World], Any]:
    def drift(world: World) -> None:
        file = world.root / name
        text = file.read_text()
        assert was in text
        file.write_text(text.replace(was, becomes))

    return drift


def forgot(name: str, line: str) -> Callable[[World], Any]:
    """What a stand-in knows, without a line."""

    def drift(world: World) -> None:
        file = world.fake / name
        lines = file.read_text().splitlines(keepends=True)
        assert f"{line}\n" in lines
        file.write_text("".join(one for one in lines if one != f"{line}\n"))

    return drift


NODE = f"var/lib/iscsi/nodes/{VOL}/10.9.0.10,3260,1"
ETH = ("san: {network: den-san", "san: {device: eth1, network: den-san")
SMALL_LOGS = ("size: 2TiB", "size: 2MiB")

CASES = [
    Case(
        "equallogic",
        steps_of(EQL, EXT4),
        prepare=equallogic,
        drifts={
            "initiator": edited("etc/iscsi/initiatorname.iscsi", "db02", "clone"),
            "iscsid.conf": edited("etc/iscsi/iscsid.conf", "noop_out_timeout = 10", "noop_out_timeout = 30"),
            "strict": edited("proc/sys/net/ipv4/conf/all/rp_filter", "2", "1"),
            "iface": edited("var/lib/iscsi/ifaces/san0", "12:35:02", "12:35:99"),
            "iface-is-whole": edited("var/lib/iscsi/ifaces/san1", "tcp\n", "tcp\niface.mtu = 0\n"),
            "record": edited(f"{NODE}/san1", "replacement_timeout = 15", "replacement_timeout = 120"),
            "secret": edited(f"{NODE}/san0", "what it answers", "another"),
            "session": forgot("sessions", f"{VOL} {GROUP} san1"),
            "multipath": edited("etc/multipath.conf", "alias data", "alias else"),
            "fstab": edited("etc/fstab", "vg_data-orders", "else"),
            "fstab-twice": edited("etc/fstab", "# BEGIN", "/dev/sdb\t/srv/orders xfs defaults 0 0\n# BEGIN"),
            "unmounted": edited("proc/mounts", "/dev/mapper/vg_data-orders /srv/orders ext4 rw 0 0\n", ""),
            "inactive": lambda w: (
                (w.root / "dev/mapper/vg_data-orders").rename(w.at / "gone"),
                edited("proc/mounts", "/dev/mapper/vg_data-orders /srv/orders ext4 rw 0 0\n", "")(w),
                w.tool("vgchange", f"mv {w.at}/gone {w.root}/dev/mapper/vg_data-orders"),
            ),
            "unit": edited("etc/systemd/system/bootforge-san.service", "180", "0"),
            "again": edited("etc/systemd/system/bootforge-san-again.service", "60", "6"),
            "script": edited("usr/libexec/bootforge-san", "san0 san1", "san0"),
            "stopped": lambda w: (w.fake / "units/multipathd").write_text("enabled\n"),
        },
        handlers=("multipathd -kreconfigure",),
        args=SECRETS,
    ),
    Case(
        "fabrics",
        steps_of(TWO, SMALL_LOGS),
        prepare=fabrics,
        drifts={
            "cross": lambda w: (w.root / f"etc/iscsi/nodes/{FIRST}/10.9.5.10,3260,1/a").write_text(
                "# BEGIN RECORD\n# END RECORD\n"
            ),
            "session": forgot("sessions", f"{SECOND} 10.9.5.11:3260 b"),
        },
        handlers=("multipathd -kreconfigure",),
    ),
    Case(
        "dom0-el6",
        steps_of(XEN, ("profile: fedora46", "profile: centos6"), ETH, ("lan0: {mac", "lan0: {device: eth0, mac")),
        prepare=old,
        drifts={
            "filter": edited("etc/lvm/lvm.conf", "-iscsi-", "-else-"),
            "filter-of-lines": lambda w: w.write(
                "etc/lvm/lvm.conf",
                re.sub(r"\tfilter = .*", '\tfilter = [\n"a/.*/"\n]', (w.root / "etc/lvm/lvm.conf").read_text()),
            ),
            "levels": lambda w: (w.fake / "levels/netfs").write_text("\n"),
            "link": lambda w: (w.root / "etc/rc.d/rc3.d/S14bootforge-san").unlink(),
        },
        release="el6",
    ),
]


def begun(world: World) -> World:
    """All is configured, and nobody has logged in yet."""
    equallogic(world)
    world.write("etc/fstab", "/dev/mapper/vg_data-orders /srv/orders ext4 _netdev,nofail 0 0\n")
    for name, mac in (("san0", "52:54:00:12:35:02"), ("san1", "52:54:00:12:35:03")):
        text = f"iface.iscsi_ifacename = {name}\niface.transport_name = tcp\niface.hwaddress = {mac}\n"
        world.write(f"var/lib/iscsi/ifaces/{name}", text, 0o600)
    return world


KILLED = [
    Case(
        "login-and-volume",
        tuple(step for step in CASES[0].steps if step.id in ("iscsi-login", "volumes:data")),
        prepare=begun,
        args=SECRETS,
    )
]

test_converges, test_drift, _, test_full_disk = proofs(CASES)
_, _, test_killed, _ = proofs(KILLED)


@pytest.fixture(params=[*SHELLS[:2], *(pytest.param(one, marks=pytest.mark.slow) for one in SHELLS[2:])])
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def test_our_physical_volumes_are_lvms(tmp_path: Path) -> None:
    assert knows_the_label(tmp_path / "disk")


def machine(tmp_path: Path, number: int = 0, *changes: tuple[str, str]) -> tuple[World, Path]:
    case = CASES[number]
    world, script = case.world(tmp_path / "w"), case.script(tmp_path)
    text = script.read_text()
    for old, new in (("${BF_SAN_WAIT:-60}", "2"), ("${BF_SAN_WAIT:-30}", "2"), ("${BF_SAN_TRIES:-15}", "2"), *changes):
        assert old in text, old
        text = text.replace(old, new)
    script.write_text(text)
    return world, script


def disk(world: World, content: bytes = b"", *, at: int = 0, ext4: bool = False) -> Path:
    """What the array will give, with something on it."""
    file = world.fake / "content"
    file.write_bytes(bytes(SIZE))
    if ext4:
        subprocess.run(["/usr/sbin/mke2fs", "-q", "-F", "-t", "ext4", file], check=True)
    with file.open("r+b") as opened:
        opened.seek(at)
        opened.write(content)
    return file


def test_a_wrong_address_is_refused_before_anything_is_touched(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path)
    world.write("sys/class/net/eth2/address", "52:54:00:99:99:99\n")
    before = {name: what for name, what in world.tree().items()}
    for phase in ("install", "boot", "run"):
        ran = world.run(shell, script, *SECRETS, "--phase", phase)
        told = ran.statuses
        assert (ran.status, told.pop("storage-nics"), told.pop("stamp")) == (5, "failed", "failed")
        assert set(told.values()) == {"blocked"}
        assert ran.texts["storage-nics"] == (
            "not the machine that was planned: san1 should have 52:54:00:12:35:03; it has eth0 52:54:00:12:35:01,"
            " eth1 52:54:00:12:35:02, eth2 52:54:00:99:99:99; nothing of its storage is touched"
        )
        after = {name: what for name, what in world.tree().items() if not name.startswith("var/lib/bootforge")}
        assert {name for name in after.keys() ^ before.keys()} <= {"var/lib", "var"} and world.calls() == []


def test_an_address_that_two_devices_have_binds_no_iface(shell: list[str], tmp_path: Path) -> None:
    """open-iscsi would take the first that it finds."""
    world, script = machine(tmp_path)
    world.write("sys/class/net/macvlan0/address", "52:54:00:12:35:03\n")
    ran = world.run(shell, script, *SECRETS)
    assert ran.statuses["storage-nics"] == "failed" and "of san1 is on 2 devices" in ran.texts["storage-nics"]


def test_a_port_of_a_bond_is_known_by_its_own_address(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "s"
    words = ("device", "bond0", "bond0", "mac", "p0", "52:54:00:00:00:01", "mac", "p1", "52:54:00:00:00:02")
    script.write_text(script_of([Step("storage-nics", "storage_nics", words, ())]))
    for name in ("eth0", "eth1", "bond0"):
        world.write(f"sys/class/net/{name}/address", "52:54:00:00:00:01\n")
    for name in ("eth0", "eth1"):
        (world.root / f"sys/class/net/{name}/device").mkdir()
        (world.root / f"sys/class/net/{name}/master").symlink_to("../bond0")
    ports = zip(("eth0", "eth1"), ("01", "02"), strict=True)
    text = "".join(f"\nSlave Interface: {name}\nPermanent HW addr: 52:54:00:00:00:{last}\n" for name, last in ports)
    world.write("proc/net/bonding/bond0", f"Bonding Mode: fault-tolerance (active-backup)\n{text}")
    assert world.run(shell, script).statuses["storage-nics"] == "ok"
    world.write("proc/net/bonding/bond0", text.replace(":02", ":09"))
    ran = world.run(shell, script)
    assert (
        "p1 should have 52:54:00:00:00:02; it has eth0 52:54:00:00:00:01, eth1 52:54:00:00:00:09"
        in (ran.texts["storage-nics"])
    )


def test_in_phase_install_nobody_is_asked(shell: list[str], tmp_path: Path) -> None:
    """Everything is written, services are enabled, and no disk is looked at."""
    world, script = machine(tmp_path)
    ran = world.run(shell, script, "--phase", "install")
    assert (ran.status, set(ran.statuses.values())) == (0, {"ok", "changed", "skipped"})
    assert {call.split()[0] for call in world.calls()} == {"systemctl"}
    assert (world.root / "var/lib/iscsi/ifaces/san1").read_text() == (
        "iface.iscsi_ifacename = san1\niface.transport_name = tcp\niface.hwaddress = 52:54:00:12:35:03\n"
    )
    ran = world.run(shell, script, "--phase", "boot", *SECRETS)
    assert (ran.status, ran.statuses["volumes:data"], ran.statuses["iscsi-login"]) == (0, "changed", "changed")


def test_an_array_that_is_down(shell: list[str], tmp_path: Path) -> None:
    """The first boot says so and is tried again; a later one makes everything."""
    world, script = machine(tmp_path)
    (world.fake / "silent").write_text("eth1 10.9.0.10\neth2 10.9.0.10\n")
    assert world.run(shell, script, "--phase", "install").status == 0
    world.write("var/lib/bootforge/first-boot", "x\n")
    ran = world.run(shell, script, "--phase", "boot", *SECRETS)
    assert ran.status == 5 and ran.texts["iscsi-login"].endswith(
        "eql-den at 10.9.0.10 does not answer over san0 (eth1), eql-den at 10.9.0.10 does not answer over san1 (eth2)"
    )
    assert ran.texts["volumes:data"].startswith("there is no /dev/mapper/data")
    assert (world.root / "var/lib/bootforge/first-boot").exists()
    assert not [call for call in world.calls() if call.startswith("iscsiadm -m discovery")]
    (world.fake / "silent").write_text("")
    ran = world.run(shell, script, "--phase", "boot", *SECRETS)
    assert ran.status == 0 and not (world.root / "var/lib/bootforge/first-boot").exists()


def test_one_way_is_enough_to_mount_and_not_to_be_right(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path)
    (world.fake / "silent").write_text("eth2 10.9.0.10\n")
    ran = world.run(shell, script, *SECRETS)
    assert (ran.status, ran.statuses["volumes:data"], ran.statuses["iscsi-login"]) == (5, "changed", "failed")
    assert ran.texts["paths"] == "data has 1 of 2 paths" and "/srv/orders" in (world.root / "proc/mounts").read_text()
    sessions = (world.fake / "sessions").read_text()
    (world.fake / "silent").write_text("eth1 10.9.0.10\n")
    assert world.run(shell, script, *SECRETS).status == 0
    assert (world.fake / "sessions").read_text().startswith(sessions), "what is there is left alone"


def test_frames_that_do_not_come_through(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path, 0, (" 1500 10.9.0.10:3260", " 9000 10.9.0.10:3260"))
    (world.fake / "mtu").write_text("1472\n")
    ran = world.run(shell, script, *SECRETS)
    assert (ran.status, ran.statuses["iscsi-login"]) == (5, "failed")
    assert "san0 (eth1) reaches eql-den at 10.9.0.10, but not with frames of 9000 bytes" in ran.texts["iscsi-login"]
    assert (world.fake / "sessions").read_text() == ""
    (world.fake / "mtu").write_text("8972\n")
    assert world.run(shell, script, *SECRETS).status == 0


def test_secrets_of_the_install_are_kept_for_the_first_boot(shell: list[str], tmp_path: Path) -> None:
    """Nothing comes with that. They are dropped once everybody is logged in, not before."""
    world = equallogic(World(tmp_path / "w"))
    script = tmp_path / "s"
    kinds = (*KINDS, "iscsi-secrets")
    steps = tuple(step for step in plan_of(EQL, EXT4).steps if step.id.partition(":")[0] in kinds)
    script.write_text(script_of(steps))
    kept = world.root / "var/lib/bootforge/kept"
    ran = world.run(shell, script, "--phase", "install")
    assert ran.status == 0 and "secret chap_host not given" in ran.texts["iscsi-secrets"] and not kept.exists()
    checked = world.run(shell, script, *SECRETS, "--phase", "install", "--check")
    assert (checked.status, checked.statuses["iscsi-secrets"]) == (1, "would") and not kept.exists()
    ran = world.run(shell, script, *SECRETS, "--phase", "install", "--diff")
    assert (ran.status, ran.statuses["iscsi-secrets"]) == (0, "changed")
    assert "the host's secret" not in ran.out + "".join(world.calls())
    assert {path.name: path.read_text() for path in kept.iterdir()} == {
        "chap_host": "the host's secret\n",
        "chap_array": "what it answers\n",
    }
    assert {path.stat().st_mode & 0o777 for path in (kept, *kept.iterdir())} == {0o700, 0o600}
    assert world.run(shell, script, *SECRETS, "--phase", "install").statuses["iscsi-secrets"] == "ok"
    (world.fake / "chap").write_text("another")
    assert world.run(shell, script, "--phase", "boot").status == 5 and kept.exists()
    (world.fake / "chap").write_text("the host's secret")
    ran = world.run(shell, script, "--phase", "boot")
    assert ran.status == 0 and not kept.exists(), ran
    assert "node.session.auth.password = the host's secret" in (world.root / NODE / "san1").read_text().splitlines()


def test_secrets(shell: list[str], tmp_path: Path) -> None:
    """They are asked for when they are needed, kept in the records, and nobody is shown them."""
    world, script = machine(tmp_path)
    ran = world.run(shell, script)
    assert ran.status == 5 and "needs the secret chap_host, which was not given" in ran.texts["iscsi-login"]
    (world.fake / "chap").write_text("another")
    ran = world.run(shell, script, *SECRETS, "--diff")
    assert "the array does not accept this host's CHAP" in ran.texts["iscsi-login"]
    assert "the host's secret" not in ran.out + "".join(world.calls()) and "what it answers" not in ran.out
    (world.fake / "chap").write_text("the host's secret")
    ran = world.run(shell, script, *SECRETS, "--diff", "--json")
    assert ran.status == 0 and "secret" not in ran.out
    record = world.root / NODE / "san0"
    lines = record.read_text().splitlines()
    assert record.stat().st_mode & 0o777 == 0o600 and lines[-1] == "# END RECORD"
    assert {
        "node.session.auth.authmethod = CHAP",
        "node.session.auth.username = db02",
        "node.session.auth.password = the host's secret",
        "node.session.auth.username_in = eql",
        "node.session.auth.password_in = what it answers",
    } <= set(lines)
    assert world.run(shell, script).status == 0, "what is logged in needs no secret"


@pytest.mark.parametrize(
    "what,why",
    [
        ({"ext4": True}, "carries ext4, and the group vg_data was planned"),
        ({"content": b"somebody's", "at": 4096}, "carries unknown data"),
        ({"content": b"\x55\xaa", "at": 510}, "carries dos"),
        ({"content": label(), "at": 512}, "is a physical volume of a group that cannot be seen"),
    ],
)
def test_what_is_there_is_never_destroyed(shell: list[str], tmp_path: Path, what: dict[str, Any], why: str) -> None:
    world, script = machine(tmp_path)
    kept = disk(world, **what).read_bytes()
    ran = world.run(shell, script, *SECRETS)
    assert (ran.status, ran.statuses["volumes:data"]) == (5, "failed") and why in ran.texts["volumes:data"]
    assert (world.root / "dev/mapper/data").read_bytes() == kept
    assert not {call.split()[0] for call in world.calls()} & {"pvcreate", "vgcreate", "lvcreate", "mkfs.ext4", "mount"}


def test_another_group_another_disk_another_size(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path)
    disk(world, label(), at=512)
    (world.fake / "lvm/pv-_dev_mapper_data").write_text("vg_theirs\n")
    assert "belongs to the group vg_theirs" in world.run(shell, script, *SECRETS).texts["volumes:data"]
    (world.fake / "uuid-data").write_text("mpath-36090a01820494c58000000000000000f\n")
    ran = world.run(shell, script, *SECRETS)
    assert (
        "is 36090a01820494c58000000000000000f, and 36090a01820494c580000000000000001 was" in ran.texts["volumes:data"]
    )
    (tmp_path / "2").mkdir()
    world, script = machine(tmp_path / "2")
    text = script.read_text()
    script.write_text(text.replace(f"/dev/mapper/data {WWID} ''", f"/dev/mapper/data {WWID} 100"))
    assert script.read_text() != text
    ran = world.run(shell, script, *SECRETS)
    assert "has 2 MiB, and 100 were planned: it is left as it is" in ran.texts["volumes:data"]


def test_our_own_volume_is_taken_as_it_is(shell: list[str], tmp_path: Path) -> None:
    """After a reinstall, or on a host that somebody else made."""
    world, script = machine(tmp_path)
    kept = disk(world, label(), at=512).read_bytes()
    (world.fake / "lvm/pv-_dev_mapper_data").write_text("vg_data\n")
    (world.fake / "lvm/vg-vg_data").write_text("orders\n")
    world.tool(
        "vgchange", f"mkdir -p {world.root}/dev/mapper; cp {world.fake}/fs {world.root}/dev/mapper/vg_data-orders"
    )
    shutil.copy(disk(world, ext4=True), world.fake / "fs")
    (world.fake / "content").write_bytes(kept)
    ran = world.run(shell, script, *SECRETS)
    assert (ran.status, ran.texts["volumes:data"]) == (0, "vg_data activated, /srv/orders mounted")
    assert (world.root / "dev/mapper/data").read_bytes() == kept
    assert (world.root / "dev/mapper/vg_data-orders").read_bytes() == (world.fake / "fs").read_bytes()


def test_a_file_system_of_another_type(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path, 0, ("ext4 /srv/orders", "ext3 /srv/orders"))
    kept = disk(world, label(), at=512).read_bytes()
    (world.fake / "lvm/pv-_dev_mapper_data").write_text("vg_data\n")
    (world.fake / "lvm/vg-vg_data").write_text("orders\n")
    world.write("dev/mapper/vg_data-orders", "")
    (world.root / "dev/mapper/vg_data-orders").write_bytes(disk(world, ext4=True).read_bytes())
    (world.fake / "content").write_bytes(kept)
    ran = world.run(shell, script, *SECRETS)
    assert "carries ext4, and ext3 was planned: it is left as it is" in ran.texts["volumes:data"]


@pytest.mark.parametrize("whole", [False, True])
def test_a_file_system_that_was_begun(shell: list[str], tmp_path: Path, whole: bool) -> None:
    """It is made again if it cannot be mounted; somebody may have made it good by hand."""
    world, script = machine(tmp_path)
    assert world.run(shell, script, *SECRETS).status == 0
    edited("proc/mounts", "/dev/mapper/vg_data-orders /srv/orders ext4 rw 0 0\n", "")(world)
    world.write(f"var/lib/bootforge/ok/mkfs-{WWID}", "/dev/mapper/vg_data-orders\n")
    if not whole:
        (world.fake / "half").touch()
    calls = len(world.calls())
    assert world.run(shell, script, *SECRETS).status == 0
    made = [call for call in world.calls()[calls:] if call.startswith("mkfs")]
    assert bool(made) != whole and not (world.root / f"var/lib/bootforge/ok/mkfs-{WWID}").exists()
    assert "/srv/orders" in (world.root / "proc/mounts").read_text()


def test_a_blank_disk_that_others_have_too(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path, 0, ("ext4 /srv/orders ''", "ext4 /srv/orders shared"))
    ran = world.run(shell, script, *SECRETS)
    assert "is blank, and other hosts have it too" in ran.texts["volumes:data"]


def test_groups_in_use_are_in_the_file_of_devices_first(shell: list[str], tmp_path: Path) -> None:
    """With its first entry LVM would lose the system's own group."""
    world, script = machine(tmp_path)
    (world.fake / "lvm/vg-system").write_text("root\n")
    assert world.run(shell, script, *SECRETS).status == 0
    assert (world.root / "etc/lvm/devices/system.devices").read_text() == "imported\n/dev/mapper/data\n"


def test_a_session_of_the_other_fabric_is_told_and_left(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path, 1)
    crossed = world.root / f"etc/iscsi/nodes/{FIRST}/10.9.5.10,3260,1/a"
    world.write(str(crossed.relative_to(world.root)), "# BEGIN RECORD\n# END RECORD\n")
    (world.fake / "sessions").write_text(f"{FIRST} 10.9.5.10:3260 a\n")
    ran = world.run(shell, script)
    assert ran.status == 0 and "has a session over a, which is not planned" in ran.texts["iscsi-login"]
    assert crossed.exists() and not [call for call in world.calls() if "--logout" in call]


def test_somebody_elses_mount(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path)
    world.write("proc/mounts", "/dev/sdb1 /srv/orders xfs rw 0 0\n")
    ran = world.run(shell, script, *SECRETS)
    assert ran.texts["volumes:data"].endswith(
        "/dev/sdb1 is mounted at /srv/orders, and /dev/mapper/vg_data-orders was planned"
    )


def test_a_disk_that_systemd_tries_to_mount_is_waited_for(shell: list[str], tmp_path: Path) -> None:
    """It has what /etc/fstab names in use for a moment, when it is there and nothing is on it yet."""
    world, script = machine(tmp_path)
    for kind in ("ext3", "ext4"):
        mkfs = (world.bin / f"mkfs.{kind}").read_text()
        busy = f"[ -e $fake/tried.{kind} ] || {{ >$fake/tried.{kind}; echo 'Device or resource busy' >&2; exit 1; }}\n"
        world.tool(f"mkfs.{kind}", mkfs.replace("\n", f"\n{busy}", 1))
    ran = world.run(shell, script, *SECRETS)
    assert ran.status == 0, ran
    assert ran.statuses["volumes:data"] == "changed", ran.texts["volumes:data"]


def test_systemd_may_be_the_first_to_mount(shell: list[str], tmp_path: Path) -> None:
    """It mounts what /etc/fstab names as soon as the device is there."""
    world, script = machine(tmp_path)
    mount = (world.bin / "mount").read_text()
    world.tool("mount", f"{mount}\necho 'mount: already mounted' >&2\nexit 32")
    ran = world.run(shell, script, *SECRETS)
    assert ran.statuses["volumes:data"] == "changed", ran.texts["volumes:data"]


def test_a_path_that_is_lost_is_told(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path)
    assert world.run(shell, script, *SECRETS).status == 0
    (world.fake / "lost").write_text("1")
    ran = world.run(shell, script, *SECRETS)
    assert (ran.status, ran.texts["paths"]) == (5, "data has 1 of 2 paths")
    assert ran.statuses["volumes:data"] == "ok"
