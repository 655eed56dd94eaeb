"""Artifacts through the parsers that will read them: pykickstart of the host's own release, our own rules for what
it lets through, and ``sh -n``. What was rendered is looked at once for each shape, not for each host."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Collection, Iterator
from copy import deepcopy
from dataclasses import replace
from functools import cache
from typing import Any

from bootforge.errors import Problem, RenderError, UsageError
from bootforge.generation import Generation
from bootforge.lint.kickstart import complaints
from bootforge.lint.passes import Passes
from bootforge.plan.digest import plan_shape
from bootforge.releases import RELEASES
from bootforge.render.kickstart import expanded

_SCRIPTS = ("%pre", "%pre-install", "%post", "%onerror", "%traceback")


def lint_artifacts(
    generation: Generation, hosts: Collection[str], passes: Passes, *, exhaustive: bool = False
) -> Iterator[Problem]:
    """What the parsers and our own rules say, at the host that the artifact is for.

    Hosts of one shape differ in names and addresses only, so the first of them speaks for all, unless
    ``exhaustive``. A shape that passed before is not looked at again.
    """
    shapes: dict[str, list[str]] = {}
    for name in hosts:
        shapes.setdefault(name if exhaustive else plan_shape(generation.plan(name)), []).append(name)
    for alike in shapes.values():
        key = b"" if exhaustive else passes.key(generation, alike[0])
        if key in passes:
            continue
        more = f" (and {len(alike) - 1} hosts like it)" if len(alike) > 1 else ""
        problems = [*_lint_host(generation, alike[0])]
        if key and not problems:
            passes.add(key)
        for problem in problems:
            yield replace(problem, message=problem.message + more)
    passes.save()


def _lint_host(generation: Generation, name: str) -> Iterator[Problem]:
    try:
        artifacts = generation.artifacts(name)
    except RenderError as error:
        yield generation.origin_problem(name, (), "BF070", error.message, error.hint)
        return
    plan = generation.plan(name)
    release, kickstart = RELEASES[plan.release], artifacts["kickstart"].text
    found = []
    for text in expanded(plan, kickstart):
        found += [("BF071", "kickstart", kickstart_complaint(text, release.handler))]
        found += [("BF072", "kickstart", complaint) for complaint in complaints(text, release)]
    found += [("BF071", "kickstart", script_complaint(script)) for script in sections(kickstart, *_SCRIPTS)]
    found += [("BF071", "bootstrap", script_complaint(artifacts["bootstrap"].text))]
    for code, kind, complaint in dict.fromkeys(found):
        if complaint:
            hint = f"'bootforge render {name} {kind}' prints it"
            yield generation.origin_problem(name, (), code, f"{kind}: {complaint}", hint)


def kickstart_complaint(kickstart: str, handler: str) -> str:
    """What pykickstart says about a kickstart, '' when nothing; its warnings count as errors. Slots stay holes."""
    from pykickstart.errors import KickstartError
    from pykickstart.parser import KickstartParser

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # The boot partitions of a mirror's third disk and of further ones: none of them is mounted.
        warnings.filterwarnings("ignore", "A partition with the mountpoint None")
        try:
            parser: Any = KickstartParser(deepcopy(_handler(handler)), followIncludes=False)
            parser.readKickstartFromString(kickstart)
        except (KickstartError, Warning, ValueError) as error:
            return " ".join(str(error).split())
    return ""


@cache
def _handler(name: str) -> Any:
    """pykickstart's grammar of a release, as new: parsers fill copies, which take half the time of making it."""
    from pykickstart.version import makeVersion

    return makeVersion(name)


@cache
def script_complaint(text: str) -> str:
    """What ``sh -n`` says about a script, '' when nothing. Raises UsageError when there is no sh."""
    try:
        done = subprocess.run(["sh", "-n"], input=text.encode(), capture_output=True, timeout=60)
    except OSError as error:
        raise UsageError(f"sh cannot be run: {error.strerror}", "check runs 'sh -n' on scripts") from None
    return " ".join(done.stderr.decode("utf-8", "replace").split()) if done.returncode else ""


def sections(kickstart: str, *kinds: str) -> list[str]:
    """The lines of every section of these kinds, as in ``%post``, without the lines that begin and end it."""
    found: list[list[str]] = []
    inside = False
    for line in kickstart.splitlines(keepends=True):
        if line.startswith("%"):
            inside = line.split()[0] in kinds
            found += [[]] if inside else []
        elif inside:
            found[-1].append(line)
    return ["".join(lines) for lines in found]
