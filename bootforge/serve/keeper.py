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
import time
from collections.abc import Callable
from pathlib import Path

from bootforge.errors import BootforgeError, SiteError
from bootforge.generation import Generation, build_generation
from bootforge.seal import Vault
from bootforge.serve import counters
from bootforge.serve.source import Source
from bootforge.site.files import write_files

log = logging.getLogger(__name__)

_POLL = 1.0


class Served:
    """A generation with its vault: what one request works with from beginning to end."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self.vault = Vault(generation.site.secrets)


class Keeper:
    """Keeps the newest good generation of a site. ``current`` may be read by any thread."""

    def __init__(self, source: Source, state: Path, follow: Callable[[Generation], None] | None = None) -> None:
        """Builds the first generation: the site, or what was last good of it, kept as ``last-good`` in the directory
        ``state``: the only name that is ever replaced. ``follow`` is called with every generation once it is served.
        Raises UsageError, SiteError when neither can be had."""
        self.source = source
        self._follow = follow
        self.last_good = state / "last-good"
        self.signature = source.signature()
        try:
            self._serve(source.build())
        except Exception as error:
            if not self.last_good.is_dir():
                raise
            _log_broken(error)
            counters.RELOADS.add("failed")
            self._serve(build_generation(self.last_good), newest=False)
        self._tell()

    def reload(self) -> bool:
        """Builds a generation from the site as it is now; whether it is served. A broken one is only logged."""
        try:
            generation = self.source.build()
        except Exception as error:
            _log_broken(error)
            counters.GOOD.put(0)
            counters.RELOADS.add("failed")
            return False
        self._serve(generation)
        self._tell()
        log.info("serving revision %s: %d hosts", generation.site.revision, len(generation.plans))
        return True

    def _serve(self, generation: Generation, newest: bool = True) -> None:
        """From now on. ``newest``: it is what the site says, not what it last said that was good."""
        self.current = Served(generation)
        counters.GOOD.put(newest)
        counters.HOSTS.put(len(generation.plans))
        counters.BUILT.put(time.time())
        if newest:
            self._keep_copy()
            counters.RELOADS.add("ok")

    def watch(self, wake: int) -> threading.Thread:
        """Starts the thread that reloads when the site changes, or when a byte arrives at ``wake``."""
        thread = threading.Thread(target=self._watch, args=(wake,), daemon=True, name="keeper")
        thread.start()
        return thread

    def _watch(self, wake: int) -> None:
        seen = self.signature
        while True:
            woken = bool(select.select([wake], [], [], _POLL)[0]) and bool(os.read(wake, 4096))
            now = self.source.signature()
            # A site that is still being written is left alone until two looks in a row agree.
            if woken or (now == seen and now != self.signature):
                self.signature = now
                self.reload()
            seen = now

    def _tell(self) -> None:
        try:
            if self._follow:
                self._follow(self.current.generation)
        except Exception:
            log.exception("not all that follows the site could follow it")

    def _keep_copy(self) -> None:
        """The site's files as they were read, under one name that is always whole: a link to the newest copy. Not
        having it is no failure."""
        place, unused = self.last_good.parent, None
        try:
            new = unused = Path(tempfile.mkdtemp(prefix="last-good-", dir=place))
            write_files(new, self.current.generation.site.files)
            old = place / os.readlink(self.last_good).rpartition("/")[2] if self.last_good.is_symlink() else None
            link = new.with_name(new.name + ".link")
            link.symlink_to(new.name)
            link.replace(self.last_good)
            unused = old
        except OSError as error:
            log.warning("the last good site cannot be kept in %s: %s", self.last_good, error.strerror)
        if unused and unused.name.startswith("last-good-"):
            shutil.rmtree(unused, ignore_errors=True)


def _log_broken(error: Exception) -> None:
    told = isinstance(error, BootforgeError)
    log.error("the site is broken, the last good generation is served on: %s", error, exc_info=None if told else error)
    for problem in error.problems if isinstance(error, SiteError) else ():
        log.error("%s", problem.line())
