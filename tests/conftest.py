"""Options of the whole test run. The rewriting ones make a run that shows nothing; 'git diff' shows what changed."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bootforge")
    group.addoption("--update-golden", action="store_true", help="rewrite tests/golden/tree from what is rendered now")
    group.addoption("--update-cases", action="store_true", help="rewrite the transcripts of tests/cases/*/*.case")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Virtual machines first: their files are few and long, and would keep one of two workers busy at the end."""
    items.sort(key=lambda item: item.get_closest_marker("vm") is None)
