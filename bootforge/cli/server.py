"""Verbs of the server and of permission to install: serve, arm, disarm, events."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bootforge.cli import options
from bootforge.cli.output import plain, print_json, print_table, when
from bootforge.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.render.dhcp import Mode
    from bootforge.store import EventRow

_SPAN = re.compile(r"([1-9][0-9]{0,5})([smhd])")
_FOLLOW = 1.0


class Span(click.ParamType[float]):
    """A length of time such as 90s, 30m, 2h or 1d, in seconds."""

    name = "span"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        match = _SPAN.fullmatch(str(value))
        if not match:
            self.fail(f"{value!r} is not a length of time; write 90s, 30m, 2h or 1d", param, ctx)
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[match[2]]


class Address(click.ParamType[str]):
    """An IP address, in its usual form."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from ipaddress import ip_address

        try:
            return str(ip_address(value))
        except ValueError:
            self.fail(f"{value!r} is not an IP address", param, ctx)


class Listener(click.ParamType[tuple[str, int]]):
    """A port of loopback, or an address and a port: 9467, 10.0.0.1:9467, [::1]:9467."""

    name = "listener"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        from ipaddress import ip_address

        host, _, port = str(value).rpartition(":")
        try:
            address = str(ip_address(host.removeprefix("[").removesuffix("]"))) if host else "127.0.0.1"
            if not port.isascii() or not port.isdecimal() or int(port) > 65535:
                raise ValueError
            return address, int(port)
        except ValueError:
            self.fail(f"{value!r} is neither a port nor an address and a port, such as 10.0.0.1:9467", param, ctx)


@click.command()
@options.site
@click.option(
    "--rev",
    default="worktree",
    show_default=True,
    metavar="REV",
    help="A branch of the site's repository: what it is committed to is served, and followed.",
)
@click.option("--bind", default="0.0.0.0", show_default=True, metavar="ADDRESS", help="Address to listen on.")
@click.option("--http-port", type=click.IntRange(0, 65535), default=80, show_default=True, help="0 picks a free one.")
@click.option("--tftp-port", type=click.IntRange(0, 65535), default=69, show_default=True, help="0 picks a free one.")
@click.option("--tftp-single-port", is_flag=True, help="Send files from the TFTP port, for firewalls in between.")
@options.store
@options.media
@click.option(
    "--nginx",
    type=Address(),
    metavar="ADDRESS",
    help="Behind an nginx that asks from ADDRESS: it names the clients, and sends media itself (docs/media.md).",
)
@click.option(
    "--dnsmasq",
    type=click.Choice(["full", "proxy"]),
    help="Answer DHCP too, by a dnsmasq that follows the site: addresses and boot answers, or boot answers alone beside"
    " the DHCP server that you have. Needs root or capabilities (docs/boot.md).",
)
@click.option(
    "--admin",
    type=Listener(),
    metavar="[ADDRESS:]PORT",
    help="Where operators ask for /metrics, /healthz and /readyz: a port of loopback, unless an address is given.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Lines for people, or one JSON object a line.",
)
@options.verbose
def serve(
    site: Path,
    rev: str,
    bind: str,
    http_port: int,
    tftp_port: int,
    tftp_single_port: bool,
    store: str | None,
    media: Path | None,
    nginx: str | None,
    dnsmasq: Mode | None,
    admin: tuple[str, int] | None,
    log_format: Literal["text", "json"],
) -> int:
    """Run the boot server for a site, in the foreground.

    Prints the URLs that it serves. The directory is served as it is, or with --rev the commit of a branch: nobody's
    half-saved file. A change of the site, or SIGHUP, reloads it; a broken site never replaces the last good one.
    SIGTERM ends it after transfers in flight.
    """
    from bootforge.serve.logs import configure
    from bootforge.serve.source import Source
    from bootforge.serve.supervisor import Options, serve
    from bootforge.state import default_store

    logging.getLogger("bootforge").setLevel(logging.INFO)
    configure(log_format)
    url = store or default_store()
    source = Source(site, None if rev == "worktree" else rev)
    asked = Options(source, url, bind, http_port, tftp_port, tftp_single_port, media, nginx, dnsmasq, admin)
    return serve(asked, click.echo)


