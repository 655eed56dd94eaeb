"""Decisions for one host: what to install, how to boot it, what its bootstrap does. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import fields
from functools import lru_cache

from bootforge.model import DomainPlan, InstallPlan, Nic, Plan, StoragePlan
from bootforge.plan.boot import plan_boot
from bootforge.plan.bringup import installer_nics
from bootforge.plan.cmdline import check_command_line
from bootforge.plan.domain import plan_domain
from bootforge.plan.faults import Fault, PlanError
from bootforge.plan.install import plan_install
from bootforge.plan.machine import check_machine
from bootforge.plan.network import plan_nics
from bootforge.plan.steps import plan_steps
from bootforge.plan.storage import plan_storage
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

__all__ = ["Fault", "Plan", "PlanError", "make_plan"]


def make_plan(site: Site, host: ResolvedHost) -> Plan:
    """Every decision for a host. Raises PlanError with all faults that stand in the way."""
    faults: list[Fault] = []
    release = RELEASES[host.release]
    nics = plan_nics(site, host, faults)
    shown = installer_nics(release, nics, faults)
    boot = plan_boot(host, shown, faults)
    check_command_line(host.name, nics, boot, faults)
    install = plan_install(site, host, shown, faults)
    storage = plan_storage(site, host, nics, faults)
    domain = plan_domain(host, nics, faults)
    check_machine(host, faults)
    if faults:
        raise PlanError(faults)
    decided = repr((host.name, release.name, host.spec.roles, nics, boot, _Told(install), storage, domain))
    digest = hashlib.sha256(decided.encode()).hexdigest()
    return Plan(
        host=host.name,
        release=release.name,
        state=host.spec.state,
        roles=host.spec.roles,
        serial=host.spec.serial,
        nics=nics,
        boot=boot,
        install=install,
        storage=storage,
        domain=domain,
        steps=plan_steps(host.name, nics, install.disks, digest),
        local_boot=host.spec.machine.local_boot,
        shape=_shape(decided, host, nics, install, storage, domain),
    )


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


def _shape(
    decided: str,
    host: ResolvedHost,
    nics: tuple[Nic, ...],
    install: InstallPlan,
    storage: StoragePlan | None,
    domain: DomainPlan | None,
) -> str:
    """A digest of what was decided but for the values that every host has of its own."""
    own = [host.name.text, host.spec.serial, install.disks.mark, domain.uuid if domain else None]
    own += [word for nic in nics if nic.mac for word in (nic.mac.text, nic.mac.dashed)]
    own += [str(address.ip) for nic in nics for address in (nic.address, nic.address6) if address]
    own += [*(disk.backing for disk in domain.disks), domain.on, *domain.candidates] if domain else []
    if storage:
        own += [storage.initiator, storage.chap.user if storage.chap else None]
        own += [word for volume in storage.volumes for word in (volume.wwid, volume.target, *volume.shared_by)]
    for number, word in enumerate(own):
        if word:
            decided = decided.replace(word, f"<{number}>")
    return hashlib.sha256(decided.encode()).hexdigest()
