"""The files of a site: what is read, what is refused, and which revision it is."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path as FilePath

from bootforge.errors import Problem, did_you_mean
from bootforge.model import Origin
from bootforge.site.git import clean_commit

_TOP = ("site.yaml", "rules.yaml", "repos.yaml", "arrays.yaml", "lock.yaml")
_YAML = (".yaml", ".yml")
_ANYTHING = ("files", "keys", "templates")
"""Directories whose files are nobody's language."""

PLACES = ("roles", "hosts", "profiles", "layouts", "hardware")
"""Directories of YAML files."""

_MAX_FILE = 4 * 1024 * 1024


def read_files(root: FilePath, problems: list[Problem]) -> dict[str, bytes]:
    """Every file below the site, by path, but nothing hidden; a link may not lead out of it."""

    def fault(name: str, message: str, hint: str) -> None:
        problems.append(Problem(Origin(name), "BF003", message, hint))

    files = {}
    real = root.resolve()
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if any(part.startswith(".") for part in name.split("/")):
            continue
        if path.is_dir() and not path.is_symlink():
            if name.endswith(_YAML) and name.partition("/")[0] not in _ANYTHING:
                fault(name, "is a directory", "a file of that name is read; remove it, or rename it")
            continue
        if not name.isprintable():
            shown = name.encode("utf-8", "backslashreplace").decode().encode("unicode_escape").decode()
            fault(shown, "has a name that cannot be printed", "rename it")
            continue
        try:
            if not path.resolve().is_relative_to(real):
                fault(name, "is a link that leads out of the site", "copy what it leads to")
            elif path.is_dir():
                fault(name, "is a link to a directory, which is not followed", "copy it")
            elif not path.exists():
                fault(name, "is a link to nothing", "remove it")
            elif not path.is_file() or path.stat().st_size > _MAX_FILE:
                fault(name, "is not a file of at most 4 MiB", "keep it elsewhere")
            else:
                files[name] = path.read_bytes()
        except OSError as error:
            fault(name, f"cannot be read: {error.strerror}", "check its permissions")
        except RuntimeError:  # how pathlib says ELOOP
            fault(name, "is a link that leads to itself", "remove it")
    return files


def write_files(root: FilePath, files: Mapping[str, bytes]) -> None:
    """The files of a site, as they were read, below a directory. Raises OSError."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def revision(root: FilePath, files: Mapping[str, bytes]) -> str:
    """The commit of a clean git checkout, else a digest of the files."""
    if commit := clean_commit(root):
        return commit
    total = hashlib.sha256()
    for name, content in sorted(files.items()):
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return "tree-" + total.hexdigest()[:12]


def stray_files(files: Iterable[str]) -> Iterator[Problem]:
    """YAML files in places where nobody looks, so that what they say would be without effect."""
    for name in files:
        top, _, rest = name.partition("/")
        if not name.lower().endswith(_YAML) or (rest and top in _ANYTHING):
            continue
        if not name.endswith(".yaml"):
            ending = name[name.rindex(".") :]
            yield Problem(Origin(name), "BF004", f"is not read: its name ends in {ending}", "rename it to .yaml")
        elif not rest and name not in _TOP:
            hint = f"only {', '.join(_TOP)} stand here; the rest is in {', '.join(PLACES)}"
            yield Problem(Origin(name), "BF004", "is not read", hint)
        elif rest and top not in PLACES:
            yield Problem(Origin(name), "BF004", f"is not read: no directory '{top}'", did_you_mean(top, PLACES))
        elif "/" in rest and top != "hosts":
            inner, _, file = rest.rpartition("/")
            place = inner if inner in PLACES else top
            yield Problem(Origin(name), "BF004", f"is not read: {top} has no directories", f"move it to {place}/{file}")
