"""Profiles of nics to the letter, for each release that reads them differently."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from bootforge.model_steps import Step
from bootforge.plan.digest import plan_shape
from bootforge.plan.netfiles import plan_network_files, profile_uuid
from bootforge.releases import RELEASES
from tests.sites import WEB, generation_with, problems_with
from tests.unit.test_network import BOND, ETHS, TRUNK, files

SCRIPTS, KEYFILES = "/etc/sysconfig/network-scripts", "/etc/NetworkManager/system-connections"
U = {name: profile_uuid(WEB, name) for name in ("bond0", "p0", "p1", "v", "w", "lan", "br0")}
HEADER = "# Written by Bootforge; changes are lost."


def steps_of(root: Path, nics: str, profile: str) -> dict[str, Step]:
    steps = generation_with(root, files(nics, profile)).plan(WEB).steps
    return {step.id: step for step in steps if step.id.startswith("network")}


def words(text: str | None) -> list[str]:
    """The lines after the first, which says whose the file is."""
    head, *lines = (text or "").splitlines()
    assert head == HEADER
    return lines


STATIC = "BOOTPROTO=none IPADDR=10.2.0.21 NETMASK=255.255.240.0 GATEWAY=10.2.0.1 DEFROUTE=yes IPV6INIT=no DNS1=10.2.0.2"
OLD = {
    "ifcfg-bond0": 'DEVICE=bond0 NM_CONTROLLED=no TYPE=Bond ONBOOT=yes BONDING_OPTS="mode=active-backup,miimon=100" '
    + STATIC,
    "ifcfg-eth0": "DEVICE=eth0 NM_CONTROLLED=no TYPE=Ethernet HWADDR=52:54:00:00:00:01 ONBOOT=yes MASTER=bond0"
    " SLAVE=yes BOOTPROTO=none",
}
NEW = {
    "ifcfg-bond0": f"DEVICE=bond0 NAME=bond0 UUID={U['bond0']} TYPE=Bond ONBOOT=yes BONDING_MASTER=yes"
    f' BONDING_OPTS="mode=active-backup,miimon=100" {STATIC}',
    "ifcfg-eth0": f"DEVICE=eth0 NAME=eth0 UUID={U['p0']} TYPE=Ethernet HWADDR=52:54:00:00:00:01 ONBOOT=yes MASTER=bond0"
    " SLAVE=yes BOOTPROTO=none",
}


@pytest.mark.parametrize("profile,expected", [("centos5", OLD), ("centos6", OLD), ("centos7", NEW), ("rocky8", NEW)])
def test_a_bond_in_ifcfg_files(tmp_path: Path, profile: str, expected: dict[str, str]) -> None:
    steps = steps_of(tmp_path, f"{ETHS}, {BOND}", profile)
    made = {step.whole.path: step for step in steps.values() if step.whole}
    assert set(made) == {f"{SCRIPTS}/ifcfg-{name}" for name in ("bond0", "eth0", "eth1")}
    for name, text in expected.items():
        assert words(made[f"{SCRIPTS}/{name}"].content) == [one.replace(",", " ") for one in text.split(" ")]
    assert ("network-bonds" in steps) == (profile == "centos5")
    assert all(step.notify == ("network",) for step in steps.values())


@pytest.mark.parametrize("profile", ["rocky9", "rocky10"])
def test_a_trunk_in_keyfiles(tmp_path: Path, profile: str) -> None:
    steps = steps_of(tmp_path, TRUNK, profile)
    whole = {step.whole.path: step.whole.mode for step in steps.values() if step.whole}
    names = ("bond0", "p0", "p1", "bond0.20", "bond0.21")
    assert whole == {f"{KEYFILES}/{name}.nmconnection": "600" for name in names}
    port, vlan = words(steps["network:p0"].content), words(steps["network:v"].content)
    assert port == (
        f"[connection] id=p0 uuid={U['p0']} type=ethernet autoconnect=true master={U['bond0']} slave-type=bond "
        " [ethernet] mac-address=52:54:00:00:00:01 mtu=9000"
    ).split(" ")
    assert vlan == (
        f"[connection] id=bond0.20 uuid={U['v']} type=vlan interface-name=bond0.20 autoconnect=true "
        f" [ethernet] mtu=9000  [vlan] id=20 parent={U['bond0']}  [ipv4] method=manual"
        " address1=10.20.0.9/24 gateway=10.20.0.1 dns=10.20.0.2;  [ipv6] method=manual addr-gen-mode=eui64"
        " address1=2001:db8:20::9/64 gateway=2001:db8:20::1 dns=2001:db8:20::2;"
    ).split(" ")
    last = words(steps["network:w"].content)[-6:]
    assert last == ["[ipv4]", "method=auto", "never-default=true", "", "[ipv6]", "method=disabled"]


ROUTED = (
    "lan: {mac: '52:54:00:00:00:01', device: eth0, network: den-lan},"
    " v: {kind: vlan, parent: lan, network: v20, address: 10.20.0.9, address6: '2001:db8:20::9',"
    " routes: {10.50.0.0/16: {via: 10.20.0.7, metric: '50'}, '2001:db8:50::/48': {via: '2001:db8:20::7'}}}"
)


def test_routes_and_vlans_of_each_format(tmp_path: Path) -> None:
    for number, profile in enumerate(("centos5", "centos6", "rocky8")):
        steps = steps_of(tmp_path / str(number), ROUTED, profile)
        text = words(steps["network:v"].content)
        assert {"VLAN=yes", "PHYSDEV=eth0", "MTU=9000", "IPV6ADDR=2001:db8:20::9/64", "DEFROUTE=no"} < set(text)
        assert ("VLAN_ID=20" if profile == "rocky8" else "VID=20") in text
        assert ("NETWORKING_IPV6=yes" in text) == (profile != "rocky8")
        assert words(steps["network:v/route"].content) == ["10.50.0.0/16 via 10.20.0.7 metric 50"]
        assert words(steps["network:v/route6"].content) == ["2001:db8:50::/48 via 2001:db8:20::7"]
        assert steps["network-others"].args[:4] == ("ifcfg-eth0", "ifcfg-eth0.20", "route-eth0.20", "route6-eth0.20")
    text = words(steps_of(tmp_path / "k", ROUTED, "rocky9")["network:v"].content)
    assert "route1=10.50.0.0/16,10.20.0.7,50" in text and "route1=2001:db8:50::/48,2001:db8:20::7" in text


BRIDGE = (
    "p0: {mac: '52:54:00:00:00:01', device: eth0, network: den-lan, boot: true},"
    " br0: {kind: bridge, ports: [p0], network: den-lan, install: true%s}"
)


def test_a_bridge_of_each_format(tmp_path: Path) -> None:
    options = ", options: {hello-time: '1', ageing-time: '30', multicast-snooping: no}"
    old = words(steps_of(tmp_path / "a", BRIDGE % "", "centos5")["network:br0"].content)
    assert {"TYPE=Bridge", "STP=no", "DELAY=0", "BOOTPROTO=dhcp"} < set(old)
    scripts = words(steps_of(tmp_path / "b", BRIDGE % options, "centos6")["network:br0"].content)
    assert {"AGEING=30", 'BRIDGING_OPTS="hello_time=100 multicast_snooping=0"'} < set(scripts)
    new = words(steps_of(tmp_path / "c", BRIDGE % options, "rocky8")["network:br0"].content)
    assert 'BRIDGING_OPTS="ageing_time=30 hello_time=1 multicast_snooping=0"' in new and "DELAY=0" not in new
    steps = steps_of(tmp_path / "d", BRIDGE % options, "rocky9")
    keyfile = words(steps["network:br0"].content)
    assert {"stp=false", "hello-time=1", "multicast-snooping=false", "ageing-time=30"} < set(keyfile)
    assert {f"master={U['br0']}", "slave-type=bridge"} < set(words(steps["network:p0"].content))


def test_ethtool_and_bonds_that_watch_by_arp(tmp_path: Path) -> None:
    nics = (
        "p0: {mac: '52:54:00:00:00:01', device: eth0, ethtool: {autoneg: off, speed: '1000', wol: gu}},"
        " p1: {mac: '52:54:00:00:00:02', device: eth1}, bond0: {kind: bond, ports: [p1, p0], network: den-lan,"
        " address: 10.2.0.21, options: {arp_interval: '100', arp_ip_target: 10.2.0.1, primary: p1}}"
    )
    new = steps_of(tmp_path / "a", nics, "rocky9")
    settings = {"auto-negotiate=false", "speed=1000", "duplex=full", f"wake-on-lan={0x44}"}
    assert settings < set(words(new["network:p0"].content))
    bond = words(new["network:bond0"].content)
    assert "primary=eth1" in bond and not [line for line in bond if line.startswith("miimon")]
    old = words(steps_of(tmp_path / "b", nics, "rocky8")["network:p0"].content)
    assert 'ETHTOOL_OPTS="autoneg off speed 1000 wol gu duplex full"' in old
    plain = words(steps_of(tmp_path / "c", nics, "centos6")["network:p0"].content)
    assert 'ETHTOOL_OPTS="autoneg off speed 1000 wol gu"' in plain


def test_a_bmc_has_no_profile_and_old_scripts_want_vlans_by_number(tmp_path: Path) -> None:
    bmc = "bmc: {kind: bmc, mac: '52:54:00:00:00:09', network: den-lan, address: 10.2.0.99}"
    steps = steps_of(tmp_path / "a", f"lan: {{mac: '52:54:00:00:00:01', network: den-lan}}, {bmc}", "rocky9")
    assert set(steps) == {"network:lan", "network-others"}
    assert "52:54:00:00:00:09" not in map(str, steps["network-others"].args)
    named = ROUTED.replace("parent: lan,", "parent: lan, device: vlan20,")
    text = words(steps_of(tmp_path / "b", named, "centos5")["network:v"].content)
    assert {"DEVICE=vlan20", "PHYSDEV=eth0", "VLAN_NAME_TYPE=VLAN_PLUS_VID_NO_PAD"} < set(text)
    (problem,) = problems_with(tmp_path / "c", files(named.replace("vlan20", "san"), "centos6"))
    assert problem.code == "BF151"


def test_hosts_that_differ_in_their_own_values_have_one_shape(tmp_path: Path) -> None:
    """Or else every host of a fleet would be rendered and parsed by lint."""
    shapes = set()
    for number in (1, 2):
        nics = f"lan: {{mac: '52:54:00:00:00:0{number}', network: den-lan, address: 10.2.0.2{number}}}"
        shapes.add(plan_shape(generation_with(tmp_path / str(number), files(nics)).plan(WEB)))
    assert len(shapes) == 1
    nics = "lan: {mac: '52:54:00:00:00:01', network: den-lan, address: 10.2.0.21, mtu: 1400}"
    assert plan_shape(generation_with(tmp_path / "3", files(nics)).plan(WEB)) not in shapes


def test_a_nic_costs_little(tmp_path: Path) -> None:
    """Ten thousand hosts are planned in seconds: a tenth of a millisecond for each nic, of processor time."""
    nics = generation_with(tmp_path, files(TRUNK)).plan(WEB).nics
    best = 1.0
    for round in range(5):
        began = time.process_time()
        for number in range(100):
            plan_network_files(f"h{round}-{number}", nics, RELEASES["el9"], [])
        best = min(best, (time.process_time() - began) / 100 / len(nics))
    assert best < 0.0002, f"{best * 1e3:.3f} ms"
