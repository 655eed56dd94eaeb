"""A MAC address is one value: what the site says of a nic is what DHCP, the kickstart, the boot arguments, the network
files, the rule of udev, the definitions for Xen and KVM and the iface of open-iscsi have of it, whatever the nics are
made of."""

from __future__ import annotations

import re
import shlex
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
import yaml
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bootforge import generation
from bootforge.generation import Generation, build_generation
from bootforge.plan.guests import DEFINED
from bootforge.plan.identity import additions, lock_text
from bootforge.render.engine import Engine
from bootforge.resolve import Resolver
from bootforge.site import files as site_files
from bootforge.site.load import load_site
from tests.sites import BASE, SAN
from tests.support import write_site

WHOLE = (Phase.explicit, Phase.reuse, Phase.generate)
"""Without shrinking: a whole site shrinks for minutes."""
NETBOOT = ("ipxe", "grub", "pxelinux")
PROFILES = ("centos5", "centos6", "centos7", "rocky8", "rocky9", "rocky10", "fedora46")
DISKS = {"xen": "xvda", "kvm": "vda"}
GUESTS = ("xen", "kvm")
FORMS = {"xen": ("xl", "xm", "libvirt-xen"), "kvm": ("libvirt-kvm",)}
PARENTS = {"xen": ("xen90.den.example.com", "/etc/xen/{}.cfg"), "kvm": ("xen91.den.example.com", DEFINED + "/{}.xml")}
"""The host that guests of a kind are on, and where it keeps their definitions."""
BRIDGES = {"den-lan": "xenbr0", "den-san": "xenbr1"}
MAC = re.compile(r"(?<![0-9a-f:-])(?:[0-9a-f]{2}[:-]){5}[0-9a-f]{2}(?![0-9a-f:-])", re.IGNORECASE)
ARRAYS = """
tag-den:
  portals: [10.9.8.10]
  device: {vendor: LIO-ORG, product: IBLOCK}
"""
PARENT = """
{name}:
  profile: {profile}
  nics:
    p0: {{mac: "06:00:00:00:{number:02}:00", boot: true}}
    p1: {{mac: "06:00:00:00:{number:02}:01"}}
    lan: {{kind: bridge, ports: [p0], device: xenbr0, address: 10.2.2.{number}}}
    san: {{kind: bridge, ports: [p1], device: xenbr1, network: den-san, address: 10.9.2.{number}}}
"""
TAGGED = "  den-tag: {site: den, subnet: 10.9.8.0/24, vlan: 40}\n  den-fab-a:"


@dataclass
class Wanted:
    """A host as it is written: the lines of its nics, which MAC address each physical nic has (None: the lock gives
    it), the device that it is called by where it has one, the nics that iSCSI runs over, and what they are made of."""

    name: str
    profile: str
    virt: str
    nics: dict[str, str] = field(default_factory=dict)
    macs: dict[str, str | None] = field(default_factory=dict)
    devices: dict[str, str] = field(default_factory=dict)
    boot: str = "lan"
    iscsi: dict[str, tuple[str, ...]] = field(default_factory=dict)
    rest: str = ""


LAN = ("physical", "bond", "bridge", "bridge of a bond")
STORAGE = ("none", "two", "fabrics", "bond", "vlan", "single")
shapes = st.lists(
    st.tuples(
        st.sampled_from(PROFILES),
        st.sampled_from(LAN),
        st.sampled_from(STORAGE),
        st.sampled_from(("metal", "metal", *GUESTS)),
    ),
    min_size=1,
    max_size=3,
)
addresses = st.lists(st.binary(min_size=5, max_size=5), min_size=15, max_size=15, unique=True)
styles = st.lists(st.sampled_from(("colons", "hyphens", "dots", "upper")), min_size=15, max_size=15)


def written(mac: str, style: str) -> str:
    match style:
        case "hyphens":
            return mac.replace(":", "-")
        case "dots":
            digits = mac.replace(":", "")
            return ".".join(digits[at : at + 4] for at in (0, 4, 8))
        case "upper":
            return mac.upper()
    return mac


