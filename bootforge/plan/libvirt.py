"""Definitions of guests as libvirt's XML (libvirt.org: formatdomain), of Xen and of KVM. Pure. Phases as in xencfg.py.

What KVM guests get, and why: virtio disks and nics, which every release from EL5.3 has drivers for; q35 where the
kernel speaks virtio 1.0, because a device on PCI Express speaks nothing else, and pc for EL5 and EL6; the host's own
model of processor, because EL9 needs x86-64-v2 and EL10 v3, which QEMU's default lacks; a source of randomness, for
keys are made at the first boot. The screen is VNC on the host's own loopback, as Xen has it.
"""

from __future__ import annotations

from xml.etree import ElementTree as ET

from bootforge.model import DomainPlan
from bootforge.plan.xencfg import INSTALL

_OVMF = "/usr/lib/xen/boot/ovmf.bin"
"""The firmware that Xen's tools build and install (libxl_paths: LIBXENFIRMWAREDIR)."""


_BUS = {"vd": "virtio", "xv": "xen", "hd": "ide", "sd": "scsi"}


def libvirt_xml(domain: DomainPlan, extra: str | None = None) -> str:
    """The guest as ``virsh define`` reads it; for the install when ``extra`` has the installer's kernel arguments."""
    root = ET.Element("domain", type=domain.hypervisor)
    _add(root, "name", domain.name)
    if domain.uuid:
        _add(root, "uuid", domain.uuid)
    _add(root, "description", "Rendered by Bootforge; changes are lost.")
    _add(root, "memory", domain.memory, unit="MiB")
    _add(root, "vcpu", domain.vcpus)
    if domain.type == "pv":
        _boot_pv(root, domain, extra)
    else:
        _boot_hvm(root, domain, extra is not None)
    _add(root, "clock", offset="utc")
    again = "restart" if extra is None else "destroy"
    for event, action in (("poweroff", "destroy"), ("reboot", again), ("crash", again)):
        _add(root, f"on_{event}", action)
    _devices(_add(root, "devices"), domain)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode") + "\n"


def _boot_pv(root: ET.Element, domain: DomainPlan, extra: str | None) -> None:
    if extra is None:
        _add(root, "bootloader", "pygrub")
    system = _add(root, "os")
    _add(system, "type", "linux", arch="x86_64", machine="xenpv")
    if extra is not None:
        _add(system, "kernel", f"{INSTALL}/{domain.name}/vmlinuz")
        _add(system, "initrd", f"{INSTALL}/{domain.name}/initrd.img")
        _add(system, "cmdline", extra)


def _boot_hvm(root: ET.Element, domain: DomainPlan, install: bool) -> None:
    xen = domain.hypervisor == "xen"
    system = _add(root, "os")
    _add(system, "type", "hvm", arch="x86_64", machine="xenfv" if xen else domain.machine)
    if domain.uefi and xen:
        _add(system, "loader", _OVMF, readonly="yes", type="pflash")
    elif domain.uefi:
        _firmware(system, domain)
    order = ("network",) if install else ("network", "hd") if domain.network_first else ("hd",)
    for device in order:
        _add(system, "boot", dev=device)
    features = _add(root, "features")
    for feature in ("acpi", "apic", *(("pae",) if xen else ())):
        _add(features, feature)
    if domain.uefi and not xen and domain.secure_boot == "true":
        _add(features, "smm", state="on")
    if not xen:
        _add(root, "cpu", mode="host-model")


def _firmware(system: ET.Element, domain: DomainPlan) -> None:
    """libvirt finds the firmware, and makes the guest's own copy of its variables (NVRAM), which it keeps; whether
    Secure Boot is on is said only where the site says it."""
    system.set("firmware", "efi")
    if domain.secure_boot == "unknown":
        return
    on = "yes" if domain.secure_boot == "true" else "no"
    firmware = _add(system, "firmware")
    _add(firmware, "feature", enabled=on, name="secure-boot")
    _add(firmware, "feature", enabled=on, name="enrolled-keys")


def _devices(devices: ET.Element, domain: DomainPlan) -> None:
    kvm = domain.hypervisor == "kvm"
    for disk in domain.disks:
        node = _add(devices, "disk", type="block", device="disk")
        if kvm:
            _add(node, "driver", name="qemu", type="raw", cache="none", io="native")
        else:
            _add(node, "driver", name="phy")
        _add(node, "source", dev=disk.backing)
        _add(node, "target", dev=disk.vdev, bus=_BUS[disk.vdev[:2]])
    for nic in domain.nics:
        node = _add(devices, "interface", type="bridge")
        _add(node, "mac", address=nic.mac.text)
        _add(node, "source", bridge=nic.bridge)
        if kvm:
            _add(node, "model", type="virtio")
        else:
            _add(node, "script", path="vif-bridge")
    if domain.type == "pv":
        _add(_add(devices, "console", type="pty"), "target", type="xen", port="0")
        return
    _add(_add(devices, "serial", type="pty"), "target", port="0")
    _add(_add(devices, "console", type="pty"), "target", type="serial", port="0")
    _add(devices, "graphics", type="vnc", autoport="yes", listen="127.0.0.1")
    _add(_add(devices, "video"), "model", type="vga")
    if kvm:
        _add(_add(devices, "rng", model="virtio"), "backend", "/dev/urandom", model="random")


def _add(parent: ET.Element, tag: str, text: str | int | None = None, **attributes: str) -> ET.Element:
    node = ET.SubElement(parent, tag, attributes)
    if text is not None:
        node.text = str(text)
    return node
