"""Nics: which network each is on, its address, and the one that boots."""

from __future__ import annotations

from ipaddress import IPv4Interface

from bootforge.errors import did_you_mean
from bootforge.model import Network, Nic
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.site.schema import NetworkSpec, NicSpec


def plan_nics(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Nic, ...]:
    """The host's nics, the booting one first, the others by name."""
    networks = {}
    for name, spec in host.spec.nics.items():
        if network := _network(site, host, name, spec, faults):
            networks[name] = network
    known = len(networks) == len(host.spec.nics)
    boot = _boot_nic(host, networks, faults) if known else None
    nics = [
        Nic(
            name, spec.mac, spec.device, networks[name], _address(name, spec, networks[name], faults), boot=name == boot
        )
        for name, spec in host.spec.nics.items()
        if spec.mac and name in networks
    ]
    return tuple(sorted(nics, key=lambda nic: (not nic.boot, nic.name)))


def plan_network(name: str, spec: NetworkSpec) -> Network:
    """A network of the site as nics and DHCP see it."""
    return Network(name, spec.subnet, spec.gateway, spec.dns, spec.range, spec.server, spec.bridge)


def _network(site: Site, host: ResolvedHost, name: str, spec: NicSpec, faults: list[Fault]) -> Network | None:
    if spec.device is None and RELEASES[host.release].nic_by_name:
        hint = "write the kernel's name, as in 'device: eth0'"
        faults.append(Fault(("nics", name), "BF040", f"{host.release}'s installer knows nics by name only", hint))
    if spec.mac is None:
        hint = "write 'mac:' at the host" if host.spec.virt == "metal" else "run 'bootforge lock', which draws one"
        faults.append(Fault(("nics", name, "mac"), "BF040", f"nic {name} has no MAC address", hint))
    known = site.networks.get(spec.network)
    if known is None:
        hint = did_you_mean(spec.network, site.networks) or "declare it under 'networks:' in site.yaml"
        faults.append(Fault(("nics", name, "network"), "BF021", f"no network '{spec.network}'", hint))
        return None
    return plan_network(spec.network, known)


def _address(name: str, spec: NicSpec, network: Network, faults: list[Fault]) -> IPv4Interface | None:
    if spec.address is None:
        return None
    subnet, path = network.subnet, ("nics", name, "address")
    if spec.address not in subnet:
        faults.append(Fault(path, "BF041", f"{spec.address} is not in {subnet}", f"that is {network.name}'s subnet"))
    elif subnet.prefixlen < 31 and spec.address in (subnet.network_address, subnet.broadcast_address):
        what = "network" if spec.address == subnet.network_address else "broadcast address"
        faults.append(Fault(path, "BF041", f"{spec.address} is the {what} of {subnet}", "choose another"))
    elif spec.address == network.gateway:
        faults.append(Fault(path, "BF041", f"{spec.address} is the gateway of {network.name}", "choose another"))
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
    chosen.sort()
    if len(chosen) > 1:
        what = f"{len(chosen)} nics could boot: {', '.join(chosen)}"
        faults.append(Fault(("nics", chosen[1], "boot"), "BF042", what, "write 'boot: true' at one of them alone"))
    elif not specs:
        faults.append(Fault(("nics",), "BF042", "it has no nic", "write 'nics: {lan: {network: ..., mac: ...}}'"))
    elif not chosen:
        hint = "write 'server:' at the network that it boots from, or 'boot: true' at a nic of one that has it"
        faults.append(Fault(("nics",), "BF042", "no nic boots from the network", hint))
    elif not networks[chosen[0]].server:
        what = f"nic {chosen[0]} boots from {networks[chosen[0]].name}, which has no server"
        hint = "write 'server: http://ADDRESS' at that network in site.yaml"
        faults.append(Fault(("nics", chosen[0], "boot"), "BF042", what, hint))
    return chosen[0] if len(chosen) == 1 else None
