"""DHCP configuration for the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Literal
from urllib.parse import urlsplit

from bootforge.model import HostName, Network, Nic
from bootforge.render.engine import Engine

Mode = Literal["full", "proxy"]

LOADER_BIOS = "undionly.kpxe"
LOADER_X64 = "snponly.efi"


@dataclass(frozen=True, slots=True)
class Lease:
    """A reservation: the nic, and the host name if it is the nic that the host is known by."""

    nic: Nic
    host: HostName | None


@dataclass(frozen=True, slots=True)
class Subnet:
    """A network that DHCP serves; its name is the tag of everything in it. ``address`` is the server's."""

    network: Network
    netmask: IPv4Address
    server: str
    address: str
    leases: tuple[Lease, ...]


def render_dnsmasq(networks: Iterable[Network], leases: Iterable[Lease], mode: Mode, engine: Engine) -> str:
    """A configuration file for dnsmasq(8) that serves every network with a server: DHCP in full, or only the boot
    answers (proxyDHCP) beside a server that gives the addresses. Nothing else is served."""
    by_network: dict[str, list[Lease]] = {}
    for lease in leases:
        by_network.setdefault(lease.nic.network.name, []).append(lease)
    subnets = [
        Subnet(
            network,
            network.subnet.netmask,
            network.server,
            _address(network),
            tuple(sorted(by_network.get(network.name, ()), key=lambda lease: lease.nic.mac)),
        )
        for network in sorted(networks, key=lambda network: network.name)
        if network.server
    ]
    template = {"full": "dhcp/dnsmasq.conf.j2", "proxy": "dhcp/dnsmasq-proxy.conf.j2"}[mode]
    return engine.render(template, subnets=tuple(subnets), bios=LOADER_BIOS, x64=LOADER_X64)


def _address(network: Network) -> str:
    """The server's address, out of its URL: the schema takes no name there."""
    return urlsplit(network.server or "").hostname or ""
