"""The one way to files that ship with Bootforge, from a wheel or from a checkout alike."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path


@cache
def shipped(kind: str) -> Path:
    """The directory of shipped ``templates`` or ``profiles``. Raises FileNotFoundError for a broken install."""
    package = Path(__file__).resolve().parent
    for base in (package / "data", package.parent):
        if (base / kind).is_dir():
            return base / kind
    raise FileNotFoundError(f"this installation of Bootforge lacks its {kind}; install it again")


@cache
def shipped_texts(kind: str) -> dict[str, str]:
    """Every shipped file of a kind: path below its directory -> text."""
    root = shipped(kind)
    return {
        path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


@cache
def package_digest() -> str:
    """A digest of Bootforge's own code."""
    total = hashlib.sha256()
    package = Path(__file__).resolve().parent
    for path in sorted(package.rglob("*.py")):
        total.update(f"{path.relative_to(package)}\0".encode() + path.read_bytes() + b"\0")
    return total.hexdigest()
