"""Who may log in to the installed system."""

from __future__ import annotations

import re

from bootforge.errors import did_you_mean
from bootforge.plan.accounts import home_of, plan_accounts, present
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault, check_secret
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.words import Call, KsCommand, KsOption, Slot

_KEY = re.compile(r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,3}(?: .*)?")


def plan_access(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[tuple[KsCommand, ...], tuple[Call, ...]]:
    """The commands, and the calls of %post for what the release has no command for."""
    release = RELEASES[host.release]
    commands = [_root(site, host, release, faults)]
    if release.authconfig:
        commands.append(command("authconfig", enableshadow=True, passalgo="sha512"))
    made, calls = plan_accounts(site, host, faults)
    keys = _read_all_keys(site, host, faults)
    if release.sshkey:
        return (*commands, *made, *(command("sshkey", key, username=user) for user, _, key in keys)), calls
    return (*commands, *made), (*calls, *(Call("key", key) for key in keys))


def _root(site: Site, host: ResolvedHost, release: Release, faults: list[Fault]) -> KsCommand:
    """Root's password by its hash; without one root is locked. Installers without ``rootpw --lock`` take a hash
    that nothing has."""
    name = host.spec.root_password
    if name is None and release.root_lock:
        return command("rootpw", lock=True)
    if name is None:
        return KsCommand("rootpw", (KsOption("--iscrypted"), KsOption("", "!!")))
    check_secret(site, name, ("root_password",), faults)
    return KsCommand("rootpw", (KsOption("--iscrypted"), KsOption("", Slot(f"secret:{name}", release.hashes))))


def _read_all_keys(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[tuple[str, str, str], ...]:
    """User, home directory and public key, of each key."""
    keys: list[tuple[str, str, str]] = []
    spec = host.spec
    homes = {"root": "/root", **{name: home_of(name, user) for name, user in present(spec.users).items()}}
    for user, files in sorted(spec.authorized_keys.items()):
        if user not in homes:
            absent = user in spec.users
            what = f"user '{user}' is absent" if absent else f"no user '{user}'"
            hint = f"write 'users: {{{user}: {{uid: ...}}}}'"
            hint = did_you_mean(user, homes) if len(homes) > 1 else hint
            faults.append(Fault(("authorized_keys", user), "BF045", what, "remove its keys" if absent else hint))
        for file in files:
            found = _read_keys(site, file, ("authorized_keys", user, file), faults)
            keys += [(user, homes.get(user, ""), key) for key in found]
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
