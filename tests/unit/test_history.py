"""Rules that the security history of other provisioners teaches (docs/security.md), as lints over our own sources.

Every rule is a function from sources to violations, so that each test also plants a violation and sees it found.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from importlib import import_module
from pkgutil import iter_modules

import pytest

from bootforge import serve
from bootforge.serve import http
from tests.unit.test_architecture import Sources, sources, unit

_SHELLS = ("os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "eval", "exec", "compile")
_STARTS = ("run", "Popen", "call", "check_call", "check_output")
_MAKERS = re.compile(r"(yaml\.(load|full_load|unsafe_load)(_all)?|pickle\.loads?|marshal\.loads?|shelve\.open)")
_CREDENTIAL = re.compile(r"(^|[._])(token|secret|password|credential|csrf)$")
_CLIENTS = ("urllib.request", "http.client", "ftplib", "requests", "subprocess", "bootforge.media.fetch")
_ANSWERING = ("serve", "store")
"""What is at work when a machine asks."""
_STARTED = ("bootforge/serve/dnsmasq.py",)
"""What runs a program because the operator said so when the server was started."""


def calls(source: str) -> Iterator[tuple[ast.Call, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def shell_violations(files: Sources) -> list[str]:
    """Commands that are one text, and texts that are run as code."""
    found = []
    for file, source in files.items():
        for node, name in calls(source):
            shell = name.endswith(_STARTS) and any(
                one.arg == "shell" and not (isinstance(one.value, ast.Constant) and not one.value.value)
                for one in node.keywords
            )
            text = name.startswith("subprocess.") and name.endswith(_STARTS) and node.args
            if shell or name in _SHELLS or text and isinstance(node.args[0], ast.Constant | ast.JoinedStr | ast.BinOp):
                found.append(f"{file}:{node.lineno}: {name}")
    return found


def reflection_violations(files: Sources) -> list[str]:
    """Attributes and modules that are found by a name which is made at run time, where machines are answered."""
    found = []
    for file, source in files.items():
        for node, name in calls(source) if unit(file) == "serve" else ():
            by_name = name in ("getattr", "setattr", "delattr", "globals", "vars", "__import__", "import_module")
            constant = len(node.args) > 1 and isinstance(node.args[1], ast.Constant)
            if by_name and not (name == "getattr" and constant):
                found.append(f"{file}:{node.lineno}: {name}")
    return found


def object_violations(files: Sources) -> list[str]:
    """Readers that make objects of whatever a text says."""
    return [
        f"{file}:{node.lineno}: {name}"
        for file, source in files.items()
        for node, name in calls(source)
        if _MAKERS.fullmatch(name)
    ]


def comparison_violations(files: Sources) -> list[str]:
    """Credentials that are compared by ``==``, which stops at the first byte that differs."""
    found = []
    for file, source in files.items():
        for node in ast.walk(ast.parse(source)) if unit(file) in (*_ANSWERING, "state", "seal") else ():
            if isinstance(node, ast.Compare) and any(isinstance(op, ast.Eq | ast.NotEq) for op in node.ops):
                sides = [ast.unparse(side) for side in (node.left, *node.comparators)]
                found += [f"{file}:{node.lineno}: {side}" for side in sides if _CREDENTIAL.search(side)]
    return found


def client_violations(files: Sources) -> list[str]:
    """Clients and commands where machines are answered: nothing is fetched or run because somebody asked."""
    found = []
    for file, source in files.items():
        answers = unit(file) in _ANSWERING and file not in _STARTED
        for node in ast.walk(ast.parse(source)) if answers else ():
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [f"{file}:{node.lineno}: {name}" for name in names if name in _CLIENTS]  # type: ignore[attr-defined]
    return found


def test_no_command_goes_through_a_shell() -> None:
    assert shell_violations(sources()) == []


def test_nothing_is_called_by_a_name_that_a_request_gives() -> None:
    assert reflection_violations(sources()) == []


def test_no_text_becomes_an_object() -> None:
    assert object_violations(sources()) == []


def test_no_credential_is_compared_byte_by_byte() -> None:
    """Tokens are looked up by their SHA-256, which nobody can approach byte by byte."""
    assert comparison_violations(sources()) == []


def test_nothing_is_fetched_or_run_because_a_machine_asked() -> None:
    assert client_violations(sources()) == []


@pytest.mark.parametrize(
    "rule,source",
    [
        (shell_violations, "subprocess.run(['x'], shell=True)"),
        (shell_violations, "subprocess.Popen(f'reposync {name}')"),
        (shell_violations, "subprocess.run('reposync ' + name)"),
        (shell_violations, "os.system(name)"),
        (shell_violations, "eval(name)"),
        (reflection_violations, "getattr(self, name)()"),
        (reflection_violations, "setattr(settings, name, value)"),
        (reflection_violations, "import_module(name)"),
        (object_violations, "yaml.load(text)"),
        (object_violations, "pickle.loads(body)"),
        (comparison_violations, "if grant.token == given: pass"),
        (comparison_violations, "ok = given != secret"),
        (client_violations, "import subprocess"),
        (client_violations, "def f():\n    from urllib.request import urlopen"),
        (client_violations, "from bootforge.media import fetch"),
    ],
)
def test_a_planted_violation_is_found(rule: Callable[[Sources], list[str]], source: str) -> None:
    assert len(rule({"bootforge/serve/planted.py": source})) == 1


# Settings


def mutable_settings(module: object) -> list[str]:
    """Dataclasses of settings that somebody could change."""
    return [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and is_dataclass(value) and name in ("Options", "Server", "Route")
        if not value.__dataclass_params__.frozen  # type: ignore[attr-defined]
    ]


def test_settings_cannot_change_while_it_runs() -> None:
    """And what a machine may send is a report or a log of its own install."""
    modules = [import_module(f"bootforge.serve.{module.name}") for module in iter_modules(serve.__path__)]
    assert [name for module in modules for name in mutable_settings(module)] == []
    assert {field.name for field in fields(http.Server)} == {"keeper", "store", "key"}
    assert {route.answer for route in http.ROUTES if route.method != "GET"} == {http.report, http.keep_log}
