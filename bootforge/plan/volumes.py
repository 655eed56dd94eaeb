"""Volumes beside each other and beside the system's own disks: what would collide, and what would be lost."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator

from bootforge.model import Path
from bootforge.plan.faults import Fault, written
from bootforge.plan.layout import default_group
from bootforge.resolve import ResolvedHost
from bootforge.site.schema import HostSpec
from bootforge.site.schema_storage import VolumeSpec

_EARLY = ("/", "/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/run", "/sbin", "/sys", "/usr")
"""What a system needs before its network, so that no volume can be mounted there."""
_ALIAS = re.compile(r"control|mpath[a-z]+|mpath[0-9]+")
"""Names below /dev/mapper that device-mapper and multipath's user_friendly_names give out themselves."""


def check_volumes(host: ResolvedHost, faults: list[Fault]) -> None:
    """Everything about a host's volumes that needs no array to be known."""
    for name, spec in sorted(host.spec.volumes.items()):
        faults += _alone(host, name, spec)
    faults += _together(host)


def _alone(host: ResolvedHost, name: str, spec: VolumeSpec) -> Iterator[Fault]:
    path = ("volumes", name)
    made = spec.mount or spec.fs or spec.vg
    if spec.wwid is None and made:
        hint = "'multipath -ll' on a host that sees it prints it; of many arrays it is a 3 and the volume's own number"
        yield Fault((*path, "wwid"), "BF096", f"volume {name} has no WWID, so it could be any disk", hint)
    elif spec.wwid is None and spec.target is None:
        yield Fault(path, "BF096", f"volume {name} has neither a WWID nor a target", "write 'wwid:' or 'target:'")
    if spec.lv and not spec.vg:
        yield Fault((*path, "lv"), "BF096", f"volume {name} has a logical volume, but no group", "write 'vg:'")
    if spec.vg and not spec.lv and (spec.mount or spec.fs):
        what, hint = f"volume {name} has a file system in group {spec.vg}, but no logical volume", "write 'lv:'"
        yield Fault((*path, "vg"), "BF096", what, hint)
    if _ALIAS.fullmatch(name):
        hint = "name it for what it holds, as in data"
        yield Fault(path, "BF096", f"'{name}' is a name that multipath or device-mapper gives out itself", hint)
    if spec.vg and spec.vg in _system_groups(host.spec):
        what = f"group {spec.vg} is the system's own"
        yield Fault((*path, "vg"), "BF096", what, "give the volume's group another name")
    yield from _mount(host, name, spec)


def _mount(host: ResolvedHost, name: str, spec: VolumeSpec) -> Iterator[Fault]:
    mount, path = spec.mount, ("volumes", name, "mount")
    others = [other.text for other in spec.shared_by if other != host.name]
    if mount is None:
        return
    if not mount.startswith("/") or posixpath.normpath(mount) != mount or mount.startswith("//"):
        hint = "write an absolute path in its shortest form, as in /var/lib"
        yield Fault(path, "BF096", f"{mount!r} is not a mount point", hint)
    elif mount in _EARLY or mount.startswith(("/boot/", "/dev/", "/proc/", "/sys/")):
        hint = "mount it below /srv or /var"
        yield Fault(path, "BF096", f"{mount} is needed before the network is there", hint)
    elif others:
        what = f"volume {name} is shared with {', '.join(others)}, and would be mounted at each of them"
        yield Fault(
            path, "BF096", what, "two hosts destroy a file system that both mount; leave 'mount' to the cluster"
        )


def _together(host: ResolvedHost) -> Iterator[Fault]:
    volumes = host.spec.volumes
    values: dict[tuple[str, str], list[Path]] = {}
    for name, filesystem in host.spec.filesystems.items():
        if filesystem.mount:
            values.setdefault(("are both mounted at", filesystem.mount), []).append(("filesystems", name, "mount"))
    for name, spec in volumes.items():
        for key, what, said in (
            ("mount", "are both mounted at", spec.mount),
            ("wwid", "are both", spec.wwid),
            ("target", "are both", f"{spec.target} LUN {spec.lun or 0}" if spec.target else None),
            ("lv", "are both", f"{spec.vg}/{spec.lv}" if spec.lv else None),
        ):
            if said:
                values.setdefault((what, said), []).append(("volumes", name, key))
    for (what, value), paths in values.items():
        if len(paths) > 1 and any(path[0] == "volumes" for path in paths):
            paths = sorted(paths)
            names = " and ".join(path[1] for path in paths)
            yield Fault(written(host, paths), "BF096", f"{names} {what} {value}", "give each its own")
    groups: dict[str, str] = {}
    for name, spec in sorted(volumes.items()):
        first = groups.setdefault(spec.vg, name) if spec.vg else name
        if first != name and spec.lv != volumes[first].lv:
            what = f"{first} and {name} are both to be the group {spec.vg}"
            yield Fault(("volumes", name, "vg"), "BF096", what, "give each its own")
    mapped = {mapped_name(spec.vg, spec.lv): f"{spec.vg}/{spec.lv}" for spec in volumes.values() if spec.vg and spec.lv}
    mapped |= {mapped_name(vg, lv): f"{vg}/{lv}" for vg in _system_groups(host.spec) for lv in host.spec.filesystems}
    for name in sorted(volumes.keys() & mapped):
        what = f"volume {name} and logical volume {mapped[name]} would both be /dev/mapper/{name}"
        yield Fault(("volumes", name), "BF096", what, "give one of them another name")


def mapped_name(group: str, logical: str) -> str:
    """What device-mapper calls a logical volume: a dash parts group and volume, and is doubled inside."""
    return f"{group.replace('-', '--')}-{logical.replace('-', '--')}"


def _system_groups(spec: HostSpec) -> set[str]:
    """The volume groups that the installer makes."""
    return {default_group(spec), *spec.volume_groups}
