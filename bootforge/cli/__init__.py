"""The command line. It parses, calls one function, prints and exits; nothing below it prints or exits."""

from __future__ import annotations

import errno
import os
import sys
from typing import Any

import click

from bootforge import __version__
from bootforge.errors import BootforgeError, Exit, SiteError

VERBS = {
    "init": "site:init",
    "check": "site:check",
    "hosts": "site:hosts",
    "show": "site:show",
    "explain": "site:explain",
    "lock": "lock:lock",
    "budget": "budget:budget",
    "render": "artifacts:render",
    "diff": "diff:diff",
    "dhcp": "artifacts:dhcp",
    "domain": "artifacts:domain",
    "serve": "server:serve",
    "arm": "server:arm",
    "disarm": "server:disarm",
    "status": "status:status",
    "events": "server:events",
    "log": "log:log",
    "discovered": "adopt:discovered",
    "adopt": "adopt:adopt",
    "run": "run:run",
    "media": "media:media",
    "loaders": "loaders:loaders",
    "repo": "repo:repo",
    "doctor": "doctor:doctor",
    "simulate": "doctor:simulate",
    "schema": "site:schema",
}
"""Each verb and where it is: a verb's module is imported when the verb is called."""

SUMMARIES = {
    "init": "Write a small commented starter site.",
    "check": "Find every problem of a site before anything boots.",
    "hosts": "List hosts with what was decided for them.",
    "show": "Print what a stage made of a host.",
    "explain": "Say which line gave a host each value, and what it superseded.",
    "lock": "Give hosts identities that outlive their names.",
    "budget": "Count iSCSI sessions at arrays against their limits.",
    "render": "Print one artifact of a host, or write those of all hosts.",
    "diff": "Show what a change of the site does to its hosts.",
    "dhcp": "Print the DHCP configuration of the fleet.",
    "domain": "Print the definition of a virtual machine.",
    "serve": "Run the boot server.",
    "arm": "Permit hosts to be installed, once and for a while.",
    "disarm": "Take that permission back.",
    "status": "Show how installs are going.",
    "events": "Show what happened.",
    "log": "Print what a host reported.",
    "discovered": "List machines that asked and are in no site.",
    "adopt": "Make a host of one.",
    "run": "Bring hosts to what the site says, over ssh.",
    "media": "Keep install trees: add, list, verify, remove.",
    "loaders": "Look after network boot programs: list, add, remove.",
    "repo": "Look after repositories: probe.",
    "doctor": "Check a server as machines would find it.",
    "simulate": "Ask a running server what a machine would ask.",
    "schema": "Print the JSON Schema of a site's files, for editors.",
}


class Verbs(click.Group):
    """A group that knows its verbs' names and summaries without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        from importlib import import_module

        module, _, function = VERBS[cmd_name].partition(":")
        command = getattr(import_module(f"bootforge.cli.{module}"), function)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(SUMMARIES.items()))


@click.group(cls=Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="bootforge")
def cli() -> None:
    """One site directory in, every machine right before its first boot and right ever after.

    Exit codes: 0 ok, 1 differs, 2 usage or invalid site, 3 not found, 4 render failure, 5 remote or step failure,
    70 crash, 75 locked, 130 interrupted.
    """


def main(args: list[str] | None = None) -> None:
    """Runs a verb and exits. Everything that can go wrong is told on standard error with its remedy."""
    status: Any = Exit.CRASH
    output = sys.stdout
    try:
        status = cli.main(args, prog_name="bootforge", standalone_mode=False) or Exit.OK
        sys.stdout.flush()
    except click.exceptions.Abort:
        status = Exit.INTERRUPTED
    except click.ClickException as error:
        error.show()
        status = Exit.USAGE
    except SiteError as error:
        from bootforge.cli.output import print_problems

        print_problems(error.problems)
        status = error.exit
    except BootforgeError as error:
        click.echo(f"bootforge: {error.message}", err=True)
        if error.hint:
            click.echo(f"  {error.hint}", err=True)
        status = error.exit
    except KeyboardInterrupt:
        status = Exit.INTERRUPTED
    except SystemExit as stop:
        # click and rich end a broken pipe with 1, which would say that something differs: whoever read had enough.
        # rich exits while it handles the error; click only after it has wrapped the output.
        broken = sys.stdout is not output or isinstance(stop.__context__, BrokenPipeError)
        status = _drop_output() if broken else stop.code or Exit.OK
    except BrokenPipeError:
        status = _drop_output()
    except Exception as error:
        status = Exit.CRASH
        if isinstance(error, OSError) and error.errno in _FULL and error.filename is None:
            click.echo(f"bootforge: the output cannot be written: {error.strerror}", err=True)
            _drop_output()
        else:
            _print_crash()
    sys.exit(int(status))


_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)


def _drop_output() -> Exit:
    """Lets the interpreter end without writing what is left to an output that takes no more."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return Exit.OK


def _print_crash() -> None:
    import traceback

    traceback.print_exc()
    click.echo("bootforge: this is a defect of Bootforge; please report it with the lines above", err=True)
