"""Ranges in the names of hosts: ``web[001-400].example.com`` is 400 hosts written once.

A range in a value of such an entry is taken in step, one value for each host: decimal ``10.2.1.[1-250]``, whole
IPv4 addresses ``[10.2.1.1-10.2.2.144]``, and hexadecimal digits, also over colons, where the schema says that a value
is of such (``52:54:00:00:[00:01-01:90]``). What is between the ends is counted, never guessed.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from ipaddress import AddressValueError, IPv4Address

from bootforge.errors import Problem
from bootforge.model import Assertion, Origin, Path
from bootforge.site.kinds import Atomic, Keyed, Kind, Scalar, SetOf, Struct
from bootforge.site.layer import Layer
from bootforge.site.tree import Entry, Map, Node, Seq, Text

MOST = 10_000
_BRACKETS = re.compile(r"\[([^\[\]]*)\]")
_NUMBERS = re.compile(r"([0-9]{1,18})-([0-9]{1,18})")
_ENDS = re.compile(r"\[([^\[\]\s-]+)-([^\[\]\s-]+)\]")
_ADDRESS_BEFORE = re.compile(r"(?:[0-9]{1,3}\.){3}")
_HOW = "write it as in web[001-400].example.com"
_VALUES = "numbers as in [1-400], whole addresses as in [10.2.1.1-10.2.2.144], or hex digits in a MAC address"


class RangeError(ValueError):
    """A range that cannot be: what is wrong, what to write, and the character (from 0) where it begins."""

    def __init__(self, message: str, hint: str, at: int) -> None:
        super().__init__(message)
        self.hint = hint
        self.at = at


def names(text: str) -> tuple[str, ...]:
    """The names that a key stands for: one without a range. Raises RangeError."""
    if "[" not in text and "]" not in text:
        return (text,)
    found, left = [*_BRACKETS.finditer(text)], _BRACKETS.sub("", text)
    if "[" in left or "]" in left:
        raise RangeError("a bracket stands alone", _HOW, next(i for i, c in enumerate(text) if c in "[]"))
    first, *others = found
    if others:
        second = others[0]
        raise RangeError(f"{second[0]!r} is a second range", "write an entry for each value of it", second.start())
    match = _NUMBERS.fullmatch(first[1])
    if not match:
        raise RangeError(f"{first[0]!r} is not a range of numbers", _HOW, first.start())
    low, high = match.groups()
    width = max(len(low), len(high))
    if int(low) > int(high):
        raise RangeError(f"{first[0]!r} ends before it begins", f"write [{high}-{low}]", first.start())
    if len(low) != len(high):
        hint = f"write [{low:0>{width}}-{high:0>{width}}], or an entry for each width"
        raise RangeError(f"{first[0]!r} has ends of {len(low)} and {len(high)} digits", hint, first.start())
    count = int(high) - int(low) + 1
    if count > MOST:
        raise RangeError(f"{first[0]!r} has {count} hosts; {MOST} at most", "write several ranges", first.start())
    before, after = text[: first.start()], text[first.end() :]
    return tuple(f"{before}{number:0{width}}{after}" for number in range(int(low), int(high) + 1))


def values(text: str, count: int, hexadecimal: bool) -> tuple[str, ...] | None:
    """A value for each of ``count`` hosts; None when the text has no range. Raises RangeError."""
    found = [*_ENDS.finditer(text)]
    if not found:
        return None
    columns = [_column(match, count, hexadecimal) for match in found]
    between = _ENDS.split(text)[::3]
    return tuple(
        between[0] + "".join(word + after for word, after in zip(words, between[1:], strict=True))
        for words in zip(*columns, strict=True)
    )


def _column(match: re.Match[str], count: int, hexadecimal: bool) -> Sequence[str]:
    shown, at = match[0], match.start()
    kind = _ends(match, hexadecimal)
    if kind is None:
        raise RangeError(f"{shown!r} is not a range", f"write {_VALUES}", at)
    if kind.low > kind.high:
        raise RangeError(f"{shown!r} ends before it begins", f"write [{match[2]}-{match[1]}]", at)
    if not kind.equal:
        raise RangeError(f"{shown!r} has ends of different length", "write as many digits at both ends", at)
    has = kind.high - kind.low + 1
    if has != count:
        hosts, its = (
            f"{number} {word}{'s' if number > 1 else ''}" for number, word in ((count, "host"), (has, "value"))
        )
        raise RangeError(f"{shown!r} has {its} for {hosts}", _longer(match, kind, count), at)
    return [kind.word(number) for number in range(kind.low, kind.high + 1)]


def _longer(match: re.Match[str], kind: _Numbers, count: int) -> str:
    """What to write for so many hosts: beyond an octet, whole addresses or one octet more."""
    last, before = kind.low + count - 1, match.string[: match.start()]
    try:
        if _ADDRESS_BEFORE.fullmatch(before) and last > 255:
            address = IPv4Address(f"{before}{kind.low}")
            return f"write [{address}-{address + count - 1}]"
        end = kind.word(last)
        if kind.base == "x" and len(end) > len(match[1]):
            return "begin an octet earlier, as in 52:54:00:00:[00:01-01:90]"
        padded = kind.base == "d" and kind.shape
        return f"write [{match[1]:0>{len(end) if padded else 0}}-{end}]"
    except AddressValueError:
        return "make both equally long"


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Two ends and how a number between them is written: ``shape`` is the first end, whose digits are replaced;
    '' means a plain number, '.' an IPv4 address."""

    low: int
    high: int
    shape: str
    base: str
    equal: bool = True

    def word(self, number: int) -> str:
        if self.shape == ".":
            return str(IPv4Address(number))
        digits = iter(f"{number:0{len(self.shape.replace(':', ''))}{self.base}}")
        return "".join(sign if sign == ":" else next(digits) for sign in self.shape) + "".join(digits)


