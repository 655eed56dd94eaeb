"""Merged text against the schema: what pydantic finds, said at the line that is wrong."""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from bootforge.errors import Problem
from bootforge.model import Origin, Path, dotted
from bootforge.site.layer import Merged

M = TypeVar("M", bound=BaseModel)


def typed(
    model: type[M], merged: Merged, origin: Origin, problems: list[Problem], host: str = "", *, alone: bool = False
) -> M | None:
    """Merged text as the schema's values; None when the schema refuses some, which are then added to ``problems``,
    each at its line. ``alone``: a layer by itself, so what is missing is forgiven and a ``{fact}`` may stand."""
    try:
        return model.model_validate(merged.tree(), context={"layer": alone})
    except ValidationError as error:
        problems += [
            _value_problem(found, merged, origin, host)
            for found in error.errors(include_url=False, include_input=False)
            if not (alone and found["type"] == "missing")
        ]
        return None


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
