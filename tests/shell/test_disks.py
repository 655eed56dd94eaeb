"""%pre under every shell that it may meet: disks found or not, the guard, what is written, what is reported."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from bootforge.lint.shape import sections
from bootforge.model import Grant
from bootforge.render.kickstart import STORAGE
from bootforge.seal import Vault, seal
from tests.shell.machine import FC, ISCSI, LOCAL, SAS, USB, Machine, Ran, ext, xfs
from tests.shell.test_bootstrap import SHELLS
from tests.sites import BASE, WEB, generation_with
from tests.support import need

RULES = "assign: [{name: guests, when: role_app, virt: xen}]\n"
MARK = "bf-c10897c2"
ROOT = "filesystems: {root: {mount: /, size: 8GiB}}\n"
ONE = "disks: {system: {path: /dev/sda}}\n" + ROOT
DATA = (
    "disks: {system: {path: /dev/sda}, data: {path: /dev/sdb}}\n"
    "volume_groups: {data: {disks: [data], preserve: true}}\n"
    "filesystems: {root: {mount: /, size: 8GiB}, srv: {mount: /srv, size: 2GiB, group: data}}\n"
)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param.split()
    need(words[0])
    return words


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@cache
def pre(layout: str, *wipe: str, policy: str = "") -> str:
    """The body of %pre of a host with this layout, sealed for a grant that permits to wipe disks."""
    site = (BASE / "site.yaml").read_text() + policy
    with TemporaryDirectory() as root:
        generation = generation_with(Path(root), {"layouts/lvm.yaml": layout, "site.yaml": site, "rules.yaml": RULES})
    assert generation.plan(WEB).install.disks.mark == MARK
    artifact = generation.artifact(WEB, "kickstart")
    artifact = type(artifact)(artifact.name, "", artifact.text, _no_secrets(artifact.slots), "")
    text = seal(artifact, Grant(WEB, "", "", "", wipe), Vault({})).decode()
    script = sections(text, "%pre")[0]
    assert ("bf_line ''" in script) == (STORAGE in text)
    return script


def _no_secrets(slots: tuple) -> tuple:  # type: ignore[type-arg]
    return tuple(use for use in slots if not use.slot.source.startswith("secret:"))


def why(ran: Ran) -> str:
    """Why it refused: one reason for each line of the report, which was sent."""
    assert ran.status == 1 and ran.storage == [], ran.out + ran.err
    assert ran.sent == "http://10.0.0.1/i/web01/0123456789abcdef/report/failed\n" + "".join(
        f"{x}\n" for x in ran.report
    )
    assert all(line.startswith("failed\t0\tdisks\t") for line in ran.report)
    return "\n".join(line.removeprefix("failed\t0\tdisks\t") for line in ran.report)


# The guard


BLANK: dict[str, dict] = {  # type: ignore[type-arg]
    "blank": {},
    "blank, of 1 MiB": {"mib": 1},
    "blank, of an odd size": {"mib": 3.5},
    "its own, ext": {"parts": {"sda1": {}, "sda2": ext(MARK)}, "content": {0: b"x"}},
    "its own, xfs": {"parts": {"sda1": xfs(MARK)}, "content": {0: b"x"}},
    "its own, another partition of it": {"parts": {"sda1": xfs(MARK + "b")}, "content": {0: b"x"}},
}
FULL: dict[str, dict] = {  # type: ignore[type-arg]
    "a boot sector": {"content": {0: bytes(510) + b"\x55\xaa"}},
    "a backup GPT": {"content": {-512 / 1024 / 1024: b"EFI PART"}},
    "an array's end": {"content": {-64 / 1024: b"\xfc\x4e\x2b\xa9"}},
    "btrfs": {"content": {64 / 1024: b"_BHRfS_M"}},
    "a newline": {"content": {0.5: b"\n"}},
    "the last byte": {"content": {-1 / 1024 / 1024: b"x"}},
    "a partition, and zeros": {"parts": {"sda1": {}}},
    "another host's": {"parts": {"sda1": ext("bf-00000000")}, "content": {0: b"x"}},
    "a longer label": {"parts": {"sda1": ext(MARK + "00")}, "content": {0: b"x"}},
    "the label on no file system": {"parts": {"sda1": {1144: MARK.encode()}}, "content": {0: b"x"}},
    "the label on the whole disk": {"content": {k / 1024 / 1024: v for k, v in ext(MARK).items()}},
}


@pytest.mark.parametrize("what", BLANK)
def test_what_is_blank_or_ones_own_may_be_wiped(shell: list[str], machine: Machine, what: str) -> None:
    machine.disk("sda", **BLANK[what])
    ran = machine.run(shell, pre(ONE))
    assert (ran.status, ran.sent, ran.report, ran.err) == (0, "", [], "")


@pytest.mark.parametrize("what", FULL)
def test_anything_else_is_refused(shell: list[str], machine: Machine, what: str) -> None:
    machine.disk("sda", **FULL[what])
    assert why(machine.run(shell, pre(ONE))) == (
        f"disk system: sda is neither blank nor this host's own ({MARK}); 'arm --wipe system' permits to wipe it"
    )
    assert "not installed: disk system: sda" in (machine.root / "dev/console").read_text()


def test_the_grant_permits_to_wipe_what_it_names(shell: list[str], machine: Machine) -> None:
    machine.disk("sda", content={0: b"x"})
    machine.disk("sdb", content={0: b"x"})
    layout = ONE.replace("}}\n", "}, b: {path: /dev/sdb}}\n", 1)
    said = why(machine.run(shell, pre(layout, "system")))
    assert said.startswith("disk b: sdb is neither") and "\n" not in said
    for _number, wipe in enumerate([("b", "system"), ("all",)]):
        assert machine.run(shell, pre(layout, *wipe)).status == 0
    assert "disk system" in why(machine.run(shell, pre(layout, "b")))


def test_the_policy_can_turn_the_guard_off_but_not_for_what_is_kept(
    shell: list[str], machine: Machine, tmp_path: Path
) -> None:
    machine.disk("sda", content={0: b"x"})
    machine.disk("sdb", content={0: b"x"})
    off = "policy: {guard: off}\n"
    assert machine.run(shell, pre(ONE, policy=off)).status == 0
    assert "disk data: sdb is neither blank nor volume group data's" in why(machine.run(shell, pre(DATA, policy=off)))


def test_what_cannot_be_read_is_not_blank(shell: list[str], machine: Machine) -> None:
    machine.disk("sda")
    (machine.root / "dev/sda").unlink()
    (machine.root / "dev/sda").mkdir()
    assert "disk system: sda is neither" in why(machine.run(shell, pre(ONE)))
    if shell[0] != "busybox":  # which is its own dd
        (machine.root / "dev/sda").rmdir()
        (machine.root / "dev/sda").write_bytes(bytes(100 << 20))
        (machine.bin / "dd").unlink()
        assert "disk system: sda is neither" in why(machine.run(shell, pre(ONE)))


def test_a_volume_group_carries_the_mark_too(shell: list[str], machine: Machine) -> None:
    """The second disk of the system's group has no /boot."""
    layout = ONE.replace("}}\n", "}, b: {path: /dev/sdb}}\n", 1)
    machine.disk("sda")
    machine.disk("sdb", parts={"sdb1": {}}, content={0: b"x"})
    machine.lvm([("/dev/sdb1", "system", f"other,{MARK}"), ("/dev/sdc1", "", "")])
    assert machine.run(shell, pre(layout)).status == 0
    for pvs in ([("/dev/sdb1", "system", "bf-00000000")], [("/dev/sdba1", "system", MARK)], [("/dev/sdb1", MARK, "")]):
        machine.lvm(pvs)
        assert "disk b: sdb is neither" in why(machine.run(shell, pre(layout)))


