"""Verbs that print or write what is rendered: render, dhcp, domain."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.cli import options
from bootforge.cli.output import plain, print_json, print_table
from bootforge.errors import NotFound, UsageError
from bootforge.model import Artifact

if TYPE_CHECKING:
    from bootforge.render.dhcp import Mode


@click.command()
@click.argument("host", required=False, shell_complete=options.complete_hosts)
@click.argument("artifact", required=False)
@click.option("--all", "everything", is_flag=True, help="Every artifact of every host; needs -o.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write DIR/HOST/ARTIFACT.")
@options.site
@options.as_json
@options.verbose
def render(
    host: str | None, artifact: str | None, everything: bool, output: Path | None, site: Path, as_json: bool
) -> None:
    """Print one ARTIFACT of HOST; without ARTIFACT list them; with --all write those of all hosts.

    What is printed or written is unsealed: a secret or a token stands as @its-name@. Files that did not change are
    not touched.
    """
    if everything == bool(host) or everything != bool(output):
        raise UsageError("render takes HOST [ARTIFACT], or --all with -o DIR")
    generation = options.load(site)
    if everything and output:
        written = write_all({name: generation.artifacts(name) for name in generation.plans}, output)
        click.echo(f"{len(generation.plans)} hosts, {written} files written", err=True)
    elif host and artifact:
        found = generation.artifact(host, artifact)
        if as_json:
            print_json(plain(found))
        else:
            click.echo(found.text, nl=False)
    elif host:
        rows = [
            {"name": one.name, "media_type": one.media_type, "bytes": len(one.text.encode()), "digest": one.digest}
            for one in generation.artifacts(host).values()
        ]
        if as_json:
            print_json(rows)
        else:
            print_table(("name", "bytes", "digest"), ((row["name"], row["bytes"], row["digest"]) for row in rows))


def write_all(hosts: Mapping[str, Mapping[str, Artifact]], output: Path) -> int:
    """Writes DIR/HOST/ARTIFACT for every artifact that is not there already; how many files were written."""
    from rich.console import Console
    from rich.progress import track

    written = 0
    quiet = not sys.stderr.isatty()
    for host, artifacts in track(hosts.items(), "rendering", console=Console(stderr=True), disable=quiet):
        for artifact in artifacts.values():
            written += write_file(output / host / artifact.name, artifact.text.encode())
    return written


def write_file(path: Path, content: bytes) -> bool:
    """Whether the file had to be written; a reader sees the old content or the new, never a part."""
    try:
        if path.is_file() and path.read_bytes() == content:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, new = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
            os.chmod(new, 0o644)
            os.replace(new, path)
        except BaseException:
            os.unlink(new)
            raise
        return True
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "nothing of it was left behind") from None


@click.command()
@click.argument("server", type=click.Choice(["dnsmasq"]))
@click.option(
    "--mode",
    type=click.Choice(["full", "proxy"]),
    default="full",
    show_default=True,
    help="full: addresses and boot answers; proxy: boot answers alone, beside the DHCP server that you have.",
)
@options.site
@options.verbose
def dhcp(server: str, mode: Mode, site: Path) -> None:
    """Print the DHCP configuration of the fleet: reservations, and what each kind of firmware boots."""
    click.echo(options.load(site).dnsmasq(mode), nl=False)


@click.command()
@options.host
@click.option("--for", "tool", type=click.Choice(["xl"]), default="xl", help="Whose form.")
@options.site
@options.verbose
def domain(host: str, tool: str, site: Path) -> None:
    """Print the definition of the virtual machine HOST."""
    generation = options.load(site)
    if generation.plan(host).domain is None:
        raise NotFound(f"{host} is not a virtual machine", "set 'virt: xen' for it")
    click.echo(generation.artifact(host, tool).text, nl=False)
