"""Decisions for one host: what to install, how to boot it, what its bootstrap does. Pure."""

from __future__ import annotations

import hashlib

from bootforge.model import DomainPlan, InstallPlan, Nic, Plan
from bootforge.plan.boot import plan_boot
from bootforge.plan.domain import plan_domain
from bootforge.plan.faults import Fault, PlanError
from bootforge.plan.install import plan_install
from bootforge.plan.network import plan_nics
from bootforge.plan.steps import plan_steps
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

__all__ = ["Fault", "Plan", "PlanError", "make_plan"]


def make_plan(site: Site, host: ResolvedHost) -> Plan:
    """Every decision for a host. Raises PlanError with all faults that stand in the way."""
    faults: list[Fault] = []
    release = RELEASES[host.release]
    nics = plan_nics(site, host, faults)
    boot = plan_boot(host, nics, faults)
    install = plan_install(site, host, nics, faults)
    domain = plan_domain(host, nics, faults)
    if faults:
        raise PlanError(faults)
    decided = repr((host.name, release.name, host.spec.roles, nics, boot, install, domain))
    digest = hashlib.sha256(decided.encode()).hexdigest()
    return Plan(
        host=host.name,
        release=release.name,
        roles=host.spec.roles,
        serial=host.spec.serial,
        nics=nics,
        boot=boot,
        install=install,
        domain=domain,
        steps=plan_steps(host.name, install.disks, digest),
        shape=_shape(decided, host, nics, install, domain),
    )


def _shape(
    decided: str, host: ResolvedHost, nics: tuple[Nic, ...], install: InstallPlan, domain: DomainPlan | None
) -> str:
    """A digest of what was decided but for the values that every host has of its own."""
    own = [host.name.text, host.spec.serial, install.disks.mark, domain.uuid if domain else None]
    own += [word for nic in nics for word in (nic.mac.text, nic.mac.dashed)]
    own += [str(nic.address.ip) for nic in nics if nic.address]
    own += [disk.backing for disk in domain.disks] if domain else []
    for number, word in enumerate(own):
        if word:
            decided = decided.replace(word, f"<{number}>")
    return hashlib.sha256(decided.encode()).hexdigest()
