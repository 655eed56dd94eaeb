"""Checks that go beyond building a generation: what an operator would want to know before anything boots."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from datetime import date

from bootforge.errors import Problem
from bootforge.generation import Generation, once
from bootforge.lint.budget import budget_of, lint_budget
from bootforge.lint.dhcp import lint_dhcp
from bootforge.lint.passes import Passes
from bootforge.lint.plan import lint_plan
from bootforge.lint.shape import lint_artifacts
from bootforge.lint.site import lint_site
from bootforge.lint.volumes import lint_volumes


def lint(
    generation: Generation,
    hosts: Collection[str],
    *,
    exhaustive: bool = False,
    today: date | None = None,
    passes: Passes | None = None,
) -> Iterator[Problem]:
    """Problems, warnings and notes about the named hosts, and about the site when they are all of its hosts.

    ``exhaustive`` renders every host, not one of each shape; ``today`` decides which releases have ended;
    ``passes`` are those of earlier runs. Reads no secret.
    """
    problems: list[Problem] = []
    if len(hosts) == len(generation.hosts):
        problems += lint_site(generation, today or date.today())
        problems += lint_budget(generation, budget_of(generation))
        problems += lint_volumes(generation)
        problems += lint_dhcp(generation)
    for name in hosts:
        problems += lint_plan(generation, name)
    problems += lint_artifacts(generation, hosts, passes or Passes(None), exhaustive=exhaustive)
    yield from sorted(once(problems, generation.site.ranged))
