"""From a site and a name to one host: facts, classes, rules and layers merged, typed once, every line kept.

The order is the language's: the name states facts, the host its hardware; ``assign:`` (which may test only those)
decides profile, layout, roles, classes and virt; then ``rules:`` may test everything and set anything else. Layers,
weakest first: defaults, profile, layout, hardware, roles, rules, host.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from typing import NoReturn, TypeVar

from bootforge.errors import NotFound, Problem, SiteError, did_you_mean
from bootforge.model import Assertion, Facts, HostName, Origin, Path, Trail
from bootforge.naming import CAPTURE
from bootforge.releases import RELEASES
from bootforge.rules import class_name
from bootforge.site.kinds import Atomic, Kind, Scalar, kind_at
from bootforge.site.layer import Layer, Merged, merge
from bootforge.site.load import HOST, Profile, Rule, Site
from bootforge.site.schema import ASSIGNED, DECLARED, HostSpec
from bootforge.site.values import typed

T = TypeVar("T")
_CHOSEN = ASSIGNED + DECLARED


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

    @property
    def trails(self) -> Mapping[Path, Trail]:
        """Every assertion about every path, also about those that hold no value any more."""
        return self.merged.trails


@dataclass(slots=True)
class Resolver:
    """Resolves the hosts of one site. Hosts of the same profile, layout, roles and rules share one merge."""

    site: Site
    shared: dict[tuple[object, ...], Merged] = field(default_factory=dict)

    def resolve(self, name: str) -> ResolvedHost:
        """The host of that name. Raises NotFound, or SiteError with everything that is wrong with it."""
        if name not in self.site.hosts:
            raise NotFound(f"no host {name!r}", did_you_mean(name, self.site.hosts))
        layer = self.site.hosts[name]
        facts = self.facts(name, layer.origin)
        chosen = self.assign(name, facts, layer)
        profile = self.part(name, layer, chosen, "profile", self.site.profiles)
        layout = self.part(name, layer, chosen, "layout", self.site.layouts)
        named = ("hardware",) in chosen.values
        model = self.part(name, layer, chosen, "hardware", self.site.hardware) if named else None
        roles = tuple(path[1] for path in sorted(chosen.values) if path[0] == "roles")
        for role in roles:
            if role not in self.site.roles:
                at = chosen.values[("roles", role)].origin
                _fail(at, "BF021", f"no role '{role}'", did_you_mean(role, self.site.roles), name)
        classes = self.classes(facts, chosen, profile, roles)
        rules = tuple(rule for rule in self.site.rules if rule.when(classes))
        merged = merge(self.below_host(profile, layout, model, roles, rules), [_without(layer, _CHOSEN)])
        merged = _joined(chosen, merged)
        merged = self.interpolate(merged, {**facts, "release": profile.release, "arch": profile.arch}, name)
        problems = [replace(problem, host=name) for problem in merged.problems]
        spec = typed(HostSpec, merged, layer.origin, problems, name)
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
        )

    def files(self, name: str) -> set[str]:
        """The files of the site that speak of a host, as far as can be told of a site with problems."""
        site, host = self.site, self.site.hosts[name]
        files = {"site.yaml", "rules.yaml", host.origin.file}
        layouts, hardware, roles = dict(site.layouts), dict(site.hardware), dict(site.roles)
        profiles = {profile.name: profile.layer for profile in site.profiles.values()}
        parts = {"profile": profiles, "layout": layouts, "hardware": hardware, "roles": roles}
        try:
            chosen = self.assign(name, self.facts(name, host.origin), host).values
        except SiteError:
            return files.union(layer.origin.file for part in parts.values() for layer in part.values())
        names = [(path[0], path[-1] if len(path) > 1 else str(said.value)) for path, said in chosen.items()]
        return files.union(parts[key][word].origin.file for key, word in names if word in parts.get(key, ()))

    def facts(self, name: str, origin: Origin) -> dict[str, str]:
        """What the name states. Raises SiteError when it has the form of a pattern, but not its words."""
        for pattern in self.site.patterns:
            if (facts := pattern.parse(name)) is not None:
                return facts
        why = next((near for pattern in self.site.patterns if (near := pattern.near_miss(name))), "")
        if self.site.patterns:
            message, _, hint = why.partition("; ")
            forms = ", ".join(pattern.source for pattern in self.site.patterns)
            _fail(origin, "BF022", message or "the name fits no pattern", hint or f"patterns: {forms}", name)
        return {}

    def assign(self, name: str, facts: Facts, host: Layer) -> Merged:
        """Hardware, profile, layout, roles, classes and virt: defaults, then the name's role, assignments, the host."""
        merged = merge(Merged(), [_only(self.site.defaults, _CHOSEN)])
        classes = frozenset(_fact_classes(facts) | _hardware_class(merge(merged, [_only(host, DECLARED)])))
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

    def classes(self, facts: Facts, chosen: Merged, profile: Profile, roles: tuple[str, ...]) -> frozenset[str]:
        """The derivation table: everything that a rule can test about a host (docs/site.md)."""
        virt = chosen.values.get(("virt",))
        return frozenset(
            {
                *_fact_classes(facts),
                *_hardware_class(chosen),
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
                [_without(self.site.defaults, _CHOSEN)],
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
            texts = said.value if isinstance(said.value, tuple) else (said.value or "",)
            if not any("{" in text for text in texts) or not _takes_facts(path):
                continue
            filled = tuple(_fill(text, facts, said, name) for text in texts)
            values[path] = replace(said, value=filled if isinstance(said.value, tuple) else filled[0])
        return replace(merged, values=values)


def possible_classes(site: Site) -> set[str]:
    """Every class that some host of the site could be of, by the same table."""
    layers = [site.defaults, *site.hosts.values(), *(rule.layer for rule in site.assigns)]
    return {
        *_named_classes(site),
        *(class_name(path[1]) for layer in layers for path in layer.says if path[0] == "classes"),
        *(class_name("virt", word) for word in ("metal", "xen")),
        *RELEASES,
        *(profile.arch for profile in site.profiles.values()),
    }


def rule_problems(site: Site) -> list[Problem]:
    """Rules that test a class which no host can be of, or which is not yet decided when they are asked."""
    known = possible_classes(site)
    problems = []
    for rule in (*site.assigns, *site.rules):
        for word, at in rule.when.classes:
            if word not in known:
                hint = did_you_mean(word, known) or "facts of names give classes such as role_db"
                message = f"{rule.name}: no host can be of class '{word}'"
                problems.append(Problem(rule.text.at(at), "BF018", message, hint))
    named = _named_classes(site)
    for rule in site.assigns:
        for word, at in rule.when.classes:
            if word in known and word not in named:
                message = f"{rule.name} tests '{word}', which is what assign decides"
                hint = "test what names state, or set it under 'rules:'"
                problems.append(Problem(rule.text.at(at), "BF024", message, hint))
    return problems


def _named_classes(site: Site) -> set[str]:
    """Every class that a name of the site could state, or its hardware."""
    parsed = [facts for host in site.hosts for pattern in site.patterns if (facts := pattern.parse(host))]
    return {
        *(class_name("hw", model) for model in site.hardware),
        *(class_name("role", role) for role in site.roles),
        *(class_name("env", env) for env in site.environments),
        *(class_name("site", place) for place in site.sites()),
        *(word for facts in parsed for word in _fact_classes(facts)),
        *(class_name(fact, value) for pattern in site.patterns for fact, value in pattern.constants.items()),
    }


def _fact_classes(facts: Facts) -> set[str]:
    """The classes of a name's facts; a number gives none."""
    return {class_name(fact, value) for fact, value in facts.items() if not value.isdigit()}


def _hardware_class(chosen: Merged) -> set[str]:
    said = chosen.values.get(("hardware",))
    return {class_name("hw", str(said.value))} if said else set()


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


def _joined(first: Merged, second: Merged) -> Merged:
    return Merged(
        {**first.values, **second.values},
        {**first.trails, **second.trails},
        first.problems + second.problems,
        {**first.keys, **second.keys},
    )


def _only(layer: Layer, keys: tuple[str, ...]) -> Layer:
    return replace(
        layer,
        says={path: said for path, said in layer.says.items() if path[0] in keys},
        replaces={path: said for path, said in layer.replaces.items() if path[0] in keys},
        removes={path: said for path, said in layer.removes.items() if path[0] in keys},
        keys={path: origin for path, origin in layer.keys.items() if path[0] in keys},
    )


def _without(layer: Layer, keys: tuple[str, ...]) -> Layer:
    return _only(layer, tuple(key for key in HOST.fields if key not in keys))


def _fail(origin: Origin, code: str, message: str, hint: str, host: str) -> NoReturn:
    raise SiteError([Problem(origin, code, message, hint, host)])
