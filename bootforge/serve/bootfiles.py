"""What is behind a name that firmware, shim, GRUB or pxelinux asks for: a program, a script, a kernel. Everything is
found when it is asked for, and nothing is written for any host.

Names of hosts' own files are ``m/<mac>/NAME``. Only shim and pxelinux have any: where they come from decides what they
load next. A machine that nobody knows gets none, so that its firmware goes on to the next boot device.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from pathlib import Path

from bootforge.addr import parse_mac
from bootforge.model import Plan
from bootforge.plan.loader import media_path
from bootforge.render.netboot import render_grub_chain
from bootforge.serve.loaders import MAC, Loaders
from bootforge.serve.media import Absent, Opened
from bootforge.serve.netboot import Kind, Server, boot_script
from bootforge.serve.questions import Question

# shim puts a slash of its own behind the directory of its URL (16.1: httpboot.c).
_OWN = re.compile(rf"m/(?P<mac>{MAC})/+(?P<name>[A-Za-z0-9._-]+|pxelinux\.cfg/(?P<pxe>[A-Za-z0-9-]+))")
_ANYBODYS = re.compile(r"loaders/([A-Za-z0-9._-]+)")
_GRUB_PREFIX = re.compile(r"(?:boot/)?grub2?/grub\.cfg|EFI/[A-Za-z0-9][A-Za-z0-9._-]*/grub\.cfg")
"""Where a GRUB looks that was told its directory when it was built: Debian's and its relatives', and EL's."""

RULES = {"/loaders/<path>": "anybody", "/m/<mac>/<path>": "machine"}
"""The front's routes to boot files, and their policies as in http.py."""

_SCRIPTS = ("boot.ipxe", "grub.cfg")
"""Names below m/<mac>/ that are HTTP's routes."""


def is_asked(name: str) -> bool:
    """Whether a name is one that the worker may know something behind, as TFTP hears it."""
    return bool(_OWN.fullmatch(name) or _GRUB_PREFIX.fullmatch(name))


def is_fetched(path: str) -> bool:
    """The same for the path of an HTTP request, of what is sent as a file."""
    own = _OWN.fullmatch(path)
    return bool(_ANYBODYS.fullmatch(path) or (own and not own["pxe"] and own["name"] not in _SCRIPTS))


class BootFiles:
    """Files by name; see the module."""

    def __init__(self, server: Server, loaders: Loaders) -> None:
        self._server, self._loaders = server, loaders

    def find(self, question: Question) -> int | None:
        """A descriptor of what is behind the name, for this client; None when there is nothing."""
        if match := _ANYBODYS.fullmatch(question.name):
            return _open(self._loaders.find(match[1])) if question.by == "http" else None
        match = _OWN.fullmatch(question.name)
        if not match:
            asked = question.by == "tftp" and _GRUB_PREFIX.fullmatch(question.name)
            return _memory(render_grub_chain(self._server.keeper.current.generation.engine)) if asked else None
        if question.by == "tftp" and (script := self._script(question, match)):
            return _memory(script)
        return self._own(match["mac"], match["name"])

    def _script(self, question: Question, match: re.Match[str]) -> str | bytes | None:
        """The script that TFTP gives out, by the same permission as HTTP."""
        mac, name = match["mac"], match["name"]
        kind: Kind
        if name == "grub.cfg":
            kind = "grub"
        elif name in ("pxelinux.cfg/default", f"pxelinux.cfg/01-{mac.lower().replace(':', '-')}"):
            kind = "pxelinux"
        else:
            return None
        with suppress(ValueError):
            return boot_script(self._server, mac, question.client, kind)
        return None

    def _own(self, mac: str, name: str) -> int | None:
        """A program of the host's own loader, or a file of its installer."""
        generation = self._server.keeper.current.generation
        with suppress(ValueError):
            host = generation.by_mac.get(parse_mac(mac).text)
            plan = generation.plan(host) if host else None
            if plan and plan.state == "active":
                return self._of_plan(plan, name)
        return None

    def _of_plan(self, plan: Plan, name: str) -> int | None:
        if plan.loader == "shim" and name in ("kernel", "initrd"):
            path = media_path(plan, plan.boot.kernel if name == "kernel" else plan.boot.initrd)
            with suppress(Absent):
                return self._loaders.tree_file(path).fd if path else None
            return None
        found = self._loaders.own(plan, name)
        return found.fd if isinstance(found, Opened) else _open(found)


def _open(path: Path | None) -> int | None:
    if not path:
        return None
    fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        return None
    return fd


def _memory(text: str | bytes) -> int:
    """A file that is nowhere."""
    fd = os.memfd_create("script", os.MFD_CLOEXEC)
    with open(fd, "wb", buffering=0, closefd=False) as memory:
        memory.write(text if isinstance(text, bytes) else text.encode())
    return fd
