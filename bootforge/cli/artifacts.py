"""Verbs that print or write what is rendered: render, dhcp, domain."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.cli import options
from bootforge.cli.output import plain, print_json, print_problems, print_table
from bootforge.errors import NotFound, SiteError, UsageError

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.render.dhcp import Mode


@click.command()
@click.argument("host", required=False, shell_complete=options.complete_hosts)
@click.argument("artifact", required=False)
@click.option("--all", "everything", is_flag=True, help="Every artifact of every host; needs -o.")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), help="Write DIR/HOST/ARTIFACT.")
@click.option(
    "--jobs", type=click.IntRange(1, 256), metavar="N", help="Processes for --all.  [default: one for each processor]"
)
@options.site
@options.as_json
@options.verbose
def render(
    host: str | None,
    artifact: str | None,
    everything: bool,
    output: Path | None,
    jobs: int | None,
    site: Path,
    as_json: bool,
) -> None:
    """Print one ARTIFACT of HOST; without ARTIFACT list them; with --all write those of all hosts.

    What is printed or written is unsealed: a secret or a token stands as @its-name@. Files that did not change are
    not touched.
    """
    if everything == bool(host) or everything != bool(output) or (jobs and not everything):
        raise UsageError("render takes HOST [ARTIFACT], or --all with -o DIR and perhaps --jobs N")
    generation = options.load(site)
    if everything and output:
        written = write_all(generation, output, jobs or len(os.sched_getaffinity(0)))
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


def write_all(generation: Generation, output: Path, jobs: int = 1) -> int:
    """Writes DIR/HOST/ARTIFACT for every artifact that is not there already, in so many processes; how many files
    were written."""
    from rich.console import Console
    from rich.progress import track

    names = list(generation.plans)
    jobs = max(1, min(jobs, len(names) // _CHUNK))
    chunks = [names[at : at + _CHUNK] for at in range(0, len(names), _CHUNK)]
    with ExitStack() as stack:
        if jobs == 1:
            counts: Iterable[int] = (_write_hosts(generation, output, chunk) for chunk in chunks)
        else:  # a forked process has the generation already
            pool = stack.enter_context(get_context("fork").Pool(jobs, _begin, (generation, output)))
            counts = pool.imap_unordered(_write_chunk, chunks)
        quiet, console = not sys.stderr.isatty(), Console(stderr=True)
        return sum(track(counts, "rendering", total=len(chunks), console=console, disable=quiet))


_CHUNK = 50
_work: tuple[Generation, Path]


def _begin(generation: Generation, output: Path) -> None:
    """In a new process: an interrupt is the parent's to tell."""
    global _work
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _work = generation, output


def _write_chunk(names: list[str]) -> int:
    return _write_hosts(*_work, names)


def _write_hosts(generation: Generation, output: Path, names: list[str]) -> int:
    from bootforge.render import render

    return sum(
        write_file(output / name / artifact.name, artifact.text.encode())
        for name in names
        for artifact in render(generation.plan(name), generation.engine)
    )


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
@click.argument("server", type=click.Choice(["dnsmasq", "kea", "isc"]))
@click.option(
    "--mode",
    type=click.Choice(["full", "proxy"]),
    default="full",
    show_default=True,
    help="full: addresses and boot answers; proxy: boot answers alone, beside the DHCP server that you have (dnsmasq).",
)
@options.site
@options.verbose
def dhcp(server: str, mode: Mode, site: Path) -> None:
    """Print the DHCP configuration of the fleet: reservations, and what each kind of firmware boots.

    For dnsmasq, for Kea (kea-dhcp4) or for ISC's dhcpd. What is printed was read back, with rules of our own for what
    those let through; a nic that none of them could give an address is warned of.
    """
    from bootforge.lint.dhcp import lint_dhcp, text_problems

    if server != "dnsmasq" and mode == "proxy":
        hint = "print it for dnsmasq, or tell the server that you have what firmware boots (docs/boot.md)"
        raise UsageError(f"{server} cannot answer beside another DHCP server", hint)
    generation = options.load(site)
    texts = {"dnsmasq": lambda: generation.dnsmasq(mode), "kea": generation.kea, "isc": generation.isc}
    text = texts[server]()
    if problems := list(text_problems(text, server)):
        raise SiteError(problems)
    if mode == "full":
        print_problems(list(lint_dhcp(generation, "warning")), "text", {})
    click.echo(text, nl=False)


@click.command()
@options.host
@click.option(
    "--for",
    "tool",
    type=click.Choice(["xl", "xm", "libvirt-xen", "libvirt-kvm"]),
    help="Whose form.  [default: xl for a guest of Xen, libvirt-kvm for one of KVM]",
)
@click.option(
    "--phase",
    type=click.Choice(["install", "run"]),
    default="run",
    show_default=True,
    help="install: the guest boots its installer, once; run: it boots what is installed.",
)
@options.site
@options.verbose
def domain(host: str, tool: str | None, phase: str, site: Path) -> None:
    """Print the definition of the virtual machine HOST.

    It is unsealed: what tells an installer where its kickstart is stands as @grant.url@.
    """
    from bootforge.render.domain import tools_of

    generation = options.load(site)
    plan = generation.plan(host).domain
    if plan is None:
        raise NotFound(f"{host} is not a virtual machine", "set 'virt: xen' or 'virt: kvm' for it")
    tools = tools_of(plan)
    if tool and tool not in tools:
        kind = "KVM" if plan.hypervisor == "kvm" else "Xen"
        what = f"{host} is a guest of {kind}{' with a UEFI' if plan.uefi else ''}, which {tool} cannot have"
        raise NotFound(what, f"'--for' one of: {', '.join(tools)}")
    name = f"{tool or tools[0]}{'-install' if phase == 'install' else ''}"
    click.echo(generation.artifact(host, name).text, nl=False)
