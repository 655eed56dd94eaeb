"""What the installed system runs and lets in: services, processes, firewall, SELinux."""

from __future__ import annotations

from bootforge.model_steps import Step
from bootforge.plan.commands import command
from bootforge.plan.faults import Fault
from bootforge.plan.shared import shared
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
    """What the installer can do of it; the rest is the bootstrap's step."""
    services = host.spec.services
    for name, state in services.items():
        if "." in name and not release.systemd:
            hint = "write the name of a script in /etc/init.d"
            faults.append(Fault(("services", name), "BF092", f"{release.name} has no units such as {name}", hint))
        if state == "masked" and not release.systemd:
            what = f"{release.name} cannot mask a service"
            faults.append(Fault(("services", name), "BF114", what, "write 'off'"))
    words = (("on", "enabled"), ("off", "masked"))
    on, off = (",".join(sorted(name for name in services if services[name] in states)) for states in words)
    return (command("services", enabled=on or None, disabled=off or None),) if on or off else ()


_NEEDED = ("sh", "bash", "dash", "ksh", "mksh", "busybox", "init", "systemd", "sshd", "python")
"""Processes that the bootstrap is, or may be started by."""


def plan_services(host: ResolvedHost, faults: list[Fault]) -> tuple[Step, ...]:
    """The services' states, and the processes that must not run."""
    spec = host.spec

    def decide() -> tuple[Step, ...]:
        steps = []
        if spec.services:
            words = tuple(word for name, state in sorted(spec.services.items()) for word in (name, state))
            steps.append(Step("services", "services", words, ("services",), needs=("packages",)))
        for name in spec.no_processes:
            if name in _NEEDED:
                what = f"'{name}' may be what runs the bootstrap, which would end itself"
                faults.append(Fault(("no_processes", name), "BF115", what, "name a program of the site's own"))
        if spec.no_processes:
            steps.append(
                Step("processes", "processes", spec.no_processes, ("no_processes",), ("boot", "run"), ("services",))
            )
        return tuple(steps)

    return shared(host, ("services", spec.services, spec.no_processes), faults, decide)
