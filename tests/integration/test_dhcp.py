"""The DHCP configuration in the real dnsmasq, Kea and dhcpd, asked by real clients, in network namespaces."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.generation import Generation, build_generation
from tests.integration.wire import PACKAGES, Wire, check, ip, make_wire
from tests.support import SMALL, need, verb, write_site

SERVER = "http://10.2.0.5"
SCRIPT = "tftp://10.2.0.5/http/10.2.0.5/boot.ipxe"
PLANNED = {
    "00:14:4f:12:34:50": ("10.2.0.21", "web01"),
    "00:14:4f:12:34:60": ("10.2.0.31", "db01"),
    "00:16:3e:12:34:70": ("10.2.0.41", "app01"),
}
SHIM, LPXE, PORTS, STRANGER = "00:14:4f:12:34:51", "00:14:4f:12:34:52", "00:14:4f:12:34:5", "52:54:00:ab:cd:ef"
MORE = f"""
web02.prod.den.example.com:
  nics: {{lan: {{mac: {SHIM}, address: 10.2.0.22}}}}
  machine: {{loader: shim}}

web03.prod.den.example.com:
  nics: {{lan: {{mac: {LPXE}, address: 10.2.0.23}}}}
  machine: {{loader: pxelinux}}

db02.prod.den.example.com:
  nics:
    lan: {{kind: bond, ports: [p1, p2], address: 10.2.0.32}}
    p1: {{mac: "{PORTS}3", boot: true}}
    p2: {{mac: "{PORTS}4"}}