@click.command()
@options.some_hosts
@click.option("--ttl", type=Span(), default="2h", show_default=True, help="How long they may begin to install.")
@click.option("--why", default="", metavar="TEXT", help="The reason, for the events.")
@click.option("--wipe", multiple=True, metavar="DISK", help="A disk that is wiped whatever is on it, or 'all'.")
@options.site
@options.store
@options.media
@options.as_json
@options.verbose
def arm(
    hosts: tuple[str, ...],
    ttl: float,
    why: str,
    wipe: tuple[str, ...],
    site: Path,
    store: str | None,
    media: Path | None,
    as_json: bool,
) -> None:
    """Permit HOSTS to be installed, once and for a while.

    Disks that are blank or the host's own will be wiped. Any other disk makes the installer refuse, unless --wipe
    names it, as the site does ('disks: {NAME: ...}'); repeat it for more.

    A host that is planned, held or retired is refused, and then none is armed; so is one whose loader, shim or
    pxelinux, the server does not have. Prints each kickstart's URL. It is a secret for as long as the permission
    lasts.
    """
    from bootforge.plan.cmdline import kickstart_path
    from bootforge.state import default_store, server_key

    generation = options.load(site)
    names = options.selected(generation, hosts)
    _refuse_others(generation, names)
    _check_wipe(wipe, {name: generation.host(name).spec.disks for name in names})
    _check_loaders(generation, names, store, media)
    key = server_key(store or default_store())
    with options.opened(store) as opened:
        grants = opened.arm(names, ttl=ttl, why=why, by=options.user(), tokens=key.token, wipe=wipe)
    rows: list[dict[str, Any]] = []
    for grant in grants:
        path = kickstart_path(grant.host, key.token(grant.id))
        url = f"{generation.plan(grant.host).server}{path}"
        rows.append({"host": grant.host, "expires": grant.expires, "path": path, "url": url, "wipe": grant.wiped})
    if as_json:
        print_json(rows)
    else:
        print_table(("host", "armed until", "kickstart"), ((r["host"], when(r["expires"]), r["url"]) for r in rows))


def _refuse_others(generation: Generation, names: Iterable[str]) -> None:
    """Only active hosts may be wiped. Raises UsageError that names the others, so that none of them all is armed."""
    others = [f"{name} is {plan.state}" for name in names if (plan := generation.plan(name)).state != "active"]
    if others:
        more = f", and {len(others) - 3} others are not active" if len(others) > 3 else ""
        hint = "leave it out, or say 'state: active' in the site; nothing was armed"
        raise UsageError(", ".join(others[:3]) + more, hint)


def _check_wipe(wipe: Iterable[str], disks: Mapping[str, Collection[str]]) -> None:
    """Every name is a disk of each host: a permission that fits nothing would be found out at the machine."""
    for disk in wipe:
        for host, known in disks.items():
            if disk != "all" and disk not in known:
                hint = did_you_mean(disk, known) or f"its disks: {', '.join(sorted(known))}"
                raise UsageError(f"--wipe: {host} has no disk {disk!r}", hint)


def _check_loaders(generation: Generation, names: Iterable[str], store: str | None, media: Path | None) -> None:
    """Raises UsageError when the firmware of one would be sent to a boot program that is not there."""
    plans = [plan for name in names if (plan := generation.plan(name)).loader != "ipxe"]
    if not plans:
        return
    from bootforge.serve.loaders import lacking_text, loaders_of

    loaders = loaders_of(store, media)
    for plan in plans:
        for name in loaders.lacking(plan):
            raise UsageError(f"{plan.host} boots by {plan.loader}, and there is no {name}", lacking_text(name))


@click.command()
@options.some_hosts
@options.site
@options.store
@options.as_json
@options.verbose
def disarm(hosts: tuple[str, ...], site: Path, store: str | None, as_json: bool) -> None:
    """Take the permission to install back from HOSTS, also in the middle of an install."""
    with options.opened(store) as opened:
        names = options.named(hosts, site, opened)
        ended = opened.disarm(names, by=options.user())
    if as_json:
        print_json(ended)
    else:
        click.echo("".join(f"{name}\n" for name in ended), nl=False)
        click.echo(f"{len(ended)} of {len(names)} hosts had a grant", err=True)


@click.command()
@click.argument("host", required=False, shell_complete=options.complete_hosts)
@click.option("--follow", is_flag=True, help="Go on printing, until interrupted.")
@options.site
@options.store
@options.as_json
@options.verbose
def events(host: str | None, follow: bool, site: Path, store: str | None, as_json: bool) -> None:
    """Show what happened: who armed, which machine asked for what, what was refused and why."""
    with options.opened(store) as opened:
        found = opened.events(host)
        _print_events(found, as_json)
        last = found[-1].id if found else 0
        while follow:
            time.sleep(_FOLLOW)
            found = opened.events(host, after=last)
            _print_events(found, as_json and bool(found))
            last = found[-1].id if found else last


def _print_events(found: Iterable[EventRow], as_json: bool) -> None:
    if as_json:
        print_json([plain(event) for event in found])
        return
    for event in found:
        times = f" ({event.count} times until {when(event.last)})" if event.count > 1 else ""
        words = (when(event.at), event.kind, event.host or event.mac or "-", event.address, event.detail)
        click.echo("  ".join(word for word in words if word) + times)
