"""YAML text into a tree of text with origins. YAML's own ideas of types never enter: the schema decides.

Only maps, lists and scalars exist here. Anchors, aliases, tags, merge keys, several documents and duplicate
keys are refused where they stand, because each makes a line mean something that is written elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from bootforge.errors import Problem
from bootforge.model import Origin
from bootforge.site.syntax import end_of, syntax_problem

Op = Literal["set", "force", "remove"]
_SUFFIX: dict[str, Op] = {"!": "force", "-": "remove"}
_DEEPEST, _LONGEST_KEY = 32, 400
_HIDDEN_BREAK = re.compile("[\x85\u2028\u2029]")
NO_QUOTES = ("\u2018", "\u2019", "\u201a", "\u201c", "\u201d", "\u201e", "\u00ab", "\u00bb")


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar as it was written. ``empty`` when nothing, ``~`` or ``null`` was written plainly. ``lead``: how many
    characters stand before the text, as a quote does; -1 when it is not written in one piece."""

    value: str
    origin: Origin
    empty: bool
    lead: int = -1

    def at(self, offset: int) -> Origin:
        """The place of one character of the text, as nearly as it can be told."""
        if self.lead < 0:
            return self.origin
        return Origin(self.origin.file, self.origin.line, self.origin.col + self.lead + offset)


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
    lead: int = -1

    def at(self, offset: int) -> Origin:
        """The place of one character of the key, as of a :class:`Text`."""
        return Text(self.key, self.origin, False, self.lead).at(offset)


@dataclass(frozen=True, slots=True)
class Map:
    entries: tuple[Entry, ...]
    origin: Origin

    def get(self, key: str) -> Node | None:
        return next((entry.node for entry in self.entries if entry.key == key), None)


@dataclass(frozen=True, slots=True)
class Bad:
    """A value that was refused: what is wrong with it is said already."""

    origin: Origin


Node = Text | Seq | Map | Bad


def parse_yaml(text: str, file: str, problems: list[Problem]) -> Node | None:
    """The tree of one file; what is wrong with it is appended to ``problems``. None for an empty file, and Bad for
    one that is not YAML."""
    if found := _HIDDEN_BREAK.search(text):
        what = f"not YAML: a line ends in {found[0]!a}"
        problems.append(
            Problem(end_of(text[: found.start()], file), "BF001", what, "editors do not show it; remove it")
        )
        return Bad(Origin(file))
    loader = yaml.CSafeLoader(text)
    try:
        return _Reader(loader, file, problems).document()
    except yaml.YAMLError as error:
        problems.append(syntax_problem(error, file, text))
        return Bad(Origin(file))
    finally:
        loader.dispose()


