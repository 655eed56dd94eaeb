"""What an operator has checked before machines find out: the site, the store, the clock, who listens where, what
machines will fetch, and whether secrets can be had."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import stat
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from bootforge.doctor.clients import certificate_days, fetch, fetch_tftp
from bootforge.errors import BootforgeError, SecretError, SiteError
from bootforge.generation import Generation
from bootforge.plan.loader import BIOS, X64, boot_files
from bootforge.plan.network import plan_network
from bootforge.render.netboot import render_chain
from bootforge.seal import Vault
from bootforge.serve.loaders import Loaders, lacking_text
from bootforge.serve.media import Media
from bootforge.state import added_loaders, server_key, state_dir
from bootforge.store import Store, open_store

Verdict = Literal["ok", "warn", "fail"]

FULL, LITTLE = 100 << 20, 1 << 30
"""Bytes free on the store's disk, below which it fails, and is warned of."""
DESCRIPTORS = 8192
"""What a row of racks at once needs: one for a connection, two for a TFTP transfer."""
SKEW = 60.0
EXPIRES = 14
_AT_A_TIME = 8
_TIME_ERROR = 5
_DHCP = ("dnsmasq", "kea-dhcp4", "dhcpd")


@dataclass(frozen=True, slots=True)
class Finding:
    """``remedy`` is '' for what is well."""

    check: str
    verdict: Verdict
    what: str
    remedy: str = ""


@dataclass(frozen=True, slots=True)
class Asked:
    """What the verb was given: the server to ask instead of each network's own, and where TFTP is."""

    store_url: str
    media: Path
    server: str | None
    tftp_port: int


def examine(build: Callable[[], Generation], asked: Asked) -> Iterator[Finding]:
    """Everything; what cannot be looked at is a finding as well."""
    generation = None
    try:
        generation = build()
        yield Finding("site", "ok", f"{len(generation.plans)} hosts, revision {generation.site.revision}")
    except SiteError as error:
        first = error.problems[0].line() if error.problems else ""
        yield Finding("site", "fail", f"{error.message}: {first}", "'bootforge check' tells all of them")
    except BootforgeError as error:
        yield Finding("site", "fail", error.message, error.hint)
    yield from state_findings(asked)
    yield from clock_findings()
    yield from descriptor_findings()
    yield from dhcp_findings()
    if generation:
        yield from secret_findings(generation)
        yield from server_findings(generation, asked)
        yield from tree_findings(generation, asked)


# This machine


def state_findings(asked: Asked) -> Iterator[Finding]:
    """The store, its directory and the key."""
    try:
        place = state_dir(asked.store_url)
    except BootforgeError as error:
        yield Finding("store", "fail", error.message, error.hint)
        return
    yield from mode_findings(place)
    store = None
    try:
        server_key(asked.store_url)
        store = open_store(asked.store_url)
        store.is_writable()
        yield from _told(store)
    except BootforgeError as error:
        yield Finding("store", "fail", error.message, error.hint)
    finally:
        if store:
            store.close()
    for name, path in (("store's disk", place), ("media's disk", asked.media)):
        if path.exists():
            yield _disk(name, path)


def _told(store: Store) -> Iterator[Finding]:
    states = Counter(one.state for one in store.status())
    told = ", ".join(f"{number} {state}" for state, number in sorted(states.items())) or "nobody was ever armed"
    yield Finding("store", "ok", f"can be written; {told}")
    if states["stuck"]:
        yield Finding("installs", "warn", f"{states['stuck']} hosts are stuck", "'bootforge status' names them")
    newest = store.events(limit=1)
    if newest and newest[-1].last > time.time() + SKEW:
        yield Finding("clock", "fail", "the store has events of the future", "set this machine's clock, by NTP")


def mode_findings(place: Path) -> Iterator[Finding]:
    """Nothing of the state is for others; that they may see names of files is no leak yet."""
    found = 0
    for path in [
        place,
        *sorted(place.glob("key*")),
        *sorted(place.glob("store.db*")),
        *sorted(place.glob("last-good*")),
    ]:
        mode = 0 if path.is_symlink() else stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            found += 1
            verdict: Verdict = "warn" if path == place and not mode & 0o022 else "fail"
            yield Finding("state", verdict, f"others may use {path} (mode {mode:o})", f"'chmod go= {path}'")
    if not found:
        yield Finding("state", "ok", f"{place} is its user's alone")


