"""Which disks the installer may use: by path, or by what they are, which only %pre can find out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

from bootforge.model_storage import DiskPlan
from bootforge.plan.faults import Fault, written
from bootforge.plan.layout import Group, check_filesystems, equal, plan_groups, storage_lines
from bootforge.plan.shared import shared
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.schema_storage import DiskSpec
from bootforge.words import Call, KsCommand

_CRITERIA = ("id", "wwn", "serial", "min_size", "max_size")
_BY_UDEV = ("id", "wwn", "serial")
_ONE_DISK = ("path", "id", "wwn")

_NO_MARK = "bf-00000000"

Disks = tuple[tuple[KsCommand, ...], DiskPlan]


def plan_disks(host: ResolvedHost, guard: str, faults: list[Fault]) -> Disks:
    """The storage commands, and what %pre does before a disk is touched. The commands are empty where they depend
    on what %pre finds: it writes ``DiskPlan.lines`` then. ``guard``: the site's policy."""
    spec = host.spec
    settings = (spec.disks, spec.volume_groups, spec.filesystems, spec.machine, spec.install)
    words = ("disks", spec.scheme, spec.raid, host.release, guard, spec.kernel_args, spec.console or "")
    static, labelled, plan = shared(host, (*words, *settings), faults, lambda: _plan_disks(host, guard, faults))
    mark = mark_of(host)
    lines = [*plan.lines]
    for at in labelled:
        lines[at] = replace(lines[at], command=_marked(lines[at].command, mark))
    if static:
        return tuple(line.command for line in lines), replace(plan, mark=mark, lines=())
    return (), replace(plan, mark=mark, lines=tuple(lines))


def _marked(command: KsCommand, mark: str) -> KsCommand:
    """A command with the host's mark in its labels."""
    options = tuple(
        replace(one, value=one.value.replace(_NO_MARK, mark)) if isinstance(one.value, str) else one
        for one in command.options
    )
    return replace(command, options=options)


def _has_mark(command: KsCommand) -> bool:
    return any(isinstance(one.value, str) and one.value.startswith(_NO_MARK) for one in command.options)


def _plan_disks(host: ResolvedHost, guard: str, faults: list[Fault]) -> tuple[bool, tuple[int, ...], DiskPlan]:
    """The plan for any host of these settings, with ``_NO_MARK`` for its mark. Also whether its lines need nothing that
    %pre finds, and which of them have the mark in them."""
    spec, release, mark = host.spec, RELEASES[host.release], _NO_MARK
    if not spec.disks:
        hint = "choose a layout that has one, or write 'disks: {system: {path: /dev/sda}}'"
        faults.append(Fault(("disks",), "BF046", "no disk to install to", hint))
        return True, (), DiskPlan(mark, guard, (), (), (), (), ())
    for name, disk in sorted(spec.disks.items()):
        _check_disk(name, disk, release, faults)
    _check_apart(host, faults)
    check_filesystems(host, release, faults)
    by_path = all(disk.path for disk in spec.disks.values())
    static = by_path and not any(group.preserve for group in spec.volume_groups.values())
    names, numbers = {}, {}
    first = 1
    for name, disk in sorted(spec.disks.items()):
        numbers[name] = tuple(range(first, first + disk.count))
        names[name] = (str(disk.path).removeprefix("/dev/"),) if static else numbers[name]
        first += disk.count
    groups = plan_groups(host, names, faults)
    lines = storage_lines(host, groups, mark, faults) if groups else ()
    finds = tuple(Call("find", (numbers[name][0], name, *_wanted(disk))) for name, disk in sorted(spec.disks.items()))
    decides = tuple(Call("group", _grouped(group, numbers)) for group in groups)
    lvm = spec.scheme == "lvm"
    tagged = tuple(group.name for group in groups if lvm and not group.preserve)
    labelled = tuple(at for at, line in enumerate(lines) if _has_mark(line.command))
    return static, labelled, DiskPlan(mark, guard, tuple(range(1, first)), finds, decides, lines, tagged)


