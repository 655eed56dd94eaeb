"""``serve --dnsmasq``: a dnsmasq of the server's own, which follows the site without a restart.

The worker writes two files below the state directory whenever a generation becomes the served one: the configuration,
which is about networks, and the reservations. This process starts dnsmasq on them, sends SIGHUP when the reservations
change, and starts it anew when the configuration does. dnsmasq ends with this process, and the supervisor starts both
again.

What dnsmasq 2.90 needs help with, measured: a lease that an address's former owner still holds keeps the new owner from
it until it runs out, so such leases are released in its name (``release``); what ``dhcp-hostsdir`` has said it does not
forget, so the reservations are a ``dhcp-hostsfile``; and tags in that file crash it (``render_hosts``).
"""

from __future__ import annotations

import ctypes
import logging
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from bootforge.errors import UsageError
from bootforge.generation import Generation
from bootforge.render.dhcp import Mode, Subnet, render_dnsmasq, render_hosts

log = logging.getLogger(__name__)

_CONFIG, _HOSTS, _LEASES = "dnsmasq.conf", "hosts", "leases"
_LOOK = 0.25
"""Seconds between two looks at the files."""
_RELEASES = 20
"""How many looks in a row may find the same lease unreleased before that is an error."""
_PATIENCE = 3.0
"""Seconds that a predecessor has to leave the port, and dnsmasq to end."""
_PATH = "/usr/local/sbin:/usr/sbin:/sbin:/usr/local/bin:/usr/bin:/bin"
_PORTS: dict[Mode, tuple[int, ...]] = {"full": (67,), "proxy": (67, 4011)}
_BIND_SERVICE, _NET_ADMIN, _NET_RAW = 10, 12, 13
_NEEDED = (_BIND_SERVICE, _NET_ADMIN, _NET_RAW)
_PR_SET_PDEATHSIG, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 24, 38
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def directory(state: Path) -> Path:
    """Where the files of dnsmasq are."""
    return state / "dnsmasq"


def prepare(generation: Generation, mode: Mode, where: Path) -> None:
    """Writes the files, and sees that dnsmasq can start on them. Raises UsageError that says why it cannot: what is
    wrong at the start stops the start."""
    program = _program()
    _check_rights()
    subnets = generation.subnets()
    if not subnets:
        raise UsageError("no network of the site has a 'server:' and a 'subnet:'", "--dnsmasq serves those that have")
    try:
        write_files(generation, mode, where)
    except OSError as error:
        raise UsageError(f"{where} cannot be written: {error.strerror}", "give another --store") from None
    if complaint := _complaint(program, where):
        hint = "what is printed was tried with dnsmasq 2.90; an older one may lack an option"
        raise UsageError(f"dnsmasq refuses {where / _CONFIG}: {complaint}", hint)
    for port in _PORTS[mode]:
        _check_port(port)
    _check_addresses(subnets)


def write_files(generation: Generation, mode: Mode, where: Path) -> None:
    """The files of a generation, each made whole, for nobody else to read. Raises OSError."""
    where.mkdir(mode=0o700, exist_ok=True)
    subnets = generation.subnets()
    hosts = render_hosts(subnets, generation.engine) if mode == "full" else ""
    for name, text in (
        (_HOSTS, hosts),
        (_CONFIG, render_dnsmasq(subnets, mode, generation.engine, apart=True)),
    ):
        path = where / name
        content = text.encode()
        if not path.is_file() or path.read_bytes() != content:
            new = path.with_name(f".{name}.{os.getpid()}")
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            new.replace(path)


def run(where: Path) -> None:
    """Keeps a dnsmasq on the files until one of the two ends. Raises SystemExit when that is dnsmasq."""
    program = _program()
    seen = _looks(where)
    config = (where / _CONFIG).read_bytes()
    process = _start(program, where)
    applied, left = seen, _RELEASES
    while True:
        time.sleep(_LOOK)
        if (status := process.poll()) is not None:
            log.error("dnsmasq ended with status %s", status)
            raise SystemExit(1)
        now = _looks(where)
        if now == seen != applied:
            applied, left = now, _RELEASES
            new = (where / _CONFIG).read_bytes()
            if new == config:
                process.send_signal(signal.SIGHUP)
            elif complaint := _complaint(program, where):
                log.error("dnsmasq refuses its new configuration and goes on with the old one: %s", complaint)
            else:
                config = new
                log.info("networks have changed: dnsmasq is started anew")
                _end(process)
                process = _start(program, where)
        elif left:
            left = left - 1 if _release_stale(where, relayed=left % 2 == 0) else 0
            if left == 1:
                log.error("dnsmasq keeps leases of addresses that are others' now: %s", where / _LEASES)
        seen = now


@dataclass(frozen=True, slots=True)
class Held:
    """A line of dnsmasq's lease file; ``client``: the client identifier in hex, or ``*``."""

    mac: str
    address: str
    client: str


def stale(leases: str, hosts: str) -> Iterator[Held]:
    """Leases of addresses that the reservations give to another machine."""
    owners: dict[str, set[str]] = {}
    for line in hosts.splitlines():
        words = line.split(",")
        for word in words:
            if _is_address(word):
                owners[word] = {one for one in words if _MAC.fullmatch(one)}
    for line in leases.splitlines():
        words = line.split()
        if len(words) == 5 and _MAC.fullmatch(words[1]):
            held = Held(words[1], words[2], words[4])
            if held.mac not in owners.get(held.address, {held.mac}):
                yield held


