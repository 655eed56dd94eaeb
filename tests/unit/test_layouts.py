"""Every shipped layout on every release and firmware: its commands, its parser, and what %pre would fill in."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import pytest

from bootforge.generation import Generation
from bootforge.lint import lint
from bootforge.lint.shape import kickstart_complaint
from bootforge.plan.digest import plan_shape
from bootforge.releases import RELEASES
from bootforge.render.kickstart import STORAGE, expanded
from bootforge.resources import shipped_texts
from tests.sites import generation_with

LAYOUTS = sorted(name[8:-5] for name in shipped_texts("profiles") if name.startswith("layouts/"))
PROFILES = {
    "el5": "centos5", "el6": "centos6", "el7": "centos7", "el8": "rocky8", "el9": "rocky9", "el10": "rocky10",
    "fedora45": "fedora45", "fedora46": "fedora46",
}  # fmt: skip


def fits(layout: str, release: str, firmware: str) -> bool:
    if firmware == "uefi" and not RELEASES[release].uefi:
        return False
    return not (layout == "raid1" and firmware == "any" and RELEASES[release].uefi)


COMBINATIONS = [
    (layout, release, firmware, found)
    for layout, release, firmware, found in product(LAYOUTS, RELEASES, ("bios", "uefi", "any"), ("path", "size"))
    if fits(layout, release, firmware)
]
SIZES = {
    "lvm": "{system: {path-: , min_size: 1GiB}}",
    "plain": "{system: {path-: , max_size: 1GiB}}",
    "raid1": "{both: {min_size: 1GiB, count: 2}}",
    "lvm-data": "{system: {path-: , max_size: 1GiB}, data: {path-: , min_size: 2GiB}}",
}


THREE = """\
web01.prod.den.example.com:
  layout: raid1
  machine: {firmware: bios}
  disks: {third: {path: /dev/sdc}}
  nics: {lan: {mac: '02:00:00:00:00:01'}}
"""


def name_of(layout: str, release: str, firmware: str, found: str) -> str:
    number = COMBINATIONS.index((layout, release, firmware, found))
    return f"web{number:03d}.prod.den.example.com"


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    hosts = []
    for number, (layout, release, firmware, found) in enumerate(COMBINATIONS):
        lines = [
            f"web{number:03d}.prod.den.example.com:",
            f"profile: {PROFILES[release]}",
            f"layout: {layout}",
            f"machine: {{firmware: {firmware}}}",
            "install: {url: http://mirror.example.com/tree}",
            f"nics: {{lan: {{device: eth0, mac: '02:00:00:00:{number >> 8:02x}:{number & 255:02x}'}}}}",
        ]
        if found == "size":
            lines += ["disks-: [first, second]"] if layout == "raid1" else []
            lines.append(f"disks: {SIZES[layout]}")
        hosts.append("\n  ".join(lines) + "\n")
    return generation_with(tmp_path_factory.mktemp("layouts"), {"hosts/den.yaml": "".join(hosts)})


def storage(matrix: Generation, layout: str, release: str, firmware: str, found: str = "path") -> list[str]:
    """The storage commands, of the last outcome of %pre."""
    name = name_of(layout, release, firmware, found)
    text = expanded(matrix.plan(name), matrix.artifact(name, "kickstart").text)[-1]
    lines = text[text.index("\nignoredisk") :].split("\n%packages")[0].splitlines()
    return [line for line in lines if line]


def test_every_layout_passes_every_release(matrix: Generation) -> None:
    """pykickstart with warnings as errors, our rules, and sh -n, for all of %pre's outcomes."""
    assert len(matrix.plans) >= 160
    problems = [problem for problem in lint(matrix, matrix.plans, exhaustive=True) if problem.severity == "error"]
    assert problems == []


def test_every_layout_says_what_it_is_for() -> None:
    for layout in LAYOUTS:
        assert shipped_texts("profiles")[f"layouts/{layout}.yaml"].startswith("# "), layout


@pytest.mark.parametrize("release", RELEASES)
def test_plain_partitions(matrix: Generation, release: str) -> None:
    lines = storage(matrix, "plain", release, "bios")
    assert not any(line.startswith(("volgroup", "logvol", "raid")) for line in lines)
    assert any(
        line.startswith("part / --fstype=") and line.endswith("--size=8192 --grow --ondisk=sda") for line in lines
    )
    assert "part swap --fstype=swap --size=2048 --ondisk=sda" in lines


