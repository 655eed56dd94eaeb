"""The schema of the site's files as JSON Schema (draft 2020-12), for editors: made from the schema itself, key by key.

It describes files, not merged hosts: a layer may leave everything out, ``key!`` and ``key-`` stand beside ``key``, and
a scalar is whatever an editor's YAML takes it for. What only the whole site can tell is left to ``check``.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, TypeAdapter

from bootforge.errors import UsageError, did_you_mean
from bootforge.site.arrays import ArraySpec
from bootforge.site.kinds import FACTS, SECRET, Keyed, SetOf, kind_of_model
from bootforge.site.load import SETTINGS
from bootforge.site.scalars import Name
from bootforge.site.schema import ASSIGNED, HostSpec, ProfileHead, SiteFile
from bootforge.site.schema_system import RepoSpec

Schema = dict[str, Any]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT: Schema = {"type": ["string", "number", "boolean"]}
_NAMES = {"type": "array", "items": _TEXT, "description": "What is removed."}
_SAMPLES: dict[str, tuple[str, ...]] = {
    "integer": ("1", "10", "525400123456"),
    "number": ("1.5", "9.10"),
    "boolean": ("true", "false"),
}
"""JSON's types for what a plain scalar of YAML 1.2 may be, beside a string, and texts that are read as such."""

_READ_AS: dict[str, bool | int] = {"true": True, "false": False, **{str(number): number for number in range(10)}}

KINDS = {
    "site": "site.yaml",
    "rules": "rules.yaml",
    "role": "roles/NAME.yaml",
    "profile": "profiles/NAME.yaml",
    "layout": "layouts/NAME.yaml",
    "hardware": "hardware/NAME.yaml",
    "host": "hosts/*.yaml",
    "repos": "repos.yaml",
    "arrays": "arrays.yaml",
    "lock": "lock.yaml",
}
"""The kinds of files of a site, and where they are."""


def json_schema(kind: str | None = None) -> Schema:
    """The document for one kind of file; without a kind, for any of them. Raises UsageError for no such kind."""
    if kind is not None and kind not in KINDS:
        raise UsageError(f"no kind of file {kind!r}", did_you_mean(kind, KINDS))
    builder = _Builder()
    wanted = [kind] if kind else [*KINDS]
    files = {name: {"description": KINDS[name], **builder.file(name)} for name in wanted}
    refs = [{"$ref": f"#/$defs/{name}"} for name in wanted]
    which: Schema = refs[0] if kind else {"anyOf": refs}
    title = f"Bootforge: {KINDS[kind]}" if kind else "Bootforge: a file of a site"
    return {"$schema": _DIALECT, "title": title, **which, "$defs": {**files, **builder.models}}


