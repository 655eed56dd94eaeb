"""Definitions of Xen guests through the real xl in a dom0 of Xen 4.17, and one guest started.

``xl create -n`` exits 0 for a bad MAC address and for settings that it does not know, so what it made of each definition,
as JSON, is compared with the plan, field by field.
"""

from __future__ import annotations

import io
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.guests.matrix import definitions, guests
from tests.vm import lab as vm
from tests.vm import media, xen

pytestmark = pytest.mark.vm

HOST, STARTED = "host01.lab.example.com", "guest12.lab.example.com"
ALL = list(definitions("xl"))
PLANTED = {"planted.bad-mac": ("mac=00:16:3e:", "mac=00:16:3e:0"), "planted.bad-key": ("vcpus = ", "vcpu = ")}
"""What xl lets through, in the definition of the guest that is started."""


@dataclass
class Dom0:
    """``files``: what dom0 left, by name. ``said``: what it printed for us."""

    files: dict[str, str]
    said: list[str]


@pytest.fixture(scope="module")
def dom0(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dom0]:
    """One boot: every definition, the bootstrap of the host, and one guest."""
    lacking = [
        tool for tool in ("qemu-system-x86_64", "apt-get", "dpkg-deb", "depmod", "modprobe") if not shutil.which(tool)
    ]
    lacking += [] if media.BUSYBOX.exists() else [str(media.BUSYBOX)]
    if lacking and os.environ.get("CI"):
        pytest.fail(f"CI must have what the VM tests need: {', '.join(lacking)}")
    if lacking:
        pytest.skip(f"no dom0 here, missing: {', '.join(lacking)}")
    at = tmp_path_factory.mktemp("dom0")
    files = {f"definitions/{name}": text.encode() for name, _, _, text in ALL}
    generation, plan, domain = next(one for one in guests() if one[2].name == STARTED)
    text = generation.artifact(STARTED, "xl").text
    for name, (old, new) in PLANTED.items():
        assert old in text
        files[f"definitions/{name}"] = text.replace(old, new, 1).encode()
    start = generation.artifact(STARTED, "xl-install").text
    files |= {"start": start.encode(), "guest": f"{STARTED}\n".encode()}
    files["bootstrap"] = generation.artifact(HOST, "bootstrap").text.encode()
    (at / "dom0.img").write_bytes(xen.dom0(files))
    media.blank_disk(at / "group", size=1 << 30)
    media.blank_disk(at / "out", size=64 << 20)
    process = power_on(at)
    try:
        process.wait_for("^BF: written$", 90 * vm.PATIENCE)
        process.wait_for("^BF: end$", 60 * vm.PATIENCE)
        process.wait_for_end(20 * vm.PATIENCE)
    finally:
        process.kill()
    with tarfile.open(fileobj=io.BytesIO((at / "out").read_bytes()), mode="r|") as tar:
        found = {one.name: tar.extractfile(one).read().decode() for one in tar if one.isfile()}  # type: ignore[union-attr]
    yield Dom0(found, [line.removeprefix("BF: ") for line in process.text.splitlines() if line.startswith("BF: ")])


def power_on(at: Path) -> vm.Process:
    """A machine without a network, whose log is dom0's console. Xen takes no processor of QEMU's ``max`` as it is: with
    SMAP and others dom0 crashes, and rdtscp cannot be emulated for an HVM guest."""
    modules = f"{xen.kernel()}/vmlinuz console=hvc0 quiet,{at}/dom0.img"
    argv = [
        "qemu-system-x86_64",
        "-display",
        "none",
        "-serial",
        "stdio",
        "-monitor",
        "none",
        "-nodefaults",
        "-no-reboot",
    ]
    argv += ["-accel", "tcg,thread=multi", "-machine", "pc", "-m", "2048"]
    argv += ["-cpu", "max,-smap,-la57,-fsgsbase,-umip,-rdtscp"]
    argv += ["-kernel", str(xen.hypervisor()), "-initrd", modules]
    argv += ["-append", "console=com1 com1=115200,8n1 dom0_mem=1024M noreboot=0"]
    for disk in ("group", "out"):
        argv += ["-drive", f"if=none,id={disk},format=raw,cache=unsafe,file={at}/{disk}"]
        argv += ["-device", f"virtio-blk-pci,drive={disk}"]
    return vm.Process("dom0", ["setpriv", "--pdeathsig", "KILL", *argv], at / "dom0.log")


def test_try(dom0: Dom0) -> None:
    print("\n".join(dom0.said))
