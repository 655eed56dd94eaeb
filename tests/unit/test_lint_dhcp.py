"""What DHCP servers let through is found in the text that they would be given: each fault is planted and seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bootforge.generation import Generation, build_generation
from bootforge.lint.dhcp import complaints
from tests.support import EXAMPLE, SMALL, verb, write_site

BOND = """
db02.prod.den.example.com:
  nics:
    lan: {kind: bond, ports: [p1, p2], address: 10.2.0.32}
    p1: {mac: "00:14:4f:12:34:53", boot: true}
    p2: {mac: "00:14:4f:12:34:54"}
  machine: {loader: shim}
"""
KINDS = ("dnsmasq", "isc", "kea")
FAULTS: dict[str, tuple[str, dict[str, tuple[str, str]]]] = {
    "one address for two": (
        "10.2.0.21 is given to another machine already",
        dict.fromkeys(KINDS, ("10.2.0.31", "10.2.0.21")),
    ),
    "one MAC address for two": (
        "00:14:4f:12:34:50 has a reservation already",
        {
            "dnsmasq": ("host=00:14:4f:12:34:60", "host=00:14:4f:12:34:50"),
            "isc": ("ethernet 00:14:4f:12:34:60", "ethernet 00:14:4f:12:34:50"),
            "kea": ("00:14:4f:12:34:60", "00:14:4f:12:34:50"),
        },
    ),
    "five octets": (
        "00:14:4f:12:34 is not a MAC address of six octets",
        {
            "dnsmasq": ("host=00:14:4f:12:34:60", "host=00:14:4f:12:34"),
            "isc": ("ethernet 00:14:4f:12:34:60", "ethernet 00:14:4f:12:34"),
            "kea": ("00:14:4f:12:34:60", "00:14:4f:12:34"),
        },
    ),
    "no address": ("10.2.0.300 is not an IPv4 address", dict.fromkeys(KINDS, ("10.2.0.31", "10.2.0.300"))),
    "outside": ("10.9.0.31 is in no subnet that is served", dict.fromkeys(KINDS, ("10.2.0.31", "10.9.0.31"))),
    "in the range": ("10.2.15.131 is in a range", dict.fromkeys(KINDS, ("10.2.0.31", "10.2.15.131"))),
    "the gateway's": ("10.2.0.1 is the router's", dict.fromkeys(KINDS, ("10.2.0.31", "10.2.0.1"))),
    "broadcast": ("or its broadcast address", dict.fromkeys(KINDS, ("10.2.0.31", "10.2.15.255"))),
    "long boot file": ("a boot file of 133 octets", dict.fromkeys(KINDS, ("undionly.kpxe", "u" * 128 + ".kpxe"))),
    "range outside": ("is not in 10.2.0.0/20", dict.fromkeys(KINDS, ("10.2.15.199", "10.2.16.199"))),
    "range backwards": (
        "ends before it begins",
        {
            "dnsmasq": ("10.2.15.100,10.2.15.199", "10.2.15.199,10.2.15.100"),
            "isc": ("10.2.15.100 10.2.15.199", "10.2.15.199 10.2.15.100"),
            "kea": ("10.2.15.100 - 10.2.15.199", "10.2.15.199 - 10.2.15.100"),
        },
    ),
    "range with the gateway": ("holds the router 10.2.0.1", dict.fromkeys(KINDS, ("10.2.15.100", "10.2.0.1"))),
    "gateway outside": (
        "router 10.9.0.1 is not in 10.2.0.0/20",
        {
            "dnsmasq": ("router,10.2.0.1", "router,10.9.0.1"),
            "isc": ("routers 10.2.0.1", "routers 10.9.0.1"),
            "kea": ('"data": "10.2.0.1"', '"data": "10.9.0.1"'),
        },
    ),
    "TFTP server": (
        "10.2.0.300 is not an IPv4 address",
        {
            "dnsmasq": ("kpxe,,10.2.0.5", "kpxe,,10.2.0.300"),
            "isc": ("next-server 10.2.0.5", "next-server 10.2.0.300"),
            "kea": ('"next-server": "10.2.0.5"', '"next-server": "10.2.0.300"'),
        },
    ),
    "no subnet": (
        "not a subnet",
        {
            "dnsmasq": ("255.255.240.0", "255.255.240.1"),
            "isc": ("255.255.240.0", "255.255.240.1"),
            "kea": ("10.2.0.0/20", "10.2.0.0/33"),
        },
    ),
}


def text(generation: Generation, kind: str) -> str:
    return {"dnsmasq": lambda: generation.dnsmasq("full"), "isc": generation.isc, "kea": generation.kea}[kind]()


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    """With a bond, whose two MAC addresses have one address and are no fault."""
    site = shutil.copytree(SMALL, tmp_path_factory.mktemp("lint") / "site")
    return build_generation(write_site(site, {"hosts/bond.yaml": BOND}))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_printed_has_no_complaint(small: Generation, kind: str) -> None:
    for generation in (small, build_generation(EXAMPLE)):
        assert list(complaints(text(generation, kind), kind)) == []
    assert list(complaints(small.dnsmasq("proxy"), "dnsmasq")) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_planted_is_found(small: Generation, kind: str, fault: str) -> None:
    words, faults = FAULTS[fault]
    old, new = faults[kind]
    good = text(small, kind)
    assert old in good
    found = list(complaints(good.replace(old, new), kind))
    assert any(words in one for one in found), found


def test_the_verb_does_not_print_what_is_wrong(tmp_path: Path) -> None:
    site = shutil.copytree(SMALL, tmp_path / "site")
    shipped = (Path(__file__).parents[2] / "templates" / "dhcp" / "dhcpd.conf.j2").read_text()
    broken = shipped + "host more { hardware ethernet 00:14:4f:12:34:99; fixed-address 10.2.0.21; }\n"
    write_site(site, {"templates/dhcp/dhcpd.conf.j2": broken})
    done = verb("dhcp", "isc", "--site", str(site))
    assert (done.status, done.out) == (2, "")
    assert (
        "error[BF170]: printed for isc, line 44: 10.2.0.21 is given to another machine already, at line 29" in done.err
    )
    assert "(host more { hardware ethernet 00:14:4f:12:34:99; fixed-address 10.2.0.21; }); correct" in done.err
    assert verb("dhcp", "kea", "--site", str(site)).status == 0


def test_the_verb_warns_of_nics_that_could_not_be_answered(tmp_path: Path) -> None:
    site = shutil.copytree(SMALL, tmp_path / "site")
    text = (site / "site.yaml").read_text()
    (site / "site.yaml").write_text("".join(line for line in text.splitlines(True) if "range:" not in line))
    hosts = (site / "hosts" / "den.yaml").read_text()
    (site / "hosts" / "den.yaml").write_text(hosts.replace(", address: 10.2.0.21", ""))
    for words, warned in ((("kea",), True), (("dnsmasq",), True), (("dnsmasq", "--mode", "proxy"), False)):
        done = verb("dhcp", *words, "--site", str(site))
        assert done.status == 0 and ("warning[BF169]: web01.prod.den.example.com: nic lan gets" in done.err) is warned
    assert verb("check", "--site", str(site)).err == ""
    assert "note[BF169]" in verb("check", "-v", "--site", str(site)).err
