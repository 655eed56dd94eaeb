"""Volumes that are said to be shared, by one side only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootforge.errors import Problem
from bootforge.generation import Generation


def lint_volumes(generation: Generation) -> Iterator[Problem]:
    """Warnings about hosts that a volume is shared with, and that do not have it."""
    plans = {name: plan for name, plan in generation.plans.items() if not plan.retired}
    has = {
        name: {value for volume in plan.storage.volumes for value in (volume.wwid, volume.target) if value}
        for name, plan in plans.items()
        if plan.storage
    }
    for name, plan in plans.items():
        for volume in plan.storage.volumes if plan.storage else ():
            for other in volume.shared_by:
                if other != name and has.get(other, set()).isdisjoint({volume.wwid, volume.target}):
                    path = ("volumes", volume.name, "shared_by", other)
                    what = f"volume {volume.name} is shared with {other}, which has no such volume"
                    hint = "give it the volume, with its own 'shared_by:', or take its name out"
                    yield replace(generation.origin_problem(name, path, "BF198", what, hint), severity="warning")