# Which disks


FOUND: dict[str, tuple[str, dict]] = {  # type: ignore[type-arg]
    "id": ("{id: ata-A_1}", {}),
    "serial": ("{serial: S 1}", {"serial": "S 1"}),
    "serial of NVMe, with blanks about it": ("{serial: S1}", {"device__serial": " S1   \n"}),
    "serial of SCSI": ("{serial: S1}", {"device__vpd_pg80": b"\0\x80\0\x06S1    "}),
    "wwn": ("{wwn: 0x5000c500a1b2c3d4}", {"device__wwid": "naa.5000c500a1b2c3d4\n"}),
    "wwn of NVMe": ("{wwn: eui.0025385a91b0c4f1}", {"wwid": "eui.0025385a91b0c4f1\n"}),
    "size": ("{min_size: 100MiB, max_size: 100MiB}", {}),
    "all": ("{id: ata-A_1, serial: S1, min_size: 50MiB, max_size: 1GiB}", {"serial": "S1\n"}),
    "a hostile serial": ("{serial: '$(reboot) `x`\"*\\'}", {"serial": '$(reboot) `x`"*\\\n'}),
}


@pytest.mark.parametrize("what", FOUND)
def test_a_disk_is_found_by_what_it_is(shell: list[str], machine: Machine, what: str) -> None:
    criteria, facts = FOUND[what]
    place = LOCAL.replace("ata1", "ata2")
    machine.disk("sda", 99, serial="S2", device__wwid="naa.5000c500a1b2c3d5")
    machine.disk("sdb", 100, place=place, **facts)
    machine.disk("sdc", 101, place=LOCAL.replace("ata1", "ata3"), serial="*")
    machine.link("ata-A_1", "sdb")
    machine.link("ata-A_1-part1", "sdb1")
    ran = machine.run(shell, pre(f"disks: {{system: {criteria}}}\n{ROOT}"))
    assert ran.status == 0, ran.out + ran.err
    assert ran.err == ""
    assert ran.storage[0] == "ignoredisk --only-use=sdb"
    assert ran.storage[2] == "clearpart --all --initlabel --drives=sdb"
    assert ran.storage[5] == f"part /boot --fstype=xfs --size=1024 --label={MARK} --ondisk=sdb"


