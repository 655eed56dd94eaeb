"""Linters are tests: ruff, mypy, shellcheck on everything that is shell or becomes shell."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from bootforge.lint.shape import sections
from tests.sites import DB, base, generation_with
from tests.support import ROOT, SMALL, need


def run(*command: str | Path, text: str | None = None) -> str:
    done = subprocess.run(list(command), cwd=ROOT, capture_output=True, text=True, input=text, timeout=300)
    return done.stdout + done.stderr if done.returncode else ""


def test_ruff_finds_nothing() -> None:
    assert run(sys.executable, "-m", "ruff", "check", "-q", "--no-cache", "bootforge", "tests") == ""


def test_code_is_formatted() -> None:
    assert run(sys.executable, "-m", "ruff", "format", "--check", "-q", "--no-cache", "bootforge", "tests") == ""


def test_types_hold() -> None:
    assert run(sys.executable, "-m", "mypy") == ""


SCRIPTS = (".ci/run", "vagrant/serve.sh", "vagrant/provision.sh", "tests/bench/cobbler_fleet.sh")


@pytest.mark.parametrize("script", SCRIPTS)
def test_our_own_scripts_pass_shellcheck(script: str) -> None:
    need("shellcheck")
    assert run("shellcheck", script) == ""


def test_every_script_of_a_kickstart_passes_shellcheck() -> None:
    need("shellcheck")
    generation = build_generation(SMALL)
    for host in generation.plans:
        scripts = sections(generation.artifact(host, "kickstart").text, "%pre", "%post")
        assert ["bf_find" in script for script in scripts] == [True, False, False]
        for script in scripts:
            assert run("shellcheck", "-s", "sh", "-", text="#!/bin/sh\n" + script) == ""


def test_storage_commands_of_pre_pass_shellcheck(tmp_path: Path) -> None:
    need("shellcheck")
    generation = generation_with(tmp_path, {"site.yaml": base("site.yaml", ("layout: lvm", "layout: lvm-data"))})
    (script,) = sections(generation.artifact(DB, "kickstart").text, "%pre")
    assert "bf_line keep:data" in script
    assert run("shellcheck", "-s", "sh", "-", text="#!/bin/sh\n" + script) == ""
