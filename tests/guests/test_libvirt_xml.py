"""Definitions for libvirt: every one passes libvirt's own schema (virt-xml-validate), and says what the plan says."""

from __future__ import annotations

import subprocess
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from bootforge.model import DomainPlan
from tests.guests.matrix import boot_files, definitions, extra
from tests.support import need

ALL = [one for tool in ("libvirt-xen", "libvirt-kvm") for one in definitions(tool)]
_each = pytest.mark.parametrize(("domain", "install", "text"), [one[1:] for one in ALL], ids=[one[0] for one in ALL])


def validate(at: Path, text: str) -> str:
    """What the schema says, '' when nothing."""
    need("virt-xml-validate", "xmllint")
    path = at / "domain.xml"
    path.write_text(text)
    done = subprocess.run(["virt-xml-validate", path, "domain"], capture_output=True, text=True, timeout=120)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@_each
def test_it_passes_libvirts_schema(domain: DomainPlan, install: bool, text: str, tmp_path: Path) -> None:
    assert validate(tmp_path, text) == ""


def test_the_schema_refuses_what_is_wrong(tmp_path: Path) -> None:
    """A short MAC address, an element and a bus that do not exist: planted in a good definition."""
    text = next(text for name, _, _, text in ALL if name.endswith("libvirt-kvm"))
    for old, new in (
        ('<mac address="52:54:00:', '<mac address="52:54:'),
        ("<vcpu>", "<cpus/><vcpu>"),
        ('"virtio"', '"x"'),
    ):
        assert old in text
        assert validate(tmp_path, text.replace(old, new)) != ""


@_each
def test_it_says_what_the_plan_says(domain: DomainPlan, install: bool, text: str) -> None:
    root = ET.fromstring(text)
    pv, kvm = domain.type == "pv", domain.hypervisor == "kvm"
    assert root.attrib == {"type": domain.hypervisor}
    assert (said(root, "name"), said(root, "uuid")) == (domain.name, domain.uuid)
    assert (said(root, "memory"), root.find("memory").attrib) == (str(domain.memory), {"unit": "MiB"})  # type: ignore[union-attr]
    assert said(root, "vcpu") == str(domain.vcpus)
    system = root.find("os/type")
    assert system is not None and system.text == ("linux" if pv else "hvm")
    assert system.get("machine") == ("xenpv" if pv else domain.machine if kvm else "xenfv")
    nics = [(nic.find("mac").get("address"), nic.find("source").get("bridge")) for nic in root.iter("interface")]  # type: ignore[union-attr]
    assert nics == [(nic.mac.text, nic.bridge) for nic in domain.nics]
    disks = [(one.find("source").get("dev"), one.find("target").get("dev")) for one in root.iter("disk")]  # type: ignore[union-attr]
    assert disks == [(disk.backing, disk.vdev) for disk in domain.disks]
    boot = [one.get("dev") for one in root.findall("os/boot")]
    if pv:
        kernel, initrd = boot_files(domain) if install else (None, None)
        assert (said(root, "os/kernel"), said(root, "os/initrd")) == (kernel, initrd)
        assert said(root, "os/cmdline") == (extra(domain) if install else None)
        assert (said(root, "bootloader"), boot) == (None if install else "pygrub", [])
    else:
        assert boot == (["network"] if install else ["network", "hd"] if domain.network_first else ["hd"])
    firmware = root.find("os").get("firmware") == "efi" if kvm else root.find("os/loader") is not None  # type: ignore[union-attr]
    assert firmware == domain.uefi
    again = "destroy" if install else "restart"
    assert [said(root, f"on_{what}") for what in ("poweroff", "reboot", "crash")] == ["destroy", again, again]
    assert "secret:" not in text and "token" not in text


def said(root: ET.Element, path: str) -> str | None:
    return root.findtext(path)


def test_kvm_guests_are_what_their_releases_can_drive() -> None:
    """EL5 and EL6 know virtio as it was before PCI Express; Secure Boot is said only where the site says it."""
    by_host = {domain.name.partition(".")[0]: ET.fromstring(text) for name, domain, _, text in ALL if "kvm" in name}
    machines = {host: root.find("os/type").get("machine") for host, root in by_host.items() if host < "guest35"}  # type: ignore[union-attr]
    assert {host: machines[host] for host in sorted(machines) if host.startswith("guest3")} == {
        "guest31": "pc", "guest32": "pc", "guest33": "q35", "guest34": "q35",
    }  # fmt: skip
    features = {host: [(one.get("name"), one.get("enabled")) for one in root.findall("os/firmware/feature")]
                for host, root in by_host.items()}  # fmt: skip
    assert features["guest33"] == []
    assert features["guest34"] == [("secure-boot", "yes"), ("enrolled-keys", "yes")]
    assert features["guest35"] == [("secure-boot", "no"), ("enrolled-keys", "no")]
    assert by_host["guest34"].find("features/smm") is not None and by_host["guest35"].find("features/smm") is None
