"""Decisions for one host: what to install, how to boot it, what its bootstrap does. Pure."""

from __future__ import annotations

from bootforge.model import DomainPlan, Plan
from bootforge.plan.boot import plan_boot
from bootforge.plan.bringup import installer_nics
from bootforge.plan.cmdline import check_command_line
from bootforge.plan.domain import plan_domain
from bootforge.plan.faults import Fault, PlanError
from bootforge.plan.guests import plan_guests
from bootforge.plan.hooks import plan_commands
from bootforge.plan.install import plan_install
from bootforge.plan.loader import check_loader, loader_of
from bootforge.plan.machine import check_machine
from bootforge.plan.network import plan_nics
from bootforge.plan.steps import plan_steps
from bootforge.plan.storage import plan_storage
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

__all__ = ["Fault", "Plan", "PlanError", "make_plan"]


def make_plan(site: Site, host: ResolvedHost, guests: tuple[DomainPlan, ...] = ()) -> Plan:
    """Every decision for a host, which runs these guests. Raises PlanError with all faults that stand in the way."""
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
    if not domain:
        check_loader(host, boot, faults)
    guest_steps = plan_guests(host, guests, faults)
    steps = plan_steps(site, host, nics, install.disks, storage, guest_steps, faults)
    commands = plan_commands(host, faults)
    if faults:
        raise PlanError(faults)
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
        steps=steps,
        local_boot=host.spec.machine.local_boot,
        loader=loader_of(host),
        commands=commands,
    )
