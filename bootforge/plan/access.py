"""Who may log in to the installed system."""

from __future__ import annotations

import re

from bootforge.errors import did_you_mean
from bootforge.model import KsCommand, KsOption, Slot
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

_KEY = re.compile(r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,3}(?: .*)?")


def plan_access(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[tuple[KsCommand, ...], tuple[str, ...]]:
    """The commands, and root's public keys for releases that have no command for them: %post writes those."""
    release = RELEASES[host.release]
    commands = [_root(site, host, release, faults)]
    if release.authconfig:
        commands.append(command("authconfig", enableshadow=True, passalgo="sha512"))
    keys = _read_all_keys(site, host, faults)
    if not release.sshkey:
        return tuple(commands), keys
    return (*commands, *(command("sshkey", key, username="root") for key in keys)), ()


def _root(site: Site, host: ResolvedHost, release: Release, faults: list[Fault]) -> KsCommand:
    """Root's password by its hash; without one root is locked. Installers without ``rootpw --lock`` take a hash
    that nothing has."""
    name = host.spec.root_password
    if name is None and release.root_lock:
        return command("rootpw", lock=True)
    if name is None:
        return KsCommand("rootpw", (KsOption("--iscrypted"), KsOption("", "!!")))
    if name not in site.secrets:
        hint = did_you_mean(name, site.secrets) or "declare it under 'secrets:' in site.yaml"
        faults.append(Fault(("root_password",), "BF044", f"no secret '{name}'", hint))
    return KsCommand("rootpw", (KsOption("--iscrypted"), KsOption("", Slot(f"secret:{name}", release.hashes))))


def _read_all_keys(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[str, ...]:
    keys: list[str] = []
    for user, files in host.spec.authorized_keys.items():
        if user != "root":
            faults.append(Fault(("authorized_keys", user), "BF045", f"no user '{user}'", "root is the only user"))
        for file in files:
            keys += _read_keys(site, file, ("authorized_keys", user, file), faults)
    return tuple(keys)


def _read_keys(site: Site, file: str, path: tuple[str, ...], faults: list[Fault]) -> list[str]:
    if file not in site.files:
        hint = did_you_mean(file, [name for name in site.files if not name.endswith(".yaml")]) or "copy it there"
        faults.append(Fault(path, "BF045", f"no file '{file}' in the site", hint))
        return []
    lines = [line.strip() for line in site.files[file].decode("utf-8", "replace").splitlines()]
    keys = {number: line for number, line in enumerate(lines, 1) if line and not line.startswith("#")}
    bad = [number for number, line in keys.items() if not _KEY.fullmatch(line) or not line.isprintable()]
    if any("PRIVATE KEY" in line for line in lines):
        faults.append(Fault(path, "BF045", f"{file} is a private key", "commit the .pub file, and replace this key"))
    elif bad or not keys:
        what = f"line {bad[0]} of {file} is no public key" if bad else f"{file} has no public key"
        faults.append(Fault(path, "BF045", what, "ssh-keygen writes one into its .pub file"))
    else:
        return [*keys.values()]
    return []
