"""A cable between two network namespaces, the DHCP servers of the three kinds at one end, clients at the other."""

from __future__ import annotations

import json
import os
import shutil
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


def unconfined(program: str, directory: Path) -> Path:
    """A copy of a program, because a distribution's AppArmor profile, which goes by path, lets it read /etc alone."""
    found = shutil.which(program, path=ENV["PATH"])
    assert found, program
    return Path(shutil.copy(found, directory))


@dataclass
class Wire:
    """Two namespaces: ``s0`` at the server's end has an address, ``c0`` at the client's has none unless it is given."""

    server: str
    client: str
    directory: Path

    @property
    def lost(self) -> Path:
        """What a cable that loses frames said at its end."""
        return self.directory / "lost"

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

    def offers(
        self, mac: str, architecture: int | str, vendor: str, server: str = "", wanted: int = 2
    ) -> list[dict[str, object]]:
        """The answers that a client of our own gets (dhcp_client.py): so many, or all within two seconds if 0."""
        words = ("c0", mac, str(architecture), vendor, str(wanted), *([server] if server else []))
        command = self.inside(self.client, sys.executable, CLIENT, *words)
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        return [json.loads(line) for line in done.stdout.splitlines()]

    @contextmanager
    def serving(
        self, kind: str, configuration: str, namespace: str = "", interface: str = "s0", leases: Path | None = None
    ) -> Iterator[Path]:
        """The real server of a kind, answering; its log. ``leases``: those that dnsmasq has already."""
        base = self.directory / f"{kind}-{next(_numbers)}"
        base.mkdir()
        config, log = base / "config", base / "log"
        argv: list[str | Path]
        if kind == "dnsmasq":
            kept = leases or base / "leases"
            argv = ["dnsmasq", "--no-daemon", f"--conf-file={config}", "--no-ping", f"--dhcp-leasefile={kept}"]
        elif kind == "kea":
            loaded = json.loads(configuration)
            loaded["Dhcp4"]["lease-database"] = {"type": "memfile", "persist": False}
            configuration = json.dumps(loaded)
            argv = ["env", f"KEA_PIDFILE_DIR={base}", f"KEA_LOCKFILE_DIR={base}"]
            argv += [unconfined("kea-dhcp4", base), "-c", config]
        else:
            (base / "leases").touch()
            argv = [
                unconfined("dhcpd", base),
                "-f",
                "-cf",
                config,
                "-lf",
                base / "leases",
                "-pf",
                base / "pid",
                interface,
            ]
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
def make_wire(directory: Path, address: str = "10.2.0.5/20", lost: int = 0) -> Iterator[Wire]:
    """A wire of the test's own, which may lose one frame of so many; skips where there is no root."""
    need("ip", "busybox")
    if os.geteuid():
        pytest.skip("network namespaces need root")
    number = f"{os.getpid()}-{next(_numbers)}"
    server, client, middle = (f"bf-{end}-{number}" for end in "scm")
    wire, cable = Wire(server, client, directory), None
    try:
        for name in (server, client, *([middle] if lost else [])):
            ip("netns", "add", name)
            ip("link", "set", "lo", "up", netns=name)
        if lost:
            for end, namespace in (("s0", server), ("c0", client)):
                ip("link", "add", end, "type", "veth", "peer", "name", f"m{end}", "netns", middle, netns=namespace)
                ip("link", "set", f"m{end}", "up", netns=middle)
                # Else checksums are left to hardware that is not there, and a raw socket sees them unmade.
                off = wire.inside(namespace, "ethtool", "-K", end, "tx", "off")
                subprocess.run(off, check=True, capture_output=True, env=ENV)
        else:
            ip("link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", client, netns=server)
        ip("addr", "add", address, "dev", "s0", netns=server)
        ip("link", "set", "s0", "up", netns=server)
        ip("link", "set", "c0", "up", netns=client)
        ip("route", "add", "default", "dev", "c0", netns=client)
        if lost:
            words = (sys.executable, Path(__file__).with_name("lossy.py"), "ms0", "mc0", str(lost))
            with wire.lost.open("w") as said:
                cable = subprocess.Popen(wire.inside(middle, *words), stdout=subprocess.PIPE, stderr=said, text=True)
            assert cable.stdout and cable.stdout.readline() == "ready\n", wire.lost.read_text()
        yield wire
    finally:
        if cable:
            cable.terminate()
            cable.wait(10)
        for name in (server, client, middle):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def check(kind: str, configuration: str, directory: Path) -> tuple[int, str]:
    """What the real program says of a configuration that it only reads: its exit code, and its words."""
    need(PACKAGES[kind])
    path = directory / f"{kind}.conf"
    path.write_text(configuration)
    program = PACKAGES[kind] if kind == "dnsmasq" else unconfined(PACKAGES[kind], directory)
    options = {"dnsmasq": ("--test", "-C", path), "kea": ("-t", path), "isc": ("-t", "-cf", path, "-lf", "/dev/null")}
    argv = (program, *options[kind])
    env = {**ENV, "KEA_LOCKFILE_DIR": str(directory), "KEA_PIDFILE_DIR": str(directory)}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr
