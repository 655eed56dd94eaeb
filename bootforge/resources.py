"""The one way to files that ship with Bootforge, from a wheel or from a checkout alike."""

from __future__ import annotations

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
