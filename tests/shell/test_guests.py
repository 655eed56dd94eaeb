"""What a host of guests does for them: the steps of plan/guests.py. lvm, xl and virsh are stand-ins; real ones are in
tests/vm/test_xen.py and tests/integration/test_libvirt.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootforge.addr import parse_mac
from bootforge.model import DomainDisk, DomainNic, DomainPlan
from bootforge.model_steps import Step
from bootforge.plan.guests import plan_guests
from bootforge.site.schema import HostSpec
from tests.shell.world import HOST, SHELLS, Case, World, machine_shell, proofs, script_of, small

A, B, C = (f"app{number:02}.example.com" for number in (1, 2, 3))


def guest(name: str = A, kind: str = "xen", **more: Any) -> DomainPlan:
    of: dict[str, Any] = {
        "name": name,
        "hypervisor": kind,
        "type": "hvm",
        "uuid": "096eff7e-1802-8214-9e00-486dbb56e44e",
        "memory": 2048,
        "vcpus": 2,
        "uefi": False,
        "secure_boot": "unknown",
        "machine": "q35",
        "disks": (DomainDisk("vda" if kind == "kvm" else "xvda", f"/dev/vg/{name[:5]}", 8192, False),),
        "nics": (DomainNic(parse_mac("00:16:3e:00:00:01"), "br0"),),
        "network_first": False,
        "on": HOST,
        "candidates": (),
        "autostart": False,
    }
    return DomainPlan(**{**of, **more})


def steps_of(release: str, kinds: str, *guests: DomainPlan, **hypervisor: str) -> tuple[Step, ...]:
    spec = HostSpec.model_validate({"hypervisor": hypervisor})
    host = replace(small().host(HOST), release=release, spec=spec, memo={})
    faults: list[Any] = []
    found = plan_guests(host, guests, faults)
    assert not faults, faults
    return tuple(step for step in found if step.id.split(":")[0] in kinds.split())


LVM = r"""
# $fake/vg is a group, with a file for each volume that has its size in MiB.
cd $fake
command=$1; shift
case $command in
lvs)
    for group; do :; done
    [ -d "$group" ] || { echo "  Volume group \"$group\" not found" >&2; exit 5; }
    cd "$group"
    for volume in *; do [ ! -e "$volume" ] || echo "  $volume $(cat "$volume").00"; done ;;
lvcreate | lvextend)
    while [ $# -gt 1 ]; do
        case $1 in
        --config) shift ;;
        -L) size=${2%m}; shift ;;
        -n) name=$2; shift ;;
        esac
        shift
    done
    volume=$1${name:+/$name}
    if [ $command = lvcreate ] && [ -e "$volume" ]; then echo "already exists" >&2; exit 5; fi
    if [ $command = lvextend ] && [ "$size" -le "$(cat "$volume")" ]; then echo "not larger" >&2; exit 3; fi
    echo "$size" >"$volume.new"; mv "$volume.new" "$volume" ;;
*) echo "lvm stand-in: $command?" >&2; exit 1 ;;
esac
"""
XL = '[ "$1" = list ] && [ -e "$fake/running/$2" ]'
VIRSH = r"""
# $fake/defined/NAME is what was defined, auto/NAME says that it is started at boot, running/NAME that it runs.
[ ! -e "$fake/dead" ] || { echo "error: Failed to connect socket" >&2; exit 1; }
cd $fake
[ "$1 $2 $3" = "-q -c qemu:///system" ] || exit 1
shift 3; command=$1; shift
for last; do :; done
case $command in
list) ls defined running | grep '\.com$' | sort -u ;;
define)
    name=$(sed -n 's,.*<name>\(.*\)</name>.*,\1,p' "$1")
    { sed 1d "$1"; echo "<!-- libvirt's own -->"; } >"defined/.$name"; mv "defined/.$name" "defined/$name" ;;
dumpxml) cat "defined/$last" ;;
domstate) if [ -e "running/$last" ]; then echo running; else echo "shut off"; fi ;;
dominfo)
    [ -e "defined/$last" ] || exit 1
    if [ -e "auto/$last" ]; then echo "Autostart:      enable"; else echo "Autostart:      disable"; fi ;;
