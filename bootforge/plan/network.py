"""Nics: which network each is on, its addresses, the one that boots, and the one that the installer uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_network

from bootforge.errors import did_you_mean
from bootforge.model import Network, Nic, Route
from bootforge.plan.faults import Fault
from bootforge.plan.stack import DEFAULT_OPTIONS, all_below, check_stack, masters, parts_of, physical_below
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.site.schema_network import NetworkSpec, NicSpec

_KERNELS_OWN = re.compile(r"(eth|ib|wlan|usb)[0-9]+")


def plan_nics(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Nic, ...]:
    """The host's nics, the one that the installer uses first, the others by name; none when some are at fault."""
    specs = host.spec.nics
    found = check_stack(specs)
    if found:
        faults += found
        return ()
    before = len(faults)
    networks = _networks(site, host, faults)
    if len(faults) > before:
        return ()
    boot = _boot_nic(host, networks, faults)
    install = _install_nic(specs, networks, boot, faults) if boot else None
    routed = _routed_nic(specs, install, faults)
    mtus = _mtus(specs, networks, faults)
    devices = _devices(specs, networks, RELEASES[host.release], faults)
    nics, ports = [], masters(specs)
    for name, spec in specs.items():
        network = networks.get(name)
        has_ip = network is not None and name not in ports and spec.kind != "bmc"
        default = "dhcp" if has_ip and network and network.subnet else "none"
        method = spec.address.method if spec.address else default
        _check_nic(name, spec, network, method, faults)
        device, named = devices.get(name, (None, False))
        nics.append(
            Nic(
                name=name,
                kind=spec.kind,
                mac=spec.mac,
                device=device,
                named=named,
                network=network,
                address=_address(name, spec, network, faults),
                dhcp=method == "dhcp",
                address6=_address6(name, spec, network, faults),
                method6=spec.address6.method,  # type: ignore[arg-type]
                ports=tuple(sorted(spec.ports, key=lambda port: (port != boot, port))),
                parent=spec.parent,
                vlan=(spec.vlan or (network.vlan if network else None)) if spec.kind == "vlan" else None,
                options=tuple(sorted({**DEFAULT_OPTIONS.get(spec.kind, {}), **spec.options}.items())),
                mtu=mtus.get(name),
                ethtool=tuple(sorted(spec.ethtool.items())),
                routes=_routes(name, spec, network, faults),
                boot=name == boot,
                install=name == install,
                routed=name == routed,
                iscsi=spec.iscsi,
            )
        )
    return tuple(sorted(nics, key=lambda nic: (not nic.install, not nic.boot, nic.name)))


def plan_network(name: str, spec: NetworkSpec) -> Network:
    """A network of the site as nics and DHCP see it."""
    return Network(
        name=name,
        subnet=spec.subnet,
        gateway=spec.gateway,
        subnet6=spec.subnet6,
        gateway6=spec.gateway6,
        dns=spec.dns,
        ntp=spec.ntp,
        range=spec.range,
        server=spec.server,
        vlan=spec.vlan,
        mtu=spec.mtu,
        bridge=spec.bridge,
    )


def _networks(site: Site, host: ResolvedHost, faults: list[Fault]) -> dict[str, Network]:
    """The network of each nic: its own, else that of the bond or bridge that it is a port of."""
    specs = host.spec.nics
    above = masters(specs)
    used = {part for spec in specs.values() for part in parts_of(spec)}
    found: dict[str, Network] = {}
    for name, spec in specs.items():
        if spec.kind in ("physical", "bmc") and spec.mac is None:
            hint = "write 'mac:' at the host" if host.spec.virt == "metal" else "run 'bootforge lock', which draws one"
            faults.append(Fault(("nics", name, "mac"), "BF040", f"nic {name} has no MAC address", hint))
        holder = name
        while specs[holder].network is None and holder in above:
            holder = above[holder]
        network = specs[holder].network
        if network is not None and network in site.networks:
            found[name] = plan_network(network, site.networks[network])
        elif network is not None and holder == name:
            hint = did_you_mean(network, site.networks) or "declare it under 'networks:' in site.yaml"
            faults.append(Fault(("nics", name, "network"), "BF021", f"no network '{network}'", hint))
        elif network is None and spec.kind in ("physical", "bmc") and name not in used:
            hint = "write 'network: NAME', or make it a port or parent of another nic"
            faults.append(Fault(("nics", name), "BF040", f"nic {name} is on no network", hint))
        elif network is None and spec.kind == "vlan" and spec.vlan is None:
            faults.append(
                Fault(("nics", name), "BF049", f"vlan {name} has neither tag nor network", "write 'vlan: 20'")
            )
    _check_tags(specs, found, faults)
    return found


