"""Virtual machines: what their host needs to know about a guest."""

from __future__ import annotations

import re
from typing import Literal

from bootforge.model import DomainDisk, DomainNic, DomainPlan, Nic
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost

_DEVICE = re.compile(r"/dev/[A-Za-z0-9_.+:@=-]+(/[A-Za-z0-9_.+:@=-]+)*")
_GROUP_AND_VOLUME = re.compile(r"/dev/([A-Za-z0-9_.+-]+)/([A-Za-z0-9_.+-]+)")
_MAPPED = re.compile(r"/dev/mapper/((?:[A-Za-z0-9_.+]|--)+)-((?:[A-Za-z0-9_.+]|--)+)")
_NOT_GROUPS = ("disk", "mapper", "block", "cciss", "ida", "md", "rd", "shm", "char", "bus", "input")
_VDEV = {
    "xen": (re.compile(r"xvd[a-z]|hd[a-d]|sd[a-p]"), "xvda"),
    "kvm": (re.compile(r"vd[a-z]"), "vda"),
}
"""Names of disks that a guest can see (xen-vbd-interface(7); virtio-blk), and the first of them."""


def logical_volume(device: str) -> tuple[str, str] | None:
    """Volume group and logical volume of a device, by either of its two names; None for what cannot be one."""
    if found := _MAPPED.fullmatch(device):
        names = found[1].replace("--", "-"), found[2].replace("--", "-")
    elif (found := _GROUP_AND_VOLUME.fullmatch(device)) and found[1] not in _NOT_GROUPS:
        names = found[1], found[2]
    else:
        return None
    return None if any(name.startswith("-") for name in names) else names


def plan_domain(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> DomainPlan | None:
    """The guest's definition; None on bare metal. What its parent must have is for placement.py to say."""
    spec, release = host.spec, RELEASES[host.release]
    if spec.virt == "metal":
        for key, said in (("on", spec.on), ("candidates", spec.candidates)):
            if said:
                hint = f"set 'virt: xen' or 'virt: kvm' under 'assign:', or remove '{key}:'"
                faults.append(Fault((key,), "BF098", f"'{key}' is for guests, and this is metal", hint))
        return None
    vm, needed = spec.vm, release.memory
    if vm.memory < needed and not {"nomemcheck", "inst.nomemcheck"} & {*spec.install.args}:
        what = f"{release.title}'s installer refuses {vm.memory} MiB of memory"
        hint = f"give it {needed} MiB or more: the installer keeps its image in memory"
        faults.append(Fault(("vm", "memory"), "BF048", what, hint))
    _check_disks(host, faults)
    for nic in nics:
        if nic.kind == "physical" and nic.network and not nic.network.bridge:
            hint = "write 'bridge:' at the network in site.yaml"
            what = f"network {nic.network.name} has no bridge for a guest"
            faults.append(Fault(("nics", nic.name, "network"), "BF048", what, hint))
        elif nic.kind == "physical" and nic.network is None:
            what = f"nic {nic.name} is on no network, so no bridge of dom0 is known for it"
            faults.append(Fault(("nics", nic.name), "BF048", what, "write 'network:': the one of its untagged frames"))
    uefi = spec.machine.firmware == "uefi"
    if spec.virt == "kvm" and uefi and not release.virtio_modern:
        what = f"{release.title} has no UEFI as a KVM guest: it does not know the devices of q35, and pc has none"
        hint = "write 'machine: {firmware: bios}', or choose a later release"
        faults.append(Fault(("machine", "firmware"), "BF185", what, hint))
    if spec.hypervisor.kind:
        hint = "remove it, or 'virt:'"
        faults.append(Fault(("hypervisor", "kind"), "BF183", "a guest runs no guests", hint))
    return DomainPlan(
        name=host.name.text,
        hypervisor="kvm" if spec.virt == "kvm" else "xen",
        type=_type(host, release),
        uuid=vm.uuid,
        memory=vm.memory,
        vcpus=vm.vcpus,
        uefi=uefi,
        secure_boot=spec.machine.secure_boot,
        machine="q35" if release.virtio_modern else "pc",
        disks=tuple(DomainDisk(name, disk.backing, disk.size, disk.grow) for name, disk in sorted(vm.disks.items())),
        nics=tuple(
            DomainNic(nic.mac, nic.network.bridge)
            for nic in nics
            if nic.kind == "physical" and nic.mac and nic.network and nic.network.bridge
        ),
        network_first=vm.boot == "network-first",
        on=spec.on.text if spec.on else None,
        candidates=tuple(parent.text for parent in spec.candidates),
        autostart=vm.autostart,
    )


def _type(host: ResolvedHost, release: Release) -> Literal["pv", "hvm"]:
    return "hvm" if host.spec.virt == "kvm" else release.xen_type


def is_pv(host: ResolvedHost) -> bool:
    """Whether the host is a paravirtualized guest, which no firmware boots."""
    return host.spec.virt == "xen" and RELEASES[host.release].xen_type == "pv"


def _check_disks(host: ResolvedHost, faults: list[Fault]) -> None:
    """Their names, what backs them, and whether that can be made."""
    vm, (names, first) = host.spec.vm, _VDEV[host.spec.virt]
    if not vm.disks:
        hint = f"write 'vm: {{disks: {{{first}: {{backing: /dev/...}}}}}}'"
        faults.append(Fault((), "BF048", "a guest needs a disk", hint))
    for name, disk in vm.disks.items():
        path = ("vm", "disks", name)
        if not names.fullmatch(name):
            what = f"'{name}' is no disk that a guest of {host.spec.virt} sees"
            faults.append(Fault(path, "BF180", what, f"the first is {first}, the next {first[:-1]}b"))
        if not _DEVICE.fullmatch(disk.backing) or "/../" in f"{disk.backing}/":
            what = f"{disk.backing!r} is not a block device"
            faults.append(Fault((*path, "backing"), "BF048", what, "write it as in /dev/vg0/web01"))
        elif disk.size and not logical_volume(disk.backing):
            what = f"{disk.backing} has a size, and is no logical volume that could be made"
            faults.append(Fault((*path, "size"), "BF181", what, "remove 'size:', or write /dev/GROUP/VOLUME"))
        if disk.grow and not disk.size:
            what = f"disk {name} is to grow, and nothing says how large it is"
            faults.append(Fault((*path, "grow"), "BF181", what, "write 'size:' beside it"))
