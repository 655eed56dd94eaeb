"""The bootstrap of a host of each release from EL5 to EL10, byte for byte as it was when somebody last read it. The
shell library, the same in all of them, is told by the names of its files; the tree of test_golden.py has it whole.

``pytest tests/golden --update-golden`` writes them anew.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.plan.steps import KINDS
from bootforge.resources import shipped_texts
from tests.support import RELEASES_SITE

GOLDEN = Path(__file__).parent / "releases"
RELEASES = ("el5", "el6", "el7", "el8", "el9", "el10")
SHARED = ("bootstrap/lib/", "install/common.sh")


@pytest.fixture(scope="module")
def generation() -> Generation:
    return build_generation(RELEASES_SITE)


def own_part(script: str) -> str:
    """A bootstrap without the library: in the place of each of its files its name."""
    for name, text in shipped_texts("templates").items():
        if name.startswith(SHARED):
            assert text.strip() in script, name
            script = script.replace(text.strip(), f"# {name}")
    return script


def test_nothing_is_wrong_with_the_site(generation: Generation) -> None:
    """Whatever a host uses is known to be used: its secrets, and the keys and certificates of its steps."""
    assert [one.line() for one in lint(generation, generation.hosts, exhaustive=True) if one.severity != "note"] == []


@pytest.mark.parametrize("release", RELEASES)
def test_the_script_of_each_release_is_the_golden_one(
    generation: Generation, release: str, request: pytest.FixtureRequest
) -> None:
    (host,) = (name for name, plan in generation.plans.items() if plan.release == release)
    made, golden = own_part(generation.artifact(host, "bootstrap").text), GOLDEN / f"{release}.sh"
    if request.config.getoption("--update-golden"):
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(made, encoding="utf-8")
    assert made == golden.read_text(encoding="utf-8")


def test_they_show_nearly_every_kind_of_step(generation: Generation) -> None:
    """But for those that need what this site has not: named nics' groups of volumes are marked everywhere."""
    shown = {step.id.partition(":")[0] for plan in generation.plans.values() for step in plan.steps}
    assert set(KINDS) - shown == {"storage-devices"}  # for nics that go by their names
