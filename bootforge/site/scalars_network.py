"""Scalars of networks: MAC and IP addresses, subnets, VLANs, MTUs, portals and URLs."""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, NamedTuple, TypeVar

from bootforge.addr import Mac, parse_mac
from bootforge.errors import did_you_mean
from bootforge.model_storage import Portal
from bootforge.site.kinds import HEX
from bootforge.site.scalars import COUNT, matching, scalar, with_facts

N = TypeVar("N", IPv4Network, IPv6Network, IPv4Network | IPv6Network)

_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~:@!&()*+,=%/-]*)?")
_TREE = re.compile(r"media:[a-z0-9][a-z0-9._-]*(/[A-Za-z0-9._~:@!&()*+,=%-]+)*/?")
_SERVER = re.compile(r"http://[0-9.]+(:[1-9][0-9]{0,4})?")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")
_MAC_PREFIX = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){2}")
_OPTION = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VALUE = re.compile(r"[A-Za-z0-9._:+-]{1,64}")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_MAC = r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|[0-9a-fA-F]{12}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
_RANGE = re.compile(r"([0-9.]+) ?- ?([0-9.]+)")
_MIRROR = re.compile(_URL.pattern + r"(\?[A-Za-z0-9._~:@!&=+,%/-]*)?")
_ONE_INTERFACE = ("the name of an interface", "write it as in xenbr0")


_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)*")
_RESOLVER = re.compile(r"([a-z0-9-]+)(?::([0-9]{1,2}))?")
_RESOLVER_OPTIONS = {"ndots": True, "timeout": True, "attempts": True} | dict.fromkeys(
    ("debug", "rotate", "no-check-names", "inet6", "edns0", "single-request", "single-request-reopen", "no-tld-query")
    + ("use-vc", "no-reload", "trust-ad", "no-aaaa"),
    False,
)
"""The options of resolv.conf(5), and whether they take a number."""


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a URL is of the form, and its port, the pattern's first group, exists."""
    match = pattern.fullmatch(text)
    return match is not None and int((match[1] or ":0")[1:]) <= 65535


def parse_url(text: str) -> str:
    if not _fits(_URL, text):
        raise ValueError(f"{text!r} is not a URL; write http://HOST/PATH or https://, without query, user or blanks")
    return text.rstrip("/")


def parse_tree(text: str) -> str:
    """A tree: one that the server gives out itself (``media:NAME``, or a directory in it), or a URL."""
    if not text.startswith("media:"):
        return parse_url(text)
    if not _TREE.fullmatch(text) or ".." in text.split("/"):
        raise ValueError(
            f"{text!r} is no media; write media:NAME, as 'bootforge media list' has it, or media:NAME/PATH"
        )
    return text.rstrip("/")


def parse_server(text: str) -> str:
    """The base URL of this server: by its address, which is what firmware needs; without a path, because paths are
    ours; without TLS, which iPXE's usual BIOS builds do not have."""
    if not _fits(_SERVER, text.rstrip("/")):
        raise ValueError(f"{text!r} is not a server; write http://ADDRESS or http://ADDRESS:PORT")
    _address(text.removeprefix("http://").partition(":")[0].rstrip("/"))
    return text.rstrip("/")


def _mac(text: str) -> Mac:
    if ":" in text and "-" in text:
        raise ValueError(f"{text!r} is not a MAC address; write six octets in hex, as in 52:54:00:12:34:56")
    return parse_mac(text)


def parse_domain(text: str) -> str:
    """A name in the DNS or in /etc/hosts, of one label or more."""
    if not _DOMAIN.fullmatch(text) or len(text) > 253 or text.rpartition(".")[2].isdigit():
        raise ValueError(f"{text!r} is not a name; write it in lower case, as in db01 or den.example.com")
    return text


def parse_resolver_option(text: str) -> str:
    match = _RESOLVER.fullmatch(text)
    takes = _RESOLVER_OPTIONS.get(match[1]) if match else None
    if match is None or takes is None:
        hint = did_you_mean(match[1], _RESOLVER_OPTIONS) if match else ""
        raise ValueError(f"no option {text!r} of resolv.conf(5); {hint or 'write it as in timeout:2 or rotate'}")
    if takes is not bool(match[2]):
        raise ValueError(f"{text!r} {'needs a' if takes else 'takes no'} number; write {match[1]}{':2' * takes}")
    return text


class AddressRange(NamedTuple):
    """The first and the last address of a range."""

    first: IPv4Address
    last: IPv4Address


def parse_range(text: str) -> AddressRange:
    match = _RANGE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a range; write it as in 10.2.0.100-10.2.0.199")
    first, last = _address(match[1]), _address(match[2])
    if last < first:
        raise ValueError(f"{text!r} ends before it begins; write the lower address first")
    return AddressRange(first, last)


def parse_portal(text: str) -> Portal:
    address, colon, port = text.partition(":")
    if colon and not (COUNT.fullmatch(port) and int(port) <= 65535):
        raise ValueError(f"{text!r} is not a portal; write ADDRESS or ADDRESS:PORT, as in 10.9.0.10:3260")
    return Portal(_address(address), int(port)) if colon else Portal(_address(address))