def test_udev_tells_what_the_kernel_does_not(shell: list[str], machine: Machine) -> None:
    machine.disk("sda")
    machine.disk("sdb", place=SAS)
    machine.tool(
        "udevadm",
        'case $* in *--name=/dev/sdb) printf "%s\\n" DEVNAME=/dev/sdb ID_SERIAL_SHORT=A=1 ID_WWN=0x5000c500a1b2c3d4 ;;'
        " *) echo ID_SERIAL=x ;; esac",
    )
    layout = f"disks: {{system: {{serial: A=1, wwn: '0x5000c500a1b2c3d4'}}}}\n{ROOT}"
    assert machine.run(shell, pre(layout)).storage[0] == "ignoredisk --only-use=sdb"


def test_none_and_too_many_are_refused(shell: list[str], machine: Machine) -> None:
    layout = f"disks: {{system: {{min_size: 50MiB}}}}\n{ROOT}"
    script = pre(layout)
    assert why(machine.run(shell, script)) == "disk system: 1 wanted (min_size=50), found: none"
    machine.disk("sda", 49.9)
    assert why(machine.run(shell, script)) == "disk system: 1 wanted (min_size=50), found: none"
    machine.disk("vda", 50, place="pci0000:00/0000:00:03.0/virtio1")
    assert machine.run(shell, script).status == 0
    machine.disk("cciss/c0d0", 50, place="pci0000:00/0000:00:04.0/cciss0/c0d0")
    assert why(machine.run(shell, script)) == "disk system: 1 wanted (min_size=50), found: cciss/c0d0 vda"


def test_as_many_as_are_wanted(shell: list[str], machine: Machine) -> None:
    layout = (
        "disks: {system: {max_size: 60MiB}, data: {min_size: 1TiB, count: 2}}\nraid: none\n"
        "volume_groups: {data: {disks: [data]}}\n"
        "filesystems: {root: {mount: /, size: 8GiB}, srv: {mount: /srv, size: 2GiB, group: data}}\n"
    )
    machine.disk("nvme0n1", 50, place="pci0000:00/0000:01:00.0/nvme/nvme0", device__transport="pcie\n")
    for name, place in (("sda", LOCAL), ("sdb", SAS)):
        machine.disk(name, 3 << 20, place=place)  # 3 TiB is more than 32 bits of sectors
    ran = machine.run(shell, pre(layout))
    assert ran.storage[0] == "ignoredisk --only-use=nvme0n1,sda,sdb", ran.out
    assert [line for line in ran.storage if "--ondisk=sdb" in line] == [
        "part pv.data.2 --size=1024 --grow --ondisk=sdb"
    ]


