"""A conversation with the script that receives a bootstrap (templates/run/receive.sh), over the pipes of a process: an
ssh, or a sh on this machine. It says that it is ready and whose stamp is there; it gets the payload; then the report
comes. All that it says is hostile: memory, output and time are bounded.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from bootforge.report import Line, ReportReader

CONNECT = 60.0
"""Seconds for a connection, a login and sudo."""

GRACE = 10.0
"""Seconds that hosts get to come to their end when the operator has had enough."""

_TICK = 0.25
_FLOOD = 16 * 1024 * 1024
_NOISE = 64 * 1024
_ERRORS = 8 * 1024
_READY = b"bootforge-ready "


@dataclass(slots=True)
class Control:
    """What the operator wants of all conversations: ``enough``, no payload is sent from now on; from ``leave_at`` on
    (monotonic), nobody is waited for."""

    enough: bool = False
    leave_at: float = float("inf")

    def interrupt(self) -> None:
        """The first time those at work get a while to come to their end, the second time none."""
        self.leave_at = time.monotonic() + (0 if self.enough else GRACE)
        self.enough = True


Stop = Literal["", "unanswered", "late", "flood", "enough", "left"]
"""Why we ended a conversation: no connection in time; the time was up; too much was said; the operator had enough
before the payload was sent, or after."""


@dataclass(slots=True)
class Session:
    """``payload`` makes what is sent of the host that the stamp names, '-' for none. ``said`` hears each line of the
    report. ``timeout``: seconds from the moment that it is ready. ``detached``: the process is the run itself, and
    goes on when we end the conversation. After ``run``: ``status`` as Popen has it, ``sent``: the whole payload went
    out."""

    argv: Sequence[str]
    env: Mapping[str, str]
    payload: Callable[[str], bytes]
    said: Callable[[Line], None]
    control: Control
    timeout: float
    detached: bool
    reader: ReportReader = field(default_factory=ReportReader)
    status: int | None = None
    stop: Stop = ""
    ready: bool = False
    sent: bool = False
    errors: bytes = b""
    noise: bytes = b""
    _unsent: memoryview = memoryview(b"")
    _taken: int = 0

    def run(self) -> None:
        """Raises OSError when the process cannot be started."""
        pipe = subprocess.PIPE
        process = subprocess.Popen(
            self.argv, stdin=pipe, stdout=pipe, stderr=pipe, env=self.env, bufsize=0, start_new_session=True
        )
        try:
            self._converse(process)
        finally:
            for stream in (process.stdin, process.stdout, process.stderr):
                with suppress(OSError):
                    if stream:
                        stream.close()
            if not (self.detached and self.stop and self.sent):
                self.status = _reap(process, 0 if self.stop else 5)

    def _converse(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin and process.stdout and process.stderr
        into, out, err = process.stdin.fileno(), process.stdout.fileno(), process.stderr.fileno()
        poll = select.poll()
        for fd in (into, out, err):
            os.set_blocking(fd, False)
        for fd in (out, err):
            poll.register(fd, select.POLLIN)
        begun, waiting, ended = time.monotonic(), {out, err}, 0.0
        while waiting:
            now = time.monotonic()
            self.stop = self._too_much(now - begun, now)
            if self.stop:
                return
            for fd, _ in poll.poll(_TICK * 1000):
                if fd == into:
                    if self._send(fd):
                        poll.unregister(fd)
                        process.stdin.close()
                elif data := _read(fd):
                    if self._take(data, fd == err):
                        begun = time.monotonic()
                        poll.register(into, select.POLLOUT)
                elif data is not None:
                    poll.unregister(fd)
                    waiting.discard(fd)
            # What a process leaves behind may hold its pipes for ever.
            if process.poll() is not None:
                ended = ended or now
                if now - ended > 2:
                    return

    def _too_much(self, seconds: float, now: float) -> Stop:
        if self._taken > _FLOOD or len(self.noise) > _NOISE:
            return "flood"
        if self.control.enough and not self.sent:
            return "enough"
        if now >= self.control.leave_at:
            return "left"
        if self.ready:
            return "late" if seconds > self.timeout else ""
        return "unanswered" if seconds > min(CONNECT, self.timeout) else ""

    def _take(self, data: bytes, error: bool) -> bool:
        """What was said; whether that was the word that the payload may come."""
        self._taken += len(data)
        if error:
            self.errors = (self.errors + data)[-_ERRORS:]
            return False
        if self.ready:
            self._hear(data)
            return False
        *lines, rest = (self.noise + data).split(b"\n")
        for at, line in enumerate(lines):
            if line.startswith(_READY):
                self.ready = True
                host = line.removeprefix(_READY).decode(errors="replace").strip()
                self._unsent = memoryview(self.payload(host))
                self._hear(b"\n".join([*lines[at + 1 :], rest]))
                return True
        self.noise += data
        return False

    def _hear(self, data: bytes) -> None:
        for line in self.reader.feed(data):
            self.said(line)

    def _send(self, fd: int) -> bool:
        """Sends what the pipe takes; whether that was the last of it."""
        try:
            self._unsent = self._unsent[os.write(fd, self._unsent[:65536]) :]
        except BlockingIOError:
            return False
        except OSError:
            return True
        self.sent = not self._unsent
        return self.sent


def _read(fd: int) -> bytes | None:
    """What there is; b"" at the end, None when there is nothing now."""
    try:
        return os.read(fd, 65536)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def _reap(process: subprocess.Popen[bytes], patience: float) -> int:
    """The status of the process, which is ended with what it started when it does not end by itself."""
    for seconds, number in ((patience, signal.SIGTERM), (2, signal.SIGKILL)):
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, number)
    return process.wait()
