"""The bootstrap's steps, in the order in which they run. Each is one call of a function in templates/bootstrap/lib."""

from __future__ import annotations

from bootforge.model import Nic, Plan
from bootforge.model_steps import Step
from bootforge.model_storage import DiskPlan
from bootforge.plan.digest import plan_digest
from bootforge.plan.faults import Fault
from bootforge.plan.system import plan_system
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.words import Arg


def plan_steps(
    site: Site, host: ResolvedHost, nics: tuple[Nic, ...], disks: DiskPlan, faults: list[Fault]
) -> tuple[Step, ...]:
    """Every step but the stamp: who the host is, who may use it, what it runs, how it is reached."""
    return (
        Step("hostname", "hostname", (host.name,), ()),
        *_names_of_nics(nics),
        Step("mark", "mark", (disks.mark, *disks.tagged), ()),
        *plan_system(host, nics, faults),
    )


def stamp(plan: Plan, library: str) -> Step:
    """The last step: which host this is and from what it was made. It says that the others succeeded.
    ``library``: the digest of the shell library."""
    return Step("stamp", "stamp", (plan.host, plan_digest(plan), library), ())


def _names_of_nics(nics: tuple[Nic, ...]) -> tuple[Step, ...]:
    names: list[Arg] = [word for nic in nics if nic.named and nic.mac for word in (nic.mac, str(nic.device))]
    return (Step("nic-names", "nic_names", tuple(names), ("nics",)),) if names else ()
