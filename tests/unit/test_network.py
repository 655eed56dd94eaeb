"""The graph of nics: what installers are told by their kickstart and by their kernel's command line."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.generation import Generation
from bootforge.lint.shape import kickstart_complaint
from bootforge.releases import RELEASES
from tests.sites import WEB, base, generation_with, problems_with

NETWORKS = """networks:
  v20:
    subnet: 10.20.0.0/24
    gateway: 10.20.0.1
    vlan: 20
    mtu: 9000
    server: http://10.20.0.5
    subnet6: 2001:db8:20::/64
    gateway6: 2001:db8:20::1
    dns: [10.20.0.2, 2001:db8:20::2]
    ntp: [10.20.0.3]
  v21: {subnet: 10.21.0.0/24, vlan: 21}
"""
PORTS = "p0: {mac: '52:54:00:00:00:01'}, p1: {mac: '52:54:00:00:00:02'}"
ETHS = "p0: {mac: '52:54:00:00:00:01', device: eth0}, p1: {mac: '52:54:00:00:00:02', device: eth1}"
BOND = "bond0: {kind: bond, ports: [p1, p0], network: den-lan, address: 10.2.0.21}"
TRUNK = (
    "p0: {mac: '52:54:00:00:00:01', network: den-lan, boot: true}, p1: {mac: '52:54:00:00:00:02'},"
    " bond0: {kind: bond, ports: [p0, p1], options: {mode: 802.3ad, lacp_rate: fast}},"
    " v: {kind: vlan, parent: bond0, network: v20, address: 10.20.0.9, address6: '2001:db8:20::9', install: true},"
    " w: {kind: vlan, parent: bond0, network: v21}"
)
WAITS = "rd.net.timeout.carrier=60 rd.net.timeout.dhcp=60 inst.waitfornet=60"


def files(nics: str, profile: str = "rocky9") -> dict[str, str]:
    host = f"{WEB}:\n  profile: {profile}\n  install: {{url: http://m.example.com/t}}\n  nics: {{{nics}}}\n"
    site = base("site.yaml", ("networks:\n", NETWORKS))
    return {"site.yaml": site, "hosts/den.yaml": host, "roles/web.yaml": "packages: [httpd]\n"}


def network_lines(generation: Generation) -> list[str]:
    text = generation.artifact(WEB, "kickstart").text
    return [line for line in text.splitlines() if line.startswith("network ")]


def arguments(generation: Generation) -> str:
    """What the kernel is told about the network."""
    args = [f"{arg.name}={arg.value}" for arg in generation.plan(WEB).boot.args if arg.name != "inst.nosave"]
    start = next(at for at, arg in enumerate(args) if arg.startswith(("ip=", "ifname=", "bond=")))
    return " ".join(args[start:])


ADDRESS = (
    "--bootproto=static --ip=10.2.0.21 --netmask=255.255.240.0 --gateway=10.2.0.1 --nameserver=10.2.0.2 --onboot=yes"
)
LOADER = "ip=dhcp ksdevice=bootif BOOTIF=01-52-54-00-00-00-01"
BONDED = (
    "bond=bond0:{0},{1}:miimon=100,mode=active-backup ip=10.2.0.21::10.2.0.1:255.255.240.0:" + WEB + ":bond0:none"
    " bootdev=bond0 nameserver=10.2.0.2 rd.bootif=0 " + WAITS
)


@pytest.mark.parametrize(
    "profile,nics,line,args",
    [
        ("centos5", ETHS, f"--device=eth0 {ADDRESS} --noipv6", LOADER),
        ("centos6", ETHS, f"--device=bond0 {ADDRESS} --activate --noipv6 --bondslaves=eth0,eth1", LOADER),
        (
            "centos7",
            ETHS,
            f"--device=bond0 {ADDRESS} --activate --noipv6 --bondslaves=eth0,eth1",
            BONDED.format("eth0", "eth1"),
        ),
        (
            "rocky10",
            PORTS,
            f"--device=bond0 {ADDRESS} --activate --noipv6 --bondslaves=p0,p1",
            "ifname=p0:52:54:00:00:00:01 ifname=p1:52:54:00:00:00:02 " + BONDED.format("p0", "p1"),
        ),
    ],
)
def test_a_bond_in_every_dialect(tmp_path: Path, profile: str, nics: str, line: str, args: str) -> None:
    """EL5 installs over the port that boots; ports that the site does not name are named by MAC address."""
    generation = generation_with(tmp_path, files(f"{nics}, {BOND}", profile))
    options = " --bondopts=miimon=100,mode=active-backup" if "bond0" in line else ""
    assert network_lines(generation) == [f"network {line}{options} --hostname={WEB}"]
    assert arguments(generation) == args
    assert "dhcp-host=52:54:00:00:00:01,52:54:00:00:00:02,10.2.0.21," in generation.dnsmasq("full")
    named = [step.args for step in generation.plan(WEB).steps if step.fn == "nic_names"]
    assert [str(arg) for args in named for arg in args] == (
        ["52:54:00:00:00:01", "p0", "52:54:00:00:00:02", "p1"] if profile == "rocky10" else []
    )


def test_a_trunk_of_vlans_with_both_families(tmp_path: Path) -> None:
    generation = generation_with(tmp_path, files(TRUNK))
    (line,) = network_lines(generation)
    assert line == (
        "network --device=bond0 --bootproto=static --ip=10.20.0.9 --netmask=255.255.255.0 --gateway=10.20.0.1"
        " --nameserver=10.20.0.2,2001:db8:20::2 --mtu=9000 --onboot=yes --activate --ipv6=2001:db8:20::9/64"
        " --ipv6gateway=2001:db8:20::1 --bondslaves=p0,p1 --bondopts=lacp_rate=fast,miimon=100,mode=802.3ad"
        f" --vlanid=20 --interfacename=bond0.20 --hostname={WEB}"
    )
    plan = generation.plan(WEB)
    assert (plan.boot_nic.name, plan.install_nic.name, plan.server) == ("p0", "v", "http://10.20.0.5")
    assert arguments(generation).startswith(
        "ifname=p0:52:54:00:00:00:01 ifname=p1:52:54:00:00:00:02"
        " bond=bond0:p0,p1:lacp_rate=fast,miimon=100,mode=802.3ad:9000 vlan=bond0.20:bond0"
        f" ip=10.20.0.9::10.20.0.1:255.255.255.0:{WEB}:bond0.20:none:9000 bootdev=bond0.20"
    )
    assert f"dhcp-host=52:54:00:00:00:01,{WEB}" in generation.dnsmasq("full")


def test_a_bridge_where_the_installer_can_make_one(tmp_path: Path) -> None:
    nics = "p0: {mac: '52:54:00:00:00:01', device: eth0}, br0: {kind: bridge, ports: [p0], network: den-lan}"
    (made,) = network_lines(generation_with(tmp_path / "a", files(nics, "rocky8")))
    (flat,) = network_lines(generation_with(tmp_path / "b", files(nics, "centos6")))
    assert "--device=br0 --bootproto=dhcp" in made and "--bridgeslaves=eth0 --bridgeopts=stp=no" in made
    assert "--device=52:54:00:00:00:01 --bootproto=dhcp" in flat and "bridge" not in flat


def test_what_shares_a_device_with_another_line_is_left_to_the_bootstrap(tmp_path: Path) -> None:
    nics = (
        f"{PORTS}, bond0: {{kind: bond, ports: [p0, p1], network: den-lan, address: 10.2.0.21}},"
        " v: {kind: vlan, parent: bond0, vlan: 21}, br21: {kind: bridge, ports: [v], network: v21, address: none}"
    )
    (line,) = network_lines(generation_with(tmp_path / "a", files(nics)))
    assert "--device=bond0" in line and "--ip=10.2.0.21" in line
    nics = (
        "a: {mac: '52:54:00:00:00:01', network: den-lan}, v: {kind: vlan, parent: a, vlan: 21},"
        " br21: {kind: bridge, ports: [v], network: v21, address: none}"
    )
    lines = network_lines(generation_with(tmp_path / "b", files(nics)))
    assert [line.split()[1] for line in lines] == ["--device=52:54:00:00:00:01", "--device=a", "--device=br21"]


def test_settings_of_a_plain_nic(tmp_path: Path) -> None:
    nics = (
        "lan: {mac: '52:54:00:00:00:01', network: den-lan, default_route: false},"
        " san: {mac: '52:54:00:00:00:02', network: v20, boot: false, address: 10.20.0.8,"
        " ethtool: {autoneg: off, speed: '1000'}, iscsi: true, default_route: true,"
        " routes: {10.50.0.0/16: {via: 10.20.0.7, metric: '50'}}}"
    )
    generation = generation_with(tmp_path, files(nics))
    lan, san = network_lines(generation)
    assert "--nodefroute" in lan and "--gateway=10.20.0.1" in san
    assert "--mtu=9000 --ethtool='autoneg off speed 1000'" in san
    nic = generation.plan(WEB).nics[1]
    assert nic.iscsi and [(route.to, str(route.via), route.metric) for route in nic.routes] == [
        ("10.50.0.0/16", "10.20.0.7", 50)
    ]


def test_time_servers_of_the_network_unless_the_site_names_some(tmp_path: Path) -> None:
    text = files("lan: {mac: '52:54:00:00:00:01', network: v20}")
    assert "--ntp-server=10.2.0.5" in generation_with(tmp_path / "a", text).artifact(WEB, "kickstart").text
    text["site.yaml"] = text["site.yaml"].replace("  ntp: [10.2.0.5, 10.2.0.6]\n", "")
    assert "--ntp-server=10.20.0.3" in generation_with(tmp_path / "b", text).artifact(WEB, "kickstart").text


@pytest.mark.parametrize("profile", ["centos5", "centos6", "centos7", "rocky8", "rocky9", "rocky10", "fedora46"])
@pytest.mark.parametrize(
    "nics",
    [
        f"{ETHS}, {BOND}",
        f"{ETHS}, {BOND.replace('10.2.0.21', 'dhcp')}, v: {{kind: vlan, parent: bond0, network: v21}}",
        "a: {mac: '52:54:00:00:00:01', device: eth0, network: v20, address6: '2001:db8:20::9'}",
        "a: {mac: '52:54:00:00:00:01', device: eth0, network: v20, address: none, address6: auto}",
        "a: {mac: '52:54:00:00:00:01', device: eth0, network: den-lan},"
        " v: {kind: vlan, parent: a, network: v20, address6: dhcp}",
        "a: {mac: '52:54:00:00:00:01', device: eth0},"
        " br: {kind: bridge, ports: [a], network: den-lan, address: 10.2.0.9}",
    ],
    ids=["bond", "bond-vlan", "v6", "slaac", "vlan", "bridge"],
)
def test_every_kind_in_every_dialect_passes_its_parser(tmp_path: Path, profile: str, nics: str) -> None:
    generation = generation_with(tmp_path, files(nics, profile))
    release = RELEASES[generation.plan(WEB).release]
    assert kickstart_complaint(generation.artifact(WEB, "kickstart").text, release.handler) == ""
    assert len(network_lines(generation)) >= 1


def test_a_vlan_that_the_installer_cannot_tag(tmp_path: Path) -> None:
    nics = (
        "a: {mac: '52:54:00:00:00:01', device: eth0, network: den-lan},"
        " v: {kind: vlan, parent: a, network: v20, install: true}"
    )
    (problem,) = problems_with(tmp_path, files(nics, "centos5"))
    assert problem.code == "BF049" and "el5's installer cannot tag frames" in problem.message