def test_one_disk_under_two_names_is_refused(shell: list[str], machine: Machine) -> None:
    machine.disk("sda", serial="S1")
    layout = f"disks: {{a: {{serial: S1}}, b: {{min_size: 1MiB}}}}\n{ROOT}"
    assert why(machine.run(shell, pre(layout))) == "disk b: sda is found under two names"


BARRED: dict[str, tuple[str, dict]] = {  # type: ignore[type-arg]
    "on USB": (USB, {}),
    "on iSCSI": (ISCSI, {}),
    "on Fibre Channel": (FC, {}),
    "removable": (LOCAL, {"removable": "1\n"}),
    "a path of a multipath device": (LOCAL, {"holders__dm-0__dm__uuid": "mpath-36090a01820494c58\n"}),
    "on a network": ("virtual/nvme-fabrics/ctl/nvme0", {}),
}


@pytest.mark.parametrize("what", BARRED)
@pytest.mark.parametrize("old", [False, True])
def test_sans_usb_and_removable_disks_are_never_used(shell: list[str], machine: Machine, what: str, old: bool) -> None:
    """Not even by path, and not with leave to wipe everything."""
    place, facts = BARRED[what]
    machine.disk("sda", place=place, old=old, **facts)
    for _number, layout in enumerate([ONE, f"disks: {{system: {{min_size: 1MiB}}}}\n{ROOT}"]):
        said = why(machine.run(shell, pre(layout, "all")))
        assert said.endswith(f"found: none, sda is {what}")
    machine.disk("sdb", place=SAS, old=old)
    ran = machine.run(shell, pre(f"disks: {{system: {{min_size: 1MiB}}}}\n{ROOT}"))
    assert ran.storage[0] == "ignoredisk --only-use=sdb"


def test_a_host_adapter_and_a_transport_tell_a_san(shell: list[str], machine: Machine) -> None:
    machine.disk("sda")
    machine.disk("nvme1n1", place="virtual/nvme-subsystem/nvme-subsys1", device__nvme1__transport="tcp\n")
    (machine.root / "sys/class/iscsi_host/host0").mkdir(parents=True)
    said = why(machine.run(shell, pre(f"disks: {{system: {{min_size: 1MiB}}}}\n{ROOT}")))
    assert said.endswith("found: none, nvme1n1 is on a network, sda is on a SAN (iscsi_host)")


def test_what_is_no_disk_is_not_looked_at(shell: list[str], machine: Machine) -> None:
    for name in (
        "sr0",
        "loop0",
        "ram0",
        "dm-0",
        "md0",
        "fd0",
        "zram0",
        "nbd0",
        "nvme0c0n1",
        "mmcblk0boot0",
        "etherd!e0",
    ):
        machine.disk(name.replace("!", "/"), place=f"virtual/{name}")
    machine.disk("sdq", 0)
    ran = machine.run(shell, pre(f"disks: {{system: {{max_size: 1TiB}}}}\n{ROOT}"))
    assert why(ran) == "disk system: 1 wanted (max_size=1048576), found: none"


def test_el5_has_no_nodes_and_no_links(shell: list[str], machine: Machine) -> None:
    if os.geteuid():
        pytest.skip("making nodes needs root")
    directory = machine.disk("sda", old=True, parts={"sda1": {}})
    (machine.root / "dev/sda").unlink()
    (machine.root / "dev/sda1").unlink()
    (directory / "dev").write_text("1:91\n")  # a RAM disk that nobody has
    (directory / "sda1/dev").write_text("1:92\n")
    (machine.bin / "readlink").unlink()
    assert "disk system: sda is neither" in why(machine.run(shell, pre(ONE)))
    for name, minor in (("sda", 91), ("sda1", 92)):
        assert os.stat(machine.root / "dev" / name).st_rdev == os.makedev(1, minor)


# What is kept


MADE = [
    "part pv.data.1 --size=1024 --grow --ondisk=sdb",
    "volgroup data pv.data.1",
    "logvol /srv --vgname=data --name=srv --fstype=xfs --size=2048",
]
KEPT = [
    "volgroup data --useexisting --noformat",
    "logvol /srv --vgname=data --name=srv --fstype=xfs --useexisting --noformat",
]


def test_a_preserved_group_is_made_where_its_disk_is_blank(shell: list[str], machine: Machine) -> None:
    machine.disk("sda")
    machine.disk("sdb", place=SAS)
    ran = machine.run(shell, pre(DATA))
    assert ran.storage[2] == "clearpart --all --initlabel --drives=sda,sdb"
    assert [line for line in ran.storage if "data" in line] == MADE