def _check_tags(specs: Mapping[str, NicSpec], networks: Mapping[str, Network], faults: list[Fault]) -> None:
    seen: dict[tuple[str | None, int], str] = {}
    for name, spec in sorted(specs.items()):
        if spec.kind != "vlan":
            continue
        own = networks[name].vlan if name in networks else None
        tag = spec.vlan or own
        if tag is None and name in networks:
            hint = "write 'vlan: 20' at the network or at the nic"
            what = f"vlan {name} has no tag, and network {spec.network} neither"
            faults.append(Fault(("nics", name, "network"), "BF049", what, hint))
        elif tag is None:
            continue
        elif own is not None and tag != own:
            what = f"vlan {name} has tag {tag}, but network {spec.network} has {own}"
            faults.append(Fault(("nics", name, "vlan"), "BF049", what, "drop 'vlan:', or correct the network"))
        elif (first := seen.setdefault((spec.parent, tag), name)) != name:
            what = f"{first} and {name} both tag {spec.parent} with {tag}"
            faults.append(Fault(("nics", name), "BF049", what, "remove one of them"))


def _devices(
    specs: Mapping[str, NicSpec], networks: Mapping[str, Network], release: Release, faults: list[Fault]
) -> dict[str, tuple[str, bool]]:
    """The kernel's name of each nic that must have one, and whether Bootforge gives it that name.

    A port or the parent of a VLAN is told to installers by name; where the site states none, dracut's ``ifname=``
    gives it the nic's (dracut.cmdline(7)), and older loaders cannot."""
    used = {part for spec in specs.values() for part in parts_of(spec)}
    devices: dict[str, tuple[str, bool]] = {}
    for name in sorted(specs, key=lambda name: specs[name].kind == "vlan"):
        spec = specs[name]
        path = ("nics", name)
        if spec.device:
            devices[name] = spec.device, False
        elif spec.kind in ("bond", "bridge"):
            devices[name] = name, False
        elif spec.kind == "vlan":
            parent, _ = devices.get(spec.parent or "", (spec.parent, False))
            tag = spec.vlan or networks[name].vlan
            devices[name] = f"{parent}.{tag}", False
        elif spec.kind == "physical" and release.nic_by_name:
            hint = "write the kernel's name, as in 'device: eth0'"
            faults.append(Fault(path, "BF040", f"{release.name}'s installer knows nics by name only", hint))
        elif spec.kind == "physical" and name in used:
            devices[name] = name, True
            hint = "write the kernel's name of it, as in 'device: eth0'"
            if not release.dracut:
                what = f"{release.name}'s installer cannot name {name}, of which another nic is made"
                faults.append(Fault(path, "BF040", what, hint))
            elif _KERNELS_OWN.fullmatch(name):
                what = f"{name} is a name that the kernel gives by itself, to any nic"
                faults.append(Fault(path, "BF040", what, f"call it otherwise, as in lan0, or write 'device: {name}'"))
    taken: dict[str, str] = {}
    for name, (device, _) in devices.items():
        if len(device) > 15:
            what = f"the kernel's name of {name} would be {device!r}: more than 15 characters"
            faults.append(Fault(("nics", name), "BF040", what, "choose a shorter one, or write 'device:'"))
        elif (first := taken.setdefault(device, name)) != name:
            what = f"{first} and {name} would both be {device}"
            faults.append(Fault(("nics", name), "BF040", what, "give each a 'device:' of its own"))
    return devices


def _mtus(specs: Mapping[str, NicSpec], networks: Mapping[str, Network], faults: list[Fault]) -> dict[str, int]:
    """The MTU of each nic: its own, its network's, and at least that of what is made of it."""
    own = {name: spec.mtu or (networks[name].mtu if name in networks else None) for name, spec in specs.items()}
    mtus = {name: mtu for name, mtu in own.items() if mtu}
    for name in specs:
        for part in all_below(specs, name) if name in mtus else ():
            if specs[part].mtu and (specs[part].mtu or 0) < mtus[name]:
                what = f"{part} has an MTU of {specs[part].mtu}, but {name}, which is made of it, has {mtus[name]}"
                faults.append(Fault(("nics", part, "mtu"), "BF049", what, "frames must fit all the way down"))
            mtus[part] = max(mtus.get(part, 0), mtus[name])
    return mtus


