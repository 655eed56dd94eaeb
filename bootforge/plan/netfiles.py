"""The network of the installed system: a profile for each nic, in the format that the release reads."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from ipaddress import ip_network
from uuid import UUID, uuid5

from bootforge.model import Nic
from bootforge.model_steps import Step, whole_file
from bootforge.plan import ifcfg, keyfile
from bootforge.plan.faults import Fault
from bootforge.plan.ifcfg import label
from bootforge.releases import Release
from bootforge.words import Arg

_NAMESPACE = UUID("c58c6a53-bd83-5b1c-9c1f-2f0a55a1dc4a")
_NOTIFY = ("network",)
_EXPRESSIBLE = ("autoneg", "speed", "duplex", "wol")
"""What NetworkManager takes of ``ethtool -s`` (nm-settings-nmcli(5); ifcfg-rh: ETHTOOL_OPTS)."""


@lru_cache(maxsize=65536)
def profile_uuid(host: str, nic: str) -> str:
    """The UUID of a nic's profile: the same at every run, another on every host."""
    return str(uuid5(_NAMESPACE, f"{host}/{nic}"))


def plan_network_files(host: str, nics: tuple[Nic, ...], release: Release, faults: list[Fault]) -> tuple[Step, ...]:
    """A whole file for each nic but a bmc, files of routes, and a step that removes what else claims the same nics."""
    nics = tuple(nic for nic in nics if nic.kind != "bmc")
    if not nics:
        return ()
    by_name = {nic.name: nic for nic in nics}
    found = [fault for nic in nics for fault in _faults(nic, by_name, release)] + _taken(nics)
    if found:
        faults += found
        return ()
    above = {port: nic for nic in nics for port in nic.ports}
    uuids = {nic.name: profile_uuid(host, nic.name) for nic in nics}
    steps: list[Step] = []
    bonds = tuple(label(nic) for nic in nics if nic.kind == "bond")
    if bonds and release.bond_alias:
        steps.append(Step("network-bonds", "bond_aliases", bonds, ("nics",), notify=_NOTIFY))
    own: list[Arg] = []
    for nic in sorted(nics, key=lambda nic: nic.name):
        for suffix, file, text, mode in _files(nic, by_name, above.get(nic.name), uuids, release):
            path = ("nics", nic.name)
            steps.append(whole_file(f"network:{nic.name}{suffix}", file, text, path, mode=mode, notify=_NOTIFY))
            own.append(file.rpartition("/")[2])
    claims: list[Arg] = [word for nic in nics for word in (nic.device, nic.mac) if word]
    steps.append(Step("network-others", "network_others", (*own, "--", *claims), ("nics",), notify=_NOTIFY))
    return tuple(steps)


def _files(
    nic: Nic, by_name: dict[str, Nic], above: Nic | None, uuids: dict[str, str], release: Release
) -> Iterator[tuple[str, str, str, str]]:
    """For each file of a nic: what its step's id ends with, path, text, mode."""
    name = label(nic)
    if release.net_format == "keyfile":
        text = keyfile.keyfile(nic, by_name, above, uuids)
        yield "", f"{keyfile.DIRECTORY}/{name}.nmconnection", text, "600"
        return
    yield "", f"{ifcfg.DIRECTORY}/ifcfg-{name}", ifcfg.ifcfg(nic, by_name, above, uuids[nic.name], release), "644"
    for version, word in ((4, "route"), (6, "route6")) if nic.routes else ():
        if text := ifcfg.routes(nic, version):
            yield f"/{word}", f"{ifcfg.DIRECTORY}/{word}-{name}", text, "644"


def _taken(nics: tuple[Nic, ...]) -> list[Fault]:
    """Two nics whose profiles would have one name: one is called as the other's device."""
    seen: dict[str, str] = {}
    found = []
    for nic in sorted(nics, key=lambda nic: (nic.device is None, nic.name)):
        if (first := seen.setdefault(label(nic), nic.name)) != nic.name and nic.device is None:
            what = f"{first} and {nic.name} would both have the profile {label(nic)}"
            found.append(Fault(("nics", nic.name), "BF150", what, "call one of them otherwise"))
    return found


def _faults(nic: Nic, by_name: dict[str, Nic], release: Release) -> Iterator[Fault]:
    """What the release's network cannot be told."""
    path = ("nics", nic.name)
    if nic.kind == "vlan" and not release.network_manager and nic.device != f"vlan{nic.vlan}":
        usual = f"{label(by_name[nic.parent or ''])}.{nic.vlan}"
        if nic.device != usual:
            what = f"{release.title} knows the VLAN as {usual} or vlan{nic.vlan} only, not as {nic.device}"
            yield Fault((*path, "device"), "BF151", what, "remove 'device:'")
    options = dict(nic.options)
    for option in ("hello-time", "max-age", "multicast-snooping"):
        if nic.kind == "bridge" and option in options and not release.bridging_opts:
            what = f"{release.title} cannot set {option} of a bridge"
            yield Fault((*path, "options", option), "BF151", what, "remove it")
    yield from _ethtool(nic, release)
    families = {version for version, on in ((4, nic.address or nic.dhcp), (6, nic.method6 != "none")) if on}
    for route in nic.routes:
        if ip_network(route.to).version not in families:
            what = f"{nic.name} has a route to {route.to} and no address of that family"
            yield Fault((*path, "routes", route.to), "BF153", what, f"give {nic.name} one, or remove the route")


def _ethtool(nic: Nic, release: Release) -> Iterator[Fault]:
    """NetworkManager leaves a link alone that has no speed; network scripts hand all to ethtool."""
    if not release.network_manager:
        return
    settings = dict(nic.ethtool)
    for name in settings:
        if name not in _EXPRESSIBLE:
            what = f"NetworkManager of {release.title} has no '{name}' of ethtool -s"
            yield Fault(("nics", nic.name, "ethtool", name), "BF152", what, f"it has: {', '.join(_EXPRESSIBLE)}")
    for name in ("autoneg", "duplex"):
        if "speed" not in settings and settings.get(name, "on") != "on":
            what = f"NetworkManager of {release.title} sets '{name}' only with a speed"
            yield Fault(("nics", nic.name, "ethtool", name), "BF152", what, "write 'speed:' beside it")
