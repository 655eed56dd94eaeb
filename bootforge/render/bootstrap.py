"""The bootstrap: the shell library and this host's steps in one file. It has no slots: anybody may read it."""

from __future__ import annotations

from bootforge.errors import RenderError
from bootforge.model import Artifact, Plan
from bootforge.plan.steps import stamp
from bootforge.render.engine import Engine
from bootforge.render.slots import make_artifact


def render_bootstrap(plan: Plan, engine: Engine) -> Artifact:
    """The bootstrap script. Raises RenderError when a template put a slot into it."""
    text = engine.render("bootstrap/main.sh.j2", host=plan.host, steps=(*plan.steps, stamp(plan)))
    artifact = make_artifact("bootstrap", "text/x-shellscript; charset=utf-8", text)
    if artifact.slots:
        raise RenderError(f"{plan.host}: the bootstrap has the slot {artifact.slots[0].slot}", "it must have none")
    return artifact
