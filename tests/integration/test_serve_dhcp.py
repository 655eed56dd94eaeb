"""``serve --dnsmasq``: the site changes and a running dnsmasq follows; what ends it, and what ends with it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

import pytest

from bootforge.errors import UsageError
from bootforge.generation import build_generation
from bootforge.serve import dnsmasq
from tests.integration.test_dhcp import SCRIPT, foreign
from tests.integration.wire import ENV, Wire, ip, make_wire
from tests.support import ROOT, SMALL, Done, environment, need

WEB, DB, NEW, OTHER = "00:14:4f:12:34:50", "00:14:4f:12:34:60", "00:14:4f:12:34:99", "00:14:4f:12:34:98"
X64 = ("-x", "0x5d:0007", "-V", "PXEClient:Arch:00007:UNDI:003016")


@dataclass
class Server:
    """``bootforge serve --dnsmasq`` at the server's end of a wire."""

    wire: Wire
    site: Path
    state: Path
    process: subprocess.Popen[str]
    http: str = ""

    @property
    def log(self) -> str:
        return (self.state / "log").read_text()

    def patch(self, old: str, new: str, file: str = "hosts/den.yaml") -> None:
        path = self.site / file
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    def wait_for(self, count: int, said: str) -> None:
        """Until the log says something for the so many-th time."""
        end = time.monotonic() + 60
        while self.log.count(said) < count:
            assert time.monotonic() < end, self.log
            time.sleep(0.1)

    def follows(self, old: str, new: str, file: str = "hosts/den.yaml", said: str = "read hosts") -> None:
        """A change of the site, until dnsmasq says that it has read what follows from it."""
        seen = self.log.count(said)
        self.patch(old, new, file)
        self.wait_for(seen + 1, said)

    def address(self, mac: str, *options: str) -> str:
        answer = self.wire.lease(mac, *(options or X64), tries=20)
        assert answer, self.log
        return answer["ip"]

    def pid(self) -> int:
        """Of dnsmasq: the grandchild that is called so."""
        return next(pid for pid in descendants(self.process.pid) if comm(pid) == "dnsmasq")


def comm(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def descendants(pid: int) -> Iterator[int]:
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return
    for child in map(int, children):
        yield child
        yield from descendants(child)


def command(wire: Wire, site: Path, state: Path, *options: str) -> list[str]:
    verb = (sys.executable, "-m", "bootforge", "serve", "--site", site, "--store", f"sqlite:///{state}/store.db")
    return wire.inside(wire.server, *verb, "--http-port", "0", "--tftp-port", "0", *options)


@contextmanager
def serving(wire: Wire, base: Path, mode: str = "full") -> Iterator[Server]:
    """On the site and state in ``base``, which are made if they are not there."""
    need("dnsmasq")
    site, state = base / "site", base / "state"
    if not site.exists():
        shutil.copytree(SMALL, site)
    state.mkdir(exist_ok=True)
    argv = command(wire, site, state, "--dnsmasq", mode)
    with (state / "log").open("w") as log:
        process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=log, text=True, env=environment(), cwd=ROOT)
    server = Server(wire, site, state, process)
    try:
        assert process.stdout
        server.http = process.stdout.readline().strip().replace("0.0.0.0", "127.0.0.1")
        assert server.http.startswith("http://"), server.log
        server.wait_for(1, "read hosts")
        end = time.monotonic() + 60
        while not (state / "last-good").exists():  # the worker has the site, too
            assert time.monotonic() < end, server.log
            time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(40)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with make_wire(tmp_path) as wire, serving(wire, tmp_path) as server:
        yield server


def test_hosts_come_go_and_swap_their_machines_without_a_restart(server: Server) -> None:
    pid = server.pid()
    assert (server.address(WEB), server.address(DB)) == ("10.2.0.21", "10.2.0.31")
    assert server.address(NEW).startswith("10.2.15.")

    # One comes, which had an address of the range.
    new = f"web09.prod.den.example.com: {{nics: {{lan: {{mac: {NEW}, address: 10.2.0.29}}}}}}\n\n"
    server.follows("db01.prod", f"{new}db01.prod")
    assert server.address(NEW) == "10.2.0.29"

    # Two swap their machines, while each holds the address that is the other's now.
    hosts = (server.site / "hosts" / "den.yaml").read_text()
    server.follows(hosts, hosts.replace(WEB, "web's").replace(DB, WEB).replace("web's", DB))
    server.wait_for(2, "its lease is released")
    assert (server.address(WEB), server.address(DB)) == ("10.2.0.31", "10.2.0.21")

    # A machine is replaced; the old one is nobody's.
    server.follows(f"mac: {NEW}", f"mac: {OTHER}")
    server.wait_for(3, "its lease is released")
    assert server.address(OTHER) == "10.2.0.29"
    assert server.address(NEW).startswith("10.2.15.")

    # One goes, and gets a stranger's address.
    server.follows(new.replace(NEW, OTHER), "")
    assert server.address(OTHER).startswith("10.2.15.")

    # What is no business of DHCP's does not reach dnsmasq at all.
    read = server.log.count("read hosts")
    served = server.log.count("serving revision")
    server.patch("profile: rocky9", "profile: alma9", "site.yaml")
    server.wait_for(served + 1, "serving revision")
    assert server.address(WEB) == "10.2.0.31"
    assert (server.log.count("read hosts"), server.pid()) == (read, pid)


