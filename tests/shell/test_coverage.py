"""What must hold of all steps together: each function that a plan calls has its case, each kind of step its drift, and
each signature, which is the first comment line of the function, fits the calls."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from bootforge.model_steps import Step
from bootforge.plan.steps import KINDS, stamp
from bootforge.resources import shipped_texts
from tests.shell.world import Case, machine_shell, small
from tests.support import EXAMPLE, RELEASES_SITE, ROOT

OTHERWISE = {
    "iscsi-secrets": "test_san:test_secrets_of_the_install_are_kept_for_the_first_boot",
    "keep_secrets": "test_san:test_secrets_of_the_install_are_kept_for_the_first_boot",
    "processes": "test_services:test_processes_that_must_not_run_are_ended",
    "storage-devices": "test_san:test_a_port_of_a_bond_is_known_by_its_own_address",
    "storage-nics": "test_san:test_a_wrong_address_is_refused_before_anything_is_touched",
    "paths": "test_san:test_a_path_that_is_lost_is_told",
}
"""Kinds of steps, and their functions, which only change state, no root directory holds, or which only tell: the tests
that show them."""

MAKERS = {"whole_file": "file", "whole_directory": "directory"}
"""Functions of model_steps.py that make a step, and what it calls."""


def cases() -> dict[str, Case]:
    """Every case of every module here, by module and name."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        module = import_module(f"tests.shell.{path.stem}") if path.stem != "test_coverage" else None
        found |= {f"{path.stem}:{case.name}": case for case in getattr(module, "CASES", ()) if isinstance(case, Case)}
    return found


CASES = cases()


def called(source: str) -> set[str]:
    """The library functions that a module's steps call; a name stands for the strings that are assigned to it."""
    tree = ast.parse(source)
    found: set[str] = set()
    for outer in ast.walk(tree):
        if not isinstance(outer, (ast.FunctionDef, ast.Module)):
            continue
        for node in ast.walk(outer):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
                continue
            if node.func.id in MAKERS:
                found.add(MAKERS[node.func.id])
            elif node.func.id == "Step":
                fn = node.args[1]
                if not isinstance(fn, ast.Name):
                    found |= _strings(fn)
                elif isinstance(outer, ast.FunctionDef):
                    found |= {word for value in _assigned(outer, fn.id) for word in _strings(value)}
    return found


def _assigned(function: ast.FunctionDef, name: str) -> Iterator[ast.AST]:
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(getattr(to, "id", "") == name for to in node.targets):
            yield node.value


def _strings(node: ast.AST) -> set[str]:
    if isinstance(node, ast.IfExp):
        return _strings(node.body) | _strings(node.orelse)
    assert isinstance(node, ast.Constant) and isinstance(node.value, str), ast.dump(node)
    return {node.value}


STEP_FUNCTIONS = frozenset(
    fn for path in sorted((ROOT / "bootforge/plan").glob("*.py")) for fn in called(path.read_text(encoding="utf-8"))
)


def uncovered(functions: Iterable[str], found: Iterable[Case]) -> set[str]:
    """Functions that no case calls. A stamp ends every script."""
    return set(functions) - {step.fn for case in found for step in case.steps} - {"stamp", *OTHERWISE}


def test_what_is_shown_otherwise_is_shown() -> None:
    for place in OTHERWISE.values():
        module, _, test = place.partition(":")
        assert callable(getattr(import_module(f"tests.shell.{module}"), test))


def test_each_function_that_a_plan_calls_has_a_case() -> None:
    assert len(STEP_FUNCTIONS) > 30 and {"hostname", "sysconfig_hostname", "zone_copy", "file"} <= STEP_FUNCTIONS
    assert uncovered(STEP_FUNCTIONS, CASES.values()) == set()
    assert uncovered({"file", "planted"}, CASES.values()) == {"planted"}
    assert called('def f():\n    fn = "a" if x else "b"\n    return Step("i", fn, ())\n') == {"a", "b"}


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in OTHERWISE])
def test_each_kind_of_step_has_a_drift_that_is_told_and_mended(kind: str, tmp_path: Path) -> None:
    """A drift of some case after which --check names a step of this kind, and a run changes it."""
    words = machine_shell("dash")
    for name, case in CASES.items():
        if kind not in {step.id.partition(":")[0] for step in case.steps} or not case.drifts:
            continue
        at = tmp_path / re.sub("[^a-z0-9-]", "_", name)
        at.mkdir()
        world, script = case.world(at / "w"), case.script(at)
        assert world.run(words, script, *case.args).status == 0
        for plant in case.drifts.values():
            plant(world)
            told = world.run(words, script, *case.args, "--check").statuses
            mended = world.run(words, script, *case.args)
            if kind in {id.partition(":")[0] for id, status in told.items() if status == "would"}:
                changed = {id.partition(":")[0] for id, status in mended.statuses.items() if status == "changed"}
                assert mended.status == 0 and kind in changed
                return
    pytest.fail(f"no drift of a case makes --check name a step of the kind {kind}")