class _Builder:
    """Collects a definition for each model that is met."""

    def __init__(self) -> None:
        self.models: dict[str, Schema] = {}

    def file(self, kind: str) -> Schema:
        host = self.model(HostSpec, suffixes=True)
        layer = self.limited(SETTINGS)
        match kind:
            case "site":
                return self.struct(SiteFile, suffixes=False, whole=True)
            case "rules":
                lists = {"assign": self.rule(ASSIGNED), "rules": self.rule(SETTINGS)}
                return _object({key: {"type": ["array", "null"], "items": item} for key, item in lists.items()})
            case "profile":
                head = self.struct(ProfileHead, suffixes=False, whole=True)
                return {**layer, "properties": {**head["properties"], **layer["properties"]}, "required": ["release"]}
            case "host":
                return {"type": ["object", "null"], "additionalProperties": host}
            case "repos":
                return self.keyed(Name, RepoSpec, suffixes=False)
            case "arrays":
                return self.keyed(Name, ArraySpec, suffixes=False)
            case "lock":
                identity = self.limited(("id", "initiator", "nics", "vm"))
                return {
                    "type": ["object", "null"],
                    "additionalProperties": identity,
                }
        return layer

    def rule(self, keys: Collection[str]) -> Schema:
        told = {"name": "What the rule is called.", "why": "Why it exists.", "when": "A class expression."}
        layer = self.limited(keys)
        words = {key: {"type": "string", "description": text} for key, text in told.items()}
        return {**layer, "type": "object", "properties": {**words, **layer["properties"]}, "required": ["when"]}

    def limited(self, keys: Collection[str]) -> Schema:
        """A layer that may say some of a host's keys."""
        self.model(HostSpec, suffixes=True)
        parts = self.models[HostSpec.__name__]
        at = f"#/$defs/{HostSpec.__name__}/properties"
        properties = {key: {"$ref": f"{at}/{key}"} for key in parts["properties"] if key in keys}
        patterns = {key: said for key, said in parts["patternProperties"].items() if key[1:-2] in keys}
        return _object(properties, patterns)

    def model(self, model: type[BaseModel], *, suffixes: bool) -> Schema:
        name = model.__name__ if suffixes else f"{model.__name__}Whole"
        if name not in self.models:
            self.models[name] = {}  # a model may hold itself
            self.models[name] = self.struct(model, suffixes=suffixes, whole=not suffixes)
        return {"$ref": f"#/$defs/{name}"}

    def struct(self, model: type[BaseModel], *, suffixes: bool, whole: bool) -> Schema:
        """``whole``: no other layer could say what is missing."""
        name, kinds = model.__name__, kind_of_model(model)
        properties: Schema = {}
        patterns: Schema = {}
        required = []
        for attribute, field in model.model_fields.items():
            key = field.alias or attribute
            annotation: Any = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            said = self.value(annotation, suffixes or annotation is HostSpec)
            properties[key] = {**said, "description": field.description or ""}
            if suffixes:
                several = isinstance(kinds.fields[key], Keyed | SetOf)
                patterns[f"^{key}!$"] = {"$ref": f"#/$defs/{name}/properties/{key}"}
                patterns[f"^{key}-$"] = _NAMES if several else {"type": "null", "description": "It is removed."}
            if whole and field.is_required():
                required.append(key)
        found = {**_object(properties, patterns), "description": " ".join((model.__doc__ or "").split())}
        return {**found, "type": "object", "required": required} if required else found

    def value(self, annotation: Any, suffixes: bool, facts: bool = False) -> Schema:
        origin, args = get_origin(annotation), get_args(annotation)
        if origin is Annotated:
            if SECRET in args:
                return {**_object({"secret": {"type": "string"}}), "type": "object", "required": ["secret"]}
            if _is_scalar(args[0]):
                return _scalar(TypeAdapter(annotation).json_schema(), facts or FACTS in args, suffixes)
            return self.value(args[0], suffixes, facts or FACTS in args)
        if origin in (Union, UnionType):
            (inner,) = (arg for arg in args if arg is not NoneType)
            return self.value(inner, suffixes, facts)
        if origin is tuple:
            return {"type": "array", "items": self.value(args[0], suffixes, facts)}
        if origin is dict:
            return self.keyed(args[0], args[1], suffixes)
        return self.model(annotation, suffixes=suffixes)

    def keyed(self, key: Any, item: Any, suffixes: bool) -> Schema:
        said = self.value(item, suffixes)
        pattern = TypeAdapter(key).json_schema().get("pattern", "^.+$")
        several = get_origin(item) is dict or (get_origin(item) is Annotated and get_origin(get_args(item)[0]) is tuple)
        form = pattern[:-1] + ("[!-]?$" if suffixes else "$")
        found: Schema = {"type": ["object", "null"], "propertyNames": {"pattern": form}, "additionalProperties": said}
        if suffixes:
            found["patternProperties"] = {"-$": _NAMES if several else {"type": "null"}}
        return found


def _is_scalar(annotation: Any) -> bool:
    """Whether one reader of ours decides: also where it makes one of two types, as an address of either family."""
    if get_origin(annotation) in (Union, UnionType):
        return NoneType not in get_args(annotation)
    return get_origin(annotation) is None and not _is_model(annotation)


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _object(properties: Schema, patterns: Schema | None = None) -> Schema:
    found: Schema = {"type": ["object", "null"], "properties": properties, "additionalProperties": False}
    return {**found, "patternProperties": patterns} if patterns else found


def _scalar(said: Schema, facts: bool, ranges: bool) -> Schema:
    """A scalar of ours as an editor sees it: ``true`` and ``8`` are no strings there. A host's may hold a range."""
    if words := said.get("enum"):
        return {"enum": [*words, *(_READ_AS[word] for word in words if word in _READ_AS)]}
    pattern = said.get("pattern")
    types = [name for name, texts in _SAMPLES.items() if not pattern or any(re.match(pattern, text) for text in texts)]
    found: Schema = {"type": ["string", *types]}
    if pattern:
        others = (r"\{" if facts else "", r"\[.+-.+\]" if ranges else "")
        found["pattern"] = "|".join([pattern, *filter(None, others)])
    return found
