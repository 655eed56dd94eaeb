"""The scalars of the site language: YAML text in, a decided value out, never a guess.

Each raises ValueError with a message for the operator. ``no`` is the text "no", ``012`` is not a number and
``52:54:00:12:34:56`` is a MAC address, because pydantic's own conversions are never used.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_network
from typing import Annotated, Any, NamedTuple
from zoneinfo import available_timezones

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from bootforge.addr import Mac, parse_mac
from bootforge.errors import did_you_mean
from bootforge.model import HostName, Portal
from bootforge.site.kinds import FACTS, HEX, SECRET, SET

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_LEVEL = re.compile(r"[1-4]")
_SIZE = re.compile(r"([1-9][0-9]{0,11}) ?(MiB|GiB|TiB)")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~:@!&()*+,=%/-]*)?")
_SERVER = re.compile(r"http://[0-9.]+(:[1-9][0-9]{0,4})?")
_WORD = re.compile(r"[^\s\"'\\`]+")
_BOOT_WORD = re.compile(r"[A-Za-z0-9._~:/?=@,+%&()\[\]*!-]+")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")
_PACKAGE = re.compile(r"@\^?[A-Za-z0-9][A-Za-z0-9_.+-]*|[A-Za-z0-9][A-Za-z0-9_.+-]*(\.[a-z0-9_]+)?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(\.UTF-8)?")
_MAC_PREFIX = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){2}")
_HOST_ID = re.compile(r"[0-9a-f]{16}")
_FACT = re.compile(r"[a-z][a-z0-9_]*")
_OPTION = re.compile(r"[a-z][a-z0-9_-]{0,31}")
_VALUE = re.compile(r"[A-Za-z0-9._:+-]{1,64}")
_PERCENT = re.compile(r"([1-9][0-9]?|100)%")
_LUN = re.compile(r"0|[1-9][0-9]{0,4}")
_WWID = re.compile(r"3(6[0-9a-f]{31}|[235][0-9a-f]{15})|2([0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32})")
_IQN = re.compile(r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[a-z0-9.:-]+)?")
_OTHER_ISCSI = re.compile(r"eui\.[0-9a-f]{16}|naa\.([0-9a-f]{16}|[0-9a-f]{32})")
_FABRIC = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,15}")
_INQUIRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._/-]*[A-Za-z0-9._/-])?")
_LVM = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,62}")
_LVM_OWN = re.compile(r"^snapshot|^pvmove|_([cmrtv]data|[crt]meta|[civ]orig|mlog|[mr]image|pmspare)")
_CHAP_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,222}")
_OCTET = r"(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])"
_IPV4 = rf"{_OCTET}(\.{_OCTET}){{3}}"
_MAC = r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}|[0-9a-fA-F]{12}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9._:+/-]+")
_DISK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+@#=-]*")
_WWN = re.compile(r"0x[0-9a-f]{16}([0-9a-f]{16})?|eui\.[0-9a-f]{16}([0-9a-f]{16})?")
_FS_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_RANGE = re.compile(r"([0-9.]+) ?- ?([0-9.]+)")
_MIRROR = re.compile(_URL.pattern + r"(\?[A-Za-z0-9._~:@!&=+,%/-]*)?")
_ABSOLUTE = re.compile(r"(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_PORT = re.compile(r"([1-9][0-9]{0,4})/(tcp|udp)")
_FIREWALL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")
_EXCLUDED = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9_.+*?-]*")
_CONSOLE = re.compile(r"((?:ttyS|ttyAMA)[0-9]{1,2})(?:,([1-9][0-9]{2,6})([noe][78])?)?|[hx]vc[0-9]")
_ONE_WORD = ("one word", "write it without blanks, quotes and backslashes")
_IPXE_WORD = ("one word of a netboot script", "use letters, digits and . _ ~ : / ? = @ , + % & ( ) [ ] * ! -")
_ONE_INTERFACE = ("the name of an interface", "write it as in xenbr0")
_ONE_WWN = ("a World Wide Name", "write it as in 0x5000c500a1b2c3d4, in lower case")
_ONE_LABEL = ("a label", "use at most 16 letters, digits and . _ -, a letter or digit first")
_ONE_PACKAGE = ("a package", "write NAME, '@GROUP' or '@^ENVIRONMENT', without blanks and patterns")


def clean(value: Any) -> str:
    """One line of text, at most 4,096 characters, without control characters and others that nobody sees."""
    if not isinstance(value, str):
        raise ValueError("must be one value")
    if len(value) > 4096:
        raise ValueError(f"is {len(value)} characters long; 4096 at most")
    if control := _CONTROL.search(value):
        raise ValueError(f"has the control character {control[0]!r}; write one line of text")
    if not value.isprintable():
        unseen = next(char for char in value if not char.isprintable())
        raise ValueError(f"has the character {unseen!a}, which cannot be seen; remove it, or write a blank")
    return value


def _foreign(text: str) -> str:
    """What may be why a text is refused: a character that looks like another one."""
    char = next((char for char in text if not char.isascii()), "")
    return f" (it has {unicodedata.name(char, 'an unknown character')}, {char!a})" if char else ""


def _scalar(read: Callable[[str], Any], pattern: str | None = None, *, facts: bool = False, **schema: Any) -> Any:
    """An annotation for a value that ``read`` makes from clean text; ``{fact}``, where the key takes one, waits for
    the merged tree."""

    @lru_cache(maxsize=65536)
    def read_once(text: str) -> Any:
        text = clean(text)
        try:
            return read(text)
        except ValueError as error:
            message, semicolon, hint = str(error).partition("; ")
            raise ValueError(f"{message}{_foreign(text)}{semicolon}{hint}") from None

    def validate(value: Any, info: ValidationInfo) -> Any:
        text = value if isinstance(value, str) else clean(value)
        waits = facts and "{" in text and bool(info.context and info.context.get("layer"))
        return clean(text) if waits else read_once(text)

    shown = {"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {}), **schema}
    return PlainValidator(validate), WithJsonSchema(shown)


def _facts(read: Callable[[str], Any], pattern: str | None = None) -> Any:
    """As ``_scalar``, for a key in which ``{fact}`` is replaced."""
    return FACTS, *_scalar(read, pattern, facts=True)


def _matching(pattern: re.Pattern[str], what: str, hint: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}; {hint}")
        return text

    return read


def parse_text(text: str) -> str:
    if not text or text != text.strip():
        what = "begins or ends with a blank" if text.strip() else "is empty"
        raise ValueError(f"{what}; write a text without blanks around it, or remove it")
    return text


parse_name = _matching(_NAME, "a name", "use lower-case letters, digits and dashes, a letter first")


def parse_count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number above zero; write decimal digits, no zero first")
    return int(text)


def parse_level(text: str) -> int:
    if not _LEVEL.fullmatch(text):
        raise ValueError(f"{text!r} is not a level of the x86-64 psABI; write 1, 2, 3 or 4, as in 2 for x86-64-v2")
    return int(text)


def parse_id(text: str) -> int:
    """The id of a user or group; the largest is what EL5's tools can still count."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text) or int(text) > 2147483647:
        raise ValueError(f"{text!r} is not an id; write a number from 1 to 2147483647, no zero first")
    return int(text)


def parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false; write one of them in lower case")
    return text == "true"


def parse_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size; write a whole number of MiB, GiB or TiB, as in 8GiB")
    return int(match[1]) * {"MiB": 1, "GiB": 1024, "TiB": 1024**2}[match[2]]


def parse_host(text: str) -> HostName:
    labels = text.split(".")
    fits = len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    if len(text) > 253 or not fits or labels[-1].isdigit():
        raise ValueError(f"{text!r} is not a host name; write it in full, in lower case, as in web01.example.com")
    return HostName(text)


def _fits(pattern: re.Pattern[str], text: str) -> bool:
    """Whether a URL is of the form, and its port, the pattern's first group, exists."""
    match = pattern.fullmatch(text)
    return match is not None and int((match[1] or ":0")[1:]) <= 65535


def parse_url(text: str) -> str:
    if not _fits(_URL, text):
        raise ValueError(f"{text!r} is not a URL; write http://HOST/PATH or https://, without query, user or blanks")
    return text.rstrip("/")


def parse_server(text: str) -> str:
    """The base URL of this server: by its address, which is what firmware needs; without a path, because paths are
    ours; without TLS, which iPXE's usual BIOS builds do not have."""
    if not _fits(_SERVER, text.rstrip("/")):
        raise ValueError(f"{text!r} is not a server; write http://ADDRESS or http://ADDRESS:PORT")
    _address(text.removeprefix("http://").partition(":")[0].rstrip("/"))
    return text.rstrip("/")


