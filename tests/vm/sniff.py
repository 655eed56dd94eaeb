"""Prints every TFTP request and option acknowledgement that crosses an interface: ``python sniff.py br0``.

One line per packet, ``RRQ snponly.efi blksize=1468 windowsize=4`` or ``OACK blksize=1468 windowsize=4``, so
that a test sees what was granted and not only what a server says it granted.
"""

from __future__ import annotations

import socket
import sys

EVERYTHING, IPV4 = 3, 0x0800  # of <linux/if_ether.h>; asking for IPv4 alone would hide what we send
REQUEST, OPTIONS = 1, 6
asked: set[tuple[bytes, bytes]] = set()  # address and port of each client, to know its transfer's packets

with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM) as wire:
    wire.bind((sys.argv[1], EVERYTHING))
    print("sniffing", flush=True)
    while True:
        packet, (_, ethertype, *_) = wire.recvfrom(65535)
        if ethertype != IPV4:
            continue
        header = (packet[0] & 15) * 4
        udp, data = packet[header : header + 8], packet[header + 8 :]
        if packet[9] != socket.IPPROTO_UDP or len(data) < 4:
            continue
        opcode, words = data[1], data[2:].split(b"\0")[:-1]
        if udp[2:4] == b"\0\x45" and opcode == REQUEST:
            asked.add((packet[12:16], udp[0:2]))
            words[:2] = [b"RRQ", words[0]]
        elif (packet[16:20], udp[2:4]) in asked and data[:2] == bytes([0, OPTIONS]):
            words.insert(0, b"OACK")
            words.insert(1, b"")
        else:
            continue
        options = zip(words[2::2], words[3::2], strict=False)
        print(*(word.decode() for word in words[:2] if word), *(b"=".join(o).decode() for o in options), flush=True)