def parse_mirror(text: str) -> str:
    """A list of mirrors: a URL that may have a query."""
    if not _fits(_MIRROR, text):
        raise ValueError(f"{text!r} is not a URL; write http://HOST/PATH?QUERY or https://, without user or blanks")
    return text


def _in_its_one_form(text: str, read: Callable[..., N], what: str, example: str) -> N:
    """A network without bits of a host, and written as it is printed."""
    try:
        network = read(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not {what}; write it as in {example}") from None
    if str(network) != text:
        raise ValueError(f"{text!r} is not how a {what.split()[-1]} is written; write {network}")
    return network


def _subnet(text: str) -> IPv4Network:
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length; write it as in 10.2.0.0/20")
    return _in_its_one_form(text, IPv4Network, "an IPv4 subnet", "10.2.0.0/20")


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        hint = "write four numbers from 0 to 255, without leading zeros and without a prefix length"
        raise ValueError(f"{text!r} is not an IPv4 address; {hint}") from None


def _subnet6(text: str) -> IPv6Network:
    return _in_its_one_form(text, IPv6Network, "an IPv6 subnet", "2001:db8:2::/64")


def _address6(text: str) -> IPv6Address:
    try:
        address = IPv6Address(text)
    except ValueError:
        hint = "write it as in 2001:db8:2::21, without a prefix length"
        raise ValueError(f"{text!r} is not an IPv6 address; {hint}") from None
    if address.scope_id or address.is_multicast or address.is_unspecified:
        raise ValueError(f"{text!r} cannot be a nic's address; write a unicast address without a zone")
    return address


def parse_any_address(text: str) -> IPv4Address | IPv6Address:
    return _address6(text) if ":" in text else _address(text)


def parse_prefix(text: str) -> str:
    """A destination of either family."""
    return str(_in_its_one_form(text, ip_network, "a destination", "10.50.0.0/16"))


class Addressing(NamedTuple):
    """How a nic gets its address of one family: ``static`` with the address, ``dhcp``, ``auto`` (SLAAC), ``none``."""

    method: str
    address: IPv4Address | IPv6Address | None = None

    def __str__(self) -> str:
        return str(self.address or self.method)


def parse_addressing(text: str) -> Addressing:
    if text in ("dhcp", "none"):
        return Addressing(text)
    if not text[:1].isdigit():
        raise ValueError(f"{text!r} is not an IPv4 address; write one, or dhcp, or none")
    return Addressing("static", _address(text))


def parse_addressing6(text: str) -> Addressing:
    if text in ("dhcp", "auto", "none"):
        return Addressing(text)
    if ":" not in text:
        raise ValueError(f"{text!r} is not an IPv6 address; write one, or auto, or dhcp, or none")
    return Addressing("static", _address6(text))


def _number(what: str, least: int, most: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        if not COUNT.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not {what}; write a whole number from {least} to {most}")
        return int(text)

    return read


# fmt: off
Url = Annotated[str, *with_facts(parse_url, _URL.pattern)]
TreeUrl = Annotated[str, *with_facts(parse_tree, f"({_TREE.pattern})|({_URL.pattern})")]
Server = Annotated[str, *scalar(parse_server, _SERVER.pattern)]
Interface = Annotated[str, *scalar(matching(_INTERFACE, *_ONE_INTERFACE), _INTERFACE.pattern)]
MacText = Annotated[Mac, HEX, *scalar(_mac, _MAC)]
MacPrefix = Annotated[str, *scalar(matching(_MAC_PREFIX, "the prefix of a MAC address", "as in 00:16:3e"))]
Address = Annotated[IPv4Address, *scalar(_address, _IPV4)]
Address6 = Annotated[IPv6Address, *scalar(_address6)]
AnyAddress = Annotated[IPv4Address | IPv6Address, *scalar(parse_any_address)]
NicAddress = Annotated[Addressing, *scalar(parse_addressing, rf"{_IPV4}|dhcp|none")]
NicAddress6 = Annotated[Addressing, *scalar(parse_addressing6, r"[0-9a-fA-F:.]+|auto|dhcp|none")]
Prefix = Annotated[str, *scalar(parse_prefix)]
Subnet6 = Annotated[IPv6Network, *scalar(_subnet6)]
VlanId = Annotated[int, *scalar(_number("a VLAN", 1, 4094), COUNT.pattern)]
Mtu = Annotated[int, *scalar(_number("an MTU in bytes", 576, 65535), COUNT.pattern)]
OptionName = Annotated[str, *scalar(matching(_OPTION, "an option", "as in miimon"), _OPTION.pattern)]
OptionValue = Annotated[str, *scalar(matching(_VALUE, "a value", "use letters, digits and . _ : + -"))]
Subnet = Annotated[IPv4Network, *scalar(_subnet, rf"{_IPV4}/[0-9]{{1,2}}")]
Range = Annotated[AddressRange, *scalar(parse_range, rf"{_IPV4} ?- ?{_IPV4}")]
Domain = Annotated[str, *scalar(parse_domain, _DOMAIN.pattern)]
FactsDomain = Annotated[str, *with_facts(parse_domain, _DOMAIN.pattern)]
ResolverOption = Annotated[str, *scalar(parse_resolver_option)]
MirrorUrl = Annotated[str, *with_facts(parse_mirror)]
PortalText = Annotated[Portal, *scalar(parse_portal)]
# fmt: on
