"""The house rules that a reader relies on, as tests: who may import whom, who may print, who may see a secret.

Every rule is a function from sources to violations, so that each test also plants a violation and sees it found.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from importlib import import_module
from pkgutil import iter_modules
from types import NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import pytest
from jinja2 import Environment
from pydantic import BaseModel, PlainValidator

from bootforge import site
from bootforge.render.engine import Engine, template_problems
from bootforge.resources import shipped_texts
from bootforge.serve import bootfiles, http, media
from bootforge.site.kinds import Model
from tests.support import ROOT

ROWS = (
    ("__main__",),
    ("cli",),
    ("doctor",),
    ("serve", "apply"),
    ("store", "seal", "state", "media", "repos"),
    ("lint", "compare"),
    ("generation",),
    ("render",),
    ("plan",),
    ("resolve", "select"),
    ("classes", "required"),
    ("site",),
    ("naming", "rules", "releases", "rpmkey", "report"),
    ("errors",),
    ("model",),
    ("model_storage", "model_steps"),
    ("words",),
    ("addr", "resources"),
)
"""The layers of DESIGN.md, top first. A module may import what is in a row below its own, and its own package."""

DEPTH = {name: depth for depth, row in enumerate(ROWS) for name in row}
SECRET_READERS = ("doctor", "serve", "apply")
Sources = Mapping[str, str]


def sources() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for path in sorted((ROOT / "bootforge").rglob("*.py"))
        if "/migrations/" not in path.as_posix()
    }


def unit(file: str) -> str:
    """The part of the house that a file belongs to: a package or a top-level module."""
    parts = file.split("/")
    return parts[1] if len(parts) > 2 else parts[1].removesuffix(".py")


def imports(file: str, source: str) -> Iterator[tuple[int, str]]:
    """Every import of our own, also inside functions: line and full module name."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "bootforge":
            inner = {alias.name for alias in node.names if _is_module(f"{node.module}.{alias.name}")}
            yield from ((node.lineno, f"{node.module}.{name}") for name in inner)
            if len(inner) < len(node.names):
                yield node.lineno, node.module
        elif isinstance(node, ast.Import):
            yield from ((node.lineno, a.name) for a in node.names if a.name.split(".")[0] == "bootforge")
        elif isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "a relative import"


def _is_module(name: str) -> bool:
    path = ROOT / name.replace(".", "/")
    return path.is_dir() or path.with_suffix(".py").is_file()


def import_violations(files: Sources) -> list[str]:
    found = []
    for file, source in files.items():
        mine = unit(file)
        for line, module in imports(file, source):
            if module == "bootforge":
                continue
            if not module.startswith("bootforge."):
                found.append(f"{file}:{line}: {module}; write the full name")
                continue
            other = module.split(".")[1]
            if other == mine:
                continue
            if other not in DEPTH or mine not in DEPTH:
                found.append(f"{file}:{line}: {mine} or {other} has no row")
            elif DEPTH[other] <= DEPTH[mine]:
                found.append(f"{file}:{line}: {mine} imports {other}, which is not below it")
            elif other == "seal" and mine not in SECRET_READERS:
                found.append(f"{file}:{line}: {mine} may not see secrets")
    return found


def cycle_violations(files: Sources) -> list[str]:
    """Modules that import each other, within a package too."""
    names = {file.removesuffix(".py").removesuffix("/__init__").replace("/", "."): file for file in files}
    graph = {name: {m for _, m in imports(file, files[file]) if m in names} for name, file in names.items()}
    found: list[str] = []

    def visit(name: str, path: tuple[str, ...]) -> None:
        if name in path:
            found.append(" -> ".join((*path[path.index(name) :], name)))
        elif name not in done:
            for other in sorted(graph[name]):
                visit(other, (*path, name))
            done.add(name)

    done: set[str] = set()
    for name in graph:
        visit(name, ())
    return found


