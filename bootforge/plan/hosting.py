"""What a host of guests must be and have for the guests that are on it, or may be: only the whole fleet tells."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from bootforge.model import Path
from bootforge.plan.domain import logical_volume
from bootforge.plan.faults import Fault
from bootforge.plan.layout import default_group
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost

Hosts = Mapping[str, ResolvedHost]
Found = Iterator[tuple[str, Fault]]
_TITLES = {"xen": "Xen", "kvm": "KVM"}
_REMEDY = {
    "xen": "Xen is for EL5, EL6 and EL7 (Xen4CentOS) and Fedora; 'virt: kvm' is for EL7 and later",
    "kvm": "KVM is for EL7 and later; 'virt: xen' for EL5 to EL7",
}


def host_guests(hosts: Hosts, bridges: Mapping[str, str]) -> Found:
    """What stands in the way, as (host, fault): at the guest that names the host, or at what the host itself says.
    ``bridges``: of networks, by name."""
    there: dict[str, list[ResolvedHost]] = {}
    for name, guest in hosts.items():
        if guest.spec.virt == "metal" or guest.spec.state == "retired":
            continue
        for path, other in _parents(guest):
            parent = hosts.get(other)
            if parent and parent.spec.virt == "metal":
                yield from ((name, Fault(path, *why)) for why in _unable(guest, parent, bridges))
                if path == ("on",):
                    there.setdefault(other, []).append(guest)
    for name, host in hosts.items():
        kind = host.spec.hypervisor.kind
        if host.spec.virt == "metal" and kind and not _can(host, kind):
            yield name, Fault(("hypervisor", "kind"), "BF182", _cannot(host, kind), _REMEDY[kind])
        if guests := there.get(name):
            yield from _one_kind(host, guests)
            yield from ((name, fault) for fault in _memory(host, guests))
            yield from _groups(host, guests)


def _parents(guest: ResolvedHost) -> Iterator[tuple[Path, str]]:
    if guest.spec.on:
        yield ("on",), guest.spec.on.text
    yield from ((("candidates", one.text), one.text) for one in guest.spec.candidates if one != guest.spec.on)


def _can(host: ResolvedHost, kind: str) -> bool:
    release = RELEASES[host.release]
    return bool(release.dom0) if kind == "xen" else release.kvm


def _cannot(host: ResolvedHost, kind: str) -> str:
    return f"{RELEASES[host.release].title} of {host.name} cannot run guests of {_TITLES[kind]}"


def _unable(guest: ResolvedHost, parent: ResolvedHost, bridges: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Why a host cannot run a guest: code, message, remedy."""
    kind, release, below = guest.spec.virt, RELEASES[guest.release], RELEASES[parent.release]
    if not _can(parent, kind):
        if parent.spec.hypervisor.kind != kind:
            yield "BF182", _cannot(parent, kind), _REMEDY[kind]
        return
    needed, level = guest.x86_level or release.x86_level, parent.spec.machine.x86_level
    if level is not None and level < needed:
        what = f"{release.title} needs a processor of x86-64-v{needed}, and that of {parent.name} is of x86-64-v{level}"
        yield "BF184", what, "choose an earlier release, or another host for it"
    if guest.spec.machine.firmware == "uefi" and (below.dom0 == "xm" if kind == "xen" else not below.auto_firmware):
        what = f"{below.title} of {parent.name} has no UEFI for its guests"
        yield "BF185", what, "write 'machine: {firmware: bios}' at the guest, or choose another host for it"
    if kind == "kvm" and guest.spec.vm.uuid is None and guest.spec.on == parent.name:
        yield (
            "BF189",
            "libvirt keeps a guest by its UUID, and this one has none",
            "run 'bootforge lock', which draws one",
        )
    if kind == "xen" and below.dom0 == "xm":
        return  # xend makes the bridge (Xen 3: scripts/network-bridge)
    on = {nic.network for nic in parent.spec.nics.values()}  # what is not on it at all, placement.py tells
    there = {nic.device or name: nic.network for name, nic in parent.spec.nics.items() if nic.kind == "bridge"}
    for network in sorted({str(nic.network) for nic in guest.spec.nics.values() if nic.kind == "physical"}):
        bridge = bridges.get(network)
        if bridge and there.get(bridge) != network and network in on:
            what = f"{parent.name} has no bridge {bridge} on {network}, which the guest is plugged into"
            yield "BF186", what, f"give it a nic with 'kind: bridge' and 'device: {bridge}' on that network"


def _one_kind(host: ResolvedHost, guests: list[ResolvedHost]) -> Found:
    said = host.spec.hypervisor.kind
    kind, whose = (said, "it says so itself") if said else (guests[0].spec.virt, f"as {guests[0].name} is one")
    for guest in guests:
        if guest.spec.virt != kind:
            what = (
                f"{host.name} runs guests of {_TITLES[kind]} ({whose}), and this is one of {_TITLES[guest.spec.virt]}"
            )
            yield guest.name.text, Fault(("on",), "BF183", what, "put it on another host, or make them of one kind")


def _memory(host: ResolvedHost, guests: list[ResolvedHost]) -> Iterator[Fault]:
    whole, own = host.spec.machine.memory, host.spec.hypervisor.memory
    asked = sum(guest.spec.vm.memory for guest in guests)
    if whole is None or asked + (own or 0) <= whole:
        return
    largest = max(guests, key=lambda guest: guest.spec.vm.memory)
    what = f"it has {whole} MiB of memory{f', of which it keeps {own} MiB' if own else ''}"
    what += f", and its guests ask for {asked} MiB, {largest.name} alone for {largest.spec.vm.memory}"
    path = ("hypervisor", "memory") if own else ("machine", "memory")
    yield Fault(path, "BF187", what, "give guests less, or move some to another host")


def _groups(host: ResolvedHost, guests: list[ResolvedHost]) -> Found:
    """The volume groups in which its guests' disks are made: whether it has them, and room in them if that is known."""
    spec = host.spec
    known = {volume.vg: name for name, volume in spec.volumes.items() if volume.vg}
    own = {default_group(spec), *spec.volume_groups} if spec.scheme == "lvm" else set()
    asked: dict[str, int] = {}
    for guest in guests:
        for name, disk in sorted(guest.spec.vm.disks.items()):
            found = logical_volume(disk.backing)
            if not disk.size or not found:
                continue
            if found[0] not in known and found[0] not in own:
                what = f"{host.name} has no volume group {found[0]}"
                hint = f"it has: {', '.join(sorted({*known, *own})) or 'none'}"
                yield guest.name.text, Fault(("vm", "disks", name, "backing"), "BF188", what, hint)
            asked[found[0]] = asked.get(found[0], 0) + disk.size
    for group, volume in sorted(known.items()):
        size = spec.volumes[volume].size
        if size and asked.get(group, 0) > size:
            what = f"volume {volume} has {size} MiB, and guests' disks in {group} have {asked[group]} MiB"
            hint = "make it larger on the array, or put guests on another host"
            yield host.name.text, Fault(("volumes", volume, "size"), "BF188", what, hint)
