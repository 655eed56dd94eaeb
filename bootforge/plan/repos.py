"""Repositories that packages come from, beside the install tree: those of the installer, and where each is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bootforge.errors import did_you_mean
from bootforge.naming import CAPTURE
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault
from bootforge.plan.media import Nics, tree_url
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost, decided_facts
from bootforge.site.load import Site
from bootforge.site.scalars_network import parse_mirror, parse_tree, parse_url
from bootforge.site.schema_system import RepoSpec, RepoUseSpec
from bootforge.words import KsCommand


def plan_repos(site: Site, host: ResolvedHost, nics: Nics, faults: list[Fault]) -> tuple[KsCommand, ...]:
    """A ``repo`` for each, sorted by name. Without --install: the .repo files of the installed system are the
    bootstrap's (plan/packages.py)."""
    facts = _facts(site, host)
    commands = []
    for name, use in sorted(host.spec.repos.items()):
        repo = site.repos.get(name)
        if use.state == "absent":
            continue
        if repo is None:
            hint = did_you_mean(name, site.repos) or "declare it in repos.yaml"
            faults.append(Fault(("repos", name), "BF021", f"no repo '{name}'", hint))
        elif one := _repo(name, repo, use, RELEASES[host.release], nics, facts, faults):
            commands.append(one)
    return tuple(commands)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a repository is for one host; the proxy by which it is reached."""

    url: str | None
    mirrorlist: str | None
    proxy: str | None


def place_of(site: Site, host: ResolvedHost, nics: Nics, name: str) -> Place:
    """What ``plan_repos`` has checked already: where a declared repository is, with the host's facts filled in."""
    return _place(name, site.repos[name], nics, _facts(site, host), [])


def _facts(site: Site, host: ResolvedHost) -> Mapping[str, str]:
    return {**host.facts, **decided_facts(site, host.facts, host.release, host.arch)}


def _place(name: str, repo: RepoSpec, nics: Nics, facts: Mapping[str, str], faults: list[Fault]) -> Place:
    url = _filled(name, "url", repo.url, parse_tree, facts, faults)
    return Place(
        url and tree_url(url, nics),
        _filled(name, "mirrorlist", repo.mirrorlist, parse_mirror, facts, faults),
        _filled(name, "proxy", repo.proxy, parse_url, facts, faults),
    )


def _repo(
    name: str,
    repo: RepoSpec,
    use: RepoUseSpec,
    release: Release,
    nics: Nics,
    facts: Mapping[str, str],
    faults: list[Fault],
) -> KsCommand | None:
    def fault(message: str, hint: str, *key: str) -> None:
        faults.append(Fault(("repos", name, *key), "BF091", message, hint))

    branch = facts.get("branch")
    if repo.branches and branch not in repo.branches:
        one = "has no environment, and so no branch" if branch is None else f"is of the branch '{branch}'"
        fault(f"repo {name} is for {', '.join(repo.branches)}, and the host {one}", "see 'branches:' in repos.yaml")
        return None
    place = _place(name, repo, nics, facts, faults)
    if not use.install:
        return None
    if any((text or "").startswith("https:") for text in (place.url, place.mirrorlist)) and not release.https:
        fault(f"repo {name} is https, and {release.name}'s installer has no TLS", "write http:// in repos.yaml")
    if not release.repo_options:
        unknown = {"exclude": use.exclude, "cost": use.cost, "proxy": place.proxy}
        for key in (key for key, value in unknown.items() if value):
            fault(
                f"{release.name}'s installer has no '{key}' of a repo", f"write 'install: false' at repos.{name}", key
            )
    return command(
        "repo",
        name=name,
        baseurl=place.url,
        mirrorlist=place.mirrorlist,
        proxy=place.proxy,
        excludepkgs=",".join(use.exclude) or None,
        cost=use.cost,
    )


def _filled(
    name: str,
    key: str,
    text: str | None,
    parse: Callable[[str], str],
    facts: Mapping[str, str],
    faults: list[Fault],
) -> str | None:
    """The URL with its facts; a fact that the host lacks, or what is then no URL, is a fault of the host's line,
    because the same line of repos.yaml may suit others."""
    if text is None or "{" not in text:
        return text
    lacking = [match[1] for match in CAPTURE.finditer(text) if match[1] not in facts]
    if lacking:
        what = f"no fact '{lacking[0]}', which {key} of repo {name} in repos.yaml takes"
        hint = did_you_mean(lacking[0], facts) or f"facts: {', '.join(sorted(facts))}"
        faults.append(Fault(("repos", name), "BF025", what, hint))
        return None
    filled = CAPTURE.sub(lambda match: facts[match[1]], text)
    try:
        return parse(filled)
    except ValueError as error:
        message, _, hint = str(error).partition("; ")
        faults.append(Fault(("repos", name), "BF091", f"{key} of repo {name}: {message}", hint))
        return None