def output_violations(files: Sources) -> list[str]:
    """Only the command line prints or exits; no release is compared by order outside releases.py."""
    found = []
    for file, source in files.items():
        for node in ast.walk(ast.parse(source)):
            call = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
            if call in ("print", "sys.exit", "exit", "click.echo") and unit(file) != "cli":
                found.append(f"{file}:{node.lineno}: {call} outside cli")
            ordering = isinstance(node, ast.Compare) and any(
                isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in node.ops
            )
            if ordering and "release" in ast.unparse(node) and unit(file) != "releases":
                found.append(f"{file}:{node.lineno}: a release is compared")
    return found


def test_imports_run_downward() -> None:
    assert import_violations(sources()) == []


def test_imports_have_no_cycles() -> None:
    assert cycle_violations(sources()) == []


def test_only_the_command_line_prints_and_only_releases_compares_releases() -> None:
    assert output_violations(sources()) == []


@pytest.mark.parametrize(
    "file,source,words",
    [
        ("bootforge/plan/boot.py", "from bootforge.render.slots import Quoted", "plan imports render"),
        ("bootforge/model.py", "def f():\n    import bootforge.site.load", "bootforge/model.py:2: model imports site"),
        ("bootforge/words.py", "from bootforge.model_storage import Portal", "words imports model_storage"),
        ("bootforge/store/x.py", "from bootforge.state import server_key", "store imports state"),
        ("bootforge/cli/x.py", "from bootforge.seal import Vault", "cli may not see secrets"),
        ("bootforge/site/x.py", "from . import load", "write the full name"),
        ("bootforge/new/x.py", "from bootforge.model import Plan", "has no row"),
    ],
)
def test_a_planted_import_is_found(file: str, source: str, words: str) -> None:
    assert words in "\n".join(import_violations({file: source}))


def test_a_planted_cycle_and_a_planted_print_are_found() -> None:
    planted = {
        "bootforge/plan/a.py": "from bootforge.plan.b import x",
        "bootforge/plan/b.py": "from bootforge.plan.a import y",
    }
    assert cycle_violations(planted) == ["bootforge.plan.a -> bootforge.plan.b -> bootforge.plan.a"]
    printing = {"bootforge/plan/a.py": "print(1)", "bootforge/plan/b.py": "x = host.release < 'el9'"}
    assert len(output_violations(printing)) == 2


# The schema and its scalars


