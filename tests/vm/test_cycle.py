"""The whole life of a host: armed, installed from the network, its bootstrap run in the chroot and at the first boot,
and ever after over SSH."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest

from tests.vm import lab as vm
from tests.vm import media
from tests.vm.product import SITE, Bootforge, serve

pytestmark = pytest.mark.vm

SYSTEM = "lab.system=http://10.77.0.1:8081"
HOST, MAC = "web01.prod.lab.example.com", "52:54:00:00:00:01"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The lab's site, with one disk and a whole system to put on it."""
    root = tmp_path / "site"
    shutil.copytree(SITE, root)
    (root / "roles/web.yaml").write_text(
        f"install: {{url: 'http://10.77.0.1:8081', args: [console=ttyS0, '{SYSTEM}']}}\n"
        "nics: {lan: {network: '{site}-lan'}}\n"
        "disks: {system: {path: /dev/vda}}\n"
    )
    return root


@pytest.fixture
def bootforge(lab: vm.Lab, site: Path, monkeypatch: pytest.MonkeyPatch) -> Bootforge:
    """A served lab whose installer unpacks a whole system."""
    product = serve(lab, site, monkeypatch)
    tar = lab.directory / "tree/system.tar"
    subprocess.run(["tar", "-cf", tar, "-C", media.system_root(), "."], check=True)
    return product


def test_a_host_from_bare_metal_to_its_daily_run(bootforge: Bootforge) -> None:
    bootforge("arm", HOST)
    machine = bootforge.lab.power_on("web01", MAC, system=True)
    machine.wait_for("^BF: unpacked", 100 * vm.PATIENCE)
    machine.wait_for("^BF: post exit 0$", 40 * vm.PATIENCE)
    machine.wait_for("^BF: reboot$", 20 * vm.PATIENCE)
    assert [one["state"] for one in bootforge.json("status", HOST)] == ["installed"]
    deadline = time.monotonic() + 100 * vm.PATIENCE
    while "booted" not in [one["detail"] for one in bootforge.json("events", HOST) if one["kind"] == "report"]:
        assert time.monotonic() < deadline, bootforge("events", HOST)
        time.sleep(1)
