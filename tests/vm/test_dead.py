"""The HTTP server dies, or takes connections and says nothing, once DHCP and TFTP have done their part: a machine comes
to its disk all the same, and does so the next time."""

from __future__ import annotations

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm import lab as vm
from tests.vm.media import MARKER
from tests.vm.product import Bootforge

pytestmark = pytest.mark.vm

HOST, MAC = "web01.prod.lab.example.com", "52:54:00:00:00:01"
LIMIT = 60  # seconds: a promise of the product (docs/boot.md), not a time-out of the test
LOADED = "'snponly.efi': sent [1-9]"
FIRMWARE = {"bios": 15, "uefi": 25}
"""Seconds until iPXE runs, on a machine with nothing else to do."""


@dataclass
class Scene:
    """A server, and the DHCP server that sends machines to it."""

    product: Bootforge
    dnsmasq: vm.Process

    def silence(self, child: str) -> None:
        """A process of the server's stops: the kernel goes on taking connections for it."""
        (pid,) = self._pids(child)
        os.kill(pid, signal.SIGSTOP)

    def _pids(self, child: str) -> list[int]:
        everybody = [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
        return [pid for pid in everybody if self._is(pid, f"bootforge-{child}")]

    def _is(self, pid: int, name: str) -> bool:
        """Ours, of that name."""
        try:
            is_named = Path(f"/proc/{pid}/comm").read_text().strip() == name
            parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
        except OSError:
            return False
        return is_named and parent == self.product.server.pid


@pytest.fixture
def scene(served: Bootforge) -> Scene:
    return Scene(served, served.lab.dnsmasq(served("dhcp", "dnsmasq")))


def boot(scene: Scene, firmware: str) -> tuple[vm.Process, float]:
    return scene.product.lab.power_on("web01", MAC, firmware), time.monotonic()


def assert_at_the_disk(machine: vm.Process, since: float, firmware: str) -> None:
    machine.wait_for(MARKER, 3 * LIMIT)
    assert time.monotonic() - since < LIMIT + vm.PATIENCE * FIRMWARE[firmware]
    assert "BF: " not in machine.text
    machine.kill()


@pytest.mark.parametrize("death", ["silent", pytest.param("killed", marks=pytest.mark.slow)])
def test_bios(scene: Scene, death: str) -> None:
    scene.product("arm", HOST)
    if death == "silent":
        scene.silence("front")
    machine, since = boot(scene, "bios")
    scene.dnsmasq.wait_for("DHCPACK", 15 * vm.PATIENCE)
    if death == "killed":
        scene.product.server.kill()
    assert_at_the_disk(machine, since, "bios")
    assert f"Filename: tftp://{vm.SERVER}/http/{vm.SERVER}/boot.ipxe" in machine.text
    assert (death == "silent") == (f"http://{vm.SERVER} does not answer; booting the local disk" in machine.text)


@pytest.mark.slow
def test_uefi_with_what_it_keeps_between_two_boots(scene: Scene) -> None:
    """Network first both times: nothing of it is lost, and nothing gets between the network and the disk."""
    scene.product("arm", HOST)
    scene.silence("front")
    machine, since = boot(scene, "uefi")
    assert_at_the_disk(machine, since, "uefi")
    assert f"http://{vm.SERVER} does not answer" in machine.text
    scene.product.server.wait_for(LOADED, vm.PATIENCE)

    machine, since = boot(scene, "uefi")
    scene.product.server.wait_for(LOADED, 25 * vm.PATIENCE)
    scene.product.server.kill()
    assert_at_the_disk(machine, since, "uefi")
    assert machine.text.count("iPXE initialising devices") == 1, machine.text


@pytest.mark.slow
def test_an_armed_host_whose_installer_does_not_come_says_so(scene: Scene) -> None:
    """It was to be installed, so it does not go on as if nothing were wrong; a key takes it to its disk."""
    scene.product("arm", HOST)
    (media,) = (one for one in scene.product.lab.processes if one.name == "media")
    os.kill(media.pid, signal.SIGSTOP)
    machine, _ = boot(scene, "bios")
    machine.wait_for("armed, but its installer could not be", 100 * vm.PATIENCE)
    assert MARKER not in machine.text
