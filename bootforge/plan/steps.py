"""The bootstrap's steps. Each is one call of a library function in templates/bootstrap/lib."""

from __future__ import annotations

from bootforge.model import DiskPlan, HostName, Step


def plan_steps(host: HostName, disks: DiskPlan, plan_digest: str) -> tuple[Step, ...]:
    """The steps in the order in which they run; the stamp is last, because it says that the others were."""
    return (
        Step("hostname", "hostname", (host,), ("install", "run"), ()),
        Step("mark", "mark", (disks.mark, *disks.tagged), ("install", "run"), ()),
        Step("stamp", "stamp", (host, plan_digest), ("install", "run"), ()),
    )
