"""Linters are tests: ruff, mypy, shellcheck on everything that is shell or becomes shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from bootforge.lint.shape import scripts
from tests.support import EXAMPLE, ROOT, need


def run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(list(command), cwd=ROOT, capture_output=True, text=True, input=text, timeout=300)
    return done.stdout + done.stderr if done.returncode else ""


def test_ruff_finds_nothing() -> None:
    assert run(sys.executable, "-m", "ruff", "check", "-q", "--no-cache", "bootforge", "tests") == ""


def test_code_is_formatted() -> None:
    assert run(sys.executable, "-m", "ruff", "format", "--check", "-q", "--no-cache", "bootforge", "tests") == ""


def test_types_hold() -> None:
    assert run(sys.executable, "-m", "mypy") == ""


@pytest.mark.parametrize("script", [".ci/run", "vagrant/serve.sh", "tests/bench/cobbler_fleet.sh"])
def test_our_own_scripts_pass_shellcheck(script: str) -> None:
    need("shellcheck")
    assert run("shellcheck", script) == ""


def test_every_script_of_the_example_passes_shellcheck() -> None:
    need("shellcheck")
    generation = build_generation(EXAMPLE)
    for host in generation.plans:
        assert run("shellcheck", "-s", "sh", "-", text=generation.artifact(host, "bootstrap").text) == ""
        found = scripts(generation.artifact(host, "kickstart").text)
        assert len(found) == 3 and "bootstrap" in found[0]
        for script in found:
            assert run("shellcheck", "-s", "sh", "-", text="#!/bin/sh\n" + script) == ""
