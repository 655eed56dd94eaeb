"""What only the whole fleet can say: which values two hosts may not share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootforge.model import Path, Plan, VolumePlan


@dataclass(frozen=True, slots=True)
class Shared:
    """Two hosts with one value: ``second`` is found at fault, ``first`` is named; ``hint`` says what to do."""

    first: str
    first_path: Path
    second: str
    path: Path
    what: str
    hint: str = "every host and every nic needs its own"


def duplicates(plans: Iterable[Plan]) -> Iterator[Shared]:
    """MAC addresses, addresses, serials, UUIDs and initiator names that more than one host or nic has; and volumes
    of which their hosts do not agree that they share them."""
    plans = tuple(plans)
    yield from _volumes(plans)
    owners: dict[tuple[str, str], tuple[str, Path]] = {}
    for plan in plans:
        for path, kind, value in _unique(plan):
            mine = (plan.host.text, path)
            first = owners.setdefault((kind, value), mine)
            if first != mine:
                yield Shared(*first, *mine, f"{kind} {value}")


def _unique(plan: Plan) -> Iterator[tuple[Path, str, str]]:
    for nic in plan.nics:
        if nic.mac:
            yield ("nics", nic.name, "mac"), "MAC", nic.mac.text
        if nic.address:
            yield ("nics", nic.name, "address"), "address", str(nic.address.ip)
        if nic.address6:
            yield ("nics", nic.name, "address6"), "address", str(nic.address6.ip)
    if plan.serial:
        yield ("serial",), "serial", plan.serial
    if plan.domain and plan.domain.uuid:
        yield ("vm", "uuid"), "UUID", plan.domain.uuid
    if plan.storage and plan.storage.initiator:
        yield ("initiator",), "initiator name", plan.storage.initiator


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
                    yield Shared(name, paths[0], mine, paths[1], f"volume {volume.wwid}", hint)
                    break
            there.append((mine, volume))
