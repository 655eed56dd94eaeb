"""What the installer is told, as kickstart commands. The template prints them; it decides nothing."""

from __future__ import annotations

from bootforge.model import InstallPlan, KsCommand, Nic, Package
from bootforge.plan.access import plan_access
from bootforge.plan.commands import command
from bootforge.plan.disks import plan_disks
from bootforge.plan.faults import Fault, written
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site


def plan_install(site: Site, host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> InstallPlan:
    """The whole kickstart but its %post, in the dialect of the host's release."""
    spec, release = host.spec, RELEASES[host.release]
    access, keys = plan_access(site, host, faults)
    storage, disks = plan_disks(host, site.policy.guard, faults)
    return InstallPlan(
        title=f"profile {spec.profile}, layout {spec.layout}, roles {', '.join(spec.roles) or 'none'}",
        has_end=release.has_end,
        mode=_mode(release),
        source=_source(host, release, faults),
        locale=_locale(host, release),
        network=tuple(_network(host, release, nic) for nic in nics),
        access=access,
        keys=keys,
        security=(
            command("selinux", enforcing=True),
            command("firewall", enabled=True, service="ssh" if release.services else None, ssh=not release.services),
        ),
        storage=storage,
        disks=disks,
        packages=_packages(host, release, faults),
    )


def _mode(release: Release) -> tuple[KsCommand, ...]:
    commands = (command("text", non_interactive=release.noninteractive), command("reboot"))
    return (command("install"), *commands) if release.install_word else commands


def _source(host: ResolvedHost, release: Release, faults: list[Fault]) -> tuple[KsCommand, ...]:
    url = host.spec.install.url or ""
    if url.startswith("https:") and not release.https:
        faults.append(Fault(("install", "url"), "BF043", f"{release.name}'s installer has no TLS", "write http://"))
    return (command("url", url=url),)


def _locale(host: ResolvedHost, release: Release) -> tuple[KsCommand, ...]:
    spec, servers = host.spec, host.spec.ntp
    by_flag = ",".join(servers) if servers and release.ntp == "flag" else None
    return (
        command("lang", spec.language),
        command("keyboard", spec.keyboard),
        command("timezone", spec.timezone, utc=True, ntpservers=by_flag),
        *(command("timesource", ntp_server=server) for server in servers if release.ntp == "timesource"),
    )


def _network(host: ResolvedHost, release: Release, nic: Nic) -> KsCommand:
    """A nic by its MAC address, so that no kernel's naming matters; EL5 knows nics by name and writes HWADDR itself
    (anaconda, rhel5-branch: network.py). The first line is the one that dracut activates (rhel-9:
    dracut/parse-kickstart); only the booting nic has the default route."""
    network, address = nic.network, nic.address
    return command(
        "network",
        device=nic.device if release.nic_by_name else nic.mac,
        bootproto="static" if address else "dhcp",
        ip=str(address.ip) if address else None,
        netmask=str(address.netmask) if address else None,
        gateway=str(network.gateway) if address and nic.boot and network.gateway else None,
        nameserver=",".join(map(str, network.dns)) if address and network.dns else None,
        nodefroute=not nic.boot and release.network_flags,
        onboot="yes",
        activate=release.network_flags,
        noipv6=True,
        hostname=host.name if nic.boot else None,
    )


def _packages(host: ResolvedHost, release: Release, faults: list[Fault]) -> tuple[Package, ...]:
    """An environment first, then groups, then packages: the order in which pykickstart writes them."""
    packages = host.spec.packages
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
    return tuple(Package(name) for name in ordered)
