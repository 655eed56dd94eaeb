"""Netboot scripts: what iPXE is told, for hosts that are armed, for those that are not, and for anybody."""

from __future__ import annotations

from bootforge.model import Artifact, Plan
from bootforge.render.engine import Engine
from bootforge.render.slots import make_artifact

_TYPE = "text/plain; charset=utf-8"


def render_ipxe(plan: Plan, engine: Engine) -> Artifact:
    """The script that boots an armed host into its installer. Its slot is the grant's URL."""
    return make_artifact("ipxe", _TYPE, engine.render("netboot/install.ipxe.j2", host=plan.host, boot=plan.boot))


def render_local(who: str, engine: Engine) -> str:
    """The script that boots the local disk; ``who`` is a host name or a MAC address, for the console."""
    return engine.render("netboot/local.ipxe.j2", who=who)


def render_chain(engine: Engine) -> str:
    """The script that every iPXE gets first: it asks again with its MAC address, UUID and serial."""
    return engine.render("netboot/chain.ipxe.j2")
