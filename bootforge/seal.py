"""The only way to a secret: filling an artifact's slots at the edge.

Nothing below this module can read a secret, and only what serves or applies may import it (a test walks the
imports). What is sealed is returned and kept nowhere.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from bootforge.errors import RenderError, SecretError
from bootforge.model import Artifact, Grant, SlotUse
from bootforge.render.slots import QUOTERS
from bootforge.site.schema import SecretSpec
from bootforge.words import Slot

_CRYPT = re.compile(r"\$(?:1|2[abxy]|5|6|7|y|gy)\$[./A-Za-z0-9$=,]{8,200}")
_MAX_SECRET = 64 * 1024
_TIMEOUT = 15.0
_KEEP = 60.0
_KEEP_FAILURE = 5.0


class Vault:
    """The secrets of a site, read from their sources when they are needed and kept for a minute, so that a
    row of racks does not run a password manager 500 times; a failure is kept for some seconds, so that those who
    waited for one do not wait for the next. ``str`` and ``repr`` show names only."""

    def __init__(self, secrets: Mapping[str, SecretSpec], clock: Callable[[], float] = time.monotonic) -> None:
        self._secrets = secrets
        self._clock = clock
        self._cache: dict[str, tuple[float, str | SecretError]] = {}
        self._locks = {name: threading.Lock() for name in secrets}

    def __repr__(self) -> str:
        return f"Vault({', '.join(sorted(self._secrets))})"

    def get(self, name: str) -> str:
        """The secret's value, one line. Raises SecretError that names the secret and its source."""
        if name not in self._secrets:
            raise SecretError(f"the site declares no secret {name}", "declare it under 'secrets:' in site.yaml")
        with self._locks[name]:
            until, value = self._cache.get(name, (0.0, ""))
            if self._clock() >= until:
                value, keep = _attempt(name, self._secrets[name])
                self._cache[name] = (self._clock() + keep, value)
        if isinstance(value, SecretError):
            raise SecretError(value.message, value.hint)
        return value


def _attempt(name: str, spec: SecretSpec) -> tuple[str | SecretError, float]:
    """The secret's value or why there is none, and for how long that may be kept."""
    try:
        return _read(name, spec), _KEEP
    except SecretError as error:
        return error, _KEEP_FAILURE


def seal(artifact: Artifact, grant: Grant, vault: Vault) -> bytes:
    """The artifact with every slot filled and quoted for the grammar at its place. Raises SecretError."""
    pieces, end = [], 0
    for use in artifact.slots:
        pieces += [artifact.text[end : use.offset], _quote(use, _fill(use.slot, grant, vault))]
        end = use.offset + use.length
    return "".join([*pieces, artifact.text[end:]]).encode()


def _quote(use: SlotUse, value: str) -> str:
    """The value in the grammar of its place. What the grammar says about a value that it cannot hold has the value
    in it, so it is not passed on."""
    try:
        return QUOTERS[use.grammar](value)
    except RenderError:
        hint = "change the secret" if use.slot.source.startswith("secret:") else "correct 'server:' of the network"
        raise SecretError(f"what fills {use.slot} cannot be written in the grammar {use.grammar}", hint) from None


def _fill(slot: Slot, grant: Grant, vault: Vault) -> str:
    match slot.source:
        case "grant.url":
            return grant.url
        case "grant.token":
            return grant.token
        case "grant.wipe":
            return ",".join(grant.wipe)
        case "site.revision":
            return grant.revision
    name = slot.source.removeprefix("secret:")
    value = vault.get(name)
    if slot.hashes and not _CRYPT.fullmatch(value):
        raise SecretError(f"secret {name} is not a crypt(5) hash", "'openssl passwd -6' makes one")
    if slot.hashes and not value.startswith(slot.hashes):
        kinds = ", ".join(slot.hashes)
        raise SecretError(f"secret {name} is a hash that the host's release cannot verify", f"it verifies {kinds}")
    return value


def _read(name: str, spec: SecretSpec) -> str:
    if spec.env:
        value = os.environ.get(spec.env)
        if value is None:
            raise SecretError(f"secret {name}: {spec.env} is not in the environment", "set it for the server")
    elif spec.file:
        value = _read_file(name, spec.file)
    else:
        value = _run(name, spec.command)
    value = value.removesuffix("\n").removesuffix("\r")
    if not value or len(value) > _MAX_SECRET or not value.isprintable():
        raise SecretError(f"secret {name} is empty, or not one line of text", "check its source")
    return value


def _read_file(name: str, file: str) -> str:
    hint = f"chown it to the server's user and 'chmod 600 {file}'"
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid not in (0, os.geteuid()):
                raise SecretError(f"secret {name}: {file} must be a file that only the server can read", hint)
            with open(descriptor, encoding="utf-8", closefd=False) as source:
                return source.read(_MAX_SECRET + 2)
        finally:
            os.close(descriptor)
    except (OSError, UnicodeDecodeError) as error:
        raise SecretError(f"secret {name}: {file} cannot be read: {_why(error)}", "check its path and owner") from None


def _run(name: str, command: tuple[str, ...]) -> str:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_TIMEOUT, cwd=Path("/"))
    except (OSError, subprocess.TimeoutExpired) as error:
        raise SecretError(f"secret {name}: {command[0]} did not run: {_why(error)}", "run it by hand") from None
    if done.returncode:
        raise SecretError(f"secret {name}: {command[0]} failed with status {done.returncode}", "run it by hand")
    try:
        return done.stdout.decode()
    except UnicodeDecodeError:
        raise SecretError(f"secret {name}: {command[0]} printed no UTF-8 text", "run it by hand") from None


def _why(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
