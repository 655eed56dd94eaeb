"""Who may log in to the system, and what sudo lets them do."""

from __future__ import annotations

import hashlib
import re

from bootforge.errors import did_you_mean
from bootforge.model_steps import Step, Whole
from bootforge.plan.accounts import account_commands, home_of, kinds_of, present
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault, check_secret
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.words import KsCommand, KsOption, Slot

_KEY = re.compile(r"(?:ssh-(?:ed25519|rsa)|ecdsa-sha2-nistp\d+|sk-[a-z0-9@.-]+) [A-Za-z0-9+/]+={0,3}(?: .*)?")
_SUDOERS = "/etc/sudoers.d"


def plan_access(site: Site, host: ResolvedHost) -> tuple[KsCommand, ...]:
    """The installer's commands; what is wrong with keys and passwords, :func:`plan_logins` says."""
    release = RELEASES[host.release]
    commands = [_root(host, release)]
    if release.authconfig:
        commands.append(command("authconfig", enableshadow=True, passalgo="sha512"))
    if not release.accounts:
        return tuple(commands)
    keys = ((user, key) for user, keys in _read_all_keys(site, host, []).items() for key in keys)
    return (*commands, *account_commands(host), *(command("sshkey", key, username=user) for user, key in keys))


def plan_logins(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """The bootstrap's steps after those of the accounts: root's password, keys."""
    return (*_root_password(site, host, faults), *_keys(host, _read_all_keys(site, host, faults)))


def _root(host: ResolvedHost, release: Release) -> KsCommand:
    """Root's password by its hash; without one root is locked. Installers without ``rootpw --lock`` take a hash
    that nothing has."""
    name = host.spec.root_password
    if name is None and release.root_lock:
        return command("rootpw", lock=True)
    hashed = "!!" if name is None else Slot(f"secret:{name}", release.hashes)
    return KsCommand("rootpw", (KsOption("--iscrypted"), KsOption("", hashed)))


def _root_password(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """Without one there is no step: a root that somebody unlocked on a live machine may be the only way in."""
    name = host.spec.root_password
    if name is None:
        return ()
    check_secret(site, name, ("root_password",), faults)
    args = ("root", name, kinds_of(RELEASES[host.release]))
    return (Step("users:root", "password", args, ("root_password",), secrets=(name,)),)


def _keys(host: ResolvedHost, keys: dict[str, tuple[str, ...]]) -> tuple[Step, ...]:
    """A step for everybody, also for those without keys: what the site has no more must leave the host. Who has none
    in the site is not exclusive about it."""
    steps = []
    users = present(host.spec.users)
    for name, home, uid in (
        ("root", "/root", 0),
        *((name, home_of(name, one), one.uid) for name, one in users.items()),
    ):
        listed = keys.get(name, ())
        policy = host.spec.keys_policy if name in host.spec.authorized_keys else "additive"
        content = "".join(f"{key}\n" for key in listed) if listed else None
        path = ("authorized_keys", name) if name in host.spec.authorized_keys else ("authorized_keys",)
        needs = (f"users:{name}",) if uid else ()
        steps.append(Step(f"keys:{name}", "keys", (name, uid, home, policy), path, needs=needs, content=content))
    return tuple(steps)


def plan_sudo(host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """What sudo allows; after the packages, of which one may be sudo itself."""
    steps = []
    for name, lines in sorted(host.spec.sudo.items()):
        faults += _wrong_lines(name, lines)
        file = f"{_SUDOERS}/bootforge-{name}"
        content = "\n".join(["# Written by Bootforge; changes are lost.", *lines, ""])
        whole = Whole(file, hashlib.sha256(content.encode()).hexdigest(), "440", "root:root")
        steps.append(Step(f"sudo:{name}", "sudo", (file,), ("sudo", name), content=content, whole=whole))
    names = [f"bootforge-{name}" for name in sorted(host.spec.sudo)]
    return (*steps, Step("sudo", "only", (_SUDOERS, *names), ("sudo",)))


def _wrong_lines(name: str, lines: tuple[str, ...]) -> list[Fault]:
    """What no sudo takes: the rest visudo says on the host (sudoers(5), grammar)."""
    found = []
    if not lines:
        found.append(Fault(("sudo", name), "BF133", f"sudo file '{name}' has no lines", f"write 'sudo-: [{name}]'"))
    continued = False
    for line in lines:
        free = continued or line.startswith(("#", "@include", "Defaults"))
        if not free and "=" not in line and not line.endswith("\\"):
            hint = "write it as in '%wheel ALL=(ALL) ALL'"
            found.append(Fault(("sudo", name), "BF133", f"sudo would refuse the line '{line}': it has no '='", hint))
        continued = line.endswith("\\")
    if continued:
        found.append(Fault(("sudo", name), "BF133", f"the last line of '{name}' goes on nowhere", "drop its backslash"))
    return found


def _read_all_keys(site: Site, host: ResolvedHost, faults: list[Fault]) -> dict[str, tuple[str, ...]]:
    """Public keys by user, each once."""
    keys: dict[str, tuple[str, ...]] = {}
    spec = host.spec
    users = ("root", *present(spec.users))
    for user, files in sorted(spec.authorized_keys.items()):
        if user not in users:
            absent = user in spec.users
            what = f"user '{user}' is absent" if absent else f"no user '{user}'"
            hint = f"write 'users: {{{user}: {{uid: ...}}}}'"
            hint = did_you_mean(user, users) if len(users) > 1 else hint
            faults.append(Fault(("authorized_keys", user), "BF045", what, "remove its keys" if absent else hint))
        found = [key for file in files for key in _read_keys(site, file, ("authorized_keys", user, file), faults)]
        keys[user] = tuple(dict.fromkeys(found))
    return keys


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
