"""The network of the installed system: profiles, what else claims the same nics, and the way back from a change that cuts
the host off."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pytest

from bootforge.model import Nic
from bootforge.model_steps import Step
from bootforge.plan.netfiles import plan_network_files
from bootforge.releases import RELEASES
from tests.shell.world import HOST, SHELLS, Case, World, _need, proofs, script_of, small

SCRIPTS, KEYFILES = "etc/sysconfig/network-scripts", "etc/NetworkManager/system-connections"

NMCLI = r"""
# A profile is up when $fake/up has a file of its UUID, with what it said then. Below $fake/cut, only its own text is up.
case "$*" in
*'connection reload') exit 0 ;;
*'connection up uuid '*)
    mkdir -p $fake/up; for uuid; do :; done
    file=$(grep -rl "$uuid" ROOT/etc/NetworkManager/system-connections ROOT/etc/sysconfig/network-scripts 2>/dev/null | head -n 1)
    [ -n "$file" ] || exit 10
    cat "$file" >$fake/up/$uuid ;;
*'--active') ls $fake/up 2>/dev/null ;;
*) exit 2 ;;
esac
"""
SERVICE = r"""
[ "$*" = 'network restart' ] || exit 3
mkdir -p $fake/up; cat ROOT/etc/sysconfig/network-scripts/ifcfg-* >$fake/up/all
"""
PING = r'! grep -rqs 10.66.66.66 "$fake/up"'
"""The router answers unless a nic that is up has the wrong address."""


def prepare(world: World) -> World:
    world.tool("nmcli", NMCLI.replace("ROOT", str(world.root)))
    world.tool("service", SERVICE.replace("ROOT", str(world.root)))
    world.tool("ping", PING)
    world.tool("curl", "exit 7")
    world.write(f"{SCRIPTS}/ifcfg-lo", "DEVICE=lo\n")
    world.write(f"{SCRIPTS}/ifcfg-other", "DEVICE=eth7\nHWADDR=52:54:00:00:00:77\n")
    world.write(f"{KEYFILES}/vpn.nmconnection", "[connection]\nid=vpn\nuuid=v\ntype=vpn\n")
    return world


def nics(**changes: object) -> tuple[Nic, ...]:
    """The nic of the small site's host, known by its MAC address, and one with a device and routes."""
    (lan,) = (nic for nic in small().plan(HOST).nics if nic.install)
    return (replace(lan, name="lan", device=None, **changes),)  # type: ignore[arg-type]


def steps_of(release: str, nics: tuple[Nic, ...]) -> tuple[Step, ...]:
    faults: list[object] = []
    steps = plan_network_files(HOST, nics, RELEASES[release], faults)  # type: ignore[arg-type]
    assert not faults
    return steps


MAC = str(nics()[0].mac)


def anacondas(world: World) -> None:
    """What the installer left: its own profiles of the nic, one by MAC address, one by the name it had there."""
    prepare(world)
    world.write(f"{KEYFILES}/ens3.nmconnection", "[connection]\nuuid=a\ntype=ethernet\ninterface-name=ens3\n", 0o600)
    world.write(f"{SCRIPTS}/ifcfg-eth9", f"DEVICE=eth9\nHWADDR='{MAC.upper()}'\n")
    world.write(f"{SCRIPTS}/route-ens3", "10.9.0.0/16 via 10.2.0.9\n")
    world.write("sys/class/net/ens3/address", f"{MAC}\n")
    world.write("sys/class/net/ens3/device/vendor", "")
    world.write("sys/class/net/vlan5/address", f"{MAC}\n")


CASES = [
    Case(
        "keyfile",
        steps_of("el9", nics()),
        prepare=anacondas,
        drifts={
            "content": lambda w: (w.root / KEYFILES / "lan.nmconnection").write_text("[connection]\n"),
            "mode": lambda w: (w.root / KEYFILES / "lan.nmconnection").chmod(0o644),
            "removed": lambda w: (w.root / KEYFILES / "lan.nmconnection").unlink(),
            "rival": lambda w: w.write(f"{KEYFILES}/Wired connection 1", "x") and w.write(
                f"{KEYFILES}/wired.nmconnection", f"[ethernet]\nmac-address={MAC.upper()}\n"),
            "route": lambda w: w.write(f"{SCRIPTS}/route-ens3", "10.0.0.0/8 via 10.2.0.9\n"),
        },
        handlers=("nmcli connection reload",),
        args=("--apply-network",),
    ),
    Case(
        "ifcfg-el5",
        (Step("network-bonds", "bond_aliases", ("bond0",), (), notify=("network",)),),
        prepare=lambda w: (prepare(w), w.write("etc/modprobe.conf", "alias eth0 e1000\n# it's $x `y`\nalias bond01 bonding")),
        drifts={
            "alias": lambda w: (w.root / "etc/modprobe.conf").write_text("alias eth0 e1000\n"),
            "gone": lambda w: (w.root / "etc/modprobe.conf").unlink() or w.write("etc/modprobe.conf", "# it's $x `y`\n"),
        },
        handlers=("service network restart",),
        release="el6",
        args=("--apply-network",),
    ),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)
