"""Definitions of Xen guests through the real xl in a dom0 of Xen 4.17, and one guest started.

``xl create -n`` exits 0 for a bad MAC address and for settings that it does not know, so what it made of each
definition, as JSON, is compared with the plan, field by field.
"""

from __future__ import annotations

import io
import json
import os
import shutil
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from bootforge.model import DomainPlan
from tests.guests.matrix import boot_files, definitions, extra, generations, guests
from tests.vm import lab as vm
from tests.vm import media, xen

pytestmark = pytest.mark.vm

HOST, STARTED = "host01.lab.example.com", "guest12.lab.example.com"
ALL = list(definitions("xl"))
PLANTED = {"planted.bad-mac": ("mac=00:16:3e:", "mac=00:16:"), "planted.bad-key": ("vcpus = ", "vcpu = ")}
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
        found = {
            one.name: one.linkname if one.issym() else tar.extractfile(one).read().decode()  # type: ignore[union-attr]
            for one in tar
            if one.isfile() or one.issym()
        }
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


def test_xl_takes_every_definition(dom0: Dom0) -> None:
    """Without a word on its standard error."""
    assert len(ALL) > 30
    for name, _, _, _ in ALL:
        status, said = (dom0.files[f"bf/out/{name}.{what}"] for what in ("status", "err"))
        assert (status.strip(), unheeded(said)) == ("0", ""), f"{name}: {said}"


def unheeded(said: str) -> str:
    """What xl said, but for that it reads."""
    return "".join(line for line in said.splitlines(keepends=True) if not line.startswith("Parsing config"))


def test_what_xl_made_of_it_is_what_the_plan_says(dom0: Dom0) -> None:
    for name, domain, install, _ in ALL:
        assert made(dom0.files[f"bf/out/{name}.json"]) == planned(domain, install), name


def test_what_xl_lets_through_is_seen(dom0: Dom0) -> None:
    """A MAC address that is none, and a setting that xl does not know: it exits 0, and the comparison fails."""
    domain = next(domain for _, domain, _, _ in ALL if domain.name == STARTED)
    for name in PLANTED:
        assert dom0.files[f"bf/out/{name}.status"].strip() == "0", name
        assert made(dom0.files[f"bf/out/{name}.json"]) != planned(domain, False), name


def made(text: str) -> dict[str, Any]:
    """What libxl's JSON says of a guest; what libxl would have done unasked is left out there."""
    config = json.loads(text)
    create, build = config["c_info"], config["b_info"]
    hvm = build["type.hvm"] if create["type"] == "hvm" else {}
    return {
        "name": create["name"],
        "type": create["type"],
        "uuid": create["uuid"],
        "memory": (build["max_memkb"], build["target_memkb"]),
        "vcpus": (build.get("max_vcpus"), len(build.get("avail_vcpus", []))),
        "nics": [(nic.get("mac"), nic.get("bridge")) for nic in config.get("nics", [])],
        "disks": [
            (disk["pdev_path"], disk["vdev"], disk.get("format"), bool(disk.get("readwrite")))
            for disk in config.get("disks", [])
        ],
        "boot": hvm.get("boot"),
        "bios": hvm.get("bios"),
        "bootloader": build.get("bootloader"),
        "kernel": (build.get("kernel"), build.get("ramdisk"), build.get("cmdline")),
        "events": [config.get(f"on_{event}", "destroy") for event in ("poweroff", "reboot", "crash")],
    }


def planned(domain: DomainPlan, install: bool) -> dict[str, Any]:
    pv = domain.type == "pv"
    again = "destroy" if install else "restart"
    order = "n" if install else "nc" if domain.network_first else "c"
    kernel = (*boot_files(domain), extra(domain)) if install and pv else (None, None, None)
    return {
        "name": domain.name,
        "type": domain.type,
        "uuid": domain.uuid,
        "memory": (domain.memory * 1024, domain.memory * 1024),
        "vcpus": (domain.vcpus, domain.vcpus),
        "nics": [(nic.mac.text, nic.bridge) for nic in domain.nics],
        "disks": [(disk.backing, disk.vdev, "raw", True) for disk in domain.disks],
        "boot": None if pv else order,
        "bios": "ovmf" if domain.uefi else None,
        "bootloader": "pygrub" if pv and not install else None,
        "kernel": kernel,
        "events": ["destroy", again, again],
    }


def test_the_bootstrap_of_dom0_makes_disks_and_definitions(dom0: Dom0) -> None:
    """With the real lvm, twice: the second run changes nothing."""
    generation = generations()[0]
    here = [domain for _, _, domain in guests("xen") if domain.on == HOST]
    first, second = (dom0.files[f"bf/out/bootstrap.{number}"] for number in (1, 2))
    assert first.count("changed\t") == 2 * len(here) + 1 and "failed\t" not in first, first
    assert "changed\t" not in second and "failed\t" not in second, second
    volumes = dict(line.split() for line in dom0.files["bf/out/volumes"].splitlines())
    assert volumes == {**{domain.name.partition(".")[0]: "64.00" for domain in here}, "guest12-data": "32.00"}
    for domain in here:
        assert dom0.files[f"etc/xen/{domain.name}.cfg"] == generation.artifact(domain.name, "xl").text
    assert [domain.name for domain in here if domain.autostart] == ["guest11.lab.example.com"]
    assert dom0.files.get("etc/xen/auto/guest11.lab.example.com.cfg") == "../guest11.lab.example.com.cfg"


def test_a_guest_is_what_was_planned(dom0: Dom0) -> None:
    """Started by the definition of its install, it sees its MACs, disks, UUID and arguments; its reboot ends it."""
    domain = next(domain for _, _, domain in guests("xen") if domain.name == STARTED)
    said = [line.removeprefix("domu ") for line in dom0.said if line.startswith("domu ")]
    assert said == [
        *(f"mac {nic.mac}" for nic in domain.nics),
        "disk xvda 64 MiB",
        "disk xvdb 32 MiB",
        f"uuid {domain.uuid}",
        f"vcpus {domain.vcpus}",
        f"cmdline {extra(domain)}",
        "end",
    ], dom0.said
    assert [nic.mac.text in line for nic, line in zip(domain.nics, bridged(dom0.said), strict=True)] == [True, True]
    assert f"{STARTED} is there still" not in dom0.said


def bridged(said: list[str]) -> list[str]:
    """The lines of xl network-list, without its head."""
    return [line for line in said if line.startswith("vif ") and "Idx" not in line]
