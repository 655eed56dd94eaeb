"""What the installer is told, as kickstart commands. The template prints them; it decides nothing."""

from __future__ import annotations

from bootforge.model import InstallPlan, Nic
from bootforge.plan.access import plan_access
from bootforge.plan.bringup import network_commands
from bootforge.plan.commands import command
from bootforge.plan.disks import plan_disks
from bootforge.plan.faults import Fault, written
from bootforge.plan.media import tree_url
from bootforge.plan.repos import plan_repos
from bootforge.plan.services import plan_security
from bootforge.plan.shared import shared
from bootforge.plan.system import time_servers
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site
from bootforge.words import KsCommand, Package


def plan_install(site: Site, host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> InstallPlan:
    """The whole kickstart but its %post, in the dialect of the host's release."""
    spec, release = host.spec, RELEASES[host.release]
    accounts_of = (spec.users, spec.groups, spec.authorized_keys, spec.root_password or "")
    system_of = (spec.selinux, spec.firewall, spec.services, spec.packages, spec.exclude_packages)
    access, security, packages = shared(
        host,
        ("system", host.release, *accounts_of, *system_of),
        faults,
        lambda: (plan_access(site, host), plan_security(host, faults), _packages(host, release, faults)),
    )
    storage, disks = plan_disks(host, site.policy.guard, faults)
    return InstallPlan(
        title=f"profile {spec.profile}, layout {spec.layout}, roles {', '.join(spec.roles) or 'none'}",
        has_end=release.has_end,
        mode=_mode(release),
        source=(*_source(host, release, nics, faults), *plan_repos(site, host, nics, faults)),
        locale=_locale(host, release, nics),
        network=network_commands(host, nics),
        access=access,
        security=security,
        storage=storage,
        disks=disks,
        packages=packages,
        on_error=release.onerror,
        nosave_flag=release.nosave_flag,
        network_first=release.uefi and spec.boot_order == "network-first",
    )


def _mode(release: Release) -> tuple[KsCommand, ...]:
    commands = (command("text", non_interactive=release.noninteractive), command("reboot"))
    return (command("install"), *commands) if release.install_word else commands


def _source(host: ResolvedHost, release: Release, nics: tuple[Nic, ...], faults: list[Fault]) -> tuple[KsCommand, ...]:
    url = tree_url(host.spec.install.url or "", nics)
    if url.startswith("https:") and not release.https:
        faults.append(Fault(("install", "url"), "BF043", f"{release.name}'s installer has no TLS", "write http://"))
    return (command("url", url=url),)


def _locale(host: ResolvedHost, release: Release, nics: tuple[Nic, ...]) -> tuple[KsCommand, ...]:
    spec = host.spec
    servers = time_servers(host, nics)
    by_flag = ",".join(servers) if servers and release.ntp == "flag" else None
    return (
        command("lang", spec.language),
        command("keyboard", spec.keyboard),
        command("timezone", spec.timezone, utc=True, ntpservers=by_flag),
        *(command("timesource", ntp_server=server) for server in servers if release.ntp == "timesource"),
    )


def _packages(host: ResolvedHost, release: Release, faults: list[Fault]) -> tuple[Package, ...]:
    """An environment first, then groups, then packages: the order in which pykickstart writes them; what is left out
    is last."""
    packages, excluded = host.spec.packages, host.spec.exclude_packages
    for name in excluded:
        if name.startswith("@^"):
            hint = "name the packages and groups of it that are not wanted"
            what = f"the environment {name} cannot be left out"
            faults.append(Fault(("exclude_packages", name), "BF047", what, hint))
        elif name in packages:
            at = written(host, [("packages", name), ("exclude_packages", name)])
            key = "packages" if at[0] == "packages" else "exclude_packages"
            hint = f"""write '{key}-: ["{name}"]'"""
            faults.append(Fault(at, "BF047", f"{name} is in packages and in exclude_packages", hint))
    environments = [name for name in packages if name.startswith("@^")]
    if environments and not release.environments:
        hint = "name groups, as in @core"
        faults.append(
            Fault(("packages", environments[0]), "BF047", f"{release.name} has no environments of packages", hint)
        )
    if len(environments) > 1:
        at = written(host, [("packages", name) for name in environments])
        other = next(name for name in environments if name != at[-1])
        what = f"two environments of packages: {' and '.join(environments)}"
        faults.append(Fault(at, "BF047", what, f"""write 'packages-: ["{other}"]'"""))
    ordered = sorted(packages, key=lambda name: (not name.startswith("@^"), not name.startswith("@"), name))
    return (*map(Package, ordered), *(Package(name, excluded=True) for name in excluded))
