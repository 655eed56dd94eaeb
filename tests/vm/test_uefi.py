"""OVMF's own PXE client: DHCP -> snponly.efi from our TFTP -> netboot script over HTTP -> kernel -> kickstart."""

from __future__ import annotations

import pytest

from tests.vm import lab as vm
from tests.vm.media import MARKER
from tests.vm.product import Bootforge, kickstart_digest

pytestmark = pytest.mark.vm

HOST, MAC = "web01.prod.lab.example.com", "52:54:00:00:00:01"


def test_an_armed_host_installs_once_and_then_boots_its_disk(bootforge: Bootforge) -> None:
    bootforge("arm", HOST)
    wire = bootforge.lab.sniffer()
    machine = bootforge.lab.power_on("web01", MAC, "uefi")

    digest = machine.wait_for(r"^BF: ks sha256 (\w+)", 30 * vm.PATIENCE)[1]
    assert digest == kickstart_digest(HOST)
    # OVMF first asks for the size and aborts, then loads in windows of four blocks (RFC 7440).
    loader, script = wire.text.splitlines()[1:5], wire.text.splitlines()[5:]
    assert [line.split()[0] for line in loader] == ["RRQ", "OACK", "RRQ", "OACK"], wire.text
    assert all("windowsize=4" in line for line in loader), wire.text
    assert [line.split()[0] for line in script] == ["RRQ", "OACK"] and "/boot.ipxe" in script[0], wire.text

    machine.wait_for("^BF: post exit 0$", 5 * vm.PATIENCE)
    machine.wait_for(MARKER, 25 * vm.PATIENCE)
    assert machine.text.count("BF: ks sha256") == 1


def test_an_unarmed_host_boots_its_disk(bootforge: Bootforge) -> None:
    machine = bootforge.lab.power_on("web01", MAC, "uefi")

    machine.wait_for(MARKER, 25 * vm.PATIENCE)
    assert "BF: " not in machine.text