def test_a_network_or_a_boot_program_of_its_own_starts_dnsmasq_anew(server: Server) -> None:
    pid = server.pid()
    server.follows("10.2.15.100-10.2.15.199", "10.2.14.7-10.2.14.9", "site.yaml")
    assert server.address(NEW).startswith("10.2.14.") and server.pid() != pid
    again = server.pid()
    server.follows("address: 10.2.0.21}}", "address: 10.2.0.21}}\n  machine: {loader: shim}")
    answer = server.wire.lease(WEB, *X64, tries=20)
    assert answer and answer["boot_file"] == "m/00-14-4f-12-34-50/shimx64.efi" and server.pid() != again
    assert server.log.count("networks have changed") == 2


def test_a_broken_site_changes_nothing_even_when_dnsmasq_dies(server: Server) -> None:
    server.patch("address: 10.2.0.21", "address: 10.99.0.21")
    server.wait_for(1, "the site is broken")
    pid, read = server.pid(), server.log.count("read hosts")
    os.kill(pid, signal.SIGKILL)
    server.wait_for(read + 1, "read hosts")
    assert server.address(WEB) == "10.2.0.21" and server.pid() != pid


@pytest.mark.parametrize("victim", ["dnsmasq", "bootforge-dhcp"])
def test_who_is_killed_under_load_is_back_before_a_client_gives_up(server: Server, victim: str) -> None:
    """Machines go on asking meanwhile; the next one that asks five times, a second apart, is answered."""
    over = Event()
    asked = [sys.executable, str(ROOT / "tests/integration/dhcp_client.py"), "c0", NEW, "7", "PXEClient", "1"]

    def load() -> None:
        while not over.is_set():
            subprocess.run(server.wire.inside(server.wire.client, *asked), capture_output=True)

    threads = [Thread(target=load) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            os.kill(next(pid for pid in descendants(server.process.pid) if comm(pid) == victim), signal.SIGKILL)
            answer = server.wire.lease(WEB, *X64, tries=5)
            assert answer and answer["ip"] == "10.2.0.21", server.log
    finally:
        over.set()
        for thread in threads:
            thread.join()
    assert "it is started again" in server.log


SQUATTER = """
import socket, time
while True:
    try:
        squatter = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        squatter.bind(("0.0.0.0", 67))
        break
    except OSError:
        squatter.close()
print("mine", flush=True)
time.sleep(600)
"""


def test_who_takes_the_port_later_stops_dhcp_and_nothing_else(server: Server) -> None:
    need("curl")
    wire = server.wire
    with subprocess.Popen(wire.inside(wire.server, sys.executable, "-c", SQUATTER), stdout=subprocess.PIPE) as squatter:
        try:
            os.kill(server.pid(), signal.SIGKILL)
            assert squatter.stdout and squatter.stdout.readline() == b"mine\n"
            server.wait_for(2, "failed to bind DHCP server socket: Address already in use")
            script = f"{server.http}boot.ipxe"
            fetched = subprocess.run(
                wire.inside(wire.server, "curl", "-sf", "--noproxy", "*", script), capture_output=True
            )
            assert fetched.stdout.startswith(b"#!ipxe"), server.log
            read = server.log.count("read hosts")
        finally:
            squatter.kill()
    server.wait_for(read + 1, "read hosts")
    assert server.address(WEB) == "10.2.0.21"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_dnsmasq_ends_with_the_server(server: Server, number: signal.Signals) -> None:
    pid = server.pid()
    server.process.send_signal(number)
    server.process.wait(40)
    end = time.monotonic() + 20
    while comm(pid) == "dnsmasq":
        assert time.monotonic() < end, "dnsmasq outlives the server"
        time.sleep(0.05)


def test_its_files_are_the_servers_and_its_rights_are_three(server: Server) -> None:
    assert server.address(WEB) == "10.2.0.21"
    where = server.state / "dnsmasq"
    modes = {path.name: oct(path.stat().st_mode & 0o777) for path in (where, *where.iterdir())}
    assert modes == {
        "dnsmasq": "0o700",
        "dnsmasq.conf": "0o600",
        "hosts": "0o600",
        "leases": "0o644",
    }  # its umask is its own
    status = Path(f"/proc/{server.pid()}/status").read_text()
    assert f"CapEff:\t{1 << 10 | 1 << 12 | 1 << 13:016x}\n" in status and "NoNewPrivs:\t1\n" in status


def test_a_lease_behind_a_relay_is_released_too(tmp_path: Path) -> None:
    """Left over from before a restart, of a network that this machine is not on."""
    where = tmp_path / "state" / "dnsmasq"
    where.mkdir(parents=True, mode=0o700)
    left, kept = (f"{int(time.time()) + 9999} {mac} 10.5.0.{at} * 01:{mac}" for mac, at in ((OTHER, 21), (WEB, 99)))
    (where / "leases").write_text(f"{left}\n{kept}\n")
    far = "  den-far: {site: den, subnet: 10.5.0.0/24, range: 10.5.0.90-10.5.0.99, server: http://10.2.0.5}\n"
    network, host = "networks:\n", f"web09.prod.den.example.com: {{nics: {{lan: {{mac: {NEW}, network: den-far,"
    site = shutil.copytree(SMALL, tmp_path / "site")
    (site / "site.yaml").write_text((site / "site.yaml").read_text().replace(network, network + far))
    (site / "hosts" / "far.yaml").write_text(f"{host} address: 10.5.0.21}}}}}}\n")
    with make_wire(tmp_path) as wire:
        ip("route", "add", "default", "via", "10.2.0.1", netns=wire.server)
        with serving(wire, tmp_path) as server:
            end = time.monotonic() + 30
            while left in (where / "leases").read_text():
                assert time.monotonic() < end, server.log
                time.sleep(0.1)
            assert kept in (where / "leases").read_text()


def test_a_proxy_that_is_served_follows_too(tmp_path: Path) -> None:
    with make_wire(tmp_path) as wire:
        other = foreign(wire)
        theirs = "authoritative;\nsubnet 10.2.0.0 netmask 255.255.240.0 { range 10.2.9.1 10.2.9.99; }\n"
        try:
            need("dhcpd")
            with wire.serving("isc", theirs, other, "e0"), serving(wire, tmp_path / "ours", "proxy") as server:
                offers = wire.offers(WEB, "7+ipxe", "PXEClient:Arch:00007:UNDI:003016")
                assert {str(one["ip"])[:7]: one["file"] for one in offers} == {
                    "10.2.9.": "",
                    "0.0.0.0": SCRIPT,
                }
                server.follows("server: http://10.2.0.5 ", "server: http://10.2.0.5:8080 ", "site.yaml")
                offers = wire.offers(WEB, "7+ipxe", "PXEClient:Arch:00007:UNDI:003016")
                assert SCRIPT.replace("/http/10.2.0.5", "/http/10.2.0.5:8080") in [one["file"] for one in offers]
        finally:
            subprocess.run(["ip", "netns", "del", other], check=True)


# What stops the start


def refused(wire: Wire, base: Path, *before: str) -> Done:
    (base / "state").mkdir(exist_ok=True)
    argv = command(wire, SMALL, base / "state", "--dnsmasq", "full")
    done = subprocess.run([*argv[:4], *before, *argv[4:]], capture_output=True, text=True, env=environment(), cwd=ROOT)
    return Done(done.returncode, done.stdout, done.stderr)


def test_a_port_that_is_taken_stops_the_start(tmp_path: Path) -> None:
    need("dhcpd")
    theirs = "subnet 10.2.0.0 netmask 255.255.240.0 { range 10.2.9.1 10.2.9.99; }\n"
    with make_wire(tmp_path) as wire, wire.serving("isc", theirs):
        done = refused(wire, tmp_path)
    assert (done.status, done.out) == (2, "")
    assert "dnsmasq cannot have UDP port 67: Address already in use" in done.err and "ss -lunp" in done.err


def test_missing_rights_stop_the_start(tmp_path: Path) -> None:
    need("setpriv")
    with make_wire(tmp_path) as wire:
        done = refused(wire, tmp_path, "setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    assert (done.status, done.out) == (2, "")
    assert "needs CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW" in done.err and "as root" in done.err


def test_a_dnsmasq_that_is_not_there_stops_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dnsmasq, "_PATH", "/nowhere")
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(UsageError, match="there is no dnsmasq"):
        dnsmasq.prepare(build_generation(SMALL), "full", tmp_path / "dnsmasq")


def test_a_configuration_that_dnsmasq_refuses_stops_the_start(tmp_path: Path) -> None:
    need("dnsmasq")
    site = shutil.copytree(SMALL, tmp_path / "site")
    (site / "templates" / "dhcp").mkdir(parents=True)
    (site / "templates" / "dhcp" / "dnsmasq.conf.j2").write_text("no-such-option\n")
    with make_wire(tmp_path) as wire:
        argv = command(wire, site, tmp_path, "--dnsmasq", "full")
        done = subprocess.run(argv, capture_output=True, text=True, env={**ENV, **environment()}, cwd=ROOT)
    assert done.returncode == 2 and "dnsmasq refuses " in done.stderr and "bad option at line 1" in done.stderr
