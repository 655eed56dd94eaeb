"""The storage network of a host: which nics reach which portals, and what is made of each volume."""

from __future__ import annotations

from collections.abc import Iterator

from bootforge.errors import did_you_mean
from bootforge.model import Nic, Path
from bootforge.model_storage import ArrayPath, ArrayPlan, ChapPlan, StoragePlan, VolumePlan
from bootforge.plan.faults import Fault, check_secret
from bootforge.plan.iscsi import make_iface, settings_of, sysctl_of
from bootforge.plan.volumes import check_volumes
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.arrays import ArraySpec
from bootforge.site.load import Site
from bootforge.site.schema_storage import VolumeSpec
from bootforge.words import Slot

_IFACE_WORDS = ("default", "iser")
"""Names that open-iscsi keeps for itself (README 5.1.1)."""


def plan_storage(site: Site, host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> StoragePlan | None:
    """Ifaces, paths to each array, and volumes; None for a host without volumes."""
    spec = host.spec
    chap = _chap(site, host, faults)
    san = tuple(sorted((nic for nic in nics if nic.iscsi and nic.network), key=lambda nic: nic.name))
    whole = len(san) == sum(nic.iscsi for nic in spec.nics.values())
    for nic in san:
        if nic.name in _IFACE_WORDS:
            what = f"an iface cannot have the name '{nic.name}', which open-iscsi keeps for itself"
            faults.append(Fault(("nics", nic.name, "iscsi"), "BF097", what, "give the nic another name"))
    if not spec.volumes:
        return None
    check_volumes(host, faults)
    if whole and not san:
        hint = "write 'iscsi: true' at the nics that reach its array"
        faults.append(Fault(("volumes",), "BF097", "it has volumes, but no nic for iSCSI", hint))
    volumes = tuple(_volume(site, host, name, one, faults) for name, one in sorted(spec.volumes.items()))
    reached = {name: ("volumes", one.name, "array") for one in reversed(volumes) if (name := one.array) in site.arrays}
    arrays = tuple(
        _array(name, site.arrays[name], spec.path_policy, san, path, faults if whole and san else [])
        for name, path in sorted(reached.items())
    )
    release = RELEASES[host.release]
    return StoragePlan(
        policy=spec.path_policy,
        initiator=spec.initiator,
        ifaces=tuple(make_iface(nic, nics) for nic in san),
        arrays=arrays,
        volumes=volumes,
        chap=chap,
        settings=settings_of(spec.path_policy, arrays, release),
        sysctl=sysctl_of(san, release, spec.sysctl),
    )


def _volume(site: Site, host: ResolvedHost, name: str, spec: VolumeSpec, faults: list[Fault]) -> VolumePlan:
    path, pool = ("volumes", name), spec.pool
    array = site.arrays.get(spec.array)
    if array is None:
        hint = did_you_mean(spec.array, site.arrays) or "declare it in arrays.yaml"
        faults.append(Fault((*path, "array"), "BF021", f"no array '{spec.array}'", hint))
    elif pool is None and len(array.pools) > 1:
        what = f"volume {name} names none of {spec.array}'s pools"
        faults.append(Fault((*path, "pool"), "BF096", what, f"write 'pool:' with one of: {', '.join(array.pools)}"))
    elif pool is None:
        pool = next(iter(array.pools), None)
    elif pool not in array.pools:
        hint = did_you_mean(pool, array.pools) or f"declare it under '{spec.array}: {{pools: ...}}' in arrays.yaml"
        faults.append(Fault((*path, "pool"), "BF021", f"{spec.array} has no pool '{pool}'", hint))
    return VolumePlan(
        name=name,
        array=spec.array,
        pool=pool,
        wwid=spec.wwid,
        target=spec.target,
        lun=spec.lun,
        size=spec.size,
        group=spec.vg,
        logical=spec.lv,
        fstype=spec.fs or (RELEASES[host.release].fstype if spec.mount else None),
        mount=spec.mount,
        shared_by=tuple(other.text for other in spec.shared_by),
    )


def _array(name: str, spec: ArraySpec, policy: str, nics: tuple[Nic, ...], at: Path, faults: list[Fault]) -> ArrayPlan:
    """An array and the ways to it, which the policy may make one."""
    paths = [path for nic in nics if (path := _path(nic, spec))]
    many = policy == "multipath"
    if not paths:
        around = ", ".join(sorted({nic.network.name for nic in nics if nic.network}))
        what = f"no iSCSI nic reaches {name}: its portals are {_where(spec)}, the nics are on {around}"
        faults.append(Fault(at, "BF097", what, "correct 'network:' of a nic, or the portals in arrays.yaml"))
    elif many:
        faults += _missing_paths(name, spec, paths, at)
    elif len(paths) > 1:
        ifaces = ", ".join(path.iface for path in paths)
        what = f"path_policy {policy} reaches {name} over one nic, but these are {len(paths)}: {ifaces}"
        hint = "without multipath each would show a disk of its own; take 'iscsi: true' from all but one"
        faults.append(Fault(("path_policy",), "BF097", what, hint))
    for nic in nics:
        if nic.address and any(portal.address == nic.address.ip for path in paths for portal in path.portals):
            hint = "choose another address, or correct the portal in arrays.yaml"
            what = f"{nic.address.ip} is a portal of {name}"
            faults.append(Fault(("nics", nic.name, "address"), "BF041", what, hint))
    if policy == "bond" and len(paths) == 1:
        faults += _not_bonded(paths, nics)
    if not many:
        paths = [ArrayPath(path.iface, path.fabric, path.portals[:1]) for path in paths[:1]]
    return ArrayPlan(name, spec.device.vendor, spec.device.product, tuple(paths))


def _not_bonded(paths: list[ArrayPath], nics: tuple[Nic, ...]) -> Iterator[Fault]:
    by_name = {nic.name: nic for nic in nics}
    for path in paths:
        nic = by_name[path.iface]
        if nic.kind not in ("bond", "vlan"):
            what = f"path_policy bond, but {nic.name} is a {nic.kind} nic"
            hint = "write 'kind: bond' and 'ports:', or set 'path_policy: single'"
            yield Fault(("nics", nic.name), "BF097", what, hint)


def _path(nic: Nic, spec: ArraySpec) -> ArrayPath | None:
    """What a nic reaches of an array: the portals of the fabric whose network it is on, or those in its subnet."""
    network = nic.network
    if network is None or network.subnet is None:
        return None
    for fabric, one in sorted(spec.fabrics.items()):
        if one.network == network.name:
            return ArrayPath(nic.name, fabric, tuple(sorted(one.portals)))
    portals = tuple(sorted(portal for portal in spec.portals if portal.address in network.subnet))
    return ArrayPath(nic.name, None, portals) if portals else None


def _missing_paths(name: str, spec: ArraySpec, paths: list[ArrayPath], at: Path) -> Iterator[Fault]:
    """Multipath is for two nics at least, and for every fabric."""
    unreached = sorted(set(spec.fabrics) - {path.fabric for path in paths})
    for fabric in unreached:
        what = f"no iSCSI nic is on {spec.fabrics[fabric].network}, which is fabric {fabric} of {name}"
        yield Fault(at, "BF097", what, "give it one with 'iscsi: true', or set 'path_policy: single'")
    if len(paths) < 2 and not unreached:
        what = f"path_policy multipath, but {paths[0].iface} alone reaches {name}"
        yield Fault(at, "BF097", what, "write 'iscsi: true' at a second nic, or set 'path_policy: single'")


def _where(spec: ArraySpec) -> str:
    fabrics = (f"{', '.join(map(str, sorted(one.portals)))} on {one.network}" for one in spec.fabrics.values())
    return " and ".join(fabrics) or ", ".join(map(str, sorted(spec.portals)))


def _chap(site: Site, host: ResolvedHost, faults: list[Fault]) -> ChapPlan | None:
    """CHAP's names and the slots of its secrets. With one secret for both directions, whoever is asked could have the
    asker answer (RFC 7143 9.2.1)."""
    chap = host.spec.chap
    if chap is None:
        return None
    for key, name in (("secret", chap.secret), ("mutual_secret", chap.mutual_secret)):
        if name is not None:
            check_secret(site, name, ("chap", key), faults)
    if (chap.mutual_user is None) != (chap.mutual_secret is None):
        there, missing = ("mutual_user", "mutual_secret") if chap.mutual_user else ("mutual_secret", "mutual_user")
        what = f"chap has '{there}' without '{missing}'"
        faults.append(Fault(("chap", there), "BF099", what, "give both, or neither"))
    if chap.mutual_secret == chap.secret:
        what = "chap proves both sides with one secret, which proves neither"
        faults.append(Fault(("chap", "mutual_secret"), "BF099", what, "use another secret for the array"))
    mutual = Slot(f"secret:{chap.mutual_secret}") if chap.mutual_secret else None
    return ChapPlan(chap.user, Slot(f"secret:{chap.secret}"), chap.mutual_user, mutual)
