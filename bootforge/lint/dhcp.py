"""What DHCP servers let through: rules of our own over the configuration that is printed for them.

Measured with 'kea-dhcp4 -t' 2.2, 'dhcpd -t' 4.4.3 and 'dnsmasq --test' 2.90. All three pass an address that is in the
range of strangers, the gateway's or the broadcast address; a MAC address of five octets; a range that holds the
gateway; a router outside its subnet. dhcpd and dnsmasq pass a MAC address that stands twice, an address outside every
subnet, a boot file that is longer than its field, and a range that ends before it begins; dhcpd one address for two
machines, as Kea does where a machine has several MAC addresses; dnsmasq an address that is none.

Templates of a site can write any of it. The planner (BF041, BF050, BF168) keeps the site's own values from it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv4Address, IPv4Network
from typing import Any

from bootforge.errors import Problem
from bootforge.generation import Generation
from bootforge.model import Origin
from bootforge.render.dhcp import leases_of

FILE_FIELD = 127
"""The octets of a boot file: the field of RFC 2131 has 128, and the last one ends the name."""
_MAC = re.compile(r"[0-9a-fA-F]{2}(?:[:-][0-9a-fA-F]{2}){5}")
_LOOKS_LIKE_ADDRESS = re.compile(r"[0-9.]+")


@dataclass(slots=True)
class Reservation:
    """MAC addresses and the address that they are to get, as they are written; ``machine``: what tells two apart."""

    at: str
    machine: str
    macs: list[str] = field(default_factory=list)
    address: str = ""


@dataclass(slots=True)
class Served:
    """A subnet as it is written: ``ranges`` are pairs of addresses."""

    at: str
    subnet: IPv4Network | None
    ranges: list[tuple[str, str]] = field(default_factory=list)
    routers: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Said:
    """A configuration: its subnets, reservations, and boot files with the place of each."""

    subnets: list[Served] = field(default_factory=list)
    reservations: list[Reservation] = field(default_factory=list)
    files: list[tuple[str, str]] = field(default_factory=list)
    servers: list[tuple[str, str]] = field(default_factory=list)


def lint_dhcp(generation: Generation, severity: str = "note") -> Iterator[Problem]:
    """Faults of what a site's own templates print; and, as notes, nics that no DHCP server of ours could answer."""
    for kind, template in (("dnsmasq", "dnsmasq.conf.j2"), ("isc", "dhcpd.conf.j2")):
        if f"templates/dhcp/{template}" in generation.site.files:
            yield from text_problems(generation.dnsmasq("full") if kind == "dnsmasq" else generation.isc(), kind)
    for name, plan in generation.plans.items():
        for lease in () if plan.retired else leases_of(plan):
            network = generation.site.networks[lease.network]
            if network.server and lease.address is None and network.range is None:
                nic = next(nic.name for nic in plan.nics if nic.mac in (lease.mac, *lease.others))
                what = f"nic {nic} gets its address by DHCP, and {lease.network} has no 'range:' to give one from"
                hint = "write an 'address:', or a 'range:' at the network; another DHCP server may give it one"
                found = generation.origin_problem(name, ("nics", nic, "network"), "BF169", what, hint)
                yield Problem(found.origin, "BF169", what, hint, name, severity)


def text_problems(text: str, kind: str) -> Iterator[Problem]:
    """The complaints about a configuration for dnsmasq, kea or isc as problems, with the line that each is about."""
    file = {"dnsmasq": "templates/dhcp/dnsmasq.conf.j2", "isc": "templates/dhcp/dhcpd.conf.j2", "kea": "kea"}[kind]
    lines = text.splitlines()
    for complaint in complaints(text, kind):
        place = re.match(r"line (\d+):", complaint)
        shown = f" ({lines[int(place[1]) - 1].strip()[:120]})" if place else ""
        yield Problem(Origin(file), "BF170", f"printed for {kind}, {complaint}{shown}", "correct the template")


def complaints(text: str, kind: str) -> Iterator[str]:
    """Everything that the rules say about a configuration, as ``PLACE: ...``."""
    said = _READERS[kind](text)
    for served in said.subnets:
        yield from _about_subnet(served)
    for at, file in said.files:
        if len(file.encode()) > FILE_FIELD:
            yield f"{at}: a boot file of {len(file.encode())} octets; {FILE_FIELD} are all that firmware reads"
    for at, server in said.servers:
        if _address(server) is None:
            yield f"{at}: {server} is not an IPv4 address"
    yield from _about_reservations(said)


def _about_subnet(served: Served) -> Iterator[str]:
    if served.subnet is None:
        yield f"{served.at}: not a subnet"
        return
    inside = served.subnet.__contains__
    for router in served.routers:
        address = _address(router)
        if address is None or not inside(address):
            yield f"{served.at}: router {router} is not in {served.subnet}"
    for one, other in served.ranges:
        first, last = _address(one), _address(other)
        if first is None or last is None or not inside(first) or not inside(last):
            yield f"{served.at}: range {one} - {other} is not in {served.subnet}"
        elif last < first:
            yield f"{served.at}: range {one} - {other} ends before it begins"
        else:
            for router in served.routers:
                if (address := _address(router)) and first <= address <= last:
                    yield f"{served.at}: range {one} - {other} holds the router {router}"


