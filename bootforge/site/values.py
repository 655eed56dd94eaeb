"""Merged text against the schema: what pydantic finds, said at the line that is wrong."""

from __future__ import annotations

from typing import Annotated, Any, Generic, TypeVar

from pydantic import BaseModel, TypeAdapter, ValidationError

from bootforge.errors import Problem
from bootforge.model import Origin, Path, dotted
from bootforge.site.layer import Merged, nest

M = TypeVar("M", bound=BaseModel)


def typed(
    model: type[M], merged: Merged, origin: Origin, problems: list[Problem], host: str = "", *, alone: bool = False
) -> M | None:
    """Merged text as the schema's values; None when the schema refuses some, which are then added to ``problems``,
    each at its line. What lacks a value because it was refused before is not told again. ``alone``: a layer by itself,
    so what is missing is forgiven and a ``{fact}`` may stand."""
    try:
        return model.model_validate(merged.tree(), context={"layer": alone})
    except ValidationError as error:
        problems += [
            _value_problem(found, merged, origin, host)
            for found in error.errors(include_url=False, include_input=False)
            if not (found["type"] == "missing" and (alone or found["loc"] in merged.keys))
        ]
        return None


class Typer(Generic[M]):
    """Types many merged texts by one model, each of its keys once for each text that the key has: hosts of a fleet
    share most of them. For a model whose keys are all optional and know nothing of each other."""

    def __init__(self, model: type[M]) -> None:
        assert not model.__pydantic_decorators__.model_validators, f"keys of {model.__name__} depend on each other"
        self.model = model
        self.empty = model.model_validate({})
        self.fields: dict[str, tuple[str, TypeAdapter[Any]]] = {}
        for name, field in model.model_fields.items():
            annotation: Any = Annotated[field.annotation, *(field.metadata or [None])]
            self.fields[field.alias or name] = name, TypeAdapter(annotation)
        self.known: dict[tuple[str, str], Any] = {}
        self.kept: dict[int, tuple[Merged, dict[str, Any]]] = {}

    def typed(self, merged: Merged, below: Merged, origin: Origin, problems: list[Problem], host: str = "") -> M | None:
        """As :func:`typed`, which also says what is wrong when something is. ``below``: what ``merged`` was made from,
        and shares with others; of what it left as it was, the values are kept."""
        kept = self.kept.setdefault(id(below), (below, {}))[1]
        changed = {path[0] for path, said in merged.values.items() if below.values.get(path) is not said}
        changed.update(path[0] for path in below.values if path not in merged.values)
        keys = {path[0] for path in merged.values}
        wanted = {key for key in keys if key in changed or key not in kept}
        tree = nest({path: said for path, said in merged.values.items() if path[0] in wanted})
        found = {}
        for key in keys:
            name, field = self.fields[key]
            if key in wanted:
                said_text = key, repr(tree[key])
                if said_text not in self.known:
                    try:
                        self.known[said_text] = field.validate_python(tree[key], context={"layer": False})
                    except ValidationError:
                        return typed(self.model, merged, origin, problems, host)
                found[name] = self.known[said_text]
                if key not in changed:
                    kept[key] = found[name]
            else:
                found[name] = kept[key]
        return self.empty.model_copy(update=found)

    def check(self, merged: Merged, origin: Origin, problems: list[Problem]) -> None:
        """What is wrong with a layer by itself, as :func:`typed` with ``alone``."""
        for key, text in merged.tree().items():
            try:
                self.fields[key][1].validate_python(text, context={"layer": True})
            except ValidationError as error:
                if any(found["type"] != "missing" for found in error.errors(include_url=False, include_input=False)):
                    typed(self.model, merged, origin, problems, alone=True)
                    return


def _value_problem(found: Any, merged: Merged, origin: Origin, host: str) -> Problem:
    path, name, place = _path(merged.tree(), found["loc"])
    at = merged.origin(path, origin)
    if place is not None and path in merged.values and place < len(merged.values[path].items):
        at = merged.values[path].items[place]
    if found["type"] == "missing":
        *around, key = name
        where = f"below '{dotted(tuple(around))}'" if around else "at the top"
        return Problem(at, "BF019", f"'{dotted(name)}' is missing", f"write '{key}:' {where}", host)
    message, _, hint = found["msg"].removeprefix("Value error, ").partition("; ")
    return Problem(at, "BF010", f"{dotted(name)}: {message}", hint, host)


def _path(tree: Any, loc: tuple[str | int, ...]) -> tuple[Path, Path, int | None]:
    """What pydantic's location means: the path, the path without an element of a set, and the index in a list.
    A set's index counts its sorted elements."""
    path: list[str] = []
    for step in loc:
        if isinstance(step, int):
            if not isinstance(tree, dict):
                return tuple(path), tuple(path), step
            return (*path, sorted(tree)[step]), tuple(path), None
        if step == "[key]":
            break
        path.append(step)
        tree = tree.get(step) if isinstance(tree, dict) else None
    return tuple(path), tuple(path), None
