"""Merging layers: three kinds of collection, three suffixes, equals and stronger ones, and the trail of every value."""

from __future__ import annotations

from itertools import permutations
from typing import Any

import pytest

from bootforge.errors import Problem
from bootforge.model import Origin
from bootforge.site.kinds import Atomic, Keyed, Scalar, SetOf, Struct, kind_at
from bootforge.site.layer import Layer, Merged, flatten, merge
from bootforge.site.load import HOST
from bootforge.site.tree import parse_yaml


def layer(text: str, name: str = "a") -> Layer:
    problems: list[Problem] = []
    flat = flatten(parse_yaml(text, name, problems), HOST, f"role {name}", Origin(name), problems)
    assert problems == []
    return flat


def merged(*groups: list[str]) -> Merged:
    """Groups of layers, weakest first; the layers of a group are named a, b, c in order."""
    result = Merged()
    for number, group in enumerate(groups):
        result = merge(result, [layer(text, f"{number}{'abc'[at]}") for at, text in enumerate(group)])
    return result


def tree(result: Merged) -> dict[str, Any]:
    """The merged tree; a set as the sorted list of its elements."""

    def shown(value: Any, path: tuple[str, ...]) -> Any:
        if isinstance(value, dict) and isinstance(kind_at(HOST, path), SetOf):
            return sorted(value)
        return {key: shown(inner, (*path, key)) for key, inner in value.items()} if isinstance(value, dict) else value

    return {key: shown(value, (key,)) for key, value in result.tree().items()}


@pytest.mark.parametrize(
    "path,kind",
    [
        (("timezone",), Scalar()),
        (("root_password",), Scalar(facts=True, secret=True)),
        (("install", "url"), Scalar(facts=True)),
        (("ntp",), Atomic()),
        (("install", "args"), Atomic(facts=True)),
        (("packages",), SetOf()),
        (("authorized_keys", "root"), SetOf()),
        (("packages", "dstat"), Scalar()),
    ],
)
def test_the_schema_says_what_kind_of_thing_a_key_is(path: tuple[str, ...], kind: object) -> None:
    assert kind_at(HOST, path) == kind


def test_maps_and_structs_are_told_apart() -> None:
    assert isinstance(kind_at(HOST, ("nics",)), Keyed)
    assert isinstance(kind_at(HOST, ("nics", "any")), Struct)
    with pytest.raises(KeyError):
        kind_at(HOST, ("nics", "any", "speed"))
    with pytest.raises(KeyError):
        kind_at(HOST, ("timezone", "x"))


@pytest.mark.parametrize(
    "groups,expected",
    [
        # a scalar: the stronger group wins, with or without a mark
        ([["timezone: A"], ["timezone: B"]], {"timezone": "B"}),
        ([["timezone!: A"], ["timezone: B"]], {"timezone": "B"}),
        ([["timezone: A"], ["serial: s"]], {"timezone": "A", "serial": "s"}),
        # an atomic list is replaced whole, also by an empty one
        ([["ntp: [a, b]"], ["ntp: [c]"]], {"ntp": ("c",)}),
        ([["ntp: [a, b]"], ["ntp: []"]], {"ntp": ()}),
        ([["ntp: [b, a]"]], {"ntp": ("b", "a")}),
        # a set is united, whoever says it
        ([["packages: [a, b]"], ["packages: [b, c]"]], {"packages": ["a", "b", "c"]}),
        ([["packages: [a]", "packages: [b]"]], {"packages": ["a", "b"]}),
        ([["packages: [a]"], ["packages: []"]], {"packages": ["a"]}),
        # a map is merged by key, to any depth
        (
            [["nics: {lan: {network: n}}"], ["nics: {lan: {mac: m}, san: {network: s}}"]],
            {"nics": {"lan": {"network": "n", "mac": "m"}, "san": {"network": "s"}}},
        ),
        (
            [["authorized_keys: {root: [a]}"], ["authorized_keys: {root: [b]}"]],
            {"authorized_keys": {"root": ["a", "b"]}},
        ),
        ([["nics: {lan: }"]], {"nics": {"lan": {}}}),
        ([["install: {}"]], {"install": {}}),
        # key!: replaces a collection
        ([["packages: [a, b]"], ["packages!: [c]"]], {"packages": ["c"]}),
        ([["packages: [a, b]"], ["packages!: []"]], {}),
        ([["nics: {lan: {network: n}}"], ["nics!: {san: {network: s}}"]], {"nics": {"san": {"network": "s"}}}),
        (
            [["nics: {lan: {network: n, mac: m}, san: {mac: s}}"], ["nics: {lan!: {network: o}}"]],
            {"nics": {"lan": {"network": "o"}, "san": {"mac": "s"}}},
        ),
        ([["vm: {memory: 1, vcpus: 2}"], ["vm!: {memory: 3}"]], {"vm": {"memory": "3"}}),
        ([["packages: [a]"], ["packages!: [b]", "packages: [c]"]], {"packages": ["b"]}),
        ([["packages: [a]"], ["packages!: [b]"], ["packages: [c]"]], {"packages": ["b", "c"]}),
        # key-: removes
        ([["packages: [a, b]"], ["packages-: [a]"]], {"packages": ["b"]}),
        ([["packages: [a]"], ["packages-: [b]"]], {"packages": ["a"]}),
        ([["timezone: A"], ["timezone-:"]], {}),
        ([["ntp: [a]"], ["ntp-:"]], {}),
        ([["nics: {lan: {mac: m}, san: {mac: s}}"], ["nics-: [san]"]], {"nics": {"lan": {"mac": "m"}}}),
        ([["nics: {lan: {mac: m, network: n}}"], ["nics: {lan: {mac-: }}"]], {"nics": {"lan": {"network": "n"}}}),
        ([["vm: {memory: 1}"], ["vm-:"]], {}),
        ([["packages: [a]"], ["packages-: [a]"], ["packages: [a]"]], {"packages": ["a"]}),
        # within one group: replace, then set, then remove
        ([["packages: [a]"], ["packages: [b]", "packages-: [b]"]], {"packages": ["a"]}),
        ([["packages: [a]\npackages-: [a]"]], {}),
        # equals
        ([["timezone: A", "timezone: A"]], {"timezone": "A"}),
        ([["timezone: A", "timezone!: B"]], {"timezone": "B"}),
        ([["timezone!: B", "timezone: A"]], {"timezone": "B"}),
        ([["packages!: [a]", "packages!: [a]"]], {"packages": ["a"]}),
    ],
)
def test_merge(groups: list[list[str]], expected: dict[str, Any]) -> None:
    """In every order of the layers of a group, because those are equals."""
    for last in permutations(groups[-1]):
        result = merged(*groups[:-1], list(last))
        assert tree(result) == expected
        assert result.problems == ()


