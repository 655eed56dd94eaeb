"""Layers of the site and how they merge: text first, types once.

A layer (defaults, a profile, a role, a rule, a host) is flattened to assertions by path. Layers are merged in
groups, weakest group first; the layers of one group (all roles of a host, all matching rules) are equals, so
their order changes nothing and a disagreement among them is a conflict, unless one says ``key!:``.
Within a group, replacing comes first, then setting, then removing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from bootforge.errors import Problem, did_you_mean
from bootforge.model import Assertion, Origin, Path, Trail, dotted
from bootforge.site.kinds import Atomic, Keyed, Kind, Scalar, SetOf, Struct
from bootforge.site.tree import Bad, Entry, Map, Node, Op, Seq, Text


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, flattened. ``replaces`` and ``removes`` hold the paths of collections given by ``key!:`` and of
    what ``key-:`` takes away; ``keys`` says where each key was written."""

    name: str
    origin: Origin
    says: Mapping[Path, Assertion] = field(default_factory=dict)
    replaces: Mapping[Path, Assertion] = field(default_factory=dict)
    removes: Mapping[Path, Assertion] = field(default_factory=dict)
    keys: Mapping[Path, Origin] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Merged:
    """The outcome of merging: what holds at each path, everything that was said about it, and where the strongest
    layer that writes a key writes it."""

    values: Mapping[Path, Assertion] = field(default_factory=dict)
    trails: Mapping[Path, Trail] = field(default_factory=dict)
    problems: tuple[Problem, ...] = ()
    keys: Mapping[Path, Origin] = field(default_factory=dict)

    def tree(self) -> dict[str, Any]:
        """The values as nested dicts of text, ready for the schema; a set is a dict of its elements."""
        return nest(self.values)

    def origin(self, path: Path, fallback: Origin) -> Origin:
        """Where the value at ``path`` was written, else its key, else the nearest key around it."""
        while path:
            if path in self.values:
                return self.values[path].origin
            if path in self.keys:
                return self.keys[path]
            path = path[:-1]
        return fallback


def no_weaker(origin: Origin) -> Problem:
    """A suffix where it means nothing."""
    message = "'!:' and '-:' mean nothing here: no weaker layer exists"
    return Problem(origin, "BF014", message, "drop the suffix")


def nest(values: Mapping[Path, Assertion]) -> dict[str, Any]:
    """Assertions by path as nested dicts of their values."""
    root: dict[str, Any] = {}
    for path, said in values.items():
        at = root
        for step in path[:-1]:
            at = at.setdefault(step, {})
        if said.value is None:
            at.setdefault(path[-1], {})
        else:
            at[path[-1]] = said.value
    return root


def merge(base: Merged, group: Sequence[Layer]) -> Merged:
    """``base`` overlaid with a group of equal layers."""
    group = [layer for layer in group if layer.says or layer.replaces or layer.removes or layer.keys]
    if not group:
        return base
    values, trails, problems = dict(base.values), dict(base.trails), list(base.problems)
    keys = dict(base.keys)
    replacing = [(path, layer) for layer in group for path in layer.replaces]
    for path, layer in replacing:
        _drop(values, trails, keys, path, layer.replaces[path])
        problems.extend(_rival_replacement(path, layer, replacing))
    for layer in sorted(group, key=lambda layer: layer.origin, reverse=True):
        keys.update(layer.keys)
    for path, said in _said(group, replacing, trails).items():
        if len(said) == 1:
            trails[path] = (*trails.get(path, ()), *said)
            values[path] = said[0]
            continue
        forced = [one for one in said if one.op == "force"] or said
        losers = [one for one in said if one not in forced]
        trails[path] = trails.get(path, ()) + tuple(losers) + tuple(forced)
        values[path] = forced[-1]
        problems.extend(_conflict(path, forced))
    for layer in group:
        for path, removal in layer.removes.items():
            _drop(values, trails, keys, path, removal)
    return Merged(values, trails, tuple(problems), keys)


def _said(
    group: Sequence[Layer], replacing: Sequence[tuple[Path, Layer]], trails: dict[Path, Trail]
) -> dict[Path, list[Assertion]]:
    """What the group says by path, without what one of its own replacements supersedes."""
    said: dict[Path, list[Assertion]] = {}
    for layer in group:
        for path, one in layer.says.items():
            by = None
            if replacing:
                by = next((at for at, _ in replacing if path[: len(at)] == at and at not in layer.replaces), None)
            if by is None:
                said.setdefault(path, []).append(one)
            else:
                winner = next(other.replaces[by] for at, other in replacing if at == by)
                trails[path] = trails.get(path, ()) + (one, winner)
    return said


