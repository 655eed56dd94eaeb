"""docs/security.md: every fault of others that it lists has tests that exist, or a reason why it cannot apply."""

from __future__ import annotations

import ast
import re
from functools import cache

import pytest

from tests.support import ROOT

CASES = """
CVE-2014-3225 CVE-2017-1000469 CVE-2018-10931 CVE-2018-1000225 CVE-2021-40323 CVE-2021-40324 CVE-2021-40325
CVE-2021-45082 CVE-2021-45083 CVE-2022-0860 CVE-2024-47533 CVE-2013-0174 CVE-2014-0192 CVE-2016-4995
CVE-2013-0173 CVE-2013-0171 CVE-2014-0007 CVE-2016-3728 CVE-2014-3691 CVE-2012-5477 CVE-2014-0135
CVE-2020-14334 CVE-2020-14335 CVE-2021-20256 CVE-2018-1097 CVE-2019-3893 CVE-2016-9593 CVE-2023-27486
CVE-2026-46447 OSSA-2025-001 CVE-2026-44919 CVE-2024-47211 CVE-2023-40547
"""
"""What must be spoken of, whatever else is."""

_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


def history(text: str) -> list[list[str]]:
    """The rows of the table: elsewhere, what failed, here."""
    table = text.partition("\n## What went wrong elsewhere\n")[2].partition("\n## ")[0]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"]
    return rows[2:]


@cache
def functions_of(path: str) -> frozenset[str]:
    """The tests of a file; none when there is no such file."""
    file = ROOT / path
    tree = ast.parse(file.read_text()) if file.is_file() else ast.Module([], [])
    return frozenset(node.name for node in tree.body if isinstance(node, ast.FunctionDef))


def violations(rows: list[list[str]]) -> list[str]:
    found = []
    for elsewhere, _, here in rows:
        named = _TEST.findall(here)
        found += [f"{elsewhere}: {path}::{name}" for path, name in named if name not in functions_of(path)]
        if not named and not re.match(r"cannot apply[^:]*: \w", here):
            found.append(f"{elsewhere}: neither a test nor a reason")
        if here.count("::") != len(named):
            found.append(f"{elsewhere}: a name that is none of a test")
    return found


def test_every_fault_of_others_has_a_test_or_a_reason() -> None:
    rows = history((ROOT / "docs/security.md").read_text())
    assert len(rows) == 25
    assert violations(rows) == []
    assert [
        case for case in re.split(r"\s+", CASES.strip()) if not any(case in elsewhere for elsewhere, _, _ in rows)
    ] == []


@pytest.mark.parametrize(
    "here",
    ["", "we are careful", "`tests/unit/test_history.py::test_nothing_of_it`", "`tests/no/file.py::test_x`", "a::b"],
)
def test_a_planted_row_is_found(here: str) -> None:
    assert violations([["CVE-1", "it failed", here]])
    assert not violations([["CVE-1", "it failed", "cannot apply: there is none"]])
