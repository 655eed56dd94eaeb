"""Network boot programs: the names that machines know them by, and the files behind those, which are an operator's
(``bootforge loaders add``) or those of distributions' packages.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from bootforge.model import Loader, Plan
from bootforge.plan.loader import media_path
from bootforge.serve.media import PREFIX, Absent, Media, Opened
from bootforge.state import added_loaders, default_media, default_store


@dataclass(frozen=True, slots=True)
class Program:
    """A boot program. ``files``: where packages have it. ``packages``: which ones, for who lacks it. A program without
    those is signed by a distribution for its own kernels: it comes from an install tree, or an operator."""

    name: str
    loader: Loader
    architecture: str
    files: tuple[str, ...] = ()
    packages: str = ""


_IPXE = "ipxe (Debian) or ipxe-bootimgs-x86 (EL)"
_ARM64 = "ipxe-bootimgs-aarch64 (EL)"
_SYSLINUX = "pxelinux and syslinux-common (Debian) or syslinux (EL)"

PROGRAMS = {
    program.name: program
    for program in (
        Program("undionly.kpxe", "ipxe", "BIOS", ("ipxe/undionly.kpxe",), _IPXE),
        Program("snponly.efi", "ipxe", "x64 UEFI", ("ipxe/snponly.efi", "ipxe/ipxe-snponly-x86_64.efi"), _IPXE),
        Program("snponly-arm64.efi", "ipxe", "arm64 UEFI", ("ipxe/arm64-efi/snponly.efi",), _ARM64),
        Program("shimx64.efi", "shim", "x64 UEFI"),
        Program("grubx64.efi", "shim", "x64 UEFI"),
        Program("shimaa64.efi", "shim", "arm64 UEFI"),
        Program("grubaa64.efi", "shim", "arm64 UEFI"),
        Program("lpxelinux.0", "pxelinux", "BIOS", ("PXELINUX/lpxelinux.0", "syslinux/lpxelinux.0"), _SYSLINUX),
        Program(
            "ldlinux.c32", "pxelinux", "BIOS", ("syslinux/modules/bios/ldlinux.c32", "syslinux/ldlinux.c32"), _SYSLINUX
        ),
    )
}

TREE_FILES = {
    "shimx64.efi": "BOOTX64.EFI",
    "grubx64.efi": "grubx64.efi",
    "shimaa64.efi": "BOOTAA64.EFI",
    "grubaa64.efi": "grubaa64.efi",
}
"""The signed programs in EFI/BOOT of a release's install tree. mmx64.efi, fbx64.efi and revocations, for which shim
looks as well, it boots without."""

PAIRS = (("shimx64.efi", "grubx64.efi"), ("shimaa64.efi", "grubaa64.efi"))
"""What only works together: a shim starts what its own distribution has signed."""

_DIRECTORIES = ("/usr/lib", "/usr/share")
MAC = r"[0-9A-Fa-f]{2}(?:[:-][0-9A-Fa-f]{2}){5}"
_PLAIN = re.compile(rf"/*(?:m/{MAC}/)?([A-Za-z0-9._-]+)")


class Loaders:
    """Where programs are looked for: ``media``, for what a release signed; and for the others, and where a tree has
    none, the directory BOOTFORGE_LOADERS, what operators ``added``, and packages."""

    def __init__(self, added: Path, media: Media) -> None:
        self.added, self._media = added, media

    def find(self, name: str) -> Path | None:
        """The file of a program; None for every other name, and where there is none."""
        program = PROGRAMS.get(name)
        for path in self._places(program) if program else ():
            if path.is_file():
                return path.resolve()  # what is served may not be a link, packages and operators may use them
        return None

    def _places(self, program: Program) -> Iterator[Path]:
        own = os.environ.get("BOOTFORGE_LOADERS")
        if own:
            yield from (Path(own) / Path(file).name for file in (program.name, *program.files))
        yield self.added / program.name
        yield from (Path(directory) / file for directory in _DIRECTORIES for file in program.files)

    def shared(self, name: str) -> Path | None:
        """The file behind a name that a machine asks TFTP for, also as ``m/<mac>/NAME``, of what is the same for
        everybody: iPXE."""
        match = _PLAIN.fullmatch(name)
        program = PROGRAMS.get(match[1]) if match else None
        return self.find(program.name) if program and program.loader == "ipxe" else None

    def own(self, plan: Plan, name: str) -> Opened | Path | None:
        """A host's own program: the open file of its install tree, the caller's to close, or where else it is; None
        where it is neither, and for what is not of the host's loader. A pair comes from one place."""
        program = PROGRAMS.get(name)
        if not program or program.loader != plan.loader:
            return None
        for pair in PAIRS:
            if name in pair:
                return self._in_tree(plan, name, pair) or (self.find(name) if all(map(self.find, pair)) else None)
        return self.find(name)

    def path(self, plan: Plan, name: str) -> Path | None:
        """Where a host's own program is."""
        found = self.own(plan, name)
        if not isinstance(found, Opened):
            return found
        os.close(found.fd)
        return Path(os.fsdecode(self._media.root)) / os.fsdecode(found.path or b"")

    def _in_tree(self, plan: Plan, name: str, pair: tuple[str, str]) -> Opened | None:
        """The install tree's, which may be part of a larger one: EL's repositories lie beside EFI/BOOT."""
        path = media_path(plan, plan.boot.kernel) or ""
        for directory in list(PurePosixPath(path).parents)[:-1]:
            with suppress(Absent):
                found = self.tree_file(f"{directory}/EFI/BOOT/{TREE_FILES[name]}")
                try:
                    [other] = set(pair) - {name}
                    os.close(self.tree_file(f"{directory}/EFI/BOOT/{TREE_FILES[other]}").fd)
                    return found
                except Absent:
                    os.close(found.fd)
        return None

    def tree_file(self, path: str) -> Opened:
        """A file of the media directory. Raises Absent."""
        return self._media.open(PREFIX + quote(path).encode())

    def lacking(self, plan: Plan) -> tuple[str, ...]:
        """The programs without which the host's loader cannot start: there are none of its pairs, or not all of what
        it is made of."""
        if plan.domain:  # its host starts its installer
            return ()
        if plan.loader == "shim":
            return () if any(all(self.path(plan, name) for name in pair) for pair in PAIRS) else PAIRS[0]
        needed = [program.name for program in PROGRAMS.values() if program.loader == plan.loader != "ipxe"]
        return tuple(name for name in needed if not self.path(plan, name))


def loaders_of(store: str | None, media: Path | None) -> Loaders:
    """The programs of the server with this store and these install trees."""
    url = store or default_store()
    return Loaders(added_loaders(url), Media(media or default_media(url)))


def lacking_text(name: str) -> str:
    """What to do about a program that is nowhere."""
    packages = PROGRAMS[name].packages
    if packages:
        return f"install the package {packages}, or 'bootforge loaders add FILE {name}'"
    return f"its install tree has no EFI/BOOT/{TREE_FILES[name]}: 'bootforge media add' it, or 'bootforge loaders add'"
