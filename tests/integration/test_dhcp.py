"""The DHCP configuration in a real dnsmasq, asked by a real client, in network namespaces of the test's own."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from tests.support import SMALL, need

SERVER = "http://10.2.0.5"
PLANNED = {
    "00:14:4f:12:34:50": ("10.2.0.21", "web01.prod.den.example.com"),
    "00:14:4f:12:34:60": ("10.2.0.31", "db01.prod.den.example.com"),
    "00:16:3e:12:34:70": ("10.2.0.41", "app01.qa.den.example.com"),
}
BIOS, X64, X64_OLD, IPXE = ["-x", "0x5d:0000"], ["-x", "0x5d:0007"], ["-x", "0x5d:0009"], ["-x", "0xaf:010101"]


def ip(*args: str, netns: str = "") -> None:
    subprocess.run(["ip", *(["-n", netns] if netns else []), *args], check=True, capture_output=True)


@pytest.fixture(scope="module")
def wire() -> Iterator[tuple[str, str]]:
    """Two namespaces joined by a cable: the server's side has 10.2.0.5."""
    need("ip", "dnsmasq", "busybox")
    if os.geteuid():
        pytest.skip("network namespaces need root")
    server, client = f"bf-dhcp-{os.getpid()}", f"bf-dhcpc-{os.getpid()}"
    try:
        for name in (server, client):
            ip("netns", "add", name)
            ip("link", "set", "lo", "up", netns=name)
        ip("link", "add", "s0", "type", "veth", "peer", "name", "c0", "netns", client, netns=server)
        ip("addr", "add", "10.2.0.5/20", "dev", "s0", netns=server)
        ip("link", "set", "s0", "up", netns=server)
        ip("link", "set", "c0", "up", netns=client)
        yield server, client
    finally:
        for name in (server, client):
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


@pytest.fixture(params=["full", "proxy"])
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_dnsmasq_accepts_the_configuration(mode: str, tmp_path: Path) -> None:
    need("dnsmasq")
    config = tmp_path / "dnsmasq.conf"
    config.write_text(build_generation(SMALL).dnsmasq(mode))  # type: ignore[arg-type]
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    done = subprocess.run(["dnsmasq", "--test", "-C", config], capture_output=True, text=True, env=env)
    assert (done.returncode, done.stderr.strip()) == (0, "dnsmasq: syntax check OK.")


@pytest.fixture(scope="module")
def lease(wire: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """Asks the running dnsmasq as a machine with a MAC address and options would; the answer's variables."""
    server, client = wire
    base = tmp_path_factory.mktemp("dhcp")
    (base / "dnsmasq.conf").write_text(build_generation(SMALL).dnsmasq("full"))
    script = base / "script"
    script.write_text('#!/bin/sh\n[ "$1" = bound ] && env\nexit 0\n')
    script.chmod(0o755)
    env = {**os.environ, "PATH": os.environ["PATH"] + ":/usr/sbin"}
    command = ["ip", "netns", "exec", server, "dnsmasq", "--no-daemon", "-C", base / "dnsmasq.conf", "--no-ping"]
    command += [f"--dhcp-leasefile={base}/leases", f"--pid-file={base}/pid", "--interface=s0", "--bind-interfaces"]
    with (base / "log").open("w") as log:
        dnsmasq = subprocess.Popen(command, env=env, stdout=log, stderr=log)
    time.sleep(0.5)

    def ask(mac: str, *options: str) -> dict[str, str]:
        ip("link", "set", "c0", "address", mac, netns=client)
        udhcpc = ["busybox", "udhcpc", "-i", "c0", "-f", "-q", "-n", "-t", "5", "-T", "1", "-s", str(script)]
        done = subprocess.run(
            ["ip", "netns", "exec", client, *udhcpc, *options], capture_output=True, text=True, timeout=30, env=env
        )
        assert done.returncode == 0, done.stderr + (base / "log").read_text()
        return dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)

    try:
        yield ask
    finally:
        dnsmasq.terminate()
        dnsmasq.wait(10)


@pytest.mark.parametrize(
    "options,boot_file",
    [
        (BIOS, "undionly.kpxe"),
        (X64, "snponly.efi"),
        (X64_OLD, "snponly.efi"),
        ([*X64, *IPXE], f"{SERVER}/boot.ipxe"),
        ([*BIOS, *IPXE], f"{SERVER}/boot.ipxe"),
    ],
)
def test_every_planned_nic_gets_its_address_and_boot_file(lease, options: list[str], boot_file: str) -> None:  # type: ignore[no-untyped-def]
    for mac, (address, name) in PLANNED.items():
        answer = lease(mac, *options)
        assert answer["ip"] == address and answer["hostname"] == name.partition(".")[0]
        assert (answer["boot_file"], answer["router"], answer["dns"]) == (boot_file, "10.2.0.1", "10.2.0.2")
        assert boot_file.startswith("http") or answer["siaddr"] == "10.2.0.5"


def test_an_unknown_machine_gets_an_address_of_the_range(lease) -> None:  # type: ignore[no-untyped-def]
    answer = lease("52:54:00:ab:cd:ef", *X64)
    assert answer["ip"].startswith("10.2.15.1") and answer["boot_file"] == "snponly.efi"
