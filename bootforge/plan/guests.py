"""What a host of guests does for them: memory of its own, the logical volumes of their disks, their definitions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from bootforge.model import DomainPlan
from bootforge.model_steps import Step, whole_file
from bootforge.plan.domain import logical_volume
from bootforge.plan.faults import Fault
from bootforge.plan.libvirt import libvirt_xml
from bootforge.plan.security import LIVE
from bootforge.plan.xencfg import xl, xm
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.words import Arg

Kind = Literal["xen", "kvm"]

KEPT = ("active", "held")
"""States of a guest whose definition its host has. A planned one is not there yet, a retired one not any more."""

DEFINED = "/etc/bootforge/libvirt"
"""Where a host of KVM guests keeps what was defined."""


def plan_guests(host: ResolvedHost, guests: tuple[DomainPlan, ...], faults: list[Fault]) -> tuple[Step, ...]:
    """The steps of a host of guests; none of any other. Whether it can be one is for placement.py to say, and so it is
    when its guests are of both kinds."""
    spec, release = host.spec, RELEASES[host.release]
    kinds: set[Kind] = {guest.hypervisor for guest in guests}
    if spec.hypervisor.kind and spec.virt == "metal":
        kinds.add("kvm" if spec.hypervisor.kind == "kvm" else "xen")
    if spec.hypervisor.memory and not kinds and spec.virt != "metal":
        hint = "a guest's memory is 'vm: {memory: ...}'"
        faults.append(Fault(("hypervisor", "memory"), "BF183", "a guest runs no guests", hint))
    if len(kinds) != 1:
        return ()
    if kinds == {"kvm"}:
        return (*_disks(guests), *_kvm(guests))
    uefi = any(guest.uefi for guest in guests)
    return (*_memory(host, release), *_disks(guests), *(() if uefi and release.dom0 == "xm" else _xen(release, guests)))


def _memory(host: ResolvedHost, release: Release) -> Iterator[Step]:
    """``dom0_mem`` (xen-command-line): with a maximum, dom0 keeps no room for memory that it never gets. Xen 3 knows
    the amount only."""
    if memory := host.spec.hypervisor.memory:
        word = f"dom0_mem={memory}M" + ("" if release.dom0 == "xm" else f",max:{memory}M")
        loader = "grub2" if release.systemd else "grub"
        notify = ("grub",) if release.systemd else ()
        yield Step("xen-memory", "xen_memory", (loader, word), ("hypervisor", "memory"), notify=notify)


def _disks(guests: tuple[DomainPlan, ...]) -> Iterator[Step]:
    for guest in guests:
        for disk in guest.disks:
            if disk.size and (found := logical_volume(disk.backing)):
                args: tuple[Arg, ...] = (*found, disk.size, "grow" if disk.grow else "")
                yield Step(f"guest-disks:{guest.name}/{disk.vdev}", "guest_disk", args, ("hypervisor",), LIVE)


def _xen(release: Release, guests: tuple[DomainPlan, ...]) -> Iterator[Step]:
    """xm finds a guest by the name of its file, xendomains by links. What has left is taken away before what came is
    written: who was killed between the two knows still what was there."""
    suffix, form = ("", xm) if release.dom0 == "xm" else (".cfg", xl)
    args: list[Arg] = [release.dom0, suffix]
    for guest in guests:
        args += [guest.name, "auto" if guest.autostart else ""]
    yield Step("guests", "xen_guests", tuple(args), ("hypervisor",))
    for guest in guests:
        yield whole_file(
            f"guests:{guest.name}", f"/etc/xen/{guest.name}{suffix}", form(guest), ("hypervisor",), mode="600"
        )


def _kvm(guests: tuple[DomainPlan, ...]) -> Iterator[Step]:
    names = tuple(guest.name for guest in guests)
    yield Step("guests", "kvm_guests", names, ("hypervisor",), LIVE)
    for guest in guests:
        id, file = f"guests:{guest.name}", f"{DEFINED}/{guest.name}.xml"
        yield whole_file(id, file, libvirt_xml(guest), ("hypervisor",), mode="600")
        args = (guest.name, "auto" if guest.autostart else "")
        yield Step(f"guests-defined:{guest.name}", "kvm_guest", args, ("hypervisor",), LIVE, needs=(id,))
