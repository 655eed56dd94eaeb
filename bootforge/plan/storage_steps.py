"""The storage network as steps of the bootstrap: what can be configured before the first boot is configured in every
phase, what needs the array in phases boot and run."""

from __future__ import annotations

from collections.abc import Iterator

from bootforge.model import Nic
from bootforge.model_steps import Phase, Step, whole_file
from bootforge.model_storage import StoragePlan, VolumePlan
from bootforge.plan.faults import Fault
from bootforge.plan.iscsi import CONF, conf_edits
from bootforge.plan.multipath import FILE, multipath_conf
from bootforge.plan.volumes import mapped_name
from bootforge.releases import RELEASES, Release
from bootforge.required import lacking
from bootforge.resolve import ResolvedHost
from bootforge.words import Arg

LIVE: tuple[Phase, ...] = ("boot", "run")
_AT = ("volumes",)
_FIRST = ("storage-nics", "storage-devices", "packages")
"""A machine that is not the one that was planned is not touched."""


def plan_storage_steps(
    host: ResolvedHost, nics: tuple[Nic, ...], plan: StoragePlan | None, faults: list[Fault]
) -> tuple[Step, ...]:
    """Every step of a host's storage but the first, in order; none for a host without volumes."""
    if plan is None:
        return ()
    release = RELEASES[host.release]
    _check_services(host, plan, release, faults)
    edits = host.spec.edits.get(CONF)
    for key, _ in plan.settings if edits else ():
        if edits and key in edits.settings:
            what = f"{key} is set by the host's storage"
            faults.append(Fault(("edits", CONF, "settings", key), "BF167", what, "drop it"))
    for name, path in lacking(host.merged, host.release):
        what = f"its volumes need the package {name}, which '{path[0]}' keeps away"
        faults.append(Fault(path, "BF165", what, "drop that, or the volumes"))
    return tuple(
        one
        for steps in (
            _devices(plan),
            _iscsi(plan),
            _disks(plan, release),
            _services(plan, release),
            _live(plan, nics, release),
        )
        for one in steps
    )


def storage_nics(plan: StoragePlan, nics: tuple[Nic, ...]) -> tuple[Step, frozenset[str]]:
    """The step that comes before all others that depend on which nic is which, because a wrong MAC address must not get
    into a profile or a rule either: each nic for iSCSI, and the hardware that it is made of. And the names of all of
    them."""
    words: list[Arg] = []
    for iface in plan.ifaces:
        if iface.mac:
            words += ["own", iface.name, iface.mac]
    by_name = {nic.name: nic for nic in nics}
    below = [by_name[iface.name] for iface in plan.ifaces if not iface.mac and iface.name in by_name]
    names = {iface.name for iface in plan.ifaces}
    hard: dict[str, Nic] = {}
    while below:
        nic = below.pop()
        names.add(nic.name)
        if nic.kind == "physical":
            hard[nic.name] = nic
        below += [by_name[name] for name in nic.below]
    for name, nic in sorted(hard.items()):
        words += ["mac", name, nic.mac] if nic.mac else []
    return Step("storage-nics", "storage_nics", tuple(words), ("nics",)), frozenset(names)


def _devices(plan: StoragePlan) -> Iterator[Step]:
    """Nics that go by their names. Their profiles do not wait for this: without those there would be none."""
    words: list[Arg] = []
    for iface in plan.ifaces:
        if not iface.mac and iface.device:
            words += ["device", iface.name, iface.device]
    if words:
        yield Step("storage-devices", "storage_nics", tuple(words), ("nics",), LIVE, needs=("storage-nics",))


def _iscsi(plan: StoragePlan) -> Iterator[Step]:
    if plan.initiator:
        file, text = "/etc/iscsi/initiatorname.iscsi", f"InitiatorName={plan.initiator}\n"
        notify = ("restart:iscsid",)
        yield whole_file("iscsi-initiator", file, text, ("initiator",), mode="600", needs=_FIRST, notify=notify)
    yield Step("iscsi-conf", "edits", (CONF,), _AT, needs=_FIRST, content=conf_edits(plan.settings))
    words: list[Arg] = []
    for iface in plan.ifaces:
        key = "iface.hwaddress" if iface.mac else "iface.net_ifacename"
        words += [iface.name, key, iface.mac or str(iface.device)]
    yield Step("iscsi-ifaces", "iscsi_ifaces", tuple(words), ("nics",), needs=_FIRST)
    if names := _secrets(plan):
        yield Step("iscsi-secrets", "keep_secrets", names, ("chap",), ("install",), _FIRST, secrets=names)


