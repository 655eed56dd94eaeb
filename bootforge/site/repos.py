"""repos.yaml: where packages come from, said once for every host."""

from __future__ import annotations

from collections.abc import Mapping

from bootforge.errors import Problem, did_you_mean, told
from bootforge.model import Origin
from bootforge.rpmkey import fingerprints
from bootforge.site.kinds import kind_of_model
from bootforge.site.layer import Merged, flatten, merge, no_weaker
from bootforge.site.schema_system import ReposFile, RepoSpec
from bootforge.site.tree import Bad, Entry, Map, Node, Text
from bootforge.site.values import typed

FILE = Origin("repos.yaml")


def read_repos(
    node: Node | None, files: Mapping[str, bytes], problems: list[Problem]
) -> tuple[Mapping[str, RepoSpec], Merged]:
    """The repositories of the file, which stand at its top as if below ``repos:``, and where each is written.

    ``{fact}`` may stand in their URLs: which facts there are depends on the host."""
    if node is not None and not isinstance(node, Map):
        if not isinstance(node, Bad) and not (isinstance(node, Text) and node.empty):
            hint = "write 'NAME: {url: ...}'"
            problems.append(Problem(node.origin, "BF013", "repos.yaml must be a map of repositories", hint))
        return {}, Merged()
    tree = Map((Entry("repos", "set", FILE, node),), FILE) if node else Map((), FILE)
    layer = flatten(tree, kind_of_model(ReposFile), "repos.yaml", FILE, problems)
    suffixed = [entry.origin for entry in (node.entries if node else ()) if entry.op != "set"]
    suffixed += [said.origin for said in (*layer.replaces.values(), *layer.removes.values())]
    problems += map(no_weaker, suffixed)
    merged = merge(Merged(), [layer])
    found = typed(ReposFile, merged, FILE, problems, alone=True)
    repos = found.repos if found else {}
    for name, repo in repos.items():
        if why := _fault(name, repo, files):
            key, message, hint = why
            problems.append(Problem(merged.origin(("repos", name, key), FILE), "BF091", message, hint))
    return repos, merged


def _fault(name: str, repo: RepoSpec, files: Mapping[str, bytes]) -> tuple[str, str, str] | None:
    """What is wrong with a repository by itself: the key, the message and the hint."""
    if bool(repo.url) == bool(repo.mirrorlist):
        return "mirrorlist", f"repo {name} needs one place to come from", "give 'url' or 'mirrorlist'"
    key = repo.gpgkey
    if key is None:
        unsigned = "no 'gpgkey', so nothing can tell who signed its metadata"
        return ("repo_gpgcheck", f"repo {name} has {unsigned}", "give 'gpgkey'") if repo.repo_gpgcheck else None
    if key not in files:
        known = [file for file in files if not file.endswith(".yaml")]
        return "gpgkey", f"no file '{key}' in the site", did_you_mean(key, known) or "copy it there"
    if b"PRIVATE KEY" in files[key]:
        return "gpgkey", f"{key} is a private key", "commit the public key, and replace this one"
    if b"BEGIN PGP PUBLIC KEY BLOCK" not in files[key]:
        return "gpgkey", f"{key} is no public key of PGP", "'gpg --armor --export' writes one"
    try:
        fingerprints(files[key])
    except ValueError as error:
        what, hint = told(error, f"{key} ")
        return "gpgkey", what, hint
    return None
