"""Verbs of repositories: repo probe."""

from __future__ import annotations

from dataclasses import asdict

import click

from bootforge.cli import options
from bootforge.cli.output import busy, print_json
from bootforge.errors import Exit


@click.group()
def repo() -> None:
    """Look after repositories of packages."""


@repo.command()
@click.argument("url", metavar="URL")
@options.as_json
@options.verbose
def probe(url: str, as_json: bool) -> int:
    """Ask a web server as yum, dnf, zchunk, curl and firmware do, and say whom its answers break.

    URL is a repository (what holds repodata/), or a file. Its answers to ranges, HEAD, If-Range and conditions are
    compared with the file as it comes whole; what it says of itself is not believed. Exits with 5 when an answer is
    wrong.
    """
    from bootforge.repos.probe import probe

    with busy(f"asking {url}"):
        outcomes = list(probe(url))
    wrong = [one for one in outcomes if not one.ok]
    if as_json:
        print_json([asdict(one) for one in outcomes])
    else:
        for one in outcomes:
            why = f": {one.why}; breaks {one.breaks}" if not one.ok else ""
            click.echo(f"{'ok  ' if one.ok else 'FAIL'} {one.name}{why}")
    click.echo(f"{len(outcomes) - len(wrong)} of {len(outcomes)} answers are right", err=True)
    return int(Exit.REMOTE if wrong else Exit.OK)
