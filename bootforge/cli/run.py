"""The verb run: the bootstrap on hosts, now."""

from __future__ import annotations

import logging
import shutil
import signal
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootforge.cli import options
from bootforge.cli.output import busy, print_json, print_table
from bootforge.cli.server import Span
from bootforge.errors import BootforgeError, NotFound, UsageError, did_you_mean

if TYPE_CHECKING:
    from bootforge.apply.fleet import Amount, Fleet
    from bootforge.apply.outcome import Outcome
    from bootforge.apply.push import Request
    from bootforge.generation import Generation
    from bootforge.store import Store

_HEADER = ("host", "status", "changed", "would", "failed", "seconds", "what")


class Sizes(click.ParamType["tuple[Amount, ...]"]):
    """Numbers or percentages with commas between, as 1,5%,25%."""

    name = "sizes"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[Amount, ...]:
        from bootforge.apply.fleet import parse_amount

        try:
            sizes = tuple(parse_amount(word.strip()) for word in str(value).split(","))
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not all(size.number for size in sizes):
            self.fail("a batch has one host at least", param, ctx)
        return sizes


class Limit(click.ParamType["Amount"]):
    """A number or a percentage."""

    name = "limit"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Amount:
        from bootforge.apply.fleet import parse_amount

        try:
            return parse_amount(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.command()
@options.hosts
@click.option("--check", is_flag=True, help="Tell what would change, and change nothing.")
@click.option("--diff", is_flag=True, help="Show how files differ; not those that not everybody may read.")
@click.option("--only", multiple=True, metavar="STEP", help="This step or kind of steps; repeat it for more.")
@click.option("--jobs", type=click.IntRange(1, 256), default=20, show_default=True, metavar="N", help="Hosts at once.")
@click.option("--batch", type=Sizes(), metavar="N|N%,...", help="Batches one after the other; the last size holds on.")
@click.option(
    "--max-fail",
    type=Limit(),
    metavar="N|N%",
    help="With --batch: how many hosts may fail before no further batch begins; a percentage is of those begun."
    "  [default: 0]",
)
@click.option("--apply-network", is_flag=True, help="Bring nics up anew, and back if nobody answers then.")
@click.option("--take-over", is_flag=True, help="Change hosts, too, on which no run has ever succeeded.")
@click.option("--timeout", type=Span(), default="1h", show_default=True, help="How long a host is waited for.")
@click.option("--by-address", is_flag=True, help="Connect to the addresses of the site; keys are those of the names.")
@click.option("--local", is_flag=True, help="On this machine, without SSH.")
@options.site
@options.store
@options.as_json
@options.verbose
def run(
    hosts: tuple[str, ...],
    only: tuple[str, ...],
    jobs: int,
    batch: tuple[Amount, ...] | None,
    max_fail: Amount | None,
    site: Path,
    store: str | None,
    as_json: bool,
    **asked: Any,
) -> int:
    """Bring HOSTS (names, globs, class expressions) to what the site says, over your own ssh.

    A host on which no run has ever succeeded is only checked, unless --take-over is given. Planned and retired hosts
    are left out, held ones unless --check is given. An interrupt begins no more hosts and waits ten seconds for those
    at work; a second one does not wait. Hosts that were left go on by themselves. docs/run.md tells more.
    """
    from bootforge.apply.fleet import Fleet, batches_of, parse_amount
    from bootforge.apply.outcome import exit_of
    from bootforge.apply.push import Push, Request

    _check_options(hosts, batch, max_fail, asked)
    with busy("reading the site"):
        generation = options.load(site)
    request = Request(only=only, **asked)
    names = [_here(generation, hosts)] if request.local else _concerned(generation, hosts, request)
    names = _with_steps(generation, names, request)
    push = Push(generation, request)
    limit = max_fail or (parse_amount("0") if batch else None)
    fleet = Fleet(batches_of(names, batch or ()), push.attend, jobs, limit)
    with _keeping(store) as keep, _interruptible(fleet) as interrupted:
        outcomes = _follow(fleet, request, generation, len(names), keep)
    _show(outcomes, as_json, interrupted())
    return exit_of(outcomes, interrupted())


def _check_options(hosts: Sequence[str], batch: object, max_fail: object, asked: Mapping[str, Any]) -> None:
    """Raises UsageError for options that do not go together."""
    if asked["local"]:
        if len(hosts) > 1 or batch or asked["by_address"]:
            raise UsageError("--local is for one host, this machine", "leave out other hosts, --batch and --by-address")
    elif not hosts:
        raise UsageError("run takes HOSTS, or --local", "names, globs ('web*') or class expressions")
    elif not shutil.which("ssh"):
        raise UsageError("there is no ssh on this machine", "install OpenSSH's client, or run --local on the host")
    if max_fail and not batch:
        raise UsageError(
            "--max-fail needs --batch", "hosts that have begun are not stopped, so it has an effect between batches"
        )


def _here(generation: Generation, hosts: Sequence[str]) -> str:
    from bootforge.apply.local import this_host

    if hosts:
        return generation.host(hosts[0]).name.text
    return this_host(generation.hosts)


def _concerned(generation: Generation, words: Sequence[str], request: Request) -> list[str]:
    """The hosts that are there: active ones, and with --check held ones. One that was named by its name and is
    another is refused; those that a pattern found are left out, and counted."""
    concerned = ("active", "held") if request.check else ("active",)
    others: dict[str, list[str]] = {}
    names = []
    for name in options.selected(generation, words):
        state = generation.plan(name).state
        if state in concerned:
            names.append(name)
        elif name in words:
            more = ", or give --check" if state == "held" else ""
            raise UsageError(f"{name} is {state}", f"say 'state: active' in the site{more}; nothing was begun")
        else:
            others.setdefault(state, []).append(name)
    for state, left in others.items():
        click.echo(f"left out, because {state}: {', '.join(left[:5])}{', ...' if len(left) > 5 else ''}", err=True)
    if not names:
        raise NotFound("no host is left", "'bootforge hosts --json' shows states")
    return names


def _with_steps(generation: Generation, names: Sequence[str], request: Request) -> list[str]:
    """The hosts that have a step of --only. Raises NotFound when one of these is nobody's."""
    if not request.only:
        return [*names]
    plans = {name: generation.plan(name) for name in names}
    ids = {step.id for plan in plans.values() for step in plan.steps if "run" in step.phases}
    known = ids | {id.partition(":")[0] for id in ids}
    for word in request.only:
        if word not in known:
            raise NotFound(f"no host of these has a step {word!r}", did_you_mean(word, known))
    found = [name for name, plan in plans.items() if request.steps(plan)]
    if len(found) < len(names):
        click.echo(f"left out, because they have no such step: {len(names) - len(found)} hosts", err=True)
    return found


def _follow(
    fleet: Fleet, request: Request, generation: Generation, total: int, keep: Callable[[Outcome], None]
) -> list[Outcome]:
    from bootforge.apply.outcome import Outcome
    from bootforge.cli.progress import Live, Plain

    every = total == 1 or logging.getLogger().isEnabledFor(logging.DEBUG)
    display: Live | Plain = Plain(every)
    if sys.stderr.isatty() and not every:
        display = Live(total, lambda host: request.steps(generation.plan(host)))
    outcomes = []
    told = False
    with display, closing(fleet.run()) as events:
        for event in events:
            display.take(event)
            if isinstance(event, Outcome):
                outcomes.append(event)
                keep(event)
            if fleet.control.enough and len(outcomes) < total and not told:
                told = True
                display.say("no more hosts are begun; those at work have ten seconds, or none if interrupted again")
    return sorted(outcomes, key=lambda one: one.host)


def _show(outcomes: Sequence[Outcome], as_json: bool, interrupted: bool) -> None:
    from bootforge.cli import progress

    if as_json:
        print_json([progress.as_json(one) for one in outcomes])
        return
    for line in progress.differences(outcomes):
        click.echo(line)
    print_table(_HEADER, progress.summary(outcomes))
    if waiting := sum(_waits(one) for one in outcomes):
        click.echo(f"hosts that wait for --apply-network to bring nics up anew: {waiting}", err=True)
    if interrupted:
        counts = {word: sum(one.kind == word for one in outcomes) for word in ("left", "not begun")}
        done = len(outcomes) - sum(counts.values())
        text = f"interrupted: {done} ended, {counts['left']} go on by themselves, {counts['not begun']} were not begun"
        click.echo(text, err=True)


def _waits(outcome: Outcome) -> bool:
    return any(step.status == "skipped" and step.step == "handler:network" for step in outcome.report.steps)


@contextmanager
def _interruptible(fleet: Fleet) -> Iterator[Callable[[], bool]]:
    """SIGINT, SIGTERM and SIGHUP are told to the fleet, unless they are ignored; whether there was one. The handler
    only sets two values, which the threads look at."""
    heard = []

    def hear(number: int, frame: object) -> None:
        heard.append(number)
        fleet.control.interrupt()

    heeded = [one for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP) if signal.getsignal(one) != signal.SIG_IGN]
    before = {number: signal.signal(number, hear) for number in heeded}
    try:
        yield lambda: bool(heard)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _keeping(url: str | None) -> Iterator[Callable[[Outcome], None]]:
    """What puts reports into the store. A store that cannot be had is a warning: hosts are what matters."""
    with ExitStack() as stack:
        opened: Store | None = None
        try:
            opened = stack.enter_context(options.opened(url))
        except BootforgeError as error:
            _warn(error)

        def keep(outcome: Outcome) -> None:
            nonlocal opened
            if opened and outcome.raw:
                try:
                    opened.record_run(outcome.host, outcome.raw, options.user())
                except BootforgeError as error:
                    opened = None
                    _warn(error)

        yield keep


def _warn(error: BootforgeError) -> None:
    click.echo(f"warning: reports of this run are not kept: {error}", err=True)