def parse_timezone(text: str) -> str:
    known = _timezones()
    if known and text not in known:
        raise ValueError(f"no time zone {text!r}; {did_you_mean(text, known) or 'write it as in Europe/Berlin'}")
    return text


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def parse_site_path(text: str) -> str:
    if text.startswith("/") or not all(part not in ("", ".", "..") for part in text.split("/")):
        raise ValueError(f"{text!r} is not a path below the site directory; write it as in keys/ops.pub")
    return text


def parse_device(text: str) -> str:
    if not _DEVICE.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is not a device; write it as in /dev/sda")
    return text


def _mac(text: str) -> Mac:
    if ":" in text and "-" in text:
        raise ValueError(f"{text!r} is not a MAC address; write six octets in hex, as in 52:54:00:12:34:56")
    return parse_mac(text)


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
    if colon and not (_COUNT.fullmatch(port) and int(port) <= 65535):
        raise ValueError(f"{text!r} is not a portal; write ADDRESS or ADDRESS:PORT, as in 10.9.0.10:3260")
    return Portal(_address(address), int(port)) if colon else Portal(_address(address))


def parse_percent(text: str) -> int:
    if not _PERCENT.fullmatch(text):
        raise ValueError(f"{text!r} is not a percentage; write a whole number from 1% to 100%")
    return int(text.removesuffix("%"))


def parse_lun(text: str) -> int:
    """SAM-5's flat addressing has 14 bits."""
    if not _LUN.fullmatch(text) or int(text) > 16383:
        raise ValueError(f"{text!r} is not a LUN; write a whole number from 0 to 16383")
    return int(text)


def parse_wwid(text: str) -> str:
    """What scsi_id and multipath call a disk: one digit for the kind of name, 3 for NAA and 2 for EUI-64, then the
    name in hex (SPC-4 7.8.6; systemd's scsi_id/scsi_serial.c). An NAA 6 name has 32 digits."""
    lower = text.lower()
    if not _WWID.fullmatch(lower):
        bare = re.fullmatch(r"6[0-9a-f]{31}", lower)
        hint = f"put a 3 before it: 3{lower}" if bare else "'multipath -ll' prints it: a 3 and 32 hex digits, mostly"
        raise ValueError(f"{text!r} is not a WWID; {hint}")
    return lower


def parse_iqn(text: str) -> str:
    """An iSCSI name in one of its three forms (RFC 7143 4.2.7.3 to 4.2.7.5), normalised, of 223 bytes at most."""
    if len(text) > 223 or not (_IQN.fullmatch(text) or _OTHER_ISCSI.fullmatch(text)):
        hint = "write it in lower case, as in iqn.2008-05.com.example:db01"
        raise ValueError(f"{text!r} is not an iSCSI name; {hint}")
    return text


def parse_group(text: str) -> str:
    if not _LVM.fullmatch(text):
        raise ValueError(f"{text!r} is not a name for LVM; use letters, digits and _ . + -, a letter first")
    return text


def parse_logical(text: str) -> str:
    """lvm(8), "Valid names", has what LVM keeps for itself."""
    if reserved := _LVM_OWN.search(text):
        raise ValueError(f"{text!r} is not a logical volume's name; LVM keeps {reserved[0]!r} for itself")
    return parse_group(text)


def _inquiry(length: int) -> Callable[[str], str]:
    """A field of standard INQUIRY data (SPC-4 6.6.2), without the blanks that fill it up."""

    def read(text: str) -> str:
        if len(text) > length or not _INQUIRY.fullmatch(text):
            hint = f"write what 'lsscsi' shows: at most {length} letters, digits, blanks and . _ / -"
            raise ValueError(f"{text!r} is not what a disk answers; {hint}")
        return text

    return read


def parse_uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError(f"{text!r} is not a UUID; uuidgen prints one")
    return text.lower()


def parse_mirror(text: str) -> str:
    """A list of mirrors: a URL that may have a query."""
    if not _fits(_MIRROR, text):
        raise ValueError(f"{text!r} is not a URL; write http://HOST/PATH?QUERY or https://, without user or blanks")
    return text


def parse_gecos(text: str) -> str:
    """What passwd(5) says of a user, where a colon would begin the next field."""
    if ":" in text:
        raise ValueError(f"{text!r} has a colon; /etc/passwd cannot hold it")
    return text


def parse_service(text: str) -> str:
    if not _SERVICE.fullmatch(text):
        raise ValueError(f"{text!r} is not a service; write its name, as in sshd")
    if text.endswith(".service"):
        raise ValueError(f"{text!r} is a unit's file; write {text.removesuffix('.service')}")
    return text


