"""DHCP configuration for the whole fleet."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address
from urllib.parse import urlsplit

from bootforge.errors import RenderError
from bootforge.model import HostName, Network, Nic
from bootforge.render.engine import Engine

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


def render_dnsmasq(networks: Iterable[Network], leases: Iterable[Lease], engine: Engine) -> str:
    """A configuration file for dnsmasq(8) that serves DHCP on every network with a server, and nothing else.
    Raises RenderError when a server's URL names a host instead of an address: firmware needs the address."""
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
    return engine.render("dhcp/dnsmasq.conf.j2", subnets=tuple(subnets), bios=LOADER_BIOS, x64=LOADER_X64)


def _address(network: Network) -> str:
    host = urlsplit(network.server or "").hostname or ""
    try:
        return str(IPv4Address(host))
    except ValueError:
        raise RenderError(
            f"network {network.name}: server {network.server} names {host!r}",
            "write the server's IPv4 address",
        ) from None
