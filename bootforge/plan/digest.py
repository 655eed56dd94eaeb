"""Digests of plans: of all that was decided for a host, and of what hosts have in common. Made when they are asked for:
most plans of a fleet are never rendered."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import lru_cache

from bootforge.model import InstallPlan, Plan
from bootforge.plan.netfiles import profile_uuid


def plan_digest(plan: Plan) -> str:
    """The SHA-256, in hex, of every decision that reaches an artifact."""
    return hashlib.sha256(_decided(plan).encode()).hexdigest()


_OWN = ("source", "network", "storage", "disks")
"""Parts of an install in which names and addresses of the host can be."""


def plan_shape(plan: Plan) -> str:
    """Equal for hosts that differ only in what every host has of its own: names, addresses, serials."""
    install = plan.install
    parts = [getattr(install, name) for name in _OWN]
    decided = repr((plan.host, plan.release, plan.roles, plan.nics, plan.boot, parts, plan.storage, plan.domain))
    decided = without_own(decided + "".join(map(_told, plan.steps)) + repr(plan.commands), own_values(plan))
    alike = [_told(getattr(install, field.name)) for field in fields(install) if field.name not in _OWN]
    return hashlib.sha256("\n".join([decided, *alike]).encode()).hexdigest()


def without_own(text: str, own: list[str | None]) -> str:
    """A text in which each of a host's own values has made way for its number."""
    for number, word in enumerate(own):
        if word:
            text = text.replace(word, f"<{number}>")
    return text


def _decided(plan: Plan) -> str:
    parts = (plan.host, plan.release, plan.roles, plan.nics, plan.boot, _Told(plan.install), plan.storage, plan.domain)
    return repr(parts) + "".join(map(_told, plan.steps)) + (repr(plan.commands) if plan.commands else "")


def own_values(plan: Plan) -> list[str | None]:
    """The values that every host has of its own."""
    domain, storage = plan.domain, plan.storage
    own = [plan.host.text, plan.serial, plan.install.disks.mark, domain.uuid if domain else None]
    own += [word for nic in plan.nics if nic.mac for word in (nic.mac.text, nic.mac.dashed)]
    own += [profile_uuid(plan.host.text, nic.name) for nic in plan.nics]
    own += [str(address.ip) for nic in plan.nics for address in (nic.address, nic.address6) if address]
    own += [*(disk.backing for disk in domain.disks), domain.on, *domain.candidates] if domain else []
    if storage:
        own += [storage.initiator, storage.chap.user if storage.chap else None]
        own += [word for volume in storage.volumes for word in (volume.wwid, volume.target, *volume.shared_by)]
    return own


class _Told:
    """Prints as the install does; what the installs of many hosts share is written once."""

    def __init__(self, install: InstallPlan) -> None:
        self.install = install

    def __repr__(self) -> str:
        told = (f"{field.name}={_told(getattr(self.install, field.name))}" for field in fields(self.install))
        return f"InstallPlan({', '.join(told)})"


@lru_cache(maxsize=65536)
def _told(part: object) -> str:
    return repr(part)
