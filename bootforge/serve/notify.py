"""What systemd is told of the service (sd_notify(3)): when it is ready, reloads, stops."""

from __future__ import annotations

import os
import socket
import time
from contextlib import suppress


class Notifier:
    """Takes NOTIFY_SOCKET out of the environment, so that no child, library or command speaks for the service. Without
    systemd it does nothing."""

    def __init__(self) -> None:
        address = os.environ.pop("NOTIFY_SOCKET", "")
        self.address = "\0" + address[1:] if address.startswith("@") else address

    def __call__(self, *lines: str) -> None:
        if self.address:
            with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
                sender.sendto("\n".join(lines).encode(), self.address)

    def reloading(self) -> None:
        """``ready`` must follow."""
        self("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def ready(self, status: str) -> None:
        self("READY=1", f"STATUS={status}")

    def stopping(self) -> None:
        self("STOPPING=1")
