"""Files, directories and links of the installed system, and paths that must not be there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from bootforge.model import Path
from bootforge.model_steps import ALWAYS, Step, whole_directory, whole_file
from bootforge.plan.edits import plan_edit
from bootforge.plan.faults import Fault, check_secret, written
from bootforge.plan.hooks import owed
from bootforge.plan.shared import shared
from bootforge.plan.texts import fill, read_text
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.site.schema_files import FileSpec

_OTHERS = ("/proc", "/sys", "/dev", "/var/lib/bootforge", "/etc/bootforge")
"""Below these is nothing that a site can write."""

_UNITS = "/etc/systemd/system/"


def plan_files(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """Directories first, because files may be in them; edits last, because a file may make way for a package's."""
    spec = host.spec
    settings = (spec.files, spec.directories, spec.links, spec.absent_paths, spec.edits)
    if not any(settings):
        return ()
    if any(file.facts for file in spec.files.values()) or any(edit.facts for edit in spec.edits.values()):
        return tuple(_files(site, host, faults))
    key = ("files", host.release, *settings, spec.commands)
    return shared(host, key, faults, lambda: tuple(_files(site, host, faults)))


def _files(site: Site, host: ResolvedHost, faults: list[Fault]) -> Iterator[Step]:
    spec = host.spec
    _claims(host, faults)
    for path, made in sorted(spec.directories.items()):
        at, owner = ("directories", path), f"{made.owner}:{made.group}"
        yield whole_directory(f"directories:{path}", path, at, mode=made.mode, owner=owner)
    for path, file in sorted(spec.files.items()):
        if step := _file(site, host, path, file, faults):
            yield watched(step) if file.watch else step
    for path, link in sorted(spec.links.items()):
        yield Step(f"links:{path}", "link", (path, link.to), ("links", path))
    for path in spec.absent_paths:
        yield Step(f"absent:{path}", "absent", (path,), ("absent_paths", path))
    for path, edit in sorted(spec.edits.items()):
        at = ("edits", path)
        content = plan_edit(site, host, path, edit, faults)
        yield Step(f"edits:{path}", "edits", (path,), at, needs=("packages",),
                   notify=_owed(host, path, edit.notify, at, faults), content=content)  # fmt: skip


def watched(step: Step) -> Step:
    """The step as one that tells and leaves; in phase install nobody would read it."""
    return replace(step, watch=True, phases=tuple(phase for phase in step.phases if phase != "install"))


def _file(site: Site, host: ResolvedHost, path: str, file: FileSpec, faults: list[Fault]) -> Step | None:
    at: Path = ("files", path)
    given = [key for key in ("source", "content", "secret") if getattr(file, key) is not None]
    if len(given) != 1:
        what = f"{path} has {' and '.join(given)}" if given else f"{path} has no content"
        faults.append(Fault((*at, given[-1]) if given else at, "BF110", what, "say one of source, content and secret"))
        return None
    notify = _owed(host, path, file.notify, at, faults)
    mode, owner = file.mode or ("600" if file.secret else "644"), f"{file.owner}:{file.group}"
    if file.secret:
        check_secret(site, file.secret, (*at, "secret"), faults)
        if int(mode, 8) & 0o007:
            what = f"{path} holds a secret that everybody could use"
            faults.append(Fault((*at, "mode"), "BF118", what, "end the mode with 0, as in 0640"))
        if file.facts:
            faults.append(Fault((*at, "facts"), "BF110", "a secret has no facts", "remove 'facts:'"))
        words = (path, mode, owner, file.secret)
        return Step(f"files:{path}", "secret_file", words, at, ALWAYS, (), notify, secrets=(file.secret,))
    text = file.content
    if file.source:
        text = read_text(site, file.source, (*at, "source"), "BF110", faults)
    if text is None:
        return None
    if file.facts:
        text = fill(site, host, text, (*at, given[0]), faults)
    return whole_file(f"files:{path}", path, text, at, mode=mode, owner=owner, notify=notify)


def _owed(host: ResolvedHost, path: str, notify: tuple[str, ...], at: Path, faults: list[Fault]) -> tuple[str, ...]:
    """What a change owes; a unit that systemd has not read again is the old one, whoever forgot to say so."""
    handlers = owed(host, notify, (*at, "notify"), faults)
    reload = path.startswith(_UNITS) and RELEASES[host.release].systemd and "daemon-reload" not in handlers
    return ("daemon-reload", *handlers) if reload else handlers


def _claims(host: ResolvedHost, faults: list[Fault]) -> None:
    """Two wishes for one path, or for a path below one that is no directory; and paths that are not a site's."""
    spec = host.spec
    kinds: dict[str, Iterable[str]] = {
        "directories": spec.directories,
        "files": spec.files,
        "links": spec.links,
        "edits": spec.edits,
        "absent_paths": spec.absent_paths,
    }
    claims: dict[str, list[str]] = {}
    for kind, paths in kinds.items():
        for path in paths:
            claims.setdefault(path, []).append(kind)
    for path, by in sorted(claims.items()):
        if len(by) > 1:
            at = written(host, [_place(host, kind, path) for kind in by])
            faults.append(Fault(at, "BF111", f"{path} is in {' and in '.join(by)}", "keep one of them"))
        if any(path == top or path.startswith(f"{top}/") for top in _OTHERS):
            faults.append(Fault((by[0], path), "BF111", f"{path} is not a site's to write", "choose another path"))
        above = path
        while above := above.rpartition("/")[0]:
            other = next((kind for kind in claims.get(above, ()) if kind != "directories"), None)
            if other:
                at = written(host, [_place(host, other, above), _place(host, by[0], path)])
                what = f"{path} is below {above}, which is in {other}"
                faults.append(Fault(at, "BF111", what, "keep one of them"))


def _place(host: ResolvedHost, kind: str, path: str) -> Path:
    """A path of the specification that has a value of its own, so that its line is known."""
    at = (kind, path)
    return next((one for one in sorted(host.merged.values) if one[: len(at)] == at), at)
