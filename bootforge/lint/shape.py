"""Artifacts through the parsers that will read them: pykickstart of the host's own release, and ``sh -n``."""

from __future__ import annotations

import subprocess
import warnings
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

from bootforge.errors import Problem, RenderError, UsageError
from bootforge.generation import Generation
from bootforge.model import Artifact
from bootforge.releases import RELEASES


def lint_artifacts(generation: Generation, hosts: Collection[str]) -> Iterator[Problem]:
    """What the parsers say, at the host that the artifact is for; equal scripts are parsed once."""
    for name in hosts:
        try:
            artifacts = generation.artifacts(name)
        except RenderError as error:
            yield generation.origin_problem(name, (), "BF070", error.message, error.hint)
            continue
        handler = RELEASES[generation.plan(name).release].handler
        for kind, complaint in (
            ("kickstart", kickstart_complaint(artifacts["kickstart"], handler)),
            ("kickstart", script_complaint(_post(artifacts["kickstart"].text))),
            ("bootstrap", script_complaint(artifacts["bootstrap"].text)),
        ):
            if complaint:
                hint = f"'bootforge render {name} {kind}' prints it"
                yield generation.origin_problem(name, (), "BF071", f"{kind}: {complaint}", hint)


def kickstart_complaint(artifact: Artifact, handler: str) -> str:
    """What pykickstart says about a kickstart, '' when nothing; its warnings count as errors. Slots stay holes."""
    from pykickstart.errors import KickstartError
    from pykickstart.parser import KickstartParser
    from pykickstart.version import makeVersion

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            parser: Any = KickstartParser(makeVersion(handler), errorsAreFatal=True)
            parser.readKickstartFromString(artifact.text)
        except (KickstartError, Warning, ValueError) as error:
            return " ".join(str(error).split())
    return ""


@cache
def script_complaint(text: str) -> str:
    """What ``sh -n`` says about a script, '' when nothing. Raises UsageError when there is no sh."""
    try:
        done = subprocess.run(["sh", "-n"], input=text.encode(), capture_output=True, timeout=60)
    except OSError as error:
        raise UsageError(f"sh cannot be run: {error.strerror}", "check runs 'sh -n' on scripts") from None
    return " ".join(done.stderr.decode("utf-8", "replace").split()) if done.returncode else ""


def _post(kickstart: str) -> str:
    """The shell lines of every %post section."""
    lines: list[str] = []
    inside = False
    for line in kickstart.splitlines():
        if line.startswith("%"):
            inside = line.split()[0] == "%post"
        elif inside:
            lines.append(line)
    return "\n".join(lines) + "\n"
