"""Every verb of the command line, those of groups by both of their words."""

from __future__ import annotations

import click

from bootforge.cli import VERBS, cli


def commands() -> dict[str, click.Command]:
    found: dict[str, click.Command] = {}
    for word in VERBS:
        command = cli.get_command(click.Context(cli), word)
        assert command is not None
        if isinstance(command, click.Group):
            found |= {f"{word} {name}": inner for name, inner in command.commands.items()}
        else:
            found[word] = command
    return found
