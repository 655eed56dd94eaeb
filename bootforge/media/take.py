"""A tree from an ISO image or a directory of this machine."""

from __future__ import annotations

import hashlib
import os
import posixpath
import shutil
import stat
import subprocess
import tarfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from bootforge.errors import UsageError
from bootforge.media.faults import MediaError
from bootforge.media.library import RECORD, Library, Progress, Tree, check_sums, silent
from bootforge.media.treeinfo import MOST, NAMES, Treeinfo, clean_path, parse_treeinfo

_CHUNK = 1 << 20
_TOOL = "bsdtar"


@dataclass(frozen=True, slots=True)
class Entry:
    """A file (``content``), a symbolic link (``link``), or another name of an earlier file (``same``)."""

    path: str
    content: IO[bytes] | None = None
    link: str = ""
    same: str = ""


@dataclass(slots=True)
class Written:
    """What has been written of a tree so far."""

    place: Path
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def add(self, entry: Entry, progress: Progress) -> None:
        """One more entry. Links are made at the end, so that nothing is ever written through one."""
        path = clean_path(entry.path)
        if path == RECORD or not path:
            return
        if path in self.files or path in self.links:
            raise MediaError(f"the source has {path} twice")
        at = self.place / path
        at.parent.mkdir(parents=True, exist_ok=True)
        if entry.link:
            leads = posixpath.normpath(posixpath.join(posixpath.dirname(path), entry.link))
            if entry.link.startswith("/") or leads == ".." or leads.startswith("../"):
                raise MediaError(f"the link {path} leads out of the tree", "do not trust this tree")
            self.links[path] = entry.link
        elif entry.same:
            earlier = clean_path(entry.same)
            if earlier not in self.files:
                raise MediaError(f"{path} is said to be {earlier}, which is not there")
            os.link(self.place / earlier, at)
            self.files[path] = self.files[earlier]
        else:
            self.files[path] = _write(at, entry, progress)

    def finish(self) -> None:
        for path, leads in self.links.items():
            (self.place / path).symlink_to(leads)


