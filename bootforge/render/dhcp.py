"""DHCP configuration for the whole fleet: what it says, and how dnsmasq and ISC's dhcpd are told. Kea is in kea.py."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal, NamedTuple
from urllib.parse import urlsplit

from bootforge.addr import Mac
from bootforge.model import Network, Nic, Plan
from bootforge.plan.loader import ARM64, ARM64_HTTP, BIOS, X64, X64_HTTP, X64_OLD, boot_files, first_script
from bootforge.render.engine import Engine
from bootforge.words import HostName

Mode = Literal["full", "proxy"]

LEASE_TIME = 12 * 3600
"""Seconds for which an address is given."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """A kind of firmware: its number in option 93, and a name that no network has, since theirs have no underscore."""

    number: int
    name: str

    @property
    def octets(self) -> str:
        """The number as dhcpd.conf writes two octets."""
        return f"{self.number >> 8:02x}:{self.number & 255:02x}"


ARCHITECTURES = (
    Architecture(BIOS, "_bios"),
    Architecture(X64, "_x64"),
    Architecture(X64_OLD, "_x64-old"),
    Architecture(ARM64, "_arm64"),
    Architecture(X64_HTTP, "_x64-http"),
    Architecture(ARM64_HTTP, "_arm64-http"),
)


@dataclass(frozen=True, slots=True)
class Boot:
    """What firmware of one kind boots: a file of the TFTP server, or a URL where there is no ``server``. ``own``: it is
    a host's own, and no iPXE, so that a machine whose firmware is an iPXE is sent there as well."""

    architecture: Architecture
    file: str
    server: str
    own: bool = False


class Card(NamedTuple):
    """One MAC address of a reservation, and a word for it that no other has."""

    mac: Mac
    key: str


@dataclass(frozen=True, slots=True)
class Lease:
    """A reservation: the MAC addresses that may ask, and the host name if it is the address that it is known by.
    ``own``: what the host boots where that is not what everybody boots."""

    network: str
    mac: Mac
    others: tuple[Mac, ...]
    address: IPv4Address | None
    host: HostName | None
    own: tuple[Boot, ...] = ()

    @property
    def key(self) -> str:
        """A word for the reservation, as a tag or a class."""
        return f"{self.network}_{self.mac.text.replace(':', '')}"

    @property
    def cards(self) -> tuple[Card, ...]:
        others = (Card(mac, f"{self.key}_{number}") for number, mac in enumerate(self.others, 2))
        return (Card(self.mac, self.key), *others)

    @property
    def label(self) -> str | None:
        """The host's name up to the first dot."""
        return self.host.text.partition(".")[0] if self.host else None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network that DHCP serves; its name is the tag of everything in it. ``address`` is the server's; ``script`` is
    what iPXE boots, ``boot`` what firmware boots that no lease says otherwise of; ``own``: the leases that do."""

    network: Network
    first: IPv4Address
    netmask: IPv4Address
    address: str
    script: str
    dns: tuple[IPv4Address, ...]
    boot: tuple[Boot, ...]
    leases: tuple[Lease, ...]
    own: tuple[Lease, ...]

    @property
    def first_dns(self) -> IPv4Address | None:
        return self.dns[0] if self.dns else None

    @property
    def more_dns(self) -> tuple[IPv4Address, ...]:
        return self.dns[1:]


def make_subnets(networks: Iterable[Network], plans: Iterable[Plan]) -> tuple[Subnet, ...]:
    """Every network with a server and an IPv4 subnet, with its reservations: nothing else is served."""
    by_network: dict[str, list[Lease]] = {}
    for plan in plans:
        for lease in leases_of(plan):
            by_network.setdefault(lease.network, []).append(lease)
    found = []
    for network in sorted(networks, key=lambda network: network.name):
        if network.server and network.subnet:
            leases = tuple(sorted(by_network.get(network.name, ()), key=lambda lease: lease.mac))
            found.append(
                Subnet(
                    network,
                    network.subnet.network_address,
                    network.subnet.netmask,
                    _address(network),
                    first_script(network),
                    tuple(one for one in network.dns if isinstance(one, IPv4Address)),
                    _boots(network, boot_files(network)),
                    leases,
                    tuple(lease for lease in leases if lease.own),
                )
            )
    return tuple(found)


def render_dnsmasq(subnets: Iterable[Subnet], mode: Mode, engine: Engine, *, apart: bool = False) -> str:
    """A configuration file for dnsmasq(8): DHCP in full, or only the boot answers (proxyDHCP) beside a server that
    gives the addresses. ``apart``: the reservations are not in it but in a file of their own (``render_hosts``)."""
    template = {"full": "dhcp/dnsmasq.conf.j2", "proxy": "dhcp/dnsmasq-proxy.conf.j2"}[mode]
    return engine.render(template, subnets=tuple(subnets), architectures=ARCHITECTURES, apart=apart)


def render_hosts(subnets: Iterable[Subnet], engine: Engine) -> str:
    """The reservations as a file for dnsmasq's ``dhcp-hostsfile``, which it reads again at SIGHUP.

    Tags (``set:``) must not be in it: dnsmasq up to 2.90 frees memory that is not its own when it reads such a file
    again after one of these hosts has asked (rfc2131.c chains a host's tags to others on the stack)."""
    return engine.render("dhcp/dnsmasq-hosts.j2", subnets=tuple(subnets))


def render_isc(subnets: Iterable[Subnet], engine: Engine) -> str:
    """A configuration file for ISC's dhcpd(8)."""
    return engine.render("dhcp/dhcpd.conf.j2", subnets=tuple(subnets), lease_time=LEASE_TIME)


def leases_of(plan: Plan) -> Iterator[Lease]:
    """The reservations of a host: for each untagged nic with a network, by the MAC addresses of all that it is made
    of, since firmware asks with a port's address before there is a bond."""
    by_name = {nic.name: nic for nic in plan.nics}
    ports = {port for nic in plan.nics for port in nic.ports}
    for nic in plan.nics:
        macs = tuple(_macs(nic, by_name))
        asks = nic.name not in ports or (nic.boot and nic.network != plan.install_nic.network)
        if nic.network and nic.network.subnet and macs and nic.kind != "vlan" and asks:
            known = nic.install or (nic.boot and plan.install_nic.kind == "vlan")
            address = IPv4Address(nic.address.ip) if nic.address else None
            own = plan.loader != "ipxe" and bool(nic.network.server)
            boot = _boots(nic.network, boot_files(nic.network, plan.boot_mac, plan.loader)) if own else ()
            yield Lease(nic.network.name, macs[0], macs[1:], address, plan.host if known else None, boot)


def _macs(nic: Nic, by_name: Mapping[str, Nic]) -> Iterator[Mac]:
    if nic.mac:
        yield nic.mac
    for name in nic.ports:
        if by_name[name].kind != "vlan":
            yield from _macs(by_name[name], by_name)


def _boots(network: Network, files: Mapping[int, str]) -> tuple[Boot, ...]:
    everybodys = boot_files(network)
    return tuple(
        Boot(one, file, "" if file.startswith("http:") else _address(network), file != everybodys[one.number])
        for one in ARCHITECTURES
        if (file := files[one.number])
    )


def _address(network: Network) -> str:
    """The server's address, out of its URL: the schema takes no name there."""
    return urlsplit(network.server or "").hostname or ""
