"""The storage network as steps of the bootstrap: which there are for each release and policy, and what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.addr import Mac
from bootforge.generation import Generation
from bootforge.model import Plan
from bootforge.model_steps import Step
from bootforge.model_storage import Iface
from bootforge.plan.storage_steps import LIVE, in_order
from tests.golden.test_storage_files import BY_NAME, PROFILES
from tests.sites import san_with
from tests.unit.test_storage import EQL, GUEST, TWO, XEN, storage

INSTALL = ("install", *LIVE)


@pytest.fixture(scope="module")
def san(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return san_with(tmp_path_factory.mktemp("san"))


def step(plan: Plan, id: str) -> Step:
    (found,) = (one for one in plan.steps if one.id == id)
    return found


def released(root: Path, release: str, *changes: tuple[str, str]) -> Plan:
    profile = (f"{EQL}:\n", f"{EQL}:\n  profile: {PROFILES[release]}\n")
    return san_with(root, profile, ("san: {network", "san: {device: eth1, network"), *BY_NAME, *changes).plan(EQL)


def test_the_order(san: Generation) -> None:
    """What is configured, then what needs the array; all of it after packages and before files and their services."""
    plan = san.plan(EQL)
    kinds = [one.id for one in plan.steps]
    ours = kinds[kinds.index("iscsi-initiator") : kinds.index("paths") + 1]
    assert ours == [
        *("iscsi-initiator", "iscsi-conf", "iscsi-ifaces", "iscsi-secrets", "multipath", "lvm-scope", "san-boot"),
        *("fstab", "san-services", "san-sysctl-live", "iscsi-login", "volumes:data", "paths"),
    ]
    assert kinds.index("packages") < kinds.index("iscsi-initiator")
    live = {"san-sysctl-live", "iscsi-login", "volumes:data", "paths"}
    assert {one.id: one.phases for one in plan.steps if one.id in ours} == {
        id: LIVE if id in live else ("install",) if id == "iscsi-secrets" else INSTALL for id in ours
    }


def test_nothing_is_touched_on_another_machine(san: Generation) -> None:
    """Every step of storage needs the one that looks at nics, and so do the profiles of those nics."""
    for host in (EQL, TWO, XEN):
        plan = san.plan(host)
        steps = plan.steps
        ids = [one.id for one in steps]
        assert ids.index("storage-nics") < ids.index("packages")
        at = ids.index("iscsi-conf") - 1
        profiles = {one.path[1]: one.needs for one in steps if one.id.startswith("network:")}
        assert plan.storage
        ways = {iface.name for iface in plan.storage.ifaces}
        assert ways and all("storage-nics" in profiles[name] for name in ways)
        assert profiles["lan"] == ()
        last = max(n for n, one in enumerate(steps) if one.id.startswith(("volumes:", "paths", "iscsi-login")))
        assert all("storage-nics" in one.needs for one in steps[at + 1 : last + 1])
    assert not [one for one in san.plan(GUEST).steps if one.id == "storage-nics"]


def test_a_restart_is_owed_by_the_initiator_alone(san: Generation) -> None:
    owed = {one.id: one.notify for one in san.plan(EQL).steps if one.notify and one.id.startswith(("iscsi", "multi"))}
    assert owed == {"iscsi-initiator": ("restart:iscsid",), "multipath": ("reconfigure:multipathd",)}


def test_an_address_that_others_share_binds_no_iface(tmp_path: Path) -> None:
    """A VLAN, a bond, a bridge, and a nic of which one is made, go by the kernel's name."""
    nics = "san1: {network: den-san, mac: 52:54:00:12:35:03, address: 10.9.0.52, iscsi: true}"
    vlan = (
        "p: {mac: 52:54:00:12:35:03, network: den-san, device: eth2, address: 10.9.0.52, iscsi: true}\n"
        "    v: {kind: vlan, parent: p, vlan: 9, network: den-bmc, address: 10.3.0.9}"
    )
    plan = storage(san_with(tmp_path / "1", (nics, vlan)), EQL)
    assert plan.ifaces == (
        Iface("p", None, "eth2", "den-san"),
        Iface("san0", Mac("52:54:00:12:35:02"), None, "den-san"),
    )
    over = (
        "q: {mac: 52:54:00:12:35:03, device: eth2}\n"
        "    v: {kind: vlan, parent: q, vlan: 9, network: den-san, address: 10.9.0.52, iscsi: true}"
    )
    generation = san_with(tmp_path / "2", (nics, over))
    assert storage(generation, EQL).ifaces[1] == Iface("v", None, "eth2.9", "den-san")
    words = step(generation.plan(EQL), "storage-nics").args
    assert words == ("own", "san0", Mac("52:54:00:12:35:02"), "mac", "q", Mac("52:54:00:12:35:03"))
    assert step(generation.plan(EQL), "storage-devices").args == ("device", "v", "eth2.9")
    needs = {one.id: one.needs for one in generation.plan(EQL).steps if one.id.startswith("network:")}
    assert "storage-nics" in needs["network:q"] and "storage-devices" not in needs["network:v"]
    ifaces = step(generation.plan(EQL), "iscsi-ifaces").args
    assert ifaces[3:] == ("v", "iface.net_ifacename", "eth2.9")
    assert "path eql-den v device eth2.9 1500 10.9.0.10:3260 -" in (
        step(generation.plan(EQL), "iscsi-login").content or ""
    )