def _drop(
    values: dict[Path, Assertion], trails: dict[Path, Trail], keys: dict[Path, Origin], path: Path, by: Assertion
) -> None:
    for at in [at for at in values if at[: len(path)] == path]:
        del values[at]
        trails[at] = trails[at] + (by,)
    for at in [at for at in keys if at[: len(path)] == path]:
        del keys[at]


def _conflict(path: Path, said: Sequence[Assertion]) -> Iterable[Problem]:
    first, *others = sorted(said, key=lambda one: one.origin)
    for other in others:
        if other.value != first.value:
            yield Problem(
                other.origin,
                "BF020",
                f"{other.layer} sets {dotted(path)} to {_show(other)}, but {first.layer} sets it to"
                f" {_show(first)} at {first.origin}",
                f"write '{path[-1]}!:' in the one that is meant to win",
            )
            return


def _rival_replacement(path: Path, layer: Layer, replacing: Sequence[tuple[Path, Layer]]) -> Iterable[Problem]:
    def content(of: Layer) -> dict[Path, Any]:
        return {at: said.value for at, said in of.says.items() if at[: len(path)] == path}

    for at, other in replacing:
        mine, theirs = layer.replaces[path], other.replaces.get(path)
        if at == path and theirs and theirs.origin < mine.origin and content(layer) != content(other):
            yield Problem(
                mine.origin,
                "BF020",
                f"{layer.name} replaces {dotted(path)}, and so does {other.name} at {theirs.origin}",
                "let one of them add with a plain key",
            )
            return


def _show(said: Assertion) -> str:
    return "[" + ", ".join(said.value) + "]" if isinstance(said.value, tuple) else repr(said.value)


def flatten(
    node: Node | None,
    kind: Struct,
    name: str,
    origin: Origin,
    problems: list[Problem],
    *,
    only: Collection[str] | None = None,
    elsewhere: Mapping[str, str] | None = None,
    beside: Collection[str] = (),
) -> Layer:
    """One layer of the site from its tree.

    ``only`` limits the top-level keys; ``elsewhere`` maps a key that is known but not allowed here to a hint
    that says where it belongs; ``beside`` are keys that the caller reads, for hints. Faults of form go to
    ``problems``; faults of value are the schema's to find.
    """
    flat = _Flattener(name, problems, beside)
    if isinstance(node, Map):
        kept = []
        for entry in node.entries:
            if (only is None or entry.key in only) or entry.key not in kind.fields:
                kept.append(entry)
            else:
                hint = (elsewhere or {}).get(entry.key, "allowed here: " + ", ".join(sorted(only)))
                problems.append(Problem(entry.origin, "BF011", f"'{entry.key}' cannot be set in {name}", hint))
        flat.struct(kept, kind if only is None else _limit(kind, only), ())
    elif node is not None and not (isinstance(node, Text) and node.empty):
        flat.shape(node, f"{name} must be a map of keys", "write 'key: value' lines")
    return Layer(name, origin, flat.says, flat.replaces, flat.removes, flat.keys)


def _limit(kind: Struct, only: Collection[str]) -> Struct:
    return Struct({key: value for key, value in kind.fields.items() if key in only})


def _told(key: str) -> str:
    """A key for a message, with what only looks like a letter of ours shown as what it is."""
    return f"'{key}'" if key.isascii() else ascii(key)


def _has(kind: Kind, key: str) -> bool:
    return isinstance(kind, Struct) and key in kind.fields


