"""Who may have which volume: what the access control of an array has to be told."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from bootforge.model import Plan
from bootforge.model_storage import VolumePlan


@dataclass(frozen=True, slots=True)
class Initiator:
    """A host that may have a volume. ``initiator`` is None until 'lock' gives it one; ``addresses`` are those of the
    nics that reach the array, each with the nic's name, and None where DHCP gives it. ``volume``: the host's name
    for it."""

    host: str
    volume: str
    initiator: str | None
    addresses: tuple[tuple[str, str | None], ...]
    chap_user: str | None


@dataclass(frozen=True, slots=True)
class Permission:
    """A volume of an array and everybody who may have it; ``size`` in MiB."""

    array: str
    pool: str | None
    wwid: str | None
    target: str | None
    lun: int | None
    size: int | None
    initiators: tuple[Initiator, ...]


def permissions(plans: Iterable[Plan]) -> tuple[Permission, ...]:
    """Every volume once, sorted by array, pool and WWID or target. A retired host has none."""
    found = [
        (volume, _initiator(plan, volume))
        for plan in plans
        if not plan.retired and plan.storage
        for volume in plan.storage.volumes
    ]
    found.sort(key=lambda user: (user[1].host, user[1].volume))
    wwids = {(volume.array, *_lun(volume)): volume.wwid for volume, _ in found if volume.target and volume.wwid}
    volumes: dict[tuple[str, ...], list[tuple[VolumePlan, Initiator]]] = {}
    for volume, initiator in found:
        wwid = volume.wwid or wwids.get((volume.array, *_lun(volume)))
        key = (volume.array, volume.pool or "", *((wwid,) if wwid else ("", *_lun(volume))))
        volumes.setdefault(key, []).append((volume, initiator))
    return tuple(_permission(users) for _, users in sorted(volumes.items()))


def _lun(volume: VolumePlan) -> tuple[str, str]:
    return str(volume.target), str(volume.lun or 0)


def _permission(users: list[tuple[VolumePlan, Initiator]]) -> Permission:
    said = [volume for volume, _ in users]
    first = said[0]
    target = next((one for one in said if one.target), first)
    return Permission(
        array=first.array,
        pool=first.pool,
        wwid=next((one.wwid for one in said if one.wwid), None),
        target=target.target,
        lun=target.lun,
        size=next((one.size for one in said if one.size), None),
        initiators=tuple(initiator for _, initiator in users),
    )


def _initiator(plan: Plan, volume: VolumePlan) -> Initiator:
    storage = plan.storage
    assert storage is not None
    nics = {nic.name: nic for nic in plan.nics}
    ifaces = {path.iface for array in storage.arrays if array.name == volume.array for path in array.paths}
    addresses = ((name, nics[name].address) for name in sorted(ifaces))
    return Initiator(
        plan.host.text,
        volume.name,
        storage.initiator,
        tuple((name, str(address.ip) if address else None) for name, address in addresses),
        storage.chap.user if storage.chap else None,
    )
