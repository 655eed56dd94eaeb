"""What holds for the budget of every fleet: it is a count of sessions, in no order, and what-if is what adding does."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from ipaddress import IPv4Address

from hypothesis import given, settings
from hypothesis import strategies as st

from bootforge.generation import build_generation
from bootforge.model import Plan
from bootforge.model_storage import ArrayPath, ArrayPlan, Portal, StoragePlan, VolumePlan
from bootforge.plan.budget import Line, make_budget, what_if
from bootforge.plan.initiators import permissions
from bootforge.site.arrays import ArraySpec, PoolSpec
from bootforge.words import HostName
from tests.support import SMALL

ARRAYS = ("eql", "two")
POOLS = ("fast", "slow")
ROLES = ("db", "web", "xen")

pools = st.builds(
    lambda sessions, reserved: PoolSpec.model_construct(sessions=sessions, reserved=reserved, warn=80),
    st.integers(1, 60),
    st.integers(0, 10),
)
arrays = st.fixed_dictionaries(
    {
        name: st.builds(
            lambda pools, sessions, members: ArraySpec.model_construct(pools=pools, sessions=sessions, members=members),
            st.fixed_dictionaries({pool: pools for pool in POOLS}),
            st.none() | st.integers(1, 120),
            st.integers(1, 3),
        )
        for name in ARRAYS
    }
)
ways = st.lists(st.integers(1, 2), min_size=1, max_size=3)
"""How many portals each iface logs in to."""
volumes = st.lists(
    st.tuples(st.sampled_from(ARRAYS), st.sampled_from(POOLS), st.none() | st.sampled_from(["iqn.t1", "iqn.t2"])),
    max_size=5,
)
hosts = st.tuples(
    st.lists(st.sampled_from(ROLES), unique=True, max_size=2),
    st.sampled_from(["planned", "active", "held", "retired"]),
    st.fixed_dictionaries({name: ways for name in ARRAYS}),
    volumes,
)
Host = tuple[list[str], str, dict[str, list[int]], list[tuple[str, str, str | None]]]


@cache
def blank() -> Plan:
    return next(iter(build_generation(SMALL).plans.values()))


def plan_of(name: str, host: Host) -> Plan:
    """A plan with the host's storage; all else is another's, as the budget looks at nothing else."""
    roles, state, reached, wanted = host
    used = {array for array, _, _ in wanted}
    storage = StoragePlan(
        policy="multipath",
        initiator=f"iqn.2008-05.com.example:{name}",
        ifaces=(),
        arrays=tuple(
            ArrayPlan(array, "V", "P", tuple(path_of(n, portals) for n, portals in enumerate(ways)))
            for array, ways in reached.items()
            if array in used
        ),
        volumes=tuple(
            VolumePlan(
                f"v{n}", array, pool, f"3{n:016}" if n % 2 else None, target, n % 3, None, None, None, None, None, ()
            )
            for n, (array, pool, target) in enumerate(wanted)
        ),
        chap=None,
    )
    return replace(blank(), host=HostName(name), roles=tuple(roles), state=state, storage=storage if wanted else None)


def path_of(number: int, portals: int) -> ArrayPath:
    nic = blank().nics[0].name
    return ArrayPath(nic, None, tuple(Portal(IPv4Address(f"10.9.{number}.{n}")) for n in range(portals)))


def fleet_of(fleet: Sequence[Host]) -> list[Plan]:
    return [plan_of(f"h{number:02}.example.com", host) for number, host in enumerate(fleet)]


def opened(fleet: Sequence[Host], arrays: Mapping[str, ArraySpec]) -> dict[tuple[str, str | None], set[object]]:
    """Every session by place, each an element: counted without a multiplication."""
    found: dict[tuple[str, str | None], set[object]] = {}
    for number, (_, state, reached, wanted) in enumerate(fleet):
        for order, (array, pool, target) in enumerate(wanted):
            for way, portals in enumerate(reached[array]):
                for portal in range(portals):
                    for member in range(arrays[array].members):
                        session = (number, way, portal, member, target or order)
                        for place in ((array, pool), (array, None)):
                            if state != "retired":
                                found.setdefault(place, set()).add(session)
    return found


def numbers(lines: Sequence[Line]) -> dict[tuple[str, str | None], int]:
    return {(line.array, line.pool): line.sessions for line in lines}


fleets = st.lists(hosts, max_size=8)


@settings(max_examples=200, deadline=None)
@given(arrays=arrays, fleet=fleets)
def test_the_budget_is_the_count(arrays: dict[str, ArraySpec], fleet: list[Host]) -> None:
    lines = make_budget(arrays, fleet_of(fleet))
    sessions = opened(fleet, arrays)
    assert numbers(lines) == {
        (name, pool): len(sessions.get((name, pool), ())) for name in ARRAYS for pool in (None, *POOLS)
    }
    for line in lines:
        kept = [arrays[line.array].pools[pool].reserved for pool in ([line.pool] if line.pool else POOLS)]
        assert line.reserved == sum(kept)
        assert line.full() == (line.limit is not None and line.sessions + line.reserved >= line.limit)


@settings(max_examples=100, deadline=None)
@given(arrays=arrays, fleet=fleets, seed=st.integers(0, 99))
def test_no_order_matters(arrays: dict[str, ArraySpec], fleet: list[Host], seed: int) -> None:
    plans = fleet_of(fleet)
    mixed = random.Random(seed).sample(plans, len(plans))
    turned = dict(reversed(arrays.items()))
    assert make_budget(turned, mixed) == make_budget(arrays, plans)
    assert permissions(mixed) == permissions(plans)


@settings(max_examples=200, deadline=None)
@given(arrays=arrays, fleet=fleets, like=hosts, count=st.integers(1, 5))
def test_what_if_is_what_adding_does(arrays: dict[str, ArraySpec], fleet: list[Host], like: Host, count: int) -> None:
    """Hosts like one, and hosts of a role that has but one kind; and of each place the most that fits does, and one
    more does not."""
    like = (["kind"], "active", *like[2:])
    fleet = [*fleet, like]
    before = make_budget(arrays, fleet_of(fleet))
    after = {(line.array, line.pool): line for line in make_budget(arrays, fleet_of([*fleet, *[like] * count]))}
    name = f"h{len(fleet) - 1:02}.example.com"
    for word in (name, "kind"):
        outcomes = what_if(before, {word: count})
        touched = {(array, place) for array, pool, _ in like[3] for place in (pool, None)}
        assert {(one.line.array, one.line.pool) for one in outcomes} == touched
        for one in outcomes:
            real = after[one.line.array, one.line.pool]
            assert one.line.sessions + one.more == real.sessions
            assert (one.line.full(one.more), one.line.percent(one.more)) == (real.full(), real.percent())
            most = one.most[word]
            if most is None:
                assert one.line.limit is None
                continue
            (weight,) = {share.sessions for share in one.line.shares if share.host == name}
            assert one.line.full((most + 1) * weight)
            assert most == 0 or not one.line.full(most * weight)


@settings(max_examples=200, deadline=None)
@given(arrays=arrays, fleet=fleets, count=st.integers(1, 3), word=st.sampled_from(ROLES))
def test_more_are_the_heaviest(arrays: dict[str, ArraySpec], fleet: list[Host], count: int, word: str) -> None:
    """Of the hosts of a role, whichever is added for real, no place has more than what-if says; one gives as much."""
    plans = fleet_of(fleet)
    real = []
    for host in fleet:
        if word in host[0] and host[1] != "retired" and host[3]:
            more = [plan_of(f"more{number}.example.com", host) for number in range(count)]
            real.append(numbers(make_budget(arrays, [*plans, *more])))
    for one in what_if(make_budget(arrays, plans), {word: count}):
        assert one.line.sessions + one.more == max(sums[one.line.array, one.line.pool] for sums in real)


@settings(max_examples=200, deadline=None)
@given(arrays=arrays, fleet=fleets, count=st.integers(1, 9), word=st.sampled_from(ROLES))
def test_fewer_are_fewer(arrays: dict[str, ArraySpec], fleet: list[Host], count: int, word: str) -> None:
    """Whichever hosts of a role really go, no more sessions stay than what-if says; and all of them gone is exact."""
    plans = fleet_of(fleet)
    mine = [plan for plan in plans if word in plan.roles and not plan.retired and plan.storage]
    left = {id(plan) for plan in mine[count:]} | {id(plan) for plan in plans if plan not in mine}
    real = numbers(make_budget(arrays, [plan for plan in plans if id(plan) in left]))
    for one in what_if(make_budget(arrays, plans), {word: -count}):
        said = one.line.sessions + one.more
        there = [share for share in one.line.shares if word in share.roles]
        if count >= len(mine):
            assert said == real[one.line.array, one.line.pool]
        elif len(there) == len(mine):
            assert said >= real[one.line.array, one.line.pool]


@settings(max_examples=100, deadline=None)
@given(fleet=fleets)
def test_everybody_who_opens_a_session_is_on_the_list(fleet: list[Host]) -> None:
    plans = fleet_of(fleet)
    listed = [
        (one.array, user.host, user.volume, user.initiator) for one in permissions(plans) for user in one.initiators
    ]
    assert sorted(listed) == sorted(
        (volume.array, plan.host.text, volume.name, f"iqn.2008-05.com.example:{plan.host.text}")
        for plan in plans
        if plan.storage and not plan.retired
        for volume in plan.storage.volumes
    )
