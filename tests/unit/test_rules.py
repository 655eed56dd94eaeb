"""Class expressions: what they mean, and where they are wrong."""

from __future__ import annotations

import pytest

from bootforge.rules import ExpressionError, class_name, compile_expression


@pytest.mark.parametrize(
    "source,classes,holds",
    [
        ("a", "a", True),
        ("a", "b", False),
        ("!a", "b", True),
        ("!a", "a", False),
        ("!!a", "a", True),
        ("a & b", "a b", True),
        ("a & b", "a", False),
        ("a | b", "b", True),
        ("a | b", "", False),
        ("a | b & c", "a", True),  # & binds stronger than |
        ("a | b & c", "b", False),
        ("(a | b) & c", "a", False),
        ("!a & b", "b", True),  # ! binds stronger than &
        ("!(a & b)", "a", True),
        ("!(a | b)", "", True),
        ("a&b&c", "a b c", True),
        ("a&b&c", "a b", False),
        ("  a\n | b ", "b", True),
        ("el9 & x86_64 & role_app_server", "el9 x86_64 role_app_server", True),
        ("((((a))))", "a", True),
    ],
)
def test_truth(source: str, classes: str, holds: bool) -> None:
    assert compile_expression(source)(frozenset(classes.split())) is holds


def test_the_classes_that_are_named_and_where() -> None:
    expression = compile_expression("a & !(b | a)")
    assert expression.classes == (("a", 0), ("b", 6), ("a", 10))
    assert expression.source == "a & !(b | a)"


@pytest.mark.parametrize(
    "source,at,words",
    [
        ("", 0, "ends where a class is expected"),
        ("   ", 0, "ends where a class is expected"),
        ("a &", 3, "ends where a class is expected; as in env_qa"),
        ("a & & b", 4, "'&' stands where a class is expected"),
        ("& a", 0, "'&' stands where a class is expected"),
        ("a && b", 3, "'&' stands where a class is expected"),
        ("a || b", 3, "'|' stands where a class is expected"),
        ("()", 1, "')' stands where a class is expected"),
        ("(a", 0, "this '(' is never closed; write ')'"),
        ("a & (b | c", 4, "this '(' is never closed"),
        ("a)", 1, "unexpected ')'; drop it"),
        ("a b", 2, "unexpected 'b'; operators are & | ! ( )"),
        ("(a b)", 3, "unexpected 'b'"),
        ("a and b", 2, "unexpected 'and'; write '&'"),
        ("a or b", 2, "unexpected 'or'; write '|'"),
        ("not a", 0, "unexpected 'not'; write '!'"),
        ("a ! b", 2, "unexpected '!'; operators"),
        ("a == b", 2, "unexpected '='; operators"),
        ("role-db", 4, "unexpected '-'; classes have underscores"),
        ("EL9", 0, "unexpected 'E'; classes are lower case"),
        ("a & \u00e4", 4, "unexpected '\u00e4'"),
        ("(" * 60 + "a" + ")" * 60, 51, "nested deeper than 50"),
        ("!" * 100 + "a", 51, "nested deeper than 50"),
    ],
)
def test_a_fault_is_told_at_its_character(source: str, at: int, words: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source)
    assert words in f"{caught.value}; {caught.value.hint}"
    assert caught.value.at == at
    assert caught.value.hint


@pytest.mark.parametrize(
    "words,name",
    [(("role", "db"), "role_db"), (("role", "app-server"), "role_app_server"), (("guest",), "guest")],
)
def test_the_class_of_a_fact(words: tuple[str, ...], name: str) -> None:
    assert class_name(*words) == name
