"""What is made of the disks: boot partitions, volume groups or plain partitions, mirrors, file systems."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count

from bootforge.errors import did_you_mean
from bootforge.model_storage import StorageLine
from bootforge.plan.bootargs import system_args
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault, written
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.schema import HostSpec
from bootforge.site.schema_storage import FilesystemSpec
from bootforge.words import WIPED, DiskNames, KsCommand

_SYSTEM = ("/", "/usr", "/var", "/etc", "/bin", "/sbin", "/lib", "/lib64")
"""A system that is installed anew does not stand what an older one left here."""


@dataclass(frozen=True, slots=True)
class Group:
    """Disks that are used together. ``disks``: their names in the site; ``names``: what the commands call them;
    ``system``: whether / is in it, and so /boot beside it."""

    name: str
    disks: tuple[str, ...]
    names: tuple[str | int, ...]
    preserve: bool
    system: bool
    filesystems: Mapping[str, FilesystemSpec]


def default_group(spec: HostSpec) -> str:
    """The volume group of file systems that name none: the first declared without disks, else ``system``."""
    return next((name for name, group in sorted(spec.volume_groups.items()) if not group.disks), "system")


def plan_groups(host: ResolvedHost, names: Mapping[str, tuple[str | int, ...]], faults: list[Fault]) -> list[Group]:
    """The groups, that of the system first; none when there is a fault. ``names``: of every disk of the site."""
    spec, before = host.spec, len(faults)
    declared = spec.volume_groups
    rest = sorted(set(spec.disks) - {disk for group in declared.values() for disk in group.disks})
    takers = [name for name, group in sorted(declared.items()) if not group.disks]
    default = default_group(spec)
    if len(takers) > 1:
        at = written(host, [("volume_groups", name) for name in takers])
        what = f"volume groups {' and '.join(takers)} both take the disks that no other names"
        faults.append(Fault(at, "BF087", what, f"write 'disks: [NAME]' at '{at[-1]}'"))
    _check_disks(host, faults)
    inside: dict[str, dict[str, FilesystemSpec]] = {name: {} for name in (default, *sorted(declared))}
    for name, filesystem in sorted(spec.filesystems.items()):
        group = filesystem.group or default
        if group in inside:
            inside[group][name] = filesystem
        else:
            hint = did_you_mean(group, inside) or f"declare it: 'volume_groups: {{{group}: {{disks: [NAME]}}}}'"
            faults.append(Fault(("filesystems", name, "group"), "BF087", f"no volume group {group!r}", hint))
    groups = []
    for name, filesystems in inside.items():
        said = declared.get(name)
        disks = said.disks if said and said.disks else tuple(rest) if name == default else ()
        used = tuple(disk for disk in sorted(disks) if disk in names)
        system = any(one.mount == "/" for one in filesystems.values())
        if not disks and not filesystems and not said:
            continue
        listed = tuple(one for disk in used for one in names[disk])
        groups.append(Group(name, used, listed, bool(said and said.preserve), system, filesystems))
    if default in declared and declared[default].disks:
        for disk in rest:
            what, hint = f"disk {disk} is in no volume group", "name it at one, or remove it"
            faults.append(Fault(("disks", disk), "BF087", what, hint))
    if len(faults) == before:
        for one in groups:
            _check_group(host, one, faults)
    return sorted(groups, key=lambda one: not one.system) if len(faults) == before else []


def storage_lines(host: ResolvedHost, groups: list[Group], mark: str, faults: list[Fault]) -> tuple[StorageLine, ...]:
    """The storage commands, in the order in which they are read. ``groups[0]`` is that of the system."""
    if not groups[0].system:
        return ()
    spec, release = host.spec, RELEASES[host.release]
    append = " ".join(system_args(host, faults)) or None
    every = tuple(name for group in groups for name in group.names)
    wiped: tuple[str | int, ...] = (WIPED,) if any(group.preserve for group in groups) else every
    arrays = _Arrays(release)
    gpt = release.blivet and spec.raid == "raid1" and spec.machine.firmware == "bios"
    system = groups[0].names
    always = [
        command("ignoredisk", only_use=DiskNames(every)),
        command("zerombr"),
        command("clearpart", all=True, initlabel=True, disklabel="gpt" if gpt else None, drives=DiskNames(wiped)),
        _bootloader(release, system if spec.raid == "raid1" else system[:1], append),
        *_boot(host, release, system, mark, arrays),
    ]
    lines = [StorageLine("", one) for one in always]
    suffixes = iter("bcdefghijklmnopqrstuvwxyz")
    for group in groups:
        mirrored = spec.raid == "raid1" and group.system
        if spec.scheme == "lvm":
            lines += _volumes(release, group, arrays if mirrored else None)
        else:
            label = None if group.system else mark + next(suffixes)
            lines += [StorageLine("", one) for one in _partitions(release, group, arrays if mirrored else None, label)]
    return tuple(lines)


class _Arrays:
    """Mirrors, each a command for every member and one that joins them. EL5 and EL6 number arrays."""

    def __init__(self, release: Release) -> None:
        self.release, self.numbers = release, count()

    def mirror(self, mount: str, name: str, disks: tuple[str | int, ...], **options: object) -> Iterator[KsCommand]:
        """``options``: size and grow of the members, fstype and label of the array."""
        size, grow = options.pop("size"), options.pop("grow", False)
        members = [f"raid.{name}.{number}" for number in range(1, len(disks) + 1)]
        for member, disk in zip(members, disks, strict=True):
            yield command("part", member, size=size, grow=grow, ondisk=DiskNames((disk,)))
        device = name if self.release.blivet else f"md{next(self.numbers)}"
        joined = command("raid", mount, device=device, level=1, **options)
        yield KsCommand("raid", (*joined.options, *command("", *members).options))


def _bootloader(release: Release, disks: tuple[str | int, ...], append: str | None) -> KsCommand:
    """Where /boot is a mirror, every installer puts the boot loader on each of its disks (anaconda, rhel5-branch:
    booty; rhel-9: pyanaconda/modules/storage/bootloader/base.py, install_targets)."""
    if release.boot_drive:
        return command("bootloader", boot_drive=DiskNames(disks[:1]), append=append)
    return command("bootloader", location="mbr", driveorder=DiskNames(disks), append=append)


def _boot(
    host: ResolvedHost, release: Release, disks: tuple[str | int, ...], mark: str, arrays: _Arrays
) -> Iterator[KsCommand]:
    """What the firmware needs, and /boot. ``reqpart`` asks the firmware, so that one kickstart serves BIOS and UEFI;
    it knows no mirrors. EL6's EFI system partition is on one disk even then: its anaconda mirrors none."""
    firmware, mirrored = host.spec.machine.firmware, host.spec.raid == "raid1"
    first = DiskNames(disks[:1])
    if not mirrored and release.reqpart:
        yield command("reqpart")
    elif firmware == "uefi" and mirrored and release.blivet:
        yield from arrays.mirror("/boot/efi", "boot-efi", disks, size=600, fstype="efi")
    elif firmware == "uefi" and release.uefi:
        yield command("part", "/boot/efi", fstype="efi", size=200, ondisk=first)
    elif mirrored and release.blivet:
        for number, disk in enumerate(disks):
            # pykickstart warns of one mount point twice; anaconda takes None for none at all
            # (rhel-9: pyanaconda/modules/storage/partitioning/custom/custom_partitioning.py).
            mount = "None" if number else "biosboot"
            yield command("part", mount, fstype="biosboot", size=1, ondisk=DiskNames((disk,)))
    size = 1024 if release.blivet else 512
    if mirrored:
        label = mark if release.blivet else None  # the bootstrap's step 'mark' sets it where raid has no --label
        yield from arrays.mirror("/boot", "boot", disks, size=size, fstype=release.fstype, label=label)
    else:
        primary = not release.blivet
        yield command("part", "/boot", fstype=release.fstype, size=size, asprimary=primary, label=mark, ondisk=first)


