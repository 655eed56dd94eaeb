"""The kickstart, from the one template."""

from __future__ import annotations

from bootforge.model import Artifact, Plan, Slot
from bootforge.render.engine import Engine
from bootforge.render.slots import make_artifact


def render_kickstart(plan: Plan, bootstrap: Artifact, engine: Engine) -> Artifact:
    """The kickstart. It embeds the digest of the bootstrap that its %post fetches, and holds the secrets' slots."""
    text = engine.render(
        "kickstart.cfg.j2",
        host=plan.host,
        install=plan.install,
        bootstrap=bootstrap,
        revision=Slot("site.revision"),
    )
    return make_artifact("kickstart", "text/plain; charset=utf-8", text)
