"""HOSTS of the command line: names, globs (``web*``) or class expressions (``env_qa & role_db & !el9``)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from fnmatch import fnmatchcase

from bootforge.errors import NotFound, UsageError, did_you_mean
from bootforge.rules import compile_expression


def select_hosts(words: Collection[str], classes: Mapping[str, Collection[str]], known: Collection[str]) -> list[str]:
    """The hosts that any of the words names, sorted; all of them without words.

    ``classes``: each host's classes; ``known``: every class that could exist. Raises NotFound when a word names no
    host, UsageError for an expression that cannot be read.
    """
    if not words:
        return sorted(classes)
    chosen: set[str] = set()
    for word in words:
        found = _select(word, classes, known)
        if not found:
            hint = did_you_mean(word, classes) or "'bootforge hosts' lists them"
            raise NotFound(f"no host is {word!r}", hint)
        chosen.update(found)
    return sorted(chosen)


def _select(word: str, classes: Mapping[str, Collection[str]], known: Collection[str]) -> list[str]:
    if word in classes:
        return [word]
    if any(mark in word for mark in "*?["):
        return [host for host in classes if fnmatchcase(host, word)]
    if "." in word:
        return []
    try:
        expression = compile_expression(word)
    except ValueError as error:
        raise UsageError(f"{word!r} is neither a host nor a class expression: {error}") from None
    for name, _ in expression.classes:
        if name not in known:
            hint = did_you_mean(name, [*known, *classes]) or "'bootforge hosts' lists hosts and their classes"
            raise NotFound(f"no host is {word!r}: there is no class '{name}'", hint)
    return [host for host, has in classes.items() if expression(frozenset(has))]