"""
FIRMWARE = {"bios": (0, "PXEClient:Arch:00000:UNDI:002001"), "x64": (7, "PXEClient:Arch:00007:UNDI:003016")}
FIRMWARE |= {"x64-old": (9, "PXEClient:Arch:00009:UNDI:003016"), "arm64": (11, "PXEClient:Arch:00011:UNDI:003000")}
FIRMWARE |= {"x64-http": (16, "HTTPClient:Arch:00016:UNDI:003001"), "arm64-http": (19, "HTTPClient:Arch:00019")}
FILES = {
    "bios": "undionly.kpxe",
    "x64": "snponly.efi",
    "x64-old": "snponly.efi",
    "arm64": "snponly-arm64.efi",
    "x64-http": f"{SERVER}/loaders/snponly.efi",
    "arm64-http": f"{SERVER}/loaders/snponly-arm64.efi",
}
OWN = {
    SHIM: FILES
    | {
        "x64": "m/00-14-4f-12-34-51/shimx64.efi",
        "x64-old": "m/00-14-4f-12-34-51/shimx64.efi",
        "arm64": "m/00-14-4f-12-34-51/shimaa64.efi",
        "x64-http": f"{SERVER}/m/00-14-4f-12-34-51/shimx64.efi",
        "arm64-http": f"{SERVER}/m/00-14-4f-12-34-51/shimaa64.efi",
    },
    LPXE: FILES | {"bios": "m/00-14-4f-12-34-52/lpxelinux.0"},
}
IPXE = ["-x", "0xaf:010101"]


def as_firmware(kind: str) -> list[str]:
    number, vendor = FIRMWARE[kind]
    return ["-x", f"0x5d:{number:04x}", "-V", vendor]


def configuration(generation: Generation, kind: str) -> str:
    return {"dnsmasq": lambda: generation.dnsmasq("full"), "kea": generation.kea, "isc": generation.isc}[kind]()


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    """The small site with hosts that boot what others do not, and one on a bond."""
    site = shutil.copytree(SMALL, tmp_path_factory.mktemp("dhcp") / "site")
    return build_generation(write_site(site, {"hosts/more.yaml": MORE}))


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    with make_wire(tmp_path_factory.mktemp("wire")) as wire:
        yield wire


@pytest.fixture(scope="module", params=["dnsmasq", "kea", "isc"])
def served(request: pytest.FixtureRequest, wire: Wire, generation: Generation) -> Iterator[Wire]:
    """The wire with one of the three at its end."""
    need(PACKAGES[request.param])
    with wire.serving(request.param, configuration(generation, request.param)):
        yield wire


@pytest.mark.parametrize("kind", ["dnsmasq", "kea", "isc"])
def test_the_program_accepts_the_configuration(generation: Generation, kind: str, tmp_path: Path) -> None:
    status, said = check(kind, configuration(generation, kind), tmp_path)
    assert (status, re.findall(r"(?im)^.*\b(?:warn|error).*$", said)) == (0, []), said


def test_dnsmasq_accepts_the_configuration_of_a_proxy(generation: Generation, tmp_path: Path) -> None:
    status, said = check("dnsmasq", generation.dnsmasq("proxy"), tmp_path)
    assert (status, said.strip()) == (0, "dnsmasq: syntax check OK.")


@pytest.mark.parametrize("kind", [*FIRMWARE, "ipxe"])
def test_every_planned_nic_gets_its_address_and_boot_file(served: Wire, kind: str) -> None:
    options, file = ([*as_firmware("x64"), *IPXE], SCRIPT) if kind == "ipxe" else (as_firmware(kind), "")
    for mac, (address, name) in PLANNED.items():
        answer = served.lease(mac, *options)
        assert answer and (answer["ip"], answer["hostname"]) == (address, name)
        assert (answer["boot_file"], answer["router"], answer["dns"]) == (file or FILES[kind], "10.2.0.1", "10.2.0.2")
        assert "http" in kind or answer["siaddr"] == "10.2.0.5"
        assert answer.get("vendor") == ("HTTPClient" if "http" in kind else None)


@pytest.mark.parametrize("mac,address", [(SHIM, "10.2.0.22"), (LPXE, "10.2.0.23")], ids=["shim", "pxelinux"])
def test_a_host_with_a_boot_program_of_its_own_is_sent_to_it(served: Wire, mac: str, address: str) -> None:
    for kind in FIRMWARE:
        answer = served.lease(mac, *as_firmware(kind))
        assert answer and (answer["ip"], answer["boot_file"]) == (address, OWN[mac][kind]), kind
    for (
        kind
    ) in FIRMWARE:  # an iPXE that is the firmware; one that is no program of the host's own goes on to its script
        answer = served.lease(mac, *as_firmware(kind), *IPXE)
        assert answer and answer["boot_file"] == (OWN[mac][kind] if OWN[mac][kind] != FILES[kind] else SCRIPT), kind


@pytest.mark.parametrize("kind", FIRMWARE)
def test_the_boot_file_is_in_its_field_whatever_is_asked_for(served: Wire, kind: str) -> None:
    """shim looks for GRUB beside the file that the field names (shim, netboot.c); option 67 alone would not do."""
    (offer,) = served.offers(SHIM, *FIRMWARE[kind], wanted=1)
    assert offer["field"] == OWN[SHIM][kind]


def test_an_unknown_machine_gets_an_address_of_the_range(served: Wire) -> None:
    for kind, file in FILES.items():
        answer = served.lease(STRANGER, *as_firmware(kind))
        assert answer and answer["boot_file"] == file
        assert answer["ip"].startswith("10.2.15.1") and 100 <= int(answer["ip"].rpartition(".")[2]) <= 199


def test_a_bond_asks_by_its_first_port(served: Wire) -> None:
    answer = served.lease(f"{PORTS}3", *as_firmware("x64"))
    assert answer and answer["ip"] == "10.2.0.32"


@pytest.mark.parametrize("kind", ["dnsmasq", "isc", "kea"])
def test_a_bond_asks_by_its_other_port_while_the_first_has_the_lease(
    tmp_path: Path, generation: Generation, kind: str
) -> None:
    """Kea gives an address to one client at a time: the other port gets another one until the lease is over."""
    need(PACKAGES[kind])
    with make_wire(tmp_path) as wire, wire.serving(kind, configuration(generation, kind)):
        for port in ("3", "4"):
            answer = wire.lease(f"{PORTS}{port}", *as_firmware("x64"))
            assert answer and answer["boot_file"] == "snponly.efi"
            assert (answer["ip"] == "10.2.0.32") is (kind != "kea" or port == "3")


def test_dnsmasq_has_more_than_a_thousand_leases(tmp_path: Path, generation: Generation) -> None:
    need("dnsmasq")
    leases = tmp_path / "full"
    lines = (
        f"{int(time.time()) + 9999} 02:00:00:00:{n >> 8:02x}:{n & 255:02x} 10.2.{n >> 8}.{n & 255} * *"
        for n in range(256, 1512)
    )
    leases.write_text("".join(f"{line}\n" for line in lines))
    with make_wire(tmp_path) as wire, wire.serving("dnsmasq", generation.dnsmasq("full"), leases=leases):
        answer = wire.lease(SHIM, *as_firmware("x64"))
        assert answer and answer["ip"] == "10.2.0.22"


def test_an_installer_that_calls_itself_otherwise_keeps_the_address_of_its_firmware(served: Wire) -> None:
    """By client identifier (option 61), as systemd and NetworkManager send one that is made of a DUID."""
    stranger = "52:54:00:ab:cd:77"
    first = served.lease(stranger, *as_firmware("x64"))
    again = served.lease(stranger, "-C", "-x", "0x3d:ff56504d9800020000ab11f0e1d2c3b4a59687")
    assert first and again and first["ip"] == again["ip"]


# Beside another server


def foreign(wire: Wire) -> str:
    """A namespace of its own for the server that was there before, 10.2.0.2, on the same cable: our end is a bridge."""
    other = f"{wire.server}-f"
    ip("netns", "add", other)
    for command in (
        "link add br0 type bridge stp_state 0 forward_delay 0",
        f"link add f0 type veth peer name e0 netns {other}",
        "addr flush dev s0",
        "link set s0 master br0",
        "link set f0 master br0 up",
        "addr add 10.2.0.5/20 dev br0",
        "link set br0 up",
    ):
        ip(*command.split(), netns=wire.server)
    for command in ("addr add 10.2.0.2/20 dev e0", "link set e0 up", "link set lo up"):
        ip(*command.split(), netns=other)
    end = time.monotonic() + 20
    while "LOWER_UP" not in subprocess.check_output(["ip", "-n", wire.server, "link", "show", "br0"], text=True):
        assert time.monotonic() < end, "the bridge does not come up"
        time.sleep(0.1)
    return other


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, generation: Generation) -> Iterator[Wire]:
    """Our proxy, and dhcpd of somebody else who knows nothing of booting."""
    need("dhcpd", "dnsmasq")
    theirs = "authoritative;\nsubnet 10.2.0.0 netmask 255.255.240.0 { range 10.2.9.1 10.2.9.99; }\n"
    with make_wire(tmp_path_factory.mktemp("beside")) as wire:
        other = foreign(wire)
        try:
            with (
                wire.serving("isc", theirs, other, "e0"),
                wire.serving("dnsmasq", generation.dnsmasq("proxy")),
            ):
                yield wire
        finally:
            subprocess.run(["ip", "netns", "del", other], check=True)


@pytest.mark.parametrize("mac", [next(iter(PLANNED)), SHIM, LPXE, STRANGER])
@pytest.mark.parametrize("kind", FIRMWARE)
def test_a_proxy_adds_the_boot_file_and_no_address(beside: Wire, mac: str, kind: str) -> None:
    """By port 4011 for PXE, in the offer for HTTP boot."""
    file = OWN.get(mac, FILES)[kind]
    ip("addr", "replace", "10.2.9.50/20", "dev", "c0", netns=beside.client)  # for port 4011
    try:
        offers = beside.offers(mac, *FIRMWARE[kind])
        assert {str(offer["from"]) for offer in offers} == {"10.2.0.2", "10.2.0.5"}
        (ours,) = [offer for offer in offers if offer["from"] == "10.2.0.5"]
        assert (ours["ip"], ours["class"]) == ("0.0.0.0", FIRMWARE[kind][1][:10].rstrip(":"))
        if "http" not in kind:
            (ours,) = beside.offers(mac, *FIRMWARE[kind], "10.2.0.5")
            assert kind == "bios" or ours["siaddr"] == "10.2.0.5"
        assert ours["file"] == file
    finally:
        ip("addr", "flush", "dev", "c0", netns=beside.client)


def test_what_boots_without_pxe_gets_nothing_from_a_proxy(beside: Wire) -> None:
    assert [offer["from"] for offer in beside.offers(STRANGER, "-", "udhcp 1.35.0", wanted=0)] == ["10.2.0.2"]


def test_a_proxy_sends_ipxe_to_its_script(beside: Wire) -> None:
    for mac, kind in ((STRANGER, "bios"), (STRANGER, "x64"), (SHIM, "bios"), (LPXE, "x64")):
        number, vendor = FIRMWARE[kind]
        offers = beside.offers(mac, f"{number}+ipxe", vendor)
        (ours,) = [offer for offer in offers if offer["from"] == "10.2.0.5"]
        assert (ours["ip"], ours["siaddr"], ours["file"]) == ("0.0.0.0", "10.2.0.5", SCRIPT)
        assert any(str(offer["ip"]).startswith("10.2.9.") for offer in offers)


def test_a_second_server_that_gives_addresses_too_takes_no_planned_one_away(
    tmp_path: Path, generation: Generation
) -> None:
    """Two servers of one site, of two kinds: whichever a machine takes, it gets what was planned."""
    need("dhcpd", "kea-dhcp4")
    with make_wire(tmp_path) as one:
        other = foreign(one)
        try:
            with one.serving("isc", generation.isc(), other, "e0"), one.serving("kea", generation.kea()):
                offers = one.offers(SHIM, *FIRMWARE["x64"])
                assert {str(offer["from"]) for offer in offers} == {"10.2.0.2", "10.2.0.5"}
                assert {(offer["ip"], offer["file"]) for offer in offers} == {("10.2.0.22", OWN[SHIM]["x64"])}
                for mac, (address, _) in PLANNED.items():
                    answer = one.lease(mac, *as_firmware("x64"))
                    assert answer and (answer["ip"], answer["boot_file"]) == (address, "snponly.efi")
        finally:
            subprocess.run(["ip", "netns", "del", other], check=True)


def test_packets_that_are_lost_cost_time_and_nothing_else(tmp_path: Path, generation: Generation) -> None:
    """A third of the packets of each direction is dropped; every machine is answered all the same."""
    need("dnsmasq", "ethtool")
    with make_wire(tmp_path, lost=3) as wire, wire.serving("dnsmasq", generation.dnsmasq("full")):
        for mac, (address, _) in PLANNED.items():
            answer = wire.lease(mac, *as_firmware("x64"), tries=60)
            assert answer and (answer["ip"], answer["boot_file"]) == (address, "snponly.efi")
    dropped = re.fullmatch(r"carried (\d+), dropped (\d+)\n", wire.lost.read_text())
    assert dropped and int(dropped[1]) > int(dropped[2]) > 3


# The verb


def test_the_verb_prints_what_the_generation_holds(generation: Generation) -> None:
    site = str(SMALL)
    small = build_generation(SMALL)
    for kind in ("dnsmasq", "kea", "isc"):
        done = verb("dhcp", kind, "--site", site)
        assert (done.status, done.out, done.err) == (0, configuration(small, kind), "")


@pytest.mark.parametrize("kind", ["kea", "isc"])
def test_a_proxy_is_dnsmasq_alone(kind: str) -> None:
    done = verb("dhcp", kind, "--mode", "proxy", "--site", str(SMALL))
    assert (done.status, done.out) == (2, "")
    assert f"{kind} cannot answer beside another DHCP server" in done.err and "docs/boot.md" in done.err
