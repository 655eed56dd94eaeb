"""From a site and a name to one host: facts, classes, rules and layers merged, typed once, every line kept.

The order is the language's: the name states facts, the host its hardware; ``assign:`` (which may test only those)
decides profile, layout, roles, classes and virt; then ``rules:`` may test everything and set anything else. Layers,
weakest first: defaults, profile, layout, hardware, roles, rules, host.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NoReturn, TypeVar

from bootforge.classes import Stated, own_facts
from bootforge.errors import NotFound, Problem, SiteError, did_you_mean
from bootforge.model import Assertion, Facts, Origin, Path, Trail
from bootforge.naming import CAPTURE, DECIDED
from bootforge.releases import RELEASES
from bootforge.required import with_required
from bootforge.rules import class_name
from bootforge.site.kinds import Atomic, Kind, Scalar, kind_at
from bootforge.site.layer import Layer, Merged, merge
from bootforge.site.load import HOST, Profile, Rule, Site
from bootforge.site.schema import ASSIGNED, DECLARED, HostSpec
from bootforge.site.values import Typer
from bootforge.words import HostName

T = TypeVar("T")
_CHOSEN = ASSIGNED + DECLARED
_SETTINGS = frozenset(HOST.fields) - set(_CHOSEN)
_NO_LOCK = Layer("lock", Origin("lock.yaml"))


@dataclass(frozen=True, slots=True)
class ResolvedHost:
    """One host with everything decided by rules. ``merged`` has the text of ``spec`` and every line about it.
    ``x86_level``: what its profile's packages are built for, where that is not the release's."""

    name: HostName
    release: str
    arch: str
    x86_level: int | None
    facts: Facts
    classes: frozenset[str]
    spec: HostSpec
    origin: Origin
    merged: Merged = field(compare=False, repr=False)
    memo: dict[object, tuple[object, object]] = field(compare=False, repr=False)

    @property
    def trails(self) -> Mapping[Path, Trail]:
        """Every assertion about every path, also about those that hold no value any more."""
        return self.merged.trails


@dataclass(slots=True)
class Resolver:
    """Resolves the hosts of one site. Hosts of the same profile, layout, roles and rules share one merge."""

    site: Site
    shared: dict[tuple[object, ...], Merged] = field(default_factory=dict)
    memo: dict[object, tuple[object, object]] = field(default_factory=dict)
    typer: Typer[HostSpec] = field(default_factory=lambda: Typer(HostSpec))
    stated: Stated = field(init=False)
    chosen_by_default: Merged = field(init=False)

    def __post_init__(self) -> None:
        self.stated = Stated(self.site)
        self.chosen_by_default = merge(Merged(), [_only(self.site.defaults, _CHOSEN)])

    def resolve(self, name: str) -> ResolvedHost:
        """The host of that name. Raises NotFound, or SiteError with everything that is wrong with it."""
        if name not in self.site.hosts:
            raise NotFound(f"no host {name!r}", did_you_mean(name, self.site.hosts))
        layer = self.site.hosts[name]
        lock = self.site.locks.get(name, _NO_LOCK)
        facts = self.facts(name, layer)
        stated = self.stated.classes(name, facts, {**facts, **branch_fact(self.site, facts)}, layer)
        chosen = self.assign(name, facts, layer, stated)
        profile = self.part(name, layer, chosen, "profile", self.site.profiles)
        layout = self.part(name, layer, chosen, "layout", self.site.layouts)
        named = ("hardware",) in chosen.values
        model = self.part(name, layer, chosen, "hardware", self.site.hardware) if named else None
        roles = tuple(path[1] for path in sorted(chosen.values) if path[0] == "roles")
        for role in roles:
            if role not in self.site.roles:
                at = chosen.values[("roles", role)].origin
                _fail(at, "BF021", f"no role '{role}'", did_you_mean(role, self.site.roles), name)
        classes = self.classes(stated, chosen, profile, roles)
        rules = tuple(rule for rule in self.site.rules if rule.when(classes))
        below = merged = self.below_host(profile, layout, model, roles, rules)
        if lock.says:
            merged = merge(merged, [_of_nics_that_are(lock, merged, layer)])
        merged = merge(merged, [_only(layer, _SETTINGS)])
        merged = _joined(chosen, merged)
        merged = self.interpolate(
            merged, {**facts, **decided_facts(self.site, facts, profile.release, profile.arch)}, name
        )
        merged = with_required(merged, profile.release)
        problems = [replace(problem, host=name) for problem in merged.problems]
        spec = self.typer.typed(merged, below, layer.origin, problems, name)
        if problems or spec is None:
            raise SiteError(problems)
        return ResolvedHost(
            HostName(name),
            profile.release,
            profile.arch,
            profile.x86_level,
            facts,
            classes,
            spec,
            layer.origin,
            merged,
            self.memo,
        )

    def files(self, name: str) -> set[str]:
        """The files of the site that speak of a host, as far as can be told of a site with problems."""
        site, host = self.site, self.site.hosts[name]
        layouts, hardware, roles = dict(site.layouts), dict(site.hardware), dict(site.roles)
        files = {"site.yaml", "rules.yaml", "repos.yaml", "arrays.yaml", "lock.yaml", host.origin.file}
        profiles = {profile.name: profile.layer for profile in site.profiles.values()}
        parts = {"profile": profiles, "layout": layouts, "hardware": hardware, "roles": roles}
        try:
            facts = self.facts(name, host)
            chosen = self.assign(name, facts, host, self.stated.classes(name, facts, facts, host)).values
        except SiteError:
            return files.union(layer.origin.file for part in parts.values() for layer in part.values())
        names = [(path[0], path[-1] if len(path) > 1 else str(said.value)) for path, said in chosen.items()]
        return files.union(parts[key][word].origin.file for key, word in names if word in parts.get(key, ()))

    def facts(self, name: str, host: Layer) -> dict[str, str]:
        """What the name states, or the host itself where its name fits no pattern. Raises SiteError when the name has
        the form of a pattern, but not its words, and for facts that cannot be."""
        own = own_facts(host)
        for pattern in self.site.patterns:
            if (facts := pattern.parse(name)) is not None:
                if own:
                    hint = f"the pattern {pattern.source} states them"
                    _fail(host.keys[("facts",)], "BF081", "facts of a host whose name states them", hint, name)
                return facts
        if own:
            self.check_facts(own, host, name)
            return own
        why = next((near for pattern in self.site.patterns if (near := pattern.near_miss(name))), "")
        if self.site.patterns:
            message, _, hint = why.partition("; ")
            forms = ", ".join(pattern.source for pattern in self.site.patterns)
            hint = hint or f"write 'facts: {{role: ...}}' at the host, or rename it; patterns: {forms}"
            _fail(host.origin, "BF022", message or "the name fits no pattern", hint, name)
        return {}

    def check_facts(self, facts: Facts, host: Layer, name: str) -> None:
        """Facts that a host states itself are of the same words as those of names. Raises SiteError."""
        words = {"role": self.site.roles, "env": self.site.environments, "site": self.site.sites()}
        for fact, value in facts.items():
            at = host.says[("facts", fact)].origin
            if fact in DECIDED:
                _fail(at, "BF081", f"fact '{fact}' is not a host's to state", "its profile or environment does", name)
            if fact in words and value not in words[fact]:
                hint = did_you_mean(value, words[fact]) or f"the site declares no {fact}"
                _fail(at, "BF081", f"no {fact} '{value}'", hint, name)

    def assign(self, name: str, facts: Facts, host: Layer, classes: frozenset[str]) -> Merged:
        """Hardware, profile, layout, roles, classes and virt: defaults, then the name's role, assignments, the host."""
        merged = self.chosen_by_default
        if role := facts.get("role"):
            said = Assertion(role, "set", host.origin, "name")
            merged = merge(merged, [Layer("name", host.origin, {("roles", role): said})])
        merged = merge(merged, [rule.layer for rule in self.site.assigns if rule.when(classes)])
        merged = merge(merged, [_only(host, _CHOSEN)])
        if merged.problems:
            raise SiteError(replace(problem, host=name) for problem in merged.problems)
        return merged

    def part(self, name: str, host: Layer, chosen: Merged, key: str, known: Mapping[str, T]) -> T:
        """The profile, layout or hardware that was chosen. Raises SiteError when there is none of that name."""
        said = chosen.values.get((key,))
        if said is None or not isinstance(said.value, str):
            hint = f"set '{key}:' in defaults or assign"
            removal = host.removes.get((key,))
            _fail(removal.origin if removal else self.site.defaults.origin, "BF023", f"no {key} is chosen", hint, name)
        if said.value not in known:
            _fail(said.origin, "BF021", f"no {key} '{said.value}'", did_you_mean(said.value, known), name)
        return known[said.value]

    def classes(
        self, stated: frozenset[str], chosen: Merged, profile: Profile, roles: tuple[str, ...]
    ) -> frozenset[str]:
        """The derivation table: everything that a rule can test about a host (classes.py, docs/site.md)."""
        virt = chosen.values.get(("virt",))
        return frozenset(
            {
                *stated,
                *(class_name("role", role) for role in roles),
                *(class_name(path[1]) for path in chosen.values if path[0] == "classes"),
                class_name("virt", str(virt.value) if virt else "metal"),
                profile.release,
                profile.arch,
            }
        )

    def below_host(
        self, profile: Profile, layout: Layer, model: Layer | None, roles: tuple[str, ...], rules: tuple[Rule, ...]
    ) -> Merged:
        origins = tuple(rule.layer.origin for rule in rules)
        key = (profile.name, layout.name, model.name if model else "", roles, origins)
        if key not in self.shared:
            merged = Merged()
            for group in (
                [_only(self.site.defaults, _SETTINGS)],
                [profile.layer],
                [layout],
                [model] if model else [],
                [self.site.roles[role] for role in roles],
                [rule.layer for rule in rules],
            ):
                merged = merge(merged, group)
            self.shared[key] = merged
        return self.shared[key]

    def interpolate(self, merged: Merged, facts: Facts, name: str) -> Merged:
        """``{fact}`` replaced where the schema allows it. Raises SiteError for a fact that the host lacks."""
        values = dict(merged.values)
        for path, said in merged.values.items():
            value = said.value
            if value is None or (isinstance(value, str) and "{" not in value):
                continue
            texts = value if isinstance(value, tuple) else (value,)
            if not any("{" in text for text in texts) or not _takes_facts(path):
                continue
            filled = tuple(_fill(text, facts, said, name) for text in texts)
            values[path] = replace(said, value=filled if isinstance(said.value, tuple) else filled[0])
        return replace(merged, values=values)


