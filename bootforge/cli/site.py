"""Verbs that read a site: init, check, hosts, show, explain; and schema, which describes one."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bootforge.cli import options
from bootforge.cli.output import busy, plain, print_json, print_problems, print_table
from bootforge.errors import Exit, NotFound, Problem, SiteError, UsageError, did_you_mean
from bootforge.model import Assertion, Trail, dotted

if TYPE_CHECKING:
    from bootforge.generation import Generation


@click.command()
@click.argument("directory", type=click.Path(path_type=Path), metavar="DIR")
@options.verbose
def init(directory: Path) -> None:
    """Write a small commented starter site to DIR.

    DIR must be empty or not exist. The site passes 'check'.
    """
    from bootforge.resources import shipped_texts

    try:
        if directory.exists() and any(directory.iterdir()):
            raise UsageError(f"{directory} is not empty", "choose a directory that is, or does not exist yet")
        for name, text in shipped_texts("templates").items():
            if name.startswith("init/"):
                path = directory / name.removeprefix("init/")
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UsageError(f"{directory} cannot be written: {error.strerror}") from None
    click.echo(f"{directory} is a site of two hosts. Read {directory}/site.yaml, then:", err=True)
    click.echo(f"  bootforge check --site {directory}", err=True)


@click.command()
@options.hosts
@options.site
@click.option("--format", "form", type=click.Choice(["text", "json", "github"]), default="text", help="How to print.")
@click.option("--exhaustive", is_flag=True, help="Render and parse every host, not one of those that are alike.")
@click.option("--no-cache", is_flag=True, help="Neither use nor keep what passed in earlier runs.")
@options.verbose
def check(hosts: tuple[str, ...], site: Path, form: str, exhaustive: bool, no_cache: bool) -> int:
    """Find every problem of a site before anything boots.

    Loads, resolves, plans and renders every host (or HOSTS: names, globs, class expressions); kickstarts go
    through pykickstart of their own release and rules of our own, scripts through 'sh -n'. Lines of the site without
    effect are warned of. Silent when all is well; -v adds notes, such as releases that have ended.

    What passed is remembered below XDG_CACHE_HOME (~/.cache), so that the next run parses only what is new.
    """
    from bootforge.lint import lint
    from bootforge.lint.passes import Passes, cache_directory

    problems: list[Problem]
    try:
        with busy(f"reading {site}"):
            generation = options.load(site)
        names = options.selected(generation, hosts)
        with busy(f"checking {len(names)} hosts"):
            passes = Passes(None if no_cache else cache_directory())
            problems = list(lint(generation, names, exhaustive=exhaustive, passes=passes))
    except SiteError as error:
        problems = list(error.problems)
    if form == "text" and not logging.getLogger().isEnabledFor(logging.DEBUG):
        problems = [problem for problem in problems if problem.severity != "note"]
    print_problems(problems, form, _sources(site, problems))
    errors, warnings, notes = (sum(p.severity == one for p in problems) for one in ("error", "warning", "note"))
    if problems and form == "text":
        click.echo(f"{errors} errors, {warnings} warnings" + (f", {notes} notes" if notes else ""), err=True)
    return Exit.USAGE if errors else Exit.OK


def _sources(site: Path, problems: list[Problem]) -> dict[str, list[str]]:
    """The lines of the files that have problems, to show them."""
    sources = {}
    for file in {problem.origin.file for problem in problems}:
        path = site / file
        if path.is_file() and not path.is_symlink():
            sources[file] = path.read_text(encoding="utf-8", errors="replace").splitlines()
    return sources


@click.command()
@options.hosts
@options.site
@options.as_json
@options.verbose
def hosts(hosts: tuple[str, ...], site: Path, as_json: bool) -> None:
    """List hosts with what was decided for them."""
    generation = options.load(site)
    rows = [_host_row(generation, name) for name in options.selected(generation, hosts)]
    if as_json:
        print_json(rows)
    else:
        header = ("name", "state", "profile", "release", "roles", "classes", "mac", "address")
        print_table(header, ([_cell(row[key]) for key in header] for row in rows))


def _cell(value: Any) -> str:
    return " ".join(value) if isinstance(value, list) else str(value if value is not None else "-")


def _host_row(generation: Generation, name: str) -> dict[str, Any]:
    host, plan = generation.host(name), generation.plan(name)
    nic = plan.install_nic
    return {
        "name": name,
        "profile": host.spec.profile,
        "release": host.release,
        "roles": list(host.spec.roles),
        "classes": sorted(host.classes),
        "mac": plan.boot_mac.text,
        "address": str(nic.address.ip) if nic.address else None,
        "virt": host.spec.virt,
        "hardware": host.spec.hardware,
        "state": host.spec.state,
        "aliases": [alias.text for alias in host.spec.aliases],
        "labels": dict(sorted(host.spec.labels.items())),
    }


@click.command()
@options.host
@click.option("--stage", type=click.Choice(["resolved", "plan", "artifacts"]), default="resolved", help="Which stage.")
@options.site
@options.as_json
@options.verbose
def show(host: str, stage: str, site: Path, as_json: bool) -> None:
    """Print what a stage made of HOST: its merged settings, its plan, or its artifacts. Secrets stay names."""
    generation = options.load(site)
    resolved = generation.host(host)
    value: Any
    if stage == "resolved":
        stated = {"facts": dict(resolved.facts), "classes": resolved.classes}
        decided = {"release": resolved.release, "arch": resolved.arch, "facts": {}}
        value = {"name": host, **decided, **plain(resolved.spec), **stated}
    elif stage == "plan":
        value = generation.plan(host)
    else:
        value = [
            {
                "name": one.name,
                "media_type": one.media_type,
                "digest": one.digest,
                "slots": [use.slot for use in one.slots],
            }
            for one in generation.artifacts(host).values()
        ]
    if as_json:
        print_json(plain(value))
    else:
        import yaml

        click.echo(yaml.safe_dump(plain(value), sort_keys=False, allow_unicode=True, width=110), nl=False)


@click.command()
@options.host
@click.argument("key", required=False)
@options.site
@options.as_json
@options.verbose
def explain(host: str, key: str | None, site: Path, as_json: bool) -> None:
    """Say which line gave HOST each value, and what it superseded.

    KEY limits it to one value, as in nics.lan.mac, or to what is below it, as in nics.
    """
    resolved = options.load(site).host(host)
    trails = {dotted(path): trail for path, trail in sorted(resolved.trails.items())}
    if key is not None:
        trails = {path: trail for path, trail in trails.items() if path == key or path.startswith(key + ".")}
        if not trails:
            known = {dotted(path[:length]) for path in resolved.trails for length in range(1, len(path) + 1)}
            raise NotFound(f"nothing says anything about {key!r} of {host}", did_you_mean(key, known))
    values = {dotted(path): said.value for path, said in resolved.merged.values.items()}
    if as_json:
        print_json({path: _explained(trail, values.get(path), path in values) for path, trail in trails.items()})
        return
    for path, trail in trails.items():
        for line in _explanation(path, trail, values.get(path), path in values):
            click.echo(line)


def _explained(trail: Trail, value: Any, holds: bool) -> dict[str, Any]:
    said = [
        {"value": plain(one.value), "op": one.op, "layer": one.layer, "file": one.origin.file, "line": one.origin.line}
        for one in trail
    ]
    return {"value": plain(value) if holds else None, "trail": said}


def _explanation(path: str, trail: Trail, value: Any, holds: bool) -> list[str]:
    """The winner first, then what it superseded, strongest first. An element of a set has no value of its own."""
    winner, *rest = reversed(trail)
    shown = _shown(value) if holds else "(removed)"
    lines = [f"{path}: {shown}    {winner.origin}  {winner.layer}"]
    for one in rest:
        what = {"set": _shown(one.value), "force": "(replaced)", "remove": "(removed)"}
        said = _shown(one.value) if one.value is not None else what[one.op]
        lines.append(f"    superseded: {said}    {one.origin}  {one.layer}")
    return lines


def _shown(value: Assertion | Any) -> str:
    return "[" + ", ".join(value) + "]" if isinstance(value, tuple) else str(value if value is not None else "{}")


@click.command()
@click.argument("kind", required=False, metavar="[KIND]")
@options.verbose
def schema(kind: str | None) -> None:
    """Print the JSON Schema (draft 2020-12) of a kind of file of a site, or of all kinds.

    KIND: site, rules, role, profile, layout, hardware, host, repos, arrays or lock.

    Editors with a YAML language server complete and check keys by it. It knows single files: what only the whole
    site can tell, check tells.
    """
    from bootforge.site.jsonschema import json_schema

    print_json(json_schema(kind))
