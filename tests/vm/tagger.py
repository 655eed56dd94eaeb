"""A port of a switch for one VLAN, for kernels without one: ``python3 tagger.py TRUNK PORT VLAN``.

Makes two taps in its network namespace. Frames that TRUNK sends with the VLAN's tag (IEEE 802.1Q) come out of PORT
without it; those that PORT sends come out of TRUNK with it. All other frames end here.
"""

import fcntl
import os
import select
import struct
import sys

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000  # linux/if_tun.h


def tap(name: str) -> int:
    file = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(file, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return file


def main(trunk_name: str, port_name: str, vlan: str) -> None:
    trunk, port, tag = tap(trunk_name), tap(port_name), struct.pack("!HH", 0x8100, int(vlan))
    print("ready", flush=True)
    while True:
        for file in select.select([trunk, port], [], [])[0]:
            try:
                frame = os.read(file, 65536)
                if file == port:
                    os.write(trunk, frame[:12] + tag + frame[12:])
                elif frame[12:14] == tag[:2] and frame[14] & 15 == tag[2] and frame[15] == tag[3]:
                    os.write(port, frame[:12] + frame[16:])
            except OSError:  # one of them is down
                continue


if __name__ == "__main__":
    main(*sys.argv[1:])
