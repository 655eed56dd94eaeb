"""docs/server/Containerfile: what can be known of it without building it."""

from __future__ import annotations

import json
import re
import shlex

import click
import pytest

from bootforge.cli import cli
from bootforge.serve.admin import ROUTES
from tests.support import ROOT

FILE = ROOT / "docs" / "server" / "Containerfile"
KNOWN = ["FROM", "RUN", "COPY", "ENV", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD"]
_HEALTH = re.compile(r"--interval=\d+s --timeout=\d+s --start-period=\d+s CMD (\[.*\])")


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction and its arguments, lines that go on joined."""
    joined = re.sub(r"\\\n\s*", "", "\n".join(line for line in text.splitlines() if not line.startswith("#")))
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in joined.splitlines() if line)]


def violations(text: str) -> list[str]:
    found = instructions(text)
    wrong = [f"{word} is no instruction" for word, _ in found if word not in KNOWN]
    last = max(at for at, (word, _) in enumerate(found) if word == "FROM")
    for word, rest in found:
        words = shlex.split(rest)
        if word == "FROM" and (not re.fullmatch(r"debian:[a-z]+-slim", words[0])):
            wrong.append(f"{rest}: not Debian's slim image by its release")
        if word == "COPY" and not words[0].startswith("--from="):
            wrong += [f"{source} is not there" for source in words[:-1] if not (ROOT / source).exists()]
        if word == "RUN":
            wrong += [f"RUN fetches: {rest}" for tool in ("curl", "wget", "sudo", "ADD ") if tool in rest]
    users = [rest for word, rest in found[last:] if word == "USER"]
    if not users or users[-1] in ("root", "0"):
        wrong.append("it runs as root")
    health = [_HEALTH.fullmatch(rest) for word, rest in found if word == "HEALTHCHECK"]
    urls = [re.search(r"http://127\.0\.0\.1:(\d+)(/\w+)", one[1]) for one in health if one]
    commands = {word: json.loads(rest) for word, rest in found if word in ("ENTRYPOINT", "CMD")}
    ports = [commands["CMD"][commands["CMD"].index("--admin") + 1]] if "--admin" in commands.get("CMD", ()) else []
    if [(one[1], one[2] in ROUTES) for one in urls if one] != [(port, True) for port in ports] or not ports:
        wrong.append("its health is asked for where nobody answers")
    if commands.get("ENTRYPOINT") != ["bootforge"]:
        wrong.append("it is not the command")
    return wrong


def test_the_containerfile_is_one() -> None:
    text = FILE.read_text()
    assert violations(text) == []
    arguments = json.loads(dict(instructions(text))["CMD"])
    command = cli.get_command(click.Context(cli), arguments[0])
    assert command and command.make_context("serve", arguments[1:], resilient_parsing=False)


@pytest.mark.parametrize(
    "old,new",
    [
        ("USER bootforge\n", ""),
        ("USER bootforge", "USER root"),
        ("/healthz", "/health"),
        ('"--admin", "9467"', '"--admin", "9468"'),
        ("COPY bootforge", "COPY bootfarge"),
        ("FROM debian:bookworm-slim\n", "FROM debian:latest\n"),
        ("STOPSIGNAL", "STOP"),
    ],
)
def test_a_planted_fault_is_found(old: str, new: str) -> None:
    text = FILE.read_text()
    assert old in text and violations(text.replace(old, new))
