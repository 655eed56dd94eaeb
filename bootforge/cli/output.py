"""Printing: data to standard output, talk to standard error, JSON as one document."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime
from typing import Any

import click

from bootforge.errors import Problem
from bootforge.words import Package

_WIDEST, _MOST = 160, 200


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """Core types as JSON knows them; a slot prints as ``@source@``, so no secret can be in it."""
    if isinstance(value, Package):
        return value.text
    if is_dataclass(value) and not isinstance(value, type) and type(value).__str__ is object.__str__:
        return {field.name: plain(getattr(value, field.name)) for field in fields(value)}
    if hasattr(value, "model_dump"):
        return {name: plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def print_table(header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table: aligned columns on a terminal and in a pipe alike; nothing when there are no rows. No cell is ever
    cut: a terminal wraps lines that are too long for it, and a URL stays one."""
    table = [[str(cell) for cell in row] for row in rows]
    if not table:
        return
    table.insert(0, [*header])
    sizes = [[_columns(cell) for cell in row] for row in table]
    widths = [max(column) for column in zip(*sizes, strict=True)]
    lines = [
        "   ".join(cell + " " * (width - size) for cell, size, width in zip(row, said, widths, strict=True)).rstrip()
        for row, said in zip(table, sizes, strict=True)
    ]
    lines.insert(1, "\N{BOX DRAWINGS LIGHT HORIZONTAL}" * (sum(widths) + 3 * len(widths) - 3))
    click.echo("\n".join(lines))


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    from rich.cells import cell_len

    return cell_len(text)


@contextmanager
def busy(what: str) -> Iterator[None]:
    """Says on a terminal what goes on while it goes on; nothing in a pipe."""
    if not sys.stderr.isatty():
        yield
        return
    from rich.console import Console

    with Console(stderr=True).status(what):
        yield


def print_problems(problems: Iterable[Problem], form: str = "text", lines: dict[str, list[str]] | None = None) -> None:
    """Problems as a compiler prints them, as JSON, or as annotations of GitHub; the text form on standard error."""
    if form == "json":
        print_json([_problem(problem) for problem in problems])
        return
    listed = list(problems)
    for problem in listed if form == "github" else listed[:_MOST]:
        if form == "github":
            click.echo(_github(problem))
            continue
        click.echo(problem.line(), err=True)
        source = (lines or {}).get(problem.origin.file, [])
        if 0 < problem.origin.line <= len(source):
            text, col = _window(source[problem.origin.line - 1], problem.origin.col)
            click.echo(f"    {text}\n    {' ' * (col - 1)}^", err=True)
    if form == "text" and len(listed) > _MOST:
        click.echo(f"... and {len(listed) - _MOST} more; '--format json' has them all", err=True)


def _window(line: str, col: int) -> tuple[str, int]:
    """What of a line is shown, and the column in it: no more than a terminal takes, and nothing that it would obey."""
    text = "".join(char if char.isprintable() else " " for char in line)
    if len(text) <= _WIDEST:
        return text, col
    start = max(0, min(col - 1 - _WIDEST // 2, len(text) - _WIDEST))
    before, after = "..." if start else "", "..." if start + _WIDEST < len(text) else ""
    return f"{before}{text[start : start + _WIDEST]}{after}", col - start + len(before)


def _problem(problem: Problem) -> dict[str, Any]:
    where = {"file": problem.origin.file, "line": problem.origin.line, "col": problem.origin.col}
    what = {"code": problem.code, "severity": problem.severity, "message": problem.message, "hint": problem.hint}
    return {**where, **what, "host": problem.host}


def _github(problem: Problem) -> str:
    """A workflow command; escaped as GitHub's toolkit does (actions/toolkit, packages/core/src/command.ts)."""
    origin, message = problem.origin, problem.line().partition(": ")[2]
    where = {"file": origin.file, "line": origin.line, "col": origin.col, "title": problem.code}
    listed = ",".join(f"{key}={_escaped(str(value), ':,')}" for key, value in where.items())
    return f"::{problem.severity} {listed}::{_escaped(message)}"


def _escaped(text: str, more: str = "") -> str:
    for char in "%\r\n" + more:
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def local(seconds: float) -> str:
    """A time of the store as ISO 8601, by the clock of whoever reads it."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")


def when(seconds: float | None) -> str:
    """A time of the store for people, in UTC; '-' when there is none."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%SZ") if seconds else "-"
