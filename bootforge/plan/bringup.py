"""How the installer brings the network up: its ``network`` commands and its boot arguments, from the same nics."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address

from bootforge.model import Nic
from bootforge.plan.commands import command_of_its_own
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.words import BootArg, KsCommand

Nics = tuple[Nic, ...]


def installer_nics(release: Release, nics: Nics, faults: list[Fault]) -> Nics:
    """The nics as the release's installer can make them, the one that it uses first.

    A bond or bridge that it cannot make is played by the port that boots, or else by its first one, with the address
    that the bond will have; the bootstrap makes the bond. VLANs that it cannot tag wait for the bootstrap."""
    found = {nic.name: nic for nic in nics if nic.kind != "bmc"}
    for nic in nics:
        if nic.kind in ("physical", "bmc") or nic.kind in release.stacks or nic.name not in found:
            continue
        top = found.pop(nic.name)
        if nic.kind == "vlan" and top.install:
            hint = "install over an untagged network: 'install: true' at another nic"
            what = f"{release.name}'s installer cannot tag frames for {nic.name}"
            faults.append(Fault(("nics", nic.name), "BF049", what, hint))
        elif nic.kind != "vlan":
            lead = found[_lead(found, top)]
            found[lead.name] = replace(
                lead,
                network=top.network,
                address=top.address,
                dhcp=top.dhcp,
                address6=top.address6,
                method6=top.method6,
                mtu=top.mtu,
                install=top.install,
                routed=top.routed,
            )
            found = {
                name: replace(one, parent=lead.name) if one.parent == top.name else one for name, one in found.items()
            }
    return tuple(sorted(found.values(), key=lambda nic: (not nic.install, not nic.boot, nic.name)))


def _lead(found: dict[str, Nic], top: Nic) -> str:
    """The port of a bond or bridge that boots, or that holds what boots, else the first."""

    def boots(name: str) -> bool:
        return name in found and (found[name].boot or any(map(boots, found[name].below)))

    return next((port for port in top.ports if boots(port)), top.ports[0])


def network_commands(host: ResolvedHost, nics: Nics) -> tuple[KsCommand, ...]:
    """One ``network`` command for each device, the installer's own first.

    A kickstart has one line for a device (pykickstart warns of a second), so a bond and the VLAN over it share one, and
    further VLANs of the same parent, with what is made of them, are the bootstrap's network step to make."""
    release = RELEASES[host.release]
    by_name = {nic.name: nic for nic in nics}
    ports = {port for nic in nics for port in nic.ports}
    install = [nic for nic in nics if nic.install]
    others = [nic for nic in nics if not nic.install and (nic.kind != "physical" or _says_something(nic))]
    order = {"physical": 0, "bond": 1, "vlan": 2, "bridge": 3}
    made: set[str] = {nic.name for nic in nics if nic.kind == "physical"}
    taken: set[str] = set()
    under = {name for nic in install for name in _names_below(nic, by_name)}
    lines = []
    for nic in (*install, *sorted(others, key=lambda nic: (order[nic.kind], nic.name))):
        device = _device(nic, by_name, release)
        of_another = nic.kind == "physical" and (nic.name in ports or nic.name in under)
        if device in taken or of_another or not (nic.install or made.issuperset(nic.below)):
            continue
        lines.append(_network(host, release, nic, by_name))
        taken.add(device)
        made.update([nic.name, *_names_below(nic, by_name)])
    return tuple(lines)


def _names_below(nic: Nic, by_name: dict[str, Nic]) -> list[str]:
    return [one for name in nic.below for one in (name, *_names_below(by_name[name], by_name))]


def _device(nic: Nic, by_name: dict[str, Nic], release: Release) -> str:
    """A nic by its MAC address, so that no kernel's naming matters; a VLAN by the name of what it tags. EL5 knows nics
    by name and writes HWADDR itself (anaconda, rhel5-branch: network.py)."""
    below = by_name[nic.parent] if nic.kind == "vlan" and nic.parent else nic
    if below is nic and nic.mac and not release.nic_by_name:
        return nic.mac.text
    return str(below.device or below.mac)


def _says_something(nic: Nic) -> bool:
    return bool(nic.address or nic.dhcp or nic.method6 != "none" or nic.mtu or nic.ethtool)


def _network(host: ResolvedHost, release: Release, nic: Nic, by_name: dict[str, Nic]) -> KsCommand:
    """The first line is the one that dracut activates (rhel-9: dracut/parse-kickstart)."""
    address = nic.address
    gateway = nic.network.gateway if nic.network and nic.routed and address else None
    gateway6 = nic.network.gateway6 if nic.network and nic.routed and nic.address6 else None
    tagged = nic.kind == "vlan"
    made = by_name[nic.parent] if tagged and nic.parent else nic
    ports = ",".join(str(by_name[port].device) for port in made.ports)
    return command_of_its_own(
        "network",
        device=_device(nic, by_name, release),
        bootproto="static" if address else "dhcp" if nic.dhcp else None,
        ip=str(address.ip) if address else None,
        netmask=str(address.netmask) if address else None,
        gateway=str(gateway) if gateway else None,
        noipv4=not address and not nic.dhcp,
        nameserver=_name_servers(nic, release),
        nodefroute=not nic.routed and release.network_flags,
        mtu=nic.mtu,
        ethtool=" ".join(f"{name} {value}" for name, value in nic.ethtool) or None,
        onboot="yes",
        activate=release.network_flags,
        ipv6=_ipv6(nic) if release.ipv6 != "none" else None,
        ipv6gateway=str(gateway6) if gateway6 and release.ipv6 == "gateway" else None,
        noipv6=nic.method6 == "none" or release.ipv6 == "none",
        bondslaves=ports if made.kind == "bond" else None,
        bondopts=_options(made) if made.kind == "bond" else None,
        bridgeslaves=ports if made.kind == "bridge" else None,
        bridgeopts=_options(made) if made.kind == "bridge" else None,
        vlanid=nic.vlan if tagged else None,
        interfacename=nic.device if tagged and "bridge" in release.stacks else None,
        hostname=host.name if nic.install else None,
    )


