"""Templates: which constructs they may use, and how they are compiled.

A template prints; it does not decide. Its syntax tree may hold text, blocks, ``for`` over a list, ``if x is
present``, constant ``include`` and ``extends``, and outputs that are a name or attribute through exactly one
grammar filter. Everything else is refused when the template is loaded, in overrides of a site as well, because
operators and filters such as ``~``, ``join`` or ``replace`` pass raw text into an output.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jinja2 import (
    BaseLoader,
    Environment,
    StrictUndefined,
    Template,
    TemplateNotFound,
    TemplateSyntaxError,
    nodes,
)
from jinja2.sandbox import ImmutableSandboxedEnvironment

from bootforge.errors import Problem, RenderError, SiteError
from bootforge.model import Origin
from bootforge.render.slots import FILTERS, Quoted
from bootforge.resources import shipped_texts

_LIBRARY = ("bootstrap/", "install/common.sh")
_STRUCTURE = (nodes.Template, nodes.Block, nodes.TemplateData)


class _Loader(BaseLoader):
    """Templates by name: a site's own first, then the shipped ones; ``shipped/NAME`` is always the shipped one.
    Shell libraries are text: ``${#x}`` must not read as a comment of Jinja."""

    def __init__(self, own: Mapping[str, str]) -> None:
        self.own = own

    def get_source(self, environment: Environment, template: str) -> tuple[str, str, None]:
        shipped = shipped_texts("templates")
        name = template.removeprefix("shipped/")
        source = self.own.get(template) if name == template else None
        source = shipped.get(name) if source is None else source
        if source is None:
            raise TemplateNotFound(template)
        return ("{% raw %}" + source + "{% endraw %}" if name.endswith(".sh") else source), template, None


class Engine:
    """Compiled templates of one generation; ``digest`` is that of their texts, ``library`` that of the texts that a
    bootstrap is made of."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """``files``: a site's files; those below templates/ override shipped ones of the same name, and may
        extend them as ``shipped/NAME``. Raises SiteError for every construct that is not allowed."""
        own = {
            name.removeprefix("templates/"): content.decode("utf-8", "replace")
            for name, content in files.items()
            if name.startswith("templates/")
        }
        texts = {**{f"shipped/{name}": text for name, text in shipped_texts("templates").items()}, **own}
        self.digest = _digest(texts)
        library = {name.removeprefix("shipped/"): text for name, text in texts.items()} | own
        self.library = _digest({name: text for name, text in library.items() if name.startswith(_LIBRARY)})
        self.environment = ImmutableSandboxedEnvironment(
            loader=_Loader(own),
            undefined=StrictUndefined,
            finalize=_only_quoted,
            trim_blocks=True,
            lstrip_blocks=True,
            keep_trailing_newline=True,
        )
        self.environment.filters.clear()
        self.environment.filters.update(FILTERS)
        self.environment.tests.clear()
        self.environment.tests["present"] = _present
        self.environment.globals.clear()
        problems = [*self._check(own)]
        if problems:
            raise SiteError(problems)

    def _check(self, own: Mapping[str, str]) -> Iterator[Problem]:
        shipped = shipped_texts("templates")
        for name in own:
            if name not in shipped:
                yield Problem(Origin(f"templates/{name}"), "BF006", "is not read: Bootforge ships no such template")
            elif name.startswith("run/"):
                yield Problem(Origin(f"templates/{name}"), "BF006", "is not read: what receives a run is ours alone")
            elif name.endswith(".sh") and re.search(r"\{%[-+]?\s*endraw", own[name]):
                yield Problem(Origin(f"templates/{name}"), "BF007", "a shell library is no template", "drop 'endraw'")
        for name in {**shipped, **own}:
            if name.startswith("init/") or name.endswith(".sh"):
                continue
            file = f"templates/{name}" if name in own else f"shipped:{name}"
            source, _, _ = _Loader(own).get_source(self.environment, name)
            yield from template_problems(self.environment, source, file)

    def render(self, name: str, **values: Any) -> str:
        """The text of a template. Raises RenderError for a value that the grammar cannot hold, or is missing."""
        try:
            template: Template = self.environment.get_template(name)
            return template.render(values)
        except RenderError:
            raise
        except Exception as error:
            raise RenderError(f"template {name}: {error}", "correct the template") from error


def _digest(texts: Mapping[str, str]) -> str:
    return hashlib.sha256(repr(sorted(texts.items())).encode()).hexdigest()


def template_problems(environment: Environment, source: str, file: str) -> Iterator[Problem]:
    """Every construct of a template that is not on the allow-list, at its line."""
    try:
        tree = environment.parse(source)
    except TemplateSyntaxError as error:
        yield Problem(Origin(file, error.lineno), "BF007", f"template: {error.message}")
        return
    for node, why in _refused(tree):
        yield Problem(
            Origin(file, node.lineno),
            "BF007",
            f"template: {why}",
            "print a value as {{ value | ks }}; use 'for', 'if ... is present', include, extends, block",
        )


def _refused(node: nodes.Node) -> Iterator[tuple[nodes.Node, str]]:
    match node:
        case nodes.Output():
            for part in node.nodes:
                if not isinstance(part, nodes.TemplateData) and not _is_filtered_name(part):
                    yield part, "an output must be a name through exactly one grammar filter"
            return
        case nodes.For():
            if not (isinstance(node.target, nodes.Name) and _is_name(node.iter)) or node.test or node.recursive:
                yield node, "'for' takes one name and a list"
        case nodes.If():
            if not (isinstance(node.test, nodes.Test) and node.test.name == "present" and _is_name(node.test.node)):
                yield node, "'if' only asks whether a value is present"
        case nodes.Include() | nodes.Extends():
            if not isinstance(node.template, nodes.Const):
                yield node, "'include' and 'extends' take a constant name"
        case _ if not isinstance(node, _STRUCTURE):
            yield node, f"'{type(node).__name__}' is not allowed"
            return
    for body in ("body", "else_", "elif_"):
        for child in getattr(node, body, None) or ():
            yield from _refused(child)


def _is_name(node: nodes.Node) -> bool:
    while isinstance(node, nodes.Getattr):
        node = node.node
    return isinstance(node, nodes.Name)


def _is_filtered_name(node: nodes.Node) -> bool:
    return (
        isinstance(node, nodes.Filter)
        and node.name in FILTERS
        and not (node.args or node.kwargs or node.dyn_args or node.dyn_kwargs)
        and node.node is not None
        and _is_name(node.node)
    )


def _present(value: Any) -> bool:
    return value is not None and value is not False and value != "" and value != ()


def _only_quoted(value: Any) -> str:
    if not isinstance(value, Quoted):
        raise RenderError(f"an unquoted {type(value).__name__} reached an output", "use a grammar filter")
    return value
