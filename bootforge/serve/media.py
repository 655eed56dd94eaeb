"""Files of the media directory: which path names one, and how it is opened. Whatever else a path leads to is refused.

Nothing is listed, nothing that is hidden is given out but what installers ask for, and nothing outside of the
directory, whatever links say.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote_to_bytes

from bootforge.serve.ranges import Version

RULE, POLICY = "/media/<path>", "anybody"
"""The route and its policy, as in http.py: install trees are for everybody, as on any mirror."""

PREFIX = b"/media/"
ACCEL = "/_media/"
"""Where nginx has the media directory for itself (docs/media.md)."""
_SHOWN = (b".treeinfo", b".discinfo")
"""Hidden files that installers read."""


class Absent(Exception):
    """There is no such file, or none that may be had."""


@dataclass(slots=True)
class Opened:
    """A file that is open: its descriptor, its version, and its path below the media directory, if it is there."""

    fd: int
    version: Version
    path: bytes | None


class Media:
    """The media directory; it may be made, or be replaced, while it is served."""

    def __init__(self, root: Path) -> None:
        self.root = os.fsencode(root)

    def open(self, target: bytes) -> Opened:
        """The file that a request's target names. Raises Absent. The caller closes it."""
        path = b"/".join(_names(target))
        place = -1
        try:
            # O_PATH opens nothing yet: what it leads to is looked at before a device or a pipe could be touched.
            place = os.open(self.root + b"/" + path, os.O_PATH | os.O_CLOEXEC)
            status = os.fstat(place)
            base = os.path.realpath(self.root)
            real = os.readlink(b"/proc/self/fd/%d" % place)
            if not stat.S_ISREG(status.st_mode) or not real.startswith(base + b"/"):
                raise Absent
            inside = real[len(base) + 1 :]
            if not all(map(_may_be_had, inside.split(b"/"))):
                raise Absent
            fd = os.open(b"/proc/self/fd/%d" % place, os.O_RDONLY | os.O_CLOEXEC)
        except (OSError, ValueError):
            raise Absent from None
        finally:
            if place >= 0:
                os.close(place)
        return Opened(fd, version_of(status), inside)


def version_of(status: os.stat_result) -> Version:
    """What tells one file from another that once had its name."""
    # The time of change of the inode, which no copying program sets: another file under the same name differs.
    etag = f'"{status.st_ino:x}.{status.st_ctime_ns:x}.{status.st_size:x}"'
    return Version(status.st_size, int(status.st_mtime), etag)


def accel(path: bytes) -> str:
    """A file as nginx finds it, for X-Accel-Redirect."""
    return ACCEL + quote(path)


def _names(target: bytes) -> list[bytes]:
    """The parts of the path below /media/. Raises Absent when one is none."""
    path = target.partition(b"?")[0]
    if not path.startswith(PREFIX) or b"#" in path:
        raise Absent
    names = []
    for part in path[len(PREFIX) :].split(b"/"):
        name = unquote_to_bytes(part)
        # Whatever is still escaped was no escape; a slash or a NUL that was escaped is in no name of a file.
        if name.count(b"%") != part.count(b"%25") or b"/" in name or b"\0" in name or not _may_be_had(name):
            raise Absent
        names.append(name)
    return names


def _may_be_had(name: bytes) -> bool:
    return name != b"" and (not name.startswith(b".") or name in _SHOWN)
