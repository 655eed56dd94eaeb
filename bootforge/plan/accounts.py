"""Groups and users: steps of the bootstrap on every release, and before them the installer's commands where those make
an account whole, so that somebody can log in even when the bootstrap failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from bootforge.errors import did_you_mean
from bootforge.model import Path
from bootforge.model_steps import Step
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault, check_secret
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.site.schema_system import UserSpec
from bootforge.words import Arg, KsCommand, KsOption, Slot

_GROUPS = (
    "root bin daemon sys adm tty disk lp mem kmem wheel cdrom mail man dialout floppy games tape video ftp lock audio"
    " users nobody utmp utempter input render kvm sgx systemd-journal systemd-network systemd-resolve systemd-coredump"
    " systemd-oom systemd-timesync dbus sshd ntp chrony rpc rpcuser nfsnobody polkitd tss vcsa haldaemon sssd postfix"
    " uucp news gopher avahi apache nginx mysql postgres named dhcpd tcpdump rpm"
)
GROUPS = frozenset(_GROUPS.split())
"""Groups of the base system, and those that common packages make with an account of their own."""
RESERVED = GROUPS | {"sync", "shutdown", "halt", "operator"}
"""Names that are not a site's to give."""

_NOBODY = (65534, 65535)


def present(users: Mapping[str, UserSpec]) -> dict[str, UserSpec]:
    """The accounts that are to be made, by name."""
    return {name: user for name, user in sorted(users.items()) if user.state == "present"}


def home_of(name: str, user: UserSpec) -> str:
    return user.home or f"/home/{name}"


def account_commands(host: ResolvedHost) -> tuple[KsCommand, ...]:
    """Commands of the kickstart; what is wrong with the accounts, :func:`plan_accounts` says."""
    release = RELEASES[host.release]
    if not release.accounts:
        return ()
    groups = (command("group", name=name, gid=group.gid) for name, group in sorted(host.spec.groups.items()))
    return (*groups, *(_command(release, name, user) for name, user in present(host.spec.users).items()))


def plan_accounts(site: Site, host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """Groups, users, and accounts that are to go."""
    release = RELEASES[host.release]
    users = present(host.spec.users)
    groups = {name: group.gid for name, group in sorted(host.spec.groups.items())}
    faults += _faults(host, release, users, groups)
    for name, user in users.items():
        if user.password:
            check_secret(site, user.password, ("users", name, "password"), faults)
    absent = {name: user.uid for name, user in sorted(host.spec.users.items()) if name not in users}
    return (
        *(Step(f"users:{name}", "no_users", (name, uid), ("users", name)) for name, uid in absent.items()),
        *(Step(f"groups:{name}", "groups", (name, gid), ("groups", name)) for name, gid in groups.items()),
        *(_step(release, name, user) for name, user in users.items()),
    )


def kinds_of(release: Release) -> str:
    """Hashes that it verifies, as the library takes them: ``6 y`` for $6$ and $y$."""
    return " ".join(prefix.strip("$") for prefix in release.hashes)


def _step(release: Release, name: str, user: UserSpec) -> Step:
    ids = (user.uid, user.gid or user.uid)
    member = "only" if user.groups_exact else "also"
    known = (user.password or "", kinds_of(release) if user.password else "")
    args: tuple[Arg, ...] = (name, *ids, home_of(name, user), user.shell, user.gecos, member, *known, *user.groups)
    return Step(f"users:{name}", "users", args, ("users", name), secrets=(user.password,) if user.password else ())


def _command(release: Release, name: str, user: UserSpec) -> KsCommand:
    made = command(
        "user",
        name=name,
        uid=user.uid,
        gid=user.gid or user.uid,
        groups=",".join(user.groups) or None,
        homedir=home_of(name, user),
        shell=user.shell,
        gecos=user.gecos or None,
        lock=user.password is None,
    )
    if user.password is None:
        return made
    hashed = KsOption("--password", Slot(f"secret:{user.password}", release.hashes))
    return KsCommand("user", (*made.options, KsOption("--iscrypted"), hashed))


def _faults(
    host: ResolvedHost, release: Release, users: Mapping[str, UserSpec], groups: Mapping[str, int]
) -> Iterator[Fault]:
    for kind, names in (("users", host.spec.users), ("groups", groups)):
        for name in names:
            if name in RESERVED:
                what = f"'{name}' is an account of the system's own"
                yield Fault((kind, name), "BF090", what, "choose another name")
    for name in sorted(users.keys() & groups.keys()):
        hint = f"a user's own group is made with it; write 'gid:' at users.{name}"
        yield Fault(("groups", name), "BF090", f"'{name}' is a user and a group", hint)
    uids = [(("users", name, "uid"), user.uid) for name, user in users.items()]
    gids = [(("users", name, "gid" if user.gid else "uid"), user.gid or user.uid) for name, user in users.items()]
    gids += [(("groups", name, "gid"), gid) for name, gid in groups.items()]
    told: set[Path] = set()
    yield from _ids("uid", uids, release, told)
    yield from _ids("gid", gids, release, told)
    known = GROUPS | users.keys() | groups.keys()
    for name, user in users.items():
        for group in user.groups:
            if group not in known:
                hint = did_you_mean(group, known) or "declare it under 'groups:'"
                yield Fault(("users", name, "groups", group), "BF090", f"no group '{group}'", hint)


def _ids(kind: str, given: Iterable[tuple[Path, int]], release: Release, told: set[Path]) -> Iterator[Fault]:
    """Ids that packages or the kernel use, and ids that two have; each place once, so it is added to ``told``."""
    least = release.uid_min
    first: dict[int, str] = {}
    for path, number in given:
        what, hint = "", ""
        if number < least or number in _NOBODY:
            what = f"{kind} {number} is reserved on {release.name}"
            hint = f"choose one from {least} on, but not 65534 or 65535"
        elif number in first:
            what = f"{kind} {number} is that of '{first[number]}' already"
            hint = "give each an id of its own, with 'gid:' for a user's group"
        if what and path not in told:
            told.add(path)
            yield Fault(path, "BF090", what, hint)
        first.setdefault(number, path[1])
