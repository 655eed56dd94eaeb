"""What a boot program's own file says of it."""

from __future__ import annotations

import struct
from pathlib import Path

_LONGEST = 64 * 1024


def machine(path: Path) -> str | None:
    """The architecture of a program for UEFI, as in the table of programs; None for what is no such program."""
    with path.open("rb") as file:
        head = file.read(4096)
    at = _pe_header(head)
    if at is None:
        return None
    return {0x8664: "x64 UEFI", 0xAA64: "arm64 UEFI"}.get(struct.unpack_from("<H", head, at + 4)[0], "another UEFI")


def sbat(path: Path) -> dict[str, int]:
    """The generations that shim and GRUB are of (shim: SBAT.md): below those that a firmware has been told, it refuses
    them. Empty for what says nothing."""
    with path.open("rb") as file:
        head = file.read(4096)
        at = _pe_header(head)
        if at is None:
            return {}
        sections, optional = struct.unpack_from("<H", head, at + 6)[0], struct.unpack_from("<H", head, at + 20)[0]
        for number in range(sections):
            entry = head[at + 24 + optional + 40 * number :][:40]
            if entry[:8].rstrip(b"\0") == b".sbat" and len(entry) == 40:
                size, raw, where = struct.unpack_from("<I4xII", entry, 8)
                file.seek(where)
                return _generations(file.read(min(size, raw, _LONGEST)))
    return {}


def _pe_header(head: bytes) -> int | None:
    """Where the header of a PE file is that has all of it in ``head``."""
    if len(head) < 64 or head[:2] != b"MZ":
        return None
    at: int = struct.unpack_from("<I", head, 60)[0]
    return at if head[at : at + 4] == b"PE\0\0" and at + 24 <= len(head) else None


def _generations(text: bytes) -> dict[str, int]:
    found = {}
    for line in text.decode("ascii", "replace").rstrip("\0").splitlines():
        name, generation = [*line.split(","), "", ""][:2]
        if name in ("shim", "grub") and generation.isdigit() and len(generation) < 10:
            found[name] = int(generation)
    return found