def test_raid1_by_release_and_firmware(matrix: Generation) -> None:
    assert storage(matrix, "raid1", "el9", "uefi", "size") == [
        "ignoredisk --only-use=sda,sdb",
        "zerombr",
        "clearpart --all --initlabel --drives=sda,sdb",
        "bootloader --boot-drive=sda",
        "part raid.boot-efi.1 --size=600 --ondisk=sda",
        "part raid.boot-efi.2 --size=600 --ondisk=sdb",
        "raid /boot/efi --device=boot-efi --level=1 --fstype=efi raid.boot-efi.1 raid.boot-efi.2",
        "part raid.boot.1 --size=1024 --ondisk=sda",
        "part raid.boot.2 --size=1024 --ondisk=sdb",
        lines_with(matrix, "raid /boot ", "el9", "uefi", "size"),
        "part raid.pv-system.1 --size=1024 --grow --ondisk=sda",
        "part raid.pv-system.2 --size=1024 --grow --ondisk=sdb",
        "raid pv.system --device=pv-system --level=1 raid.pv-system.1 raid.pv-system.2",
        "volgroup system pv.system",
        "logvol / --vgname=system --name=root --fstype=xfs --size=8192 --grow",
        "logvol swap --vgname=system --name=swap --fstype=swap --size=2048",
    ]
    bios = storage(matrix, "raid1", "el9", "bios")
    assert bios[2] == "clearpart --all --initlabel --disklabel=gpt --drives=sda,sdb"
    assert bios[4:6] == [
        "part biosboot --fstype=biosboot --size=1 --ondisk=sda",
        "part None --fstype=biosboot --size=1 --ondisk=sdb",
    ]
    old = storage(matrix, "raid1", "el6", "uefi")
    assert old[3:5] == [
        "bootloader --location=mbr --driveorder=sda,sdb",
        "part /boot/efi --fstype=efi --size=200 --ondisk=sda",
    ]
    assert "raid /boot --device=md0 --level=1 --fstype=ext4 raid.boot.1 raid.boot.2" in old
    assert "raid pv.system --device=md1 --level=1 raid.pv-system.1 raid.pv-system.2" in old
    assert not any("gpt" in line or "biosboot" in line for line in storage(matrix, "raid1", "el5", "bios"))


def lines_with(matrix: Generation, begin: str, *what: str) -> str:
    (line,) = [line for line in storage(matrix, "raid1", *what) if line.startswith(begin)]
    mark = matrix.plan(name_of("raid1", *what)).install.disks.mark
    assert line == f"raid /boot --device=boot --level=1 --fstype=xfs --label={mark} raid.boot.1 raid.boot.2"
    return line


@pytest.mark.parametrize("release", RELEASES)
def test_a_preserved_group_is_expanded_made_and_kept(matrix: Generation, release: str) -> None:
    name = name_of("lvm-data", release, "bios", "path")
    made, kept = expanded(matrix.plan(name), matrix.artifact(name, "kickstart").text)
    assert "clearpart --all --initlabel --drives=sda,sdb\n" in made
    assert "\nvolgroup data pv.data.1\n" in made and "--useexisting" not in made.split("%packages")[0]
    assert "clearpart --all --initlabel --drives=sdb\n" in kept
    assert "\nvolgroup data --useexisting --noformat\n" in kept and "pv.data" not in kept.split("%packages")[0]
    assert matrix.plan(name).install.disks.tagged == ("system",)


def test_what_pre_fills_in_is_parsed(matrix: Generation, tmp_path: Path) -> None:
    """A command that the release does not know is found behind the %include too."""
    name = name_of("raid1", "el9", "bios", "size")
    kickstart = matrix.artifact(name, "kickstart").text
    assert STORAGE in kickstart and "clearpart" not in kickstart.split("%packages")[0]
    assert kickstart_complaint(expanded(matrix.plan(name), kickstart)[0], "RHEL9") == ""
    wider = generation_with(tmp_path, {"hosts/den.yaml": THREE})
    assert [one for one in lint(wider, wider.plans) if one.severity == "error"] == []
    planted = expanded(matrix.plan(name), kickstart)[0].replace("--level=1", "--level=9")
    assert "Invalid raid level" in kickstart_complaint(planted, "RHEL9")


def test_the_mark_is_the_hosts_own_and_fits_every_file_system(matrix: Generation) -> None:
    marks = {plan.install.disks.mark for plan in matrix.plans.values()}
    assert len(marks) == len(matrix.plans) and {len(mark) for mark in marks} == {11}


def test_a_mark_makes_no_shape_of_its_own(tmp_path: Path) -> None:
    hosts = "".join(f"web{n}.prod.den.example.com: {{nics: {{lan: {{mac: '02:00:00:00:00:0{n}'}}}}}}\n" for n in (1, 2))
    plans = generation_with(tmp_path, {"hosts/den.yaml": hosts}).plans.values()
    assert len({plan_shape(plan) for plan in plans}) == 1