def _volumes(release: Release, group: Group, arrays: _Arrays | None) -> Iterator[StorageLine]:
    make, keep = (f"make:{group.name}", f"keep:{group.name}") if group.preserve else ("", "")
    if arrays:
        pvs = [f"pv.{group.name}"]
        made = [*arrays.mirror(pvs[0], f"pv-{group.name}", group.names, size=1024, grow=True)]
    else:
        pvs = [f"pv.{group.name}.{number}" for number in range(1, len(group.names) + 1)]
        made = [
            command("part", pv, size=1024, grow=True, ondisk=DiskNames((disk,)))
            for pv, disk in zip(pvs, group.names, strict=True)
        ]
    for one in (*made, command("volgroup", group.name, *pvs)):
        yield StorageLine(make, one)
    if group.preserve:
        yield StorageLine(keep, command("volgroup", group.name, useexisting=True, noformat=True))
    for name, filesystem in group.filesystems.items():
        where = {"vgname": group.name, "name": name, "fstype": filesystem.fstype or release.fstype}
        mount, volume = filesystem.mount or "swap", f"/{name}" if group.preserve else ""
        new = command("logvol", mount, **where, size=filesystem.size, grow=filesystem.grow, label=filesystem.label)
        yield StorageLine(make + volume, new)
        if group.preserve:
            yield StorageLine(keep + volume, command("logvol", mount, **where, useexisting=True, noformat=True))