def _secrets(plan: StoragePlan) -> tuple[str, ...]:
    """The names of CHAP's secrets: of the host's, and of the array's where there is one."""
    slots = (plan.chap.secret, plan.chap.mutual_secret) if plan.chap else ()
    return tuple(slot.source.partition(":")[2] for slot in slots if slot)


def _disks(plan: StoragePlan, release: Release) -> Iterator[Step]:
    """What looks at disks: multipath, LVM, what logs in at boot, /etc/fstab."""
    if plan.policy == "multipath":
        notify = ("reconfigure:multipathd",)
        yield whole_file("multipath", FILE, multipath_conf(plan, release), _AT, needs=_FIRST, notify=notify)
    groups = sorted({volume.group for volume in plan.volumes if volume.group})
    if groups:
        key = "filter" if release.lvm_scope == "filter" else "global_filter"
        yield Step("lvm-scope", "lvm_scope", (key, lvm_filter(plan)), _AT, needs=_FIRST)
    names = " ".join(iface.name for iface in plan.ifaces)
    disks = " ".join(disk_of(plan, volume) for volume in plan.volumes if volume.wwid)
    mounts = " ".join(volume.mount for volume in in_order(plan) if volume.mount)
    reload = ("daemon-reload",) if release.systemd else ()
    yield Step("san-boot", "san_boot", (names, " ".join(groups), disks, mounts), _AT, needs=_FIRST, notify=reload)
    if any(volume.mount for volume in plan.volumes):
        content = fstab_edits(plan, release)
        yield Step("fstab", "fstab", (), _AT, needs=_FIRST, notify=reload, content=content)


def _services(plan: StoragePlan, release: Release) -> Iterator[Step]:
    words = tuple(word for pair in services_of(plan, release) for word in pair)
    yield Step("san-services", "services", words, _AT, needs=("storage-nics", "packages", "multipath"))


def _live(plan: StoragePlan, nics: tuple[Nic, ...], release: Release) -> Iterator[Step]:
    if plan.sysctl:
        words = tuple(word for pair in plan.sysctl for word in pair)
        yield Step("san-sysctl-live", "sysctl_live", words, ("nics",), LIVE, ("storage-nics",))
    secrets, chap_words = _secrets(plan), ("", "", "", "")
    if plan.chap:
        host_secret, array_secret = (*secrets, "")[:2]
        chap_words = (plan.chap.user, host_secret, plan.chap.mutual_user or "", array_secret)
    needs = (*_FIRST, "iscsi-initiator", "iscsi-conf", "iscsi-ifaces", "multipath", "lvm-scope", "san-services")
    content = login_plan(plan, nics)
    yield Step("iscsi-login", "iscsi_login", chap_words, _AT, LIVE, needs, content=content, secrets=secrets)
    for volume in in_order(plan):
        if not volume.wwid:
            continue
        shared = "shared" if volume.shared_by else ""
        words = (
            *(volume.name, disk_of(plan, volume), volume.wwid, str(volume.size or "")),
            *(
                volume.group or "",
                volume.logical or "",
                node_of(plan, volume) if volume.fstype or volume.logical else "",
            ),
            *(volume.fstype or "", volume.mount or "", shared),
        )
        yield Step(f"volumes:{volume.name}", "volume", words, ("volumes", volume.name), LIVE, (*needs, "fstab"))
    if plan.policy == "multipath":
        ways = {array.name: len(array.paths) for array in plan.arrays}
        words = tuple(word for one in plan.volumes if one.wwid for word in (one.name, str(ways.get(one.array, 1))))
        if words:
            yield Step("paths", "paths", words, _AT, LIVE, ("storage-nics", "multipath", "san-services"))


def in_order(plan: StoragePlan) -> list[VolumePlan]:
    """The volumes, so that none hides another's mount point."""
    return sorted(plan.volumes, key=lambda volume: (volume.mount or "", volume.name))


def disk_of(plan: StoragePlan, volume: VolumePlan) -> str:
    """The volume as a disk: its map, or what udev calls the one disk that it is."""
    return f"/dev/mapper/{volume.name}" if plan.policy == "multipath" else f"/dev/disk/by-id/scsi-{volume.wwid}"


