"""DHCP configuration for the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal
from urllib.parse import urlsplit

from bootforge.addr import Mac
from bootforge.model import Network, Nic, Plan
from bootforge.render.engine import Engine
from bootforge.words import HostName

Mode = Literal["full", "proxy"]

LOADER_BIOS = "undionly.kpxe"
LOADER_X64 = "snponly.efi"


@dataclass(frozen=True, slots=True)
class Lease:
    """A reservation: the MAC addresses that may ask, and the host name if it is the address that it is known by."""

    network: str
    mac: Mac
    others: tuple[Mac, ...]
    address: IPv4Address | None
    host: HostName | None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network that DHCP serves; its name is the tag of everything in it. ``address`` is the server's."""

    network: Network
    first: IPv4Address
    netmask: IPv4Address
    server: str
    address: str
    dns: tuple[IPv4Address, ...]
    leases: tuple[Lease, ...]


def render_dnsmasq(networks: Iterable[Network], leases: Iterable[Lease], mode: Mode, engine: Engine) -> str:
    """A configuration file for dnsmasq(8) that serves every network with a server: DHCP in full, or only the boot
    answers (proxyDHCP) beside a server that gives the addresses. Nothing else is served."""
    by_network: dict[str, list[Lease]] = {}
    for lease in leases:
        by_network.setdefault(lease.network, []).append(lease)
    subnets = [
        Subnet(
            network,
            network.subnet.network_address,
            network.subnet.netmask,
            network.server,
            _address(network),
            tuple(one for one in network.dns if isinstance(one, IPv4Address)),
            tuple(sorted(by_network.get(network.name, ()), key=lambda lease: lease.mac)),
        )
        for network in sorted(networks, key=lambda network: network.name)
        if network.server and network.subnet
    ]
    template = {"full": "dhcp/dnsmasq.conf.j2", "proxy": "dhcp/dnsmasq-proxy.conf.j2"}[mode]
    return engine.render(template, subnets=tuple(subnets), bios=LOADER_BIOS, x64=LOADER_X64)


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
            yield Lease(nic.network.name, macs[0], macs[1:], address, plan.host if known else None)


def _macs(nic: Nic, by_name: Mapping[str, Nic]) -> Iterator[Mac]:
    if nic.mac:
        yield nic.mac
    for name in nic.ports:
        if by_name[name].kind != "vlan":
            yield from _macs(by_name[name], by_name)


def _address(network: Network) -> str:
    """The server's address, out of its URL: the schema takes no name there."""
    return urlsplit(network.server or "").hostname or ""
