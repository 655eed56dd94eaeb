"""Verbs that look at a server as a machine does: simulate, doctor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bootforge.addr import Mac, parse_mac
from bootforge.cli import options
from bootforge.cli.output import busy, plain, print_json, print_table
from bootforge.errors import Exit, UsageError


class MacAddress(click.ParamType[Mac]):
    """A MAC address, in any of the usual forms."""

    name = "mac"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Mac:
        try:
            return parse_mac(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


tftp_port = click.option(
    "--tftp-port", type=click.IntRange(1, 65535), default=69, show_default=True, help="Where its TFTP is."
)


@click.command()
@click.option("--mac", type=MacAddress(), required=True, help="The machine's MAC address.")
@click.option(
    "--arch",
    type=int,
    required=True,
    metavar="N",
    help="What its firmware is (DHCP option 93): 0 BIOS, 7 or 9 x64 UEFI, 11 ARM64 UEFI.",
)
@click.option("--http", "by_http", is_flag=True, help="UEFI that boots by HTTP.")
@click.option("--network", metavar="NAME", help="Where a machine is that the site does not know.")
@click.option("--server", metavar="URL", help="The server to ask. Default: that of the machine's network.")
@tftp_port
@options.site
@options.store
@options.as_json
@options.verbose
def simulate(
    mac: Mac,
    arch: int,
    by_http: bool,
    network: str | None,
    server: str | None,
    tftp_port: int,
    site: Path,
    store: str | None,
    as_json: bool,
) -> int:
    """Ask a running server what a machine would ask, from DHCP to the installer's kernel.

    Prints each request, what was answered, its size, the SHA-256 of it and how long it took. What DHCP would say is
    taken from the site. A permission is looked at and not used up, nobody is recorded as discovered, and the kickstart
    is not fetched; so this needs the server's store, for the key beside it. A machine that is unknown or not armed is
    sent to its disk, which is no failure.
    """
    from bootforge.doctor.simulate import BY_HTTP
    from bootforge.doctor.simulate import simulate as steps_of
    from bootforge.plan.loader import ARCHITECTURES
    from bootforge.state import default_store, server_key

    if arch not in ARCHITECTURES or (by_http and arch not in BY_HTTP):
        known = sorted(BY_HTTP) if by_http else ARCHITECTURES
        raise UsageError(
            f"--arch: no firmware boots as {arch}{' by HTTP' if by_http else ''}",
            f"known: {', '.join(map(str, known))}",
        )
    generation = options.load(site)
    key = server_key(store or default_store())
    arch = BY_HTTP[arch] if by_http else arch
    steps = list(steps_of(generation, key, mac, arch, network, server, tftp_port))
    if as_json:
        print_json([plain(step) for step in steps])
    else:
        rows = [
            ("ok" if step.ok else "FAILED", step.step, step.request, step.answer,
             step.size if step.size >= 0 else "", step.digest[:16], f"{step.seconds * 1000:.1f}" if step.asked else "")
            for step in steps
        ]  # fmt: skip
        print_table(("", "step", "request", "answer", "bytes", "sha256", "ms"), rows)
    return int(Exit.OK if all(step.ok for step in steps) else Exit.REMOTE)


@click.command()
@click.option("--server", metavar="URL", help="The server to ask. Default: those of the site's networks.")
@tftp_port
@options.site
@options.store
@options.media
@options.as_json
@options.verbose
def doctor(server: str | None, tftp_port: int, site: Path, store: str | None, media: Path | None, as_json: bool) -> int:
    """Check this server as machines would find it, and say what to do.

    Run it on the server, as its user: whether the site is good, the store can be written and is closed to others, disks
    have room, the clock is right, DHCP is there, secrets can be had; whether HTTP and TFTP answer at each network's
    address, and whether the kernel and initrd of every active host are where its profile says. Exit code 5 when
    something fails; a warning is none.
    """
    from bootforge.doctor.checks import Asked, examine
    from bootforge.generation import build_generation
    from bootforge.state import default_media, default_store

    url = store or default_store()
    asked = Asked(url, media or default_media(url), server, tftp_port)
    with busy("asking"):
        found = list(examine(lambda: build_generation(site), asked))
    if as_json:
        print_json([plain(one) for one in found])
    else:
        print_table(("", "check", "what", "remedy"), ((one.verdict, one.check, one.what, one.remedy) for one in found))
    return int(Exit.REMOTE if any(one.verdict == "fail" for one in found) else Exit.OK)
