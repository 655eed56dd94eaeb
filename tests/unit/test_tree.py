"""YAML text into a tree: everything is text, what the language lacks is refused at its own place."""

from __future__ import annotations

import pytest

from bootforge.errors import Problem
from bootforge.model import Origin
from bootforge.site.tree import Bad, Entry, Map, Node, Seq, Text, parse_yaml


def parse(text: str) -> tuple[Node | None, list[Problem]]:
    problems: list[Problem] = []
    return parse_yaml(text, "f", problems), problems


def plain(node: Node | None) -> object:
    """A tree without its places: maps as lists of (key, op, value), since a tree keeps order and doubles."""
    match node:
        case Map(entries):
            return {(entry.key, entry.op): plain(entry.node) for entry in entries}
        case Seq(items):
            return [plain(item) for item in items]
        case Text(value, _, empty):
            return None if empty else value
        case Bad():
            return "refused"
    return node


@pytest.mark.parametrize(
    "text,tree",
    [
        ("", None),
        ("# only a comment\n", None),
        ("~", None),
        ("a: 1\n", {("a", "set"): "1"}),
        ("a: no\n", {("a", "set"): "no"}),
        ("a: 012\n", {("a", "set"): "012"}),
        ("a: 1_000\n", {("a", "set"): "1_000"}),
        ("a: 9.10\n", {("a", "set"): "9.10"}),
        ("a: 52:54:00:12:34:56\n", {("a", "set"): "52:54:00:12:34:56"}),
        ("a: 2024-01-01\n", {("a", "set"): "2024-01-01"}),
        ("a: 0x1F\n", {("a", "set"): "0x1F"}),
        ("a: .inf\n", {("a", "set"): ".inf"}),
        ("a: true\n", {("a", "set"): "true"}),
        ("a: Null\n", {("a", "set"): "Null"}),
        ("a:\n", {("a", "set"): None}),
        ("a: null\n", {("a", "set"): None}),
        ("a: ''\n", {("a", "set"): ""}),
        ("a: 'null'\n", {("a", "set"): "null"}),
        ("a!: 1\n", {("a", "force"): "1"}),
        ("a-: [b]\n", {("a", "remove"): ["b"]}),
        ("'a!': 1\n", {("a!", "set"): "1"}),
        ("'a-': 1\n", {("a-", "set"): "1"}),
        ("a-b: 1\n", {("a-b", "set"): "1"}),
        ("a: [b, {c: d}]\n", {("a", "set"): ["b", {("c", "set"): "d"}]}),
        ("packages: [a]\npackages-: [b]\n", {("packages", "set"): ["a"], ("packages", "remove"): ["b"]}),
        ("on: yes\n", {("on", "set"): "yes"}),
        ("a: b\r\nc: d\r\n", {("a", "set"): "b", ("c", "set"): "d"}),
        ("\ufeffa: b\n", {("a", "set"): "b"}),
        ("%YAML 1.2\n---\na: b\n", {("a", "set"): "b"}),
        ("a: |\n  b\n  c\n", {("a", "set"): "b\nc\n"}),
    ],
)
def test_every_scalar_is_text(text: str, tree: object) -> None:
    node, problems = parse(text)
    assert problems == []
    assert plain(node) == tree


