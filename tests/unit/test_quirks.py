"""What a model of machine needs, said once in its hardware file, reaches every host of that model: the scripts of all
three loaders, the installer, and the kernel of the installed system."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootforge.generation import Generation
from bootforge.model import LocalBoot
from bootforge.releases import RELEASES
from bootforge.render.netboot import render_local
from tests.sites import DB, WEB, base, generation_with
from tests.unit.test_netboot import grub_args, ipxe_args, pxelinux_args

MODEL = """\
machine: {local_boot: exit}
console: ttyS1,115200
boot_order: disk-first
driver_disks: [http://10.2.0.5/dd/raid.iso]
install: {args: [noapic, pci=nomsi]}
kernel_args: [acpi=off, "memmap=64M$3G"]
"""


def of_model(root: Path, profile: str, hardware: str = MODEL, more: str = "") -> Generation:
    """Two hosts of one release, the second of the model."""
    hosts = base(
        "hosts/den.yaml",
        ("address: 10.2.0.31", "address: 10.2.0.31, device: eth0"),
        ("  serial: 0911QAZ4711\n", f"  serial: 0911QAZ4711\n  profile: {profile}\n  hardware: odd\n{more}"),
    )
    return generation_with(root, {"hosts/den.yaml": hosts, "hardware/odd.yaml": hardware})


@pytest.mark.parametrize("profile", ["centos5", "centos6", "centos7", "rocky8", "rocky9", "rocky10", "fedora46"])
def test_a_models_quirks_are_in_every_script_and_in_the_installed_system(tmp_path: Path, profile: str) -> None:
    generation = of_model(tmp_path, profile)
    release = RELEASES[generation.host(DB).release]
    made = {name: one.text for name, one in generation.artifacts(DB).items()}
    driver = f"{release.prefix}dd=http://10.2.0.5/dd/raid.iso"
    for words in (ipxe_args(made["ipxe"]), grub_args(made["grub"]), pxelinux_args(made["pxelinux"])):
        assert {driver, "noapic", "pci=nomsi", "console=ttyS1,115200n8"} <= {*words}
        assert not {"acpi=off", "noacpi"} & {*words}, "these are for the installed system"
    (append,) = re.findall(r"^bootloader .*--append=(?:'(.*?)'|(\S+))", made["kickstart"], re.MULTILINE)
    assert "".join(append).split() == ["acpi=off", "memmap=64M$3G", "console=tty0", "console=ttyS1,115200n8"]
    (step,) = (step for step in generation.plan(DB).steps if step.id == "kernel-args")
    assert "acpi=off memmap=64M$3G" in step.args[0]
    assert made["ipxe"].endswith("disk\nexit\n")
    assert "bf_network_first" not in made["kickstart"]

    other = generation.artifacts(WEB)
    assert "noapic" not in other["ipxe"].text and "bf_network_first ||" in other["kickstart"].text


@pytest.mark.parametrize(
    ("how", "ipxe", "grub", "pxelinux"),
    [
        ("exit-1", "\nexit 1\n", "chainloader ($esp)", "LOCALBOOT -1"),
        ("exit", "\nexit\n", "disk'\nexit\n", "LOCALBOOT 0"),
        ("sanboot", "\nsanboot --no-describe --drive 0x80 ||\nexit 1\n", "chainloader ($esp)", "LOCALBOOT -1"),
    ],
)
def test_a_models_way_to_its_disk_is_in_every_script(
    tmp_path: Path, how: LocalBoot, ipxe: str, grub: str, pxelinux: str
) -> None:
    generation = of_model(tmp_path, "rocky9", f"machine: {{local_boot: {how}}}\n")
    plan = generation.plan(DB)
    made = {kind: render_local(DB, plan.local_boot, generation.engine, kind) for kind in ("ipxe", "grub", "pxelinux")}
    assert made["ipxe"].endswith(ipxe) and grub in made["grub"] and f"  {pxelinux}\n" in made["pxelinux"]
    assert generation.plan(WEB).local_boot == "exit-1"


@pytest.mark.parametrize("loader", ["shim", "pxelinux"])
def test_a_models_loader_is_that_of_its_hosts(tmp_path: Path, loader: str) -> None:
    generation = of_model(tmp_path, "rocky9", f"machine: {{loader: {loader}}}\n")
    assert (generation.plan(DB).loader, generation.plan(WEB).loader) == (loader, "ipxe")


def test_a_model_can_need_the_kickstart_in_the_initramfs(tmp_path: Path) -> None:
    generation = of_model(tmp_path, "rocky9", "install: {kickstart: initrd}\n")
    assert "initrd=kickstart" in generation.artifact(DB, "ipxe").text
    assert "initrd=kickstart" not in generation.artifact(WEB, "ipxe").text


def test_a_host_may_say_otherwise(tmp_path: Path) -> None:
    """An atomic list is replaced whole, so the model's words go."""
    generation = of_model(tmp_path, "rocky9", more="  install: {args: [quiet]}\n  machine: {local_boot: sanboot}\n")
    words = ipxe_args(generation.artifact(DB, "ipxe").text)
    assert "quiet" in words and "noapic" not in words and "inst.dd=http://10.2.0.5/dd/raid.iso" in words
    assert "sanboot --no-describe" in generation.artifact(DB, "ipxe").text
