"""What only the whole fleet can say: which values two hosts may not share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootforge.model import Path, Plan
from bootforge.model_storage import VolumePlan
from bootforge.resolve import ResolvedHost


@dataclass(frozen=True, slots=True)
class Shared:
    """Two hosts with one value: ``second`` is found at fault, ``first`` is named."""

    first: str
    first_path: Path
    second: str
    path: Path
    what: str
    code: str = "BF050"
    hint: str = "every host and every nic needs its own"


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


def _volumes(plans: Iterable[Plan]) -> Iterator[Shared]:
    """Volumes that two hosts have, unless each names the other."""
    users: dict[str, list[tuple[str, VolumePlan]]] = {}
    for plan in plans:
        mine = plan.host.text
        for volume in plan.storage.volumes if plan.storage else ():
            if volume.wwid is None:
                continue
            there = users.setdefault(volume.wwid, [])
            for name, other in there:
                if name != mine and not (name in volume.shared_by and mine in other.shared_by):
                    paths = ("volumes", other.name, "wwid"), ("volumes", volume.name, "wwid")
                    hint = "two hosts destroy a disk that both write to; if they share it, each says 'shared_by:'"
                    yield Shared(name, paths[0], mine, paths[1], f"volume {volume.wwid}", hint=hint)
                    break
            there.append((mine, volume))


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
