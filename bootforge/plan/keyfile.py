"""Keyfiles of NetworkManager (nm-settings-keyfile(5)): the network of EL9 and later, and of Fedora."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_network

from bootforge.model import Nic
from bootforge.plan.ifcfg import HEADER, is_on, label, option_pairs

DIRECTORY = "/etc/NetworkManager/system-connections"

_TYPES = {"physical": "ethernet", "bond": "bond", "vlan": "vlan", "bridge": "bridge"}
_WAKE = {"p": 0x2, "u": 0x4, "m": 0x8, "b": 0x10, "a": 0x20, "g": 0x40, "d": 0}
"""Letters of ethtool's ``wol`` as NetworkManager's flags (nm-settings-nmcli(5), wake-on-lan)."""

Section = dict[str, object]


def keyfile(nic: Nic, by_name: dict[str, Nic], above: Nic | None, uuids: dict[str, str]) -> str:
    """The text of ``NAME.nmconnection``. A physical nic is known by its MAC address alone, so that it may be renamed;
    what is made of others names them by the UUIDs of their profiles. ``above``: the bond or bridge that it is a port
    of."""
    connection: Section = {"id": label(nic), "uuid": uuids[nic.name], "type": _TYPES[nic.kind]}
    if nic.kind != "physical":
        connection["interface-name"] = label(nic)
    connection["autoconnect"] = "true"
    if nic.kind in ("bond", "bridge"):
        connection["autoconnect-slaves"] = 1  # known to every version by this name
    if above:
        connection |= {"master": uuids[above.name], "slave-type": above.kind}
    sections: dict[str, Section] = {"connection": connection, "ethernet": _ethernet(nic)}
    if nic.kind == "bond":
        sections["bond"] = dict(option_pairs(nic, by_name))
    elif nic.kind == "vlan":
        sections["vlan"] = {"id": nic.vlan, "parent": uuids[nic.parent or ""]}
    elif nic.kind == "bridge":
        sections["bridge"] = dict(_bridge(nic))
    if above is None:
        sections |= {"ipv4": dict(_ipv4(nic)), "ipv6": dict(_ipv6(nic))}
    parts = (
        f"[{name}]\n" + "".join(f"{key}={value}\n" for key, value in section.items())
        for name, section in sections.items()
        if section
    )
    return f"{HEADER}\n" + "\n".join(parts)


def _ethernet(nic: Nic) -> Section:
    section: Section = {"mac-address": nic.mac} if nic.kind == "physical" else {}
    if nic.mtu:
        section["mtu"] = nic.mtu
    settings = dict(nic.ethtool)
    if "autoneg" in settings:
        section["auto-negotiate"] = "true" if is_on(settings["autoneg"]) else "false"
    if "speed" in settings:
        section |= {"speed": settings["speed"], "duplex": settings.get("duplex", "full")}
    if "wol" in settings:
        section["wake-on-lan"] = sum(_WAKE.get(letter, 0) for letter in set(settings["wol"]))
    return section


def _bridge(nic: Nic) -> Iterator[tuple[str, object]]:
    for name, value in nic.options:
        on_or_off = name in ("stp", "multicast-snooping")
        yield name, ("true" if is_on(value) else "false") if on_or_off else value


def _ipv4(nic: Nic) -> Iterator[tuple[str, object]]:
    yield "method", "manual" if nic.address else "auto" if nic.dhcp else "disabled"
    if nic.address:
        yield "address1", nic.address
        if nic.routed and nic.network and nic.network.gateway:
            yield "gateway", nic.network.gateway
    if nic.address or nic.dhcp:
        yield from _more(nic, 4)


def _ipv6(nic: Nic) -> Iterator[tuple[str, object]]:
    """Addresses are made of the MAC address (RFC 4291), as the installer makes them."""
    method = {"none": "disabled", "static": "manual"}.get(nic.method6, nic.method6)
    yield "method", method
    if method == "disabled":
        return
    yield "addr-gen-mode", "eui64"
    if nic.address6:
        yield "address1", nic.address6
        if nic.routed and nic.network and nic.network.gateway6:
            yield "gateway", nic.network.gateway6
    yield from _more(nic, 6)


def _more(nic: Nic, version: int) -> Iterator[tuple[str, object]]:
    """Name servers, where an address is fixed; whether the default route is here; routes."""
    if nic.network and (nic.address or nic.address6):
        servers = [one for one in nic.network.dns if one.version == version]
        if servers:
            yield "dns", "".join(f"{one};" for one in servers)
    if not nic.routed:
        yield "never-default", "true"
    number = 0
    for route in nic.routes:
        if ip_network(route.to).version == version:
            number += 1
            metric = f",{route.metric}" if route.metric is not None else ""
            yield f"route{number}", f"{route.to},{route.via}{metric}"