def pydantic_violations(files: Sources) -> list[str]:
    """Whoever knows of pydantic, besides the package of the schema."""
    found = []
    for file, source in files.items():
        for node in ast.walk(ast.parse(source)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            if unit(file) != "site" and any(name.split(".")[0] == "pydantic" for name in names):
                found.append(f"{file}:{getattr(node, 'lineno', 0)}: {names[0]}")
    return found


def test_pydantic_is_used_in_the_package_of_the_schema_only() -> None:
    assert pydantic_violations(sources()) == []


@pytest.mark.parametrize("source", ["import pydantic", "from pydantic import BaseModel", "import pydantic.types as t"])
def test_a_planted_import_of_pydantic_is_found(source: str) -> None:
    planted = {"bootforge/plan/a.py": f"def f():\n    {source}", "bootforge/site/a.py": source}
    (found,) = pydantic_violations(planted)
    assert found.startswith("bootforge/plan/a.py:2: pydantic")


def scalar_violations(models: list[type[BaseModel]]) -> list[str]:
    """Fields whose text pydantic would convert by its own rules, or unions that nothing discriminates."""
    found = []
    for model in models:
        for name, field in model.model_fields.items():
            annotation = Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation
            found += [f"{model.__name__}.{name}: {why}" for why in _bare(annotation)]
    return found


def _bare(annotation: Any) -> Iterator[str]:
    origin, args = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        if not any(isinstance(mark, PlainValidator) for mark in args[1:]):
            yield from _bare(args[0])
    elif origin in (Union, UnionType):
        if len([arg for arg in args if arg is not NoneType]) > 1:
            yield f"{annotation} is a union that nothing discriminates"
        for arg in args:
            yield from _bare(arg) if arg is not NoneType else ()
    elif origin in (tuple, dict):
        for arg in args:
            yield from _bare(arg) if arg is not Ellipsis else ()
    elif not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
        yield f"{annotation} has no reader of ours"


def models() -> list[type[BaseModel]]:
    """Of all modules of the site: a model that a module only uses is found where it is written."""
    modules = [import_module(f"bootforge.site.{module.name}") for module in iter_modules(site.__path__)]
    every = [value for module in modules for value in vars(module).values() if isinstance(value, type)]
    found = {value for value in every if issubclass(value, BaseModel) and value.__module__.startswith("bootforge.")}
    assert len(found) > 30
    return [*found]


def test_every_scalar_of_the_schema_is_read_by_us() -> None:
    assert scalar_violations(models()) == []


@pytest.mark.parametrize("annotation", [int, bool, float, str, int | None, dict[str, int], tuple[bool, ...], int | str])
def test_a_planted_bare_scalar_is_found(annotation: Any) -> None:
    planted = type("Planted", (Model,), {"__annotations__": {"field": annotation}})
    assert scalar_violations([planted])


# Templates


def environment() -> Environment:
    return Engine({}).environment


def test_the_shipped_templates_use_only_what_is_allowed() -> None:
    templates = [name for name in shipped_texts("templates") if name.endswith(".j2")]
    assert len(templates) >= 6
    for name in templates:
        assert list(template_problems(environment(), shipped_texts("templates")[name], name)) == []


@pytest.mark.parametrize(
    "template",
    [
        "{{ host }}",
        "{{ 'x' | ks }}",
        "{{ host ~ 'x' }}",
        "{{ (host ~ 'x') | ks }}",
        "{{ host + host | ks }}",
        "{{ host | ks | upper }}",
        "{{ host | replace('a', 'b') }}",
        "{{ hosts | join(',') }}",
        "{{ host | safe }}",
        "{{ host.name() | ks }}",
        "{{ hosts[0] | ks }}",
        "{{ host | ks if host else host | ks }}",
        "{{ host | attr('x') | ks }}",
        "{{ host | ks(1) }}",
        "{% set x = host %}",
        "{% if host == 'x' %}y{% endif %}",
        "{% if host is defined %}y{% endif %}",
        "{% if host is present %}{{ host }}{% endif %}",
        "{% for x in hosts if x %}{{ x | ks }}{% endfor %}",
        "{% for x in hosts %}{{ x }}{% endfor %}",
        "{% for x in range(3) %}{{ x | ks }}{% endfor %}",
        "{% for x in hosts %}{% else %}{{ x }}{% endfor %}",
        "{% if host is present %}{% elif host %}{% endif %}",
        "{% include host %}",
        "{% extends host %}",
        "{% macro m() %}{% endmacro %}",
        "{% call m() %}{% endcall %}",
        "{% filter ks %}x{% endfilter %}",
        "{% with x = host %}{{ x | ks }}{% endwith %}",
        "{% import 'x' as y %}",
        "{% from 'x' import y %}",
        "{% block a %}{{ host }}{% endblock %}",
        "{% autoescape true %}{{ host | ks }}{% endautoescape %}",
        "{{ host | ks",
    ],
)
def test_a_planted_template_construct_is_found(template: str) -> None:
    assert list(template_problems(environment(), template, "planted"))


# Routes


def route_violations(app: Any) -> list[str]:
    known = get_args(http.Policy)
    return [
        f"{rule.rule} has no policy"
        for rule in app.url_map.iter_rules()
        if getattr(app.view_functions[rule.endpoint], "policy", None) not in known
    ]


def test_every_route_has_a_policy() -> None:
    app = http.create_app(server=None)  # type: ignore[arg-type]
    assert len(list(app.url_map.iter_rules())) == len(http.ROUTES)
    assert {media.POLICY, *bootfiles.RULES.values()} <= set(get_args(http.Policy))
    assert route_violations(app) == []


def test_a_planted_route_without_policy_is_found() -> None:
    app = http.create_app(server=None)  # type: ignore[arg-type]
    app.add_url_rule("/planted", view_func=lambda: "x")
    assert route_violations(app) == ["/planted has no policy"]


def test_a_route_that_gives_what_a_grant_opens_has_the_policy_of_grants() -> None:
    assert {route.rule: route.policy for route in http.ROUTES if "<token>" in route.rule} == {
        route.rule: "grant" for route in http.ROUTES if route.rule.startswith("/i/")
    }
