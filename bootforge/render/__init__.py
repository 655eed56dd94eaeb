"""Plans into text. Pure: no clock, no files, no secrets."""

from __future__ import annotations

from bootforge.model import Artifact, Plan
from bootforge.render.bootstrap import render_bootstrap
from bootforge.render.domain import render_domain
from bootforge.render.engine import Engine
from bootforge.render.kickstart import render_kickstart
from bootforge.render.netboot import render_ipxe, render_others

__all__ = ["Engine", "render"]


def render(plan: Plan, engine: Engine) -> tuple[Artifact, ...]:
    """Every artifact of a host; the bootstrap first, because the kickstart embeds its digest. Raises RenderError."""
    bootstrap = render_bootstrap(plan, engine)
    artifacts = [bootstrap, render_kickstart(plan, bootstrap, engine), render_ipxe(plan, engine)]
    artifacts += render_others(plan, engine)
    if plan.domain:
        artifacts += render_domain(plan, plan.domain)
    return tuple(artifacts)
