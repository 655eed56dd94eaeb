"""Class expressions: ``env_qa & (role_db | role_web) & !el5``. ``!`` binds strongest, then ``&``, then ``|``."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*([a-z0-9_]+|[&|!()])")

Test = Callable[[Set[str]], bool]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled class expression and the classes that it names, with their columns (from 0)."""

    source: str
    test: Test
    classes: tuple[tuple[str, int], ...]

    def __call__(self, classes: Set[str]) -> bool:
        return self.test(classes)


def compile_expression(source: str) -> Expression:
    """An expression from its text. Raises ValueError that names the place."""
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while at < len(source.rstrip()):
            match = _TOKEN.match(source, at)
            if not match:
                raise ValueError(f"unexpected {source[at:].strip()[:10]!r}; operators are & | ! ( )")
            self.tokens.append((match[1], match.start(1)))
            at = match.end()
        self.next = 0

    def parse(self) -> Expression:
        test = self.any_of(0)
        if self.next < len(self.tokens):
            raise ValueError(f"unexpected {self.tokens[self.next][0]!r} after a complete expression")
        words = tuple((word, at) for word, at in self.tokens if word not in "&|!()")
        return Expression(self.source, test, words)

    def take(self, word: str) -> bool:
        if self.next < len(self.tokens) and self.tokens[self.next][0] == word:
            self.next += 1
            return True
        return False

    def any_of(self, depth: int) -> Test:
        tests = [self.all_of(depth)]
        while self.take("|"):
            tests.append(self.all_of(depth))
        return tests[0] if len(tests) == 1 else lambda classes: any(test(classes) for test in tests)

    def all_of(self, depth: int) -> Test:
        tests = [self.one(depth)]
        while self.take("&"):
            tests.append(self.one(depth))
        return tests[0] if len(tests) == 1 else lambda classes: all(test(classes) for test in tests)

    def one(self, depth: int) -> Test:
        if depth > 50:
            raise ValueError("nested deeper than 50")
        if self.take("!"):
            inner = self.one(depth + 1)
            return lambda classes: not inner(classes)
        if self.take("("):
            inner = self.any_of(depth + 1)
            if not self.take(")"):
                raise ValueError("')' is missing")
            return inner
        if self.next == len(self.tokens):
            raise ValueError("ends where a class is expected")
        word, _ = self.tokens[self.next]
        if word in "&|)":
            raise ValueError(f"{word!r} stands where a class is expected")
        self.next += 1
        return lambda classes: word in classes


def class_name(*words: str) -> str:
    """The class for a fact: ``('role', 'app-server')`` -> ``role_app_server``."""
    return "_".join(words).replace("-", "_")
