"""What the installed system runs and lets in: services, firewall, SELinux."""

from __future__ import annotations

from bootforge.model import KsCommand
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost

FLAGS = ("ssh", "http", "ftp", "smtp", "telnet")
"""What EL5's ``firewall`` can let in by name (pykickstart: commands/firewall.py, FC3)."""


def plan_security(host: ResolvedHost, faults: list[Fault]) -> tuple[KsCommand, ...]:
    """SELinux, firewall and services."""
    release = RELEASES[host.release]
    commands = [command("selinux", **{host.spec.selinux: True}), _firewall(host, release, faults)]
    return (*commands, *_services(host, release, faults))


def _firewall(host: ResolvedHost, release: Release, faults: list[Fault]) -> KsCommand:
    """ssh is always let in: without it nobody could mend what the others keep out."""
    spec = host.spec.firewall
    names = ["ssh", *(name for name in spec.services if name != "ssh")]
    ports = ",".join(port.replace("/", ":") for port in spec.ports) or None
    if not spec.enabled:
        return command("firewall", disabled=True)
    if release.services:
        return command("firewall", enabled=True, service=",".join(names), port=ports)
    for name in names:
        if name not in FLAGS:
            what = f"{release.name}'s installer lets in by name only {', '.join(FLAGS)}"
            hint = "write its ports, as in 'ports: [8080/tcp]'"
            faults.append(Fault(("firewall", "services", name), "BF092", what, hint))
    return command("firewall", enabled=True, **{name: True for name in names}, port=ports)


def _services(host: ResolvedHost, release: Release, faults: list[Fault]) -> tuple[KsCommand, ...]:
    services = host.spec.services
    for name in services:
        if "." in name and not release.systemd:
            hint = "write the name of a script in /etc/init.d"
            faults.append(Fault(("services", name), "BF092", f"{release.name} has no units such as {name}", hint))
    on, off = (",".join(sorted(name for name in services if services[name] == word)) for word in ("on", "off"))
    return (command("services", enabled=on or None, disabled=off or None),) if services else ()
