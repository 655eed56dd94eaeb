"""The core types that travel through the pipeline: frozen values without behaviour or input/output.

``Site`` lives with its loader (site/load.py) and ``ResolvedHost`` with its resolver (resolve.py),
because both hold the schema's types; everything that a plan, a renderer or the edge exchanges is here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from typing import Literal

from bootforge.addr import Mac

Path = tuple[str, ...]
"""A place in a host's specification: ``('nics', 'lan', 'mac')``; an element of a set is a step as well."""

IPInterface = IPv4Interface


def dotted(path: Path) -> str:
    """The path as operators write it: ``nics.lan.mac``."""
    return ".".join(path)


@dataclass(frozen=True, slots=True, order=True)
class Origin:
    """Where a value was written: file relative to the site (or ``shipped:...``), line and column from 1."""

    file: str
    line: int = 1
    col: int = 1

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.col}"


@dataclass(frozen=True, slots=True)
class Assertion:
    """One line of the site that says something about a path of one host.

    ``op`` is ``set`` (``key:``), ``force`` (``key!:``) or ``remove`` (``key-:``); ``layer`` names who says it,
    as in ``defaults``, ``role db`` or ``rule x4150-panics``. ``value`` is YAML text, or a tuple of texts for
    an atomic list, whose elements stand at ``items``; it is None for a map without keys and for a removal.
    """

    value: str | tuple[str, ...] | None
    op: Literal["set", "force", "remove"]
    origin: Origin
    layer: str
    items: tuple[Origin, ...] = ()


Trail = tuple[Assertion, ...]
"""Every assertion about one path, weakest first; the last one won."""


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
    """A package, ``@group`` or ``@^environment`` of %packages, where a kickstart knows no quoting."""

    text: str


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
class BootArg:
    """One word of the kernel command line: ``name=value``, or ``name`` when ``value`` is None."""

    name: str
    value: Arg | None = None


@dataclass(frozen=True, slots=True)
class BootArgs:
    """The boot target: kernel and initrd by URL, and the arguments that every netboot script prints."""

    kernel: str
    initrd: str
    args: tuple[BootArg, ...]


@dataclass(frozen=True, slots=True)
class Network:
    """A network as a nic sees it: ``server`` is Bootforge's base URL as reached from that network."""

    name: str
    subnet: IPv4Network
    gateway: IPv4Address | None
    dns: tuple[IPv4Address, ...]
    range: tuple[IPv4Address, IPv4Address] | None
    server: str | None
    bridge: str | None


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface: the one value behind the kickstart, the DHCP reservation and the domain definition.

    ``device``: the kernel's name for it, where an installer knows nics by name only."""

    name: str
    mac: Mac
    device: str | None
    network: Network
    address: IPInterface | None
    boot: bool


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the shell function ``bf_<fn>`` in a script that is rendered with its library."""

    fn: str
    args: tuple[Arg, ...]


@dataclass(frozen=True, slots=True)
class StorageLine:
    """A storage command that %pre writes once it knows the disks. ``when``: '' always; ``make:GROUP`` or
    ``make:GROUP/VOLUME`` when that is made, ``keep:...`` when it is there and kept."""

    when: str
    command: KsCommand


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """What %pre does before a disk is touched: it finds ``numbers`` of disks and decides for each group, unless
    ``guard`` is off only for disks that are blank, carry ``mark``, or may be wiped. ``lines`` is empty when nothing
    of the storage commands depends on what it finds. ``tagged``: the volume groups that will carry the mark."""

    mark: str
    guard: str
    numbers: tuple[int, ...]
    finds: tuple[Call, ...]
    groups: tuple[Call, ...]
    lines: tuple[StorageLine, ...]
    tagged: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """What the installer is told: kickstart commands by section of the template, packages and groups.

    ``keys``: root's public keys, where no command of the release takes them. ``storage``: empty where %pre writes
    ``disks.lines`` instead."""

    title: str
    has_end: bool
    mode: tuple[KsCommand, ...]
    source: tuple[KsCommand, ...]
    locale: tuple[KsCommand, ...]
    network: tuple[KsCommand, ...]
    access: tuple[KsCommand, ...]
    keys: tuple[str, ...]
    security: tuple[KsCommand, ...]
    storage: tuple[KsCommand, ...]
    disks: DiskPlan
    packages: tuple[Package, ...]


@dataclass(frozen=True, slots=True)
class DomainDisk:
    """A disk of a virtual machine: what backs it in dom0 and how the guest sees it."""

    vdev: str
    backing: str


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """A Xen guest of ``type`` pv, pvh or hvm (xl.cfg(5)). ``memory`` in MiB."""

    name: str
    type: str
    uuid: str | None
    memory: int
    vcpus: int
    disks: tuple[DomainDisk, ...]


@dataclass(frozen=True, slots=True)
class Step:
    """One idempotent action of the bootstrap: a call of the library function ``bf_<fn>``.

    ``path`` is the place of the specification that asked for it.
    """

    id: str
    fn: str
    args: tuple[Arg, ...]
    phases: tuple[str, ...]
    path: Path


@dataclass(frozen=True, slots=True)
class Plan:
    """Every decision for one host, and nothing undecided: rendering it asks no more questions.

    ``shape`` is equal for hosts that differ only in what every host has of its own: names, addresses, serials."""

    host: HostName
    release: str
    roles: tuple[str, ...]
    serial: str | None
    nics: tuple[Nic, ...]
    boot: BootArgs
    install: InstallPlan
    domain: DomainPlan | None
    steps: tuple[Step, ...]
    shape: str

    @property
    def boot_nic(self) -> Nic:
        """The nic that boots from the network; a plan always has exactly one."""
        return next(nic for nic in self.nics if nic.boot)


@dataclass(frozen=True, slots=True)
class SlotUse:
    """Where a slot stands in an artifact's text: offset and length in characters, and the grammar that quotes it."""

    offset: int
    length: int
    grammar: str
    slot: Slot


@dataclass(frozen=True, slots=True)
class Artifact:
    """Unsealed text that Bootforge publishes. ``digest`` is the SHA-256 of the unsealed text, in hex."""

    name: str
    media_type: str
    text: str
    slots: tuple[SlotUse, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Grant:
    """Permission to install one host, as ``seal`` needs it. ``url`` is that of the kickstart, ``revision`` the
    site's that is served with it, ``wipe`` the disks that may be wiped whatever is on them: names, or ``all``."""

    host: str
    token: str
    url: str
    revision: str
    wipe: tuple[str, ...] = ()


Facts = Mapping[str, str]
