"""YAML text into a tree of text with origins. YAML's own ideas of types never enter: the schema decides.

Only maps, lists and scalars exist here. Anchors, aliases, tags, merge keys, several documents and duplicate
keys are refused where they stand, because each makes a line mean something that is written elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from bootforge.errors import Problem
from bootforge.model import Origin

Op = Literal["set", "force", "remove"]
_SUFFIX: dict[str, Op] = {"!": "force", "-": "remove"}
_TAG = "tag:yaml.org,2002:"


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as it was written. ``empty`` when nothing, ``~`` or ``null`` was written plainly."""

    value: str
    origin: Origin
    empty: bool


@dataclass(frozen=True, slots=True)
class Seq:
    items: tuple[Node, ...]
    origin: Origin


@dataclass(frozen=True, slots=True)
class Entry:
    """One ``key: value`` of a map; ``op`` says which of ``key:``, ``key!:`` and ``key-:`` it was."""

    key: str
    op: Op
    origin: Origin
    node: Node


@dataclass(frozen=True, slots=True)
class Map:
    entries: tuple[Entry, ...]
    origin: Origin

    def get(self, key: str) -> Node | None:
        return next((entry.node for entry in self.entries if entry.key == key), None)


Node = Text | Seq | Map


class _Loader(yaml.CSafeLoader):
    """libyaml without implicit types: every plain scalar is text, ``<<`` is a key like any other."""

    yaml_implicit_resolvers: dict[str, Any] = {}


def parse_yaml(text: str, file: str, problems: list[Problem]) -> Node | None:
    """The tree of one file; what is wrong with it is appended to ``problems``. None for an empty file."""
    try:
        root = _compose(text)
    except yaml.YAMLError as error:
        problems.append(_syntax(error, file))
        return None
    return _Reader(file, problems).node(root) if root is not None else None


def _compose(text: str) -> yaml.Node | None:
    loader = _Loader(text)
    try:
        node: yaml.Node | None = loader.get_single_node()
        return node
    finally:
        loader.dispose()


def _syntax(error: yaml.YAMLError, file: str) -> Problem:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    origin = Origin(file, mark.line + 1, mark.column + 1) if mark else Origin(file)
    message = getattr(error, "problem", None) or getattr(error, "reason", None) or "unreadable"
    hint = "indent with spaces" if "character '\\t'" in message or "\t" in message else ""
    return Problem(origin, "BF001", f"not YAML: {message}", hint)


class _Reader:
    def __init__(self, file: str, problems: list[Problem]) -> None:
        self.file = file
        self.problems = problems
        self.seen: set[int] = set()

    def origin(self, node: yaml.Node) -> Origin:
        return Origin(self.file, node.start_mark.line + 1, node.start_mark.column + 1)

    def fault(self, node: yaml.Node, message: str, hint: str) -> None:
        self.problems.append(Problem(self.origin(node), "BF002", message, hint))

    def node(self, node: yaml.Node) -> Node:
        origin = self.origin(node)
        if id(node) in self.seen:
            self.fault(node, "an alias stands for this value", "write the value out where it is used")
            return Text("", origin, True)
        self.seen.add(id(node))
        kind = node.tag.removeprefix(_TAG)
        if kind not in ("str", "map", "seq"):
            self.fault(node, f"tag {node.tag!r} is not part of the site language", "remove the tag")
        if isinstance(node, yaml.MappingNode):
            return Map(tuple(self.entries(node)), origin)
        if isinstance(node, yaml.SequenceNode):
            return Seq(tuple(self.node(item) for item in node.value), origin)
        plain = isinstance(node, yaml.ScalarNode) and not node.style
        return Text(node.value, origin, plain and node.value in ("", "~", "null"))

    def entries(self, node: yaml.MappingNode) -> Iterator[Entry]:
        first: dict[str, Origin] = {}
        for key, value in node.value:
            origin = self.origin(key)
            if not isinstance(key, yaml.ScalarNode):
                self.fault(key, "a key must be a word", "quote braces and brackets that belong to a key")
                continue
            name, op = key.value, "set"
            if not key.style and name[-1:] in _SUFFIX:
                name, op = name[:-1], _SUFFIX[name[-1]]
            if name == "<<":
                self.fault(key, "merge keys are not part of the site language", "use a role or a rule")
                continue
            written = name if op == "set" else key.value
            if written in first:
                line = first[written].line
                self.fault(key, f"key {written!r} stands twice (first in line {line})", "keep one of them")
                continue
            first[written] = origin
            yield Entry(name, op, origin, self.node(value))  # type: ignore[arg-type]