@cache
def _takes_facts(path: Path) -> bool:
    kind: Kind = kind_at(HOST, path)
    return isinstance(kind, Scalar | Atomic) and kind.facts


def _fill(text: str, facts: Facts, said: Assertion, name: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] not in facts:
            _fail(said.origin, "BF025", f"no fact '{match[1]}'", did_you_mean(match[1], facts), name)
        return facts[match[1]]

    return CAPTURE.sub(value, text)


def branch_fact(site: Site, facts: Facts) -> dict[str, str]:
    """The branch of the host's environment, as a fact."""
    env = facts.get("env", "")
    return {"branch": site.environments[env].branch or env} if env in site.environments else {}


def decided_facts(site: Site, facts: Facts, release: str, arch: str) -> dict[str, str]:
    """The facts that a host's environment and profile state, beside those of its name."""
    return {**branch_fact(site, facts), "release": release, "releasever": RELEASES[release].releasever, "arch": arch}


def _of_nics_that_are(lock: Layer, below: Merged, host: Layer) -> Layer:
    """A lock without the nics that the host has no more: an identity makes no nic."""
    nics = [path for path in lock.keys if path[0] == "nics" and len(path) == 2]
    gone = {path[1] for path in nics if path not in below.keys and path not in host.keys}
    if not gone:
        return lock
    return replace(
        lock,
        says={path: said for path, said in lock.says.items() if path[0] != "nics" or path[1] not in gone},
        keys={path: at for path, at in lock.keys.items() if path[0] != "nics" or path[1:2] and path[1] not in gone},
    )


def _joined(first: Merged, second: Merged) -> Merged:
    return Merged(
        {**first.values, **second.values},
        {**first.trails, **second.trails},
        first.problems + second.problems,
        {**first.keys, **second.keys},
    )


def _only(layer: Layer, keys: Collection[str]) -> Layer:
    if all(path[0] in keys for part in (layer.says, layer.replaces, layer.removes, layer.keys) for path in part):
        return layer
    return replace(
        layer,
        says={path: said for path, said in layer.says.items() if path[0] in keys},
        replaces={path: said for path, said in layer.replaces.items() if path[0] in keys},
        removes={path: said for path, said in layer.removes.items() if path[0] in keys},
        keys={path: origin for path, origin in layer.keys.items() if path[0] in keys},
    )


def _fail(origin: Origin, code: str, message: str, hint: str, host: str) -> NoReturn:
    raise SiteError([Problem(origin, code, message, hint, host)])
