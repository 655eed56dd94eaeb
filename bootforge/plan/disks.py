"""Which disks the installer may use, and what it makes of them."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping

from bootforge.model import KsCommand
from bootforge.plan.bootargs import system_args
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault, written
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost


def plan_disks(host: ResolvedHost, faults: list[Fault]) -> tuple[KsCommand, ...]:
    """The named disks alone are used and wiped. ``reqpart``, where the release has it, makes what the firmware
    needs, so that one kickstart serves BIOS and UEFI; /boot is a partition; the rest is one volume group."""
    spec, release = host.spec, RELEASES[host.release]
    disks = [disk.path.removeprefix("/dev/") for _, disk in sorted(spec.disks.items())]
    group, pvs = spec.volume_group, [f"pv.{name}" for name in sorted(spec.disks)]
    if not disks:
        hint = "choose a layout that has one, or write 'disks: {system: {path: /dev/sda}}'"
        faults.append(Fault(("disks",), "BF046", "no disk to install to", hint))
        return ()
    for names in _equal({name: disk.path for name, disk in spec.disks.items()}):
        what = f"disks {' and '.join(names)} are both {spec.disks[names[0]].path}"
        at = written(host, [("disks", name, "path") for name in names])
        faults.append(Fault(at, "BF046", what, "remove one of them"))
    _check_mounts(host, faults)
    return (
        command("ignoredisk", only_use=",".join(disks)),
        command("zerombr"),
        command("clearpart", all=True, initlabel=True, drives=",".join(disks)),
        _bootloader(release, disks[0], " ".join(system_args(host, faults)) or None),
        _boot_partitions(release, disks[0]),
        *(command("part", pv, size=1024, grow=True, ondisk=disk) for pv, disk in zip(pvs, disks, strict=True)),
        command("volgroup", group, *pvs),
        *(
            command(
                "logvol",
                filesystem.mount or "swap",
                vgname=group,
                name=name,
                fstype=filesystem.fstype or release.fstype,
                size=filesystem.size,
                grow=filesystem.grow,
            )
            for name, filesystem in sorted(spec.filesystems.items())
        ),
    )


def _bootloader(release: Release, disk: str, append: str | None) -> KsCommand:
    if release.boot_drive:
        return command("bootloader", boot_drive=disk, append=append)
    return command("bootloader", location="mbr", driveorder=disk, append=append)


def _boot_partitions(release: Release, disk: str) -> KsCommand:
    if release.reqpart:
        return command("reqpart", add_boot=True)
    return command("part", "/boot", fstype=release.fstype, size=512, asprimary=True, ondisk=disk)


def _check_mounts(host: ResolvedHost, faults: list[Fault]) -> None:
    filesystems = host.spec.filesystems
    for name, filesystem in filesystems.items():
        path, mount = ("filesystems", name), filesystem.mount
        if (filesystem.fstype == "swap") == (mount is not None):
            what = "is swap and has a mount point" if mount else "has no mount point"
            hint = "remove 'mount:'" if mount else "write 'mount: /PATH', or 'fstype: swap'"
            faults.append(Fault((*path, "mount"), "BF046", f"filesystem {name} {what}", hint))
        elif mount and (mount == "/boot" or mount.startswith("/boot/")):
            hint = "every host has a partition for it; leave it out"
            faults.append(Fault((*path, "mount"), "BF046", f"{mount} cannot be in a volume group", hint))
        elif mount and (not mount.startswith("/") or posixpath.normpath(mount) != mount or mount.startswith("//")):
            hint = "write an absolute path in its shortest form, as in /var/lib"
            faults.append(Fault((*path, "mount"), "BF046", f"{mount!r} is not a mount point", hint))
    mounts = {name: one.mount for name, one in filesystems.items() if one.mount}
    for names in _equal(mounts):
        what = f"{' and '.join(names)} are both mounted at {mounts[names[0]]}"
        at = written(host, [("filesystems", name, "mount") for name in names])
        faults.append(Fault(at, "BF046", what, "give each a mount point of its own"))
    if "/" not in mounts.values():
        hint = "choose a layout that has it, or write 'filesystems: {root: {mount: /, size: 8GiB}}'"
        faults.append(Fault(("filesystems",), "BF046", "nothing is mounted at /", hint))


def _equal(values: Mapping[str, str]) -> list[list[str]]:
    """Names that share a value, sorted."""
    groups: dict[str, list[str]] = {}
    for name, value in sorted(values.items()):
        groups.setdefault(value, []).append(name)
    return [names for names in groups.values() if len(names) > 1]
