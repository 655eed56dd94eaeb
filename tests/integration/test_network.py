"""Profiles read by the program that reads them, NetworkManager, on nics of a network namespace: what it makes of them,
and that a change which cuts the host off is undone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootforge.model_steps import Step
from tests.shell.world import script_of
from tests.sites import WEB, generation_with
from tests.support import need
from tests.unit.test_network import TRUNK, files

SETUP = """set -e
mount -t tmpfs t /run
mount -t sysfs -o ro s /sys  # as in a container: NetworkManager does not wait for udev then
mkdir -p /run/dbus /run/NetworkManager /run/netns
mount -t tmpfs t /etc/NetworkManager
mount -t tmpfs t /var/lib/NetworkManager
mkdir /etc/NetworkManager/system-connections
mount --bind {root}/etc/NetworkManager/system-connections /etc/NetworkManager/system-connections
cat >/etc/NetworkManager/NetworkManager.conf <<E
[main]
plugins=keyfile
dns=none
rc-manager=unmanaged
no-auto-default=*
[device-all]
match-device=*
managed=1
E
ip link set lo up
ip netns add far
for n in 1 2 3; do
    ip link add eth$n address 52:54:00:00:00:0$n type veth peer name far$n netns far
    ip -n far link set far$n up
done
ip -n far link add router type bridge
for n in 1 2 3; do ip -n far link set far$n master router; done
ip -n far address add 10.2.0.1/20 dev router
ip -n far address add 10.2.0.5/20 dev router
ip -n far link set router up
ip netns exec far python3 -m http.server --bind 10.2.0.5 --directory {root}/far 80 >/dev/null 2>&1 &
dbus-daemon --system --fork --nopidfile
NetworkManager --debug >{root}/log 2>&1 &
i=0; until nmcli general >/dev/null 2>&1; do sleep 0.2; i=$((i + 1)); [ $i -lt 100 ]; done
echo ready >{root}/ready
sleep 600
"""


@dataclass
class Machine:
    """``root`` is BF_ROOT; its profiles are those that NetworkManager reads. ``pid`` is in the namespaces."""

    root: Path
    pid: int

    def do(self, *command: str | Path, **env: str) -> subprocess.CompletedProcess[str]:
        words = ["nsenter", "-t", str(self.pid), "-m", "-n", "-p", *map(str, command)]
        return subprocess.run(words, capture_output=True, text=True, timeout=120, env={**os.environ, **env})

    def bootstrap(self, steps: tuple[Step, ...], *args: str) -> tuple[int, str]:
        script = self.root / "bootstrap"
        script.write_text(script_of(steps, "el9"))
        done = self.do("sh", script, "--only", "network", *args, BF_ROOT=str(self.root), BF_NETWORK_WAIT="4")
        assert done.stderr == "", done.stderr
        return done.returncode, done.stdout

    def reaches(self) -> bool:
        """Whether the server of the small site answers."""
        return self.do("curl", "-s", "-m", "5", "-o", "/dev/null", "http://10.2.0.5").returncode == 0

    def addresses(self, device: str) -> str:
        return self.do("ip", "-br", "address", "show", device).stdout

    @property
    def complaints(self) -> list[str]:
        """What NetworkManager says about profiles."""
        return [line for line in self.log.splitlines() if "<warn>" in line and "keyfile: " in line]

    @property
    def log(self) -> str:
        return (self.root / "log").read_text()


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    need("NetworkManager", "nmcli", "dbus-daemon", "ip", "curl", "unshare", "nsenter")
    if os.geteuid():
        pytest.skip("namespaces need root")
    root = tmp_path / "root"
    (root / "etc/NetworkManager/system-connections").mkdir(parents=True)
    (root / "far").mkdir()
    (tmp_path / "setup").write_text(SETUP.format(root=root))
    words = ["unshare", "-m", "-n", "-p", "--fork", "--kill-child", "--mount-proc", "sh", str(tmp_path / "setup")]
    with (tmp_path / "errors").open("w") as errors:
        outer = subprocess.Popen(words, stdout=errors, stderr=errors, stdin=subprocess.DEVNULL)
    try:
        for _ in range(300):
            if (root / "ready").exists() or outer.poll() is not None:
                break
            time.sleep(0.1)
        assert (root / "ready").exists(), (tmp_path / "errors").read_text()
        inner = Path(f"/proc/{outer.pid}/task/{outer.pid}/children").read_text().split()[0]
        yield Machine(root, int(inner))
    finally:
        outer.kill()
        outer.wait()
        shutil.rmtree(root, ignore_errors=True)


def steps_of(at: Path, nics: str) -> tuple[Step, ...]:
    steps = generation_with(at, files(nics)).plan(WEB).steps
    return tuple(step for step in steps if step.id.startswith("network"))


BRIDGED = (
    "p1: {mac: '52:54:00:00:00:01', device: eth1, network: den-lan, boot: true},"
    " lan: {mac: '52:54:00:00:00:02', network: v21, address: 10.21.0.9},"
    " br0: {kind: bridge, ports: [p1], network: den-lan, address: 10.2.0.21, mtu: 1400, install: true,"
    " options: {forward-delay: '2', hello-time: '1', multicast-snooping: no},"
    " routes: {10.50.0.0/16: {via: 10.2.0.7, metric: '50'}}}"
)
OPTIONS = (
    "p0: {mac: '52:54:00:00:00:01', network: den-lan, boot: true}, p1: {mac: '52:54:00:00:00:02', device: eth1},"
    " q: {mac: '52:54:00:00:00:03', network: v20, boot: false, address: none, address6: auto,"
    " ethtool: {autoneg: off, speed: '1000', wol: g}},"
    " bond0: {kind: bond, ports: [p0, p1], network: den-lan, address: dhcp,"
    " options: {mode: '1', arp_interval: '100', arp_ip_target: 10.2.0.1, primary: p1, fail_over_mac: active}},"
    " v: {kind: vlan, parent: bond0, device: san, network: v20, address6: dhcp,"
    " routes: {10.60.0.0/16: {via: 10.20.0.7}, '2001:db8:60::/48': {via: '2001:db8:20::7', metric: '9'}}},"
    " br0: {kind: bridge, ports: [w], network: v21, options: {stp: yes, priority: '4096', ageing-time: '30',"
    " max-age: '20', forward-delay: '15', hello-time: '2'}},"
    " w: {kind: vlan, parent: bond0, vlan: 21}"
)


@pytest.mark.parametrize("nics", [TRUNK, BRIDGED, OPTIONS], ids=["trunk", "bridged", "options"])
def test_every_profile_is_one_to_networkmanager(machine: Machine, tmp_path: Path, nics: str) -> None:
    """It reads each whole: known by our UUID, and with no word of complaint; a profile that it cannot read is told."""
    steps = steps_of(tmp_path, nics)
    status, out = machine.bootstrap(steps)
    assert status == 0, out
    machine.do("nmcli", "connection", "reload")
    known = machine.do("nmcli", "-t", "-f", "UUID", "con").stdout.split()
    for step in steps:
        values = dict(line.split("=", 1) for line in (step.content or "").splitlines() if "=" in line)
        assert values.get("uuid", known[0]) in known, machine.log
    assert not machine.complaints
    broken = machine.root / "etc/NetworkManager/system-connections/broken.nmconnection"
    broken.write_text("[connection]\nid=broken\ntype=bond\ninterface-name=b\n[bond]\nmistake=x\n")
    broken.chmod(0o600)
    machine.do("nmcli", "connection", "reload")
    assert "mistake" in "".join(machine.complaints)
    told = machine.do("nmcli", "-g", "ipv4,ipv6,bond,bridge,vlan,802-3-ethernet", "con", "show", "bond0").stdout
    assert nics == BRIDGED or "mode=" in told


def test_a_bridge_and_a_plain_nic_come_up(machine: Machine, tmp_path: Path) -> None:
    """Beside what an installer left for the same nics, which is gone, and a nic that is none of ours, which stays."""
    others = machine.root / "etc/NetworkManager/system-connections"
    left = {"eth1": ("interface-name=eth1", "10.99.0.2"), "eth3": ("interface-name=eth3", "10.99.0.3")}
    for number, (name, (match, address)) in enumerate(left.items()):
        text = f"[connection]\nid={name}\nuuid=00000000-0000-4000-8000-00000000000{number}\ntype=ethernet\n{match}\n"
        (others / f"{name} of old.nmconnection").write_text(f"{text}[ipv4]\nmethod=manual\naddress1={address}/24\n")
        (others / f"{name} of old.nmconnection").chmod(0o600)
    machine.do("nmcli", "connection", "reload")
    machine.do("nmcli", "-w", "20", "connection", "up", "eth1")
    machine.do("nmcli", "-w", "20", "connection", "up", "eth3")
    assert "10.99.0.2" in machine.addresses("eth1") and "10.99.0.3" in machine.addresses("eth3"), machine.log
    status, out = machine.bootstrap(steps_of(tmp_path, BRIDGED), "--phase", "boot")
    assert status == 0, (out, machine.log)
    assert "10.2.0.21/20" in machine.addresses("br0") and "10.99" not in machine.addresses("eth1")
    assert "10.21.0.9/24" in machine.addresses("eth2") and "10.99.0.3" in machine.addresses("eth3")
    assert "master br0" in machine.do("ip", "link", "show", "eth1").stdout
    routes = machine.do("ip", "route").stdout
    assert "10.50.0.0/16 via 10.2.0.7 dev br0" in routes and "default via 10.2.0.1 dev br0" in routes
    assert " mtu 1400 " in machine.do("ip", "link", "show", "br0").stdout
    assert machine.reaches()


def test_a_bond_and_its_vlan_come_up(machine: Machine, tmp_path: Path) -> None:
    if machine.do("ip", "link", "add", "probe", "type", "bond").returncode:
        pytest.skip("this kernel has no bonding")
    machine.do("ip", "link", "delete", "probe")
    nics = TRUNK.replace("mode: 802.3ad, lacp_rate: fast", "mode: active-backup")
    status, out = machine.bootstrap(steps_of(tmp_path, nics), "--phase", "boot")
    assert "10.20.0.9/24" in machine.addresses("bond0.20"), (status, out, machine.log)
    assert "master bond0" in machine.do("ip", "link", "show", "eth1").stdout


PLAIN = "lan: {{mac: '52:54:00:00:00:01', network: den-lan, address: {0}{1}}}"


def test_a_change_that_cuts_the_host_off_is_undone(machine: Machine, tmp_path: Path) -> None:
    """A host that is told to be on another network than its cable comes back with its old address."""
    good = steps_of(tmp_path / "a", PLAIN.format("10.2.0.21", ""))
    bad = steps_of(tmp_path / "b", PLAIN.format("10.20.0.9", "").replace("den-lan", "v20"))
    assert machine.bootstrap(good, "--phase", "boot")[0] == 0
    assert "10.2.0.21" in machine.addresses("eth1") and machine.reaches()
    status, out = machine.bootstrap(bad)
    assert status == 0 and "needs --apply-network" in out and "10.2.0.21" in machine.addresses("eth1")
    status, out = machine.bootstrap(bad, "--apply-network")
    assert status == 6 and "what was before is active again" in out, (out, machine.log)
    assert "10.2.0.21" in machine.addresses("eth1"), machine.log
    assert machine.reaches()
    names = {path.name for path in (machine.root / "etc/NetworkManager/system-connections").iterdir()}
    assert names == {"lan.nmconnection"}
    status, out = machine.bootstrap(
        steps_of(tmp_path / "c", PLAIN.format("10.2.0.22", ", mtu: 1300")), "--apply-network"
    )
    assert status == 0 and "10.2.0.22" in machine.addresses("eth1"), (out, machine.log)
