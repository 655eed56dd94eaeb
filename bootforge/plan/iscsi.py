"""What open-iscsi and the kernel are told: timeouts, logins, and how nics of one subnet answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping

from bootforge.model import Nic
from bootforge.model_storage import ArrayPlan, Iface
from bootforge.releases import Release
from bootforge.site.scalars_settings import sysctl_file

CONF = "/etc/iscsi/iscsid.conf"


def make_iface(nic: Nic, nics: tuple[Nic, ...]) -> Iface:
    """By MAC address where the nic has one of its own and nothing else on the host has it; else by the kernel's name: a
    bond, VLAN or bridge has the address of what it is made of, and open-iscsi takes the first device that it finds
    (usr/iscsi_net_util.c)."""
    assert nic.network is not None
    shared = any(nic.name in other.below or (other.mac == nic.mac and other.name != nic.name) for other in nics)
    if nic.kind == "physical" and nic.mac and not shared:
        return Iface(nic.name, nic.mac, None, nic.network.name)
    return Iface(nic.name, None, nic.device, nic.network.name)


def settings_of(policy: str, arrays: tuple[ArrayPlan, ...], release: Release) -> tuple[tuple[str, str], ...]:
    """Keys of iscsid.conf and of every node record. A path that is dead is told to multipath soon; without it the
    session waits as long as open-iscsi does by itself (etc/iscsid.conf). An EqualLogic takes no FastAbort (ibid.,
    "Workarounds"). Nothing logs in by itself at boot: our own unit does."""
    replacement = "15" if policy == "multipath" else "120"
    keys = [
        ("node.startup", "manual"),
        ("node.session.timeo.replacement_timeout", replacement),
        ("node.conn[0].timeo.login_timeout", "15"),
        ("node.conn[0].timeo.noop_out_interval", "5"),
        ("node.conn[0].timeo.noop_out_timeout", "10"),
    ]
    if release.login_retries:
        keys.append(("node.session.initial_login_retry_max", "3"))
    if any(array.vendor == "EQLOGIC" for array in arrays):
        keys.append(("node.session.iscsi.FastAbort", "No"))
    return tuple(keys)


def sysctl_of(nics: tuple[Nic, ...], release: Release, said: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Keys of sysctl for nics for iSCSI that share a subnet: each answers for its own address only, and takes what
    comes back another way. By the kernel's names where all are known; else for all nics, because the kernel takes the
    larger of both values (Documentation/networking/ip-sysctl.rst). What the site says itself stays."""
    together = Counter(nic.network.name for nic in nics if nic.network)
    nics = tuple(nic for nic in nics if nic.network and together[nic.network.name] > 1)
    if not nics:
        return ()
    devices = [nic.device for nic in nics if nic.device]
    values = {"arp_announce": "2", "arp_ignore": "1", "rp_filter": "2" if release.loose_rp else "0"}
    keys = (
        (f"net/ipv4/conf/{device}/{key}", value)
        for device in (sorted(devices) if len(devices) == len(nics) else ["all"])
        for key, value in values.items()
    )
    return tuple((key, value) for key, value in keys if not _says(said, key))


def _says(said: Mapping[str, str], key: str) -> bool:
    return any(sysctl_file(other) == key for other in said)


def conf_edits(settings: tuple[tuple[str, str], ...]) -> str:
    """The program for bf_edits that sets the keys in iscsid.conf."""
    return "".join(_edits(settings)) + "block\n# BEGIN Bootforge: iSCSI\n# END Bootforge: iSCSI\n0\n"


def _edits(settings: tuple[tuple[str, str], ...]) -> Iterator[str]:
    for key, value in settings:
        yield f"set\n{key}\n=\n{key} = {value}\n"