def _partitions(release: Release, group: Group, arrays: _Arrays | None, label: str | None) -> Iterator[KsCommand]:
    """``label``: of the first file system that has none, so that the guard knows a disk without /boot."""
    for name, filesystem in group.filesystems.items():
        mount, fstype = filesystem.mount or "swap", filesystem.fstype or release.fstype
        said = filesystem.label
        if said is None and fstype != "swap":
            said, label = label, None
        options = {"fstype": fstype, "size": filesystem.size, "grow": filesystem.grow, "label": said}
        if arrays:
            yield from arrays.mirror(mount, f"fs-{name}", group.names, **options)
        else:
            yield command("part", mount, **options, ondisk=DiskNames(group.names))


def _check_disks(host: ResolvedHost, faults: list[Fault]) -> None:
    spec = host.spec
    groups: dict[str, list[str]] = {}
    for name, group in sorted(spec.volume_groups.items()):
        for disk in group.disks:
            groups.setdefault(disk, []).append(name)
    for disk, sharing in groups.items():
        paths = [("volume_groups", name, "disks", disk) for name in sharing]
        if disk not in spec.disks:
            hint = did_you_mean(disk, spec.disks) or f"declare it: 'disks: {{{disk}: ...}}'"
            faults.append(Fault(written(host, paths), "BF087", f"no disk {disk!r}", hint))
        elif len(sharing) > 1:
            what = f"disk {disk} is in volume groups {' and '.join(sharing)}"
            faults.append(Fault(written(host, paths), "BF087", what, "remove it from one of them"))


def _check_group(host: ResolvedHost, group: Group, faults: list[Fault]) -> None:
    spec, release = host.spec, RELEASES[host.release]
    declared = group.name in spec.volume_groups
    at = ("volume_groups", group.name) if declared else ("volume_groups",) if spec.volume_groups else ("disks",)
    if not group.disks:
        what = f"volume group {group.name} has no disk: other groups name them all"
        faults.append(Fault(at, "BF087", what, "declare one more disk, or write 'group:' at its file systems"))
    elif not group.filesystems and (spec.scheme == "plain" or not declared):
        what = f"no file system is on disk {' and '.join(group.disks)}"
        faults.append(Fault(at, "BF087", what, f"write 'group: {group.name}' at one, or remove the disk"))
    mirrored = spec.raid == "raid1" and group.system
    if spec.scheme == "plain" and not mirrored and len(group.names) > 1:
        what = f"plain partitions cannot span the {len(group.names)} disks of group {group.name}"
        faults.append(Fault(("scheme",), "BF087", what, "write 'scheme: lvm', or a volume group for each disk"))
    if mirrored and len(group.names) == 1:
        what = f"raid1 needs two disks or more; {group.name}, which holds /, has one"
        faults.append(Fault(("raid",), "BF088", what, "declare another disk, or write 'raid: none'"))
    if mirrored and release.uefi and spec.machine.firmware == "any":
        what = "raid1 needs to know the firmware, because each boots from partitions of its own"
        said = written(host, [path for path in (("raid",), ("layout",)) if path in host.merged.values])
        faults.append(Fault(said, "BF088", what, "write 'machine: {firmware: uefi}', or bios"))
    if group.preserve:
        _check_preserve(host, group, faults)