def node_of(plan: StoragePlan, volume: VolumePlan) -> str:
    """What a file system of the volume is on."""
    if volume.group and volume.logical:
        return f"/dev/mapper/{mapped_name(volume.group, volume.logical)}"
    return disk_of(plan, volume)


def lvm_filter(plan: StoragePlan) -> str:
    """A filter that leaves disks of the machine alone: of what comes by iSCSI (udev's by-path names say so) only the
    planned disks are seen; and no logical volume of their groups, so that the groups of guests inside them stay the
    guests'. A name that is accepted counts more than one that is not (lvm.conf(5))."""
    disks = sorted(disk_of(plan, volume) for volume in plan.volumes if volume.wwid)
    groups = sorted({volume.group for volume in plan.volumes if volume.group})
    accepted = [f"a|^{_literal(disk)}$|" for disk in disks]
    refused = [r"r|^/dev/disk/by-path/.*-iscsi-|"]
    for group in groups:
        refused += [f"r|^/dev/{_literal(group)}/|", f"r|^/dev/mapper/{_literal(group.replace('-', '--'))}-[^-]|"]
    return "[ " + ", ".join(f'"{one}"' for one in (*accepted, *refused)) + " ]"


def _literal(text: str) -> str:
    return text.replace(".", "[.]").replace("+", "[+]")


def fstab_edits(plan: StoragePlan, release: Release) -> str:
    """The program for bf_edits: no other line for the same place, and ours as a block. Where systemd reads them
    ``nofail`` keeps a missing disk from holding up the boot; mounts of EL5 know no such word, and its netfs goes on."""
    options = "_netdev,nofail" if release.systemd else "_netdev"
    lines, others = [], []
    for volume in in_order(plan):
        if volume.mount:
            lines.append(f"{node_of(plan, volume)} {volume.mount} {volume.fstype} {options} 0 0\n")
            others.append(f"absent\n^[ \t]*[^# \t][^ \t]*[ \t]+{_literal(volume.mount)}[ \t]\n\n")
    block = f"block\n# BEGIN Bootforge: volumes\n# END Bootforge: volumes\n{len(lines)}\n"
    return "".join([*others, block, *lines])


def services_of(plan: StoragePlan, release: Release) -> tuple[tuple[str, str], ...]:
    """iscsid is started by its socket, or by whoever asks for it; scripts of EL5 and EL6 have their part in stopping:
    iscsi logs out after netfs has unmounted."""
    maps = (("multipathd", "on"),) if plan.policy == "multipath" else ()
    if release.systemd:
        return (("iscsid.socket", "on"), *maps)
    return (("iscsid", "enabled"), ("iscsi", "enabled"), ("netfs", "enabled"), *maps)


def _check_services(host: ResolvedHost, plan: StoragePlan, release: Release, faults: list[Fault]) -> None:
    """What the site says of the same services."""
    for name, wanted in services_of(plan, release):
        said = host.spec.services.get(name)
        if said in ("off", "masked"):
            what = f"{name} is {said}, and its volumes need it"
            faults.append(Fault(("services", name), "BF166", what, f"drop it, or write '{wanted}'"))


def login_plan(plan: StoragePlan, nics: tuple[Nic, ...]) -> str:
    """What bf_iscsi_login reads: keys of node records, disks that must appear, and ways."""
    by_name = {nic.name: nic for nic in nics}
    ifaces = {iface.name: iface for iface in plan.ifaces}
    lines = [f"set {key} {value}\n" for key, value in plan.settings]
    lines += [f"volume {disk_of(plan, volume)}\n" for volume in plan.volumes if volume.wwid]
    for array in plan.arrays:
        volumes = [volume for volume in plan.volumes if volume.array == array.name]
        known = all(volume.target for volume in volumes)
        targets = ",".join(sorted({volume.target for volume in volumes if volume.target})) if known else "-"
        for path in array.paths:
            iface = ifaces[path.iface]
            kind, nic = ("mac", str(iface.mac)) if iface.mac else ("device", str(iface.device))
            mtu = by_name[path.iface].mtu or 1500
            portals = ",".join(map(str, path.portals))
            lines.append(f"path {array.name} {path.iface} {kind} {nic} {mtu} {portals} {targets}\n")
    return "".join(lines)