autostart) if [ "$1" = --disable ]; then rm "auto/$last"; else : >"auto/$last"; fi ;;
undefine) rm -f "defined/$last" "auto/$last" ;;
*) echo "virsh stand-in: $command?" >&2; exit 1 ;;
esac
"""


def machine(*more: Callable[[World], Any]) -> Callable[[World], Any]:
    def prepare(world: World) -> None:
        for name, script in (("lvm", LVM), ("xl", XL), ("xm", XL), ("virsh", VIRSH)):
            world.tool(name, script)
        world.tool("grub2-mkconfig", 'cp "${BF_ROOT:?}/etc/default/grub" "$2.new" && mv "$2.new" "$2"')
        for name in ("vg", "defined", "auto", "running"):
            (world.fake / name).mkdir()
        for one in more:
            one(world)

    return prepare


def fake(name: str, text: str = "") -> Callable[[World], Any]:
    def write(world: World) -> None:
        (world.fake / name).parent.mkdir(exist_ok=True)
        (world.fake / name).write_text(text)

    return write


GRUB = """default=0
title CentOS (2.6.18-398.el5xen)
\troot (hd0,0)
\tkernel /xen.gz-2.6.18-398.el5 dom0_mem=4096M com1=115200,8n1
\tmodule /vmlinuz-2.6.18-398.el5xen ro root=LABEL=/
title CentOS-base (2.6.18-398.el5)
\tkernel /vmlinuz-2.6.18-398.el5 ro root=LABEL=/
"""
GRUB2 = "GRUB_TIMEOUT=5\nGRUB_CMDLINE_XEN_DEFAULT='loglvl=all dom0_mem=512M'\nGRUB_CMDLINE_LINUX=\"quiet\"\n"


def _grub2(world: World) -> None:
    world.write("etc/default/grub", GRUB2)
    world.write("boot/grub2/grub.cfg", "old")
    (world.root / "etc/grub2.cfg").symlink_to("../boot/grub2/grub.cfg")


CASES = [
    Case(
        "xen-memory-el5",
        steps_of("el5", "xen-memory", kind="xen", memory="1GiB"),
        prepare=machine(lambda w: w.write("boot/grub/grub.conf", GRUB, 0o600)),
        drifts={
            "gone": lambda w: w.write("boot/grub/grub.conf", GRUB.replace(" dom0_mem=4096M", ""), 0o600),
            "other": lambda w: w.write("boot/grub/grub.conf", GRUB, 0o600),
        },
        release="el5",
    ),
    Case(
        "xen-memory-el7",
        steps_of("el7", "xen-memory", kind="xen", memory="1GiB"),
        prepare=machine(_grub2),
        drifts={"edited": lambda w: w.write("etc/default/grub", GRUB2)},
        release="el7",
    ),
    Case(
        "disks",
        steps_of(
            "el7", "guest-disks", guest(), guest(B, disks=(DomainDisk("xvda", "/dev/mapper/vg-b--1", 100, True),))
        ),
        prepare=machine(fake("vg/b-1", "50\n"), fake("vg/other", "1\n")),
        drifts={"smaller-again": fake("vg/b-1", "60\n")},
        release="el7",
    ),
    Case(
        "definitions-xl",
        steps_of("el7", "guests", guest(autostart=True), guest(B)),
        prepare=machine(
            lambda w: w.write("etc/bootforge/guests", f"{A}\n{C}\n"),
            lambda w: w.write(f"etc/xen/{C}.cfg", "old"),
            lambda w: (
                (w.root / "etc/xen/auto").mkdir(),
                (w.root / f"etc/xen/auto/{C}.cfg").symlink_to(f"../{C}.cfg"),
                (w.root / f"etc/xen/auto/{B}.cfg").symlink_to(f"../{B}.cfg"),
            ),
        ),
        drifts={
            "no-link": lambda w: (w.root / f"etc/xen/auto/{A}.cfg").unlink(),
            "started-by-hand": lambda w: (w.root / f"etc/xen/auto/{B}.cfg").symlink_to(f"../{B}.cfg"),
        },
        release="el7",
    ),
    Case(
        "definitions-kvm",
        steps_of("el9", "guests guests-defined", guest(kind="kvm", autostart=True), guest(B, "kvm")),
        prepare=machine(
            lambda w: w.write("etc/bootforge/guests", f"{A}\n{C}\n"),
            lambda w: w.write(f"etc/bootforge/libvirt/{C}.xml", "x"),
            fake(f"defined/{C}", "x"),
            fake(f"auto/{B}"),
        ),
        drifts={
            "virsh-edit": fake(f"defined/{A}", "<domain>edited</domain>"),
            "undefined": lambda w: (w.fake / f"defined/{B}").unlink(),
            "no-autostart": lambda w: (w.fake / f"auto/{A}").unlink(),
        },
    ),
]

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def ran_with(
    shell: list[str], at: Path, release: str, steps: tuple[Step, ...], *prepare: Callable[[World], Any]
) -> Any:
    """The world, how its run went, and what runs it again with other steps."""
    world = World(at / "w")
    machine(*prepare)(world)

    def again(steps: tuple[Step, ...], *args: str) -> Any:
        script = at / "bootstrap"
        script.write_text(script_of(steps, release))
        return world.run(shell, script, *args)

    return world, again(steps), again


def test_what_dom0_says_about_memory(shell: list[str], tmp_path: Path) -> None:
    """Xen 3 knows an amount only; a kernel that Xen does not boot is left alone, and what else Xen is told stays."""
    steps = steps_of("el5", "xen-memory", kind="xen", memory="1GiB")
    world, ran, _ = ran_with(shell, tmp_path, "el5", steps, lambda w: w.write("boot/grub/grub.conf", GRUB, 0o600))
    assert (world.root / "boot/grub/grub.conf").read_text() == GRUB.replace(
        " dom0_mem=4096M com1=115200,8n1", " com1=115200,8n1 dom0_mem=1024M"
    )
    both = GRUB + "\tkernel\t/boot/xen.gz-2.6.18-400.el5\n"
    world, ran, _ = ran_with(shell, tmp_path / "1", "el5", steps, lambda w: w.write("boot/grub/grub.conf", both))
    assert (world.root / "boot/grub/grub.conf").read_text().count(" dom0_mem=1024M\n") == 2
    world, ran, _ = ran_with(shell, tmp_path / "2", "el5", steps, lambda w: w.write("boot/grub/grub.conf", "title x\n"))
    assert (ran.status, ran.texts["xen-memory"]) == (0, "no kernel is booted by Xen yet")
    steps = steps_of("el7", "xen-memory", kind="xen", memory="1GiB")
    world, ran, _ = ran_with(shell, tmp_path / "3", "el7", steps, _grub2)
    assert (
        'GRUB_CMDLINE_XEN_DEFAULT="loglvl=all dom0_mem=1024M,max:1024M"'
        in (world.root / "boot/grub2/grub.cfg").read_text()
    )


def test_in_the_installer_grub_is_configured_at_once(tmp_path: Path) -> None:
    steps = steps_of("el7", "xen-memory", kind="xen", memory="1GiB")
    world, _, again = ran_with(machine_shell("dash"), tmp_path, "el7", (), _grub2)
    assert again(steps, "--phase", "install").status == 0
    assert "max:1024M" in (world.root / "boot/grub2/grub.cfg").read_text()


def test_a_disk_is_made_once_and_grows_only_when_asked(shell: list[str], tmp_path: Path) -> None:
    big, small_one = (guest(disks=(DomainDisk("xvda", "/dev/vg/a", size, False),)) for size in (200, 50))
    world, ran, again = ran_with(shell, tmp_path, "el7", steps_of("el7", "guest-disks", big))
    assert (world.fake / "vg/a").read_text() == "200\n"
    (world.fake / "calls").unlink()
    ran = again(steps_of("el7", "guest-disks", small_one))
    assert (ran.status, (world.fake / "vg/a").read_text()) == (0, "200\n")
    larger = guest(disks=(DomainDisk("xvda", "/dev/vg/a", 300, False),))
    ran = again(steps_of("el7", "guest-disks", larger))
    assert ran.lines[0][0] == "ok"
    assert ran.lines[0][3] == "vg/a has 200 MiB, and 300 are planned; 'grow: true' lets it grow"
    assert [call for call in world.calls() if "lvs" not in call] == []


def test_nothing_is_made_in_a_group_that_is_not_there(shell: list[str], tmp_path: Path) -> None:
    """lvm may have no answer for other reasons than that there is no volume: nothing is made then."""
    elsewhere = guest(disks=(DomainDisk("xvda", "/dev/gone/a", 200, False),))
    world, ran, _ = ran_with(shell, tmp_path, "el7", steps_of("el7", "guest-disks", elsewhere))
    assert (ran.status, ran.lines[0][3]) == (5, "there is no volume group gone")
    assert [call for call in world.calls() if "lvs" not in call] == []


@pytest.mark.parametrize("release", ["el5", "el7", "el9"])
def test_a_guest_that_moved_leaves_no_definition_and_keeps_its_disks(
    release: str, shell: list[str], tmp_path: Path
) -> None:
    """While it runs here every run says so; nothing ends it, and no volume is touched."""
    kind, kinds = ("kvm" if release == "el9" else "xen"), "guest-disks guests guests-defined"
    both = steps_of(release, kinds, guest(A, kind, autostart=True), guest(B, kind, autostart=True), kind=kind)
    world, ran, again = ran_with(shell, tmp_path, release, both)
    assert ran.status == 0, ran
    fake(f"running/{B}")(world)
    (world.fake / "calls").unlink()
    one = steps_of(release, kinds, guest(A, kind, autostart=True), kind=kind)
    for _ in range(2):
        ran = again(one)
        assert ran.status == 0 and f"{B} is of another host now, and runs here" in ran.texts["guests"], ran
    files = [path.as_posix() for path in world.root.rglob("*") if B in path.name and "backup" not in path.as_posix()]
    assert files == []
    (world.fake / f"running/{B}").unlink()
    again(one)
    ran = again(one)
    assert (ran.status, ran.texts["guests"], ran.statuses["guests"]) == (0, "", "ok")
    asked = " ".join(world.calls())
    assert not any(word in asked for word in ("destroy", "shutdown", "lvremove", "vol-delete", "remove-all-storage"))
    assert (world.fake / "vg/app02").read_text() == "8192\n"
    if kind == "kvm":
        assert f"virsh -q -c qemu:///system undefine --keep-nvram {B}" in world.calls()
        assert sorted(path.name for path in (world.fake / "defined").iterdir()) == [A]


def test_the_last_guest_leaves(tmp_path: Path) -> None:
    """A host that says that it runs guests has the step also when it has none."""
    world, _, again = ran_with(machine_shell("dash"), tmp_path, "el7", steps_of("el7", "guests", guest()))
    assert (world.root / f"etc/xen/{A}.cfg").is_file()
    assert again(steps_of("el7", "guests", kind="xen")).status == 0
    assert not (world.root / f"etc/xen/{A}.cfg").exists()
    assert steps_of("el7", "guests guest-disks") == ()


def test_a_libvirt_that_is_silent_forgets_nothing(shell: list[str], tmp_path: Path) -> None:
    both = steps_of("el9", "guests guests-defined", guest(A, "kvm"), guest(B, "kvm"))
    world, _, again = ran_with(shell, tmp_path, "el9", both)
    fake("dead")(world)
    ran = again(steps_of("el9", "guests guests-defined", guest(A, "kvm")))
    assert ran.status == 5
    assert ran.texts["guests"] == "libvirt does not answer: error: Failed to connect socket"
    assert ran.texts[f"guests-defined:{A}"].endswith("error: Failed to connect socket")
    (world.fake / "dead").unlink()
    assert again(steps_of("el9", "guests guests-defined", guest(A, "kvm"))).status == 0
    assert [path.name for path in (world.fake / "defined").iterdir()] == [A]


def test_a_definition_is_defined_again_only_when_it_differs(shell: list[str], tmp_path: Path) -> None:
    steps = steps_of("el9", "guests guests-defined", guest(A, "kvm"))
    world, _, again = ran_with(shell, tmp_path, "el9", steps)
    (world.fake / "calls").unlink()
    again(steps)
    assert not any(" define " in call for call in world.calls())
    assert again(steps_of("el9", "guests guests-defined", guest(A, "kvm", memory=4096))).status == 0
    assert "4096" in (world.fake / f"defined/{A}").read_text()
    assert not any(word in " ".join(world.calls()) for word in ("destroy", "shutdown", "reboot"))
