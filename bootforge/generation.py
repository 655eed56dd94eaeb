"""A generation: one revision of a site with everything decided, and templates compiled. It never changes.

Here, and only here, what planners say about paths becomes problems at lines.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path as FilePath

from bootforge.classes import rule_problems
from bootforge.errors import NotFound, Problem, SiteError, did_you_mean
from bootforge.model import Artifact, DomainPlan, Origin, Path, Plan
from bootforge.plan import PlanError, make_plan
from bootforge.plan.fleet import Shared, duplicates, identities
from bootforge.plan.guests import KEPT
from bootforge.plan.hosting import host_guests
from bootforge.plan.network import plan_network
from bootforge.plan.placement import place_guests, shared_devices
from bootforge.render import Engine, render
from bootforge.render.dhcp import Mode, Subnet, make_subnets, render_dnsmasq, render_isc
from bootforge.render.kea import render_kea
from bootforge.resolve import ResolvedHost, Resolver
from bootforge.site.hosts import host_problems
from bootforge.site.load import Site, read_site

# fmt: off
_CONSEQUENCES = frozenset((
    "BF019", "BF021", "BF022", "BF023", "BF025", "BF033", "BF040", "BF042", "BF043", "BF044",
    "BF045", "BF046", "BF048", "BF086", "BF087", "BF088", "BF090", "BF091", "BF096", "BF097", "BF112",
))
# fmt: on
"""Codes of what a host lacks: said only when every file that speaks of it could be read without a problem."""


@dataclass(frozen=True, slots=True)
class Generation:
    """``hosts`` and ``plans`` by name; ``by_mac`` has every nic of every host that is not retired."""

    site: Site
    engine: Engine
    hosts: Mapping[str, ResolvedHost]
    plans: Mapping[str, Plan]
    by_mac: Mapping[str, str]
    _rendered: dict[str, Mapping[str, Artifact]] = field(default_factory=dict, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def host(self, name: str) -> ResolvedHost:
        """Raises NotFound."""
        if name not in self.hosts:
            raise NotFound(f"no host {name!r}", did_you_mean(name, self.hosts))
        return self.hosts[name]

    def plan(self, name: str) -> Plan:
        """Raises NotFound."""
        return self.plans[self.host(name).name.text]

    def artifacts(self, name: str) -> Mapping[str, Artifact]:
        """Every artifact of a host by its name, rendered once. Raises NotFound, RenderError."""
        plan = self.plan(name)
        with self._lock:
            if name not in self._rendered:
                self._rendered[name] = {artifact.name: artifact for artifact in render(plan, self.engine)}
            return self._rendered[name]

    def artifact(self, name: str, kind: str) -> Artifact:
        """One artifact. Raises NotFound for a host or artifact that does not exist, RenderError."""
        artifacts = self.artifacts(name)
        if kind not in artifacts:
            raise NotFound(f"{name} has no artifact {kind!r}", did_you_mean(kind, artifacts))
        return artifacts[kind]

    def subnets(self) -> tuple[Subnet, ...]:
        """The networks that DHCP serves, with the reservations of every host that is there."""
        networks = [plan_network(name, spec) for name, spec in self.site.networks.items()]
        return make_subnets(networks, (plan for plan in self.plans.values() if not plan.retired))

    def dnsmasq(self, mode: Mode) -> str:
        """The fleet's configuration for dnsmasq."""
        return render_dnsmasq(self.subnets(), mode, self.engine)

    def isc(self) -> str:
        """The fleet's configuration for ISC's dhcpd."""
        return render_isc(self.subnets(), self.engine)

    def kea(self) -> str:
        """The fleet's configuration for Kea."""
        return render_kea(self.subnets())

    def origin_problem(self, host: str, path: Path, code: str, message: str, hint: str = "") -> Problem:
        """A problem at the line that wrote a path of a host."""
        resolved = self.hosts[host]
        return Problem(resolved.merged.origin(path, resolved.origin), code, message, hint, host)


