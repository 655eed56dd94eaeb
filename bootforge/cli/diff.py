"""The verb diff: what a change of the site does to its hosts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.cli import options
from bootforge.cli.output import busy, print_json
from bootforge.errors import Exit, SiteError

if TYPE_CHECKING:
    from bootforge.compare import Comparison
    from bootforge.generation import Generation

_SHOWN = 3


@click.command()
@click.argument("rev1")
@click.argument("rev2", required=False)
@options.site
@click.option("--stat", is_flag=True, help="Only which artifacts of which hosts differ.")
@options.as_json
@options.verbose
def diff(rev1: str, rev2: str | None, site: Path, stat: bool, as_json: bool) -> int:
    """Show what a change of the site does to its hosts: their artifacts at REV1 and REV2.

    REV1 and REV2 are revisions of the git repository that holds the site; without REV2, the directory as it is is
    compared. A difference is shown once, with the hosts that have it. Exits 1 when something differs.
    """
    from bootforge.compare import compare

    with busy(f"reading {rev1} and {rev2 or site}"):
        old = _at(site, rev1)
        new = _at(site, rev2) if rev2 else options.load(site)
    with busy("comparing"):
        found = compare(old, new)
    if as_json:
        print_json(_json(found))
    elif stat:
        for line in _stat(found):
            click.echo(line)
    else:
        for line in _text(found):
            click.echo(line)
    return Exit.DIFFERS if found else Exit.OK


def _at(site: Path, rev: str) -> Generation:
    """The site at a revision. Raises UsageError, NotFound, SiteError, whose places then begin with the revision."""
    from bootforge.generation import build_generation
    from bootforge.site.git import checked_out, commit_of

    with checked_out(site, commit_of(site, rev)) as directory:
        try:
            return build_generation(directory)
        except SiteError as error:
            at = ((one, replace(one.origin, file=f"{rev}:{one.origin.file}")) for one in error.problems)
            raise SiteError(replace(one, origin=origin) for one, origin in at) from None


def _hosts(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} others" if len(names) > _SHOWN else ""
    return f"{len(names)} host{'s' if len(names) > 1 else ''}: {', '.join(names[:_SHOWN])}{more}"


def _stat(found: Comparison) -> list[str]:
    lines = [f"added    {name}" for name in found.added] + [f"removed  {name}" for name in found.removed]
    return lines + [f"changed  {name}  {' '.join(kinds)}" for name, kinds in found.changed.items()]


def _text(found: Comparison) -> list[str]:
    lines = [f"added, {_hosts(found.added)}"] if found.added else []
    lines += [f"removed, {_hosts(found.removed)}"] if found.removed else []
    for change in found.changes:
        lines += [f"{change.artifact}, {_hosts(change.hosts)}", *(f"  {line}" for line in change.lines), ""]
    return lines


def _json(found: Comparison) -> dict[str, object]:
    changes = [{"artifact": one.artifact, "hosts": one.hosts, "lines": one.lines} for one in found.changes]
    return {"added": found.added, "removed": found.removed, "changed": dict(found.changed), "changes": changes}
