"""The network of the installed system: profiles, what else claims the same nics, and the way back from a change that
cuts the host off."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from dataclasses import replace
from ipaddress import IPv4Interface
from pathlib import Path

import pytest

from bootforge.model import Nic
from bootforge.model_steps import Step
from bootforge.plan.netfiles import plan_network_files
from bootforge.releases import RELEASES
from tests.shell.world import HOST, SHELLS, Case, World, machine_shell, proofs, script_of, small

SCRIPTS, KEYFILES = "etc/sysconfig/network-scripts", "etc/NetworkManager/system-connections"

NMCLI = r"""
# A profile is up when $fake/up has a file of its UUID, with what it said then.
case "$*" in
*'connection reload') exit 0 ;;
*'connection up uuid '*)
    mkdir -p $fake/up; for uuid; do :; done
    cd ROOT/etc && file=$(grep -rl "$uuid" NetworkManager/system-connections sysconfig/network-scripts | head -n 1)
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
CURL = r'! grep -rqs 10.66.66.66 "$fake/up"'
"""The server answers unless a nic that is up has the wrong address. The router never does: busybox has a ping of its
own."""


def prepare(world: World) -> World:
    world.tool("nmcli", NMCLI.replace("ROOT", str(world.root)))
    world.tool("service", SERVICE.replace("ROOT", str(world.root)))
    world.tool("ping", "exit 1")
    world.tool("curl", CURL)
    world.write(f"{SCRIPTS}/ifcfg-lo", "DEVICE=lo\n")
    world.write(f"{SCRIPTS}/ifcfg-other", "DEVICE=eth7\nHWADDR=52:54:00:00:00:77\n")
    world.write(f"{KEYFILES}/vpn.nmconnection", "[connection]\nid=vpn\nuuid=v\ntype=vpn\n")
    return world


def nics(**changes: object) -> tuple[Nic, ...]:
    """The nic of the small site's host, known by its MAC address alone."""
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


ALIASES = "alias eth0 e1000\n# it's $x `y` \\n\nalias bond01 bonding\nalias bond0 bonding\n"

CASES = [
    Case(
        "keyfile",
        steps_of("el9", nics()),
        prepare=anacondas,
        drifts={
            "content": lambda w: (w.root / KEYFILES / "lan.nmconnection").write_text("[connection]\n"),
            "mode": lambda w: (w.root / KEYFILES / "lan.nmconnection").chmod(0o644),
            "removed": lambda w: (w.root / KEYFILES / "lan.nmconnection").unlink(),
            "rival": lambda w: w.write(f"{KEYFILES}/Wired 'x' 1.nmconnection", f"mac-address={MAC.upper()}\n"),
            "route": lambda w: w.write(f"{SCRIPTS}/route-ens3", "10.0.0.0/8 via 10.2.0.9\n"),
        },
        handlers=("nmcli connection reload",),
        args=("--apply-network",),
    ),
    Case(
        "ifcfg-el5",
        (Step("network-bonds", "bond_aliases", ("bond0",), (), notify=("network",)),),
        prepare=lambda w: (prepare(w), w.write("etc/modprobe.conf", ALIASES[:-20])),
        drifts={
            "alias": lambda w: w.write("etc/modprobe.conf", ALIASES.replace("alias bond0 bonding\n", "")),
            "emptied": lambda w: w.write("etc/modprobe.conf", ALIASES[:-21]),
        },
        handlers=("service network restart",),
        release="el6",
        args=("--apply-network",),
    ),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def lan(world: World) -> Path:
    return world.root / KEYFILES / "lan.nmconnection"


def up(world: World) -> str:
    """What is up, of all profiles."""
    return "".join(path.read_text() for path in sorted((world.fake / "up").iterdir()))


def machine(tmp_path: Path, shell: list[str]) -> World:
    """A machine whose network is up as planned, and a script at s2 that would cut it off, at s3 one that changes it."""
    world = prepare(World(tmp_path / "w"))
    for number, address in ((1, "10.2.0.21/20"), (2, "10.66.66.66/20"), (3, "10.2.0.23/20")):
        script = script_of(steps_of("el9", nics(address=IPv4Interface(address), dhcp=False)))
        (tmp_path / f"s{number}").write_text(script)
    ran = world.run(shell, tmp_path / "s1", "--apply-network")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "changed")
    return world


