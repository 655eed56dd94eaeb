"""The verb that gives hosts identities: lock."""

from __future__ import annotations

from pathlib import Path

import click

from bootforge.cli import options
from bootforge.cli.output import print_json
from bootforge.errors import Exit, Problem, SiteError
from bootforge.model import dotted


@click.command()
@options.hosts
@click.option("--check", is_flag=True, help="Write nothing; exit 1 if something is missing.")
@options.site
@options.as_json
@options.verbose
def lock(hosts: tuple[str, ...], check: bool, site: Path, as_json: bool) -> int:
    """Give hosts identities that outlive their names, in lock.yaml.

    Every host (or HOSTS: names, globs, class expressions) gets an id and an iSCSI initiator name; a guest also MAC
    addresses and a UUID. What is written stays as it is. Prints what was missing. A retired host gets nothing.
    """
    from bootforge.classes import possible_classes, rule_problems
    from bootforge.cli.artifacts import write_file
    from bootforge.generation import once, shared_problems
    from bootforge.plan.identity import additions, clashes, lock_text
    from bootforge.resolve import Resolver
    from bootforge.select import select_hosts
    from bootforge.site.load import load_site

    loaded = load_site(site)
    problems: list[Problem] = rule_problems(loaded)
    resolver, resolved = Resolver(loaded), {}
    for name in loaded.hosts:
        try:
            resolved[name] = resolver.resolve(name)
        except SiteError as error:
            problems += error.problems
    problems += shared_problems(clashes(resolved.values()), resolved)
    if problems:
        raise SiteError(once(problems, loaded.ranged))
    classes = {name: host.classes for name, host in resolved.items()}
    added = additions(loaded, resolved, select_hosts(hosts, classes, possible_classes(loaded)))
    rows = {name: {dotted(path): value for path, value in more.items()} for name, more in added.items()}
    if as_json:
        print_json([{"host": name, "missing": more} for name, more in rows.items()])
    else:
        click.echo("".join(f"{name} {key} {value}\n" for name, m in rows.items() for key, value in m.items()), nl=False)
    if not added:
        click.echo("lock.yaml: unchanged", err=True)
        return Exit.OK
    values = sum(map(len, added.values()))
    if check:
        click.echo(f"lock.yaml lacks {values} values of {len(added)} hosts; 'bootforge lock' writes them", err=True)
        return Exit.DIFFERS
    write_file(site / "lock.yaml", lock_text(loaded, added).encode())
    click.echo(f"lock.yaml: {values} values of {len(added)} hosts written", err=True)
    return Exit.OK