def _check_preserve(host: ResolvedHost, group: Group, faults: list[Fault]) -> None:
    path = ("volume_groups", group.name, "preserve")
    if host.spec.scheme == "plain":
        what = f"{group.name} cannot be preserved: only volume groups can, and the scheme is plain"
        at = written(host, [path, ("scheme",)])
        faults.append(Fault(at, "BF087", what, "write 'scheme: lvm', or 'preserve: false'"))
    for name, filesystem in group.filesystems.items():
        if filesystem.mount in _SYSTEM:
            what = f"{group.name} cannot be preserved: {name} is the system's {filesystem.mount}"
            hint = f"put {name} into another group, or write 'preserve: false'"
            faults.append(Fault(path, "BF087", what, hint))


def check_filesystems(host: ResolvedHost, release: Release, faults: list[Fault]) -> None:
    """Mount points and labels: each fits its file system, and none stands twice."""
    filesystems = host.spec.filesystems
    for name, filesystem in filesystems.items():
        path, mount = ("filesystems", name), filesystem.mount
        if (filesystem.fstype == "swap") == (mount is not None):
            what = "is swap and has a mount point" if mount else "has no mount point"
            hint = "remove 'mount:'" if mount else "write 'mount: /PATH', or 'fstype: swap'"
            faults.append(Fault((*path, "mount"), "BF046", f"filesystem {name} {what}", hint))
        elif mount and (mount == "/boot" or mount.startswith("/boot/")):
            hint = "every host has a partition for it; leave it out"
            faults.append(Fault((*path, "mount"), "BF046", f"{mount} is not yours to make", hint))
        elif mount and (not mount.startswith("/") or posixpath.normpath(mount) != mount or mount.startswith("//")):
            hint = "write an absolute path in its shortest form, as in /var/lib"
            faults.append(Fault((*path, "mount"), "BF046", f"{mount!r} is not a mount point", hint))
        _check_label(host, name, filesystem, release, faults)
    for key, verb in (("mount", "mounted at"), ("label", "labelled")):
        values = {name: value for name, one in filesystems.items() if (value := getattr(one, key))}
        for names in equal(values):
            what = f"{' and '.join(names)} are both {verb} {values[names[0]]}"
            at = written(host, [("filesystems", name, key) for name in names])
            remedy = "give each a mount point of its own" if key == "mount" else "give each a label of its own"
            faults.append(Fault(at, "BF046" if key == "mount" else "BF089", what, remedy))
    if not any(one.mount == "/" for one in filesystems.values()):
        hint = "choose a layout that has it, or write 'filesystems: {root: {mount: /, size: 8GiB}}'"
        faults.append(Fault(("filesystems",), "BF046", "nothing is mounted at /", hint))


def _check_label(
    host: ResolvedHost, name: str, filesystem: FilesystemSpec, release: Release, faults: list[Fault]
) -> None:
    label, path = filesystem.label, ("filesystems", name, "label")
    if label is None:
        return
    fstype = filesystem.fstype or release.fstype
    room = 12 if fstype == "xfs" else 16
    if len(label) > room:
        what = f"label {label!r} has {len(label)} characters; {fstype} takes {room}"
        faults.append(Fault(path, "BF089", what, "write a shorter one"))
    if label.startswith("bf-"):
        faults.append(Fault(path, "BF089", f"label {label!r} looks like a disk guard's mark", "begin it otherwise"))
    mirrored = host.spec.raid == "raid1"
    if not release.blivet and (host.spec.scheme == "lvm" or mirrored):
        what = f"{release.name}'s installer labels plain partitions only"
        faults.append(Fault(path, "BF089", what, "remove 'label:', or write 'scheme: plain'"))


def equal(values: Mapping[str, str]) -> list[list[str]]:
    """Names that share a value, sorted."""
    groups: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        groups.setdefault(value, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
