"""What goes wrong with media."""

from __future__ import annotations

import errno

from bootforge.errors import BootforgeError, Exit


class MediaError(BootforgeError):
    """A tree cannot be had, or is not what it says. Nothing of it is served."""

    exit = Exit.REMOTE


class MediaBusy(BootforgeError):
    """Another process takes in the same source."""

    exit = Exit.LOCKED


def of_os(error: OSError, what: str) -> MediaError:
    """What the operating system says, with its remedy."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    hint = "free some space, or give another --media; nothing was kept" if full else "see 'bootforge media add --help'"
    return MediaError(f"{what}: {'the disk is full' if full else error.strerror or error}", hint)