@pytest.mark.parametrize(
    "text,code,place,words",
    [
        ("a: 1\na: 2\n", "BF002", "2:1", "key 'a' stands twice (first in line 1)"),
        ("a: 1\na!: 2\n", "BF002", "2:1", "key 'a!' stands twice"),
        ("a-: []\na-: []\n", "BF002", "2:1", "key 'a-' stands twice"),
        ("a:\n  b: 1\n  b: 2\n", "BF002", "3:3", "stands twice (first in line 2)"),
        ("a: &x 1\n", "BF002", "1:4", "'&x' is an anchor"),
        ("a: [1, &x {b: c}]\n", "BF002", "1:8", "'&x' is an anchor"),
        ("a: *x\n", "BF002", "1:4", "'*x' is an alias"),
        ("*x : 1\n", "BF002", "1:1", "'*x' is an alias"),
        ("a: !!str 1\n", "BF002", "1:4", "'!!str' is a tag"),
        ("a: !!python/object:os.system 1\n", "BF002", "1:4", "'!!python/object:os.system' is a tag"),
        ("a: !env_qa\n", "BF002", "1:4", "quote a text that begins with '!'"),
        ("<<: {a: 1}\n", "BF002", "1:1", "merge keys"),
        ("{a: 1}: 2\n", "BF002", "1:1", "a key must be a word"),
        ("[a]: 2\n", "BF002", "1:1", "a key must be a word"),
        ('"\\e[31m": 1\n', "BF002", "1:1", "the key '\\x1b[31m' has a character that cannot be seen"),
        ("a: 1\n---\nb: 2\n", "BF002", "2:1", "a second document"),
        ("a: b\n...\nc: d\n", "BF001", "3:1", "remove the line '...'"),
        ("\ta: 1\n", "BF001", "1:1", "indent with spaces"),
        ("a:\n\tb: 1\n", "BF001", "2:1", "indent with spaces"),
        ("a:\n  b: 1\n\tc: 2\n", "BF001", "3:1", "indent with spaces"),
        ("a: @core\n", "BF001", "1:4", "a value cannot begin with '@'; quote it"),
        ("a: `b`\n", "BF001", "1:4", "a value cannot begin with '`'; quote it"),
        ("a: %b\n", "BF001", "1:4", "a value cannot begin with '%'; quote it"),
        ("a: & b\n", "BF001", "1:4", "a value cannot begin with '&'; quote it"),
        ("a: *\n", "BF001", "1:4", "a value cannot begin with '*'; quote it"),
        ("a: {b}-c\n", "BF001", "1:7", "'-c' cannot stand here"),
        ("- {b}{c}\n", "BF001", "1:6", "'{' cannot stand here"),
        ("a: [{b}.c]\n", "BF001", "1:8", "'.' cannot stand here"),
        ("a: b]\nc: [d]]\n", "BF001", "2:7", "']' cannot stand here"),
        ('a: "b" c\n', "BF001", "1:8", "'c' cannot stand here"),
        ("a: b: c\n", "BF001", "1:5", "a second ':' in one value"),
        ("a:\n  b c\n  d: e\n", "BF001", "2:3", "a line without a key"),
        ("a:\n  b:c\n  d: e\n", "BF001", "2:3", "with a blank after the colon"),
        ("a: 1\nb\nc: 2\n", "BF001", "2:1", "a line without a key"),
        ('a: "b\nc: d\n', "BF001", "1:4", "this quote is never closed"),
        ("a: 'b\nc: d\n", "BF001", "1:4", "this quote is never closed"),
        ("a: [b\nc: d\n", "BF001", "1:4", "this '[' is never closed"),
        ("a: {b: c\nd: e\n", "BF001", "1:4", "this '{' is never closed"),
        ("a: 1\n  b: 2\n", "BF001", "2:3", "indented as a part of the value above"),
        ("a: - b\n", "BF001", "1:4", "begin a list in a line of its own"),
        ('a: "\\q"\n', "BF001", "1:5", "use single quotes"),
        ("a: b\n# \u00e4\u00f6 \x07\n", "BF001", "2:6", "control characters are not allowed"),
        ("a: b\rc: \x07\n", "BF001", "2:4", "control characters are not allowed"),
        ("a: b\r\nc: \x07\r\n", "BF001", "2:4", "control characters are not allowed"),
        ("a: b\x00\n", "BF001", "1:5", "control characters are not allowed"),
    ],
)
def test_a_fault_is_told_at_its_place_with_a_remedy(text: str, code: str, place: str, words: str) -> None:
    _, problems = parse(text)
    (problem,) = problems
    assert f"{problem.origin.line}:{problem.origin.col}" == place
    assert problem.code == code
    assert words in problem.line()
    assert problem.hint and problem.line().isprintable()


def test_every_fault_of_a_file_is_found_at_once() -> None:
    _, problems = parse("a: &x 1\nb: *x\nc: !t 2\nd: 1\nd: 2\n")
    assert [(one.origin.line, one.code) for one in problems] == [(1, "BF002"), (2, "BF002"), (3, "BF002"), (5, "BF002")]


def test_what_was_refused_stays_in_the_tree_as_refused() -> None:
    """So that nothing is said about a value that is missing, when it is there and wrong."""
    node, _ = parse("a: *x\nb: [!t c, d]\n")
    assert plain(node) == {("a", "set"): "refused", ("b", "set"): ["refused", "d"]}
    assert isinstance(parse("a: [")[0], Bad)


def test_places_are_those_of_an_editor() -> None:
    node, _ = parse("# x\n\u00e4: \u00f6\nb:\n  - c\n  - 'd'\n")
    assert isinstance(node, Map)
    first, second = node.entries
    assert (first.origin, first.node.origin) == (Origin("f", 2, 1), Origin("f", 2, 4))
    assert isinstance(second.node, Seq)
    assert [item.origin for item in second.node.items] == [Origin("f", 4, 5), Origin("f", 5, 5)]


@pytest.mark.parametrize(
    "text,offset,place",
    [
        ("a: el9 & x", 6, (1, 10)),
        ("a: 'el9 & x'", 6, (1, 11)),
        ('a: "el9 & x"', 6, (1, 11)),
        ("a: 'el9 & ''x'", 6, (1, 4)),  # an escape: only the beginning is known
        ("a: el9\n  & x", 6, (1, 4)),  # two lines
        ("a: |\n  el9 & x", 6, (1, 4)),
    ],
)
def test_the_place_inside_a_text(text: str, offset: int, place: tuple[int, int]) -> None:
    node, _ = parse(text)
    assert isinstance(node, Map)
    (entry,) = node.entries
    assert isinstance(entry, Entry) and isinstance(entry.node, Text)
    assert entry.node.at(offset) == Origin("f", *place)


@pytest.mark.parametrize("text", ["[" * 40 + "]" * 40, "[" * 5000, "{a: " * 500 + "}" * 500, "- " * 3000, "? " * 3000])
def test_deep_nesting_is_refused_and_not_followed(text: str) -> None:
    """A parser that follows it overflows the stack; a fault is enough."""
    _, problems = parse(text)
    assert any("nested deeper than 32" in problem.message for problem in problems)
    assert len(problems) < 40


def test_a_billion_laughs_are_not_laughed() -> None:
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 40))]
    _, problems = parse("\n".join(lines))
    assert len(problems) == 40 + 2 * 39
