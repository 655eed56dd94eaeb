"""The bootstrap's steps. Each is one call of a library function in templates/bootstrap/lib."""

from __future__ import annotations

from bootforge.model import Arg, DiskPlan, HostName, Nic, Step

_PHASES = ("install", "run")


def plan_steps(host: HostName, nics: tuple[Nic, ...], disks: DiskPlan, plan_digest: str) -> tuple[Step, ...]:
    """The steps in the order in which they run; the stamp is last, because it says that the others were."""
    names: list[Arg] = [word for nic in nics if nic.named and nic.mac for word in (nic.mac, str(nic.device))]
    return (
        Step("hostname", "hostname", (host,), _PHASES, ()),
        *([Step("nic-names", "nic_names", tuple(names), _PHASES, ("nics",))] if names else []),
        Step("mark", "mark", (disks.mark, *disks.tagged), _PHASES, ()),
        Step("stamp", "stamp", (host, plan_digest), _PHASES, ()),
    )