def _write(at: Path, entry: Entry, progress: Progress) -> tuple[int, str]:
    """The time of the copy is that of the file: two versions of a file never share one, as they may in a release."""
    made, size = hashlib.sha256(), 0
    descriptor = os.open(at, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    with open(descriptor, "wb", buffering=0) as file:
        os.fchmod(descriptor, 0o644)
        while entry.content and (data := entry.content.read(_CHUNK)):
            made.update(data)
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            size += len(data)
            progress(len(data), entry.path)
    return size, made.hexdigest()


def add_local(library: Library, source: Path, name: str | None, progress: Progress = silent) -> Tree:
    """Takes in an ISO image or a directory, and returns what it was. Raises UsageError, MediaError, MediaBusy; then
    nothing of it is left."""
    said = str(source.absolute())
    info = parse_treeinfo(_dir_treeinfo(source) if source.is_dir() else _iso_treeinfo(source))
    name = library.free_name(name or info.name)
    with library.place(said, keep=False) as place:
        _check_space(place, size_of(source))
        written = Written(place)
        if source.is_dir():
            for entry in _dir_entries(source):
                written.add(entry, progress)
        else:
            with _iso_entries(source) as entries:
                for entry in entries:
                    written.add(entry, progress)
        written.finish()
        return finish(library, place, info, Tree(name, said, time.time(), "", "", "", 0), written.files, written.links)


def finish(
    library: Library,
    place: Path,
    info: Treeinfo,
    tree: Tree,
    files: dict[str, tuple[int, str]],
    links: dict[str, str],
) -> Tree:
    """Checks what has been taken in, records and publishes it. Raises MediaError."""
    for path in info.boots:
        if path not in files and path not in links:
            hint = "the source is not the whole tree"
            raise MediaError(f".treeinfo names {path}, which is not there", hint)
    sums = {clean_path(path): wanted for path, wanted in info.sums.items()}
    missing = tuple(sorted(check_sums(place, sums, files)))
    checked = max(tree.checked, len(sums) - len(missing))
    made = Tree(
        tree.name,
        tree.source,
        tree.taken,
        info.family,
        info.version,
        info.arch,
        checked,
        missing,
        info.outside,
        files,
        links,
    )
    library.publish(place, made)
    return made


def size_of(source: Path) -> int:
    """Bytes that will be taken, about."""
    if not source.is_dir():
        return source.stat().st_size
    return sum(entry.lstat().st_size for entry in source.rglob("*") if entry.is_file() and not entry.is_symlink())


def _check_space(place: Path, needed: int) -> None:
    free = shutil.disk_usage(place).free
    if free < needed:
        hint = "free some space, or give another --media; nothing was kept"
        raise MediaError(f"{needed >> 20} MiB are needed, and {free >> 20} MiB are free", hint)


# Directories


def _dir_treeinfo(source: Path) -> bytes:
    for name in NAMES:
        path = source / name
        if path.is_file() and path.stat().st_size <= MOST:
            return path.read_bytes()
    raise UsageError(f"{source} has no .treeinfo", "name the top of an install tree: what holds .treeinfo and images/")


def _dir_entries(source: Path) -> Iterator[Entry]:
    for directory, directories, names in os.walk(source, onerror=_fail):
        directories.sort()
        at = Path(directory)
        for name in sorted([*names, *(one for one in directories if (at / one).is_symlink())]):
            path = at / name
            shown = path.relative_to(source).as_posix()
            if path.is_symlink():
                yield Entry(shown, link=os.readlink(path))
            elif stat.S_ISREG(path.lstat().st_mode):
                with path.open("rb", buffering=0) as content:
                    yield Entry(shown, content)
            else:
                raise MediaError(f"{path} is neither a file nor a link")


def _fail(error: OSError) -> None:
    raise MediaError(f"{error.filename}: {error.strerror}")


# ISO images: bsdtar (libarchive) reads them, and hands them on as a tar, so that what is written is up to us


def _iso_treeinfo(source: Path) -> bytes:
    if not source.is_file():
        raise UsageError(f"{source} is no ISO image and no directory")
    for name in NAMES:
        try:
            done = subprocess.run([_TOOL, "-xOf", str(source), name], capture_output=True, check=False)
        except FileNotFoundError:
            hint = "install libarchive-tools (Debian) or bsdtar (EL), or mount the image and add the directory"
            raise UsageError(f"there is no {_TOOL} to read ISO images with", hint) from None
        if done.returncode == 0 and done.stdout:
            return done.stdout
    why = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
    raise UsageError(
        f"{source} has no .treeinfo{': ' + ascii(why[0]) if why else ''}", "is it the image of an installer?"
    )


@contextmanager
def _iso_entries(source: Path) -> Iterator[Iterator[Entry]]:
    """The image's files. Raises MediaError when it cannot be read to its end."""
    command = [_TOOL, "-cf", "-", "--format=pax", f"@{source.absolute()}"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout and process.stderr
    try:
        yield _tar_entries(process.stdout)
        while process.stdout.read(_CHUNK):
            pass
        why = process.stderr.read().decode(errors="replace").strip().splitlines()[-1:]
        if process.wait():
            raise MediaError(f"{source} cannot be read: {ascii(why[0]) if why else _TOOL + ' failed'}")
    except tarfile.TarError as error:
        raise MediaError(f"{source} cannot be read: {error}") from None
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stderr.close()


def _tar_entries(stream: IO[bytes]) -> Iterator[Entry]:
    with tarfile.open(fileobj=stream, mode="r|", bufsize=_CHUNK) as tar:
        for member in tar:
            if member.isdir():
                continue
            if member.issym():
                yield Entry(member.name, link=member.linkname)
            elif member.islnk():
                yield Entry(member.name, same=member.linkname)
            elif member.isreg():
                yield Entry(member.name, tar.extractfile(member))
            else:
                raise MediaError(f"{ascii(member.name)} is neither a file nor a link")
            tar.members = []  # type: ignore[attr-defined]  # it would keep them all
