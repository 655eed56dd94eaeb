"""Class expressions: ``env_qa & (role_db | role_web) & !el5``. ``!`` binds strongest, then ``&``, then ``|``."""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*([a-z0-9_]+|[&|!()])")

_OPERATORS = ("&", "|", "!", "(", ")")
_EXAMPLE = "as in env_qa & (role_db | role_web) & !el9"
_BETWEEN = "operators are & | ! ( )"
_WORDS = {"and": "write '&'", "or": "write '|'", "not": "write '!'"}

Test = Callable[[Set[str]], bool]


@dataclass(frozen=True, slots=True)
class Expression:
    """A compiled class expression and the classes that it names, with their columns (from 0)."""

    source: str
    test: Test
    classes: tuple[tuple[str, int], ...]

    def __call__(self, classes: Set[str]) -> bool:
        return self.test(classes)


class ExpressionError(ValueError):
    """An expression that cannot be read: what is wrong, what to write, and the character (from 0) where it is."""

    def __init__(self, message: str, hint: str, at: int) -> None:
        super().__init__(message)
        self.hint = hint
        self.at = at


def compile_expression(source: str) -> Expression:
    """An expression from its text. Raises ExpressionError."""
    return _Parser(source).parse()


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens: list[tuple[str, int]] = []
        at = 0
        while at < len(source.rstrip()):
            match = _TOKEN.match(source, at)
            if not match:
                at += len(source[at:]) - len(source[at:].lstrip())
                raise ExpressionError(f"unexpected {source[at]!r}", _hint(source[at]), at)
            self.tokens.append((match[1], match.start(1)))
            at = match.end()
        self.next = 0

    def parse(self) -> Expression:
        test = self.any_of(0)
        if self.next < len(self.tokens):
            raise self.unexpected()
        words = tuple((word, at) for word, at in self.tokens if word not in _OPERATORS)
        return Expression(self.source, test, words)

    def take(self, word: str) -> bool:
        if self.next < len(self.tokens) and self.tokens[self.next][0] == word:
            self.next += 1
            return True
        return False

    def unexpected(self) -> ExpressionError:
        """A word where an operator is due; ``not x`` is told at ``not``."""
        (before, before_at), (word, at) = self.tokens[self.next - 1 : self.next + 1]
        if before in _WORDS:
            word, at = before, before_at
        hint = "drop it, or write the '(' before it" if word == ")" else _WORDS.get(word, _BETWEEN)
        return ExpressionError(f"unexpected {word!r}", hint, at)

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
        if self.next == len(self.tokens):
            raise ExpressionError("ends where a class is expected", _EXAMPLE, len(self.source.rstrip()))
        word, at = self.tokens[self.next]
        if depth > 50:
            raise ExpressionError("nested deeper than 50", "split the rule", at)
        if self.take("!"):
            inner = self.one(depth + 1)
            return lambda classes: not inner(classes)
        if self.take("("):
            inner = self.any_of(depth + 1)
            if not self.take(")"):
                if self.next < len(self.tokens):
                    raise self.unexpected()
                raise ExpressionError("this '(' is never closed", "write ')'", at)
            return inner
        if word in _OPERATORS:
            raise ExpressionError(f"{word!r} stands where a class is expected", _EXAMPLE, at)
        self.next += 1
        return lambda classes: word in classes


def _hint(character: str) -> str:
    if character == "-":
        return "classes have underscores, as in role_app_server"
    return "classes are lower case, as in el9" if character.isupper() else _BETWEEN


def class_name(*words: str) -> str:
    """The class for a fact: ``('role', 'app-server')`` -> ``role_app_server``."""
    return "_".join(words).replace("-", "_")