def test_nothing_is_brought_up_unless_so_asked(shell: list[str], tmp_path: Path) -> None:
    world = machine(tmp_path, shell)
    calls = len(world.calls())
    ran = world.run(shell, tmp_path / "s3")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "skipped")
    assert ran.texts["handler:network"] == "needs --apply-network" and "10.2.0.23" in lan(world).read_text()
    assert world.calls()[calls:] == []
    checked = world.run(shell, tmp_path / "s3", "--check")
    assert (checked.status, checked.statuses) == (0, {"handler:network": "skipped"} | checked.statuses)
    assert world.run(shell, tmp_path / "s3", "--check", "--apply-network").status == 1
    ran = world.run(shell, tmp_path / "s3", "--only", "network", "--apply-network")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "changed") and "10.2.0.23" in up(world)
    assert not (world.root / "var/lib/bootforge/network").exists()


def test_what_cuts_the_host_off_is_undone(shell: list[str], tmp_path: Path) -> None:
    world = machine(tmp_path, shell)
    before = lan(world).read_text()
    script = (tmp_path / "s2").read_text().replace("${BF_NETWORK_WAIT:-30}", "2")
    (tmp_path / "s2").write_text(script)
    assert world.run(shell, tmp_path / "s2").status == 0, "written and not brought up"
    ran = world.run(shell, tmp_path / "s2", "--apply-network")
    assert (ran.status, ran.statuses["handler:network"]) == (6, "failed")
    assert ran.texts["handler:network"].endswith("did not answer within 2 s: what was before is active again")
    assert lan(world).read_text() == before and lan(world).stat().st_mode & 0o777 == 0o600
    assert "10.66.66.66" not in up(world) and (world.root / "var/lib/bootforge/pending/network").exists()
    ran = world.run(shell, tmp_path / "s3", "--apply-network")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "changed") and "10.2.0.23" in up(world)


def test_it_is_undone_also_when_the_shell_is_killed(shell: list[str], tmp_path: Path) -> None:
    world = machine(tmp_path, shell)
    before = lan(world).read_text()
    env = {"PATH": str(world.bin), "BF_ROOT": str(world.root)}
    command = [str(shutil.which(shell[0])), *shell[1:], str(tmp_path / "s2")]
    running = subprocess.Popen(
        [*command, "--apply-network"], env=env, stdout=subprocess.DEVNULL, start_new_session=True
    )
    for _ in range(200):
        if "10.66.66.66" in up(world):
            break
        time.sleep(0.05)
    assert "10.66.66.66" in up(world)
    os.kill(running.pid, signal.SIGKILL)
    running.wait()
    for _ in range(200):
        if "10.66.66.66" not in up(world):
            break
        time.sleep(0.05)
    assert "10.66.66.66" not in up(world) and lan(world).read_text() == before


def test_nothing_is_brought_up_when_nobody_could_tell_how_it_went(shell: list[str], tmp_path: Path) -> None:
    world = machine(tmp_path, shell)
    world.tool("curl", "exit 7")
    calls = len(world.calls())
    ran = world.run(shell, tmp_path / "s3", "--apply-network")
    assert ran.status == 6 and "answers even now" in ran.texts["handler:network"]
    assert not [call for call in world.calls()[calls:] if call.startswith("nmcli")]
    ran = world.run(shell, tmp_path / "s3", "--phase", "boot")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "changed") and "10.2.0.23" in up(world)


def test_a_machine_that_has_booted_runs_the_new_network(shell: list[str], tmp_path: Path) -> None:
    world = prepare(World(tmp_path / "w"))
    (tmp_path / "s").write_text(script_of(steps_of("el9", nics())))
    ran = world.run(shell, tmp_path / "s", "--phase", "install")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "skipped")
    (world.root / "var/lib/bootforge/network/boot").write_text("another\n")
    calls = len(world.calls())
    assert world.run(shell, tmp_path / "s", "--check").statuses.get("handler:network") is None
    ran = world.run(shell, tmp_path / "s", "--phase", "boot")
    assert (ran.status, ran.statuses["handler:network"]) == (0, "ok")
    assert world.calls()[calls:] == [] and not (world.root / "var/lib/bootforge/pending/network").exists()


def test_only_what_changed_is_brought_up(shell: list[str], tmp_path: Path) -> None:
    world = machine(tmp_path, shell)
    san = replace(nics()[0], name="san", device="eth5", install=False, routed=False)
    calls = len(world.calls())
    (tmp_path / "s").write_text(script_of(steps_of("el9", (*nics(), san))))
    assert world.run(shell, tmp_path / "s", "--apply-network").status == 0
    raised = [call for call in world.calls()[calls:] if "connection up" in call]
    calls = len(world.calls())
    (lan(world).parent / "eth5.nmconnection").write_text("drift\n")
    assert world.run(shell, tmp_path / "s", "--apply-network").status == 0
    again = [call for call in world.calls()[calls:] if "connection up" in call]
    assert len(raised) == 1 and again == raised, "the nic that is as it was is left alone"
