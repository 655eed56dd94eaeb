"""A cable between two network namespaces, the DHCP servers of the three kinds at one end, clients at the other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import pytest

from tests.support import ROOT, need

ENV = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
CLIENT = Path(__file__).with_name("dhcp_client.py")
PACKAGES = {"dnsmasq": "dnsmasq", "kea": "kea-dhcp4", "isc": "dhcpd"}
_READY = {"dnsmasq": "DHCP, ", "kea": "DHCP4_STARTED", "isc": "Sending on "}
_numbers = count()


def ip(*args: str, netns: str = "") -> None:
    subprocess.run(["ip", *(["-n", netns] if netns else []), *args], check=True, capture_output=True)


@dataclass
class Wire:
    """Two namespaces: ``s0`` at the server's end has an address, ``c0`` at the client's has none unless it is given."""

    server: str
    client: str
    directory: Path

    def inside(self, namespace: str, *argv: str | Path) -> list[str]:
        return ["ip", "netns", "exec", namespace, *map(str, argv)]

    def lease(self, mac: str, *options: str, tries: int = 8) -> dict[str, str] | None:
        """What busybox's udhcpc is told as a machine with this MAC address and options; None without an answer."""
        ip("link", "set", "c0", "address", mac, netns=self.client)
        script = self.directory / "script"
        script.write_text('#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n')
        script.chmod(0o755)
        udhcpc = ("busybox", "udhcpc", "-i", "c0", "-f", "-q", "-n", "-t", str(tries), "-T", "1", "-s", script)
        command = self.inside(self.client, *udhcpc, *options)
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=ENV)
        if done.returncode:
            return None
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    def offers(self, mac: str, architecture: int | str, vendor: str, server: str = "") -> list[dict[str, object]]:
        """Every answer that a client of our own gets (dhcp_client.py)."""
        words = ("c0", mac, str(architecture), vendor, *([server] if server else []))
        command = self.inside(self.client, sys.executable, CLIENT, *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    @contextmanager
    def serving(self, kind: str, configuration: str, namespace: str = "", interface: str = "s0") -> Iterator[Path]:
        """The real server of a kind, answering; its log."""
        base = self.directory / f"{kind}-{next(_numbers)}"
        base.mkdir()
        config, log = base / "config", base / "log"
        argv: list[str | Path]
        if kind == "dnsmasq":
            argv = ["dnsmasq", "--no-daemon", f"--conf-file={config}", "--no-ping", f"--dhcp-leasefile={base}/leases"]
        elif kind == "kea":
            loaded = json.loads(configuration)
            loaded["Dhcp4"]["lease-database"] = {"type": "memfile", "persist": False}
            configuration = json.dumps(loaded)
            argv = ["env", f"KEA_PIDFILE_DIR={base}", f"KEA_LOCKFILE_DIR={base}", "kea-dhcp4", "-c", config]
        else:
            (base / "leases").touch()
            argv = ["dhcpd", "-f", "-cf", config, "-lf", base / "leases", "-pf", base / "pid", interface]
        config.write_text(configuration)
        command = self.inside(namespace or self.server, *argv)
        with log.open("w") as file:
            process = subprocess.Popen(command, env=ENV, stdout=file, stderr=file)
        try:
            end = time.monotonic() + 30
            while _READY[kind] not in log.read_text():
                assert process.poll() is None and time.monotonic() < end, log.read_text()
                time.sleep(0.05)
            yield log
        finally:
            process.kill()
            process.wait(10)


@contextmanager
def make_wire(directory: Path, address: str = "10.2.0.5/20") -> Iterator[Wire]:
    """A wire of the test's own; skips where there is no root."""
    need("ip", "busybox")
    if os.geteuid():
        pytest.skip("network namespaces need root")
    number = f"{os.getpid()}-{next(_numbers)}"
    server, client = f"bf-s-{number}", f"bf-c-{number}"
    try:
        for name in (server, client):
            ip("netns", "add", name)
            ip("link", "set", "lo", "up", netns=name)
        ip("link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", client, netns=server)
        ip("addr", "add", address, "dev", "s0", netns=server)
        ip("link", "set", "s0", "up", netns=server)
        ip("link", "set", "c0", "up", netns=client)
        ip("route", "add", "default", "dev", "c0", netns=client)
        yield Wire(server, client, directory)
    finally:
        for name in (server, client):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def check(kind: str, configuration: str, directory: Path) -> tuple[int, str]:
    """What the real program says of a configuration that it only reads: its exit code, and its words."""
    need(PACKAGES[kind])
    path = directory / f"{kind}.conf"
    path.write_text(configuration)
    argv = {
        "dnsmasq": ("dnsmasq", "--test", "-C", path),
        "kea": ("kea-dhcp4", "-t", path),
        "isc": ("dhcpd", "-t", "-cf", path, "-lf", "/dev/null"),
    }[kind]
    env = {**ENV, "KEA_LOCKFILE_DIR": str(directory), "KEA_PIDFILE_DIR": str(directory)}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr
