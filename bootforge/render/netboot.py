"""Netboot scripts: what iPXE is told, for hosts that are armed, for those that are not, and for anybody."""

from __future__ import annotations

from bootforge.model import Artifact, LocalBoot, Plan
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


def render_local(who: str, how: LocalBoot, engine: Engine) -> str:
    """The script that boots the local disk; ``who`` is a host name or a MAC address, for the console."""
    return engine.render("netboot/local.ipxe.j2", who=who, **_LOCAL[how])


def render_chain(engine: Engine) -> str:
    """The script that every iPXE gets first: it asks again with its MAC address, UUID and serial."""
    return engine.render("netboot/chain.ipxe.j2")
