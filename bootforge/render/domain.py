"""Definitions of guests as artifacts, in every form that their hypervisor has, for the install and ever after."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from bootforge.model import Artifact, DomainPlan, Plan
from bootforge.plan.libvirt import libvirt_xml
from bootforge.plan.xencfg import xl, xm
from bootforge.render.slots import boot_words, make_artifact


def tools_of(domain: DomainPlan) -> tuple[str, ...]:
    """The forms that a guest's definition has, the usual one first. xm's Xen 3 has no UEFI."""
    if domain.hypervisor == "kvm":
        return ("libvirt-kvm",)
    return ("xl", "libvirt-xen") if domain.uefi else ("xl", "xm", "libvirt-xen")


def render_domain(plan: Plan, domain: DomainPlan) -> Iterator[Artifact]:
    """``xl`` and its like, and ``xl-install``. Only what boots an installer's kernel itself has a slot: the grant's
    URL. Raises RenderError."""
    for tool in tools_of(domain):
        form: Callable[[DomainPlan, str | None], str] = {"xl": xl, "xm": xm}.get(tool, libvirt_xml)
        xml = form is libvirt_xml
        kind = "application/xml; charset=utf-8" if xml else "text/plain; charset=utf-8"
        yield make_artifact(tool, kind, form(domain, None))
        yield make_artifact(f"{tool}-install", kind, form(domain, boot_words(plan.boot.args, "xml" if xml else "xl")))
