"""What a tree says of itself: ``.treeinfo``, from Enterprise Linux 5 to Fedora. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from configparser import ConfigParser, Error
from dataclasses import dataclass, field

from bootforge.media.faults import MediaError

NAMES = (".treeinfo", "treeinfo")
MOST = 1 << 20
"""Bytes of a .treeinfo; real ones have a few thousand."""
_BOOTS = ("kernel", "initrd", "mainimage", "instimage")
_SUM = re.compile(r"(md5|sha1|sha|sha224|sha256|sha384|sha512):([0-9a-f]{32,128})")


@dataclass(frozen=True, slots=True)
class Treeinfo:
    """``sums``: algorithm and hex digest by path, where the release has them (since EL6). ``images``: all that is
    named; ``boots``: those without which nothing boots. ``repos``: directories that have a ``repodata``; ``outside``:
    those beyond the tree, which are trees of their own on a mirror."""

    family: str
    version: str
    arch: str
    sums: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    images: tuple[str, ...] = ()
    boots: tuple[str, ...] = ()
    repos: tuple[str, ...] = ()
    outside: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """What a tree is called that nobody names: ``rocky-linux-9.4-x86_64``."""
        words = f"{self.family}-{self.version}-{self.arch}".lower()
        return re.sub(r"[^a-z0-9._]+", "-", words).strip("-._") or "tree"


def parse_treeinfo(content: bytes) -> Treeinfo:
    """Raises MediaError for what is no .treeinfo."""
    parser = ConfigParser(interpolation=None, strict=False, delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    try:
        if len(content) > MOST:
            raise ValueError("too long")
        parser.read_string(content.decode())
    except (Error, ValueError) as error:
        raise MediaError(f".treeinfo cannot be read: {str(error).splitlines()[0]}") from None
    sections = {name: dict(parser[name]) for name in parser.sections()}
    general = {**sections.get("general", {}), **sections.get("release", {}), **sections.get("tree", {})}
    version = sections.get("release", {}).get("version") or general.get("version", "")
    family = sections.get("general", {}).get("family") or general.get("name", "")
    if not family or not version:
        raise MediaError(".treeinfo names no family and version of a release", "is this the top of an install tree?")
    images: dict[str, None] = {}
    boots: dict[str, None] = {}
    for name, section in sections.items():
        if name.startswith("images-") or name == "stage2":
            for key, value in section.items():
                images[value] = None
                if key in _BOOTS:
                    boots[value] = None
    sums = {
        path: ("sha1" if match[1] == "sha" else match[1], match[2])
        for path, text in sections.get("checksums", {}).items()
        if (match := _SUM.fullmatch(text.strip().lower()))
    }
    found = [section["repository"] for name, section in sections.items() if section.get("repository")]
    repos = [one.rstrip("/").removesuffix("repodata").rstrip("/") or "." for one in found] or ["."]
    for path in (*images, *sums):
        clean_path(path)
    inside = [one for one in dict.fromkeys(repos) if not one.startswith(("/", "..")) and "://" not in one]
    for path in inside:
        clean_path(path)
    outside = tuple(one for one in dict.fromkeys(repos) if one not in inside)
    arch = general.get("arch", "")
    return Treeinfo(family, version, arch, sums, tuple(images), tuple(boots), tuple(inside), outside)


def clean_path(text: str) -> str:
    """A path below the tree in its shortest form. Raises MediaError when it leads elsewhere, or could be mistaken."""
    parts = [part for part in text.split("/") if part not in ("", ".")]
    if text.startswith("/") or ".." in parts or any(not char.isprintable() or char == "\\" for char in text):
        raise MediaError(
            f"the tree names the path {ascii(text[:200])}, which leads out of it", "do not trust this tree"
        )
    return "/".join(parts)
