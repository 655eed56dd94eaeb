"""The scalars of the site language: YAML text in, a decided value out, never a guess.

Each raises ValueError with a message for the operator. ``no`` is the text "no", ``012`` is not a number and
``52:54:00:12:34:56`` is a MAC address, because pydantic's own conversions are never used.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, NamedTuple
from zoneinfo import available_timezones

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from bootforge.addr import Mac, parse_mac
from bootforge.errors import did_you_mean
from bootforge.model import HostName
from bootforge.site.kinds import FACTS, SECRET, SET

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_COUNT = re.compile(r"[1-9][0-9]{0,8}")
_SIZE = re.compile(r"([1-9][0-9]{0,11}) ?(MiB|GiB|TiB)")
_URL = re.compile(r"https?://[A-Za-z0-9.-]+(:[1-9][0-9]{0,4})?(/[A-Za-z0-9._~:@!&()*+,=%/-]*)?")
_SERVER = re.compile(r"http://[0-9.]+(:[1-9][0-9]{0,4})?")
_WORD = re.compile(r"[^\s\"'\\`]+")
_BOOT_WORD = re.compile(r"[A-Za-z0-9._~:/?=@,+%&()\[\]*!-]+")
_INTERFACE = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,14}")
_PACKAGE = re.compile(r"@\^?[A-Za-z0-9][A-Za-z0-9_.+-]*|[A-Za-z0-9][A-Za-z0-9_.+-]*(\.[a-z0-9_]+)?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(\.UTF-8)?")
_DISK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+@#=-]*")
_WWN = re.compile(r"0x[0-9a-f]{16}([0-9a-f]{16})?|eui\.[0-9a-f]{16}([0-9a-f]{16})?")
_FS_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_RANGE = re.compile(r"([0-9.]+) ?- ?([0-9.]+)")
_ONE_WORD = ("one word", "write it without blanks, quotes and backslashes")
_IPXE_WORD = ("one word of a netboot script", "use letters, digits and . _ ~ : / ? = @ , + % & ( ) [ ] * ! -")
_ONE_WWN = ("a World Wide Name", "write it as in 0x5000c500a1b2c3d4, in lower case")
_ONE_LABEL = ("a label", "use at most 16 letters, digits and . _ -, a letter or digit first")
_ONE_PACKAGE = ("a package", "write NAME, '@GROUP' or '@^ENVIRONMENT', without blanks and patterns")


def clean(value: Any) -> str:
    """One line of text, at most 4,096 characters, without control characters."""
    if not isinstance(value, str):
        raise ValueError("must be one value")
    if len(value) > 4096:
        raise ValueError(f"is {len(value)} characters long; 4096 at most")
    if control := _CONTROL.search(value):
        raise ValueError(f"has the control character {control[0]!r}; write one line of text")
    return value


def _scalar(read: Callable[[str], Any], pattern: str | None = None, *, facts: bool = False, **schema: Any) -> Any:
    """An annotation for a value that ``read`` makes from clean text; ``{fact}``, where the key takes one, waits for
    the merged tree."""

    def validate(value: Any, info: ValidationInfo) -> Any:
        text = clean(value)
        waits = facts and "{" in text and bool(info.context and info.context.get("layer"))
        return text if waits else read(text)

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


parse_name = _matching(_NAME, "a name", "use lower-case letters, digits and dashes, a letter first")


def parse_count(text: str) -> int:
    if not _COUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number above zero; write decimal digits, no zero first")
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
    if not re.fullmatch(r"/dev/[A-Za-z0-9._:+/-]+", text) or ".." in text:
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


def parse_uuid(text: str) -> str:
    lower = text.lower()
    if not re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", lower):
        raise ValueError(f"{text!r} is not a UUID; uuidgen prints one")
    return lower


def _subnet(text: str) -> IPv4Network:
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
Text = Annotated[str, *_scalar(lambda text: text)]
Name = Annotated[str, *_scalar(parse_name, _NAME.pattern)]
FactsName = Annotated[str, *_facts(parse_name)]
Count = Annotated[int, *_scalar(parse_count, _COUNT.pattern)]
Bool = Annotated[bool, *_scalar(parse_bool, enum=["true", "false"])]
Size = Annotated[int, *_scalar(parse_size, _SIZE.pattern)]
Host = Annotated[HostName, *_scalar(parse_host)]
Url = Annotated[str, *_facts(parse_url, _URL.pattern)]
Server = Annotated[str, *_scalar(parse_server, _SERVER.pattern)]
Timezone = Annotated[str, *_scalar(parse_timezone)]
Language = Annotated[str, *_scalar(_matching(_LANGUAGE, "a language", "as in en_US.UTF-8"), _LANGUAGE.pattern)]
Word = Annotated[str, *_scalar(_matching(_WORD, *_ONE_WORD), _WORD.pattern)]
FactsWord = Annotated[str, *_facts(_matching(_WORD, *_ONE_WORD))]
BootWord = Annotated[str, *_scalar(_matching(_BOOT_WORD, *_IPXE_WORD), _BOOT_WORD.pattern)]
FactsBootWord = Annotated[str, *_facts(_matching(_BOOT_WORD, *_IPXE_WORD))]
Interface = Annotated[str, *_scalar(_matching(_INTERFACE, "the name of an interface", "as in xenbr0"))]
Package = Annotated[str, *_scalar(_matching(_PACKAGE, *_ONE_PACKAGE), _PACKAGE.pattern)]
User = Annotated[str, *_scalar(_matching(_USER, "a name", "use lower-case letters, digits, _ and -"), _USER.pattern)]
SitePath = Annotated[str, *_scalar(parse_site_path)]
Device = Annotated[str, *_scalar(parse_device)]
DiskId = Annotated[str, *_scalar(_matching(_DISK_ID, "a name below /dev/disk/by-id", "as in ata-ST4000_Z1"))]
Wwn = Annotated[str, *_scalar(_matching(_WWN, *_ONE_WWN), _WWN.pattern)]
Label = Annotated[str, *_scalar(_matching(_FS_LABEL, *_ONE_LABEL), _FS_LABEL.pattern)]
MacText = Annotated[Mac, *_scalar(_mac)]
Address = Annotated[IPv4Address, *_scalar(_address)]
Subnet = Annotated[IPv4Network, *_scalar(_subnet)]
Range = Annotated[AddressRange, *_scalar(parse_range)]
Uuid = Annotated[str, *_scalar(parse_uuid)]
SecretName = Annotated[str, SECRET, *_scalar(_matching(_USER, "a name", "use lower-case letters, digits, _ and -"))]
# fmt: on
AsSet = (SET, BeforeValidator(elements))
