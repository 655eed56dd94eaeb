"""The generation that is served: replaced when the site changes, never by a broken one.

What was last good is also kept as files beside the store, so that a worker that dies while the site is broken
comes back with it.
"""

from __future__ import annotations

import logging
import os
import select
import shutil
import tempfile
import threading
from pathlib import Path

from bootforge.errors import BootforgeError, SiteError
from bootforge.generation import Generation, build_generation
from bootforge.seal import Vault

log = logging.getLogger(__name__)

_POLL = 1.0

Signature = tuple[tuple[str, int, int, int], ...]


class Served:
    """A generation with its vault: what one request works with from beginning to end."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.vault = Vault(generation.site.secrets)


class Keeper:
    """Keeps the newest good generation of a site. ``current`` may be read by any thread."""

    def __init__(self, root: Path, last_good: Path) -> None:
        """Builds the first generation: the site, or what was last good of it. Raises UsageError, SiteError when
        neither can be had."""
        self.root = root
        self.last_good = last_good
        self.signature = signature(root)
        try:
            self.current = Served(build_generation(root))
            self._keep_copy()
        except BootforgeError as error:
            if not last_good.is_dir():
                raise
            _log_broken(error)
            self.current = Served(build_generation(last_good))

    def reload(self) -> bool:
        """Builds a generation from the site as it is now; whether it is served. A broken one is only logged."""
        try:
            generation = build_generation(self.root)
        except BootforgeError as error:
            _log_broken(error)
            return False
        except Exception:
            log.exception("the site could not be read; the last good generation is served on")
            return False
        self.current = Served(generation)
        self._keep_copy()
        log.info("serving revision %s: %d hosts", generation.site.revision, len(generation.plans))
        return True

    def watch(self, wake: int) -> threading.Thread:
        """Starts the thread that reloads when the site's files change, or when a byte arrives at ``wake``."""
        thread = threading.Thread(target=self._watch, args=(wake,), daemon=True, name="keeper")
        thread.start()
        return thread

    def _watch(self, wake: int) -> None:
        seen = self.signature
        while True:
            woken = bool(select.select([wake], [], [], _POLL)[0]) and bool(os.read(wake, 4096))
            now = signature(self.root)
            # A site that is still being written is left alone until two looks in a row agree.
            if woken or (now == seen and now != self.signature):
                self.signature = now
                self.reload()
            seen = now

    def _keep_copy(self) -> None:
        """The site's files as they were read, under one name that is always whole. Not having it is no failure."""
        try:
            new = Path(tempfile.mkdtemp(prefix="last-good-", dir=self.last_good.parent))
            for name, content in self.current.generation.site.files.items():
                path = new / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
            old = self.last_good.with_name(new.name + ".old")
            if self.last_good.is_dir():
                self.last_good.rename(old)
            new.rename(self.last_good)
            shutil.rmtree(old, ignore_errors=True)
        except OSError as error:
            log.warning("the last good site cannot be kept in %s: %s", self.last_good, error.strerror)


def signature(root: Path) -> Signature:
    """What tells whether a site changed: every file's path, time, size and inode."""
    found = []
    for path in sorted(root.rglob("*")):
        if any(part.startswith(".") for part in path.relative_to(root).parts):
            continue
        try:
            status = path.stat()
        except OSError:
            continue
        found.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(found)


def _log_broken(error: BootforgeError) -> None:
    log.error("the site is broken, the last good generation is served on: %s", error)
    for problem in error.problems if isinstance(error, SiteError) else ():
        log.error("%s", problem.line())
