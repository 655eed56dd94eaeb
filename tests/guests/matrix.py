"""The guests whose definitions are tested: those of the example site, and of a site with every kind there is; and what
the plan says of one, in the words of who reads definitions."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path

from bootforge.generation import Generation, build_generation
from bootforge.model import DomainPlan, Plan
from bootforge.plan.xencfg import INSTALL
from tests.support import EXAMPLE

SITE = Path(__file__).parent / "site"


@cache
def generations() -> tuple[Generation, ...]:
    return build_generation(SITE), build_generation(EXAMPLE)


def guests(hypervisor: str = "") -> Iterator[tuple[Generation, Plan, DomainPlan]]:
    """Every guest of both sites, or those of one hypervisor."""
    for generation in generations():
        for plan in generation.plans.values():
            if plan.domain and hypervisor in ("", plan.domain.hypervisor):
                yield generation, plan, plan.domain


def definitions(tool: str) -> Iterator[tuple[str, DomainPlan, bool, str]]:
    """Every definition for a tool: a name for it, the guest, whether it is that of the install, its text."""
    for generation, plan, domain in guests():
        for name in (tool, f"{tool}-install"):
            if artifact := generation.artifacts(plan.host.text).get(name):
                yield f"{domain.name}.{name}", domain, name != tool, artifact.text


def boot_files(domain: DomainPlan) -> tuple[str, str]:
    """Where the installer's kernel and initrd of a PV guest are."""
    return f"{INSTALL}/{domain.name}/vmlinuz", f"{INSTALL}/{domain.name}/initrd.img"


def extra(domain: DomainPlan) -> str:
    """The arguments of a guest's installer, made from the plan by themselves."""
    for _, plan, other in guests():
        if other is domain:
            return " ".join(f"{arg.name}={arg.value}" if arg.value is not None else arg.name for arg in plan.boot.args)
    raise AssertionError(domain.name)