@pytest.mark.parametrize(
    "group,words",
    [
        (["timezone: A", "timezone: B"], "sets timezone to 'B', but role 0a sets it to 'A' at 0a:1:11"),
        (["ntp: [a]", "ntp: [b]"], "sets ntp to [b]"),
        (["ntp: [a, b]", "ntp: [b, a]"], "sets ntp to [b, a]"),
        (["ntp: [a]", "ntp: []"], "sets ntp to []"),
        (["timezone!: A", "timezone!: B"], "sets timezone to 'B'"),
        (["vm: {memory: 1}", "vm: {memory: 2}"], "write 'memory!:' in the one that is meant to win"),
        (["packages!: [a]", "packages!: [b]"], "replaces packages, and so does role 0a"),
        (["timezone: A", "timezone: A", "timezone: B"], "role 0c sets timezone to 'B'"),
    ],
)
def test_equals_that_disagree_are_a_conflict(group: list[str], words: str) -> None:
    """Told once, at the later place, whatever the order in which the layers come."""
    named = [(text, f"0{'abc'[at]}") for at, text in enumerate(group)]
    for order in permutations(named):
        (problem,) = merge(Merged(), [layer(text, name) for text, name in order]).problems
        assert problem.code == "BF020" and words in problem.line()
        assert problem.origin.file == named[-1][1]


def test_a_conflict_below_a_stronger_layer_is_one_still() -> None:
    """The host's word hides it for this host alone; the two rules stay at odds."""
    assert merged(["timezone: A", "timezone: B"], ["timezone: C"]).problems != ()


@pytest.mark.parametrize(
    "groups,path,trail",
    [
        ([["timezone: A"], ["timezone: B"]], "timezone", ["set A 0a", "set B 1a"]),
        ([["timezone: A", "timezone!: B"]], "timezone", ["set A 0a", "force B 0b"]),
        ([["timezone: A"], ["timezone-:"]], "timezone", ["set A 0a", "remove None 1a"]),
        ([["packages: [a]"], ["packages: [a]"]], "packages.a", ["set a 0a", "set a 1a"]),
        ([["packages: [a]"], ["packages!: [b]"]], "packages.a", ["set a 0a", "force None 1a"]),
        ([["packages: [a]"], ["packages!: [b]", "packages: [c]"]], "packages.c", ["set c 1b", "force None 1a"]),
        ([["ntp: [a]"], ["ntp: [b]"]], "ntp", ["set ('a',) 0a", "set ('b',) 1a"]),
        (
            [["packages: [a]"], ["packages-: [a]"], ["packages: [a]"]],
            "packages.a",
            ["set a 0a", "remove None 1a", "set a 2a"],
        ),
    ],
)
def test_the_trail_keeps_every_word_weakest_first(groups: list[list[str]], path: str, trail: list[str]) -> None:
    said = merged(*groups).trails[tuple(path.split("."))]
    assert [f"{one.op} {one.value} {one.origin.file}" for one in said] == trail


@pytest.mark.parametrize(
    "groups,path,place",
    [
        ([["timezone: A"]], ("timezone",), "0a:1:11"),
        ([["nics:\n  lan: {network: n}"], ["nics:\n  lan: {mac: m}"]], ("nics", "lan", "mac"), "1a:2:14"),
        # what is not there is told at the strongest key around it
        ([["nics:\n  lan: {network: n}"], ["nics:\n  lan: {mac: m}"]], ("nics", "lan", "address"), "1a:2:3"),
        ([["nics:\n  lan: {network: n}"], ["serial: s"]], ("nics", "lan", "mac"), "0a:2:3"),
        ([["nics:\n  lan: {network: n}"]], ("nics", "san", "mac"), "0a:1:1"),
        ([["serial: s"]], ("nics",), "host:7:1"),
        ([["nics: {lan: {mac: m}}"], ["nics-: [lan]"]], ("nics", "lan"), "0a:1:1"),
        ([["packages: [a]"]], ("packages", "b"), "0a:1:1"),
        ([[""]], (), "host:7:1"),
    ],
)
def test_the_place_of_what_is_wrong(groups: list[list[str]], path: tuple[str, ...], place: str) -> None:
    assert str(merged(*groups).origin(path, Origin("host", 7, 1))) == place
