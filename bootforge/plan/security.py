"""What protects the installed system as steps: SELinux and the firewall."""

from __future__ import annotations

from collections.abc import Iterator

from bootforge.model_steps import Phase, Step
from bootforge.plan.faults import Fault
from bootforge.plan.services import PORTS
from bootforge.releases import Release
from bootforge.resolve import ResolvedHost
from bootforge.words import Arg

LIVE: tuple[Phase, ...] = ("boot", "run")
"""Where there is a running system of the host's own."""


def plan_protection(host: ResolvedHost, release: Release, faults: list[Fault]) -> Iterator[Step]:
    """Mode, booleans and file types of SELinux; what the firewall lets in. Booleans and types are in the policy of the
    running system, so an installer cannot set them."""
    spec = host.spec
    yield Step("selinux", "selinux", (spec.selinux,), ("selinux",))
    for key, what in (("selinux_booleans", spec.selinux_booleans), ("selinux_contexts", spec.selinux_contexts)):
        if what and spec.selinux == "disabled":
            hint = f"drop {key}, or write 'selinux: permissive'"
            faults.append(Fault((key,), "BF143", f"{key} without SELinux", hint))
    booleans: list[Arg] = []
    for name, value in sorted(spec.selinux_booleans.items()):
        booleans += [name, "1" if value == "on" else "0"]
    if booleans:
        yield Step("selinux-booleans", "booleans", tuple(booleans), ("selinux_booleans",), LIVE)
    contexts = " ".join(f"{regex} {type}" for regex, type in sorted(spec.selinux_contexts.items()))
    yield Step("selinux-contexts", "contexts", (contexts,), ("selinux_contexts",), LIVE, notify=("relabel",))
    yield _firewall(host, release, faults)


def _firewall(host: ResolvedHost, release: Release, faults: list[Fault]) -> Step:
    """ssh is always let in, as in the installer. EL5 and EL6 know ports: of services those whose port is known."""
    spec = host.spec.firewall
    daemon = "iptables" if release.input_chain else "firewalld"
    state = "on" if spec.enabled else "off"
    if host.spec.services.get(daemon, state) != state:
        what = f"{daemon} is {host.spec.services[daemon]}, and firewall.enabled is {str(spec.enabled).lower()}"
        hint = "'firewall: {enabled: false}' is enough" if spec.enabled else "drop one of the two"
        faults.append(Fault(("services", daemon), "BF144", what, hint))
    if not release.input_chain:
        words = [f"service={name}" for name in sorted({"ssh", *spec.services})]
        words += [f"port={port}" for port in sorted(spec.ports)]
        return Step("firewall", "firewalld", (state, *words), ("firewall",), notify=("reload:firewalld",))
    ports = {"22/tcp", *spec.ports, *(PORTS[name].replace(":", "/") for name in spec.services if name in PORTS)}
    args = (state, release.input_chain, *sorted(ports))
    return Step("firewall", "iptables", args, ("firewall",), notify=("restart:iptables",))
