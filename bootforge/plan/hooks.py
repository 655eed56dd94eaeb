"""What the bootstrap runs for the site: handlers that a change owes, commands by name, and scripts of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bootforge.errors import did_you_mean
from bootforge.model import Path
from bootforge.model_steps import ALWAYS, Command, Step
from bootforge.plan.faults import Fault
from bootforge.plan.shared import shared
from bootforge.plan.texts import read_text
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

_LONGEST_HOOK = 65536
"""Bytes; the script is one argument of sh, and Linux takes 128 KiB in one (execve(2), MAX_ARG_STRLEN)."""


def owed(host: ResolvedHost, notify: Iterable[str], path: Path, faults: list[Fault]) -> tuple[str, ...]:
    """The handlers of a notify, as steps name them; what the host cannot run is a fault. ``path`` is that of the
    notify, whose elements are as they were written."""
    release = RELEASES[host.release]
    handlers = tuple(notify)
    for handler in handlers:
        kind, _, name = handler.partition(":")
        at = (*path, handler.replace(":", " ", 1))
        if kind == "run" and name not in host.spec.commands:
            hint = did_you_mean(name, host.spec.commands) or "declare it under 'commands:'"
            faults.append(Fault(at, "BF112", f"no command '{name}'", hint))
        elif kind == "daemon-reload" and not release.systemd:
            faults.append(Fault(at, "BF112", f"{release.name} has no systemd to reload", "remove it by a rule"))
        elif "." in name and kind != "run" and not release.systemd:
            hint = "write the name of a script in /etc/init.d"
            faults.append(Fault(at, "BF112", f"{release.name} has no units such as {name}", hint))
    return handlers


def plan_commands(host: ResolvedHost, faults: list[Fault]) -> tuple[Command, ...]:
    """What ``run NAME`` runs, sorted by name."""
    for name, words in host.spec.commands.items():
        if not words:
            faults.append(
                Fault(("commands", name), "BF112", f"command '{name}' has no program", "write [PROGRAM, ...]")
            )
    commands = host.spec.commands
    return shared(
        host, ("commands", commands), faults, lambda: tuple(Command(*one) for one in sorted(commands.items()))
    )


def plan_hooks(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """The site's own scripts, by name, after everything else."""
    return shared(host, ("hooks", host.spec.hooks), faults, lambda: tuple(_hooks(site, host, faults)))


def _hooks(site: Site, host: ResolvedHost, faults: list[Fault]) -> Iterator[Step]:
    for name, hook in sorted(host.spec.hooks.items()):
        path = ("hooks", name, "source")
        text = read_text(site, hook.source, path, "BF116", faults)
        if text is not None and not text.strip():
            faults.append(Fault(path, "BF116", f"{hook.source} is empty", "write a script that answers to 'check'"))
        if len((text or "").encode()) > _LONGEST_HOOK:
            hint = "let it call a program that a package brings"
            faults.append(Fault(path, "BF116", f"{hook.source} is longer than {_LONGEST_HOOK} bytes", hint))
        if not hook.phases:
            faults.append(
                Fault(("hooks", name), "BF116", f"hook '{name}' has no phase", "name one, or remove the hook")
            )
        phases = tuple(phase for phase in ALWAYS if phase in hook.phases)
        yield Step(f"hooks:{name}", "hook", (name,), ("hooks", name), phases, content=text or "")
