"""The bootstrap's steps as a plan holds them: calls of library functions, and what the frame needs to know of each."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from bootforge.words import Arg, tell_plainly

Phase = Literal["install", "boot", "run"]

ALWAYS: tuple[Phase, ...] = ("install", "boot", "run")
"""In %post, at the first boot, and ever after."""


@dataclass(frozen=True, slots=True)
class Whole:
    """A file or directory as a step leaves it: the SHA-256 of its content in hex, a dash for a directory; its mode in
    octal without a leading zero; USER:GROUP."""

    path: str
    sum: str = field(repr=False)
    mode: str
    owner: str

    @property
    def raw_mode(self) -> str:
        """Type and mode as ``stat -c %f`` prints them (stat(2))."""
        return f"{(0o040000 if self.sum == '-' else 0o100000) | int(self.mode, 8):x}"


@dataclass(frozen=True, slots=True)
class Step:
    """One idempotent action of the bootstrap: a call of the library function ``bf_<fn>``, with ``content`` on its
    standard input.

    ``id``: KIND, or KIND:NAME where there are several; no blanks. ``path`` is the place of the specification that asked
    for it. ``needs``: ids or kinds of steps that must not have failed. ``notify``: handlers that a change owes, as in
    ``restart:httpd``. ``whole``: the file or directory that is all that the step makes, so that a digest tells whether
    there is anything to do. ``watch``: what differs is told and left. ``secrets``: names of secrets that it takes from
    the directory of --secrets."""

    id: str
    fn: str
    args: tuple[Arg, ...]
    path: tuple[str, ...]
    phases: tuple[Phase, ...] = ALWAYS
    needs: tuple[str, ...] = ()
    notify: tuple[str, ...] = ()
    content: str | None = None
    whole: Whole | None = None
    watch: bool = False
    secrets: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Command:
    """A program and its arguments, which the handler ``run:NAME`` runs."""

    name: str
    words: tuple[str, ...]


def whole_file(
    id: str,
    file: str,
    content: str,
    path: tuple[str, ...],
    *,
    mode: str = "644",
    owner: str = "root:root",
    phases: tuple[Phase, ...] = ALWAYS,
    needs: tuple[str, ...] = (),
    notify: tuple[str, ...] = (),
) -> Step:
    """The step that makes ``file`` exactly this content, which ends with a newline if there is any."""
    if content and not content.endswith("\n"):
        content += "\n"
    whole = Whole(file, hashlib.sha256(content.encode()).hexdigest(), mode, owner)
    return Step(id, "file", (file, mode, owner), path, phases, needs, notify, content, whole)


def whole_directory(
    id: str, directory: str, path: tuple[str, ...], *, mode: str = "755", owner: str = "root:root"
) -> Step:
    """The step that makes ``directory`` one of this mode and owner, whatever is in it."""
    whole = Whole(directory, "-", mode, owner)
    return Step(id, "directory", (directory, mode, owner), path, whole=whole)


tell_plainly(globals().values())
