"""Where the server's site comes from: a directory as it is, or what a branch of a repository has been committed to."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bootforge.errors import BootforgeError
from bootforge.generation import Generation, build_generation
from bootforge.site.git import checked_out, commit_of

Signature = tuple[tuple[str, int, int, int], ...] | str


@dataclass(frozen=True, slots=True)
class Source:
    """A site's directory; of the commit that ``rev`` is, if it is given. The repository may be bare, and nothing is
    written to it: whoever pushes or pulls changes what is served."""

    root: Path
    rev: str | None = None

    def signature(self) -> Signature:
        """What tells whether the site changed: the commit, or every file's path, time, size and inode. What vanishes
        meanwhile is left out."""
        if self.rev is None:
            return _files(self.root)
        try:
            return commit_of(self.root, self.rev)
        except BootforgeError as error:
            return str(error)

    def build(self) -> Generation:
        """The generation of the site as it is now. Raises UsageError, NotFound, SiteError."""
        if self.rev is None:
            return build_generation(self.root)
        commit = commit_of(self.root, self.rev)
        with checked_out(self.root, commit) as directory:
            return build_generation(directory, commit)


def _files(root: Path) -> Signature:
    found = []
    for directory, directories, files in os.walk(root):
        directories[:] = [name for name in directories if not name.startswith(".")]
        for name in directories + [name for name in files if not name.startswith(".")]:
            path = os.path.join(directory, name)
            with suppress(OSError):
                status = os.stat(path)
                found.append((path, status.st_mtime_ns, status.st_size, status.st_ino))
    return tuple(sorted(found))
