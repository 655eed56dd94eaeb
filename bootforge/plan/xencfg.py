"""Definitions of Xen guests as text: xl.cfg(5), and what xm of Xen 3 executes (Xen 3.1: tools/examples/xmexample1,
xmexample.hvm). Pure.

Two phases. ``install``: the guest boots its installer once, a PV guest by the kernel that its host has fetched, an HVM
guest from the network; a reboot ends it. ``run``: it boots what was installed.
"""

from __future__ import annotations

from bootforge.errors import RenderError
from bootforge.model import DomainPlan

Value = str | int | list[str]

INSTALL = "/var/lib/xen/install"
"""Where a PV guest's host has the installer's kernel, below the guest's name."""


def xl(domain: DomainPlan, extra: str | None = None) -> str:
    """The guest as xl reads it; for the install when ``extra`` has the installer's kernel arguments, quoted already.
    ``extra`` and not ``cmdline``: every xl knows it, and xm as well."""
    settings = _head(domain, ("name", domain.name), ("type", domain.type))
    if domain.uefi:
        settings["firmware"] = "uefi"
    settings |= _size(domain)
    settings |= _boot(domain, extra, "pygrub")
    settings["vif"] = [f"mac={nic.mac},bridge={nic.bridge}" for nic in domain.nics]
    settings["disk"] = [f"format=raw,vdev={disk.vdev},access=rw,target={disk.backing}" for disk in domain.disks]
    settings |= {"serial": "pty"} if domain.type == "hvm" else {}
    return _text(domain, settings | _events(extra), extra)


def xm(domain: DomainPlan, extra: str | None = None) -> str:
    """The guest as xm of Xen 3 executes it. Its qemu-dm boots from IDE disks only; Linux sees hda as xvda
    (xen-blkfront.c, EMULATED_HD_DISK_MINOR_OFFSET). Raises RenderError for a UEFI, which Xen 3 has not."""
    if domain.uefi:
        raise RenderError(f"{domain.name}: Xen 3 has no UEFI", "use xl, or write 'machine: {firmware: bios}'")
    settings = _head(domain, ("name", domain.name))
    hvm = domain.type == "hvm"
    if hvm:
        settings |= {
            "builder": "hvm",
            "kernel": "/usr/lib/xen/boot/hvmloader",
            "device_model": "/usr/lib64/xen/bin/qemu-dm",
            **{"acpi": 1, "apic": 1, "pae": 1},
        }
    settings |= _size(domain) | _boot(domain, extra, "/usr/bin/pygrub")
    kind = "type=ioemu," if hvm else ""
    settings["vif"] = [f"{kind}mac={nic.mac},bridge={nic.bridge}" for nic in domain.nics]
    settings["disk"] = [f"phy:{disk.backing},{_ide(disk.vdev) if hvm else disk.vdev},w" for disk in domain.disks]
    settings |= {"serial": "pty", "vnc": 1, "sdl": 0} if hvm else {}
    return _text(domain, settings | _events(extra), extra)


def _head(domain: DomainPlan, *first: tuple[str, Value]) -> dict[str, Value]:
    return dict(first) | ({"uuid": domain.uuid} if domain.uuid else {})


def _size(domain: DomainPlan) -> dict[str, Value]:
    return {"memory": domain.memory, "vcpus": domain.vcpus}


def _boot(domain: DomainPlan, extra: str | None, pygrub: str) -> dict[str, Value]:
    """pygrub reads the boot loader's configuration on the guest's own disk."""
    if domain.type == "hvm":
        return {"boot": "n" if extra is not None else "nc" if domain.network_first else "c"}
    if extra is None:
        return {"bootloader": pygrub}
    return {"kernel": f"{INSTALL}/{domain.name}/vmlinuz", "ramdisk": f"{INSTALL}/{domain.name}/initrd.img"}


def _events(extra: str | None) -> dict[str, Value]:
    """An installer that ends in a reboot must not be begun again."""
    again = "restart" if extra is None else "destroy"
    return {"on_poweroff": "destroy", "on_reboot": again, "on_crash": again}


def _ide(vdev: str) -> str:
    return "hd" + vdev.removeprefix("xvd") if vdev.startswith("xvd") else vdev


def _text(domain: DomainPlan, settings: dict[str, Value], extra: str | None) -> str:
    lines = [f"# {domain.name}: rendered by Bootforge; changes are lost."]
    lines += [f"{key} = {_shown(value)}" for key, value in settings.items()]
    if extra is not None and domain.type == "pv":
        lines.append(f'extra = "{extra}"')
    return "\n".join(lines) + "\n"


def _shown(value: Value) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if not value.isprintable() or '"' in value or "\\" in value:
            raise RenderError(f"{value!r} cannot be a string of a guest's definition")
        return f'"{value}"'
    return "[ " + ", ".join(map(_shown, value)) + " ]"
