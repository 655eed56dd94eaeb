"""Beside the DHCP server that was there before: ``serve --dnsmasq proxy``, as the README has it, BIOS and UEFI."""

from __future__ import annotations

import pytest

from tests.vm import lab as vm
from tests.vm.conftest import start
from tests.vm.media import MARKER
from tests.vm.product import Bootforge, kickstart_digest

pytestmark = pytest.mark.vm

HOST, MAC = "web01.prod.lab.example.com", "52:54:00:00:00:01"


@pytest.fixture
def beside(lab: vm.Lab, monkeypatch: pytest.MonkeyPatch) -> Bootforge:
    foreign = lab.foreign_dhcp()
    beside = start(lab, monkeypatch, "--dnsmasq", "proxy")
    beside.foreign = foreign  # type: ignore[attr-defined]
    return beside


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_an_armed_host_gets_its_kickstart_and_its_address_from_the_other_server(
    beside: Bootforge, firmware: str
) -> None:
    beside("arm", HOST)
    machine = beside.lab.power_on("web01", MAC, firmware)

    digest = machine.wait_for(r"^BF: ks sha256 (\w+)", 40 * vm.PATIENCE)[1]
    assert digest == kickstart_digest(HOST)
    assert "DHCPACK(eth0) 10.77.0." in beside.foreign.text  # type: ignore[attr-defined]
    fetched = [one["address"] for one in beside.json("events", HOST) if one["kind"] == "kickstart"]
    assert fetched and fetched[0].startswith("10.77.0.") and 50 <= int(fetched[0].rpartition(".")[2]) <= 99


def test_a_machine_that_is_not_armed_boots_its_disk(beside: Bootforge) -> None:
    machine = beside.lab.power_on("web01", MAC)
    machine.wait_for(MARKER, 15 * vm.PATIENCE)
    assert "BF: " not in machine.text


@pytest.mark.slow
def test_a_machine_that_boots_by_http_gets_the_url_of_its_program(beside: Bootforge) -> None:
    """An unknown one, so that asking leaves an event. UEFI takes the proxy's URL from its first offer."""
    machine = beside.lab.power_on("stranger", "52:54:00:00:00:99", "uefi", http=True)
    machine.wait_for("URI: http://10.77.0.1/loaders/snponly.efi", 20 * vm.PATIENCE)
    machine.wait_for(MARKER, 40 * vm.PATIENCE)
    assert "52:54:00:00:00:99" in [one["mac"] for one in beside.json("events") if one["kind"] == "discovered"]