def _disk(name: str, path: Path) -> Finding:
    usage = shutil.disk_usage(path)
    what = f"{usage.free / 2**30:.1f} GiB free of {usage.total / 2**30:.1f}"
    verdict: Verdict = "fail" if usage.free < FULL else "warn" if usage.free < LITTLE else "ok"
    return Finding(name, verdict, what, "" if verdict == "ok" else "free some space: a full disk refuses installs")


def clock_findings(adjtimex: Callable[[], int] | None = None) -> Iterator[Finding]:
    """Whether the kernel knows the time to be right (adjtimex(2): TIME_ERROR when it is not synchronised)."""
    state = (adjtimex or _adjtimex)()
    if state == _TIME_ERROR:
        yield Finding("clock", "warn", "is not synchronised", "run chronyd or systemd-timesyncd: permissions are times")
    else:
        yield Finding("clock", "ok", "is synchronised" if state >= 0 else "cannot be asked about")


def _adjtimex() -> int:
    """0 to 5; -1 where it cannot be asked. With modes 0 nothing is set; the struct has 208 bytes on 64 bits."""
    return int(ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(1024)))


def descriptor_findings() -> Iterator[Finding]:
    """How many files and sockets a process may have."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used, _, most = Path("/proc/sys/fs/file-nr").read_text().split()
    many = hard == resource.RLIM_INFINITY or hard >= DESCRIPTORS
    what = f"{'no limit' if hard == resource.RLIM_INFINITY else hard} for a process; {used} of {most} in use"
    remedy = f"LimitNOFILE={DESCRIPTORS} or more in the unit, or 'ulimit -Hn {DESCRIPTORS}'"
    yield Finding("descriptors", "ok" if many else "warn", what, "" if many else remedy)
    if int(used) > int(most) * 0.9:
        yield Finding("descriptors", "fail", "the kernel has hardly any left", "raise fs.file-max")


def dhcp_findings() -> Iterator[Finding]:
    """Who could answer DHCP here."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    there = [name for name in _DHCP if shutil.which(name, path=path)]
    listens = any(_has_port(Path(f"/proc/net/{table}"), 67) for table in ("udp", "udp6"))
    if listens:
        yield Finding(
            "dhcp", "ok", f"somebody listens on port 67; installed: {', '.join(there) or 'none that is known'}"
        )
    else:
        what = f"nobody listens on port 67 here; installed: {', '.join(there) or 'none'}"
        yield Finding("dhcp", "warn", what, "well if another machine does it; 'bootforge dhcp' makes a configuration")


def _has_port(table: Path, port: int) -> bool:
    lines = table.read_text().splitlines()[1:] if table.exists() else []
    return any(line.split()[1].endswith(f":{port:04X}") for line in lines)


def secret_findings(generation: Generation) -> Iterator[Finding]:
    """Whether each secret can be had here and now. What it is goes nowhere."""
    vault = Vault(generation.site.secrets)
    had = 0
    for name in sorted(generation.site.secrets):
        try:
            vault.get(name)
            had += 1
        except SecretError as error:
            yield Finding("secrets", "fail", error.message, error.hint or "its hosts cannot be installed")
    if had:
        yield Finding("secrets", "ok", f"{had} can be had by this user")


# The server, asked


def server_findings(generation: Generation, asked: Asked) -> Iterator[Finding]:
    """HTTP and TFTP at the address of each network."""
    networks = [plan_network(name, spec) for name, spec in generation.site.networks.items()]
    there = {asked.server: networks} if asked.server else defaultdict(list)
    for network in networks if not asked.server else ():
        if network.server:
            there[network.server].append(network)
    loaders = Loaders(added_loaders(asked.store_url), Media(asked.media))
    yield from loader_findings(generation, loaders)
    if not there:
        yield Finding("server", "fail", "no network has a 'server:'", "machines boot on networks that have one")
    for base, served in there.items():
        names = "" if asked.server else " for " + ", ".join(network.name for network in served)
        yield _http(generation, (base or "").rstrip("/"), names)
        names_of = boot_files(served[0])
        for arch in (BIOS, X64):
            yield _tftp(base or "", asked.tftp_port, names_of[arch], arch, loaders.find(names_of[arch]))


