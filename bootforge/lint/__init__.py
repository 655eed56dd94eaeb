"""Checks that go beyond building a generation: what an operator would want to know before anything boots."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from bootforge.errors import Problem
from bootforge.generation import Generation, once
from bootforge.lint.plan import lint_plan
from bootforge.lint.shape import lint_artifacts


def lint(generation: Generation, hosts: Collection[str], *, exhaustive: bool = False) -> Iterator[Problem]:
    """Problems and warnings about the named hosts. ``exhaustive`` renders every host, not one of each shape. Reads no
    secret."""
    problems: list[Problem] = []
    for name in hosts:
        problems += lint_plan(generation, name)
    problems += lint_artifacts(generation, hosts, exhaustive=exhaustive)
    yield from sorted(once(problems))
