"""Guests and the hosts that run them, and other hosts that a host names: only the whole fleet knows those."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping

from bootforge.errors import did_you_mean
from bootforge.model import Path
from bootforge.plan.faults import Fault
from bootforge.plan.fleet import Shared
from bootforge.plan.layout import default_group
from bootforge.resolve import ResolvedHost

Hosts = Mapping[str, ResolvedHost]
Found = Iterator[tuple[str, Fault]]
_SHARED = "what two systems write to is destroyed; give each disk a device of its own"
_DOM0_NEEDS = "a guest needs a disk of its own: dom0 uses this one itself"


def place_guests(hosts: Hosts, known: Collection[str]) -> Found:
    """What stands between guests and their parents, as (host, fault); and names of hosts that are not ``known``."""
    for name, host in hosts.items():
        spec = host.spec
        for path, other in _named(host):
            if other not in known:
                hint = did_you_mean(other, known) or "declare it in a file below hosts/"
                yield name, Fault(path, "BF021", f"no host '{other}'", hint)
        if spec.virt == "metal":
            continue
        if spec.on and spec.candidates and spec.on not in spec.candidates:
            what = f"{spec.on} is not one of its candidates"
            yield name, Fault(("on",), "BF098", what, "add it to 'candidates:', or leave one of the two out")
        for path, other in _parents(host):
            if other in hosts:
                yield from ((name, Fault(path, "BF098", *why)) for why in _unfit(host, hosts[other]))


def _parents(host: ResolvedHost) -> Iterator[tuple[Path, str]]:
    if host.spec.on:
        yield ("on",), host.spec.on.text
    for parent in host.spec.candidates:
        if parent != host.spec.on:
            yield ("candidates", parent.text), parent.text


def _named(host: ResolvedHost) -> Iterator[tuple[Path, str]]:
    """Every other host that a host names."""
    yield from _parents(host)
    for volume, spec in host.spec.volumes.items():
        yield from ((("volumes", volume, "shared_by", other.text), other.text) for other in spec.shared_by)


def _unfit(guest: ResolvedHost, parent: ResolvedHost) -> Iterator[tuple[str, str]]:
    """Why a host cannot run a guest, each with a remedy."""
    if parent.name == guest.name:
        yield "a guest cannot run on itself", "name the dom0 that runs it"
        return
    if parent.spec.virt != "metal":
        yield f"{parent.name} is a guest itself", "name the dom0 that runs it"
        return
    there = {nic.network for nic in parent.spec.nics.values()}
    for name, nic in sorted(guest.spec.nics.items()):
        if nic.network not in there:
            what = f"{parent.name} is not on {nic.network}, which nic {name} needs"
            yield what, "give the parent a nic on it, or the guest another parent"


def shared_devices(hosts: Hosts) -> Iterator[Shared]:
    """Block devices of one dom0 that two guests would write to, or a guest and dom0 itself."""
    owners: dict[tuple[str, str], tuple[str, Path]] = {}
    for name, host in hosts.items():
        parent = hosts.get(host.spec.on.text) if host.spec.on else None
        if parent is None or host.spec.virt == "metal":
            continue
        for disk, spec in sorted(host.spec.vm.disks.items()):
            device, path = _canonical(spec.backing), ("vm", "disks", disk, "backing")
            what = f"{spec.backing} on {parent.name}"
            first = owners.setdefault((parent.name.text, device), (name, path))
            if first != (name, path):
                yield Shared(*first, name, path, what, hint=_SHARED)
            elif at := _own(parent, device):
                yield Shared(parent.name.text, at, name, path, what, hint=_DOM0_NEEDS)


def _own(parent: ResolvedHost, device: str) -> Path | None:
    """What of dom0's own a device is: a disk or a part of one, a file system, or a volume that it uses itself."""
    spec = parent.spec
    for name, disk in spec.disks.items():
        if disk.path and re.fullmatch(_whole_or_part(disk.path), device):
            return "disks", name, "path"
    for name, filesystem in spec.filesystems.items():
        if device == f"/dev/{filesystem.group or default_group(spec)}/{name}":
            return "filesystems", name, "size"
    for name, volume in spec.volumes.items():
        used = volume.vg or volume.mount
        if (used and device == f"/dev/{name}") or (volume.mount and device == f"/dev/{volume.vg}/{volume.lv}"):
            return "volumes", name, "array"
    return None


def _whole_or_part(disk: str) -> str:
    """A disk and its partitions, as the kernel and udev name them: sda1, nvme0n1p1, by-id/x-part1."""
    return rf"{re.escape(disk)}(?:{'p' if disk[-1].isdigit() else ''}[0-9]+|-part[0-9]+)?"


def _canonical(device: str) -> str:
    """One name for a device: /dev/mapper/a--b-c and /dev/a-b/c are one logical volume; /dev/mapper/x is x."""
    if not device.startswith("/dev/mapper/"):
        return device
    group, dash, logical = device.removeprefix("/dev/mapper/").replace("--", "\0").partition("-")
    return f"/dev/{group}{'/' if dash else ''}{logical}".replace("\0", "-")