# Signatures

_SIGNATURE = re.compile(r"^# bf_([a-z0-9_]+)((?: [^:]+)?)(?:: |$)")


def signatures() -> dict[str, str]:
    """By function: the words of its first comment line, as 'PATH MODE OWNER <CONTENT'."""
    found = {}
    for name, text in shipped_texts("templates").items():
        if not name.startswith("bootstrap/lib/"):
            continue
        comment: list[str] = []
        for line in text.splitlines():
            if line.startswith("#"):
                comment.append(line)
                continue
            if (made := re.match(r"bf_([a-z0-9_]+)\(\)", line)) and comment:
                said = _SIGNATURE.match(comment[0])
                if said and said[1] == made[1]:
                    found[made[1]] = said[2].strip()
            comment = []
    return found


def misfit(signature: str, args: int, content: bool) -> str:
    """Why a call with so many arguments does not fit, or nothing. WORD is an argument, 'SEVERAL WORDS...' in quotes is
    one as well, [WORD] may be missing, WORD... is any number, (WORD WORD)... any number of pairs, <WORD is the standard
    input and [<WORD] may be empty."""
    words = re.findall(r"\([^)]*\)\.\.\.|'[^']*'|\S+", signature)
    least = most = 0
    step, takes, needs = 1, False, False
    for word in words:
        if word.startswith(("<", "[<")):
            takes, needs = True, not word.startswith("[")
        elif word.endswith("...") and not word.startswith("'"):
            most, step = 10_000, len(word.split())
        elif word.startswith("["):
            most += 1
        else:
            least, most = least + 1, most + 1
    if content and not takes or needs and not content:
        return f"content {'given' if content else 'missing'}"
    if not least <= args <= most or (most >= 10_000 and (args - least) % step):
        return f"{args} arguments"
    return ""


def test_each_signature_fits_the_calls_of_plans() -> None:
    """Of the example, of a host of each release that says nearly all that there is, and of every case here."""
    said = signatures()
    assert set(STEP_FUNCTIONS) - set(said) == set(), "the first comment line is the signature"
    steps: list[Step] = [step for case in CASES.values() for step in case.steps]
    for generation in (build_generation(EXAMPLE), build_generation(RELEASES_SITE), small()):
        for plan in generation.plans.values():
            steps += [*plan.steps, stamp(plan, "0" * 64)]
    assert {step.fn for step in steps} >= STEP_FUNCTIONS
    wrong = {
        f"bf_{step.fn} {said[step.fn]}: {why}, in the step {step.id}"
        for step in steps
        if (why := misfit(said[step.fn], len(step.args), step.content is not None))
    }
    assert wrong == set()


def test_a_call_that_does_not_fit_is_found() -> None:
    for signature, args, content in (
        ("PATH MODE", 1, False),
        ("PATH MODE", 3, False),
        ("PATH", 1, True),
        ("PATH <LINES", 1, False),
        ("(NAME STATE)...", 3, False),
        ("'REGEX TYPE...'", 2, False),
        ("PATH [QUOTE]", 3, False),
        ("", 1, False),
    ):
        assert misfit(signature, args, content), signature
    for signature, args, content in (
        ("PATH [QUOTE]", 2, False),
        ("DIRECTORY NAME...", 1, False),
        ("(NAME STATE)...", 4, False),
        ("PATH [<LINES]", 1, False),
        ("'REGEX TYPE...'", 1, False),
        ("", 0, False),
    ):
        assert not misfit(signature, args, content), signature
