"""What a site says without effect, and what time does to it: only a whole fleet can tell."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Iterable, Iterator
from datetime import date

from bootforge.errors import Problem
from bootforge.generation import Generation
from bootforge.model import Origin, dotted
from bootforge.releases import RELEASES


def lint_site(generation: Generation, today: date) -> Iterator[Problem]:
    """Warnings about lines that change nothing for any host, and notes about releases that have ended."""
    if not generation.hosts:
        hint = "write 'NAME: {...}' lines in hosts/NAME.yaml"
        yield _warning(Origin("site.yaml"), "BF062", "the site has no hosts, so nothing in it has an effect", hint)
        return
    yield from _dead_rules(generation)
    yield from _dead_defaults(generation)
    yield from _unused(generation)
    yield from _locked_in_vain(generation)
    yield from _ended(generation, today)


def _warning(origin: Origin, code: str, message: str, hint: str, severity: str = "warning") -> Problem:
    return Problem(origin, code, message, hint, severity=severity)


def _dead_rules(generation: Generation) -> Iterator[Problem]:
    site = generation.site
    every = {frozenset(host.classes) for host in generation.hosts.values()}
    for rule in (*site.assigns, *site.rules):
        if not any(rule.when(classes) for classes in every):
            hint = "correct 'when:', or remove the rule"
            yield _warning(rule.layer.origin, "BF061", f"{rule.name} matches no host", hint)


def _dead_defaults(generation: Generation) -> Iterator[Problem]:
    """Defaults are the weakest layer: a profile or layout that says the same path always wins."""
    winning = {said.origin for host in generation.hosts.values() for said in host.merged.values.values()}
    for path, said in generation.site.defaults.says.items():
        if said.origin in winning or not generation.hosts:
            continue
        over = {host.merged.values[path].layer for host in generation.hosts.values() if path in host.merged.values}
        if over:
            by = ", ".join(sorted(over)[:3])
            hint = "defaults are the weakest layer; say it in a rule, a role, or a profile of the site"
            yield _warning(said.origin, "BF063", f"{dotted(path)} of defaults never holds: {by} wins", hint)


def _unused(generation: Generation) -> Iterator[Problem]:
    site = generation.site
    used: dict[str, set[str]] = defaultdict(set)
    for host in generation.hosts.values():
        spec = host.spec
        used["role"].update(spec.roles)
        used["profile"].add(str(spec.profile))
        used["layout"].add(str(spec.layout))
        used["hardware"].add(str(spec.hardware))
        passwords = [spec.root_password, *(user.password for user in spec.users.values())]
        used["secret"].update(filter(None, passwords))
        used["key file"].update(file for files in spec.authorized_keys.values() for file in files)
        used["key file"].update(spec.trust, filter(None, (file.source for file in spec.files.values())))
        used["repo"].update(spec.repos)
        used["key file"].update(filter(None, (site.repos[name].gpgkey for name in spec.repos if name in site.repos)))
        chap = (spec.chap.secret, spec.chap.mutual_secret) if spec.chap else ()
        used["secret"].update(filter(None, chap))
        plan = generation.plan(host.name.text)
        used["secret"].update(name for step in plan.steps for name in step.secrets)
        storage = plan.storage
        for volume in storage.volumes if storage else ():
            used["array"].add(volume.array)
            used["pool"].add(f"{volume.array}/{volume.pool}")
    at = site.array_origins
    own: list[tuple[str, Iterable[tuple[str, Origin]]]] = [
        ("role", ((name, layer.origin) for name, layer in site.roles.items())),
        ("profile", ((name, profile.layer.origin) for name, profile in site.profiles.items())),
        ("layout", ((name, layer.origin) for name, layer in site.layouts.items())),
        ("hardware", ((name, layer.origin) for name, layer in site.hardware.items())),
        ("repo", ((name, site.origins.origin(("repos", name), Origin("repos.yaml"))) for name in site.repos)),
        ("secret", ((name, site.origins.origin(("secrets", name), Origin("site.yaml"))) for name in site.secrets)),
        ("array", ((name, at.origin((name,), Origin("arrays.yaml"))) for name in site.arrays)),
        ("pool", _pools(generation, used["array"])),
        ("key file", ((name, Origin(name)) for name in site.files if name.startswith("keys/"))),
    ]
    for what, things in own:
        for name, origin in things:
            if name not in used[what] and not origin.file.startswith("shipped:"):
                yield _warning(origin, "BF062", f"{what} '{name}' is used by no host", "use it, or remove it")


def _pools(generation: Generation, arrays: Container[str]) -> Iterator[tuple[str, Origin]]:
    """The pools of arrays that are used."""
    site = generation.site
    for name, array in site.arrays.items():
        for pool in array.pools if name in arrays else ():
            at = site.array_origins.origin((name, "pools", pool), Origin("arrays.yaml"))
            yield f"{name}/{pool}", at


def _locked_in_vain(generation: Generation) -> Iterator[Problem]:
    """Identities that no host has: of a name that is gone, or of a nic."""
    for name, layer in generation.site.locks.items():
        if name not in generation.hosts:
            hint = "was it renamed? Rename the key here, and it keeps its identity; remove the lines if it is gone"
            yield _warning(layer.origin, "BF082", f"no host {name} has this identity", hint)
            continue
        for path, origin in layer.keys.items():
            if path[0] == "nics" and len(path) == 2 and path[1] not in generation.hosts[name].spec.nics:
                hint = "was it renamed? Rename the key here; remove the line if it is gone"
                yield _warning(origin, "BF082", f"{name} has no nic {path[1]}", hint)


def _ended(generation: Generation, today: date) -> Iterator[Problem]:
    hosts: dict[tuple[Origin, str], list[str]] = defaultdict(list)
    for name, host in generation.hosts.items():
        chosen = host.trails[("profile",)][-1].origin
        hosts[chosen, host.release].append(name)
    for (origin, release), names in hosts.items():
        ended = RELEASES[release].end_of_life
        if ended < today.isoformat()[:7]:
            message = f"{RELEASES[release].title} got its last updates in {ended}: {len(names)} hosts"
            yield _warning(origin, "BF064", message, "plan their successors", "note")
