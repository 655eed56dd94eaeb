"""How hosts are reached: by the user's own ssh and its configuration; and what ssh says when they are not."""

from __future__ import annotations

import re
import shlex
from functools import cache

from bootforge.resources import shipped_texts

_OPTIONS = (
    *("-T", "-a", "-x"),
    *("-o", "BatchMode=yes"),
    *("-o", "ClearAllForwardings=yes"),
    *("-o", "ControlMaster=no"),
    *("-o", "ServerAliveInterval=15"),
    *("-o", "ServerAliveCountMax=8"),
)
"""Nothing is asked, and nothing forwarded to the host: neither terminal, agent, display nor port. A connection that is
shared already is used and none is left behind. A host that is silent for two minutes, below its script, is gone."""

_AS_ROOT = 'if [ "$(id -u)" = 0 ]; then exec sh -c "$0" bootforge; fi; exec sudo -n sh -c "$0" bootforge'

_REASONS = (
    ("host-key-changed", "IDENTIFICATION HAS CHANGED", "its host key has changed"),
    (
        "host-key-unknown",
        "Host key verification failed",
        "its host key is not known: 'ssh {host}' once, or ssh-keyscan",
    ),
    ("host-key-unknown", "host key is known for", "its host key is not known: 'ssh {host}' once, or ssh-keyscan"),
    ("auth", "Permission denied (", "it refused the login"),
    ("auth", "Too many authentication failures", "it refused the login"),
    ("name", "Could not resolve hostname", "its name does not resolve"),
    ("refused", "Connection refused", "it refused the connection"),
    ("timeout", "Connection timed out", "it does not answer"),
    ("timeout", "Operation timed out", "it does not answer"),
    ("route", "No route to host", "there is no route to it"),
    ("route", "Network is unreachable", "there is no route to it"),
    ("closed", "Connection closed by", "it closed the connection"),
    ("closed", "Connection reset by", "it closed the connection"),
    ("closed", "kex_exchange_identification", "it closed the connection"),
    ("timeout", "Timeout, server", "it does not answer any more"),
)
"""A word for scripts, what ssh's own lines have in them (OpenSSH: sshconnect.c, sshconnect2.c, clientloop.c), and what
that means. The first that fits counts: ssh tells of a changed key before it says that verification failed."""

_SUDO = re.compile(
    r"^(?:sudo: .*|.*: sudo: .*not found.*|.*is not (?:in the sudoers file|allowed to ).*)$", re.MULTILINE
)


@cache
def receiver() -> tuple[str, ...]:
    """The program that receives a bootstrap, and its arguments, as one argument each."""
    lines = shipped_texts("templates")["run/receive.sh"].splitlines()
    code = " ".join(line.strip() for line in lines if not line.startswith("#"))
    return "sh", "-c", _AS_ROOT, code


def ssh_command(host: str, address: str = "") -> list[str]:
    """ssh to a host by its name, or at an ``address``, with its keys looked up by its name all the same."""
    where = ("-o", f"HostName={address}", "-o", f"HostKeyAlias={host}") if address else ()
    return ["ssh", *_OPTIONS, *where, "--", host, f"exec {shlex.join(receiver())}"]


def why_unreachable(errors: str, host: str) -> tuple[str, str]:
    """What ssh's lines say: a word for scripts, and a text."""
    for word, mark, text in _REASONS:
        if mark in errors:
            return word, text.format(host=host)
    return "other", last_line(errors) or "ssh says nothing of it"


def refused_by_sudo(errors: str) -> str:
    """sudo's own line, when it kept us from becoming root."""
    found = _SUDO.search(errors)
    return found[0] if found else ""


def last_line(errors: str) -> str:
    return next((line for line in reversed(errors.splitlines()) if line.strip()), "").strip()
