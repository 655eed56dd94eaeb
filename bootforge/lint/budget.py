"""The connection budget of the whole fleet: pools and arrays that are full, and those that soon will be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootforge.errors import Problem
from bootforge.generation import Generation
from bootforge.model import Origin
from bootforge.plan.budget import Line, Share, make_budget

_TOLD = 2
"""How many of the heaviest roles are named."""
_PLACES = 3
"""How many places of a role's volumes are named."""


def budget_of(generation: Generation) -> tuple[Line, ...]:
    """The budget's lines of a generation."""
    return make_budget(generation.site.arrays, generation.plans.values())


def lint_budget(generation: Generation, lines: Iterable[Line]) -> Iterator[Problem]:
    """An error for each place that is full, a warning for each that is at its ``warn:``; at the line of the limit."""
    for line in lines:
        percent = line.percent()
        if line.limit is None or percent is None or not line.shares or percent < line.warn:
            continue
        path = (line.array, "pools", line.pool, "sessions") if line.pool else (line.array, "sessions")
        at = generation.site.array_origins.origin(path, Origin("arrays.yaml"))
        kept = f", {line.reserved} of them reserved" if line.reserved else ""
        needed = line.sessions + line.reserved
        told = (
            f"{line.place} bears {line.limit} sessions and would have {needed} ({percent} %){kept}: "
            f"{_heaviest(generation, line)}"
        )
        hint = "give hosts fewer volumes or ways, or raise 'sessions:' if it bears more; 'bootforge budget' shows all"
        if line.full():
            yield Problem(at, "BF195", told, hint)
        else:
            yield Problem(at, "BF196", told, hint, severity="warning")


def _heaviest(generation: Generation, line: Line) -> str:
    """The heaviest roles and the heaviest host, with the lines that give them their volumes."""
    told = []
    for role, shares in line.roles[:_TOLD]:
        sessions = sum(share.sessions for share in shares)
        told.append(f"role {role} {sessions} by {_hosts(len(shares))} ({_volumes(generation, shares)})")
    first = line.shares[0]
    alike = sum(share.sessions == first.sessions for share in line.shares) - 1
    more = f" and {_hosts(alike)} like it" if alike else ""
    at = generation.hosts[first.host].origin
    return ", ".join([*told, f"heaviest {first.host} with {first.sessions} (at {at}){more}"])


def _hosts(count: int) -> str:
    return f"{count} host{'s' if count != 1 else ''}"


def _volumes(generation: Generation, shares: Iterable[Share]) -> str:
    """Where volumes are said to be on the array: of each volume the first place in each file, no more than a few."""
    places: dict[tuple[str, str], Origin] = {}
    for share in shares:
        host = generation.hosts[share.host]
        for volume in share.volumes:
            origin = host.merged.origin(("volumes", volume, "array"), host.origin)
            key = (volume, origin.file)
            places[key] = min(origin, places.get(key, origin))
    told = [f"{volume} at {places[volume, file]}" for volume, file in sorted(places)]
    return ", ".join([*told[:_PLACES], *(["..."] if len(told) > _PLACES else [])])