def test_a_preserved_group_is_kept_where_it_is(shell: list[str], machine: Machine) -> None:
    machine.disk("sda", parts={"sda1": xfs(MARK)})
    machine.disk("sdb", place=SAS, parts={"sdb1": {}}, content={0: b"x"})
    machine.lvm([("/dev/sda2", "system", MARK), ("/dev/sdb1", "data", "")], data=["other", "srv"])
    ran = machine.run(shell, pre(DATA))
    assert ran.err == ""
    assert ran.storage[0] == "ignoredisk --only-use=sda,sdb"
    assert ran.storage[2] == "clearpart --all --initlabel --drives=sda"
    assert [line for line in ran.storage if "data" in line] == KEPT
    machine.lvm([("/dev/sdb1", "data", "")], data=["other"])
    assert [line for line in machine.run(shell, pre(DATA)).storage if "data" in line] == [
        KEPT[0],
        MADE[2],
    ]
    for _number, wipe in enumerate([("data",), ("all",)]):
        ran = machine.run(shell, pre(DATA, *wipe))
        assert [line for line in ran.storage if "data" in line] == MADE


def test_partitions_of_nvme_are_not_other_namespaces(shell: list[str], machine: Machine) -> None:
    machine.disk("sda")
    machine.disk("nvme0n1", place="pci0000:00/0000:01:00.0/nvme/nvme0", parts={"nvme0n1p1": {}}, content={0: b"x"})
    layout = DATA.replace("/dev/sdb", "/dev/nvme0n1")
    machine.lvm([("/dev/nvme0n1p1", "data", "")], data=["srv"])
    assert machine.run(shell, pre(layout)).storage[2] == "clearpart --all --initlabel --drives=sda"
    machine.lvm([("/dev/nvme0n12", "data", "")], data=["srv"])
    assert "it is on /dev/nvme0n12 too" in why(machine.run(shell, pre(layout)))


@pytest.mark.parametrize(
    "pvs,said",
    [
        ([("/dev/sdc1", "data", "")], "volume group data: it is on /dev/sdc1 too, not only on sdb"),
        ([("/dev/sdb1", "data", ""), ("/dev/sda3", "data", "")], "it is on /dev/sda3 too, not only on sdb"),
        ([("/dev/sdb1", "data", ""), ("[unknown]", "data", "")], "it is on [unknown] too, not only on sdb"),
        ([("/dev/sdb1", "date", MARK)], "disk data: sdb is neither blank nor volume group data's"),
        ([], "disk data: sdb is neither blank nor volume group data's"),
    ],
)
def test_a_preserved_group_that_is_elsewhere_or_not_there_is_refused(
    shell: list[str], machine: Machine, pvs: list[tuple[str, str, str]], said: str
) -> None:
    """The host's own mark is no leave to wipe what was to be kept."""
    machine.disk("sda")
    machine.disk("sdb", place=SAS, parts={"sdb1": xfs(MARK)}, content={0: b"x"})
    machine.lvm(pvs, data=["srv"])
    assert said in why(machine.run(shell, pre(DATA)))


# Reports


def test_without_a_server_to_report_to_it_stops_all_the_same(
    shell: list[str], machine: Machine, tmp_path: Path
) -> None:
    machine.disk("sda", content={0: b"x"})
    machine.tool("curl", "exit 7")
    ran = machine.run(shell, pre(ONE))
    assert (ran.status, ran.sent) == (1, "") and "the report could not be sent" in ran.out
    machine.cmdline("inst.ks=file:/ks.cfg")
    ran = machine.run(shell, pre(ONE))
    assert ran.status == 1 and ran.report and "could not be sent" not in ran.out


def test_el5_reports_by_python(shell: list[str], machine: Machine) -> None:
    if shell[0] == "busybox":
        pytest.skip("busybox has a wget of its own")
    machine.disk("sda", content={0: b"x"})
    (machine.bin / "curl").unlink()
    machine.tool("python", f'echo "$3" >{machine.sent}; cat "$5" >>{machine.sent}; [ "$1" = -c ]')
    assert "disk system" in why(machine.run(shell, pre(ONE)))