class _Reader:
    """Reads libyaml's events, so that every construct is known at its own place."""

    def __init__(self, loader: yaml.CSafeLoader, file: str, problems: list[Problem]) -> None:
        self.next: Callable[[], Any] = loader.get_event
        self.file = file
        self.problems = problems

    def origin(self, event: Any) -> Origin:
        mark = event.start_mark
        return Origin(self.file, mark.line + 1, mark.column + 1)

    def fault(self, event: Any, message: str, hint: str) -> None:
        self.problems.append(Problem(self.origin(event), "BF002", message, hint))

    def document(self) -> Node | None:
        root: Node | None = None
        documents = 0
        while not isinstance(event := self.next(), yaml.StreamEndEvent):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents == 2:
                    self.fault(event, "a second document begins here", "remove the line '---', or use another file")
            elif not isinstance(event, yaml.StreamStartEvent | yaml.DocumentEndEvent):
                node = self.node(event, 0)
                root = node if documents == 1 else root
        return None if isinstance(root, Text) and root.empty else root

    def node(self, event: Any, depth: int) -> Node:
        origin = self.origin(event)
        plain = type(event) is yaml.ScalarEvent and not event.anchor and not event.tag
        if plain and not event.value.startswith(NO_QUOTES):
            return _text(event, origin)
        if isinstance(event, yaml.AliasEvent):
            hint = "write the value out; quote a text that begins with '*'"
            self.fault(event, f"'*{event.anchor}' is an alias, which the site language does not have", hint)
            return Bad(origin)
        refused = self.refused(event, depth)
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node = _text(event, origin)
        elif depth > _DEEPEST:
            self.skip(event)
            node = Bad(origin)
        elif isinstance(event, yaml.MappingStartEvent):
            node = Map(tuple(self.entries(depth + 1)), origin)
        else:
            items = []
            while not isinstance(inner := self.next(), yaml.SequenceEndEvent):
                items.append(self.node(inner, depth + 1))
            node = Seq(tuple(items), origin)
        return Bad(origin) if refused else node

    def refused(self, event: Any, depth: int) -> bool:
        """Whether something before a value is not part of the language."""
        if event.anchor:
            hint = "write the value out where it is used; quote a text that begins with '&'"
            self.fault(event, f"'&{event.anchor}' is an anchor, which the site language does not have", hint)
        elif event.tag:
            shown = event.tag.replace("tag:yaml.org,2002:", "!!")
            hint = "remove it; quote a text that begins with '!'"
            self.fault(event, f"'{shown}' is a tag, which the site language does not have", hint)
        elif depth == _DEEPEST + 1 and not isinstance(event, yaml.ScalarEvent):
            self.fault(event, f"nested deeper than {_DEEPEST} levels", "nothing in a site is as deep as that")
        elif isinstance(event, yaml.ScalarEvent) and not event.style and event.value.startswith(NO_QUOTES):
            hint = "write ' or \"; put such quotes round a text that begins with it"
            self.fault(event, f"{event.value[0]} is no quotation mark of YAML", hint)
        else:
            return False
        return True

    def skip(self, event: Any) -> None:
        """Passes over a value whose first event was read."""
        level = 0
        while True:
            level += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if level == 0:
                return
            event = self.next()

    def entries(self, depth: int) -> Iterator[Entry]:
        first: dict[str, Origin] = {}
        while not isinstance(key := self.next(), yaml.MappingEndEvent):
            if entry := self.entry(key, depth, first):
                yield entry

    def entry(self, key: Any, depth: int, first: dict[str, Origin]) -> Entry | None:
        named = self.node(key, depth)
        found = len(self.problems)
        value = self.node(self.next(), depth)
        if isinstance(named, Bad):
            return None
        if not isinstance(named, Text):
            self.fault(key, "a key must be a word", "quote a value that begins with a brace or a bracket")
            return None
        name, op = named.value, "set"
        if len(name) > _LONGEST_KEY:
            self.fault(key, f"a key of {len(name)} characters", "nothing in a site has a name as long as that")
            return None
        if not name.isprintable():
            self.fault(key, f"the key {name!a} has a character that cannot be seen", "write it in plain letters")
            return None
        if not key.style and name[-1:] in _SUFFIX:
            name, op = name[:-1], _SUFFIX[name[-1]]
        if name == "<<":
            del self.problems[found:]
            self.fault(key, "merge keys are not part of the site language", "use a role or a rule")
            return None
        written = f"{name}-" if op == "remove" else name
        if written in first:
            line = first[written].line
            self.fault(key, f"key {named.value!r} stands twice (first in line {line})", "keep one of them")
            return None
        first[written] = named.origin
        return Entry(name, op, named.origin, value, named.lead)  # type: ignore[arg-type]


def _text(event: Any, origin: Origin) -> Text:
    value, quotes = event.value, 1 if event.style in ("'", '"') else 0
    start, end = event.start_mark, event.end_mark
    whole = start.line == end.line and end.column - start.column == len(value) + 2 * quotes
    return Text(value, origin, not event.style and value in ("", "~", "null"), quotes if whole else -1)
