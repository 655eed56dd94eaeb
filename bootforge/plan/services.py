"""What the installed system runs and lets in: services, firewall, SELinux."""

from __future__ import annotations

from bootforge.plan.commands import command
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.words import KsCommand

PORTS = {"ftp": "21:tcp", "http": "80:tcp", "https": "443:tcp", "smtp": "25:tcp", "telnet": "23:tcp"}
"""Services that EL5's installer lets in: it knows ports only. Its flag --http would do, but would open 443 as well, and
pykickstart forgets the flags before it (options.py, ExtendConstAction)."""


def plan_security(host: ResolvedHost, faults: list[Fault]) -> tuple[KsCommand, ...]:
    """SELinux, firewall and services."""
    release = RELEASES[host.release]
    commands = [command("selinux", **{host.spec.selinux: True}), _firewall(host, release, faults)]
    return (*commands, *_services(host, release, faults))


def _firewall(host: ResolvedHost, release: Release, faults: list[Fault]) -> KsCommand:
    """ssh is always let in: without it nobody could mend what the others keep out."""
    spec = host.spec.firewall
    names = [name for name in spec.services if name != "ssh"]
    ports = [port.replace("/", ":") for port in spec.ports]
    if not spec.enabled:
        return command("firewall", disabled=True)
    if release.services:
        return command("firewall", enabled=True, service=",".join(["ssh", *names]), port=",".join(ports) or None)
    for name in names:
        if name not in PORTS:
            what = f"{release.name}'s installer lets in by name only ssh, {', '.join(PORTS)}"
            hint = "write its ports, as in 'ports: [8080/tcp]'"
            faults.append(Fault(("firewall", "services", name), "BF092", what, hint))
    ports += [PORTS[name] for name in names if name in PORTS]
    return command("firewall", enabled=True, ssh=True, port=",".join(ports) or None)


def _services(host: ResolvedHost, release: Release, faults: list[Fault]) -> tuple[KsCommand, ...]:
    services = host.spec.services
    for name in services:
        if "." in name and not release.systemd:
            hint = "write the name of a script in /etc/init.d"
            faults.append(Fault(("services", name), "BF092", f"{release.name} has no units such as {name}", hint))
    on, off = (",".join(sorted(name for name in services if services[name] == word)) for word in ("on", "off"))
    return (command("services", enabled=on or None, disabled=off or None),) if services else ()
