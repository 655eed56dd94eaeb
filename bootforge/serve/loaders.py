"""Network boot programs: which names TFTP answers, and the files of distributions' packages behind them."""

from __future__ import annotations

import os
import re
from pathlib import Path

from bootforge.render.dhcp import LOADER_BIOS, LOADER_X64

_FILES = {
    LOADER_BIOS: ("undionly.kpxe",),
    LOADER_X64: ("snponly.efi", "ipxe-snponly-x86_64.efi"),
}
"""The name that DHCP gives out, and what Debian's ipxe and EL's ipxe-bootimgs-x86 call the file."""

_DIRECTORIES = ("/usr/lib/ipxe", "/usr/share/ipxe")
_PER_HOST = re.compile(r"/*(?:m/[0-9a-f]{2}(?:[:-][0-9a-f]{2}){5}/)?([A-Za-z0-9._-]+)")


def find_loader(name: str) -> Path | None:
    """The file behind a name that a machine asks for, also as ``m/<mac>/NAME``; None for every other name.
    BOOTFORGE_LOADERS names a directory that is searched first."""
    match = _PER_HOST.fullmatch(name)
    own = os.environ.get("BOOTFORGE_LOADERS")
    for directory in ((own,) if own else ()) + _DIRECTORIES:
        for file in _FILES.get(match[1], ()) if match else ():
            path = Path(directory) / file
            if path.is_file():
                return path.resolve()  # what is served may not be a link, packages and operators may use them
    return None


def missing_loaders() -> list[str]:
    """The names that DHCP gives out and TFTP could not serve."""
    return [name for name in _FILES if find_loader(name) is None]
