"""A DHCP client of our own, for what udhcpc does not show: offers without an address, and option 60 of an answer.

``python dhcp_client.py INTERFACE MAC ARCHITECTURE CLASS`` broadcasts a DISCOVER as firmware does and prints every offer
that comes within SECONDS, one JSON object a line; ARCHITECTURE ``-`` sends no option 93. With ``ADDRESS`` as a last
argument it asks that server's port 4011 instead, as PXE firmware does with what a proxy offered it.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

SECONDS = 2.0
DISCOVER, REQUEST = 1, 3


def message(kind: int, mac: str, architecture: int | None, vendor: str, address: str = "0.0.0.0") -> bytes:
    """A message as PXE firmware writes it (RFC 2131, RFC 4578), with the flag that asks for a broadcast answer."""
    chaddr = bytes.fromhex(mac.replace(":", ""))
    head = struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x42460001, 0, 0x8000) + socket.inet_aton(address) + bytes(12)
    options = bytes([53, 1, kind])
    if architecture is not None:
        options += (
            struct.pack("!BBH", 93, 2, architecture) + bytes([94, 3, 1, 3, 16, 97, 17, 0]) + chaddr.rjust(16, b"\0")
        )
    options += bytes([55, 7, 1, 3, 6, 43, 60, 66, 67])
    if vendor:
        options += bytes([60, len(vendor)]) + vendor.encode()
    return head + chaddr.ljust(16, b"\0") + bytes(192) + bytes.fromhex("63825363") + options + b"\xff"


def parse(data: bytes) -> dict[str, object]:
    """What an answer says: addresses, the boot file wherever it stands, the kind of message and option 60."""
    options: dict[int, bytes] = {}
    rest = data[240:]
    while rest and rest[0] != 255:
        if rest[0] == 0:
            rest = rest[1:]
            continue
        options[rest[0]] = options.get(rest[0], b"") + rest[2 : 2 + rest[1]]
        rest = rest[2 + rest[1] :]
    return {
        "kind": options.get(53, b"\0")[0],
        "ip": socket.inet_ntoa(data[16:20]),
        "siaddr": socket.inet_ntoa(data[20:24]),
        "from": socket.inet_ntoa(options.get(54, bytes(4))),
        "file": (options.get(67) or data[108:236]).partition(b"\0")[0].decode("latin-1"),
        "class": options.get(60, b"").decode("latin-1"),
    }


def main(interface: str, mac: str, architecture: str, vendor: str, server: str = "") -> None:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    client.bind(("0.0.0.0", 68))
    number = None if architecture == "-" else int(architecture)
    own = "0.0.0.0"
    if server:
        probe = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        probe.connect((server, 9))
        own = probe.getsockname()[0]
    data = message(REQUEST if server else DISCOVER, mac, number, vendor, own)
    client.sendto(data, (server, 4011) if server else ("255.255.255.255", 67))
    end = time.monotonic() + SECONDS
    while (left := end - time.monotonic()) > 0:
        client.settimeout(left)
        try:
            print(json.dumps(parse(client.recv(2048))), flush=True)
        except TimeoutError:
            break


if __name__ == "__main__":
    main(*sys.argv[1:])