def _check_nic(name: str, spec: NicSpec, network: Network | None, method: str, faults: list[Fault]) -> None:
    if network is None and (method != "none" or spec.address6.method != "none"):
        key = "address" if spec.address and spec.address.method != "none" else "address6"
        faults.append(
            Fault(("nics", name, key), "BF041", f"nic {name} has an address and no network", "write 'network:'")
        )
    elif network and method == "dhcp" and network.subnet is None:
        what = f"{network.name} has no IPv4 subnet"
        faults.append(Fault(("nics", name, "address"), "BF041", what, "write 'address: none', or give it a subnet"))
    if spec.iscsi and method == "none" and spec.address6.method == "none":
        faults.append(
            Fault(("nics", name, "iscsi"), "BF041", f"iSCSI runs over {name}, which has no address", "give it one")
        )


def _address(name: str, spec: NicSpec, network: Network | None, faults: list[Fault]) -> IPv4Interface | None:
    address = spec.address.address if spec.address else None
    if not isinstance(address, IPv4Address) or network is None:
        return None
    path = ("nics", name, "address")
    subnet = network.subnet
    if subnet is None:
        faults.append(Fault(path, "BF041", f"{network.name} has no IPv4 subnet", "give it one, or remove the address"))
        return None
    if fault := _misplaced(address, subnet, network, network.gateway):
        faults.append(Fault(path, "BF041", *fault))
    elif subnet.prefixlen < 31 and address in (subnet.network_address, subnet.broadcast_address):
        what = "network" if address == subnet.network_address else "broadcast address"
        faults.append(Fault(path, "BF041", f"{address} is the {what} of {subnet}", "choose another"))
    elif network.range and network.range[0] <= address <= network.range[1]:
        first, last = network.range
        hint = "DHCP gives those to unknown machines; choose another or change the range"
        faults.append(Fault(path, "BF041", f"{address} is in the range {first}-{last} of {network.name}", hint))
    return IPv4Interface((int(address), subnet.prefixlen))


def _address6(name: str, spec: NicSpec, network: Network | None, faults: list[Fault]) -> IPv6Interface | None:
    path, address = ("nics", name, "address6"), spec.address6.address
    if spec.address6.method == "none" or network is None:
        return None
    subnet = network.subnet6
    if subnet is None:
        faults.append(Fault(path, "BF041", f"{network.name} has no IPv6 subnet", "write 'subnet6:' at the network"))
    elif spec.address6.method == "auto" and subnet.prefixlen != 64:
        hint = "SLAAC needs 64 (RFC 4862); write an address, or dhcp"
        faults.append(Fault(path, "BF041", f"{subnet} has a prefix of {subnet.prefixlen} bits", hint))
    elif isinstance(address, IPv6Address):
        if fault := _misplaced(address, subnet, network, network.gateway6):
            faults.append(Fault(path, "BF041", *fault))
        elif subnet.prefixlen < 127 and address == subnet.network_address:
            what = f"{address} is the subnet-router anycast address of {subnet}"
            faults.append(Fault(path, "BF041", what, "choose another (RFC 4291)"))
        return IPv6Interface((int(address), subnet.prefixlen))
    return None


def _misplaced(
    address: IPv4Address | IPv6Address, subnet: IPv4Network | IPv6Network, network: Network, gateway: object
) -> tuple[str, str] | None:
    if address not in subnet:
        return f"{address} is not in {subnet}", f"that is {network.name}'s subnet"
    if address == gateway:
        return f"{address} is the gateway of {network.name}", "choose another"
    return None


def _routes(name: str, spec: NicSpec, network: Network | None, faults: list[Fault]) -> tuple[Route, ...]:
    routes = []
    for to, route in sorted(spec.routes.items()):
        path, via = ("nics", name, "routes", to), route.via
        subnet = (network.subnet if isinstance(via, IPv4Address) else network.subnet6) if network else None
        if ip_network(to).version != via.version:
            faults.append(
                Fault((*path, "via"), "BF041", f"{via} is not of the family of {to}", "name a router of that family")
            )
        elif subnet is None or via not in subnet:
            hint = "a router is reached without one"
            faults.append(Fault((*path, "via"), "BF041", f"{via} is in no subnet of nic {name}", hint))
        elif ip_network(to).prefixlen == 0:
            hint = "write 'gateway:' at the network, and 'default_route: true' at the nic"
            faults.append(Fault(path, "BF041", f"{to} is the default route", hint))
        routes.append(Route(to, via, route.metric))
    return tuple(routes)


