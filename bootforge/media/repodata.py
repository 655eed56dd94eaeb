"""Which files a yum repository has, and their sums: repomd.xml and primary. Pure but for zstd, which is a program.

What is read comes from a stranger: no entity is expanded, nothing grows beyond what was said of its size.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO
from xml.parsers import expat

from bootforge.media.faults import MediaError
from bootforge.media.treeinfo import clean_path

_CHUNK = 1 << 18
_MOST = 2 << 30
"""Bytes of an uncompressed primary; a distribution of 60,000 packages has 300 MB."""
_ALGORITHMS = {"sha": "sha1"} | {name: name for name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512")}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A file of a tree: its path, its size where it is known, its sum where there is one."""

    path: str
    size: int | None = None
    sum: tuple[str, str] | None = None


@dataclass(slots=True)
class _Found:
    kind: str = ""
    href: str = ""
    size: int | None = None
    algorithm: str = ""
    digest: str = ""

    def wanted(self) -> Wanted:
        if self.algorithm not in _ALGORITHMS or not self.digest or not self.href:
            raise MediaError(f"the metadata has no usable sum of {ascii(self.href[:200])}")
        return Wanted(clean_path(self.href), self.size, (_ALGORITHMS[self.algorithm], self.digest.strip().lower()))


def read_repomd(content: bytes) -> list[tuple[str, Wanted]]:
    """The kind of each file of metadata, and the file. Raises MediaError."""
    return [(one.kind, one.wanted()) for one in _elements(iter([content]), "data", "size")]


def read_primary(path: Path) -> Iterator[Wanted]:
    """The packages. Raises MediaError."""
    with _opened(path) as stream:
        for one in _elements(_pieces(stream), "package", "package"):
            yield one.wanted()


def _pieces(stream: IO[bytes]) -> Iterator[bytes]:
    size = 0
    try:
        while data := stream.read(_CHUNK):
            size += len(data)
            if size > _MOST:
                raise MediaError("the list of packages is too long to be true")
            yield data
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise MediaError(f"the list of packages cannot be read: {error}") from None


def _opened(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return gzip.open(path)  # type: ignore[return-value]
    if path.suffix == ".xz":
        return lzma.open(path)
    if path.suffix == ".bz2":
        return bz2.open(path)
    if path.suffix != ".zst":
        return path.open("rb")
    try:
        process = subprocess.Popen(["zstd", "-dcq", str(path)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    except FileNotFoundError:
        raise MediaError("the list of packages is compressed by zstd", "install zstd, and add the tree again") from None
    assert process.stdout
    return process.stdout


def _elements(pieces: Iterator[bytes], element: str, sized: str) -> Iterator[_Found]:
    """Every element of a name, with its checksum, its place, and the size that stands in its <size>."""
    done: list[_Found] = []
    now: list[_Found] = []
    text: list[str] = []
    parser = expat.ParserCreate(namespace_separator=" ")

    def begin(name: str, attributes: dict[str, str]) -> None:
        local = name.rpartition(" ")[2]
        text.clear()
        if local == element:
            now[:] = [_Found(kind=attributes.get("type", ""))]
        elif now and local == "checksum":
            now[0].algorithm = attributes.get("type", "")
        elif now and local == "location":
            now[0].href = attributes.get("href", "")
        elif now and local == "size" and attributes.get("package", "").isdecimal():
            now[0].size = int(attributes["package"][:18])

    def end(name: str) -> None:
        local = name.rpartition(" ")[2]
        said = "".join(text)
        text.clear()
        if not now:
            return
        if local == "checksum":
            now[0].digest = said
        elif local == sized == "size" and said.strip().isdecimal():
            now[0].size = int(said.strip()[:18])
        elif local == element:
            done.append(now.pop())

    def declared(*_: object) -> None:
        raise MediaError("the metadata declares entities", "do not trust this tree")

    parser.StartElementHandler, parser.EndElementHandler = begin, end
    parser.CharacterDataHandler = _limited(text)
    parser.StartDoctypeDeclHandler = declared
    try:
        for piece in pieces:
            parser.Parse(piece, False)
            yield from done
            done.clear()
        parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise MediaError(f"the metadata of the repository cannot be read: {error}") from None
    yield from done


def _limited(text: list[str]) -> Callable[[str], None]:
    """Collects what could be a checksum or a number; descriptions may be as long as they are."""

    def collect(data: str) -> None:
        if len(text) < 64:
            text.append(data[:256])

    return collect
