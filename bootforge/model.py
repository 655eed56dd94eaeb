"""The core types that travel through the pipeline: frozen values without behaviour or input/output.

``Site`` lives with its loader (site/load.py) and ``ResolvedHost`` with its resolver (resolve.py),
because both hold the schema's types; everything that a plan, a renderer or the edge exchanges is here,
in words.py, in model_storage.py and in model_steps.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network
from typing import Literal

from bootforge.addr import Mac
from bootforge.model_steps import Command, Step
from bootforge.model_storage import DiskPlan, StoragePlan
from bootforge.words import BootArg, HostName, KsCommand, Package, Slot, tell_plainly

Path = tuple[str, ...]
"""A place in a host's specification: ``('nics', 'lan', 'mac')``; an element of a set is a step as well."""


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
class BootArgs:
    """The boot target: kernel and initrd by URL, and the arguments that every netboot script prints. ``kickstart``: the
    URL of the one that iPXE puts beside the initrd; None where the installer fetches it itself."""

    kernel: str
    initrd: str
    args: tuple[BootArg, ...]
    kickstart: Slot | None = None


@dataclass(frozen=True, slots=True)
class Network:
    """A network as a nic sees it: ``server`` is Bootforge's base URL as reached from that network; ``mtu`` in bytes."""

    name: str
    subnet: IPv4Network | None
    gateway: IPv4Address | None
    subnet6: IPv6Network | None
    gateway6: IPv6Address | None
    dns: tuple[IPv4Address | IPv6Address, ...]
    ntp: tuple[str, ...]
    range: tuple[IPv4Address, IPv4Address] | None
    server: str | None
    vlan: int | None
    mtu: int | None
    bridge: str | None


@dataclass(frozen=True, slots=True)
class Route:
    """A route besides the default one: ``to`` is its destination in CIDR notation."""

    to: str
    via: IPv4Address | IPv6Address
    metric: int | None


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface: the one value behind the kickstart, the boot arguments, the DHCP reservation and the
    domain definition.

    ``device``: the kernel's name for it, None where it is known by its MAC address alone; ``named``: that name is not
    the kernel's own, so the installer (``ifname=``) and a udev rule give it. ``network``: a port's is that of its
    bond or bridge unless it says otherwise. ``dhcp``: IPv4 comes by DHCP; ``method6``: how IPv6 comes. ``vlan``: the
    tag. ``boot``: it is the one that boots from the network; ``install``: the installer uses it; ``routed``: it has
    the default route. ``mtu`` in bytes."""

    name: str
    kind: Literal["physical", "bond", "vlan", "bridge", "bmc"]
    mac: Mac | None
    device: str | None
    named: bool
    network: Network | None
    address: IPv4Interface | None
    dhcp: bool
    address6: IPv6Interface | None
    method6: Literal["none", "auto", "dhcp", "static"]
    ports: tuple[str, ...]
    parent: str | None
    vlan: int | None
    options: tuple[tuple[str, str], ...]
    mtu: int | None
    ethtool: tuple[tuple[str, str], ...]
    routes: tuple[Route, ...]
    boot: bool
    install: bool
    routed: bool
    iscsi: bool

    @property
    def below(self) -> tuple[str, ...]:
        """The names of the nics that this one is made of."""
        return (self.parent,) if self.parent else self.ports


@dataclass(frozen=True, slots=True)
class InstallPlan:
    """What the installer is told: kickstart commands by section of the template, packages and groups.

    ``on_error``: the section that runs when the installer fails is %onerror, else %traceback. ``nosave_flag``: the
    installer looks for a file that keeps it from copying the kickstart. ``network_first``: UEFI boots the network first
    ever after.
    ``storage``: empty where %pre writes ``disks.lines`` instead."""

    title: str
    has_end: bool
    mode: tuple[KsCommand, ...]
    source: tuple[KsCommand, ...]
    locale: tuple[KsCommand, ...]
    network: tuple[KsCommand, ...]
    access: tuple[KsCommand, ...]
    security: tuple[KsCommand, ...]
    storage: tuple[KsCommand, ...]
    disks: DiskPlan
    packages: tuple[Package, ...]
    on_error: bool
    nosave_flag: bool
    network_first: bool


@dataclass(frozen=True, slots=True)
class DomainDisk:
    """A disk of a virtual machine: what backs it on its host and how the guest sees it. ``size`` in MiB, where the host
    is to make the logical volume; ``grow``: and to make it larger."""

    vdev: str
    backing: str
    size: int | None
    grow: bool


@dataclass(frozen=True, slots=True)
class DomainNic:
    """A network interface of a virtual machine, and the bridge of its host that it is plugged into."""

    mac: Mac
    bridge: str


@dataclass(frozen=True, slots=True)
class DomainPlan:
    """A guest: the one value behind every form of its definition. ``type``: pv or hvm (xl.cfg(5)); of KVM hvm.
    ``memory`` in MiB. ``uefi``, ``secure_boot``: an HVM guest's firmware. ``machine``: what QEMU shows a KVM guest.
    ``network_first``: once installed it boots the network before its disk. ``on`` is the host that it runs on,
    ``candidates`` are those that it may run on."""

    name: str
    hypervisor: Literal["xen", "kvm"]
    type: Literal["pv", "hvm"]
    uuid: str | None
    memory: int
    vcpus: int
    uefi: bool
    secure_boot: Literal["true", "false", "unknown"]
    machine: Literal["pc", "q35"]
    disks: tuple[DomainDisk, ...]
    nics: tuple[DomainNic, ...]
    network_first: bool
    on: str | None
    candidates: tuple[str, ...]
    autostart: bool


LocalBoot = Literal["exit-1", "exit", "sanboot"]
"""How iPXE hands over to the local disk."""

Loader = Literal["ipxe", "shim", "pxelinux"]
"""The program that a host's firmware gets from the network."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Every decision for one host, and nothing undecided: rendering it asks no more questions.

    ``state``: planned, active, held or retired. ``local_boot``: what iPXE does to boot the disk.
    ``loader``: what it is booted by. ``commands``: what handlers of the bootstrap run."""

    host: HostName
    release: str
    state: str
    roles: tuple[str, ...]
    serial: str | None
    nics: tuple[Nic, ...]
    boot: BootArgs
    install: InstallPlan
    storage: StoragePlan | None
    domain: DomainPlan | None
    steps: tuple[Step, ...]
    local_boot: LocalBoot
    loader: Loader
    commands: tuple[Command, ...] = ()

    @property
    def retired(self) -> bool:
        """Whether the machine is gone, so that its addresses may be another's."""
        return self.state == "retired"

    @property
    def boot_nic(self) -> Nic:
        """The nic that boots from the network; a plan always has exactly one."""
        return next(nic for nic in self.nics if nic.boot)

    @property
    def boot_mac(self) -> Mac:
        """The MAC address that the machine boots with."""
        return next(nic.mac for nic in self.nics if nic.boot and nic.mac)

    @property
    def install_nic(self) -> Nic:
        """The nic that the installer uses: the booting one, or a bond, bridge or VLAN that is made of it."""
        return next(nic for nic in self.nics if nic.install)

    @property
    def server(self) -> str:
        """This server's URL as the installer sees it."""
        networks = [nic.network for nic in (self.install_nic, self.boot_nic) if nic.network]
        return next(network.server for network in networks if network.server)


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


tell_plainly(globals().values())
