"""Scalars of an installed system and of the machine that bears it: accounts, packages, services, kernel arguments."""

from __future__ import annotations

import re
from functools import cache
from typing import Annotated
from zoneinfo import available_timezones

from bootforge.errors import did_you_mean
from bootforge.site.kinds import HEX
from bootforge.site.scalars import matching, scalar, with_facts

_LEVEL = re.compile(r"[1-4]")
_BOOT_WORD = re.compile(r"[A-Za-z0-9._~:/?=@,+%&()\[\]*!-]+")
_PACKAGE = re.compile(r"@\^?[A-Za-z0-9][A-Za-z0-9_.+-]*|[A-Za-z0-9][A-Za-z0-9_.+-]*(\.[a-z0-9_]+)?")
_ONLY_PACKAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")
_MODULE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.+-]*[A-Za-z0-9+])?")
_LANGUAGE = re.compile(r"[a-z]{2,3}_[A-Z]{2}(\.UTF-8)?")
_UUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_ABSOLUTE = re.compile(r"(/[A-Za-z0-9_+-][A-Za-z0-9._+-]*)+")
_SERVICE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")
_PORT = re.compile(r"([1-9][0-9]{0,4})/(tcp|udp)")
_FIREWALL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,49}")
_EXCLUDED = re.compile(r"[A-Za-z0-9*?][A-Za-z0-9_.+*?-]*")
_CONSOLE = re.compile(r"((?:ttyS|ttyAMA)[0-9]{1,2})(?:,([1-9][0-9]{2,6})([noe][78])?)?|[hx]vc[0-9]")
_IPXE_WORD = ("one word of a netboot script", "use letters, digits and . _ ~ : / ? = @ , + % & ( ) [ ] * ! -")
_ONE_PACKAGE = ("a package", "write NAME, '@GROUP' or '@^ENVIRONMENT', without blanks and patterns")


def parse_level(text: str) -> int:
    if not _LEVEL.fullmatch(text):
        raise ValueError(f"{text!r} is not a level of the x86-64 psABI; write 1, 2, 3 or 4, as in 2 for x86-64-v2")
    return int(text)


def parse_id(text: str) -> int:
    """The id of a user or group; the largest is what EL5's tools can still count."""
    if not re.fullmatch(r"[1-9][0-9]{0,9}", text) or int(text) > 2147483647:
        raise ValueError(f"{text!r} is not an id; write a number from 1 to 2147483647, no zero first")
    return int(text)


def parse_timezone(text: str) -> str:
    known = _timezones()
    if known and text not in known:
        raise ValueError(f"no time zone {text!r}; {did_you_mean(text, known) or 'write it as in Europe/Berlin'}")
    return text


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


def parse_uuid(text: str) -> str:
    if not _UUID.fullmatch(text):
        raise ValueError(f"{text!r} is not a UUID; uuidgen prints one")
    return text.lower()


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


# fmt: off
Level = Annotated[int, *scalar(parse_level, _LEVEL.pattern)]
Id = Annotated[int, *scalar(parse_id)]
Timezone = Annotated[str, *scalar(parse_timezone)]
Language = Annotated[str, *scalar(matching(_LANGUAGE, "a language", "write it as in en_US.UTF-8"), _LANGUAGE.pattern)]
BootWord = Annotated[str, *scalar(matching(_BOOT_WORD, *_IPXE_WORD), _BOOT_WORD.pattern)]
FactsBootWord = Annotated[str, *with_facts(matching(_BOOT_WORD, *_IPXE_WORD), _BOOT_WORD.pattern)]
Package = Annotated[str, *scalar(matching(_PACKAGE, *_ONE_PACKAGE), _PACKAGE.pattern)]
OnlyPackage = Annotated[str, *scalar(matching(_ONLY_PACKAGE, "a package", "write its NAME"), _ONLY_PACKAGE.pattern)]
Module = Annotated[str, *scalar(matching(_MODULE, "a module or stream", "write it as in nodejs: 18"), _MODULE.pattern)]
AbsolutePath = Annotated[str, *scalar(matching(_ABSOLUTE, "an absolute path", "write it as in /bin/bash"))]
Gecos = Annotated[str, *scalar(parse_gecos)]
Service = Annotated[str, *scalar(parse_service)]
FirewallService = Annotated[str, *scalar(matching(_FIREWALL, "a service of a firewall", "write it as in https"))]
Port = Annotated[str, *scalar(parse_port)]
Excluded = Annotated[str, *scalar(matching(_EXCLUDED, "a package", "write NAME; * and ? stand for any letters"))]
Console = Annotated[str, *scalar(parse_console)]
Uuid = Annotated[str, HEX, *scalar(parse_uuid, _UUID.pattern)]
# fmt: on