@pytest.mark.parametrize("release", PROFILES)
def test_settings_of_a_release(tmp_path: Path, release: str) -> None:
    plan = released(tmp_path, release)
    settings = dict(storage_of(plan).settings)
    assert settings["node.startup"] == "manual" and settings["node.session.timeo.replacement_timeout"] == "15"
    assert ("node.session.initial_login_retry_max" in settings) == (release != "el5")
    assert dict(storage_of(plan).sysctl) == {
        f"net/ipv4/conf/{device}/{key}": value
        for device in ("eth1", "eth2")
        for key, value in (("arp_announce", "2"), ("arp_ignore", "1"), ("rp_filter", "0" if release == "el5" else "2"))
    }
    services = step(plan, "san-services").args
    if release in ("el5", "el6"):
        assert services == ("iscsid", "enabled", "iscsi", "enabled", "netfs", "enabled", "multipathd", "on")
    else:
        assert services == ("iscsid.socket", "on", "multipathd", "on")
    assert step(plan, "lvm-scope").args[0] == ("filter" if release in ("el5", "el6") else "global_filter")


def storage_of(plan: Plan):  # type: ignore[no-untyped-def]
    assert plan.storage is not None
    return plan.storage


def test_sysctl_is_for_nics_that_share_a_network(tmp_path: Path, san: Generation) -> None:
    """By name where all are known; never against the site's own word."""
    assert storage(san, TWO).sysctl == () == storage(san, XEN).sysctl
    assert [key for key, _ in storage(san, EQL).sysctl] == [
        f"net/ipv4/conf/all/{key}" for key in ("arp_announce", "arp_ignore", "rp_filter")
    ]
    said = ("  initiator:", "  sysctl: {net.ipv4.conf.all.rp_filter: 1}\n  initiator:")
    plan = san_with(tmp_path, said).plan(EQL)
    assert ("net/ipv4/conf/all/rp_filter", "2") not in storage_of(plan).sysctl
    text = step(plan, "sysctl").content or ""
    assert "net.ipv4.conf.all.rp_filter = 1" in text and "net/ipv4/conf/all/arp_ignore = 1" in text


def test_without_multipath(tmp_path: Path, san: Generation) -> None:
    plan = san.plan(XEN)
    ids = {one.id for one in plan.steps}
    assert not ids & {"multipath", "paths", "fstab", "iscsi-initiator"}
    assert dict(storage(san, XEN).settings)["node.session.timeo.replacement_timeout"] == "120"
    assert step(plan, "volumes:guests").args[:3] == (
        *("guests", "/dev/disk/by-id/scsi-36090a01820494c580000000000000002"),
        "36090a01820494c580000000000000002",
    )


