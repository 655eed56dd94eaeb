"""The bootstrap: the shell library and this host's steps in one file. It has no slots: anybody may read it."""

from __future__ import annotations

from dataclasses import dataclass

from bootforge.errors import RenderError
from bootforge.model import Artifact, Plan
from bootforge.model_steps import Step
from bootforge.plan.digest import plan_digest
from bootforge.plan.steps import stamp
from bootforge.releases import RELEASES
from bootforge.render.engine import Engine
from bootforge.render.slots import make_artifact
from bootforge.words import Call

_STORAGE = frozenset(
    (
        *("storage_nics", "iscsi_ifaces", "keep_secrets", "iscsi_login"),
        *("san_boot", "lvm_scope", "fstab", "volume", "paths"),
    )
)
"""Functions of the library's storage part, which hosts without volumes do not carry."""


@dataclass(frozen=True, slots=True)
class _Row:
    """A step, and the call of the frame before it."""

    frame: Call
    step: Step


def render_bootstrap(plan: Plan, engine: Engine) -> Artifact:
    """The bootstrap script. Raises RenderError when a template put a slot into it."""
    steps = (*plan.steps, stamp(plan, engine.library))
    text = engine.render(
        "bootstrap/main.sh.j2",
        host=plan.host,
        init="systemd" if RELEASES[plan.release].systemd else "sysv",
        plan=plan_digest(plan),
        reach=_reach(plan),
        files=tuple(step.whole for step in steps if step.whole),
        commands=plan.commands,
        storage=any(step.fn in _STORAGE for step in steps),
        steps=tuple(_Row(_frame(step), step) for step in steps),
    )
    artifact = make_artifact("bootstrap", "text/x-shellscript; charset=utf-8", text)
    if artifact.slots:
        raise RenderError(f"{plan.host}: the bootstrap has the slot {artifact.slots[0].slot}", "it must have none")
    return artifact


def _reach(plan: Plan) -> str:
    """What has to answer still when the network was changed: the default router, and this server."""
    network = next((nic.network for nic in plan.nics if nic.routed), None)
    gateways = (network.gateway, network.gateway6) if network else ()
    return " ".join([*(str(one) for one in gateways if one), plan.server])


def _frame(step: Step) -> Call:
    """The call of bf_step, which the library's frame.sh explains."""
    flags = " ".join(word for word, on in (("whole", step.whole), ("watch", step.watch)) if on)
    return Call("step", (step.id, " ".join(step.phases), flags, " ".join(step.needs), " ".join(step.notify)))