class _Flattener:
    def __init__(self, layer: str, problems: list[Problem], beside: Collection[str]) -> None:
        self.layer = layer
        self.problems = problems
        self.beside = beside
        self.says: dict[Path, Assertion] = {}
        self.replaces: dict[Path, Assertion] = {}
        self.removes: dict[Path, Assertion] = {}
        self.keys: dict[Path, Origin] = {}

    def shape(self, node: Node, message: str, hint: str) -> None:
        if not isinstance(node, Bad):
            self.problems.append(Problem(node.origin, "BF013", message, hint))

    def say(
        self, path: Path, value: str | tuple[str, ...] | None, op: Op, node: Node, items: Iterable[Text] = ()
    ) -> None:
        self.says[path] = Assertion(value, op, node.origin, self.layer, tuple(item.origin for item in items))

    def struct(self, entries: Iterable[Entry], kind: Struct, path: Path) -> None:
        above = ""
        for entry in entries:
            inner = kind.fields.get(entry.key)
            if inner is None:
                where = f" in {dotted(path)}" if path else ""
                inside = [f"'{name}:'" for name, one in kind.fields.items() if _has(one, entry.key)]
                hint = f"it stands below {' or '.join(inside)}" if inside else ""
                if (word := entry.key.rstrip(" !-")) in kind.fields:
                    hint = f"at most one suffix, just before the colon: '{word}:', '{word}!:' or '{word}-:'"
                elif (word := re.split("[:=]", entry.key)[0]) != entry.key and word in kind.fields:
                    hint = f"write '{word}: VALUE', with a blank after the colon"
                elif above:
                    hint = f"indent it if it belongs to '{above}:' above"
                hint = hint or did_you_mean(entry.key, [*kind.fields, *(() if path else self.beside)])
                hint = hint or "docs/site.md lists every key"
                self.problems.append(Problem(entry.origin, "BF012", f"unknown key {_told(entry.key)}{where}", hint))
            else:
                self.entry(entry, inner, (*path, entry.key))
                empty = isinstance(entry.node, Text) and entry.node.empty and isinstance(inner, Keyed | Struct)
                above = entry.key if empty and entry.op != "remove" else ""

    def entry(self, entry: Entry, kind: Kind, path: Path) -> None:
        if entry.op == "remove":
            self.removal(entry, kind, path)
            return
        if isinstance(kind, Keyed | SetOf | Struct):
            self.keys[path] = entry.origin
            if entry.op == "force":
                self.replaces[path] = Assertion(None, "force", entry.origin, self.layer)
        if not isinstance(entry.node, Bad):
            self.value(entry.node, kind, path, entry.op)
        if path not in self.says:
            self.keys.setdefault(path, entry.origin)

    def value(self, node: Node, kind: Kind, path: Path, op: Op) -> None:
        key = path[-1] + ("!" if op == "force" else "")
        match kind:
            case Scalar(secret=True):
                self.secret(node, path, op)
            case Scalar():
                if not isinstance(node, Text):
                    self.shape(node, f"'{key}' takes one value", f"write '{key}: VALUE'")
                elif node.empty:
                    self.shape(node, f"'{key}' has no value", f"write one, or '{path[-1]}-:' to remove it")
                else:
                    self.say(path, node.value, op, node)
            case Atomic():
                texts = self.texts(node, key)
                if texts or (isinstance(node, Seq) and not node.items):
                    self.say(path, tuple(text.value for text in texts), op, node, texts)
            case SetOf():
                for text in self.texts(node, key):
                    self.say((*path, text.value), text.value, "set", text)
            case Keyed(item):
                for entry in self.entries(node, key, "NAME: ..."):
                    self.entry(entry, item, (*path, entry.key))
            case Struct(fields):
                some = ", ".join(f"{field}: ..." for field in sorted(fields)[:4])
                entries = self.entries(node, key, some)
                self.struct(entries, kind, path)
                if not entries:
                    self.say(path, None, "set", node)
            case _:
                assert_never(kind)

    def entries(self, node: Node, key: str, shown: str) -> tuple[Entry, ...]:
        if isinstance(node, Map):
            return node.entries
        if not (isinstance(node, Text) and node.empty):
            self.shape(node, f"'{key}' takes a map", f"write '{key}: {{{shown}}}'")
        return ()

    def texts(self, node: Node, key: str) -> list[Text]:
        if not isinstance(node, Seq):
            one = isinstance(node, Text) and not node.empty and len(node.value) < 40 and node.value.isprintable()
            words = re.split(r"[,\s]+", node.value) if isinstance(node, Text) and one else ["..."]
            shown = ", ".join(word if re.fullmatch(r"[\w./+=-]*", word) else f'"{word}"' for word in words)
            self.shape(node, f"'{key}' takes a list", f"write '{key}: [{shown}]'")
            return []
        texts = []
        for item in node.items:
            if isinstance(item, Text) and not item.empty:
                texts.append(item)
            else:
                self.shape(item, f"an element of '{key}' must be one value", "write a word or a quoted text")
        return texts

    def secret(self, node: Node, path: Path, op: Op) -> None:
        name = node.get("secret") if isinstance(node, Map) and len(node.entries) == 1 else None
        if isinstance(name, Text) and not name.empty:
            self.say(path, name.value, op, name)
        else:
            hint = f"write '{path[-1]}: {{secret: NAME}}' and declare NAME under 'secrets:' in site.yaml"
            self.shape(node, f"'{path[-1]}' takes the name of a secret, never its value", hint)

    def removal(self, entry: Entry, kind: Kind, path: Path) -> None:
        removal = Assertion(None, "remove", entry.origin, self.layer)
        nothing = isinstance(entry.node, Text) and entry.node.empty
        if isinstance(kind, Keyed | SetOf) and nothing:
            hint = f"write '{entry.key}-: [NAME]', or '{entry.key}!:' to replace it whole"
            self.shape(entry.node, f"'{entry.key}-:' takes a list of what to remove", hint)
        elif isinstance(kind, Keyed | SetOf):
            for text in self.texts(entry.node, f"{entry.key}-"):
                self.removes[(*path, text.value)] = replace(removal, origin=text.origin)
        elif nothing:
            self.removes[path] = removal
        else:
            self.shape(entry.node, f"'{entry.key}-:' takes no value", "leave it empty")