def _options(nic: Nic) -> str:
    return ",".join(f"{name}={value}" for name, value in nic.options)


def _ipv6(nic: Nic) -> str | None:
    return {"none": None, "static": str(nic.address6)}.get(nic.method6, nic.method6)


def _name_servers(nic: Nic, release: Release) -> str | None:
    """Only with a fixed address: DHCP tells them itself. EL5 reads IPv4 addresses alone."""
    if not (nic.network and (nic.address or nic.address6)):
        return None
    usable = (one for one in nic.network.dns if isinstance(one, IPv4Address) or release.ipv6 != "none")
    return ",".join(map(str, usable)) or None


def network_args(host: ResolvedHost, nics: Nics) -> list[BootArg]:
    """What the kernel command line says about the network.

    The nic that booted is found by BOOTIF, and the DHCP server that let it boot gives the same address again
    (dracut.cmdline(7)); old loaders want ksdevice as well. Bonds, VLANs and bridges, and whatever has a name, are
    spelt out; their members are named by MAC address."""
    release = RELEASES[host.release]
    boot = next((nic for nic in nics if nic.boot), None)
    install = next((nic for nic in nics if nic.install), None)
    if boot is None or boot.mac is None or install is None:
        return []
    bootif = BootArg("BOOTIF", "01-" + boot.mac.dashed)
    if not release.dracut:
        return [BootArg("ip", "dhcp"), BootArg("ksdevice", "bootif"), bootif]
    seconds = host.spec.install.network_timeout
    waits = [
        BootArg("rd.net.timeout.carrier", seconds),
        BootArg("rd.net.timeout.dhcp", seconds),
        BootArg("inst.waitfornet", seconds),
    ]
    if install is boot and (install.dhcp or install.address) and install.method6 in ("none", "auto", "static"):
        return [BootArg("ip", "dhcp"), bootif, *waits]
    by_name = {nic.name: nic for nic in nics}
    which = bootif if install is boot and not install.device else BootArg("rd.bootif", 0)
    return [*_stack(install, by_name), *_addresses(host, install), which, *waits]


def _stack(nic: Nic, by_name: dict[str, Nic]) -> list[BootArg]:
    """``ifname=``, ``bond=``, ``vlan=`` and ``bridge=`` of a nic and of all that it is made of, lowest first."""
    args = [arg for name in nic.below for arg in _stack(by_name[name], by_name)]
    ports = ",".join(str(by_name[port].device) for port in nic.ports)
    match nic.kind:
        case "bond":
            mtu = f":{nic.mtu}" if nic.mtu else ""
            args.append(BootArg("bond", f"{nic.device}:{ports}:{_options(nic)}{mtu}"))
        case "bridge":
            args.append(BootArg("bridge", f"{nic.device}:{ports}"))
        case "vlan":
            args.append(BootArg("vlan", f"{nic.device}:{by_name[nic.below[0]].device}"))
        case "physical" if nic.named:
            args.append(BootArg("ifname", f"{nic.device}:{nic.mac}"))
    return args


def _addresses(host: ResolvedHost, nic: Nic) -> list[BootArg]:
    """``ip=`` and ``nameserver=``; an installer over IPv4 needs no IPv6 before its second stage."""
    network, device = nic.network, nic.device or ""
    if nic.address and network:
        gateway = network.gateway if nic.routed else None
        words = [nic.address.ip, "", gateway or "", nic.address.netmask, host.name, device, "none"]
        fixed = True
    elif nic.address6 and network and not nic.dhcp:
        gateway6 = network.gateway6 if nic.routed else None
        words = [f"[{nic.address6.ip}]", "", f"[{gateway6}]" if gateway6 else ""]
        words += [nic.address6.network.prefixlen, host.name, device, "none"]
        fixed = True
    else:
        words, fixed = [device, "dhcp" if nic.dhcp else {"auto": "auto6"}.get(nic.method6, "dhcp6")], False
    mtu = [nic.mtu] if nic.mtu else []
    servers = network.dns if network and fixed else ()
    return [
        BootArg("ip", ":".join(map(str, [*words, *mtu]))),
        *([BootArg("bootdev", device)] if device else []),
        *(BootArg("nameserver", f"[{one}]" if one.version == 6 else str(one)) for one in servers),
    ]
