"""Name patterns: a name states facts, or is refused with the nearest word that exists."""

from __future__ import annotations

import pytest

from bootforge.naming import compile_pattern

ALPHABETS = {"role": ("app", "db", "web", "web-cache"), "env": ("prod", "qa"), "site": ("den", "nyc")}
MAIN = "{role}{n:int}.{env}.{site}.example.com"
XEN = "xen{n:int}.{site}.example.com = role:db env:prod"


@pytest.mark.parametrize(
    "pattern,name,facts",
    [
        (MAIN, "db01.prod.den.example.com", {"role": "db", "n": "01", "env": "prod", "site": "den"}),
        (MAIN, "db001.prod.den.example.com", {"role": "db", "n": "001", "env": "prod", "site": "den"}),
        (MAIN, "web-cache7.qa.nyc.example.com", {"role": "web-cache", "n": "7", "env": "qa", "site": "nyc"}),
        (MAIN, "db.prod.den.example.com", None),
        (MAIN, "db01.prod.den.example.org", None),
        (MAIN, "db01.prod.den.exampleXcom", None),
        (MAIN, "xdb01.prod.den.example.com", None),
        (MAIN, "db01.prod.den.example.com.", None),
        (MAIN, "bd01.prod.den.example.com", None),
        (MAIN, "DB01.prod.den.example.com", None),
        (XEN, "xen3.den.example.com", {"n": "3", "site": "den", "role": "db", "env": "prod"}),
        ("{rack}-{n:int}.example.com", "r7b-12.example.com", {"rack": "r7b", "n": "12"}),
        ("{rack}-{n:int}.example.com", "r-7-12.example.com", {"rack": "r-7", "n": "12"}),
        ("{rack}.{row}.example.com", "a.b.c.example.com", None),
        ("gw.example.com", "gw.example.com", {}),
    ],
)
def test_a_name_states_facts(pattern: str, name: str, facts: dict[str, str] | None) -> None:
    assert compile_pattern(pattern, ALPHABETS).parse(name) == facts


@pytest.mark.parametrize(
    "name,why",
    [
        ("bd01.prod.den.example.com", "no role 'bd'; did you mean 'db'?"),
        ("db01.prd.den.example.com", "no env 'prd'; did you mean 'prod'?"),
        ("db01.prod.fra.example.com", "no site 'fra'; known: den, nyc"),
        ("mail01.prod.den.example.com", "no role 'mail'; known: app, db, web, web-cache"),
        ("db01.example.com", ""),
        ("db01.prod.den.example.com", ""),
    ],
)
def test_a_near_miss_says_which_word_does_not_exist(name: str, why: str) -> None:
    assert compile_pattern(MAIN, ALPHABETS).near_miss(name) == why


def test_a_near_miss_says_when_nothing_is_declared() -> None:
    assert "the site declares none" in compile_pattern(MAIN, {**ALPHABETS, "env": ()}).near_miss(
        "db1.qa.den.example.com"
    )


@pytest.mark.parametrize(
    "pattern,why",
    [
        ("{role}{env}.example.com", "{role} and {env} touch and cannot be told apart; put '.' or '-' between"),
        ("{n:int}{role}.example.com", "{n} and {role} touch"),
        ("{n:int}{m:int}.example.com", "{n} and {m} touch"),
        ("{rack}{n:int}.example.com", "{rack} and {n} touch"),
        ("{role}{role}.example.com", "fact 'role' is stated twice"),
        ("{site}.example.com = site:den", "fact 'site' is stated twice"),
        ("{role:str}1.example.com", "'{role:str}' has an unknown type; write {role} or {role:int}"),
        ("{role}{n:int.example.com", "'{' cannot be in a name"),
        ("{Role}.example.com", "'{' cannot be in a name"),
        ("{role}.Example.com", "'E' cannot be in a name; write lower case"),
        ("web_{n:int}.example.com", "'_' cannot be in a name"),
        ("xen{n:int}.example.com = dom0", "'dom0' after '=' is not a fact; write fact:value"),
        ("xen{n:int}.example.com = role:", "'role:' after '=' is not a fact"),
        ("xen{n:int}.example.com = role:bd", "no role 'bd'; did you mean 'db'?"),
        ("xen{n:int}.example.com = env:prd", "no env 'prd'; did you mean 'prod'?"),
    ],
)
def test_a_pattern_that_cannot_mean_one_thing_is_refused(pattern: str, why: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_pattern(pattern, ALPHABETS)
    assert why in str(caught.value)


def test_a_word_that_is_another_with_a_number_cannot_stand_before_a_number() -> None:
    """``s31`` would be s3 and 1, or s and 31. A dom0 alone is one thing."""
    with pytest.raises(ValueError, match="role 's3' could be role 's' with a number"):
        compile_pattern(MAIN, {**ALPHABETS, "role": ("s", "s3")})
    facts = compile_pattern(MAIN, {**ALPHABETS, "role": ("dom0", "db")}).parse("dom012.prod.den.example.com")
    assert facts and (facts["role"], facts["n"]) == ("dom0", "12")
    assert compile_pattern("{role}-{n:int}.example.com", {**ALPHABETS, "role": ("s3",)}).parse("s3-1.example.com")


def test_the_longest_word_is_tried_first() -> None:
    pattern = compile_pattern("{role}-{rack}.example.com", {"role": ("web", "web-cache")})
    assert pattern.parse("web-cache-r1.example.com") == {"role": "web-cache", "rack": "r1"}
