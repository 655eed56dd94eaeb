"""Options of the whole test run. The rewriting ones make a run that shows nothing; 'git diff' shows what changed."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("bootforge")
    group.addoption("--update-golden", action="store_true", help="rewrite tests/golden/tree from what is rendered now")
    group.addoption("--update-cases", action="store_true", help="rewrite the transcripts of tests/cases/*/*.case")
