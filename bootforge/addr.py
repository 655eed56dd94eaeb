"""MAC addresses. Addresses of networks and nics are the standard library's ``ipaddress``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from ipaddress import ip_address

from netaddr import EUI, mac_unix_expanded

_FORM = re.compile(
    r"[0-9a-fA-F]{2}([:-])[0-9a-fA-F]{2}(\1[0-9a-fA-F]{2}){4}|[0-9a-fA-F]{12}|([0-9a-fA-F]{4}\.){2}[0-9a-fA-F]{4}"
)


_USUAL = re.compile(r"[0-9a-f][02468ace](:[0-9a-f]{2}){5}")
"""The form in which nearly all are written: nothing is left to convert."""


@dataclass(frozen=True, slots=True, order=True)
class Mac:
    """A unicast 48-bit MAC address; ``text`` is lower case with colons, whatever form it was written in."""

    text: str

    def __str__(self) -> str:
        return self.text

    @property
    def dashed(self) -> str:
        """The form of BOOTIF and pxelinux: ``52-54-00-12-34-56``."""
        return self.text.replace(":", "-")


@lru_cache(maxsize=65536)
def parse_mac(text: str) -> Mac:
    """Reads ``52:54:00:12:34:56``, ``52-54-...``, ``525400123456`` or ``5254.0012.3456``.

    Raises ValueError with a message for the operator: wrong form, a group address (IEEE 802: the lowest bit
    of the first octet is set), or all zeros.
    """
    if _USUAL.fullmatch(text) and text != "00:00:00:00:00:00":
        return Mac(text)
    if not _FORM.fullmatch(text):
        raise ValueError(f"{text!r} is not a MAC address; write six octets in hex, as in 52:54:00:12:34:56")
    eui = EUI(text, dialect=mac_unix_expanded)
    if eui.words[0] & 1:
        raise ValueError(f"{text!r} is a group (multicast) address; a nic needs one with an even first octet")
    if int(eui) == 0:
        raise ValueError(f"{text!r} is all zeros; write the address on the nic's label")
    return Mac(str(eui))


def is_address(text: str) -> bool:
    """Whether it is an IP address, and nothing else."""
    try:
        return ip_address(text) is not None
    except ValueError:
        return False
