"""Which host of the site this machine is."""

from __future__ import annotations

import socket
from collections.abc import Collection
from pathlib import Path

from bootforge.errors import NotFound

_STAMP = Path("/etc/bootforge/stamp")


def this_host(hosts: Collection[str]) -> str:
    """The host that the stamp names, else the one of this machine's name. Raises NotFound."""
    for name in (_stamped(), socket.gethostname()):
        if name in hosts:
            return name
    hint = "name the host: 'bootforge run --local HOST'"
    raise NotFound(f"the site has no host {socket.gethostname()!r}, which is this machine's name", hint)


def _stamped() -> str:
    try:
        first = _STAMP.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
    except OSError:
        return ""
    return first.removeprefix("host ").strip()
