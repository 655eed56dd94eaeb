"""What only the whole fleet can say: which values two hosts may not share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from bootforge.model import Path, Plan


@dataclass(frozen=True, slots=True)
class Shared:
    """Two hosts with one value: ``second`` is found at fault, ``first`` is named."""

    first: str
    first_path: Path
    second: str
    path: Path
    what: str


def duplicates(plans: Iterable[Plan]) -> Iterator[Shared]:
    """MAC addresses, addresses, serials and UUIDs that more than one host or nic has."""
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
