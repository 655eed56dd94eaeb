"""Where the installed system's packages come from, and which they are: keys, .repo files, modules, packages."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping

from bootforge.model_steps import Step, whole_file
from bootforge.plan.faults import Fault, written
from bootforge.plan.media import Nics
from bootforge.plan.repos import Place, place_of
from bootforge.plan.shared import shared
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.rpmkey import fingerprints
from bootforge.site.load import Site
from bootforge.site.schema_system import RepoSpec, RepoUseSpec

KEYS = "/etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-"
REPOS = "/etc/yum.repos.d/bootforge-"


def plan_packages(site: Site, host: ResolvedHost, nics: Nics, faults: list[Fault]) -> tuple[Step, ...]:
    """In their order: files of keys, their import, .repo files, what is purged, modules, one step of packages. Groups
    and environments are the installer's alone: no tool tells cheaply whether a host has one."""
    spec, release = host.spec, RELEASES[host.release]
    places = {
        name: place_of(site, host, nics, name)
        for name, use in sorted(spec.repos.items())
        if use.state == "present" and name in site.repos
    }
    told = ("repo files", host.release, repr(places), spec.repos, spec.repos_purge or "")
    wanted = (spec.packages, spec.latest_packages, spec.absent_packages, spec.modules)
    return (
        *shared(host, told, faults, lambda: (*_keys(site, places, spec.repos), *_repos(site, host, places, faults))),
        *shared(host, ("packages", host.release, *wanted), faults, lambda: tuple(_packages(host, release, faults))),
    )


def _keys(site: Site, places: Mapping[str, Place], uses: Mapping[str, RepoUseSpec]) -> Iterator[Step]:
    """The file of each key, and the import of all that are not in rpm's database."""
    files = []
    for name, use in sorted(uses.items()):
        path, at = KEYS + name, ("repos", name)
        key = site.repos[name].gpgkey if name in places else None
        if key:
            try:
                prints = fingerprints(site.files[key])
            except (KeyError, ValueError):
                continue  # told at its line of repos.yaml (site/repos.py)
            content = site.files[key].decode().replace("\r\n", "\n")
            files.append((name, path, prints))
            yield whole_file(f"rpm-keys:{name}", path, content, at)
        elif use.state == "absent":
            yield Step(f"rpm-keys:{name}", "absent", (path,), at)
    if files:
        needs = tuple(f"rpm-keys:{name}" for name, _, _ in files)
        args = tuple(arg for _, path, ids in files for arg in (path, " ".join(ids)))
        yield Step("rpm-keys", "rpm_keys", args, ("repos",), needs=needs)


def _repos(site: Site, host: ResolvedHost, places: Mapping[str, Place], faults: list[Fault]) -> Iterator[Step]:
    release = RELEASES[host.release]
    for name, use in sorted(host.spec.repos.items()):
        path, at = f"{REPOS}{name}.repo", ("repos", name)
        if name in places:
            repo = site.repos[name]
            if repo.repo_gpgcheck and not release.repo_gpgcheck:
                what = f"{release.name} cannot check who signed the metadata of repo {name}"
                faults.append(Fault(at, "BF091", what, "use a repository without 'repo_gpgcheck'"))
            yield whole_file(f"repos:{name}", path, _repo_file(name, repo, use, places[name]), at)
        elif use.state == "absent":
            yield Step(f"repos:{name}", "absent", (path,), at)
    if host.spec.repos_purge:
        if not places:
            what = "repos_purge would leave the host without any repository"
            faults.append(Fault(("repos_purge",), "BF122", what, "use one under 'repos:'"))
        ours = tuple(f"{REPOS}{name}.repo" for name in places)
        yield Step("repos-purge", "repos_purge", ours, ("repos_purge",), needs=("repos",))


def _repo_file(name: str, repo: RepoSpec, use: RepoUseSpec, place: Place) -> str:
    """In the words that every yum and dnf knows: yum has ``exclude`` only, dnf took it over. The branch is in the URL
    as it is: EL5's yum has no variables of ours, and one that is missing would be asked for literally."""
    lines = (
        ("baseurl", place.url),
        ("mirrorlist", place.mirrorlist),
        ("enabled", 1),
        ("gpgcheck", int(repo.gpgcheck)),
        ("repo_gpgcheck", 1 if repo.repo_gpgcheck else None),
        ("gpgkey", f"file://{KEYS}{name}" if repo.gpgkey else None),
        ("exclude", " ".join(use.exclude) or None),
        ("cost", use.cost),
        ("proxy", place.proxy),
    )
    text = "".join(f"{key}={value}\n" for key, value in lines if value is not None)
    return f"# Written by Bootforge; changes are lost.\n[bootforge-{name}]\nname={name}\n{text}"


def _packages(host: ResolvedHost, release: Release, faults: list[Fault]) -> Iterator[Step]:
    spec = host.spec
    present = tuple(name for name in spec.packages if not name.startswith("@"))
    for key in ("packages", "latest_packages"):
        for name in sorted(set(getattr(spec, key)) & set(spec.absent_packages)):
            at = written(host, [(key, name), ("absent_packages", name)])
            hint = f"""write '{at[0]}-: ["{name}"]'"""
            faults.append(Fault(at, "BF120", f"{name} is in {key} and in absent_packages", hint))
    for name, stream in sorted(spec.modules.items()):
        at = ("modules", name)
        if not release.modules:
            hint = "name the packages instead; versions that stand side by side have names of their own"
            faults.append(Fault(at, "BF121", f"{release.name} has no modules", hint))
        yield Step(f"modules:{name}", "module", (name, stream), at, needs=("rpm-keys", "repos"))
    lists = tuple(" ".join(names) for names in (present, spec.latest_packages, spec.absent_packages))
    if any(lists):
        digest = hashlib.sha256("\n".join((release.pkg, *lists)).encode()).hexdigest()[:16]
        needs = ("rpm-keys", "repos", "modules")
        yield Step("packages", "packages", (release.pkg, digest, *lists), ("packages",), needs=needs)
