"""What passed the parsers before, kept between runs of ``check`` in a file of the user's own.

Only passes are kept, as digests of everything that they depend on; a failure is always looked at again. The file is
a convenience and is never trusted further than its owner: whatever is odd about it makes it empty.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
import stat
import tempfile
from functools import cache
from importlib.metadata import version
from pathlib import Path

from bootforge.generation import Generation
from bootforge.plan.digest import plan_shape
from bootforge.releases import RELEASES
from bootforge.resources import package_digest

log = logging.getLogger(__name__)

LIMIT = 20_000
"""How many passes are kept: those of the last runs."""

_HEADER = b"bootforge passes 1\n"
_DIGEST = re.compile(rb"[0-9a-f]{64}")
_LINE = 65


class Passes:
    """Digests of what passed. ``directory`` None: nothing is kept."""

    def __init__(self, directory: Path | None) -> None:
        self.directory = directory
        self._earlier = _read(directory) if directory else {}
        self._now: dict[bytes, None] = {}

    def key(self, generation: Generation, name: str) -> bytes:
        """A digest of all that the verdict on a host's shape depends on: the shape, its release, the templates, the
        parsers, and our own code."""
        plan = generation.plan(name)
        parts = (plan_shape(plan), repr(RELEASES[plan.release]), generation.engine.digest, _tools())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest().encode()

    def __contains__(self, key: bytes) -> bool:
        if key in self._earlier:
            self._now[key] = None
        return key in self._now

    def add(self, key: bytes) -> None:
        """Notes a pass."""
        self._now[key] = None

    def save(self) -> None:
        """Writes what passed now and before; without a place to write, nothing happens. Of two checks at once, the
        later one keeps what the earlier one wrote, or at worst one of them has to look again."""
        if not self.directory or self._now.keys() <= self._earlier.keys():
            return
        try:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            kept = list({**self._now, **_read(self.directory), **self._earlier})[:LIMIT]
            _check_directory(self.directory)
            descriptor, new = tempfile.mkstemp(dir=self.directory, prefix=".passes.")
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(_HEADER + b"".join(key + b"\n" for key in kept))
                os.replace(new, self.directory / "passes")
            except BaseException:
                os.unlink(new)
                raise
        except OSError as error:
            log.debug("what passed is not kept: %s", error)


def cache_directory() -> Path | None:
    """The user's: below XDG_CACHE_HOME, or ~/.cache; None when there is no such place."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if base.startswith("/"):
        return Path(base) / "bootforge"
    home = os.environ.get("HOME", "")
    return Path(home) / ".cache" / "bootforge" if home.startswith("/") else None


def _read(directory: Path) -> dict[bytes, None]:
    """The digests of the file; none when anything about it is not as we write it, or somebody else could have."""
    try:
        _check_directory(directory)
        descriptor = os.open(directory / "passes", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:
            status = os.fstat(descriptor)
            _check_owner(status)
            if not stat.S_ISREG(status.st_mode) or status.st_size > len(_HEADER) + LIMIT * _LINE:
                raise OSError("is not a file of ours")
            header, *lines = file.read().split(b"\n")
    except OSError as error:
        log.debug("what passed earlier is not known: %s", error)
        return {}
    whole = header + b"\n" == _HEADER and lines[-1:] == [b""] and all(map(_DIGEST.fullmatch, lines[:-1]))
    return dict.fromkeys(lines[:-1]) if whole else {}


def _check_directory(directory: Path) -> None:
    status = os.lstat(directory)
    _check_owner(status)
    if not stat.S_ISDIR(status.st_mode):
        raise OSError(f"{directory} is not a directory")


def _check_owner(status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise OSError("somebody else could have written it")


@cache
def _tools() -> str:
    """What parses and renders, by version; our own code by its bytes, because a checkout changes between releases."""
    sh = os.path.realpath(shutil.which("sh") or "sh")
    return f"pykickstart {version('pykickstart')} {sh} {package_digest()}"
