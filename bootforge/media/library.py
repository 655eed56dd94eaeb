"""The directory of install trees, as ``serve`` gives it out: one directory for each tree, with a record of all its
files in it. A tree appears, and goes, by one rename.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from bootforge.errors import NotFound, UsageError, did_you_mean
from bootforge.media.faults import MediaBusy, MediaError, of_os

RECORD = ".bootforge.json"
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_PART, _GONE = ".part-", ".gone-"
_CHUNK = 1 << 20

Progress = Callable[[int, str], None]
"""Called with bytes that have been dealt with, and the file they are of."""


def silent(count: int, path: str) -> None:
    """The progress that nobody looks at."""


@dataclass(frozen=True, slots=True)
class Tree:
    """A tree that was taken in. ``checked``: how many of its files agree with sums of the release's own; ``missing``:
    those of which it has a sum, but which are not there. ``outside``: repositories that .treeinfo names beyond the
    tree. ``files``: size and SHA-256 by path; ``links``: symbolic links and where they lead."""

    name: str
    source: str
    taken: float
    family: str
    version: str
    arch: str
    checked: int
    missing: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()
    files: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    links: Mapping[str, str] = field(default_factory=dict)

    @property
    def size(self) -> int:
        return sum(size for size, _ in self.files.values())


class Library:
    """The trees below a directory."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def names(self) -> list[str]:
        """The trees, those without a record too."""
        try:
            return sorted(one.name for one in self.root.iterdir() if one.is_dir() and not one.name.startswith("."))
        except OSError:
            return []

    def record(self, name: str) -> Tree | None:
        """What was recorded of a tree; None when it was not taken in by Bootforge. Raises MediaError."""
        try:
            said: dict[str, Any] = json.loads((self.root / name / RECORD).read_bytes())
            files = {path: (int(size), str(digest)) for path, (size, digest) in said.pop("files").items()}
            missing, outside = (tuple(said.pop(key)) for key in ("missing", "outside"))
            return Tree(**{**said, "name": name}, files=files, missing=missing, outside=outside)
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise MediaError(
                f"the record of {name} cannot be read: {error}", f"remove {name}, and add it again"
            ) from None

    def existing(self, name: str) -> str:
        """The name itself. Raises NotFound."""
        if name not in self.names():
            raise NotFound(f"no media {name!r}", did_you_mean(name, self.names()) or f"{self.root} has none")
        return name

    def free_name(self, name: str) -> str:
        """The name itself, which a tree may have. Raises UsageError."""
        if not _NAME.fullmatch(name):
            hint = "lower case letters, digits, '.', '_' and '-', as in rocky-9.4"
            raise UsageError(f"{name!r} is no name for media", hint)
        if name in self.names():
            raise UsageError(f"there is media {name!r} already", "give a --name, or remove it first")
        return name

    @contextmanager
    def place(self, source: str, *, keep: bool) -> Iterator[Path]:
        """A directory for what comes from a source, hidden until ``publish``, locked for one process. ``keep``: what
        is there of an earlier attempt is left there, and so is what this one leaves when it ends, but on a full disk.
        Raises MediaError, MediaBusy."""
        place = self.root / f"{_PART}{hashlib.sha256(source.encode()).hexdigest()[:16]}"
        try:
            place.mkdir(mode=0o755, parents=True, exist_ok=True)
            lock = os.open(place, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise of_os(error, str(place)) from None
        done = False
        try:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                keep = done = True
                raise MediaBusy(f"{source} is being added by another process") from None
            if not keep:
                _empty(place)
            yield place
            done = True
        except OSError as error:
            fault = of_os(error, source)
            keep = keep and "full" not in fault.message
            raise fault from None
        finally:
            if not (keep or done):
                shutil.rmtree(place, ignore_errors=True)
            os.close(lock)

    def publish(self, place: Path, tree: Tree) -> None:
        """The tree as one that is served."""
        text = json.dumps({key: value for key, value in asdict(tree).items() if key != "name"}, separators=(",", ":"))
        (place / RECORD).write_text(text)
        os.sync()
        try:
            place.rename(self.root / tree.name)
        except OSError:
            raise UsageError(f"there is media {tree.name!r} by now", "give a --name, or remove it first") from None

    def remove(self, name: str) -> None:
        """Takes a tree away: at once for who asks, then its files. Transfers of it go on to their end."""
        gone = self.root / f"{_GONE}{name}.{os.getpid()}"
        try:
            (self.root / name).rename(gone)
            shutil.rmtree(gone)
        except OSError as error:
            raise of_os(error, name) from None

    def sweep(self) -> int:
        """Takes away what attempts have left that nobody goes on with now; how many bytes that were."""
        freed = 0
        for one in [*self.root.glob(f"{_PART}*"), *self.root.glob(f"{_GONE}*")]:
            lock = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                freed += sum((one / path).lstat().st_size for path in walk(one))
                shutil.rmtree(one)
            except BlockingIOError:
                continue
            except OSError as error:
                raise of_os(error, str(one)) from None
            finally:
                os.close(lock)
        return freed

    def verify(self, name: str, progress: Progress = silent) -> list[str]:
        """What differs from the record, a line each. Raises MediaError when there is no record."""
        tree = self.record(name)
        if tree is None:
            raise MediaError(
                f"{name} has no record", f"take it in with 'bootforge media add {self.root / name} --name N'"
            )
        top, found = self.root / name, []
        links, there = dict(tree.links), set()
        for path in walk(top):
            if path == RECORD:
                continue
            there.add(path)
            if path in links:
                same = (top / path).is_symlink() and os.readlink(top / path) == links[path]
            elif path in tree.files:
                same = _is_same(top / path, *tree.files[path], partial(_told, progress, path))
            else:
                found.append(f"{path}: was not there")
                continue
            if not same:
                found.append(f"{path}: differs")
        found += [f"{path}: is missing" for path in sorted({*tree.files, *links} - there)]
        return sorted(found)


def walk(top: Path) -> Iterator[str]:
    """Every file and link below a directory, by its path."""
    for directory, directories, files in os.walk(top):
        directories.sort()
        at = Path(directory)
        linked = [one for one in directories if (at / one).is_symlink()]
        for name in sorted([*files, *linked]):
            yield (at / name).relative_to(top).as_posix()


def digest(path: Path, algorithm: str, told: Callable[[int], None] = lambda count: None) -> str:
    """The digest of a file, in hex. Raises OSError."""
    made = hashlib.new(algorithm, usedforsecurity=False)
    with path.open("rb", buffering=0) as file:
        while data := file.read(_CHUNK):
            made.update(data)
            told(len(data))
    return made.hexdigest()


def check_sums(place: Path, sums: Mapping[str, tuple[str, str]], known: Mapping[str, tuple[int, str]]) -> Iterable[str]:
    """Compares with the sums of the release; yields the paths that are missing. Raises MediaError for one that
    differs."""
    for path, (algorithm, wanted) in sums.items():
        if path not in known:
            yield path
            continue
        is_sha256 = algorithm == "sha256"
        if (known[path][1] if is_sha256 else digest(place / path, algorithm)) != wanted:
            hint = "the source is damaged, or incomplete: fetch it again"
            raise MediaError(f"{path} does not have the {algorithm} that .treeinfo says", hint)


def _told(progress: Progress, path: str, count: int) -> None:
    progress(count, path)


def _is_same(path: Path, size: int, wanted: str, told: Callable[[int], None]) -> bool:
    with suppress(OSError):
        return not path.is_symlink() and path.stat().st_size == size and digest(path, "sha256", told) == wanted
    return False


def _empty(place: Path) -> None:
    for one in place.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()
