"""The installer's network arguments, read by the program that reads them in EL8 and later: NetworkManager's
nm-initrd-generator, which dracut runs on the kernel command line."""

from __future__ import annotations

import re
import subprocess
from configparser import ConfigParser
from pathlib import Path

import pytest

from tests.sites import WEB, generation_with
from tests.support import need
from tests.unit.test_network import BOND, PORTS, TRUNK, files

GENERATOR = ("/usr/libexec/nm-initrd-generator", "/usr/lib/NetworkManager/nm-initrd-generator")


def profiles(generator: str, words: list[str]) -> tuple[dict[str, ConfigParser], str]:
    """The connection profiles that the words make, by name, and what the program complained of."""
    done = subprocess.run([generator, "-s", "--", *words], capture_output=True, text=True, timeout=60, check=True)
    parts = re.split(r"^\*\*\* Connection '(.*)' \*\*\*$", done.stdout, flags=re.MULTILINE)[1:]
    found = {}
    for name, text in zip(parts[::2], parts[1::2], strict=True):
        found[name] = ConfigParser(interpolation=None, strict=False)
        found[name].read_string(text)
    return found, done.stderr


@pytest.fixture(scope="module")
def generator() -> str:
    found = next((path for path in GENERATOR if Path(path).exists()), "")
    if not found:
        need("nm-initrd-generator")
    return found


def words_of(root: Path, nics: str) -> list[str]:
    args = generation_with(root, files(nics)).plan(WEB).boot.args
    return [f"{arg.name}={arg.value}" for arg in args if not arg.name.startswith("inst.")]


def test_a_bond(generator: str, tmp_path: Path) -> None:
    made, complaint = profiles(generator, words_of(tmp_path, f"{PORTS}, {BOND}"))
    assert complaint == "" and set(made) == {"bond0", "p0", "p1"}
    assert dict(made["bond0"]["bond"]) == {"mode": "active-backup", "miimon": "100"}
    assert made["bond0"]["ipv4"]["address1"] == "10.2.0.21/20,10.2.0.1"
    for port in ("p0", "p1"):
        assert made[port]["connection"]["master"] == made["bond0"]["connection"]["uuid"]


def test_a_vlan_over_a_bond(generator: str, tmp_path: Path) -> None:
    made, complaint = profiles(generator, words_of(tmp_path, TRUNK))
    assert complaint == "" and set(made) == {"bond0", "bond0.20", "p0", "p1"}
    vlan = made["bond0.20"]
    assert (vlan["vlan"]["id"], vlan["vlan"]["parent"], vlan["ethernet"]["mtu"]) == ("20", "bond0", "9000")
    assert vlan["ipv4"]["address1"] == "10.20.0.9/24,10.20.0.1" and vlan["ipv4"]["dns"] == "10.20.0.2;"
    assert made["bond0"]["ipv4"]["method"] == "disabled", "an address where nobody asked for one"


@pytest.mark.parametrize(
    "nic,section,settings",
    [
        ("network: den-lan, address: 10.2.0.21", "ipv4", {"method": "auto"}),
        ("network: v20, address: none, address6: dhcp", "ipv6", {"method": "auto"}),
        ("network: v20, address: none, address6: '2001:db8:20::9'", "ipv6", {"method": "manual"}),
    ],
)
def test_a_plain_nic(generator: str, tmp_path: Path, nic: str, section: str, settings: dict[str, str]) -> None:
    made, complaint = profiles(generator, words_of(tmp_path, f"lan: {{mac: '52:54:00:00:00:01', {nic}}}"))
    assert complaint == "" and len(made) == 1
    (profile,) = made.values()
    assert {key: profile[section][key] for key in settings} == settings


def test_a_bridge(generator: str, tmp_path: Path) -> None:
    nics = "p0: {mac: '52:54:00:00:00:01'}, br0: {kind: bridge, ports: [p0], network: den-lan}"
    made, complaint = profiles(generator, words_of(tmp_path, nics))
    assert complaint == "" and made["p0"]["connection"]["master"] == made["br0"]["connection"]["uuid"]
    assert made["br0"]["ipv4"]["method"] == "auto"
