"""The storage network: what is read of arrays and volumes, which ways lead to them, and what guests may use."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import date
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from bootforge.addr import Mac
from bootforge.cli.output import plain
from bootforge.errors import SiteError
from bootforge.generation import Generation
from bootforge.lint import lint
from bootforge.model_storage import ArrayPath, ChapPlan, Iface, Portal, StoragePlan
from bootforge.plan.digest import plan_digest, plan_shape
from bootforge.plan.domain import logical_volume
from bootforge.plan.fleet import duplicates
from bootforge.plan.placement import _canonical, _whole_or_part
from bootforge.releases import RELEASES
from bootforge.words import Slot
from tests.sites import generation_with, san_with
from tests.unit.test_scalars import read

EQL, TWO, XEN = "db02.prod.den.example.com", "db03.prod.den.example.com", "xen01.den.example.com"
GUEST, OTHER = "app02.qa.den.example.com", "app03.qa.den.example.com"


@pytest.fixture(scope="module")
def san(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return san_with(tmp_path_factory.mktemp("san"))


def storage(generation: Generation, host: str) -> StoragePlan:
    found = generation.plan(host).storage
    assert found is not None
    return found


def codes(error: pytest.ExceptionInfo[SiteError]) -> list[str]:
    return [problem.code for problem in error.value.problems]


# Scalars


@pytest.mark.parametrize(
    "kind,text,value",
    [
        ("PortalText", "10.9.0.10", Portal(IPv4Address("10.9.0.10"), 3260)),
        ("PortalText", "10.9.0.10:860", Portal(IPv4Address("10.9.0.10"), 860)),
        ("Percent", "1%", 1),
        ("Percent", "100%", 100),
        ("Lun", "0", 0),
        ("Lun", "16383", 16383),
        ("Wwid", "36090A01820494C580000000000000001", "36090a01820494c580000000000000001"),
        ("Wwid", "35000c500a1b2c3d4", "35000c500a1b2c3d4"),
        ("Wwid", "20000000000000001", "20000000000000001"),
        ("Iqn", "iqn.2001-05.com.equallogic:0-8a0906-lab-vol1", "iqn.2001-05.com.equallogic:0-8a0906-lab-vol1"),
        ("Iqn", "iqn.2001-05.com.example", "iqn.2001-05.com.example"),
        ("Iqn", "eui.02004567a425678d", "eui.02004567a425678d"),
        ("Iqn", "naa.52004567ba64678d", "naa.52004567ba64678d"),
        ("Group", "vg_data", "vg_data"),
        ("Logical", "orders.2", "orders.2"),
        ("Vendor", "LIO-ORG", "LIO-ORG"),
        ("Product", "Compellent Vol", "Compellent Vol"),
        ("Fabric", "A", "A"),
        ("ChapUser", "iqn.2008-05.com.example:db01", "iqn.2008-05.com.example:db01"),
    ],
)
def test_what_is_read(kind: str, text: str, value: object) -> None:
    assert read(kind, text) == value


@pytest.mark.parametrize(
    "kind,text",
    [
        ("PortalText", "10.9.0.10:"),
        ("PortalText", "10.9.0.10:0"),
        ("PortalText", "10.9.0.10:03260"),
        ("PortalText", "10.9.0.10:65536"),
        ("PortalText", "10.9.0.10,1"),
        ("PortalText", "eql.example.com:3260"),
        ("Percent", "0%"),
        ("Percent", "101%"),
        ("Percent", "80"),
        ("Percent", "8.5%"),
        ("Lun", "01"),
        ("Lun", "-1"),
        ("Wwid", "36090a01820494c5800000000000000012"),
        ("Wwid", "37090a01820494c580000000000000001"),
        ("Wwid", "36090a01820494c58000000000000000g"),
        ("Wwid", "mpatha"),
        ("Iqn", "iqn.2001-13.com.example:x"),
        ("Iqn", "iqn.2001-05.com.example:x y"),
        ("Iqn", "iqn.2001-05.com.example:x\\y"),
        ("Iqn", "iqn.2001-05.com.example:" + "x" * 200),
        ("Iqn", "eui.02004567A425678D"),
        ("Group", "-data"),
        ("Group", "../data"),
        ("Group", "data/orders"),
        ("Logical", "pvmove0"),
        ("Logical", "orders_rmeta_1"),
        ("Vendor", "EQUALLOGI"),
        ("Vendor", 'EQ"LOGIC'),
        ("Product", " 100E-00"),
        ("Fabric", "fabric a"),
        ("ChapUser", "db02 # x"),
    ],
)
def test_what_is_refused(kind: str, text: str) -> None:
    with pytest.raises(ValueError, match="; "):
        read(kind, text)


# Ways to an array


def test_one_subnet_two_nics(san: Generation) -> None:
    """EqualLogic: both nics to the one address of the group, each as an iface of its own, bound by MAC."""
    plan = storage(san, EQL)
    assert plan.ifaces == (
        Iface("san0", Mac("52:54:00:12:35:02"), None, "den-san"),
        Iface("san1", Mac("52:54:00:12:35:03"), None, "den-san"),
    )
    (array,) = plan.arrays
    group = (Portal(IPv4Address("10.9.0.10")),)
    assert (array.name, array.vendor, array.product) == ("eql-den", "EQLOGIC", "100E-00")
    assert array.paths == (ArrayPath("san0", None, group), ArrayPath("san1", None, group))
    assert (plan.policy, plan.initiator) == ("multipath", "iqn.2008-05.com.example.den:db02.prod")


def test_two_fabrics(san: Generation) -> None:
    """Each nic to the portals of its own fabric, and to no other."""
    (array,) = storage(san, TWO).arrays
    assert [(path.iface, path.fabric, [str(portal) for portal in path.portals]) for path in array.paths] == [
        ("a", "A", ["10.9.4.10:3260", "10.9.4.11:3260"]),
        ("b", "B", ["10.9.5.10:3260", "10.9.5.11:3260"]),
    ]


@pytest.mark.parametrize("policy", ["single"])
def test_one_way_is_one_nic_and_one_portal(tmp_path: Path, policy: str) -> None:
    """A second portal would show each volume as a second disk."""
    b = "b: {network: den-fab-b, mac: 52:54:00:12:36:03, address: 10.9.5.61, iscsi: true}"
    generation = san_with(tmp_path, (b, b.replace("true", f"false}}\n  path_policy: {policy}")[:-1]))
    (array,) = storage(generation, TWO).arrays
    assert array.paths == (ArrayPath("a", "A", (Portal(IPv4Address("10.9.4.10")),)),)


def test_the_first_portal_is_the_lowest_address(tmp_path: Path) -> None:
    """Not the first as text, which '10' would be before '9'."""
    generation = san_with(tmp_path, ("[10.9.0.10]", "[10.9.0.10, 10.9.0.9]"), file="arrays.yaml")
    assert [str(portal) for portal in storage(generation, XEN).arrays[0].paths[0].portals] == ["10.9.0.9:3260"]
    assert len(storage(generation, EQL).arrays[0].paths[0].portals) == 2


def test_a_nic_that_is_not_for_iscsi_is_no_way(san: Generation) -> None:
    names = {iface.name for host in (EQL, TWO, XEN) for iface in storage(san, host).ifaces}
    assert names == {"san0", "san1", "a", "b", "san"}


def test_a_host_without_volumes_has_no_storage(san: Generation) -> None:
    assert san.plan(GUEST).storage is None


def test_a_nic_without_a_mac_is_told_once(tmp_path: Path) -> None:
    """Not also that the array is not reached: it may be, once the nic is known."""
    with pytest.raises(SiteError) as error:
        san_with(tmp_path, ("mac: 52:54:00:12:35:03, ", ""))
    assert codes(error) == ["BF040"]


def test_two_arrays_of_one_host(tmp_path: Path) -> None:
    nic = "\n    c: {network: den-san, mac: 52:54:00:12:36:04, iscsi: true}"
    more = "\n    d: {network: den-san, mac: 52:54:00:12:36:05, iscsi: true}"
    volume = "\n    old: {array: eql-den, wwid: 36090a01820494c580000000000000007}"
    b, fast = "52:54:00:12:36:03, address: 10.9.5.61, iscsi: true}", "lun: 1}"
    plan = storage(san_with(tmp_path, (b, b + nic + more), (fast, fast + volume)), TWO)
    assert [(array.name, [path.iface for path in array.paths]) for array in plan.arrays] == [
        ("eql-den", ["c", "d"]),
        ("two-den", ["a", "b"]),
    ]


# Volumes


def test_volumes_as_they_are_planned(san: Generation) -> None:
    (data,) = storage(san, EQL).volumes
    assert (data.name, data.pool, data.group, data.logical, data.mount) == (
        *("data", "default", "vg_data", "orders"),
        "/srv/orders",
    )
    fast, logs = storage(san, TWO).volumes
    assert (fast.fstype, fast.lun, fast.target) == (None, 1, "iqn.2002-03.com.compellent:5000d31000a1b2c4")
    assert (logs.fstype, logs.size, logs.group) == ("ext4", 2 * 1024**2, None)


@pytest.mark.parametrize("release,fstype", [("centos5", "ext3"), ("centos6", "ext4"), ("rocky9", "xfs")])
def test_a_file_system_is_what_the_release_makes(tmp_path: Path, release: str, fstype: str) -> None:
    """A default alone makes no file system: a volume without a mount point stays as it is."""
    device = "lan: {device: eth0, mac"
    generation = san_with(
        tmp_path,
        ("lan: {mac", device),
        *((f"{nic}: {{network", f"{nic}: {{device: {nic}, network") for nic in ("san0", "san1", "san", "a", "b")),
        ("db02.prod.den.example.com:\n", f"db02.prod.den.example.com:\n  profile: {release}\n"),
    )
    assert storage(generation, EQL).volumes[0].fstype == fstype


def test_nested_mount_points_are_two(tmp_path: Path) -> None:
    generation = san_with(tmp_path, ("mount: /srv/orders", "mount: /var/lib"))
    assert storage(generation, EQL).volumes[0].mount == "/var/lib"


def test_a_volume_that_both_say_they_share(tmp_path: Path) -> None:
    shared = "wwid: 36090a01820494c580000000000000002, shared_by: [db02.prod.den.example.com, xen01.den.example.com]"
    generation = san_with(
        tmp_path,
        ("wwid: 36090a01820494c580000000000000001, vg: vg_data, lv: orders, mount: /srv/orders", shared),
        ("wwid: 36090a01820494c580000000000000002, vg: vg_guests", shared),
    )
    assert storage(generation, XEN).volumes[0].shared_by == (EQL, XEN)
    alone = [replace(storage(generation, XEN).volumes[0], shared_by=(XEN,))]
    plans = [generation.plan(EQL), generation.plan(XEN)]
    assert [*duplicates(plans)] == []
    plans[1] = replace(plans[1], storage=replace(storage(generation, XEN), volumes=tuple(alone)))
    (found,) = duplicates(plans)
    assert (found.first, found.second, found.path) == (EQL, XEN, ("volumes", "guests", "wwid"))


def test_of_three_hosts_each_pair_must_agree(san: Generation) -> None:
    """The second and the third too, though both agree with the first."""

    def plan(host: str, *others: str) -> Any:
        volume = replace(storage(san, EQL).volumes[0], shared_by=others)
        mine = replace(storage(san, EQL), volumes=(volume,), initiator=None)
        return replace(san.plan(host), storage=mine)

    found = [*duplicates([plan(EQL, TWO, XEN), plan(TWO, EQL), plan(XEN, EQL)])]
    assert [(one.first, one.second) for one in found] == [(TWO, XEN)]


# Secrets


def test_secrets_of_chap_are_slots(san: Generation) -> None:
    plan = storage(san, EQL)
    assert plan.chap == ChapPlan("db02", Slot("secret:chap_host"), "eql", Slot("secret:chap_array"))
    assert plain(plan)["chap"]["mutual_secret"] == "@secret:chap_array@"


def test_secrets_of_chap_are_used(san: Generation) -> None:
    assert [*lint(san, san.hosts, today=date(2026, 1, 1))] == []


# Shapes


def test_what_every_host_has_of_its_own_makes_no_shape(tmp_path: Path, san: Generation) -> None:
    """WWIDs, targets and initiators differ between hosts that are alike; a mount point makes another."""
    text = ("36090a01820494c580000000000000001", "36090a01820494c58000000000000000f"), ("2008-05", "2009-05")
    other = san_with(tmp_path / "own", *text).plan(EQL)
    assert plan_shape(other) == plan_shape(san.plan(EQL)) and plan_digest(other) != plan_digest(san.plan(EQL))
    assert plan_shape(san_with(tmp_path / "not", ("/srv/orders", "/srv/else")).plan(EQL)) != plan_shape(san.plan(EQL))


# Guests


def test_where_a_guest_runs(san: Generation) -> None:
    here, there = san.plan(GUEST).domain, san.plan(OTHER).domain
    assert here is not None and there is not None
    assert (here.on, here.candidates, here.autostart) == (XEN, (), True)
    assert (there.on, there.candidates, there.autostart) == (None, (XEN,), False)


def test_a_guest_need_not_say_where_it_runs(tmp_path: Path) -> None:
    generation_with(tmp_path)


def test_guests_of_two_parents_may_name_one_device(tmp_path: Path) -> None:
    """The same name is another device on another machine; and a candidate is not a parent."""
    same = ("/dev/vg_guests/app03", "/dev/vg_guests/app02")
    san_with(tmp_path / "candidate", same)
    other = "xen02.den.example.com: {profile: fedora46, nics: {p: {mac: 52:54:00:12:3a:01}, lan: {kind: bridge,"
    other += " device: xenbr0, ports: [p], address: 10.2.0.72}}}\n\napp03.qa"
    on = ("candidates: [xen01.den.example.com]", "on: xen02.den.example.com")
    san_with(tmp_path / "two", same, on, ("app03.qa", other))


@pytest.mark.parametrize("backing", ["/dev/sdab", "/dev/system/app", "/dev/vg_guests/root", "/dev/mapper/guests2"])
def test_what_only_looks_like_the_parents_own(tmp_path: Path, backing: str) -> None:
    san_with(tmp_path, ("/dev/vg_guests/app02", backing))


@pytest.mark.parametrize(
    "device,name",
    [
        ("/dev/vg0/a", "/dev/vg0/a"),
        ("/dev/mapper/vg0-a", "/dev/vg0/a"),
        ("/dev/mapper/vg--0-a--b", "/dev/vg-0/a-b"),
        ("/dev/mapper/data", "/dev/data"),
    ],
)
def test_one_name_for_a_device(device: str, name: str) -> None:
    assert _canonical(device) == name


@pytest.mark.parametrize(
    "disk,device,own",
    [
        ("/dev/sda", "/dev/sda", True),
        ("/dev/sda", "/dev/sda12", True),
        ("/dev/sda", "/dev/sdap1", False),
        ("/dev/nvme0n1", "/dev/nvme0n1p2", True),
        ("/dev/nvme0n1", "/dev/nvme0n12", False),
        ("/dev/disk/by-id/wwn-0x5", "/dev/disk/by-id/wwn-0x5-part1", True),
        ("/dev/disk/by-id/wwn-0x5", "/dev/disk/by-id/wwn-0x51", False),
    ],
)
def test_a_disk_and_its_parts(disk: str, device: str, own: bool) -> None:
    assert bool(re.fullmatch(_whole_or_part(disk), device)) is own


def test_the_memory_that_installers_ask_for() -> None:
    """EL7 and later keep their image in memory; anaconda's MIN_RAM and SQUASHFS_EXTRA_RAM."""
    known = {"el5": 64, "el6": 384, "el7": 320 + 350}
    assert {name: release.memory for name, release in RELEASES.items()} == {
        name: known.get(name, 320 + 750) for name in RELEASES
    }


def test_who_switches_the_installers_check_off_is_believed(tmp_path: Path) -> None:
    few = ("vm: {autostart: true, ", "vm: {memory: 768MiB, autostart: true, ")
    san_with(tmp_path, few, ("  on: xen01", "  install: {args: [inst.nomemcheck]}\n  on: xen01"))


@pytest.mark.parametrize(
    "device,names",
    [
        ("/dev/vg0/web01", ("vg0", "web01")),
        ("/dev/mapper/vg--0-a--b", ("vg-0", "a-b")),
        ("/dev/mapper/data", None),
        ("/dev/sda", None),
        ("/dev/disk/by-id/x", None),
        ("/dev/disk/x", None),
        ("/dev/vg0/-n", None),
    ],
)
def test_which_devices_are_logical_volumes(device: str, names: tuple[str, str] | None) -> None:
    assert logical_volume(device) == names