def _about_reservations(said: Said) -> Iterator[str]:
    addresses: dict[str, Reservation] = {}
    macs: dict[tuple[str, str], Reservation] = {}
    ranges = [(_address(a), _address(b)) for served in said.subnets for a, b in served.ranges]
    for one in said.reservations:
        address = _address(one.address) if one.address else None
        subnet = next((s for s in said.subnets if address and s.subnet and address in s.subnet), None)
        for mac in one.macs:
            if not _MAC.fullmatch(mac):
                yield f"{one.at}: {mac} is not a MAC address of six octets"
            first = macs.setdefault((subnet.at if subnet else "", mac.lower()), one)
            if first is not one:
                yield f"{one.at}: {mac} has a reservation already, at {first.at}"
        if not one.address:
            continue
        if address is None:
            yield f"{one.at}: {one.address} is not an IPv4 address"
            continue
        if subnet is None:
            yield f"{one.at}: {address} is in no subnet that is served"
        elif subnet.subnet and address in (subnet.subnet.network_address, subnet.subnet.broadcast_address):
            yield f"{one.at}: {address} is the network's own, or its broadcast address"
        elif one.address in subnet.routers:
            yield f"{one.at}: {address} is the router's"
        if any(first and last and first <= address <= last for first, last in ranges):
            yield f"{one.at}: {address} is in a range that strangers get addresses of"
        other = addresses.setdefault(one.address, one)
        if other.machine != one.machine:
            yield f"{one.at}: {address} is given to another machine already, at {other.at}"


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except AddressValueError:
        return None


def _network(first: str, mask: str) -> IPv4Network | None:
    try:
        return IPv4Network(f"{first}/{mask}", strict=False)
    except ValueError:
        return None


def _dnsmasq(text: str) -> Said:
    said, tagged = Said(), {}
    for number, line in enumerate(text.splitlines(), 1):
        key, _, value = line.strip().partition("=")
        at, words = f"line {number}", value.split(",")
        tags = [word[4:] for word in words if word.startswith(("set:", "tag:"))]
        rest = [word for word in words if not word.startswith(("set:", "tag:"))]
        if key == "dhcp-range" and len(rest) > 2:
            fixed = rest[1] in ("static", "proxy")
            served = Served(at, _network(rest[0], rest[2]), [] if fixed else [(rest[0], rest[1])])
            said.subnets.append(served)
            tagged.update(dict.fromkeys(tags, served))
        elif key == "dhcp-option" and rest[0] == "option:router" and tags and tags[0] in tagged:
            tagged[tags[0]].routers += rest[1:]
        elif key == "dhcp-boot":
            said.files.append((at, rest[0]))
            said.servers += [(at, word) for word in rest[2:3] if word]
        elif key == "pxe-service":
            said.files += [(at, word) for word in rest[2:3]]
            said.servers += [(at, word) for word in rest[3:4]]
        elif key == "dhcp-host":
            addresses = [word for word in rest if _LOOKS_LIKE_ADDRESS.fullmatch(word)]
            said.reservations.append(
                Reservation(at, at, [word for word in rest if ":" in word], addresses[0] if addresses else "")
            )
    return said


_STATEMENT = re.compile(
    r"\b(subnet|range|option routers|next-server|filename|host|hardware ethernet|fixed-address)"
    r"\s+([^;{]*[^;{\s])\s*[;{]"
)


def _isc(text: str) -> Said:
    said = Said()
    for number, line in enumerate(text.splitlines(), 1):
        at = f"line {number}"
        for match in _STATEMENT.finditer(line.partition("#")[0]):
            key, words = match[1], [word.strip('"') for word in re.split(r"[\s,]+", match[2])]
            if key == "subnet" and len(words) == 3:
                said.subnets.append(Served(at, _network(words[0], words[2])))
            elif key == "range" and said.subnets:
                said.subnets[-1].ranges.append((words[0], words[-1]))
            elif key == "option routers" and said.subnets:
                said.subnets[-1].routers += words
            elif key == "next-server":
                said.servers.append((at, words[0]))
            elif key == "filename":
                said.files.append((at, words[0]))
            elif key == "host":
                # Ours are called after the network and the first MAC address; further ones of a machine have a number.
                said.reservations.append(Reservation(at, "_".join(words[0].split("_")[:2])))
            elif key == "hardware ethernet" and said.reservations:
                said.reservations[-1].macs.append(words[0])
            elif key == "fixed-address" and said.reservations:
                said.reservations[-1].address = words[0]
    return said


def _kea(text: str) -> Said:
    said, loaded = Said(), json.loads(text)["Dhcp4"]
    said.files += _kea_files(loaded["client-classes"], "client-classes")
    for number, subnet in enumerate(loaded["subnet4"]):
        at = f"subnet4[{number}]"
        pools = [pool["pool"].split(" - ") for pool in subnet["pools"]]
        routers = [option["data"] for option in subnet["option-data"] if option.get("name") == "routers"]
        network = _network(*subnet["subnet"].split("/"))
        said.subnets.append(Served(at, network, [(pool[0], pool[-1]) for pool in pools], routers))
        said.servers.append((at, subnet["next-server"]))
        for index, one in enumerate(subnet["reservations"]):
            place = f"{at}.reservations[{index}]"
            machine = one.get("user-context", {}).get("machine", place)
            said.reservations.append(Reservation(place, machine, [one["hw-address"]], one.get("ip-address", "")))
    return said


def _kea_files(classes: Iterable[Mapping[str, Any]], at: str) -> Iterator[tuple[str, str]]:
    for one in classes:
        if "boot-file-name" in one:
            yield f"{at} {one['name']}", one["boot-file-name"]


_READERS: Mapping[str, Callable[[str], Said]] = {"dnsmasq": _dnsmasq, "isc": _isc, "kea": _kea}