def _boot_nic(host: ResolvedHost, networks: Mapping[str, Network], faults: list[Fault]) -> str | None:
    """The nic that says ``boot: true``, else the only one whose network has a server; of a bond, its first port."""
    specs = host.spec.nics
    physical = [name for name, spec in sorted(specs.items()) if spec.kind == "physical"]
    chosen = [name for name in physical if specs[name].boot]
    if not chosen:
        served = [name for name in physical if name in networks and networks[name].server and specs[name].boot is None]
        above = masters(specs)
        chosen = [name for name in served if name not in above or _first_port(specs, served, above[name]) == name]
    if len(chosen) > 1:
        what = f"{len(chosen)} nics could boot: {', '.join(chosen)}"
        faults.append(Fault(("nics", chosen[1], "boot"), "BF042", what, "write 'boot: true' at one of them alone"))
    elif not specs:
        faults.append(Fault(("nics",), "BF042", "it has no nic", "write 'nics: {lan: {network: ..., mac: ...}}'"))
    elif not chosen:
        hint = "write 'server:' at the network that it boots from, or 'boot: true' at a nic of one that has it"
        faults.append(Fault(("nics",), "BF042", "no nic boots from the network", hint))
    elif chosen[0] not in networks:
        what = f"nic {chosen[0]} boots and is on no network"
        faults.append(Fault(("nics", chosen[0], "boot"), "BF042", what, "write 'network:' at it: the untagged one"))
    elif not networks[chosen[0]].server:
        what = f"nic {chosen[0]} boots from {networks[chosen[0]].name}, which has no server"
        hint = "write 'server: http://ADDRESS' at that network in site.yaml"
        faults.append(Fault(("nics", chosen[0], "boot"), "BF042", what, hint))
    return chosen[0] if len(chosen) == 1 and chosen[0] in networks else None


def _first_port(specs: Mapping[str, NicSpec], served: list[str], name: str) -> str:
    """The first physical nic of the topmost bond or bridge, of those whose network has a server."""
    above = masters(specs)
    while name in above:
        name = above[name]
    return next(port for port in physical_below(specs, name) if port in served)


def _install_nic(
    specs: Mapping[str, NicSpec], networks: Mapping[str, Network], boot: str, faults: list[Fault]
) -> str | None:
    """The nic that says ``install: true``, else the booting one or the bond or bridge that it is a port of."""
    said = sorted(name for name, spec in specs.items() if spec.install)
    if len(said) > 1:
        what = f"{len(said)} nics say 'install: true': {', '.join(said)}"
        faults.append(Fault(("nics", said[1], "install"), "BF042", what, "the installer uses one; keep one"))
        return None
    above = masters(specs)
    top = boot
    while top in above:
        top = above[top]
    name = said[0] if said else top
    spec = specs[name]
    path = ("nics", name, "install") if said else ("nics", name)
    method = spec.address.method if spec.address else "dhcp"
    if name in above:
        faults.append(
            Fault(path, "BF042", f"{name} is a port of {above[name]}", f"the installer can use {above[name]}")
        )
    elif name not in networks or (method == "none" and spec.address6.method == "none"):
        hint = "give it one, or write 'install: true' at the nic that the installer is to use"
        faults.append(Fault(path, "BF042", f"the installer would use {name}, which has no address", hint))
    elif boot not in physical_below(specs, name):
        hint = f"choose {top}, or what is made of it"
        faults.append(Fault(path, "BF042", f"{name} is not made of {boot}, which boots", hint))
    return name


def _routed_nic(specs: Mapping[str, NicSpec], install: str | None, faults: list[Fault]) -> str | None:
    said = sorted(name for name, spec in specs.items() if spec.default_route)
    if len(said) > 1:
        what = f"{len(said)} nics say 'default_route: true': {', '.join(said)}"
        faults.append(Fault(("nics", said[1], "default_route"), "BF042", what, "keep one"))
    if said:
        return said[0]
    return install if install and specs[install].default_route is not False else None
