"""A DHCP client of our own, for what udhcpc does not show: offers without an address, and option 60 of an answer.

``python dhcp_client.py INTERFACE MAC ARCHITECTURE CLASS WANTED`` broadcasts a DISCOVER as firmware does and prints the
first WANTED offers, or those that come within ten seconds (of 0 wanted, two), one JSON object a line. ARCHITECTURE
``-`` sends no option 93, ``7+ipxe`` says that iPXE asks. With ``ADDRESS`` as a last argument it goes on as PXE firmware
does with a proxy's offer: it asks that server's port 4011 for the item of the menu (option 43, 9 and 71), and prints
that answer alone.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time
from contextlib import suppress

DISCOVER, REQUEST = 1, 3


def message(kind: int, mac: str, architecture: int | None, ipxe: bool, vendor: str, address: str, item: bytes) -> bytes:
    """A message as PXE firmware writes it (RFC 2131, RFC 4578), with the flag that asks for a broadcast answer."""
    chaddr = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x42460001, 0, 0x8000) + socket.inet_aton(address) + bytes(12)
    options = bytes([53, 1, kind])
    if architecture is not None:
        options += (
            struct.pack("!BBH", 93, 2, architecture) + bytes([94, 3, 1, 3, 16, 97, 17, 0]) + chaddr.rjust(16, b"\0")
        )
    options += bytes([55, 7, 1, 3, 6, 43, 60, 66, 67])
    if ipxe:
        options += bytes([175, 3, 1, 1, 1])
    if item:
        options += bytes([43, 7, 71, 4]) + item + bytes([0, 0, 255])
    if vendor:
        options += bytes([60, len(vendor)]) + vendor.encode()
    return head + chaddr.ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363") + options + b"\xff"


def split(data: bytes) -> dict[int, bytes]:
    """Options by number."""
    options: dict[int, bytes] = {}
    while data and data[0] != 255:
        length = data[1] if data[0] else -1
        options[data[0]] = options.get(data[0], b"") + data[2 : 2 + length]
        data = data[2 + length :]
    return options


def parse(data: bytes) -> dict[str, object]:
    """What an answer says: addresses, the boot file wherever it stands, the kind of message and option 60."""
    options = split(data[240:])
    return {
        "kind": options.get(53, b"\0")[0],
        "ip": socket.inet_ntoa(data[16:20]),
        "siaddr": socket.inet_ntoa(data[20:24]),
        "from": socket.inet_ntoa(options.get(54, bytes(4))),
        "file": (options.get(67) or data[108:236]).partition(b"\0")[0].decode("latin-1"),
        "class": options.get(60, b"").decode("latin-1"),
    }


def answers(client: socket.socket, wanted: int) -> list[bytes]:
    found: list[bytes] = []
    end = time.monotonic() + (10 if wanted else 2)
    while (left := end - time.monotonic()) > 0 and not (wanted and len(found) == wanted):
        client.settimeout(left)
        with suppress(TimeoutError):
            found.append(client.recv(2048))
    return found


def main(interface: str, mac: str, architecture: str, vendor: str, wanted: str, server: str = "") -> None:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("0.0.0.0", 68))
    digits, plus, _ = architecture.partition("+")
    said = (mac, int(digits) if digits.isdigit() else None, bool(plus), vendor)
    client.sendto(message(DISCOVER, *said, "0.0.0.0", b""), ("255.255.255.255", 67))
    found = answers(client, int(wanted))
    if server:
        (offer,) = [one for one in found if parse(one)["from"] == server]
        menu = split(split(offer[240:]).get(43, b"\xff")).get(9, b"")
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.connect((server, 9))
        client.sendto(message(REQUEST, *said, probe.getsockname()[0], menu[:2]), (server, 4011))
        found = answers(client, 1)
    for data in found:
        print(json.dumps(parse(data)))


if __name__ == "__main__":
    main(*sys.argv[1:])