def mark_of(host: ResolvedHost) -> str:
    """The label of the host's /boot, by which the guard knows a disk for its own: within xfs's 12 characters, and
    the same whatever the host is called, once it has an id."""
    identity = host.spec.id or host.name.text
    return "bf-" + hashlib.sha256(str(identity).encode()).hexdigest()[:8]


def _wanted(disk: DiskSpec) -> Iterator[str | int]:
    """The arguments of bf_find that say which disks: how many, and KEY=VALUE for each criterion; sizes in MiB."""
    yield disk.count
    for key in ("path", *_CRITERIA):
        if (value := getattr(disk, key)) is not None:
            yield f"{key}={value}"


def _grouped(group: Group, numbers: dict[str, tuple[int, ...]]) -> tuple[str | int, ...]:
    disks = [number for disk in group.disks for number in numbers[disk]]
    return group.name, "keep" if group.preserve else "make", *disks, "--", *sorted(group.filesystems)


def _check_disk(name: str, disk: DiskSpec, release: Release, faults: list[Fault]) -> None:
    path = ("disks", name)
    said = _said(disk)
    if disk.path and said:
        hint = f"keep one; 'path-:' beside '{said[0]}:' takes away a path that a layout says"
        faults.append(Fault((*path, said[0]), "BF086", f"disk {name} has a path and more", hint))
    elif not disk.path and not said:
        hint = "write 'path: /dev/sda', or what it is: id, wwn, serial, min_size, max_size"
        faults.append(Fault(path, "BF086", f"nothing says which disk {name} is", hint))
    if disk.min_size and disk.max_size and disk.min_size > disk.max_size:
        what = f"disk {name} would be larger than its max_size"
        faults.append(Fault((*path, "min_size"), "BF086", what, "write the smaller size as min_size"))
    if disk.count > 1 and (unique := next((key for key in _ONE_DISK if getattr(disk, key)), None)):
        what = f"disk {name} is {disk.count} disks of one {unique}"
        faults.append(Fault((*path, "count"), "BF086", what, f"remove 'count:' or '{unique}:'"))
    for key in _BY_UDEV if not release.udev else ():
        if getattr(disk, key):
            what = f"{release.name}'s installer cannot tell a disk's {key}"
            faults.append(Fault((*path, key), "BF086", what, "say path, min_size or max_size"))


def _check_apart(host: ResolvedHost, faults: list[Fault]) -> None:
    """Names that cannot stand for different disks. Whatever fits the stricter of two fits the other one too, so on
    the machine there is a tie, or one disk is found twice."""
    disks = host.spec.disks
    for names in equal({name: disk.path for name, disk in disks.items() if disk.path}):
        what = f"disks {' and '.join(names)} are both {disks[names[0]].path}"
        at = written(host, [("disks", name, "path") for name in names])
        faults.append(Fault(at, "BF046", what, "remove one of them"))
    told = set()
    for strict, one in sorted(disks.items()):
        for loose, other in sorted(disks.items()):
            pair = frozenset((strict, loose))
            if strict != loose and pair not in told and not one.path and not other.path and _implies(one, other):
                told.add(pair)
                what = f"whatever is disk {strict} is disk {loose} as well"
                at = written(host, [("disks", name, key) for name in (strict, loose) for key in _said(disks[name])])
                faults.append(Fault(at, "BF086", what, "say what tells them apart, or one name with 'count:'"))


def _said(disk: DiskSpec) -> list[str]:
    return [key for key in _CRITERIA if getattr(disk, key) is not None]


def _implies(one: DiskSpec, other: DiskSpec) -> bool:
    """Whether every disk that fits ``one`` fits ``other``."""
    if not _said(one) or not _said(other):
        return False
    exact = all(getattr(other, key) in (None, getattr(one, key)) for key in _BY_UDEV)
    above = other.min_size is None or (one.min_size is not None and one.min_size >= other.min_size)
    below = other.max_size is None or (one.max_size is not None and one.max_size <= other.max_size)
    return exact and above and below
