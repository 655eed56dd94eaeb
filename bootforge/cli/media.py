"""Verbs of install trees: media add, list, verify, remove."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.cli import options
from bootforge.cli.output import print_json, print_table, when
from bootforge.errors import BootforgeError, Exit, UsageError

if TYPE_CHECKING:
    from bootforge.media.library import Library, Progress, Tree

_SHOWN = 20


@click.group()
def media() -> None:
    """Keep install trees, which 'serve' gives out as /media/NAME.

    A profile names one as 'install: {url: media:NAME}'.
    """


def _library(directory: Path | None, store: str | None) -> Library:
    from bootforge.media.library import Library
    from bootforge.state import default_media, default_store

    return Library(directory or default_media(store or default_store()))


@media.command()
@click.argument("source", metavar="ISO|DIR|URL")
@click.option("--name", metavar="NAME", help="What it is called. Default: from its .treeinfo, as in rocky-9.4-x86_64.")
@options.store
@options.media
@options.as_json
@options.verbose
def add(source: str, name: str | None, store: str | None, media: Path | None, as_json: bool) -> None:
    """Take in an install tree from an ISO image, a directory, or a mirror's URL.

    Its files are compared with the sums of its .treeinfo and of its repositories, where it has them, and their own
    sums are recorded. It is served once it is whole, and not before. An ISO image is read by bsdtar. A download that
    was broken off goes on where it ended, when the same URL is added again.
    """
    from bootforge.media.take import add_local, size_of

    library = _library(media, store)
    if re.match("https?://", source):
        from bootforge.media.fetch import add_url

        with _progress(None) as progress:
            tree = add_url(library, source, name, progress)
    else:
        path = Path(source)
        if not path.exists():
            raise UsageError(f"there is no {source}", "name an ISO image, a directory, or a URL that begins with http")
        with _progress(size_of(path)) as progress:
            tree = add_local(library, path, name, progress)
    if tree.missing:
        some = ", ".join(tree.missing[:3]) + (", ..." if len(tree.missing) > 3 else "")
        click.echo(f"of {len(tree.missing)} files there is a sum in .treeinfo, but no file: {some}", err=True)
    for repo in tree.outside:
        click.echo(f"the repository {repo} is not part of the tree: add it as well, or name it in repos.yaml", err=True)
    if not tree.checked:
        click.echo("this release has no sums: nothing says whether it is what it was", err=True)
    if as_json:
        print_json(_row(tree))
    else:
        click.echo(tree.name)
        click.echo(f"{_told(tree)}; write 'install: {{url: media:{tree.name}}}' in a profile", err=True)


@media.command("list")
@options.store
@options.media
@options.as_json
@options.verbose
def list_(store: str | None, media: Path | None, as_json: bool) -> None:
    """List the install trees: release, architecture, files, and how many of those had a sum of the release's own."""
    library = _library(media, store)
    rows: list[dict[str, object]] = []
    for name in library.names():
        try:
            tree = library.record(name)
        except BootforgeError as error:
            click.echo(f"bootforge: {error}", err=True)
            tree = None
        rows.append(_row(tree) if tree else {"name": name})
    if as_json:
        print_json(rows)
        return
    keys = ("name", "family", "version", "arch", "files", "MiB", "checked", "taken", "source")
    print_table(keys, ([_cell(row, key) for key in keys] for row in rows))


@media.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@options.store
@options.media
@options.as_json
@options.verbose
def verify(names: tuple[str, ...], store: str | None, media: Path | None, as_json: bool) -> int:
    """Read every file of the trees (all of them without NAME), and say which are not what they were.

    Exits with 1 when one differs, is missing, or is new.
    """
    library = _library(media, store)
    found = {}
    for name in [library.existing(name) for name in names] or library.names():
        tree = library.record(name)
        with _progress(tree.size if tree else None) as progress:
            found[name] = library.verify(name, progress)
    if as_json:
        print_json(found)
    else:
        for name, lines in found.items():
            for line in lines:
                click.echo(f"{name}/{line}")
    bad = sum(map(bool, found.values()))
    click.echo(f"{len(found) - bad} of {len(found)} trees are what they were", err=True)
    return int(Exit.DIFFERS if bad else Exit.OK)


@media.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--force", is_flag=True, help="Also when hosts are installed from it, or the site cannot be read.")
@click.option("--unfinished", is_flag=True, help="Also what is left of downloads that were broken off.")
@options.site
@options.store
@options.media
@options.verbose
def remove(
    names: tuple[str, ...], force: bool, unfinished: bool, site: Path, store: str | None, media: Path | None
) -> None:
    """Remove install trees. One that a host of the site is installed from is kept, unless --force is given."""
    if not names and not unfinished:
        raise UsageError("nothing to remove", "give the name of a tree, or --unfinished")
    library = _library(media, store)
    for name in names:
        library.existing(name)
    if names and not force:
        _refuse_used(names, site)
    for name in names:
        library.remove(name)
        click.echo(name)
    if unfinished:
        freed = library.sweep()
        click.echo(f"{freed >> 20} MiB of what was unfinished", err=True)


def _refuse_used(names: tuple[str, ...], site: Path) -> None:
    """Raises UsageError that names the hosts whose plan names the tree."""
    try:
        generation = options.load(site)
    except BootforgeError as error:
        raise UsageError(f"whether hosts use it cannot be told: {error.message}", "give --site, or --force") from None
    plans = {host: repr(plan) for host, plan in generation.plans.items()}
    for name in names:
        pattern = re.compile(rf"/media/{re.escape(name)}(?![A-Za-z0-9._-])")
        users = [host for host, plan in plans.items() if pattern.search(plan)]
        if users:
            others = f" and {len(users) - 3} others" if len(users) > 3 else ""
            raise UsageError(
                f"{name} is used by {', '.join(users[:3])}{others}", "give --force to remove it all the same"
            )


def _row(tree: Tree) -> dict[str, object]:
    return {
        "name": tree.name,
        "family": tree.family,
        "version": tree.version,
        "arch": tree.arch,
        "files": len(tree.files),
        "bytes": tree.size,
        "checked": tree.checked,
        "missing": tree.missing,
        "taken": tree.taken,
        "source": tree.source,
    }


def _cell(row: dict[str, object], key: str) -> object:
    value = row.get("bytes" if key == "MiB" else key, "-")
    if key == "MiB" and isinstance(value, int):
        return round(value / 2**20)
    return when(value) if isinstance(value, float) else value


def _told(tree: Tree) -> str:
    what = " ".join(word for word in (tree.family, tree.version, tree.arch) if word)
    return f"{what}: {len(tree.files)} files, {tree.size >> 20} MiB, {tree.checked} checked by sums of the release"


@contextmanager
def _progress(total: int | None) -> Iterator[Progress]:
    """Shows on a terminal how far it is; nothing in a pipe."""
    from bootforge.media.library import silent

    if not sys.stderr.isatty():
        yield silent
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task("", total=total)

        def progress(count: int, path: str) -> None:
            name = "".join(char for char in path.rpartition("/")[2] if char.isprintable())
            shown.update(task, advance=count, description=escape(name[:_SHOWN].ljust(_SHOWN)))

        yield progress
