"""DHCP by the real Kea, with the file that we print: firmware by TFTP, iPXE by HTTP."""

from __future__ import annotations

import pytest

from tests.support import need
from tests.vm import lab as vm
from tests.vm.media import MARKER
from tests.vm.product import Bootforge

pytestmark = pytest.mark.vm

MAC = "52:54:00:00:00:99"


@pytest.mark.parametrize("firmware", [pytest.param("bios", marks=pytest.mark.slow), "uefi"])
def test_a_machine_finds_its_way_to_the_boot_script(served: Bootforge, firmware: str) -> None:
    """An unknown one, so that asking leaves an event. UEFI goes by way of a boot program; QEMU's BIOS has iPXE."""
    need("kea-dhcp4")
    kea, wire = served.lab.kea(served("dhcp", "kea")), served.lab.sniffer()
    machine = served.lab.power_on("stranger", MAC, firmware)
    machine.wait_for(MARKER, 45 * vm.PATIENCE)
    assert MAC in [one["mac"] for one in served.json("events") if one["kind"] == "discovered"]
    assert "lease 10.77.0." in kea.text
    assert ("snponly.efi" in wire.text) is (firmware == "uefi")
