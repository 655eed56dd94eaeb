"""SeaBIOS and QEMU's iPXE ROM: DHCP -> netboot script over HTTP -> kernel -> kickstart -> %post -> local disk."""

from __future__ import annotations

import time

import pytest

from tests.vm import lab as vm
from tests.vm import media
from tests.vm.media import MARKER
from tests.vm.product import Bootforge, kickstart_digest

pytestmark = pytest.mark.vm

HOST, MAC = "web01.prod.lab.example.com", "52:54:00:00:00:01"
STRANGER = "52:54:00:00:00:99"
DEAD_SERVER_LIMIT = 60  # seconds: a promise of the product (docs), not a time-out of the test


def test_an_armed_host_installs_once_and_then_boots_its_disk(bootforge: Bootforge) -> None:
    bootforge("arm", HOST)
    machine = bootforge.lab.power_on("web01", MAC)

    url = machine.wait_for(r"^BF: ks url (\S+)", 15 * vm.PATIENCE)[1]
    digest = machine.wait_for(r"^BF: ks sha256 (\w+)", 5 * vm.PATIENCE)[1]
    assert digest == kickstart_digest(HOST)
    assert url not in bootforge.server.text, "the grant's URL is a secret and was logged"

    machine.wait_for("^BF: post exit 0$", 5 * vm.PATIENCE)
    machine.wait_for(f"^BF: stamp /etc/hostname {HOST}$", 5 * vm.PATIENCE)
    machine.wait_for("^BF: stamp /etc/bootforge/", 5 * vm.PATIENCE)
    machine.wait_for("^BF: reboot$", 5 * vm.PATIENCE)
    assert [one["state"] for one in bootforge.json("status", HOST)] == ["first-boot"]

    machine.wait_for(MARKER, 15 * vm.PATIENCE)
    assert machine.text.count("BF: ks sha256") == 1
    story = [(one["kind"], one["detail"]) for one in bootforge.json("events", HOST)]
    assert [kind for kind, _ in story] == ["armed", "boot", "kickstart", "bootstrap", "report", "log", "local"]
    assert story[-1] == ("local", "spent")
    assert "\tstamp\t" in bootforge("log", HOST, "bootstrap")
    assert "\tstamp\t" in bootforge("log", HOST, "post.log")


@pytest.mark.slow
def test_a_disk_with_something_on_it_is_not_wiped_until_that_is_permitted(bootforge: Bootforge) -> None:
    """The guard refuses, reports and switches the machine off; after an install it knows the disk again."""
    target = media.blank_disk(bootforge.lab.directory / "web01.target", b"somebody's data")
    before = target.read_bytes()
    bootforge("arm", HOST)
    machine = bootforge.lab.power_on("web01", MAC)
    machine.wait_for("^bootforge: not installed: disk system: vdb is neither blank", 20 * vm.PATIENCE)
    machine.wait_for_end(10 * vm.PATIENCE)
    assert "BF: post" not in machine.text and "BF: made" not in machine.text and MARKER not in machine.text
    assert [one["state"] for one in bootforge.json("status", HOST)] == ["failed"]
    assert "\tdisks\tdisk system: vdb is neither blank" in bootforge("log", HOST, "bootstrap")
    assert target.read_bytes() == before
    for wipe in (("--wipe", "system"), ()):
        bootforge("arm", HOST, *wipe)
        machine = bootforge.lab.power_on("web01", MAC)
        machine.wait_for("^BF: made /boot on /dev/vdb labelled bf-", 20 * vm.PATIENCE)
        machine.wait_for("^BF: post exit 0$", 5 * vm.PATIENCE)
        machine.wait_for("^BF: reboot$", 5 * vm.PATIENCE)
        machine.kill()
        assert [one["state"] for one in bootforge.json("status", HOST)] == ["first-boot"]


def test_an_unknown_machine_boots_its_disk_and_is_discovered(bootforge: Bootforge) -> None:
    bootforge("arm", HOST)  # which must not matter to anybody else
    machine = bootforge.lab.power_on("stranger", STRANGER, serial="SN-99")

    machine.wait_for(MARKER, 15 * vm.PATIENCE)
    assert "BF: " not in machine.text
    assert [one["state"] for one in bootforge.json("status", HOST)] == ["armed"]
    discovered = [one for one in bootforge.json("events") if one["kind"] == "discovered"]
    assert [one["mac"] for one in discovered] == [STRANGER]
    assert "SN-99" in discovered[0]["detail"]


@pytest.mark.slow
def test_a_dead_server_does_not_stop_a_machine(bootforge: Bootforge) -> None:
    bootforge("arm", HOST)
    bootforge.server.kill()
    powered_on = time.monotonic()
    machine = bootforge.lab.power_on("web01", MAC)

    machine.wait_for(MARKER, 2 * DEAD_SERVER_LIMIT)
    assert time.monotonic() - powered_on < DEAD_SERVER_LIMIT
