"""Words of the pipeline: the values that reach a template, and what they are put together to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, is_dataclass
from ipaddress import IPv4Interface, IPv6Interface

from bootforge.addr import Mac

IPInterface = IPv4Interface | IPv6Interface


@dataclass(frozen=True, slots=True)
class HostName:
    """A validated, lower-case fully qualified domain name."""

    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Slot:
    """A hole that only :func:`bootforge.seal.seal` fills: ``grant.url``, ``grant.token``, ``grant.wipe``,
    ``site.revision`` or ``secret:NAME``. Everywhere else it prints as ``@source@``. With ``hashes`` only a
    crypt(5) hash that begins with one of them may fill it, so that a plain-text password is never taken for one."""

    source: str
    hashes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"@{self.source}@"


@dataclass(frozen=True, slots=True)
class Package:
    """A package, ``@group`` or ``@^environment`` of %packages, where a kickstart knows no quoting; ``excluded``: one
    that is left out, printed with a dash before it."""

    text: str
    excluded: bool = False


@dataclass(frozen=True, slots=True)
class DiskNames:
    """The kernel's names of disks, joined by commas. A number stands for the disk that %pre finds under it, counted
    from 1; :data:`WIPED` for all disks that %pre decides to wipe."""

    names: tuple[str | int, ...]

    def __str__(self) -> str:
        return ",".join(str(name) for name in self.names)


WIPED = 0

Arg = str | int | Mac | IPInterface | HostName | Slot | DiskNames
"""What may reach a template as a value; each kind is quoted by the grammar that prints it."""


@dataclass(frozen=True, slots=True)
class KsOption:
    """``--name=value`` of a kickstart command; a flag when ``value`` is None; a bare word when ``name`` is ''."""

    name: str
    value: Arg | None = None


@dataclass(frozen=True, slots=True)
class KsCommand:
    """One kickstart command with its options, in the order in which they are printed."""

    name: str
    options: tuple[KsOption, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the shell function ``bf_<fn>`` in a script of the install."""

    fn: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class BootArg:
    """One word of the kernel command line: ``name=value``, or ``name`` when ``value`` is None."""

    name: str
    value: Arg | None = None


def tell_plainly(kinds: Iterable[object]) -> None:
    """A value holds no cycle, so its ``repr`` needs no guard against one: half of its cost, and the digest of every
    plan is made of it. Every module of such values calls this for its own."""
    for kind in kinds:
        if isinstance(kind, type) and is_dataclass(kind):
            kind.__repr__ = getattr(kind.__repr__, "__wrapped__", kind.__repr__)  # type: ignore[method-assign]


tell_plainly(globals().values())
