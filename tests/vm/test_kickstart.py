"""A kickstart that iPXE puts into the installer's initramfs, from BIOS and from UEFI, whose iPXE gives each file of an
initramfs to the kernel by itself."""

from __future__ import annotations

import pytest

from tests.vm import lab as vm
from tests.vm.media import MARKER
from tests.vm.product import Bootforge, kickstart_digest

pytestmark = pytest.mark.vm

HOST, MAC, SERIAL = "web03.prod.lab.example.com", "52:54:00:00:00:03", "SN-3"


@pytest.mark.parametrize("firmware", ["bios", pytest.param("uefi", marks=pytest.mark.slow)])
def test_ipxe_brings_the_kickstart_into_the_initramfs(bootforge: Bootforge, firmware: str) -> None:
    bootforge("arm", HOST)
    machine = bootforge.lab.power_on("web03", MAC, firmware, serial=SERIAL)

    line = machine.wait_for(r"^BF: cmdline (.*)", 30 * vm.PATIENCE)[1]
    assert "inst.ks=file:/ks.cfg" in line and "/i/" not in line and "sendmac" not in line
    assert machine.wait_for(r"^BF: ks file (.*)", 5 * vm.PATIENCE)[1] == "600 0:0"
    digest = machine.wait_for(r"^BF: ks sha256 (\w+)", 5 * vm.PATIENCE)[1]
    assert digest == kickstart_digest(HOST)

    machine.wait_for("^BF: post exit 0$", 5 * vm.PATIENCE)
    machine.wait_for("^BF: reboot$", 5 * vm.PATIENCE)
    assert [one["state"] for one in bootforge.json("status", HOST)] == ["first-boot"]
    machine.wait_for(MARKER, 25 * vm.PATIENCE)
    story = [(one["kind"], one["count"]) for one in bootforge.json("events", HOST)]
    assert ("kickstart", 1) in story, "the kickstart was fetched once"


@pytest.mark.slow
def test_a_machine_with_another_serial_number_gets_none(bootforge: Bootforge) -> None:
    """iPXE says in the query what an installer says in headers, and the same policy looks at it."""
    bootforge("arm", HOST)
    machine = bootforge.lab.power_on("web03", MAC, serial="SN-4")
    machine.wait_for("^or its kickstart; bootforge events", 60 * vm.PATIENCE)
    assert "BF: " not in machine.text
    refused = [one["detail"] for one in bootforge.json("events", HOST) if one["kind"] == "refused"]
    assert refused == ["kickstart: the machine's serial number is 'SN-4'"]
