"""The connection budget: how many iSCSI sessions the fleet opens at each array and pool, and what would still fit.

A session is between an initiator and a target through one portal of it (RFC 7143 3.3): a host opens one for each target
on each way, which is an iface and a portal. An EqualLogic counts them like that ("a host connection is one iSCSI path
to a volume"), and has one target for each volume. So a host's sessions are its targets x its ways, x ``members`` where
the tools of an array's maker log in to every member. open-iscsi opens one session for each record of node and iface as
long as ``node.session.nr_sessions`` is 1, its default; that a login is sent on to a member adds none.

Every host counts but a retired one: what is planned has to fit on the day it comes, and what is held goes on running.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from bootforge.model import Plan
from bootforge.site.arrays import ArraySpec

GROUP_WARN = 80
"""Percent of an array's own limit from which the budget warns: pools say theirs."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one host opens at a place, and the volumes that it is for."""

    host: str
    roles: tuple[str, ...]
    sessions: int
    volumes: tuple[str, ...]


@dataclass(frozen=True)
class Line:
    """A place that has a limit: a pool, or with ``pool`` None the whole array, whose limit may not be known. ``warn``
    is in percent; ``shares`` are the heaviest first."""

    array: str
    pool: str | None
    limit: int | None
    reserved: int
    warn: int
    shares: tuple[Share, ...]

    @property
    def place(self) -> str:
        return f"pool {self.pool} of {self.array}" if self.pool else f"array {self.array}"

    @cached_property
    def sessions(self) -> int:
        """What hosts open; without what is reserved."""
        return sum(share.sessions for share in self.shares)

    @cached_property
    def roles(self) -> tuple[tuple[str, tuple[Share, ...]], ...]:
        """The shares of each role, of the role with the most sessions first."""
        there: defaultdict[str, list[Share]] = defaultdict(list)
        for share in self.shares:
            for role in share.roles:
                there[role].append(share)
        most = sorted(there, key=lambda role: (-sum(share.sessions for share in there[role]), role))
        return tuple((role, tuple(there[role])) for role in most)

    def percent(self, more: int = 0) -> int | None:
        """The part of the limit that is taken once there are ``more`` sessions, rounded down; None without a limit."""
        return (self.sessions + self.reserved + more) * 100 // self.limit if self.limit else None

    def full(self, more: int = 0) -> bool:
        """Whether the limit is reached. What is full counts as too much: nothing is left for a login by hand."""
        return self.limit is not None and self.sessions + self.reserved + more >= self.limit

    def room(self, weight: int, more: int = 0) -> int | None:
        """How many hosts of so many sessions fit besides; None for any number of them."""
        if self.limit is None or not weight:
            return None
        return max(0, (self.limit - 1 - self.sessions - self.reserved - more) // weight)


def make_budget(arrays: Mapping[str, ArraySpec], plans: Iterable[Plan]) -> tuple[Line, ...]:
    """A line for each array and each of its pools, in the order of their names, an array before its pools."""
    shares: dict[tuple[str, str | None], list[Share]] = {
        place: [] for name, array in arrays.items() for place in ((name, None), *((name, pool) for pool in array.pools))
    }
    for plan in plans:
        if not plan.retired:
            for place, share in _shares(plan, arrays):
                shares[place].append(share)
    lines = []
    for (name, pool), found in sorted(shares.items(), key=lambda item: (item[0][0], item[0][1] or "")):
        array = arrays[name]
        heavy = tuple(sorted(found, key=lambda share: (-share.sessions, share.host)))
        if pool is None:
            kept = sum(one.reserved for one in array.pools.values())
            lines.append(Line(name, None, array.sessions, kept, GROUP_WARN, heavy))
        else:
            one = array.pools[pool]
            lines.append(Line(name, pool, one.sessions, one.reserved, one.warn, heavy))
    return tuple(lines)


def _shares(plan: Plan, arrays: Mapping[str, ArraySpec]) -> Iterable[tuple[tuple[str, str | None], Share]]:
    """What a host opens at each place. Volumes that name one target have its sessions in common; one that names none
    is taken to have a target of its own."""
    if plan.storage is None:
        return
    ways = {array.name: sum(len(path.portals) for path in array.paths) for array in plan.storage.arrays}
    targets: defaultdict[tuple[str, str | None], set[tuple[bool, str]]] = defaultdict(set)
    volumes: defaultdict[tuple[str, str | None], list[str]] = defaultdict(list)
    for volume in plan.storage.volumes:
        for place in {(volume.array, None), (volume.array, volume.pool)}:
            targets[place].add((volume.target is None, volume.target or volume.name))
            volumes[place].append(volume.name)
    for place, found in targets.items():
        sessions = len(found) * ways[place[0]] * arrays[place[0]].members
        yield place, Share(plan.host.text, plan.roles, sessions, tuple(volumes[place]))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What changes make of a line. ``words``: those whose hosts are there; ``more`` sessions than now; ``most``: for
    each word of which there would be more hosts, how many more than now fit beside the other changes, None for any
    number."""

    line: Line
    words: tuple[str, ...]
    more: int
    most: Mapping[str, int | None]


def what_if(lines: Iterable[Line], changes: Mapping[str, int]) -> tuple[Outcome, ...]:
    """The lines at which the changes' hosts are, each as if every change happened there and nowhere else.

    ``changes``: how many hosts more, or fewer when negative, of a role or like a host. More are each as heavy as the
    heaviest one there; fewer are the lightest ones, and no more than there are."""
    outcomes = []
    for line in lines:
        heaviest = {word: share.sessions for share in reversed(line.shares) for word in changes if _means(word, share)}
        most = {
            word: line.room(weight, _more(line, {other: count for other, count in changes.items() if other != word}))
            for word, weight in sorted(heaviest.items())
            if changes[word] > 0
        }
        if heaviest:
            outcomes.append(Outcome(line, tuple(sorted(heaviest)), _more(line, changes), most))
    return tuple(outcomes)


def _means(word: str, share: Share) -> bool:
    return word in share.roles or word == share.host


def _more(line: Line, changes: Mapping[str, int]) -> int:
    """How many sessions changes add, or take when negative. A host leaves once, however many words mean it."""
    gone: set[str] = set()
    more = 0
    for word, count in sorted(changes.items()):
        there = [share for share in line.shares if _means(word, share)]
        if count > 0 and there:
            more += count * there[0].sessions
        elif count < 0:
            leaving = [share for share in there if share.host not in gone][count:]
            gone.update(share.host for share in leaving)
            more -= sum(share.sessions for share in leaving)
    return more
