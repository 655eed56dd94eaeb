"""The verb that counts iSCSI sessions: budget."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootforge.cli import options
from bootforge.cli.output import print_json, print_problems, print_table
from bootforge.errors import Exit, NotFound, UsageError, did_you_mean

if TYPE_CHECKING:
    from bootforge.generation import Generation
    from bootforge.plan.budget import Line, Outcome
    from bootforge.plan.initiators import Permission

_CHANGE = re.compile(r"([^+=]+?)([+-])=([1-9][0-9]{0,5})")
_SHOWN = 2
"""How many of the heaviest hosts a line of the table names."""


@click.command()
@click.option(
    "--what-if",
    "changes",
    multiple=True,
    metavar="ROLE+=N",
    help="As if there were N hosts more of a role, or like a host; ROLE-=N: N fewer. May be given several times.",
)
@click.option("--initiators", is_flag=True, help="List who may have each volume, for the arrays' access control.")
@options.site
@options.as_json
@options.verbose
def budget(changes: tuple[str, ...], initiators: bool, site: Path, as_json: bool) -> int:
    """Count the iSCSI sessions at each array and pool against its limit.

    Every host that is not retired counts, with a session for each target over each of its ways. Exits with 2 if a limit
    is reached; with --what-if, if it would be.
    """
    from bootforge.lint.budget import budget_of, lint_budget
    from bootforge.plan.budget import what_if

    if changes and initiators:
        raise UsageError("--what-if and --initiators are two questions", "ask one of them")
    wanted = _changes(changes)
    generation = options.load(site)
    if initiators:
        return _print_initiators(generation, as_json)
    lines = budget_of(generation)
    if not changes:
        _print_lines(lines, as_json)
        problems = list(lint_budget(generation, lines))
        print_problems(problems)
        return Exit.USAGE if any(problem.severity == "error" for problem in problems) else Exit.OK
    for word in wanted:
        if word not in generation.site.roles and word not in generation.hosts:
            known = [*generation.site.roles, *generation.hosts]
            raise NotFound(f"no role or host {word!r}", did_you_mean(word, known))
    outcomes = what_if(lines, wanted)
    _print_outcomes(outcomes, wanted, as_json)
    for word in wanted:
        if not any(word in outcome.words for outcome in outcomes):
            click.echo(f"{word}: none of its hosts has a volume of an array", err=True)
    return Exit.USAGE if any(outcome.line.full(outcome.more) for outcome in outcomes) else Exit.OK


def _changes(texts: Sequence[str]) -> Mapping[str, int]:
    """How many hosts more, or fewer, of each word; what is said twice of one adds up. Raises UsageError."""
    counts: Counter[str] = Counter()
    for text in texts:
        match = _CHANGE.fullmatch(text)
        if match is None:
            raise UsageError(f"--what-if {text!r} is no change", "write ROLE+=N or ROLE-=N, as in db+=20")
        counts[match[1]] += int(match[2] + match[3])
    return counts


def _print_lines(lines: Sequence[Line], as_json: bool) -> None:
    if as_json:
        print_json([_line(line) for line in lines])
        return
    header = ("array", "pool", "sessions", "reserved", "limit", "used", "room for", "heaviest hosts")
    print_table(header, ([*_place(line), *_numbers(line), _room(line), _heaviest(line)] for line in lines))


def _place(line: Line) -> list[str]:
    return [line.array, line.pool or "(all)"]


def _numbers(line: Line, more: int = 0) -> list[str]:
    percent = line.percent(more)
    limit = [str(line.limit), f"{percent}%"] if line.limit else ["-", "-"]
    return [str(line.sessions + more), str(line.reserved), *limit]


def _headroom(line: Line) -> tuple[str, int | None] | None:
    """The heaviest role, and how many hosts more of it fit, each as heavy as its heaviest."""
    for role, shares in line.roles[:1]:
        return role, line.room(shares[0].sessions)
    return None


def _room(line: Line) -> str:
    found = _headroom(line)
    return f"{found[1]} of {found[0]}" if found and found[1] is not None else "-"


def _heaviest(line: Line) -> str:
    told = [f"{share.host} {share.sessions}" for share in line.shares[:_SHOWN]]
    more = len(line.shares) - len(told)
    return ", ".join([*told, *([f"{more} more"] if more else [])]) or "-"


def _line(line: Line) -> dict[str, Any]:
    headroom = _headroom(line)
    return {
        "array": line.array,
        "pool": line.pool,
        "sessions": line.sessions,
        "reserved": line.reserved,
        "limit": line.limit,
        "percent": line.percent(),
        "warn": line.warn,
        "headroom": {"role": headroom[0], "hosts": headroom[1]} if headroom else None,
        "roles": [
            {"name": role, "hosts": len(shares), "sessions": sum(share.sessions for share in shares)}
            for role, shares in line.roles
        ],
        "hosts": [{"name": share.host, "sessions": share.sessions} for share in line.shares],
    }


def _print_outcomes(outcomes: Sequence[Outcome], changes: Mapping[str, int], as_json: bool) -> None:
    """What would be: the places that the changes touch; ``fits`` and how many would at most."""
    if as_json:
        print_json(
            [
                {
                    **_line(outcome.line),
                    "what_if": {
                        "changes": {word: changes[word] for word in outcome.words},
                        "sessions": outcome.line.sessions + outcome.more,
                        "percent": outcome.line.percent(outcome.more),
                        "fits": not outcome.line.full(outcome.more),
                        "most": dict(outcome.most),
                    },
                }
                for outcome in outcomes
            ]
        )
        return
    header = ("array", "pool", "sessions", "reserved", "limit", "used", "was", "fits", "at most")
    rows = []
    for outcome in outcomes:
        line = outcome.line
        most = ", ".join(f"{word}+={count}" for word, count in outcome.most.items() if count is not None)
        was = f"{line.percent()}%" if line.limit else "-"
        fits = "no" if line.full(outcome.more) else "yes"
        rows.append([*_place(line), *_numbers(line, outcome.more), was, fits, most or "-"])
    print_table(header, rows)


def _print_initiators(generation: Generation, as_json: bool) -> int:
    """Prints who may have each volume; tells of every host that an array cannot know."""
    from bootforge.plan.initiators import permissions

    found = permissions(generation.plans.values())
    if as_json:
        print_json(
            [
                {
                    **asdict(one),
                    "initiators": [{**asdict(user), "addresses": dict(user.addresses)} for user in one.initiators],
                }
                for one in found
            ]
        )
    else:
        header = ("array", "pool", "wwid", "target", "lun", "host", "volume", "initiator", "addresses", "chap user")
        print_table(header, (row for one in found for row in _rows(one)))
    unknown = {user.host for one in found for user in one.initiators if user.initiator is None}
    for host in sorted(unknown):
        click.echo(f"{host}: no initiator name is known; 'bootforge lock' gives it one", err=True)
    return Exit.OK


def _rows(one: Permission) -> list[list[str]]:
    named = [one.array, one.pool or "-", one.wwid or "-", one.target or "-", str(one.lun or 0) if one.target else "-"]
    return [
        [
            *named,
            user.host,
            user.volume,
            user.initiator or "-",
            ",".join(address or f"({nic}: dhcp)" for nic, address in user.addresses),
            user.chap_user or "-",
        ]
        for user in one.initiators
    ]