def test_an_array_is_asked_for_all_unless_every_target_is_known(tmp_path: Path, san: Generation) -> None:
    assert "10.9.4.10:3260,10.9.4.11:3260 -\n" in (step(san.plan(TWO), "iscsi-login").content or "")
    target = "iqn.2002-03.com.compellent:5000d31000a1b2c5"
    plan = san_with(tmp_path, ("mount: /srv/logs", f"target: {target}, mount: /srv/logs")).plan(TWO)
    known = "iqn.2002-03.com.compellent:5000d31000a1b2c4,iqn.2002-03.com.compellent:5000d31000a1b2c5"
    assert f"10.9.4.10:3260,10.9.4.11:3260 {known}\n" in (step(plan, "iscsi-login").content or "")


def test_frames_are_as_large_as_the_network_says(tmp_path: Path) -> None:
    text = (Path(__file__).parent.parent / "cases/with/san/site.yaml").read_text()
    generation = san_with(tmp_path, ("    range: 10.9.3.100", "    mtu: 9000\n    range: 10.9.3.100"), file="site.yaml")
    assert "mtu" not in text
    assert " 9000 10.9.0.10:3260 -" in (step(generation.plan(EQL), "iscsi-login").content or "")


def test_secrets_are_names(san: Generation) -> None:
    login = step(san.plan(EQL), "iscsi-login")
    assert login.args == ("db02", "chap_host", "eql", "chap_array") and login.secrets == ("chap_host", "chap_array")
    kept = step(san.plan(EQL), "iscsi-secrets")
    assert kept.args == kept.secrets == ("chap_host", "chap_array")
    kickstart = san.artifact(EQL, "kickstart").text
    assert "printf '%s\\n' @secret:chap_host@ >" in kickstart and "@secret:chap_array@" in kickstart
    assert step(san.plan(TWO), "iscsi-login").args == ("", "", "", "")


def test_mounts_are_in_an_order_in_which_none_hides_another(tmp_path: Path) -> None:
    more = "\n    a: {array: eql-den, wwid: 36090a01820494c58000000000000000a, fs: xfs, mount: /srv/orders/a}"
    volume = "vg: vg_data, lv: orders, mount: /srv/orders}"
    plan = san_with(tmp_path, (volume, volume + more)).plan(EQL)
    assert [one.name for one in in_order(storage_of(plan))] == ["data", "a"]
    ids = [one.id for one in plan.steps]
    assert ids.index("volumes:data") < ids.index("volumes:a")


def test_packages_follow_from_volumes(tmp_path: Path, san: Generation) -> None:
    """In the kickstart too; 'explain' tells the line, and nobody else gets any."""
    needed = {"iscsi-initiator-utils", "device-mapper-multipath", "lvm2", "xfsprogs"}
    assert needed <= set(san.host(EQL).spec.packages)
    assert needed <= {package.text for package in san.plan(EQL).install.packages}
    assert needed & set(san.host(XEN).spec.packages) == {"iscsi-initiator-utils", "lvm2"}
    assert needed & set(san.host(TWO).spec.packages) == {"iscsi-initiator-utils", "device-mapper-multipath"}
    assert not needed & set(san.host(GUEST).spec.packages)
    said = {path[1]: trail[-1] for path, trail in san.host(EQL).trails.items() if path[0] == "packages"}
    assert said["lvm2"].layer == "needed by volumes" and said["lvm2"].origin.file == "hosts/san.yaml"


def test_only_who_has_volumes_carries_their_library(san: Generation) -> None:
    assert "bf_iscsi_login()" in san.artifact(EQL, "bootstrap").text
    assert "iscsi" not in san.artifact(GUEST, "bootstrap").text
