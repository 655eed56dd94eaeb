"""Netboot scripts: what iPXE, GRUB and pxelinux are told. They print the same kernel arguments, each in its grammar."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from bootforge.model import Artifact, LocalBoot, Plan
from bootforge.plan.loader import media_path, own_path
from bootforge.releases import RELEASES
from bootforge.render.engine import Engine
from bootforge.render.slots import make_artifact

_TYPE = "text/plain; charset=utf-8"

_LOCAL: dict[LocalBoot, dict[str, str | None]] = {
    "exit-1": {"drive": None, "status": "1"},
    "exit": {"drive": None, "status": None},
    "sanboot": {"drive": "0x80", "status": "1"},
}
"""What the end of a script does to boot the local disk. A failing loader makes BIOS and UEFI go on to the next boot
device; after a success some UEFI firmware opens its setup instead (Dell PowerEdge, netboot.xyz#1276). Drive 0x80 is the
first disk to a BIOS, and to iPXE on UEFI (ipxe: efi_block.c); where it does not boot, the script goes on."""


def render_ipxe(plan: Plan, engine: Engine) -> Artifact:
    """The script that boots an armed host into its installer. Its slot is the grant's URL."""
    return make_artifact(
        "ipxe",
        _TYPE,
        engine.render("netboot/install.ipxe.j2", host=plan.host, boot=plan.boot, **_LOCAL[plan.local_boot]),
    )


def render_others(plan: Plan, engine: Engine) -> Iterator[Artifact]:
    """The same for GRUB 2 and for lpxelinux. Neither has TLS, and a comma parts the initrds of pxelinux, so what
    cannot fetch the plan's kernel and initrd gets no script. iPXE alone is given a kickstart to fetch."""
    kernel, initrd = _grub_file(plan.boot.kernel), _grub_file(plan.boot.initrd)
    if not kernel or not initrd or plan.boot.kickstart:
        return
    efi = RELEASES[plan.release].grub_linux == "linuxefi"
    near: dict[str, str | None] = {"near_kernel": None, "near_initrd": None}
    if plan.loader == "shim" and media_path(plan, plan.boot.kernel) and media_path(plan, plan.boot.initrd):
        near = {f"near_{name}": f"/{own_path(plan.boot_mac)}{name}" for name in ("kernel", "initrd")}
    values = {"host": plan.host, "boot": plan.boot, "kernel": kernel, "initrd": initrd, "efi": efi, **near}
    script = engine.render("netboot/install.grub.j2", **values, **_LOCAL[plan.local_boot])
    yield make_artifact("grub", _TYPE, script)
    if "," not in plan.boot.initrd:
        script = engine.render("netboot/install.pxelinux.j2", host=plan.host, boot=plan.boot)
        yield make_artifact("pxelinux", _TYPE, script)


def _grub_file(url: str) -> str:
    """GRUB's name of what is at a URL: ``(http,ADDRESS:PORT)/PATH``; '' when it cannot fetch it. The port is left
    out when it is HTTP's own, because GRUB reads one only since 2.12 (earlier with patches of Fedora and Debian)."""
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        return ""
    port = f":{parts.port}" if parts.port not in (None, 80) else ""
    return f"(http,{parts.hostname}{port}){parts.path}"


def render_local(who: str, how: LocalBoot, engine: Engine, kind: str = "ipxe") -> str:
    """The script that boots the local disk; ``who`` is a host name or a MAC address, for the console. ``kind``: ipxe,
    grub or pxelinux."""
    return engine.render(f"netboot/local.{kind}.j2", who=who, **_LOCAL[how])


def render_grub_chain(engine: Engine) -> str:
    """The script for every GRUB that looks where it was built to look: it asks again with its MAC address."""
    return engine.render("netboot/chain.grub.j2")


def render_first(server: str, engine: Engine) -> str:
    """The script that DHCP names, by TFTP: it fetches the next one from ``server``, a base URL."""
    return engine.render("netboot/first.ipxe.j2", server=server)


def render_chain(engine: Engine) -> str:
    """The script that every iPXE gets first by HTTP: it asks again with its MAC address, UUID and serial."""
    return engine.render("netboot/chain.ipxe.j2")