def parse_port(text: str) -> str:
    match = _PORT.fullmatch(text)
    if not match or int(match[1]) > 65535:
        raise ValueError(f"{text!r} is not a port; write it as in 8080/tcp or 53/udp")
    return text


def parse_console(text: str) -> str:
    """A serial console as the kernel takes it: ``ttyS0,115200n8``, with the speed and the frame that most have."""
    match = _CONSOLE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a serial console; write it as in ttyS0,115200 or hvc0")
    return f"{match[1]},{match[2] or 115200}{match[3] or 'n8'}" if match[1] else text


def _subnet(text: str) -> IPv4Network:
    if "/" not in text:
        raise ValueError(f"{text!r} has no prefix length; write it as in 10.2.0.0/20")
    try:
        subnet = IPv4Network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv4 subnet; write it as in 10.2.0.0/20") from None
    if str(subnet) != text:
        raise ValueError(f"{text!r} is not how a subnet is written; write {subnet}")
    return subnet


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        hint = "write four numbers from 0 to 255, without leading zeros and without a prefix length"
        raise ValueError(f"{text!r} is not an IPv4 address; {hint}") from None


def _subnet6(text: str) -> IPv6Network:
    try:
        subnet = IPv6Network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not an IPv6 subnet; write it as in 2001:db8:2::/64") from None
    if str(subnet) != text:
        raise ValueError(f"{text!r} is not how a subnet is written; write {subnet}")
    return subnet


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
    """A destination of either family, in the one form in which it is written."""
    try:
        prefix = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f"{text!r} is not a destination; write it as in 10.50.0.0/16") from None
    if str(prefix) != text:
        raise ValueError(f"{text!r} is not how a destination is written; write {prefix}")
    return text


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
        if not _COUNT.fullmatch(text) or not least <= int(text) <= most:
            raise ValueError(f"{text!r} is not {what}; write a whole number from {least} to {most}")
        return int(text)

    return read


