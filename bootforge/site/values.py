"""Merged text against the schema: what pydantic finds, said at the line that is wrong."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ValidationError

from bootforge.errors import Problem
from bootforge.model import Origin, Path, dotted
from bootforge.site.layer import Merged


def value_problems(
    model: type[BaseModel], merged: Merged, origin: Origin, host: str = "", *, alone: bool = False
) -> list[Problem]:
    """What the schema says about merged text, each at its line. ``alone`` forgives what is missing."""
    try:
        model.model_validate(merged.tree(), context={"layer": alone})
        return []
    except ValidationError as error:
        return [
            _value_problem(found, merged, origin, host)
            for found in error.errors(include_url=False, include_input=False)
            if not (alone and found["type"] == "missing")
        ]


def _value_problem(found: Any, merged: Merged, origin: Origin, host: str) -> Problem:
    path, place = _path(merged.tree(), found["loc"])
    at = merged.origin(path, origin)
    if place is not None and path in merged.values and place < len(merged.values[path].items):
        at = merged.values[path].items[place]
    name = dotted(path)
    if found["type"] == "missing":
        return Problem(at, "BF019", f"'{name}' is missing", f"every {dotted(path[:-1]) or 'site'} needs it", host)
    message, _, hint = found["msg"].removeprefix("Value error, ").partition("; ")
    return Problem(at, "BF010", f"{name}: {message}", hint, host)


def _path(tree: Any, loc: tuple[str | int, ...]) -> tuple[Path, int | None]:
    """The path and list index that pydantic's location means; a set's index counts its sorted elements."""
    path: list[str] = []
    for step in loc:
        if isinstance(step, int):
            if not isinstance(tree, dict):
                return tuple(path), step
            step = sorted(tree)[step]
        if step == "[key]":
            break
        path.append(step)
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tuple(path), None