def host_of(number: int, profile: str, lan: str, storage: str, virt: str, macs: Iterator[tuple[str, str]]) -> Wanted:
    """The host's lines."""
    metal = virt == "metal"
    if not metal:
        lan, storage = "physical", {"fabrics": "none", "bond": "none", "vlan": "none"}.get(storage, storage)
    host = Wanted(f"{'web' if metal else 'app'}{number:02}.prod.den.example.com", profile, virt)

    def physical(name: str, more: str) -> None:
        host.macs[name] = None
        said = more
        if metal:
            mac, style = next(macs)
            host.macs[name] = mac
            said = f'mac: "{written(mac, style)}", {more}'
        if profile in ("centos5", "centos6"):
            host.devices[name] = f"eth{len(host.devices)}"
            said += f", device: {host.devices[name]}"
        host.nics[name] = said

    on_lan = f"network: den-lan, address: 10.2.1.{number}"
    if lan == "physical":
        physical("lan", on_lan)
    elif lan == "bridge":
        host.boot = "lan0"
        physical("lan0", "boot: true")
        host.nics["lan"] = f"kind: bridge, ports: [lan0], {on_lan}"
    else:
        host.boot = "lan0"
        physical("lan0", "boot: true")
        physical("lan1", "iscsi: false")
        bond = "kind: bond, ports: [lan0, lan1]"
        if lan == "bond":
            host.nics["lan"] = f"{bond}, {on_lan}"
        else:
            host.nics["team"] = bond
            host.nics["lan"] = f"kind: bridge, ports: [team], {on_lan}"
    wwid = f"wwid: 36090a01820494c5800000000000000{number:02}"
    array, policy = "eql-den", "multipath"
    match storage:
        case "two":
            for nic, place in (("san0", 1), ("san1", 2)):
                physical(nic, f"network: den-san, address: 10.9.{place}.{number}, iscsi: true")
                host.iscsi[nic] = (nic,)
        case "fabrics":
            array = "two-den, pool: slow"
            for nic, place in (("a", 4), ("b", 5)):
                physical(nic, f"network: den-fab-{nic}, address: 10.9.{place}.{number}, iscsi: true")
                host.iscsi[nic] = (nic,)
        case "bond":
            policy = "bond"
            physical("s0", "iscsi: false")
            physical("s1", "iscsi: false")
            host.nics["san"] = f"kind: bond, ports: [s0, s1], network: den-san, address: 10.9.1.{number}, iscsi: true"
            host.iscsi["san"] = ("s0", "s1")
        case "vlan":
            array, policy = "tag-den", "single"
            physical("s0", "iscsi: false")
            host.nics["san"] = f"kind: vlan, parent: s0, network: den-tag, address: 10.9.8.{number}, iscsi: true"
            host.iscsi["san"] = ("s0",)
        case "single":
            policy = "single"
            physical("san", f"network: den-san, address: 10.9.1.{number}, iscsi: true")
            host.iscsi["san"] = ("san",)
    if storage != "none":
        host.rest += f"  path_policy: {policy}\n  volumes: {{data: {{array: {array}, {wwid}}}}}\n"
    if not metal:
        disk = DISKS[virt]
        host.rest += f"  disks: {{system: {{path: /dev/{disk}}}}}\n"
        host.rest += f"  on: {PARENTS[virt][0]}\n"
        host.rest += f"  vm: {{disks: {{{disk}: {{backing: /dev/vg0/app{number:02}}}}}}}\n"
    return host


def text_of(host: Wanted) -> str:
    nics = "".join(f"    {name}: {{{said}}}\n" for name, said in host.nics.items())
    return f"{host.name}:\n  profile: {host.profile}\n  virt: {host.virt}\n  nics:\n{nics}{host.rest}"


@contextmanager
def site_of(hosts: list[Wanted]) -> Iterator[Path]:
    """A site of these hosts, locked; the MAC addresses that the lock gave are filled in."""
    root = Path(tempfile.mkdtemp(prefix="bf-mac-"))
    try:
        parts = {file: BASE / file for file in ("rules.yaml", "roles/web.yaml", "roles/app.yaml", "keys/ops.pub")}
        parts |= {file: SAN / file for file in ("site.yaml", "arrays.yaml", "roles/xen.yaml")}
        texts = {file: path.read_text() for file, path in parts.items()}
        texts["site.yaml"] = texts["site.yaml"].replace("  den-fab-a:", TAGGED)
        texts["arrays.yaml"] += ARRAYS
        texts["rules.yaml"] = texts["rules.yaml"].replace("    virt: xen\n", "    layout: lvm\n")
        profiles = {"xen": "centos7", "kvm": "rocky9"}
        parents = [
            PARENT.format(name=PARENTS[virt][0], profile=profiles[virt], number=number)
            for number, virt in enumerate(GUESTS, 90)
        ]
        write_site(root, {**texts, "hosts/all.yaml": "".join([*map(text_of, hosts), *parents])})
        site = load_site(root)
        resolver = Resolver(site)
        resolved = {name: resolver.resolve(name) for name in site.hosts}
        write_site(root, {"lock.yaml": lock_text(site, additions(site, resolved, resolved))})
        locked = yaml.safe_load((root / "lock.yaml").read_text())
        for host in hosts:
            for nic, mac in host.macs.items():
                host.macs[nic] = mac or locked[host.name]["nics"][nic]["mac"]
        yield root
    finally:
        shutil.rmtree(root)


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    engine = Engine({})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site_files, "clean_commit", lambda root: "")
        patch.setattr(generation, "Engine", lambda files: engine)
        yield


