"""The boot permission: what a machine that asks by its MAC address is told to boot, in the grammar of its loader."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from typing import Literal

from bootforge.addr import parse_mac
from bootforge.errors import BootforgeError, UsageError
from bootforge.model import Artifact, Grant, LocalBoot, Plan
from bootforge.plan.cmdline import kickstart_path
from bootforge.render.netboot import render_local
from bootforge.seal import seal
from bootforge.serve import counters
from bootforge.serve.keeper import Keeper, Served
from bootforge.state import ServerKey
from bootforge.store import Decision, Store, StoreError

log = logging.getLogger(__name__)

Kind = Literal["ipxe", "grub", "pxelinux"]
"""Whose script, as artifacts are called."""

STORES = (StoreError, UsageError)
"""What the store raises while it is in use; nothing else that answers a request raises the second."""
_ARMED = ("armed", "booting", "installing", "stuck")
"""States of a host whose next netboot might be its installer."""


@dataclass(frozen=True, slots=True)
class Server:
    """What the handlers need: the generation being served, the store and the key of tokens."""

    keeper: Keeper
    store: Store
    key: ServerKey


def boot_script(server: Server, mac: str, client: str, kind: Kind, said: str = "", look: str = "") -> str | bytes:
    """The installer for an armed host that is active still, the local disk for every other machine. ``said``: what an
    unknown one told of itself. ``look``: what may prove that this is no machine but an operator, for whom nothing is
    used up or recorded. Raises ValueError when ``mac`` is no MAC address."""
    served = server.keeper.current
    asked = parse_mac(mac).text
    host = served.generation.by_mac.get(asked)
    looks = server.key.is_look(asked, look, time.time())
    if host is None:
        try:
            if not looks:
                server.store.record("discovered", mac=asked, address=client, detail=said, coalesce=3600)
        except BootforgeError as error:
            if isinstance(error, STORES):
                counters.STORE_ERRORS.add()
            log.error("%s is unknown, and that could not be recorded: %s", asked, error)
        return _local(served, asked, kind)
    plan = served.generation.plan(host)
    if plan.boot_mac.text != asked or plan.state != "active":
        return _local(served, host, kind, plan.local_boot)
    armed = any(one.state in _ARMED for one in server.store.status([host]))
    if armed and not _can_seal(server, served, plan, kind):
        return _local(served, host, kind, plan.local_boot)
    decision = (server.store.would_boot if looks else server.store.permit_boot)(host, client)
    if decision.grant is None:
        return _local(served, host, kind, plan.local_boot)
    return sealed(server, served, served.generation.artifact(host, kind), plan, decision)


def _local(served: Served, who: str, kind: Kind, how: LocalBoot = "exit-1") -> str:
    return render_local(who, how, served.generation.engine, kind)


def _can_seal(server: Server, served: Served, plan: Plan, kind: Kind) -> bool:
    """Whether the secrets of the kickstart can be had, found out before the installer is booted for nothing and
    before the permission is used."""
    try:
        grant = make_grant(plan, "", server.key, served)
        for name in ("kickstart", kind):
            seal(served.generation.artifact(plan.host.text, name), grant, served.vault)
        return True
    except BootforgeError as error:
        record_failure(server, plan, error)
        return False


def record_failure(server: Server, plan: Plan, error: BootforgeError) -> None:
    """In the log and among the events."""
    # No address: whoever asks from many would bring as many rows of our own.
    log.error("%s: %s", plan.host, error)
    server.store.record("error", host=plan.host.text, detail=str(error), coalesce=60, own=True)


def sealed(server: Server, served: Served, artifact: Artifact, plan: Plan, decision: Decision) -> bytes:
    """An artifact for the holder of the grant that was decided on."""
    assert decision.grant is not None
    return seal(artifact, make_grant(plan, decision.grant.id, server.key, served, decision.grant.wiped), served.vault)


def make_grant(plan: Plan, grant_id: str, key: ServerKey, served: Served, wipe: tuple[str, ...] = ()) -> Grant:
    """The grant as ``seal`` needs it; its URL is that of the server as the installer sees it."""
    token = key.token(grant_id)
    url = f"{plan.server}{kickstart_path(plan.host.text, token)}"
    return Grant(plan.host.text, token, url, served.generation.site.revision, wipe)
