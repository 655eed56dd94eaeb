"""Verbs about machines that asked and are in no site: discovered, adopt."""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bootforge.cli import options
from bootforge.cli.output import plain, print_json, print_table, when
from bootforge.errors import NotFound, UsageError

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.site.schema_network import NicSpec
    from bootforge.store import EventRow

_ADOPTED = "hosts/adopted.yaml"
_SAID = re.compile(r"(?:uuid=(\S*))? ?(?:serial=(.*))?.*", re.S)
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
_SERIAL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{2,63}")
_NO_SERIALS = ("none", "default", "not", "system", "empty", "unknown", "0123456789")
"""How what firmware says begins when nobody has set its serial number."""


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine that no site knows: when it asked, from where last, and what it said of itself, which may be a lie."""

    mac: str
    first: float
    last: float
    times: int
    address: str
    uuid: str
    serial: str


@click.command()
@options.site
@options.store
@options.as_json
@options.verbose
def discovered(site: Path, store: str | None, as_json: bool) -> None:
    """List machines that asked for a boot script and are in no site, the last that asked at the end.

    What they say of themselves is not checked. 'bootforge adopt' makes a host of one.
    """
    known = options.load(site).by_mac
    found = [machine for machine in _machines(store) if machine.mac not in known]
    if as_json:
        print_json([plain(machine) for machine in found])
        return
    header = ("mac", "first", "last", "times", "address", "serial", "uuid")
    print_table(header, ((m.mac, when(m.first), when(m.last), m.times, m.address, m.serial, m.uuid) for m in found))


@click.command()
@click.argument("mac")
@click.option("--as", "name", required=True, metavar="NAME", help="The host's name, from which the rest follows.")
@click.option("--nic", metavar="NIC", help="Which of its nics asked, where its role has several.")
@click.option("--address", metavar="ADDRESS", help="The address of that nic.")
@click.option(
    "--mac", "macs", multiple=True, metavar="NIC=MAC", help="The MAC address of another nic; may be repeated."
)
@options.site
@options.store
@options.verbose
def adopt(
    mac: str,
    name: str,
    nic: str | None,
    address: str | None,
    macs: tuple[str, ...],
    site: Path,
    store: str | None,
) -> None:
    """Make a host of a machine that asked: MAC is one of those that 'bootforge discovered' lists.

    Appends the host to hosts/adopted.yaml, with its MAC address and serial number, and prints what was written. The
    site must be right with it, else nothing is written. It is not armed.
    """
    from bootforge.addr import parse_mac
    from bootforge.cli.artifacts import write_file

    try:
        asked = parse_mac(mac).text
    except ValueError as error:
        raise UsageError(str(error), "write it as 00:14:4f:12:34:50") from None
    machines = {machine.mac: machine for machine in _machines(store)}
    generation = options.load(site)
    if asked in generation.by_mac:
        raise UsageError(
            f"{asked} is {generation.by_mac[asked]} already", "'bootforge explain' says where that is written"
        )
    if asked not in machines:
        raise NotFound(f"{asked} has not asked", "'bootforge discovered' lists those that have")
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is not the name of one host", "write it in full, as web09.prod.den.example.com")
    if name in generation.hosts:
        raise UsageError(f"{name} is in the site already", f"write 'mac: {asked}' at its nic")
    text = generation.site.files.get(_ADOPTED, b"").decode()
    text += "" if text.endswith("\n") or not text else "\n"
    others = dict(word.partition("=")[::2] for word in macs)
    chosen = nic or _boot_nic(_nics(generation, text, name), others)
    nics = {chosen: {"mac": asked, **({"address": address} if address else {})}}
    nics |= {other: {"mac": value} for other, value in others.items()}
    said = _proposal(machines[asked].serial, name, nics)
    _check(generation, text + said)
    (site / _ADOPTED).parent.mkdir(exist_ok=True)
    write_file(site / _ADOPTED, (text + said).encode())
    click.echo(said, nl=False)
    click.echo(f"written to {_ADOPTED}; look at it with 'bootforge explain {name}', and commit it", err=True)


def _machines(store: str | None) -> Sequence[Machine]:
    """Every machine that was recorded, the one that asked last at the end."""
    with options.opened(store) as opened:
        events = opened.events(kind="discovered", limit=100_000)
    found: dict[str, list[EventRow]] = {}
    for event in events:
        found.setdefault(event.mac, []).append(event)
    return sorted((_machine(mac, rows) for mac, rows in found.items()), key=lambda machine: machine.last)


def _machine(mac: str, events: Sequence[EventRow]) -> Machine:
    newest = max(events, key=lambda event: event.last)
    uuid, serial = _SAID.fullmatch(newest.detail).groups("")  # type: ignore[union-attr] # it matches everything
    first, times = min(event.at for event in events), sum(event.count for event in events)
    return Machine(mac, first, newest.last, times, newest.address, uuid, serial.strip())


def _nics(generation: Generation, text: str, name: str) -> Mapping[str, NicSpec]:
    """The nics that a host of that name would have. Raises SiteError."""
    from bootforge.resolve import Resolver
    from bootforge.site.load import load_site

    with _with(generation, f"{text}{name}: {{}}\n") as root:
        return Resolver(load_site(root)).resolve(name).spec.nics


def _boot_nic(nics: Mapping[str, NicSpec], others: Collection[str]) -> str:
    """The nic that asked: the one that boots, or the only one whose MAC address nobody says."""
    free = {key: nic for key, nic in nics.items() if nic.kind == "physical" and nic.mac is None and key not in others}
    booting = [key for key, nic in free.items() if nic.boot] or [*free]
    if len(booting) == 1:
        return booting[0]
    if booting:
        raise UsageError(f"which of its nics asked: {', '.join(booting)}?", "write --nic, and --mac for the others")
    raise UsageError("no nic of it lacks a MAC address", "give its role 'nics:', or write --nic")


def _proposal(serial: str, name: str, nics: Mapping[str, Mapping[str, str]]) -> str:
    """The host's lines. The serial number gets there if it can be one: whoever asked could say anything."""
    good = _SERIAL.fullmatch(serial) and not serial.lower().startswith(_NO_SERIALS) and len(set(serial)) > 1
    lines = [f"# Adopted {datetime.now(UTC):%Y-%m-%d} by {json.dumps(options.user())[1:-1]}.", f"{name}:"]
    lines += [f"  serial: {json.dumps(serial)}"] if good else []
    return "\n".join([*lines, f"  nics: {json.dumps(nics)}"]) + "\n"


def _check(generation: Generation, text: str) -> None:
    """The site with the new text is right. Raises SiteError."""
    from bootforge.generation import build_generation

    with _with(generation, text) as root:
        build_generation(root)


@contextmanager
def _with(generation: Generation, text: str) -> Iterator[Path]:
    """The site with that text for its adopted hosts, in a directory that is gone afterwards."""
    from bootforge.site.files import write_files

    with tempfile.TemporaryDirectory(prefix="bootforge-adopt-") as directory:
        write_files(Path(directory), {**generation.site.files, _ADOPTED: text.encode()})
        yield Path(directory)