def release(held: Held, server: str, *, relayed: bool) -> bytes:
    """The DHCPRELEASE (RFC 2131, 4.4.6) that the holder would send. ``relayed``: as from behind a relay, for a network
    that this machine is not on."""
    address = socket.inet_aton(held.address)
    chaddr = bytes.fromhex(held.mac.replace(":", ""))
    client = bytes.fromhex(held.client.replace(":", "")) if held.client != "*" else b""
    return b"".join(
        (
            struct.pack("!BBBBIHH", 1, 1, 6, 0, 0x42460000, 0, 0),
            *(address, bytes(8), address if relayed else bytes(4), chaddr.ljust(16, b"\0"), bytes(192)),
            bytes.fromhex("63825363350107"),
            bytes((54, 4)) + socket.inet_aton(server),
            bytes((61, len(client))) + client if client else b"",
            b"\xff",
        )
    )


def _release_stale(where: Path, *, relayed: bool) -> bool:
    """Releases leases of former owners; whether there were any. dnsmasq writes the file as soon as a lease changes."""
    try:
        found = list(stale((where / _LEASES).read_text("latin-1"), (where / _HOSTS).read_text()))
    except OSError:
        return False  # nobody has asked yet
    for held in found:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.connect((held.address, 67))  # nothing is sent: the kernel says which address of ours is nearest
                server = sender.getsockname()[0]
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.sendto(release(held, server, relayed=relayed), (server, 67))
            log.info("%s: %s is another machine's now; its lease is released", held.mac, held.address)
        except (OSError, ValueError) as error:
            log.warning("%s: its lease of %s cannot be released: %s", held.mac, held.address, error)
    return bool(found)


def _is_address(word: str) -> bool:
    try:
        IPv4Address(word)
    except AddressValueError:
        return False
    return True


def _looks(where: Path) -> tuple[tuple[int, int, int], ...]:
    """What tells whether a file was replaced."""
    statuses = [(where / name).stat() for name in (_HOSTS, _CONFIG)]
    return tuple((status.st_ino, status.st_mtime_ns, status.st_size) for status in statuses)


def _program() -> str:
    """Raises UsageError when dnsmasq is not installed."""
    found = shutil.which("dnsmasq", path=f"{os.environ.get('PATH', '')}:{_PATH}")
    if found is None:
        raise UsageError("there is no dnsmasq", "install dnsmasq-base (Debian) or dnsmasq (EL), or leave out --dnsmasq")
    return found


def _start(program: str, where: Path) -> subprocess.Popen[bytes]:
    """dnsmasq, in its directory so that it needs no right to the ones above, logging to our standard error. It stays
    the server's user: it could not read its files as another. ``--no-daemon`` is what keeps it from changing that, and
    a process that changes its user would outlive its parent (prctl(2), PR_SET_PDEATHSIG)."""
    options = ("--no-daemon", f"--conf-file={_CONFIG}", f"--dhcp-hostsfile={_HOSTS}", f"--dhcp-leasefile={_LEASES}")
    parent = os.getpid()
    return subprocess.Popen(
        (program, *options, "--log-facility=-"), cwd=where, stdin=subprocess.DEVNULL, preexec_fn=lambda: _limit(parent)
    )


def _limit(parent: int) -> None:
    """In the new process: no right but those that DHCP needs, and no life without its parent."""
    libc = ctypes.CDLL(None)
    for number in range(64):
        if number not in _NEEDED:
            libc.prctl(_PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _complaint(program: str, where: Path) -> str:
    """What dnsmasq says against the configuration; '' if nothing."""
    command = (program, "--test", f"--conf-file={_CONFIG}")
    done = subprocess.run(command, cwd=where, capture_output=True, text=True, errors="replace")
    said = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    return said.removeprefix("dnsmasq: ") if done.returncode else ""


def _check_rights() -> None:
    """Raises UsageError without what DHCP takes: it answers machines that have no address yet."""
    status = Path("/proc/self/status").read_text()
    # Rights of another user than root get to a program that is started only if they are ambient.
    found = re.search(rf"^{'CapEff' if os.geteuid() == 0 else 'CapAmb'}:\s*([0-9a-f]+)$", status, re.MULTILINE)
    has = int(found[1], 16) if found else 0
    if any(not has >> number & 1 for number in _NEEDED):
        hint = (
            "run it as root, or with 'AmbientCapabilities=CAP_NET_BIND_SERVICE CAP_NET_ADMIN CAP_NET_RAW' in its unit"
        )
        raise UsageError("--dnsmasq needs CAP_NET_BIND_SERVICE, CAP_NET_ADMIN and CAP_NET_RAW", hint)


def _check_port(port: int) -> None:
    """Raises UsageError when somebody has the port, who may be a predecessor that is just ending."""
    end = time.monotonic() + _PATIENCE
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind(("0.0.0.0", port))
                return
            except OSError as error:
                if time.monotonic() > end:
                    hint = f"'ss -lunp sport = {port}' shows which program has it; stop that, or leave out --dnsmasq"
                    what = f"dnsmasq cannot have UDP port {port}: {error.strerror}"
                    raise UsageError(what, hint) from None
        time.sleep(0.1)


def _check_addresses(subnets: Iterable[Subnet]) -> None:
    """A warning when this machine is on none of the networks: DHCP is broadcast, or comes by a relay."""
    addresses = [subnet.address for subnet in subnets]
    for address in addresses:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.bind((address, 0))
                return
            except OSError:
                pass
    log.warning("no 'server:' of a network is an address of this machine (%s)", ", ".join(sorted(set(addresses))))
