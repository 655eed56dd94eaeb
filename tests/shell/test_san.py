"""The storage network of a host: what is written before its first boot, logins, and that no volume is destroyed."""

from __future__ import annotations

import atexit
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootforge.generation import Generation
from bootforge.model import Plan
from bootforge.model_steps import Step
from tests.shell.san import array, knows_the_label
from tests.shell.test_services import CHKCONFIG, SERVICE
from tests.shell.world import SHELLS, Case, World, machine_shell, proofs
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
(_kept / "chap_array").write_text("the array's\n")
SECRETS = ("--secrets", str(_kept))
_made: dict[tuple[tuple[str, str], ...], Generation] = {}


def plan_of(host: str, *changes: tuple[str, str]) -> Plan:
    if changes not in _made:
        _made[changes] = san_with(Path(tempfile.mkdtemp(dir=_kept)), *changes)
    return _made[changes].plan(host)


def steps_of(host: str, *changes: tuple[str, str]) -> tuple[Step, ...]:
    """The steps of a host's storage; sysctl is tested with the other settings."""
    steps = plan_of(host, *changes).steps
    return tuple(step for step in steps if step.id.partition(":")[0] in KINDS and step.fn != "sysctl_live")


def equallogic(world: World) -> World:
    """One subnet, two nics, one address of the group, which sends each session on."""
    nics = {"eth0": "52:54:00:12:35:01", "eth1": "52:54:00:12:35:02", "eth2": "52:54:00:12:35:03"}
    array(world, nics, f"{GROUP} {VOL} asked={GROUP}\n", {"/dev/mapper/data": (WWID, VOL)})
    (world.fake / "chap").write_text("the host's secret")
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
SMALL_LOGS = ("size: 2TiB", "size: 4MiB")

CASES = [
    Case(
        "equallogic",
        steps_of(EQL, EXT4),
        prepare=equallogic,
        drifts={
            "initiator": edited("etc/iscsi/initiatorname.iscsi", "db02", "clone"),
            "iscsid.conf": edited("etc/iscsi/iscsid.conf", "noop_out_timeout = 10", "noop_out_timeout = 30"),
            "iface": edited("var/lib/iscsi/ifaces/san0", "12:35:02", "12:35:99"),
            "iface-is-whole": edited("var/lib/iscsi/ifaces/san1", "tcp\n", "tcp\niface.mtu = 0\n"),
            "record": edited(f"{NODE}/san1", "replacement_timeout = 15", "replacement_timeout = 120"),
            "secret": edited(f"{NODE}/san0", "the array's", "another"),
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
        steps_of(XEN, ("path_policy: single", "path_policy: single\n  profile: centos6"), ETH),
        prepare=old,
        drifts={
            "filter": edited("etc/lvm/lvm.conf", "-iscsi-", "-else-"),
            "filter-of-lines": edited("etc/lvm/lvm.conf", "\tfilter = ", '\tfilter = [\n"a/.*/"\n]\n\t# filter ='),
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


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def test_our_physical_volumes_are_lvms(tmp_path: Path) -> None:
    assert knows_the_label(tmp_path / "disk")