def build_generation(root: FilePath | str, revision: str = "") -> Generation:
    """Loads, resolves and plans a whole site, of that revision if it is known. Raises UsageError, or SiteError with
    everything that is wrong with the site, each problem once however many hosts have it.

    The garbage collector pauses meanwhile: a site is a great many small objects that all stay, and looking through
    them again and again costs more than making them."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        return _build(root, revision)
    finally:
        if collecting:
            gc.enable()


def _build(root: FilePath | str, revision: str) -> Generation:
    site, problems = read_site(root, revision)
    resolver = Resolver(site)
    hosts: dict[str, ResolvedHost] = {}
    failed: dict[str, Iterable[Problem]] = {}
    for name in site.hosts if site.whole else ():
        try:
            hosts[name] = resolver.resolve(name)
        except SiteError as error:
            failed[name] = error.problems
    plans = _plan(site, hosts, failed)
    if problems or failed:
        problems += host_problems(site.hosts)
    faulty = {problem.origin.file for problem in problems}
    if site.whole:
        problems += [one for one in rule_problems(site) if not (one.code == "BF018" and "site.yaml" in faulty)]
        faulty.update(problem.origin.file for problem in problems)
    engine: Engine | None = None
    try:
        engine = Engine(site.files)
    except SiteError as error:
        problems += error.problems
    if not site.whole:
        raise SiteError(once(problems, site.ranged))
    for name, found in failed.items():
        problems += _causes(found, faulty, resolver, name)
    if not any(file.startswith("hosts/") for file in faulty):
        bridges = {name: network.bridge for name, network in site.networks.items() if network.bridge}
        for name, fault in chain(place_guests(hosts, site.hosts), host_guests(hosts, bridges)):
            at = hosts[name].merged.origin(fault.path, hosts[name].origin)
            problems.append(Problem(at, fault.code, fault.message, fault.hint, name))
    twice = chain(duplicates(plans.values()), identities(hosts.values()), shared_devices(hosts))
    problems += shared_problems(twice, hosts)
    if problems or engine is None:
        raise SiteError(once(problems, site.ranged))
    by_mac = {nic.mac.text: name for name, plan in plans.items() if not plan.retired for nic in plan.nics if nic.mac}
    return Generation(site, engine, hosts, plans, by_mac)


def _plan(site: Site, hosts: Mapping[str, ResolvedHost], failed: dict[str, Iterable[Problem]]) -> dict[str, Plan]:
    """Every host that can be planned; guests first, because the host that they are on has their definitions. Problems
    of the others are put into ``failed``."""
    plans: dict[str, Plan] = {}
    guests: dict[str, list[DomainPlan]] = {}
    for name, host in sorted(hosts.items(), key=lambda one: one[1].spec.virt == "metal"):
        there = sorted(guests.get(name, ()), key=lambda domain: domain.name)
        try:
            plan = plans[name] = make_plan(site, host, tuple(there))
        except PlanError as error:
            failed[name] = [
                Problem(host.merged.origin(fault.path, host.origin), fault.code, fault.message, fault.hint, name)
                for fault in error.faults
            ]
            continue
        if plan.domain and plan.domain.on and plan.state in KEPT:
            guests.setdefault(plan.domain.on, []).append(plan.domain)
    return {name: plans[name] for name in hosts if name in plans}


def shared_problems(found: Iterable[Shared], hosts: Mapping[str, ResolvedHost]) -> Iterator[Problem]:
    """Values that two hosts have, each at the line of the second, with the line of the first."""
    for one in found:
        origin, first = (
            hosts[name].merged.origin(path, hosts[name].origin)
            for name, path in ((one.second, one.path), (one.first, one.first_path))
        )
        said = f"{one.differs} for {one.first}" if one.differs else f"is {one.first}'s already"
        yield Problem(origin, one.code, f"{one.what} {said}, at {first}", one.hint, one.second)


def _causes(found: Iterable[Problem], faulty: Collection[str], resolver: Resolver, name: str) -> list[Problem]:
    """Problems of a host, without those that may only follow from a problem in a file that speaks of it."""
    doubtful = bool(faulty) and not resolver.files(name).isdisjoint(faulty)
    return [problem for problem in found if not (doubtful and problem.code in _CONSEQUENCES)]


def once(problems: list[Problem], ranged: Collection[Origin] = ()) -> list[Problem]:
    """One problem for each place and message; the hosts that share it are counted in its message. A value with a range
    (``ranged``: their places) is told with its first host's message, because every host's is another."""
    grouped: dict[tuple[object, ...], list[Problem]] = {}
    for problem in problems:
        message = "" if problem.origin in ranged else problem.message
        grouped.setdefault((problem.origin, problem.code, message), []).append(problem)
    found = []
    for same in grouped.values():
        hosts = sorted({problem.host for problem in same if problem.host})
        if any(not problem.host for problem in same) or not hosts:
            found.append(next(problem for problem in same if not problem.host))
            continue
        others = len(hosts) - 1
        more = f" (and {others} host{'s' if others > 1 else ''} like it)" if others else ""
        first = next(problem for problem in same if problem.host == hosts[0])
        found.append(Problem(first.origin, first.code, first.message + more, first.hint, hosts[0], first.severity))
    return found
