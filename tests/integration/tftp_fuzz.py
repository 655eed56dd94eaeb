"""A hostile network for the TFTP tests: datagrams nobody should send, and a link that loses some."""

from __future__ import annotations

import random
import selectors
import socket
import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

WHOLE_REQUEST = b"\0\1small\0octet\0blksize\0001468\0tsize\0000\0windowsize\0004\0"
FIXED = (
    b"",
    b"\0",
    b"\0\1",
    b"\0\1\0",
    b"\0\1\0\0",
    b"\0\1small",
    b"\0\1small\0octet",
    b"\0\1small\0octet\0blksize\0",
    b"\0\1small\0octet\0blksize\0abc\0",
    b"\0\1small\0octet\0blksize\0000\0",
    b"\0\1small\0octet\0blksize\000-1\0",
    b"\0\1small\0octet\0blksize\00065536\0",
    b"\0\1small\0octet\0blksize\0" + b"9" * 1300 + b"\0",
    "\0\1small\0octet\0blksize\0٣٢\0".encode(),
    b"\0\1small\0octet\0timeout\0001e3\0windowsize\00065536\0",
    b"\0\1small\0octet" + b"\0tsize\0000" * 150 + b"\0",
    b"\0\1small\0octet" + b"\0" * 1400,
    b"\0\1small\0mail\0",
    b"\0\1\xff\xfe\xe9\0octet\0",
    "\0\1größe-€-\N{PILE OF POO}\0octet\0".encode(),
    b"\0\1../../etc/passwd\0octet\0",
    b"\0\1/etc/passwd\0octet\0",
    b"\0\1line\nfeed\r\x1b[2J\0octet\0",
    b"\0\1" + b"a" * 5000 + b"\0octet\0",
    b"\0\2small\0octet\0",
    b"\0\2new-file\0netascii\0tsize\00012\0",
    b"\0\3\0\1data",
    b"\0\4\0\0",
    b"\0\5\0\1no\0",
    b"\0\6blksize\0008\0",
    b"\xff" * 65507,
)


def hostile(seed: int, count: int) -> Iterator[bytes]:
    """``count`` datagrams, the same ones for the same ``seed``."""
    rng = random.Random(seed)
    for _ in range(count):
        kind = rng.randrange(5)
        if kind == 0:
            yield rng.choice(FIXED)
        elif kind == 1:
            yield rng.randbytes(rng.randrange(600))
        elif kind == 2:
            yield b"\0" + bytes([rng.randrange(8)]) + rng.randbytes(rng.randrange(80))
        elif kind == 3:
            yield WHOLE_REQUEST[: rng.randrange(len(WHOLE_REQUEST))]
        else:
            mutated = bytearray(WHOLE_REQUEST)
            for _ in range(rng.randint(1, 6)):
                mutated[rng.randrange(len(mutated))] = rng.randrange(256)
            yield bytes(mutated)


class LossyLink:
    """A TFTP relay on a port of 127.0.0.1 that loses each packet, in both directions, with one probability.

    Every client gets a pair of sockets: one towards the server, whose answers come from the server's own TID,
    and one that is the server's TID as the client sees it.
    """

    def __init__(self, server_port: int, loss: float, seed: int) -> None:
        self._server = ("127.0.0.1", server_port)
        self._loss, self._rng = loss, random.Random(seed)
        self._selector = selectors.DefaultSelector()
        self._front = self._socket(self._on_request)
        self._upstreams: dict[Any, socket.socket] = {}
        self._stopping = False
        self._thread = threading.Thread(target=self._run)
        self.port: int = self._front.getsockname()[1]
        self.lost = 0

    def __enter__(self) -> LossyLink:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopping = True
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _socket(self, callback: Any) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind(("127.0.0.1", 0))
        self._selector.register(sock, selectors.EVENT_READ, callback)
        return sock

    def _run(self) -> None:
        while not self._stopping:
            for key, _ in self._selector.select(0.05):
                key.data(key.fileobj)

    def _pass(self, sock: socket.socket, packet: bytes, where: Any) -> None:
        if self._rng.random() < self._loss:
            self.lost += 1
        else:
            sock.sendto(packet, where)

    def _on_request(self, sock: socket.socket) -> None:
        packet, client = sock.recvfrom(65535)
        if client not in self._upstreams:
            tid: list[Any] = []

            def from_server(upstream: socket.socket) -> None:
                packet, sender = upstream.recvfrom(65535)
                tid[:] = [sender]
                self._pass(downstream, packet, client)

            def from_client(downstream: socket.socket) -> None:
                packet, _ = downstream.recvfrom(65535)
                self._pass(upstream, packet, tid[0])

            upstream, downstream = self._socket(from_server), self._socket(from_client)
            self._upstreams[client] = upstream
        self._pass(self._upstreams[client], packet, self._server)