@settings(max_examples=60, deadline=None, phases=WHOLE)
@given(shapes=shapes, octets=addresses, styles=styles)
def test_a_mac_address_is_one_value(
    shapes: list[tuple[str, str, str, str]], octets: list[bytes], styles: list[str]
) -> None:
    macs = iter(
        [(":".join(f"{byte:02x}" for byte in (2, *five)), style) for five, style in zip(octets, styles, strict=True)]
    )
    hosts = [host_of(number, *shape, macs) for number, shape in enumerate(shapes, 1)]
    with site_of(hosts) as root:
        made = build_generation(root)
        for host in hosts:
            assert list(wrong(made, host)) == []


def wrong(made: Generation, host: Wanted) -> Iterator[str]:
    """What a host's artifacts say otherwise than its lines."""
    macs = {name: mac.lower() for name, mac in host.macs.items() if mac}
    devices = {host.devices.get(name, name): mac for name, mac in macs.items()}
    artifacts = {name: artifact.text for name, artifact in made.artifacts(host.name).items()}
    for name, text in artifacts.items():
        for mac in MAC.findall(text):
            if mac.lower().replace("-", ":") not in {*macs.values(), *("01:" + one for one in macs.values())}:
                yield f"{name} has {mac}, which is nobody's"
    yield from _kickstart(artifacts["kickstart"], host, macs)
    yield from _bootstrap(artifacts["bootstrap"], macs, devices)
    for name in NETBOOT:
        yield from _arguments(name, artifacts.get(name, ""), host, macs, devices)
    definitions = {name: artifacts[name] for name in artifacts.keys() - {"kickstart", "bootstrap", *NETBOOT}}
    if host.virt != "metal":
        parent, file = PARENTS[host.virt]
        definitions |= _kept(made.artifacts(parent)["bootstrap"].text, file.format(host.name))
    yield from _definitions(definitions, host, macs)
    yield from _reservation(made.dnsmasq("full"), host, macs)
    yield from _ifaces(artifacts["bootstrap"], host, macs)


def _kickstart(text: str, host: Wanted, macs: Mapping[str, str]) -> Iterator[str]:
    """A line of a physical nic has its address, and its MAC address or the device that is called by it."""
    lines = [line for line in text.splitlines() if line.startswith("network ")]
    if not lines:
        yield "kickstart: no network"
    for name, said in host.nics.items():
        address = re.search(r"address: (\S+?)(,|$)", said)
        if address is None or name not in macs:
            continue
        called = [re.findall(r"--device=(\S+)", line) for line in lines if f"--ip={address[1]} " in line]
        if called not in ([[macs[name]]], [[host.devices.get(name)]]):
            yield f"kickstart: {name} is {called}"


def _bootstrap(text: str, macs: Mapping[str, str], devices: Mapping[str, str]) -> Iterator[str]:
    """The rule of udev has pairs of MAC address and name; a network file has a nic's name, and its MAC address."""
    named = re.search(r"^ *bf_nic_names (.+)$", text, re.MULTILINE)
    words = named[1].split() if named else []
    for mac, device in zip(words[::2], words[1::2], strict=True):
        if devices.get(device) != mac:
            yield f"nic-names: {device} is {mac}"
    seen = set()
    for kind, file, body in re.findall(
        r"(ifcfg-|system-connections/)([\w.-]+?)(?:\.nmconnection)? \d+ root:root <<'BF_\w+'\n(.*?)\nBF_",
        text,
        re.DOTALL,
    ):
        for mac in re.findall(r"^(?:HWADDR|mac-address)=(\S+)$", body, re.MULTILINE):
            seen.add(mac.lower())
            if devices.get(file) != mac.lower():
                yield f"{kind}{file} has {mac}"
    if seen != set(macs.values()):
        yield f"network files have {sorted(seen)}"


def _kept(text: str, file: str) -> Iterator[tuple[str, str]]:
    """The definition that a host of guests writes, if it does."""
    if found := re.search(rf"{re.escape(file)} \d+ root:root <<'(BF_\w+)'\n(.*?)^\1$", text, re.DOTALL | re.MULTILINE):
        yield "kept", found[2]


def _definitions(texts: Mapping[str, str], host: Wanted, macs: Mapping[str, str]) -> Iterator[str]:
    """Every form there is for the guest, each for the install and ever after, and what its host keeps: all of them plug
    the same nics into the bridges of their networks."""
    forms = {f"{form}{phase}" for form in FORMS.get(host.virt, ()) for phase in ("", "-install")}
    if texts.keys() != forms | ({"kept"} if forms else set()):
        yield f"definitions: {sorted(texts)}"
    bridges = {name: BRIDGES[re.findall(r"network: ([\w-]+)", said)[0]] for name, said in host.nics.items() if forms}
    planned = [(macs[name], bridges[name]) for name in host.nics if forms]
    for name, text in texts.items():
        if text.startswith("<"):
            nics = [
                (_of(nic, "mac", "address"), _of(nic, "source", "bridge"))
                for nic in ET.fromstring(text).iter("interface")
            ]
        else:
            nics = re.findall(r"mac=([0-9a-f:]+),bridge=(\w+)", text)
        if sorted(nics) != sorted(planned):
            yield f"{name} has the nics {nics}"


