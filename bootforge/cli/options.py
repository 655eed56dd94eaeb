"""Options and arguments that verbs share, and completion of host names."""

from __future__ import annotations

import gc
import getpass
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.errors import BootforgeError

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.store import Store


def _verbose(ctx: click.Context, param: click.Parameter, value: bool) -> bool:
    level = logging.DEBUG if value else logging.WARNING
    logging.basicConfig(stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(message)s", force=True)
    return value


def complete_hosts(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    """Names of the site's hosts that begin with what was typed; none when the site cannot be read."""
    try:
        hosts = load(Path(ctx.params.get("site") or ".")).hosts
    except BootforgeError:
        return []
    return [name for name in hosts if name.startswith(incomplete)]


site = click.option(
    "--site",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="BOOTFORGE_SITE",
    default=".",
    show_default="this directory",
    help="The site directory; or BOOTFORGE_SITE.",
)
store = click.option(
    "--store",
    envvar="BOOTFORGE_STORE",
    default=None,
    metavar="URL",
    help="The store, as sqlite:////var/lib/bootforge/store.db; or BOOTFORGE_STORE.",
)
verbose = click.option("-v", "--verbose", is_flag=True, expose_value=False, callback=_verbose, help="Say more.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
hosts = click.argument("hosts", nargs=-1, shell_complete=complete_hosts)
some_hosts = click.argument("hosts", nargs=-1, required=True, shell_complete=complete_hosts)
host = click.argument("host", shell_complete=complete_hosts)


def load(site: Path) -> Generation:
    """The site as a generation. Raises UsageError, SiteError. It lives as long as the verb does, so the garbage
    collector need not look through it, in this process or a forked one."""
    from bootforge.generation import build_generation

    generation = build_generation(site)
    gc.freeze()
    return generation


def selected(generation: Generation, words: Sequence[str]) -> list[str]:
    """The hosts that the words name, all of them without words. Raises NotFound, UsageError."""
    from bootforge.classes import possible_classes
    from bootforge.select import select_hosts

    classes = {name: host.classes for name, host in generation.hosts.items()}
    return select_hosts(words, classes, possible_classes(generation.site))


@contextmanager
def opened(url: str | None) -> Iterator[Store]:
    """The store for the length of a verb."""
    from bootforge.state import default_store
    from bootforge.store import open_store

    found = open_store(url or default_store())
    try:
        yield found
    finally:
        found.close()


def named(words: Sequence[str], site: Path, store: Store) -> list[str]:
    """The hosts that the words name. Names of hosts that were armed need no site: a broken one must not keep
    anybody from disarming."""
    known = {one.host for one in store.status(words)}
    if words and known.issuperset(words):
        return sorted(known)
    return selected(load(site), words)


def user() -> str:
    """Who runs this verb, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return "unknown"
