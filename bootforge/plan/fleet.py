"""What only the whole fleet can say: which values two hosts may not share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootforge.model import Path, Plan
from bootforge.model_storage import VolumePlan
from bootforge.resolve import ResolvedHost


@dataclass(frozen=True, slots=True)
class Shared:
    """Two hosts with one value: ``second`` is found at fault, ``first`` is named. ``differs``: what the second says of
    it and the first says otherwise, where they may share it."""

    first: str
    first_path: Path
    second: str
    path: Path
    what: str
    code: str = "BF050"
    hint: str = "every host and every nic needs its own"
    differs: str = ""


Owned = tuple[str, Path, str, str]
"""A host, a path of it, and the kind and value that only it may have."""


def duplicates(plans: Iterable[Plan]) -> Iterator[Shared]:
    """MAC addresses, addresses, serials and UUIDs that more than one host or nic has; and volumes of which their hosts
    do not agree that they share them. A retired host has none."""
    there = [plan for plan in plans if not plan.retired]
    yield from _volumes(there)
    yield from shared(owned for plan in there for owned in _unique(plan))


def shared(values: Iterable[Owned]) -> Iterator[Shared]:
    """Values that stand at two places; the first to come is named by every other."""
    owners: dict[tuple[str, str], tuple[str, Path]] = {}
    for host, path, kind, value in values:
        first = owners.setdefault((kind, value), (host, path))
        if first != (host, path):
            yield Shared(*first, host, path, f"{kind} {value}")


def _unique(plan: Plan) -> Iterator[Owned]:
    host = plan.host.text
    for nic in plan.nics:
        if nic.mac:
            yield host, ("nics", nic.name, "mac"), "MAC", nic.mac.text
        if nic.address:
            yield host, ("nics", nic.name, "address"), "address", str(nic.address.ip)
        if nic.address6:
            yield host, ("nics", nic.name, "address6"), "address", str(nic.address6.ip)
    if plan.serial:
        yield host, ("serial",), "serial", plan.serial
    if plan.domain and plan.domain.uuid:
        yield host, ("vm", "uuid"), "UUID", plan.domain.uuid


_TWO_WRITERS = "two hosts destroy a disk that both write to; if they share it, each says 'shared_by:'"
_TOLD = (("array", "array"), ("pool", "pool"), ("size", "size"), ("vg", "group"), ("lv", "logical"), ("fs", "fstype"))
"""Keys of a volume that are true of it wherever it is used, and where a plan has them. A target and a LUN may be
others for each host."""


def _volumes(plans: Iterable[Plan]) -> Iterator[Shared]:
    """Volumes that two hosts have, unless each names the other; and shared ones of which they say different things."""
    users: dict[tuple[str, str], list[tuple[str, VolumePlan]]] = {}
    for plan in plans:
        mine = plan.host.text
        for volume in plan.storage.volumes if plan.storage else ():
            for kind, value in _identities(volume):
                there = users.setdefault((kind, value), [])
                for name, other in there:
                    if name != mine and (found := _clash(name, other, mine, volume, kind)):
                        yield found
                        break
                there.append((mine, volume))


def _identities(volume: VolumePlan) -> Iterator[tuple[str, str]]:
    """What tells a volume from others: its WWID, or the LUN of its target."""
    if volume.wwid:
        yield "wwid", volume.wwid
    if volume.target:
        yield "target", f"{volume.target} LUN {volume.lun or 0}"


def _clash(first: str, other: VolumePlan, second: str, volume: VolumePlan, kind: str) -> Shared | None:
    """What is wrong with two hosts having one volume. At one LUN of one target two hosts may see two volumes, as many
    arrays number them for each host; that is believed when both have WWIDs."""
    if kind == "target" and volume.wwid and other.wwid:
        return None
    paths = ("volumes", other.name, kind), ("volumes", volume.name, kind)
    called = f"volume {volume.wwid}" if kind == "wwid" else f"LUN {volume.lun or 0} of {volume.target}"
    if first not in volume.shared_by or second not in other.shared_by:
        hint = _TWO_WRITERS if kind == "wwid" else f"{_TWO_WRITERS}; if these are two, write 'wwid:' at both"
        return Shared(first, paths[0], second, paths[1], called, hint=hint)
    for key, attribute in _TOLD:
        mine, theirs = getattr(volume, attribute), getattr(other, attribute)
        if mine and theirs and mine != theirs:
            unit = " MiB" if key == "size" else ""
            differs = f"has {key} {mine}{unit} here, and {theirs}{unit}"
            hint = "it is one volume for all who share it; correct one of them"
            paths = ("volumes", other.name, key), ("volumes", volume.name, key)
            return Shared(first, paths[0], second, paths[1], called, "BF197", hint, differs)
    return None


def identities(hosts: Iterable[ResolvedHost]) -> Iterator[Shared]:
    """Ids and initiators that two hosts have, and aliases that are another's name or alias. They outlive a host, so
    a retired one keeps them."""
    hosts = list(hosts)
    yield from shared(
        (host.name.text, (key,), kind, value)
        for host in hosts
        for key, kind, value in (("id", "id", host.spec.id), ("initiator", "initiator name", host.spec.initiator))
        if value
    )
    names: dict[str, tuple[str, Path]] = {host.name.text: (host.name.text, ()) for host in hosts}
    for host in hosts:
        for alias in host.spec.aliases:
            mine = (host.name.text, ("aliases", alias.text))
            first = names.setdefault(alias.text, mine)
            if first != mine:
                hint = "remove one: a name leads to one host"
                yield Shared(*first, *mine, f"alias {alias}", "BF080", hint)
