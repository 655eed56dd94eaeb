"""ifcfg files: the network of EL5 to EL8. NetworkManager reads them from EL7 on (nm-settings-ifcfg-rh(5)), before it
the network scripts of initscripts (branches rhel5-branch and rhel6-branch: sysconfig.txt, ifup, ifup-eth)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, ip_network

from bootforge.model import Nic
from bootforge.releases import Release

HEADER = "# Written by Bootforge; changes are lost."
"""The first line of every profile; the library knows its own by it."""

DIRECTORY = "/etc/sysconfig/network-scripts"

_BRIDGE = {"stp": "STP", "forward-delay": "DELAY", "priority": "PRIO", "ageing-time": "AGEING"}
_CENTISECONDS = ("hello-time", "max-age")
_KINDS = {"physical": "Ethernet", "bond": "Bond", "vlan": "Vlan", "bridge": "Bridge"}


def ifcfg(nic: Nic, by_name: dict[str, Nic], above: Nic | None, uuid: str, release: Release) -> str:
    """The text of ``ifcfg-NAME``. ``above``: the bond or bridge that the nic is a port of. Values are of alphabets that
    a shell takes literally; only what has blanks is quoted."""
    pairs: list[tuple[str, object]] = []
    if nic.device:
        pairs.append(("DEVICE", nic.device))
    if release.network_manager:
        pairs += [("NAME", label(nic)), ("UUID", uuid)]
    else:
        pairs.append(("NM_CONTROLLED", "no"))
    pairs.append(("TYPE", _KINDS[nic.kind]))
    if nic.kind == "physical":
        pairs.append(("HWADDR", nic.mac))
    pairs.append(("ONBOOT", "yes"))
    pairs += _made_of(nic, by_name, release)
    if nic.mtu:
        pairs.append(("MTU", nic.mtu))
    if nic.ethtool:
        pairs.append(("ETHTOOL_OPTS", _ethtool(nic, release)))
    if above is None:
        pairs += [*_ipv4(nic), *_ipv6(nic, release), *_name_servers(nic)]
    else:
        master = label(above)
        pairs += [("MASTER", master), ("SLAVE", "yes")] if above.kind == "bond" else [("BRIDGE", master)]
        pairs.append(("BOOTPROTO", "none"))
    return f"{HEADER}\n" + "".join(f"{key}={value}\n" for key, value in pairs)


def routes(nic: Nic, version: int) -> str:
    """The text of ``route-NAME`` or ``route6-NAME``: what ip(8) takes after ``route add``; '' when there are none."""
    lines = []
    for route in nic.routes:
        if ip_network(route.to).version == version:
            metric = f" metric {route.metric}" if route.metric is not None else ""
            lines.append(f"{route.to} via {route.via}{metric}\n")
    return f"{HEADER}\n{''.join(lines)}" if lines else ""


def label(nic: Nic) -> str:
    """What the profile of a nic is called: as the installer calls it, where the name of the device is known."""
    return nic.device or nic.name


def option_pairs(nic: Nic, by_name: dict[str, Nic]) -> list[tuple[str, str]]:
    """The options of a bond, the mode first, because others depend on it. A port is named by its device. A bond that is
    watched by ARP is not watched by MII as well (bonding.rst)."""
    options = dict(nic.options)
    if options.get("arp_interval", "0") != "0":
        options.pop("miimon", None)
    for key in ("primary", "active_slave"):
        if options.get(key) in by_name:
            options[key] = label(by_name[options[key]])
    return sorted(options.items(), key=lambda pair: (pair[0] != "mode", pair[0] != "miimon", pair[0]))


def is_on(value: str) -> bool:
    """Whether an option that is on or off is on."""
    return value in ("yes", "on", "true", "1")


def _made_of(nic: Nic, by_name: dict[str, Nic], release: Release) -> Iterator[tuple[str, object]]:
    match nic.kind:
        case "bond":
            if release.network_manager:
                yield "BONDING_MASTER", "yes"
            yield "BONDING_OPTS", _quoted(f"{key}={value}" for key, value in option_pairs(nic, by_name))
        case "bridge":
            yield from _bridge(dict(nic.options), release)
        case "vlan":
            yield "VLAN", "yes"
            yield "PHYSDEV", label(by_name[nic.parent or ""])
            yield ("VLAN_ID" if release.network_manager else "VID"), nic.vlan
            yield "REORDER_HDR", "yes"
            if not release.network_manager and (nic.device or "").startswith("vlan"):
                yield "VLAN_NAME_TYPE", "VLAN_PLUS_VID_NO_PAD"  # vconfig of EL5 names it so


def _ethtool(nic: Nic, release: Release) -> str:
    """NetworkManager takes a speed with a duplex mode only."""
    settings = dict(nic.ethtool)
    if release.network_manager and "speed" in settings:
        settings.setdefault("duplex", "full")
    return _quoted(f"{name} {value}" for name, value in settings.items())


def _bridge(options: dict[str, str], release: Release) -> Iterator[tuple[str, object]]:
    """Old kernels hold a port back for the forward delay even where there is no STP; so there is no delay then."""
    options["stp"] = "yes" if is_on(options.get("stp", "no")) else "no"
    if not release.network_manager and options["stp"] == "no":
        options.setdefault("forward-delay", "0")
    for name, key in _BRIDGE.items():
        if name in options and (name in ("stp", "forward-delay") or not release.network_manager):
            yield key, options.pop(name)
    more = []
    for name, value in sorted(options.items()):
        if name == "multicast-snooping":
            value = "1" if is_on(value) else "0"
        elif name in _CENTISECONDS and not release.network_manager and value.isdecimal():
            value = f"{value}00"  # the scripts write it to /sys, where it is hundredths of a second
        more.append(f"{name.replace('-', '_')}={value}")
    if more:
        yield "BRIDGING_OPTS", _quoted(more)


def _ipv4(nic: Nic) -> Iterator[tuple[str, object]]:
    yield "BOOTPROTO", "dhcp" if nic.dhcp else "none"
    if nic.address:
        yield "IPADDR", nic.address.ip
        yield "NETMASK", nic.address.netmask
        if nic.routed and nic.network and nic.network.gateway:
            yield "GATEWAY", nic.network.gateway
    if nic.dhcp or nic.address:
        yield "DEFROUTE", "yes" if nic.routed else "no"


def _ipv6(nic: Nic, release: Release) -> Iterator[tuple[str, object]]:
    """The scripts of EL5 and EL6 want NETWORKING_IPV6 as well, which may stand here (ifup-ipv6)."""
    if nic.method6 == "none":
        yield "IPV6INIT", "no"
        return
    yield "IPV6INIT", "yes"
    if not release.network_manager:
        yield "NETWORKING_IPV6", "yes"
    yield "IPV6_AUTOCONF", "yes" if nic.method6 == "auto" else "no"
    if nic.method6 == "dhcp":
        yield "DHCPV6C", "yes"
    if nic.address6:
        yield "IPV6ADDR", nic.address6
        if nic.routed and nic.network and nic.network.gateway6:
            yield "IPV6_DEFAULTGW", nic.network.gateway6
    yield "IPV6_DEFROUTE", "yes" if nic.routed else "no"


def _name_servers(nic: Nic) -> Iterator[tuple[str, object]]:
    """Only with a fixed address: DHCP tells them itself."""
    if nic.network and (nic.address or nic.address6):
        servers = [one for one in nic.network.dns if isinstance(one, IPv4Address) or nic.method6 != "none"]
        yield from ((f"DNS{number}", one) for number, one in enumerate(servers, 1))


def _quoted(words: Iterator[str] | list[str]) -> str:
    return f'"{" ".join(words)}"'
