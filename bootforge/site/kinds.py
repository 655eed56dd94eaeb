"""What kind of thing each place of a specification is, read off the schema's annotations; and what all of the
schema is made of, a :class:`Model`.

Five kinds: a struct has fixed keys; a keyed map is merged by key; a set is united and sorted; an atomic list is
replaced whole; everything else is a scalar. :mod:`bootforge.site.layer` merges by them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """What every part of the schema is: frozen, and without keys that it does not name."""

    model_config = ConfigDict(extra="forbid", frozen=True)


@dataclass(frozen=True, slots=True)
class Mark:
    """Put into ``Annotated[...]`` in the schema: what pydantic's types alone do not say."""

    word: str


SET = Mark("set")
FACTS = Mark("facts")
SECRET = Mark("secret")
HEX = Mark("hex")


@dataclass(frozen=True, slots=True)
class Scalar:
    facts: bool = False
    secret: bool = False
    hexadecimal: bool = False


@dataclass(frozen=True, slots=True)
class SetOf:
    pass


@dataclass(frozen=True, slots=True)
class Atomic:
    facts: bool = False


@dataclass(frozen=True, slots=True)
class Keyed:
    item: Kind


@dataclass(frozen=True, slots=True)
class Struct:
    fields: Mapping[str, Kind]


Kind = Scalar | SetOf | Atomic | Keyed | Struct


@cache
def kind_of_model(model: type[BaseModel]) -> Struct:
    """The struct that a pydantic model describes."""
    return Struct(
        {
            field.alias or name: _kind(
                Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            )
            for name, field in model.model_fields.items()
        }
    )


def _kind(annotation: Any, marks: frozenset[Mark] = frozenset()) -> Kind:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _kind(args[0], marks | {mark for mark in args[1:] if isinstance(mark, Mark)})
    if origin in (Union, UnionType):
        inner = [arg for arg in args if arg is not NoneType]
        return _kind(inner[0], marks) if len(inner) == 1 else Scalar(facts=FACTS in marks)
    if SECRET in marks:
        return Scalar(facts=FACTS in marks, secret=True)
    if origin is tuple:
        item = _kind(args[0], marks - {SET})
        return SetOf() if SET in marks else Atomic(facts=isinstance(item, Scalar) and item.facts)
    if origin is dict:
        return Keyed(_kind(args[1]))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return kind_of_model(annotation)
    return Scalar(facts=FACTS in marks, hexadecimal=HEX in marks)


def kind_at(kind: Kind, path: tuple[str, ...]) -> Kind:
    """The kind at a path. Raises KeyError when the schema has no such place."""
    for step in path:
        match kind:
            case Struct(fields):
                kind = fields[step]
            case Keyed(item):
                kind = item
            case SetOf():
                kind = Scalar()
            case _:
                raise KeyError(step)
    return kind
