"""The parts of the documentation that are made from the code: verbs from click, keys from the schema."""

from __future__ import annotations

from inspect import cleandoc
from typing import get_args

import click

from bootforge.site import arrays, schema, schema_system
from bootforge.site.kinds import Atomic, Keyed, Kind, Model, Scalar, SetOf, Struct, kind_of_model
from tests.support import ROOT
from tests.verbs import commands

_BLOCK = "<!-- generated: {} -->\n"
_END = "<!-- end -->\n"


def verbs() -> str:
    """A section for each verb: usage, what it does, its options."""
    sections = []
    for name, command in commands().items():
        context = click.Context(command, info_name=f"bootforge {name}")
        usage = " ".join(command.collect_usage_pieces(context))
        paragraphs = cleandoc(command.help or "").split("\n\n")
        help_text = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
        rows = [row for param in command.params if (row := param.get_help_record(context))]
        table = ["| option | |", "|---|---|", *(_row(f"`{option}`", " ".join(what.split())) for option, what in rows)]
        sections.append("\n".join([f"### {name}", "", f"    bootforge {name} {usage}", "", help_text, "", *table, ""]))
    return "\n".join(sections)


def _row(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def keys() -> str:
    """Tables of keys: site.yaml, profiles, and what every layer can say about a host."""
    parts = [
        ("site.yaml", schema.SiteFile),
        ("arrays.yaml, below the name of each array", arrays.ArraySpec),
        ("profiles/NAME.yaml, besides the keys of a host", schema.ProfileHead),
        ("repos.yaml, by the names of repositories", schema_system.RepoSpec),
        ("A host: hosts, roles, profiles, layouts, hardware, rules and defaults", schema.HostSpec),
    ]
    return "\n".join(_table(title, model) for title, model in parts)


def _table(title: str, model: type[Model]) -> str:
    lines = [f"### {title}", "", "| key | | default | |", "|---|---|---|---|"]
    lines += _rows(model, "")
    return "\n".join([*lines, ""])


def _rows(model: type[Model], prefix: str) -> list[str]:
    rows = []
    kinds = kind_of_model(model)
    for name, field in model.model_fields.items():
        key, kind = field.alias or name, kinds.fields[field.alias or name]
        inner = _model(field.annotation)
        shown = "" if field.is_required() or isinstance(kind, Struct | Keyed) else _default(field.default)
        need = "required" if field.is_required() else shown
        rows.append(_row(f"`{prefix}{key}`", _kind(kind), need, field.description or ""))
        if inner is schema.HostSpec:
            continue
        if inner is not None:
            rows += _rows(inner, f"{prefix}{key}." + ("NAME." if isinstance(kind, Keyed) else ""))
    return rows


def _model(annotation: object) -> type[Model] | None:
    if isinstance(annotation, type) and issubclass(annotation, Model):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _model(arg))), None)


def _kind(kind: Kind) -> str:
    match kind:
        case Scalar(secret=True):
            return "secret, facts" if kind.facts else "secret"
        case Scalar(facts=True):
            return "value, facts"
        case Scalar():
            return "value"
        case SetOf():
            return "set"
        case Atomic(facts=True):
            return "list, facts"
        case Atomic():
            return "list"
        case Keyed():
            return "map"
        case Struct():
            return "keys"


def _default(value: object) -> str:
    if value is None or value == ():
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def documents() -> dict[str, str]:
    """The documents that have generated parts, as they should be: path -> text."""
    texts = {}
    for path, word, text in (("docs/cli.md", "verbs", verbs()), ("docs/site.md", "keys", keys())):
        document = (ROOT / path).read_text()
        before, begin, rest = document.partition(_BLOCK.format(word))
        _, end, after = rest.partition(_END)
        assert begin and end, f"{path} has no generated part '{word}'"
        texts[path] = f"{before}{begin}\n{text}\n{end}{after}"
    return texts
