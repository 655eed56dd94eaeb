"""One machine's boot, asked step by step as its firmware and its loader would ask, without being it: no permission is
used up, and no event is recorded."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Interface
from urllib.parse import urljoin, urlsplit

from bootforge.addr import Mac
from bootforge.doctor.clients import Got, fetch, fetch_tftp
from bootforge.errors import UsageError
from bootforge.generation import Generation
from bootforge.model import Network, Plan
from bootforge.plan.loader import ARM64, ARM64_HTTP, BIOS, X64, X64_HTTP, X64_OLD, boot_files, first_script
from bootforge.plan.network import plan_network
from bootforge.state import LOOK_HEADER, ServerKey

BY_HTTP = {X64: X64_HTTP, X64_OLD: X64_HTTP, ARM64: ARM64_HTTP, X64_HTTP: X64_HTTP, ARM64_HTTP: ARM64_HTTP}
_ASKS = {BIOS: (1456, 1), X64: (1468, 4), X64_OLD: (1456, 1), ARM64: (1468, 4)}
"""Block size and window that firmware asks for: PXE of BIOS, and UEFI made from EDK2."""
_IPXE_ASKS = (1432, 1)
_BESIDE = {"shimx64.efi": "grubx64.efi", "shimaa64.efi": "grubaa64.efi", "lpxelinux.0": "ldlinux.c32"}
"""What a boot program fetches first, from where it was itself."""
_FILE = re.compile(rb"^(?:kernel|initrd) [^\n]*--name (kernel|initrd) (https?://[!-~]+)", re.MULTILINE)
"""The installer's files in iPXE's script. The kickstart, which may be one more, is not fetched."""


@dataclass(frozen=True, slots=True)
class Step:
    """``asked`` is False for what is told by the site and not by the server. ``size`` is -1 when it is not known."""

    step: str
    request: str
    answer: str
    ok: bool = True
    asked: bool = True
    size: int = -1
    digest: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Target:
    """The server that is asked: the base of its URLs, and where its TFTP is."""

    url: str
    tftp_host: str
    tftp_port: int

    @property
    def tftp(self) -> str:
        """Where its TFTP is, as it is written."""
        return f"[{self.tftp_host}]:{self.tftp_port}" if ":" in self.tftp_host else f"{self.tftp_host}:{self.tftp_port}"


def simulate(
    generation: Generation, key: ServerKey, mac: Mac, arch: int, network: str | None, server: str | None, tftp_port: int
) -> Iterator[Step]:
    """The steps of a boot, up to the one that fails. ``server``: the base URL to ask instead of the network's own.
    Raises UsageError when the site does not say on which network an unknown machine is."""
    host = generation.by_mac.get(mac.text)
    plan = generation.plan(host) if host else None
    net = _network(generation, plan, mac, network)
    base = (server or net.server or "").rstrip("/")
    target = Target(base, urlsplit(base).hostname or "", tftp_port)
    name = boot_files(net, mac if plan else None, plan.loader if plan else "ipxe")[arch]
    yield _dhcp(plan, mac, net, arch, name)

    yield (loaded := _loader(target, net, arch, name))
    if not loaded.ok:
        return
    program = name.rpartition("/")[2]
    if program in _BESIDE:
        yield (beside := _loader(target, net, arch, name.removesuffix(program) + _BESIDE[program]))
        if beside.ok and plan:
            yield from _others(generation, plan, key, mac, base)
        return

    first = first_script(net)
    yield Step("dhcp of iPXE", "option 175", f"boot file {first}", asked=False)
    got = fetch_tftp(target.tftp_host, target.tftp_port, urlsplit(first).path.lstrip("/"), *_IPXE_ASKS)
    chain = f"{(net.server or '').rstrip('/')}/boot.ipxe"
    named = f"chain --timeout 5000 --replace {chain} ".encode() in got.body
    yield _step(
        "first script", f"TFTP {target.tftp} {first}", got, named, f"goes on to {chain}", "names no such server"
    )
    if not named:
        return
    chained = f"{base}/boot.ipxe"
    got = fetch(chained)
    whole = got.status == 200 and b"/boot.ipxe?uuid=" in got.body
    yield _step("chain", f"GET {chained}", got, whole, "asks again with its MAC address", "no script of Bootforge")
    if not whole:
        return
    asked = f"{base}/m/{mac.dashed}/boot.ipxe"
    got = fetch(asked, headers={LOOK_HEADER: key.look(mac.text, time.time())})
    files = [(kind.decode(), url.decode()) for kind, url in _FILE.findall(got.body)]
    whole = got.status == 200 and got.body.startswith(b"#!ipxe")
    installs = f"{host} is armed: the installer" if files else f"{_why_local(plan, mac)}: the local disk"
    yield _step("script", f"GET {asked}", got, whole, installs, "no script of Bootforge")
    for kind, url in files if whole else ():
        url = _moved(url, net, base)
        got = fetch(url, head=True)
        yield _step(
            kind, f"HEAD {url}", got, got.status == 200 and got.size > 0, "", "it is empty, or has no Content-Length"
        )
    if files and plan:
        yield _kickstart(generation, plan)


def _others(generation: Generation, plan: Plan, key: ServerKey, mac: Mac, base: str) -> Iterator[Step]:
    """What GRUB and pxelinux are told. They ask TFTP, which knows no look; GRUB's script is HTTP's as well."""
    if plan.loader == "pxelinux":
        about = "not asked: that would use the permission of an armed host up"
        yield Step("script", f"TFTP m/{mac.dashed}/pxelinux.cfg/01-{mac.dashed}", about, asked=False)
        return
    asked = f"{base}/m/{mac.dashed}/grub.cfg"
    got = fetch(asked, headers={LOOK_HEADER: key.look(mac.text, time.time())})
    armed = b"is armed; booting" in got.body
    whole = got.status == 200 and b"Bootforge" in got.body
    said = f"{plan.host} is armed: the installer" if armed else f"{_why_local(plan, mac)}: the local disk"
    yield _step("script", f"GET {asked}", got, whole, said, "no script of Bootforge")
    for kind in ("kernel", "initrd") if armed else ():
        url = f"{base}/m/{mac.dashed}/{kind}"
        got = fetch(url, head=True)
        yield _step(kind, f"HEAD {url}", got, got.status == 200 and got.size > 0, "", "it has no Content-Length")
    if armed:
        yield _kickstart(generation, plan)


def _kickstart(generation: Generation, plan: Plan) -> Step:
    made = generation.artifact(plan.host.text, "kickstart")
    about = "not asked: that would use the permission up (what is told here has no secrets in it yet)"
    return Step("kickstart", "GET /i/.../kickstart", about, True, False, len(made.text.encode()), made.digest)


def _network(generation: Generation, plan: Plan | None, mac: Mac, name: str | None) -> Network:
    """The network on which the machine boots: of a known one its own, else the one that is named, or the only one."""
    networks = {key: plan_network(key, spec) for key, spec in generation.site.networks.items()}
    there = {key: network for key, network in networks.items() if network.server}
    if name:
        if name not in there:
            raise UsageError(f"no network {name!r} has a 'server:'", f"these have: {', '.join(sorted(there))}")
        return there[name]
    if plan:
        found = (
            next((nic.network for nic in plan.nics if nic.mac == mac and nic.network), None) or plan.boot_nic.network
        )
        if found and found.server:
            return found
        return next(network for network in there.values() if network.server == plan.server)
    if len(there) != 1:
        hint = f"say --network, one of {', '.join(sorted(there))}"
        raise UsageError(f"{mac} is in no site, and machines boot on {len(there)} networks", hint)
    return next(iter(there.values()))


def _dhcp(plan: Plan | None, mac: Mac, network: Network, arch: int, name: str) -> Step:
    nic = next((nic for nic in plan.nics if nic.mac == mac), None) if plan else None
    address = str(nic.address.ip) if nic and isinstance(nic.address, IPv4Interface) else ""
    known = [f"host {plan.host}"] if plan else ["nobody that the site knows"]
    known.append(f"address {address}" if address else "an address of the network's range")
    server = urlsplit(network.server or "").hostname
    known.append(f"boot file {name}" if "://" in name else f"server {server}, boot file {name}")
    return Step("dhcp", f"{mac} on {network.name}, architecture {arch}", ", ".join(known), asked=False)


def _loader(target: Target, network: Network, arch: int, name: str) -> Step:
    if "://" in name:
        url = _moved(name, network, target.url)
        # Firmware asks for the size first, and does not load what has none (UEFI 2.5, 24.7.3.1).
        got = fetch(url, head=True)
        if not (got.status == 200 and got.size > 0):
            return _step("loader", f"HEAD {url}", got, False, "", "firmware needs its Content-Length")
        size = got.size
        got = fetch(url)
        return _step("loader", f"HEAD, GET {url}", got, got.status == 200 and got.size == size, "", f"HEAD said {size}")
    got = fetch_tftp(target.tftp_host, target.tftp_port, name, *_ASKS[arch])
    return _step("loader", f"TFTP {target.tftp} {name}", got, not got.error and got.size > 0, got.how, "it is empty")


def _moved(url: str, network: Network, base: str) -> str:
    """A URL of the network's server, asked at ``base`` instead."""
    own = (network.server or "").rstrip("/")
    return base + url[len(own) :] if url.startswith(own + "/") else urljoin(base, url)


def _step(step: str, request: str, got: Got, ok: bool, good: str, bad: str) -> Step:
    said = got.error or (str(got.status) if got.status else "")
    failed = "" if got.error or got.status not in (0, 200) else bad
    words = [said, good if ok else failed]
    return Step(step, request, ", ".join(filter(None, words)), ok, True, got.size, got.digest, got.seconds)


def _why_local(plan: Plan | None, mac: Mac) -> str:
    if plan is None:
        return f"{mac} is in no site"
    if plan.boot_mac != mac:
        return f"{plan.host} does not boot by this nic"
    return (
        f"{plan.host} is {plan.state}" if plan.state != "active" else f"{plan.host} is not armed, or may not boot now"
    )
