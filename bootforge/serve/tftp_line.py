"""How packets of a transfer travel: by a socket of its own, or by the one that requests come to.

A socket of its own, on a new port, is the rule (RFC 1350, section 4: the server's TID); it is connected, so the
kernel drops what strangers send. One port for everything gets through firewalls that follow no TFTP.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Protocol

from bootforge.serve.tftp_loop import READ, WRITE, Loop
from bootforge.serve.tftp_wire import IP_PKTINFO, UDP_SEGMENT, Address, udp


class Receiver(Protocol):
    """A transfer, as its line sees it."""

    def receive(self, packet: bytes) -> None: ...
    def refused(self) -> None: ...
    def fill(self) -> None: ...


class Line(Protocol):
    """A way to one peer."""

    @property
    def send(self) -> Callable[[bytes | memoryview], object]:
        """Send a packet. Raises OSError; BlockingIOError when it is to be tried again later."""

    def open(self, receiver: Receiver) -> None:
        """From now on packets go to the receiver."""

    def poll(self) -> None:
        """Have the receiver take a packet that is there already."""

    def segment(self, size: int) -> None:
        """Have the kernel cut what is sent into datagrams of ``size`` bytes; 0: no longer. Raises OSError."""

    def pause(self, paused: bool) -> None:
        """Whether the receiver is to be told, by ``fill``, that there is room to send and it is its turn."""

    def close(self) -> None:
        """Nothing comes or goes from now on."""


class OwnLine:
    """A connected socket of the transfer's own. Raises OSError."""

    def __init__(self, loop: Loop, family: int, local: Address, peer: Address) -> None:
        self._loop, self._sock = loop, udp(family, local, peer)
        self._recv, self.send = self._sock.recv, self._sock.send
        self._receiver: Receiver | None = None

    def open(self, receiver: Receiver) -> None:
        self._receiver = receiver
        self._loop.watch(self._sock.fileno(), self._on_event)

    def poll(self) -> None:
        self._on_event(READ)

    def _on_event(self, event: int) -> None:
        receiver = self._receiver
        if event != WRITE and receiver:
            try:
                packet = self._recv(512)
            except ConnectionRefusedError:
                receiver.refused()
            except OSError:  # nothing there, or a route that may come back: the timer decides
                pass
            else:
                receiver.receive(packet)
        if event & WRITE and self._receiver:  # it may have ended
            self._receiver.fill()

    def segment(self, size: int) -> None:
        self._sock.setsockopt(socket.SOL_UDP, UDP_SEGMENT, size)

    def pause(self, paused: bool) -> None:
        self._loop.change(self._sock.fileno(), READ | WRITE if paused else READ)

    def close(self) -> None:
        if self._receiver:
            self._receiver = None
            self._loop.unwatch(self._sock.fileno())
        self._sock.close()


class SharedPort:
    """The requests' socket, when transfers use it too; it stays its owner's to close."""

    def __init__(self, loop: Loop, sock: socket.socket) -> None:
        self.loop, self.sock = loop, sock
        self._paused: dict[SharedLine, None] = {}

    def pause(self, line: SharedLine, paused: bool) -> None:
        before = bool(self._paused)
        if paused:
            self._paused[line] = None
        else:
            self._paused.pop(line, None)
        if before != bool(self._paused):
            self.loop.change(self.sock.fileno(), READ | WRITE if self._paused else READ)

    def go_on(self) -> None:
        """There is room to send: each line that waited has its turn."""
        for line in list(self._paused):
            if line in self._paused and line.receiver:
                line.receiver.fill()


class SharedLine:
    """The requests' socket, for one peer: what it sends says from which address and to whom."""

    def __init__(self, port: SharedPort, local: Address, peer: Address) -> None:
        self._port, self._peer, self._sendmsg = port, peer, port.sock.sendmsg
        self._size = 0
        self.receiver: Receiver | None = None
        if port.sock.family == socket.AF_INET6:
            index = local[3] if len(local) > 3 else 0
            info = socket.inet_pton(socket.AF_INET6, _mapped(local[0])) + struct.pack("=I", index)
            self._source = [(socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info)]
        else:
            info = struct.pack("=I4s4s", 0, socket.inet_aton(local[0]), bytes(4))
            self._source = [(socket.IPPROTO_IP, IP_PKTINFO, info)]
        self._cut = self._source

    def open(self, receiver: Receiver) -> None:
        self.receiver = receiver

    def send(self, packet: bytes | memoryview) -> int:
        control = self._cut if len(packet) > self._size else self._source
        return self._sendmsg((packet,), control, 0, self._peer)

    def poll(self) -> None:
        """Packets come in order, so there is none before the one that is being looked at."""

    def segment(self, size: int) -> None:
        self._size = size
        more = [(socket.SOL_UDP, UDP_SEGMENT, struct.pack("=H", size))] if size else []
        self._cut = self._source + more

    def pause(self, paused: bool) -> None:
        self._port.pause(self, paused)

    def close(self) -> None:
        self._port.pause(self, False)
        self.receiver = None


def _mapped(address: str) -> str:
    return address if ":" in address else f"::ffff:{address}"