def one_of(*words: str) -> Any:
    """An annotation for one of a few words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"no {text!r} here; write one of: {', '.join(words)}")
        return text

    return Annotated[str, *_scalar(read, enum=list(words))]


def elements(value: Any) -> Any:
    """A merged set arrives as a dict of its elements; sorted, so that no order of writing can be seen."""
    return tuple(sorted(value)) if isinstance(value, dict) else value


# fmt: off
Text = Annotated[str, *_scalar(parse_text)]
Name = Annotated[str, *_scalar(parse_name, _NAME.pattern)]
FactsName = Annotated[str, *_facts(parse_name, _NAME.pattern)]
Count = Annotated[int, *_scalar(parse_count, _COUNT.pattern)]
Level = Annotated[int, *_scalar(parse_level, _LEVEL.pattern)]
Id = Annotated[int, *_scalar(parse_id)]
Bool = Annotated[bool, *_scalar(parse_bool, enum=["true", "false"])]
Size = Annotated[int, *_scalar(parse_size, _SIZE.pattern)]
Host = Annotated[HostName, *_scalar(parse_host)]
Url = Annotated[str, *_facts(parse_url, _URL.pattern)]
Server = Annotated[str, *_scalar(parse_server, _SERVER.pattern)]
Timezone = Annotated[str, *_scalar(parse_timezone)]
Language = Annotated[str, *_scalar(_matching(_LANGUAGE, "a language", "write it as in en_US.UTF-8"), _LANGUAGE.pattern)]
Word = Annotated[str, *_scalar(_matching(_WORD, *_ONE_WORD), _WORD.pattern)]
FactsWord = Annotated[str, *_facts(_matching(_WORD, *_ONE_WORD), _WORD.pattern)]
BootWord = Annotated[str, *_scalar(_matching(_BOOT_WORD, *_IPXE_WORD), _BOOT_WORD.pattern)]
FactsBootWord = Annotated[str, *_facts(_matching(_BOOT_WORD, *_IPXE_WORD), _BOOT_WORD.pattern)]
Interface = Annotated[str, *_scalar(_matching(_INTERFACE, *_ONE_INTERFACE), _INTERFACE.pattern)]
Package = Annotated[str, *_scalar(_matching(_PACKAGE, *_ONE_PACKAGE), _PACKAGE.pattern)]
User = Annotated[str, *_scalar(_matching(_USER, "a name", "use lower-case letters, digits, _ and -"), _USER.pattern)]
SitePath = Annotated[str, *_scalar(parse_site_path)]
Device = Annotated[str, *_scalar(parse_device, _DEVICE.pattern)]
DiskId = Annotated[str, *_scalar(_matching(_DISK_ID, "a name below /dev/disk/by-id", "as in ata-ST4000_Z1"))]
Wwn = Annotated[str, *_scalar(_matching(_WWN, *_ONE_WWN), _WWN.pattern)]
Label = Annotated[str, *_scalar(_matching(_FS_LABEL, *_ONE_LABEL), _FS_LABEL.pattern)]
MacText = Annotated[Mac, HEX, *_scalar(_mac, _MAC)]
MacPrefix = Annotated[str, *_scalar(_matching(_MAC_PREFIX, "the prefix of a MAC address", "as in 00:16:3e"))]
HostId = Annotated[str, HEX, *_scalar(_matching(_HOST_ID, "a host's id", "it has 16 hex digits in lower case"))]
FactName = Annotated[str, *_scalar(_matching(_FACT, "the name of a fact", "use lower-case letters, digits and _"))]
FactWord = Annotated[str, *_scalar(_matching(_LABEL, "a fact", "use lower-case letters, digits and dashes"))]
Address = Annotated[IPv4Address, *_scalar(_address, _IPV4)]
Address6 = Annotated[IPv6Address, *_scalar(_address6)]
AnyAddress = Annotated[IPv4Address | IPv6Address, *_scalar(parse_any_address)]
NicAddress = Annotated[Addressing, *_scalar(parse_addressing, rf"{_IPV4}|dhcp|none")]
NicAddress6 = Annotated[Addressing, *_scalar(parse_addressing6, r"[0-9a-fA-F:.]+|auto|dhcp|none")]
Prefix = Annotated[str, *_scalar(parse_prefix)]
Subnet6 = Annotated[IPv6Network, *_scalar(_subnet6)]
VlanId = Annotated[int, *_scalar(_number("a VLAN", 1, 4094), _COUNT.pattern)]
Mtu = Annotated[int, *_scalar(_number("an MTU in bytes", 576, 65535), _COUNT.pattern)]
OptionName = Annotated[str, *_scalar(_matching(_OPTION, "an option", "as in miimon"), _OPTION.pattern)]
OptionValue = Annotated[str, *_scalar(_matching(_VALUE, "a value", "use letters, digits and . _ : + -"))]
Subnet = Annotated[IPv4Network, *_scalar(_subnet, rf"{_IPV4}/[0-9]{{1,2}}")]
Range = Annotated[AddressRange, *_scalar(parse_range, rf"{_IPV4} ?- ?{_IPV4}")]
MirrorUrl = Annotated[str, *_facts(parse_mirror)]
AbsolutePath = Annotated[str, *_scalar(_matching(_ABSOLUTE, "an absolute path", "write it as in /bin/bash"))]
Gecos = Annotated[str, *_scalar(parse_gecos)]
Service = Annotated[str, *_scalar(parse_service)]
FirewallService = Annotated[str, *_scalar(_matching(_FIREWALL, "a service of a firewall", "write it as in https"))]
Port = Annotated[str, *_scalar(parse_port)]
Excluded = Annotated[str, *_scalar(_matching(_EXCLUDED, "a package", "write NAME; * and ? stand for any letters"))]
Console = Annotated[str, *_scalar(parse_console)]
PortalText = Annotated[Portal, *_scalar(parse_portal)]
Percent = Annotated[int, *_scalar(parse_percent, _PERCENT.pattern)]
Lun = Annotated[int, *_scalar(parse_lun, _LUN.pattern)]
Wwid = Annotated[str, *_scalar(parse_wwid)]
Iqn = Annotated[str, *_scalar(parse_iqn)]
FactsIqn = Annotated[str, *_facts(parse_iqn)]
Group = Annotated[str, *_scalar(parse_group, _LVM.pattern)]
Logical = Annotated[str, *_scalar(parse_logical)]
Vendor = Annotated[str, *_scalar(_inquiry(8))]
Product = Annotated[str, *_scalar(_inquiry(16))]
Fabric = Annotated[str, *_scalar(_matching(_FABRIC, "the name of a fabric", "write a letter or a word, as in A"))]
ChapUser = Annotated[str, *_scalar(_matching(_CHAP_USER, "a name for CHAP", "use letters, digits and . _ : @ -"))]
Uuid = Annotated[str, HEX, *_scalar(parse_uuid, _UUID.pattern)]
SecretName = Annotated[str, SECRET, *_facts(_matching(_USER, "a name", "use lower-case letters, digits, _ and -"))]
# fmt: on
AsSet = (SET, BeforeValidator(elements))
