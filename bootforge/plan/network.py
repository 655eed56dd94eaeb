"""Nics: which network each is on, its address, and the one that boots."""

from __future__ import annotations

from ipaddress import IPv4Interface

from bootforge.errors import did_you_mean
from bootforge.model import Network, Nic
from bootforge.plan.faults import Fault
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.site.schema import NetworkSpec, NicSpec


def plan_nics(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Nic, ...]:
    """The host's nics, the booting one first, the others by name."""
    networks = {}
    for name, spec in host.spec.nics.items():
        if network := _network(site, name, spec, faults):
            networks[name] = network
    boot = _boot_nic(host, networks, faults)
    nics = [
        Nic(name, spec.mac, networks[name], _address(name, spec, networks[name], faults), boot=name == boot)
        for name, spec in host.spec.nics.items()
        if spec.mac and name in networks
    ]
    return tuple(sorted(nics, key=lambda nic: (not nic.boot, nic.name)))


def plan_network(name: str, spec: NetworkSpec) -> Network:
    """A network of the site as nics and DHCP see it."""
    return Network(name, spec.subnet, spec.gateway, spec.dns, spec.range, spec.server, spec.bridge)


def _network(site: Site, name: str, spec: NicSpec, faults: list[Fault]) -> Network | None:
    if spec.mac is None:
        faults.append(Fault(("nics", name), "BF040", f"nic {name} has no MAC address", "write 'mac:' at the host"))
    known = site.networks.get(spec.network)
    if known is None:
        hint = did_you_mean(spec.network, site.networks)
        faults.append(Fault(("nics", name, "network"), "BF021", f"no network '{spec.network}'", hint))
        return None
    return plan_network(spec.network, known)


def _address(name: str, spec: NicSpec, network: Network, faults: list[Fault]) -> IPv4Interface | None:
    if spec.address is None:
        return None
    subnet, path = network.subnet, ("nics", name, "address")
    if spec.address not in subnet:
        faults.append(Fault(path, "BF041", f"{spec.address} is not in {subnet}", f"the subnet of {network.name}"))
    elif subnet.prefixlen < 31 and spec.address in (subnet.network_address, subnet.broadcast_address):
        faults.append(Fault(path, "BF041", f"{spec.address} is not a host's address in {subnet}"))
    elif spec.address == network.gateway:
        faults.append(Fault(path, "BF041", f"{spec.address} is the gateway of {network.name}"))
    elif network.range and network.range[0] <= spec.address <= network.range[1]:
        first, last = network.range
        hint = "DHCP gives those to unknown machines; choose another or change the range"
        faults.append(Fault(path, "BF041", f"{spec.address} is in the range {first}-{last} of {network.name}", hint))
    return IPv4Interface(f"{spec.address}/{subnet.prefixlen}")


def _boot_nic(host: ResolvedHost, networks: dict[str, Network], faults: list[Fault]) -> str | None:
    """The nic that says ``boot: true``, else the only one whose network has a server."""
    specs = host.spec.nics
    chosen = [name for name, spec in specs.items() if spec.boot]
    if not chosen:
        chosen = [name for name, network in networks.items() if network.server and specs[name].boot is None]
    if len(chosen) != 1:
        what = f"{len(chosen)} nics could boot: {', '.join(chosen)}" if chosen else "no nic boots from the network"
        faults.append(Fault(("nics",), "BF042", what, "write 'boot: true' at one, on a network with 'server:'"))
        return None
    if chosen[0] in networks and not networks[chosen[0]].server:
        network = networks[chosen[0]].name
        faults.append(Fault(("nics", chosen[0]), "BF042", f"it boots from {network}, which has no 'server:'"))
    return chosen[0]
