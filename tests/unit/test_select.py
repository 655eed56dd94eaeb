"""HOSTS on the command line: names, globs, class expressions; nothing chosen is never a silent success."""

from __future__ import annotations

import pytest

from bootforge.errors import NotFound, UsageError
from bootforge.select import select_hosts

CLASSES = {
    "web01.example.com": {"role_web", "env_prod", "el9"},
    "web02.example.com": {"role_web", "env_qa", "el9"},
    "db01.example.com": {"role_db", "env_prod", "el9"},
}
KNOWN = {"role_web", "role_db", "role_app", "env_prod", "env_qa", "el9"}


@pytest.mark.parametrize(
    "words,chosen",
    [
        ([], ["db01", "web01", "web02"]),
        (["web02.example.com"], ["web02"]),
        (["web02.example.com", "web02.example.com"], ["web02"]),
        (["web*"], ["web01", "web02"]),
        (["web0?.example.com"], ["web01", "web02"]),
        (["web0[!1].example.com"], ["web02"]),
        (["*"], ["db01", "web01", "web02"]),
        (["role_db"], ["db01"]),
        (["env_prod & !role_db"], ["web01"]),
        (["role_db | env_qa"], ["db01", "web02"]),
        (["role_db", "env_qa"], ["db01", "web02"]),
    ],
)
def test_chosen_in_order_each_once(words: list[str], chosen: list[str]) -> None:
    assert select_hosts(words, CLASSES, KNOWN) == [f"{name}.example.com" for name in chosen]


@pytest.mark.parametrize(
    "word,error,words",
    [
        ("web03.example.com", NotFound, "did you mean 'web0"),
        ("mail*", NotFound, "no host is 'mail*'"),
        ("role_app", NotFound, "no host is 'role_app'"),  # a class that exists, and nobody is of it
        ("role_wbe", NotFound, "there is no class 'role_wbe'; did you mean 'role_web'?"),
        ("role_web &", UsageError, "neither a host nor a class expression"),
        ("WEB01", UsageError, "neither a host nor a class expression"),
        ("", UsageError, "neither a host nor a class expression"),
    ],
)
def test_a_word_that_chooses_nobody_is_an_error(word: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error) as caught:
        select_hosts(["web01.example.com", word], CLASSES, KNOWN)
    assert words in str(caught.value)


def test_a_host_that_is_named_like_an_expression_is_the_host() -> None:
    assert select_hosts(["web-1"], {"web-1": {"a"}}, {"a"}) == ["web-1"]
