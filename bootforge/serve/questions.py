"""How the front and TFTP, which know no site, learn what is behind a host's boot file: they ask the HTTP worker.

A question is one packet through a pair of sockets, and so is its answer, with an open file beside it or none. Nobody
waits for it: what is not answered is asked again by the machine, or ends as every request does that takes too long.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple

log = logging.getLogger(__name__)

Protocol = Literal["http", "tftp"]
"""By what the file will travel."""

THREADS = 4
"""For each asker: one question at a time is a few milliseconds, of which most is the store's."""
_BYTES = 2048
_NUMBER = struct.Struct("!Q")


class Question(NamedTuple):
    """What a client at an address asks for. ``name``: the path, without a slash in front."""

    by: Protocol
    client: str
    name: str


class Asker:
    """The asking end."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._number = secrets.randbits(63)  # answers to a process that died must not be taken for this one's

    def fileno(self) -> int:
        return self._socket.fileno()

    def ask(self, question: Question) -> int | None:
        """The question's number; None when it could not be asked, because too many wait."""
        self._number += 1
        try:
            self._socket.send(json.dumps([self._number, *question]).encode())
        except OSError:
            return None
        return self._number

    def answers(self) -> Iterator[tuple[int, int | None]]:
        """The numbers of questions that have been answered, and the file: a descriptor, the caller's to close."""
        while True:
            try:
                data, descriptors, _, _ = socket.recv_fds(self._socket, _NUMBER.size, 1, socket.MSG_CMSG_CLOEXEC)
            except OSError:  # as a rule: there are no more
                return
            if len(data) != _NUMBER.size:
                return
            yield _NUMBER.unpack(data)[0], descriptors[0] if descriptors else None


def answer(sock: socket.socket, find: Callable[[Question], int | None]) -> None:
    """Starts threads that answer what comes through ``sock``. ``find`` gives a descriptor, which is closed here."""
    for number in range(THREADS):
        threading.Thread(target=_answer, args=(sock, find), daemon=True, name=f"boot files {number}").start()


def _answer(sock: socket.socket, find: Callable[[Question], int | None]) -> None:
    while data := sock.recv(_BYTES):
        number, by, client, name = json.loads(data)
        found = None
        try:
            found = find(Question(by, client, name))
        except Exception:
            log.exception("%s: %s", client, ascii(name))
        try:
            socket.send_fds(sock, [_NUMBER.pack(number)], [] if found is None else [found])
        except OSError as error:
            log.error("%s: %s cannot be answered: %s", client, ascii(name), error.strerror)
        finally:
            if found is not None:
                os.close(found)
