"""What is wrong with the settings of site.yaml, though each value by itself is right: networks and secrets."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from pathlib import Path as FilePath
from urllib.parse import urlsplit

from bootforge.errors import Problem
from bootforge.model import Origin
from bootforge.site.layer import Merged
from bootforge.site.schema import SecretSpec
from bootforge.site.schema_network import NetworkSpec

_TOP = Origin("site.yaml")


def network_problems(networks: Mapping[str, NetworkSpec], origins: Merged) -> Iterator[Problem]:
    """Networks without a subnet, gateways outside it, subnets that have addresses in common."""
    for name, network in networks.items():
        yield from _about_network(name, network, origins)
    for key in ("subnet", "subnet6"):
        yield from _overlaps([(getattr(one, key), name) for name, one in networks.items()], key, origins)


def _about_network(name: str, network: NetworkSpec, origins: Merged) -> Iterator[Problem]:
    at = ("networks", name)
    if network.subnet is None and network.subnet6 is None:
        hint = "write 'subnet: 10.2.0.0/20', or 'subnet6:'"
        yield Problem(origins.origin(at, _TOP), "BF031", f"network {name} has no subnet", hint)
    ends = [("range", end) for end in network.range or ()]
    for key, value in (("gateway", network.gateway), *ends, ("gateway6", network.gateway6)):
        family = "subnet6" if key == "gateway6" else "subnet"
        subnet = network.subnet6 if key == "gateway6" else network.subnet
        origin = origins.origin((*at, key), _TOP)
        if value and subnet is None:
            yield Problem(origin, "BF031", f"network {name} has '{key}' and no '{family}'", f"write '{family}:'")
        elif value and subnet and value not in subnet:
            yield Problem(origin, "BF031", f"{value} is not in {subnet}", f"that is {name}'s subnet")
    yield from _about_range(name, network, origins)
    if network.server and network.subnet is None:
        origin = origins.origin((*at, "server"), _TOP)
        yield Problem(origin, "BF031", f"network {name} has a server and no 'subnet'", "machines boot over IPv4")


def _about_range(name: str, network: NetworkSpec, origins: Merged) -> Iterator[Problem]:
    """Addresses that unknown machines may not get: no DHCP server looks whether they are in its range."""
    if not (network.range and network.subnet and all(end in network.subnet for end in network.range)):
        return
    first, last = network.range
    taken: list[tuple[object, str]] = [
        (network.gateway, "the gateway"),
        *((one, "a name server") for one in network.dns),
    ]
    if network.subnet.prefixlen < 31:
        taken += [(network.subnet[0], "the network itself"), (network.subnet[-1], "the broadcast address")]
    if network.server:
        taken.append((IPv4Address(urlsplit(network.server).hostname or ""), "this server"))
    for address, what in taken:
        if isinstance(address, IPv4Address) and first <= address <= last:
            origin = origins.origin(("networks", name, "range"), _TOP)
            hint = "DHCP gives those to unknown machines; write a range without it"
            yield Problem(origin, "BF168", f"{address} of the range is {what}", hint)


def _overlaps(
    subnets: list[tuple[IPv4Network | IPv6Network | None, str]], key: str, origins: Merged
) -> Iterator[Problem]:
    """Subnets of one family that overlap, whatever site they are at: an address belongs to one network."""
    widest: tuple[int, str, str] | None = None
    for subnet, name in sorted((one for one in subnets if one[0]), key=lambda one: (int(one[0][0]), one[1])):  # type: ignore[index]
        assert subnet is not None
        first, last = int(subnet[0]), int(subnet[-1])
        if widest and first <= widest[0]:
            texts = {name: str(subnet), widest[1]: widest[2]}
            places = {one: origins.origin(("networks", one, key), _TOP) for one in texts}
            earlier, later = sorted(texts, key=places.__getitem__)
            message = f"{texts[later]} overlaps {texts[earlier]} of {earlier}, at {places[earlier]}"
            yield Problem(places[later], "BF028", message, "give each network addresses of its own")
        if not widest or last > widest[0]:
            widest = last, name, str(subnet)


def secret_problems(
    secrets: Mapping[str, SecretSpec], origins: Merged, root: FilePath, told: Container[tuple[str, int]]
) -> Iterator[Problem]:
    """Secrets with no source or several, and those that are kept in the site; not at lines that are ``told`` to be
    wrong already."""
    for name, secret in secrets.items():
        origin = origins.origin(("secrets", name, "file"), _TOP)
        if (origin.file, origin.line) in told:
            continue
        if sum(map(bool, (secret.file, secret.env, secret.command))) != 1:
            yield Problem(origin, "BF032", f"secret {name} needs one source", "give 'file', 'env' or 'command'")
        elif secret.file and not secret.file.startswith("/"):
            message = f"secret {name}: {secret.file!r} is not an absolute path"
            yield Problem(origin, "BF032", message, "keep it outside the site")
        elif secret.file and FilePath(secret.file).resolve().is_relative_to(root.resolve()):
            message = f"secret {name} is kept in the site"
            yield Problem(origin, "BF032", message, "keep it outside, in a file of mode 0600")
