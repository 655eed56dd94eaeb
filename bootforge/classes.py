"""The derivation table: which classes a host is of, and why (docs/site.md). Rules test them.

What the name and the host's own lines state (:class:`Stated`) is known before ``assign:``; roles, user classes, virt,
release and architecture are what it decides.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address

from bootforge.errors import Problem, did_you_mean
from bootforge.model import Facts, Origin
from bootforge.naming import CAPTURE
from bootforge.releases import RELEASES
from bootforge.rules import class_name
from bootforge.site.layer import Layer
from bootforge.site.load import Site


@dataclass(frozen=True, slots=True)
class Source:
    """Something that gives a class: ``role 'db'``. ``stated``: known before ``assign:``; without an origin it is
    built in."""

    name: str
    what: str
    origin: Origin | None
    stated: bool


def fact_classes(facts: Facts) -> Iterator[str]:
    """The classes of facts; a number gives none."""
    return (class_name(fact, value) for fact, value in facts.items() if not value.isdigit())


def domains(host: str) -> list[str]:
    """The proper parent domains of a name, with two labels at least: ``prod.example.com``, ``example.com``."""
    labels = host.split(".")
    return [".".join(labels[at:]) for at in range(1, len(labels) - 1)]


@dataclass(slots=True)
class Stated:
    """The classes that hosts of one site state themselves. Networks are found by bisection: a site may have a great
    many of both."""

    site: Site
    _starts: list[int] = field(init=False)
    _names: list[str] = field(init=False)
    _by_domain: dict[str, frozenset[str]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        networks = self.site.networks.items()
        found = sorted((int(one.subnet.network_address), name) for name, one in networks if one.subnet)
        self._starts, self._names = [start for start, _ in found], [name for _, name in found]

    def classes(self, host: str, facts: Facts, words: Facts, own: Layer) -> frozenset[str]:
        """Facts and domains of the name, the hardware, and the networks that the host's own lines name (with ``words``
        for ``{fact}``) or have addresses in."""
        domain = host.partition(".")[2]
        if domain not in self._by_domain:
            self._by_domain[domain] = frozenset(class_name("domain", one.replace(".", "_")) for one in domains(host))
        return self._by_domain[domain].union(fact_classes(facts), self._networks(words, own), self._hardware(own))

    def _hardware(self, own: Layer) -> Iterator[str]:
        key = ("hardware",)
        said = own.says.get(key) or (None if key in own.removes else self.site.defaults.says.get(key))
        if said:
            yield class_name("hw", str(said.value))

    def _networks(self, facts: Facts, own: Layer) -> Iterator[str]:
        for path, said in own.says.items():
            if len(path) != 3 or path[0] != "nics" or not isinstance(said.value, str):
                continue
            name = ""
            if path[2] == "network":
                name = CAPTURE.sub(lambda found: facts.get(found[1], "?"), said.value)
            elif path[2] == "address":
                name = self._holding(said.value)
            if name in self.site.networks:
                yield class_name("net", name)

    def _holding(self, address: str) -> str:
        """The network whose subnet holds an address, '' when there is none. Subnets do not overlap."""
        try:
            at = IPv4Address(address)
        except AddressValueError:
            return ""
        index = bisect_right(self._starts, int(at)) - 1
        name = self._names[index] if index >= 0 else ""
        subnet = self.site.networks[name].subnet if name else None
        return name if subnet and at in subnet else ""


def possible_classes(site: Site) -> set[str]:
    """Every class that some host of the site could be of."""
    return {source.name for source in sources(site)}


def rule_problems(site: Site) -> list[Problem]:
    """Rules that test a class which no host can be of, or which is not yet decided when they are asked; and classes
    that mean two things."""
    every = list(sources(site))
    known = {source.name for source in every}
    stated = {source.name for source in every if source.stated}
    problems = [*_two_meanings(every)]
    for rule in (*site.assigns, *site.rules):
        for word, at in rule.when.classes:
            if word not in known:
                hint = did_you_mean(word, known) or "facts of names give classes such as role_db"
                message = f"{rule.name}: no host can be of class '{word}'"
                problems.append(Problem(rule.text.at(at), "BF018", message, hint))
    for rule in site.assigns:
        for word, at in rule.when.classes:
            if word in known and word not in stated:
                message = f"{rule.name} tests '{word}', which is what assign decides"
                hint = "test what names state, or set it under 'rules:'"
                problems.append(Problem(rule.text.at(at), "BF024", message, hint))
    return problems


def _two_meanings(every: Iterable[Source]) -> Iterator[Problem]:
    """Classes that two different things give, so that a rule could not tell them apart."""
    first: dict[str, Source] = {}
    told = set()
    for source in every:
        other = first.setdefault(source.name, source)
        pair = (source.name, source.what)
        if source.what == other.what or pair in told:
            continue
        told.add(pair)
        places = [one for one in (other, source) if one.origin and not one.origin.file.startswith("shipped:")]
        if places:
            at = max(places, key=lambda one: one.origin or Origin(""))
            against = source if at is other else other
            where = f" at {against.origin}" if against.origin else ""
            message = f"{at.what} gives the class {at.name}, and so does {against.what}{where}"
            assert at.origin
            yield Problem(at.origin, "BF026", message, "rename one of them: a rule could not tell them apart")


def sources(site: Site) -> Iterator[Source]:
    """Everything in a site that gives a class: the derivation table, row by row."""
    top = Origin("site.yaml")
    seen: set[str] = set()

    def stated(words: tuple[str, str], origin: Origin | None) -> Iterator[Source]:
        """A fact or a network, once."""
        what = f"{words[0]} '{words[1]}'"
        if what not in seen and not words[1].isdigit():
            seen.add(what)
            yield Source(class_name(*words), what, origin, True)

    for role, layer in site.roles.items():
        yield from stated(("role", role), layer.origin)
    for env in site.environments:
        yield from stated(("env", env), site.origins.origin(("environments", env), top))
    for name, network in site.networks.items():
        at = site.origins.origin(("networks", name), top)
        yield Source(class_name("net", name), f"network '{name}'", at, True)
        if network.site:
            yield from stated(("site", network.site), site.origins.origin(("networks", name, "site"), top))
    for model, layer in site.hardware.items():
        if "_" in model:  # not a name, which is told already
            continue
        yield Source(class_name("hw", model), f"hardware '{model}'", layer.origin, True)
    for number, pattern in enumerate(site.patterns):
        for fact in pattern.constants.items():
            yield from stated(fact, site.origins.values[("names",)].items[number])
    for host, layer in site.hosts.items():
        for fact in _facts(site, host, layer).items():
            yield from stated(fact, layer.origin)
        for domain in domains(host):
            if f"domain {domain}" in seen:
                break
            seen.add(f"domain {domain}")
            yield Source(class_name("domain", domain.replace(".", "_")), f"domain {domain}", layer.origin, True)
    for layer in (site.defaults, *site.hosts.values(), *(rule.layer for rule in site.assigns)):
        for path, said in layer.says.items():
            if path[0] == "classes":
                yield Source(class_name(path[1]), f"class '{path[1]}'", said.origin, False)
    for virt in ("metal", "xen", "kvm"):
        yield Source(class_name("virt", virt), f"virt '{virt}'", None, False)
    for release in RELEASES:
        yield Source(release, f"release '{release}'", None, False)
    for profile in site.profiles.values():
        yield Source(profile.arch, f"architecture '{profile.arch}'", None, False)


def _facts(site: Site, host: str, layer: Layer) -> Facts:
    """What a host's name states, or the host itself."""
    return next((facts for one in site.patterns if (facts := one.parse(host)) is not None), own_facts(layer))


def own_facts(layer: Layer) -> dict[str, str]:
    """The facts that a host states where its name fits no pattern."""
    return {path[1]: str(said.value) for path, said in layer.says.items() if path[0] == "facts" and len(path) == 2}