def _of(node: ET.Element, tag: str, attribute: str) -> str | None:
    found = node.find(tag)
    return None if found is None else found.get(attribute)


def _arguments(
    name: str, text: str, host: Wanted, macs: Mapping[str, str], devices: Mapping[str, str]
) -> Iterator[str]:
    for device, mac in re.findall(r"\bifname=([^:\s]+):((?:[0-9a-f]{2}:){5}[0-9a-f]{2})", text):
        if devices.get(device) != mac:
            yield f"{name}: ifname={device}:{mac}"
    for mac in re.findall(r"\bBOOTIF=01-([0-9a-f-]+)", text):
        if mac.replace("-", ":") != macs[host.boot]:
            yield f"{name}: BOOTIF is {mac}"


def _reservation(text: str, host: Wanted, macs: Mapping[str, str]) -> Iterator[str]:
    """Of the address that the host installs with: for all MAC addresses that may ask."""
    below = {"lan": ["lan"], "lan0": [name for name in ("lan0", "lan1") if name in macs]}[host.boot]
    lines = [line for line in text.splitlines() if line.startswith("dhcp-host=") and f",{host.name}" in line]
    found = [sorted(MAC.findall(line)) for line in lines]
    if found != [sorted(macs[name] for name in below)]:
        yield f"dhcp: {lines}"


def _ifaces(text: str, host: Wanted, macs: Mapping[str, str]) -> Iterator[str]:
    """The records that the bootstrap writes: by MAC address if and only if the nic has one of its own; else by the
    device that has those of its ports."""
    called = re.search(r"^ *bf_iscsi_ifaces (.+)$", text, re.MULTILINE)
    words = shlex.split(called[1]) if called else []
    records = {words[at]: (words[at + 1], words[at + 2]) for at in range(0, len(words), 3)}
    if records.keys() != host.iscsi.keys():
        yield f"ifaces: {sorted(records)}"
        return
    for name, below in host.iscsi.items():
        key, value = records[name]
        if below == (name,) and (key, value) != ("iface.hwaddress", macs[name]):
            yield f"iface {name} is by {key} {value}"
        if below != (name,) and (key != "iface.net_ifacename" or MAC.search(value)):
            yield f"iface {name} is by {key} {value}, and its ports have the MAC address"


def test_a_planted_value_is_found() -> None:
    """Each artifact with another MAC address in it, or with those of two nics exchanged, is found."""
    macs = iter([(f"02:00:00:00:00:{number:02x}", "colons") for number in range(15)])
    hosts = [
        host_of(1, "rocky8", "bond", "two", "metal", macs),
        host_of(2, "rocky10", "physical", "two", "metal", macs),
        host_of(3, "centos6", "physical", "single", "xen", macs),
        host_of(4, "rocky9", "physical", "two", "kvm", macs),
    ]
    with site_of(hosts) as root:
        made = build_generation(root)
        for host in hosts:
            known = [mac for mac in host.macs.values() if mac]
            parents = [PARENTS[host.virt][0]] if host.virt in PARENTS else []
            for owner in (host.name, *parents):
                right = made.artifacts(owner)
                planted = 0
                for name, artifact in right.items():
                    for mac in sorted({mac for mac in known if mac in artifact.text}):
                        planted += 1
                        other = next((one for one in known if one != mac), "02:ff:ff:ff:ff:ff")
                        wrongly = replace(artifact, text=artifact.text.replace(mac, other))
                        made._rendered[owner] = {**right, name: wrongly}
                        assert list(wrong(made, host)), f"{name} of {owner}: {other} for {mac}"
                made._rendered[owner] = right
                assert planted >= len(known)
            assert not list(wrong(made, host))
            _plant_in_a_record(made, host)


def _plant_in_a_record(made: Generation, host: Wanted) -> None:
    """Nothing else of the bootstrap is wrong."""
    right = made.artifacts(host.name)
    script = right["bootstrap"]
    [line] = re.findall(r"^ *bf_iscsi_ifaces .+$", script.text, re.MULTILINE)
    other = line.replace(MAC.findall(line)[-1], str(host.macs["lan" if "lan" in host.macs else "lan0"]))
    made._rendered[host.name] = {**right, "bootstrap": replace(script, text=script.text.replace(line, other))}
    assert [one for one in wrong(made, host) if one.startswith("iface ")]
    made._rendered[host.name] = right
