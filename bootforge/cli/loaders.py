"""Verbs of network boot programs: loaders list, add, remove."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.cli import options
from bootforge.cli.output import print_json, print_table
from bootforge.errors import BootforgeError, NotFound, UsageError, did_you_mean

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.serve.loaders import Loaders, Program


@click.group()
def loaders() -> None:
    """Look after network boot programs, which 'serve' gives out by TFTP and as /loaders/NAME.

    iPXE and pxelinux are packages' files. shim and GRUB are those that a release signed: they are in its install tree
    ('media:NAME'), or are added here.
    """


@loaders.command("list")
@options.site
@options.store
@options.media
@options.as_json
@options.verbose
def list_(site: Path, store: str | None, media: Path | None, as_json: bool) -> None:
    """List the boot programs: architecture, file, package, SHA-256, how many hosts boot by it.

    For shim and GRUB, 'sbat' is the generation of each: a firmware that has been told to ask for more refuses it.
    """
    from bootforge.serve.loaders import PROGRAMS, loaders_of

    found = loaders_of(store, media)
    try:
        generation = options.load(site)
    except BootforgeError as error:
        generation = None
        click.echo(f"who boots by what cannot be told: {error.message}", err=True)
    rows: list[dict[str, object]] = []
    for program in PROGRAMS.values():
        used = _places(program, found, generation)
        if (path := found.find(program.name)) or not used:
            used.setdefault(path, 0)
        rows += [_row(program, path, hosts if generation else None) for path, hosts in used.items()]
    if as_json:
        print_json(rows)
        return
    keys = ("name", "architecture", "file", "package", "sbat", "hosts", "sha256")
    print_table(keys, ([_cell(row[key]) for key in keys] for row in rows))


def _places(program: Program, loaders: Loaders, generation: Generation | None) -> dict[Path | None, int]:
    """The files that hosts get for a program, and how many get them; None for those that get none."""
    used: dict[Path | None, int] = {}
    for plan in generation.plans.values() if generation else ():
        if plan.domain or plan.state != "active" or plan.loader != program.loader:
            continue
        path = loaders.path(plan, program.name)
        if path or program.name in loaders.lacking(plan):
            used[path] = used.get(path, 0) + 1
    return used


def _row(program: Program, path: Path | None, hosts: int | None) -> dict[str, object]:
    from bootforge.media.library import digest
    from bootforge.serve.efi import sbat

    said = {"name": program.name, "architecture": program.architecture, "file": str(path) if path else None}
    if not path:
        return {**said, "package": None, "sbat": {}, "hosts": hosts, "sha256": None}
    generations = {name: number for name, number in sbat(path).items() if program.name.startswith(name)}
    return {**said, "package": _package(path), "sbat": generations, "hosts": hosts, "sha256": digest(path, "sha256")}


def _cell(value: object) -> object:
    if isinstance(value, dict):
        return ", ".join(f"{name} {number}" for name, number in value.items()) or "-"
    return "-" if value is None else value


def _package(path: Path) -> str | None:
    """The package and version that a file is of, as dpkg or rpm says."""
    if shutil.which("dpkg-query"):
        owner = _said("dpkg-query", "-S", str(path)).partition(":")[0]
        return _said("dpkg-query", "-W", "-f", "${Package} ${Version}", owner) or None if owner else None
    return _said("rpm", "-qf", "--qf", "%{NAME} %{VERSION}-%{RELEASE}", str(path)) or None


def _said(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


@loaders.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.argument("name", required=False)
@options.store
@options.as_json
@options.verbose
def add(file: Path, name: str | None, store: str | None, as_json: bool) -> None:
    """Take in a boot program as NAME (default: the name of FILE), in place of packages'.

    shim and GRUB are given to hosts whose own install tree has none; both must be there, from one distribution.
    """
    from bootforge.serve.efi import machine
    from bootforge.serve.loaders import PROGRAMS, loaders_of

    called = name or file.name.removesuffix(".signed")
    program = PROGRAMS.get(called)
    if not program:
        hint = did_you_mean(called, PROGRAMS) or f"write one of {', '.join(PROGRAMS)} behind the file"
        raise UsageError(f"no machine asks for a boot program {called!r}", hint)
    what = machine(file)
    if what != (program.architecture if "UEFI" in program.architecture else None):
        raise UsageError(
            f"{file} is {f'a program for {what}' if what else 'no program for UEFI'}",
            f"{called} is one for {program.architecture}",
        )
    place = loaders_of(store, None).added
    path = place / called
    try:
        place.mkdir(mode=0o755, parents=True, exist_ok=True)
        with file.open("rb") as source, tempfile.NamedTemporaryFile(dir=place, prefix=".", delete=False) as new:
            try:
                shutil.copyfileobj(source, new)
                new.flush()
                os.fchmod(new.fileno(), 0o644)
                os.fsync(new.fileno())
                os.replace(new.name, path)
            except BaseException:
                os.unlink(new.name)
                raise
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}", "run as the server's user") from None
    row = _row(program, path, None)
    if as_json:
        print_json(row)
    else:
        click.echo(f"{called}  {row['sha256']}")


@loaders.command()
@click.argument("names", nargs=-1, required=True, metavar="NAME...")
@options.store
@options.verbose
def remove(names: tuple[str, ...], store: str | None) -> None:
    """Remove boot programs that were added. Packages' and install trees' stay."""
    from bootforge.serve.loaders import PROGRAMS, loaders_of

    place = loaders_of(store, None).added
    there = [name for name in PROGRAMS if (place / name).is_file()]
    for name in names:
        if name not in there:
            raise NotFound(
                f"no {name!r} was added", did_you_mean(name, there) or f"added: {', '.join(there) or 'none'}"
            )
    for name in names:
        try:
            (place / name).unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(
                f"{place / name} cannot be removed: {error.strerror}", "run as the server's user"
            ) from None
        click.echo(name)
