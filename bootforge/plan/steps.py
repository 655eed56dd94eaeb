"""The bootstrap's steps. Each is one call of a library function in templates/bootstrap/lib."""

from __future__ import annotations

from bootforge.model import Nic, Plan, Step
from bootforge.model_storage import DiskPlan
from bootforge.plan.digest import plan_digest
from bootforge.words import Arg, HostName

_PHASES = ("install", "run")


def plan_steps(host: HostName, nics: tuple[Nic, ...], disks: DiskPlan) -> tuple[Step, ...]:
    """The steps in the order in which they run, but for the stamp."""
    names: list[Arg] = [word for nic in nics if nic.named and nic.mac for word in (nic.mac, str(nic.device))]
    return (
        Step("hostname", "hostname", (host,), _PHASES, ()),
        *([Step("nic-names", "nic_names", tuple(names), _PHASES, ("nics",))] if names else []),
        Step("mark", "mark", (disks.mark, *disks.tagged), _PHASES, ()),
    )


def stamp(plan: Plan) -> Step:
    """The last step: which host this is and from what it was made. It says that the others succeeded."""
    return Step("stamp", "stamp", (plan.host, plan_digest(plan)), _PHASES, ())