def _ends(match: re.Match[str], hexadecimal: bool) -> _Numbers | None:
    low, high = match[1], match[2]
    bare = low.replace(":", ""), high.replace(":", "")
    if hexadecimal:
        if not all(re.fullmatch("[0-9A-Fa-f]{1,32}", word) for word in bare):
            return None
        alike = re.sub("[^:]", "0", low) == re.sub("[^:]", "0", high)
        return _Numbers(int(bare[0], 16), int(bare[1], 16), low, "x", alike)
    if re.fullmatch("[0-9]{1,18}", low) and re.fullmatch("[0-9]{1,18}", high):
        padded = len(low) > 1 and low[0] == "0" or len(high) > 1 and high[0] == "0"
        return _Numbers(int(low), int(high), low if padded else "", "d", not padded or len(low) == len(high))
    try:
        return _Numbers(int(IPv4Address(low)), int(IPv4Address(high)), ".", "")
    except AddressValueError:
        return None


Ranged = Mapping[Origin, tuple[str, ...]]
"""The texts of an entry that hold a range, by their place, each with a value for every host."""


def in_values(node: Node, kind: Kind, count: int, problems: list[Problem]) -> tuple[Node, Ranged]:
    """The ranges in the values of an entry. An unquoted ``[A-B]`` is a list of one to YAML; where the schema wants one
    value it becomes the text that was meant."""
    ranged: dict[Origin, tuple[str, ...]] = {}

    def text(node: Text, hexadecimal: bool) -> None:
        try:
            if found := values(node.value, count, hexadecimal):
                ranged[node.origin] = found
        except RangeError as error:
            problems.append(Problem(node.at(error.at), "BF029", str(error), error.hint))

    def walk(node: Node, kind: Kind) -> Node:
        match kind, node:
            case Struct(fields), Map(entries):
                return replace(node, entries=tuple(inner(entry, fields.get(entry.key)) for entry in entries))
            case Keyed(item), Map(entries):
                return replace(node, entries=tuple(inner(entry, item) for entry in entries))
            case Scalar(hexadecimal=digits), Seq((Text() as only,)) if _ENDS.fullmatch(f"[{only.value}]"):
                meant = replace(only, value=f"[{only.value}]", origin=node.origin, lead=0)
                text(meant, digits)
                return meant
            case Scalar(hexadecimal=digits), Text():
                text(node, digits)
            case ((Atomic() | SetOf()), Seq(items)):
                for one in items:
                    walk(one, Scalar())
        return node

    def inner(entry: Entry, kind: Kind | None) -> Entry:
        plain = kind is None or entry.op == "remove"
        return entry if plain or kind is None else replace(entry, node=walk(entry.node, kind))

    return walk(node, kind), ranged


def layers(layer: Layer, count: int, ranged: Ranged) -> Iterator[Layer]:
    """The layer of each host of an entry; what has no range is shared by all of them."""
    fixed, moving = {}, []
    for path, said in layer.says.items():
        if said.origin in ranged or any(origin in ranged for origin in said.items):
            moving.append((path, said))
        else:
            fixed[path] = said
    for index in range(count):
        says = dict(fixed)
        for path, said in moving:
            at, value = _nth(path, said, index, ranged)
            says[at] = Assertion(value, said.op, said.origin, said.layer, said.items)
        yield Layer(layer.name, layer.origin, says, layer.replaces, layer.removes, layer.keys)


def _nth(path: Path, said: Assertion, index: int, ranged: Ranged) -> tuple[Path, str | tuple[str, ...]]:
    """What one host's assertion says, and where: an element of a set is a step of its path."""
    if isinstance(said.value, tuple):
        pairs = zip(said.value, said.items, strict=True)
        return path, tuple(ranged[origin][index] if origin in ranged else text for text, origin in pairs)
    value = ranged[said.origin][index]
    return (*path[:-1], value) if path[-1] == said.value else path, value
