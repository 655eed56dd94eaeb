"""Names: the host's own, those that /etc/hosts knows, and who is asked for others."""

from __future__ import annotations

from collections.abc import Iterator

from bootforge.model import Nic
from bootforge.model_steps import Step, whole_file
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost

_HEAD = "# Written by Bootforge; changes are lost."
_LOOPBACK = (
    ("127.0.0.1", "localhost localhost.localdomain localhost4 localhost4.localdomain4"),
    ("::1", "localhost localhost.localdomain localhost6 localhost6.localdomain6"),
)
_MOST_SERVERS = 3
"""After which libc reads no more (resolv.conf(5), MAXNS)."""


def plan_hostname(host: ResolvedHost) -> Step:
    fn = "hostname" if RELEASES[host.release].etc_hostname else "sysconfig_hostname"
    return Step("hostname", fn, (host.name,), ())


def plan_names(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> tuple[Step, ...]:
    """/etc/hosts and /etc/resolv.conf, each only where the site says something about it: both are often others' to
    write."""
    spec = host.spec
    steps: list[Step] = []
    if spec.host_entries or spec.manage_hosts:
        steps.append(whole_file("hosts", "/etc/hosts", _hosts(host, nics, faults), ("host_entries",)))
    if spec.resolver.search or spec.resolver.options or spec.resolver.servers:
        steps += _resolver(host, RELEASES[host.release], nics, faults)
    return tuple(steps)


def _hosts(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> str:
    """The host's own name has its own address, so that it knows itself without a network; where that comes by DHCP
    nobody knows it here, and there is no line."""
    own_names = list(dict.fromkeys((host.name.text, host.name.text.partition(".")[0], *map(str, host.spec.aliases))))
    own = _own_addresses(nics)
    lines = [*_LOOPBACK, *((address, " ".join(own_names)) for address in own)]
    loopback = {name for _, names in _LOOPBACK for name in names.split()}
    named: dict[str, list[str]] = {}
    for name, address in sorted(host.spec.host_entries.items()):
        what = ""
        if name in loopback:
            what = f"'{name}' is every host's name for itself"
        elif name in own_names and own and str(address) not in own:
            what = f"'{name}' is the host itself, which has the address {own[0]}"
        if what:
            faults.append(Fault(("host_entries", name), "BF130", what, "remove it, or correct its address"))
        elif name not in own_names or not own:
            named.setdefault(str(address), []).append(name)
    lines += ((address, " ".join(names)) for address, names in named.items())
    return "\n".join([_HEAD, *(f"{address}\t{names}" for address, names in lines), ""])


def _own_addresses(nics: tuple[Nic, ...]) -> tuple[str, ...]:
    """Of the nic with the default route, else of the one that installs, else of the first that has one."""
    fixed = [nic for nic in nics if (nic.address or nic.address6) and nic.kind != "bmc"]
    fixed.sort(key=lambda nic: (not nic.routed, not nic.install))
    return tuple(str(address.ip) for nic in fixed[:1] for address in (nic.address, nic.address6) if address)


def _resolver(host: ResolvedHost, release: Release, nics: tuple[Nic, ...], faults: list[Fault]) -> Iterator[Step]:
    spec = host.spec.resolver
    known = sorted((nic for nic in nics if nic.network), key=lambda nic: (not nic.routed, not nic.install))
    of_networks = dict.fromkeys(str(server) for nic in known if nic.network for server in nic.network.dns)
    servers = tuple(dict.fromkeys(map(str, spec.servers))) or tuple(of_networks)[:_MOST_SERVERS]
    if not servers:
        hint = "write 'resolver: {servers: [...]}', or 'dns:' at the network"
        faults.append(Fault(("resolver",), "BF131", "no name server: none of the host's networks has one", hint))
    if len(servers) > _MOST_SERVERS:
        what = f"{len(servers)} name servers: libc asks the first {_MOST_SERVERS}"
        faults.append(Fault(("resolver", "servers"), "BF131", what, "name those that are to be asked"))
    most = release.search_limit
    if most and len(spec.search) > most:
        what = f"{len(spec.search)} domains: {release.title} searches in the first {most}"
        faults.append(Fault(("resolver", "search"), "BF131", what, "name those that matter"))
    lines = [_HEAD, f"search {' '.join(spec.search)}" if spec.search else ""]
    lines += [*(f"nameserver {server}" for server in servers), " ".join(["options", *spec.options])]
    if not spec.options:
        lines.pop()
    text = "\n".join(line for line in lines if line)
    if release.network_manager:
        file = "/etc/NetworkManager/conf.d/bootforge-dns.conf"
        left = f"{_HEAD}\n[main]\ndns=none\n"
        yield whole_file("resolver:NetworkManager", file, left, ("resolver",), notify=("reload:NetworkManager",))
    yield whole_file("resolver", "/etc/resolv.conf", text, ("resolver",))