def _http(generation: Generation, base: str, names: str) -> Finding:
    got = fetch(f"{base}/boot.ipxe")
    if got.error:
        return Finding("http", "fail", f"{base}{names}: {got.error}", "run 'bootforge serve' there, or mend 'server:'")
    if got.status != 200 or got.body != render_chain(generation.engine).encode():
        what = f"{base}{names}: {got.status}, and not this site's boot.ipxe"
        return Finding("http", "fail", what, "another program, or another site, answers there")
    if got.date and abs(got.date - time.time()) > SKEW:
        return Finding("http", "warn", f"{base}{names}: its clock differs by {got.date - time.time():.0f} s", "use NTP")
    return Finding("http", "ok", f"{base}{names} answers in {got.seconds * 1000:.0f} ms")


def loader_findings(generation: Generation, loaders: Loaders) -> Iterator[Finding]:
    """Boot programs that hosts need and that are nowhere."""
    lacking: dict[str, list[str]] = defaultdict(list)
    for plan in generation.plans.values():
        for name in loaders.lacking(plan) if plan.state == "active" else ():
            lacking[name].append(plan.host.text)
    for name, hosts in lacking.items():
        more = f" and {len(hosts) - 1} more" if len(hosts) > 1 else ""
        yield Finding("loaders", "fail", f"no {name}, for {hosts[0]}{more}", lacking_text(name))


def _tftp(base: str, port: int, name: str, arch: int, file: Path | None) -> Finding:
    host = urlsplit(base).hostname or ""
    got = fetch_tftp(host, port, name, 1468, 4 if arch == X64 else 1)
    where = f"{name} from {host}"
    if got.error or not got.size:
        remedy = f"install the package that has {name} (ipxe)" if not file else "'bootforge serve' answers TFTP"
        return Finding("tftp", "fail", f"{where}: {got.error or 'it is empty'}", remedy)
    if file and file.stat().st_size != got.size:
        what = f"{where}: {got.size} bytes, but {file} has {file.stat().st_size}"
        return Finding("tftp", "warn", what, "another server answers there, or another version")
    return Finding("tftp", "ok", f"{where}: {got.size} bytes, {got.how}, {got.seconds * 1000:.0f} ms")


def tree_findings(generation: Generation, asked: Asked) -> Iterator[Finding]:
    """Kernel and initrd of every host that may be armed, each asked for once."""
    users: dict[str, list[str]] = defaultdict(list)
    for name, plan in generation.plans.items():
        if plan.state == "active":
            for url in (plan.boot.kernel, plan.boot.initrd):
                own = plan.server.rstrip("/") + "/"
                moved = (
                    asked.server.rstrip("/") + "/" + url[len(own) :] if asked.server and url.startswith(own) else url
                )
                users[moved].append(name)
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        got = dict(zip(users, pool.map(lambda url: fetch(url, head=True), users), strict=True))
    bad = 0
    for url, answer in got.items():
        if answer.status != 200 or answer.size <= 0:
            bad += 1
            why = answer.error or (f"{answer.status}" if answer.status != 200 else "no size")
            more = f" and {len(users[url]) - 1} more" if len(users[url]) > 1 else ""
            what = f"{url}, for {users[url][0]}{more}: {why}"
            yield Finding("trees", "fail", what, "mend the profile's install, or 'bootforge media add'")
    if len(got) > bad:
        yield Finding("trees", "ok", f"{len(got) - bad} kernels and initrds are there")
    yield from certificate_findings({(parts.hostname or "", parts.port or 443) for url in users
                                     if (parts := urlsplit(url)).scheme == "https"})  # fmt: skip


def certificate_findings(servers: set[tuple[str, int]]) -> Iterator[Finding]:
    """For how long the certificates of mirrors are good."""
    for host, port in sorted(servers):
        try:
            days = certificate_days(host, port)
        except OSError as error:
            yield Finding(
                "certificates", "fail", f"{host}:{port}: {error.strerror or error}", "installers refuse it too"
            )
            continue
        verdict: Verdict = "ok" if days > EXPIRES else "warn"
        yield Finding(
            "certificates", verdict, f"{host}:{port}: good for {days:.0f} days", "" if days > EXPIRES else "renew it"
        )
