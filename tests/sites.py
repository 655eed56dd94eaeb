"""Sites in a temporary directory for tests of what happens before anything is served: the base of tests/cases, or
the example, with some files changed."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from bootforge.errors import Problem, SiteError
from bootforge.generation import Generation, build_generation
from tests.support import ROOT, write_site

BASE = ROOT / "tests" / "cases" / "base"
SAN = BASE.parent / "with" / "san"
WEB, DB, APP = "web01.prod.den.example.com", "db01.prod.den.example.com", "app01.qa.den.example.com"


def site_with(root: Path, files: Mapping[str, str] | None = None, base: Path = BASE) -> Path:
    """A copy of a site below ``root``, with files written over it."""
    site = root / "site"
    shutil.copytree(base, site, dirs_exist_ok=True)
    return write_site(site, files or {})


def san_with(root: Path, *changes: tuple[str, str], file: str = "hosts/san.yaml") -> Generation:
    """The base with a storage network laid over it, and texts of one of its files replaced."""
    shutil.copytree(SAN, site_with(root), dirs_exist_ok=True)
    text = (SAN / file).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in {file}"
        text = text.replace(old, new)
    return build_generation(write_site(root / "site", {file: text}))


def generation_with(root: Path, files: Mapping[str, str] | None = None, base: Path = BASE) -> Generation:
    return build_generation(site_with(root, files, base))


def problems_with(root: Path, files: Mapping[str, str]) -> list[Problem]:
    """What is wrong with the base once files are written over it."""
    with pytest.raises(SiteError) as caught:
        generation_with(root, files)
    return list(caught.value.problems)


def base(file: str, *changes: tuple[str, str]) -> str:
    """The text of a file of the base, with texts in it replaced."""
    text = (BASE / file).read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text, f"{old!r} is not in {file}"
        text = text.replace(old, new)
    return text
