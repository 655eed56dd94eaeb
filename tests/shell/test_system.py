"""Settings of the system: what the steps of plan/system.py promise. The kernel's files and grubby are stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from bootforge.model_steps import Step
from bootforge.plan.network import plan_nics
from bootforge.plan.system import plan_system
from bootforge.site.schema import HostSpec
from tests.shell.world import HOST, SHELLS, Case, World, machine_shell, proofs, script_of, small


@cache
def _nothing() -> HostSpec:
    return HostSpec.model_validate({"firewall": {"enabled": "false"}})


def steps_of(release: str, kinds: str, **settings: Any) -> tuple[Step, ...]:
    """The steps of these kinds that a host with these settings, in the text of a site, has."""
    spec = HostSpec.model_validate(settings)
    host = replace(small().host(HOST), release=release, spec=spec, memo={})
    faults: list[Any] = []
    found = plan_system(host, plan_nics(small().site, small().host(HOST), faults), (), faults)
    assert not faults, faults
    return tuple(step for step in found if step.id.split(":")[0] in kinds.split())


def unit(name: str, *words: str) -> Callable[[World], Any]:
    def prepare(world: World) -> None:
        (world.fake / "units").mkdir(exist_ok=True)
        (world.fake / "units" / name).write_text("".join(f"{word}\n" for word in words))

    return prepare


def files(texts: Mapping[str, str], *more: Callable[[World], Any]) -> Callable[[World], Any]:
    def prepare(world: World) -> None:
        for name, text in texts.items():
            world.write(name, text)
        for one in more:
            one(world)

    return prepare


def edited(name: str, old: str, new: str) -> Callable[[World], Any]:
    """A drift: somebody edits a file."""

    def drift(world: World) -> None:
        text = (world.root / name).read_text()
        assert old in text
        (world.root / name).write_text(text.replace(old, new))

    return drift


GRUBBY = r"""
# $fake/kernels has the arguments of a kernel in each line.
cd $fake
case $* in
--info=ALL)
    n=0
    while read -r line; do
        echo "index=$n"; echo "kernel=/boot/vmlinuz-$n"; echo "args=\"$line\""; n=$((n + 1))
    done <kernels
    exit ;;
--update-kernel=ALL*) shift ;;
*) echo "grubby stand-in: $*?" >&2; exit 1 ;;
esac
for option; do
    case $option in --args=*) add=${option#*=} ;; --remove-args=*) drop=${option#*=} ;; *) exit 1 ;; esac
done
while read -r line; do
    new=
    for word in $line; do
        keep=1
        for one in $drop; do [ "$word" != "$one" ] || keep=; done
        for one in $add; do [ "${word%%=*}" != "${one%%=*}" ] || keep=; done
        [ -z "$keep" ] || new="$new $word"
    done
    new="$new${add:+ $add}"
    echo "${new# }"
done <kernels >.new; mv .new kernels
"""
MODPROBE = '#!/bin/sh\nmkdir -p "${BF_ROOT:?}/sys/module/$(echo "$1" | tr - _)"\n'
DRACUT = 'echo rebuilt >"$2"'
SYSCTL = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.tcp_rmem": "4096  87380 6291456",
    "net.ipv4.conf.eth0/1.rp_filter": "2",
    "kernel/core_pattern": "|/bin/x 'a' \"$b\" `c` %p -é",
}
PROC = {
    "proc/sys/net/ipv4/ip_forward": "0\n",
    "proc/sys/net/ipv4/tcp_rmem": "4096\t87380\t6291456\n",
    "proc/sys/net/ipv4/conf/eth0.1/rp_filter": "0\n",
    "proc/sys/kernel/core_pattern": "core\n",
}
CRON = {
    "report": {"schedule": "30 4  * * sun", "command": "echo $(date +%F) 'it''s' \"50 %\" \\n é", "user": "nobody"},
    "mail": {"schedule": "@daily", "command": "-x", "environment": {"MAILTO": "", "A": "b 'c' $d"}},
}
CHRONY = "# see chrony.conf(5)\npool 2.rocky.pool.ntp.org iburst\nserver old\ndriftfile /var/lib/chrony/drift\n"
ZONES = {"usr/share/zoneinfo/Europe/Berlin": "TZif2\0\0berlin\n", "usr/share/zoneinfo/UTC": "TZif2\0\0utc\n"}


def tools(**scripts: str) -> Callable[[World], Any]:
    return lambda world: [world.tool(name, script) for name, script in scripts.items()] and None


def _kernel(world: World) -> None:
    world.write("boot/initramfs-5.14.0-1.el9.x86_64.img", "old")
    world.write("boot/initramfs-0-rescue-1234.img", "rescue")
    (world.root / "lib/modules/5.14.0-1.el9.x86_64").mkdir(parents=True)
    (world.root / "sys/module").mkdir(parents=True)
    world.write("proc/sys/kernel/osrelease", "5.14.0-1.el9.x86_64\n")
    world.write("lib/modules/5.14.0-1.el9.x86_64/modules.builtin", "kernel/fs/ext-four.ko\n")
    world.write("sbin/modprobe", MODPROBE, 0o755)  # by its path, because busybox has one of its own
    world.tool("dracut", DRACUT)


CASES = [
    Case(
        "sysctl",
        steps_of("el9", "sysctl sysctl-live", sysctl=SYSCTL),
        prepare=files(PROC),
        drifts={
            "file": edited("etc/sysctl.d/90-bootforge.conf", "6291456", "1"),
            "live": lambda w: w.write("proc/sys/net/ipv4/conf/eth0.1/rp_filter", "1\n"),
            "hostile": lambda w: w.write("proc/sys/kernel/core_pattern", "|/bin/y\n"),
        },
    ),
    Case(
        "sysctl-el5",
        steps_of(
            "el5", "sysctl", sysctl={"kernel.panic": "10", "kernel/core_pattern": "|/bin/x 'a' \"$b\" `c` %p \\n -é"}
        ),
        prepare=files({"etc/sysctl.conf": "# theirs\nkernel.sysrq = 0"}),
        drifts={
            "ours": edited("etc/sysctl.conf", "panic = 10", "panic = 0"),
            "gone": lambda w: w.write("etc/sysctl.conf", "# theirs\nkernel.sysrq = 0\n"),
        },
        release="el5",
    ),
    Case(
        "modules",
        steps_of(
            "el9",
            "kernel-modules kernel-modules-live",
            kernel_modules={"br-netfilter": "load", "ext_four": "load", "pcspkr": "blacklist"},
            kernel_module_options={"loop": "max_loop=64"},
        ),
        prepare=_kernel,
        drifts={
            "list": edited("etc/modules-load.d/bootforge.conf", "br-", "xx-"),
            "blacklist": lambda w: (w.root / "etc/modprobe.d/bootforge.conf").unlink(),
            "unloaded": lambda w: (w.root / "sys/module/br_netfilter").rmdir(),
        },
        handlers=(),
    ),
    Case(
        "kernel-args",
        steps_of("el9", "kernel-args", kernel_args=["elevator=none", "a.b=1:2", "nosmt", "x=1", "x=2"]),
        prepare=files(
            {
                "etc/default/grub": 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="rhgb a.b=0 gone=1"\nGRUB_X="true"\n',
                "etc/bootforge/kernel-args": "gone=1\na.b=0\n",
            },
            tools(grubby=GRUBBY),
            lambda w: (w.fake / "kernels").write_text("ro gone=1 a.b=0\nro gone=1 elevator=none nosmt-not\n"),
        ),
        drifts={
            "one-kernel": lambda w: (w.fake / "kernels").write_text(
                "ro elevator=none a.b=1:2 nosmt\nro nosmt-not elevator=none a.b=1:2\n"
            ),
            "for-grub2-mkconfig": edited("etc/default/grub", " nosmt", ""),
        },
    ),
    Case(
        "time",
        steps_of("el9", "timezone ntp", timezone="Europe/Berlin", ntp=["10.0.0.1", "ntp.example.com"]),
        prepare=files({**ZONES, "etc/chrony.conf": CHRONY}, unit("chronyd", "enabled", "active")),
        drifts={
            "another-zone": lambda w: (
                (w.root / "etc/localtime").unlink(),
                (w.root / "etc/localtime").symlink_to("../usr/share/zoneinfo/UTC"),
            ),
            "another-server": edited("etc/chrony.conf", "10.0.0.1", "10.0.0.9"),
            "a-pool-more": edited("etc/chrony.conf", "driftfile", "pool x\ndriftfile"),
        },
        handlers=("systemctl try-restart chronyd",),
    ),
    Case(
        "time-el6",
        steps_of("el6", "timezone ntp", timezone="Europe/Berlin", ntp=["10.0.0.1"]),
        prepare=files(
            {
                **ZONES,
                "etc/ntp.conf": "server 0.centos.pool.ntp.org\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 10\n",
                "etc/sysconfig/clock": 'ZONE="UTC"\nUTC=true\n',
                "etc/localtime": "TZif2\0\0utc\n",
            },
            tools(service="exit 0"),
        ),
        drifts={
            "copy": lambda w: w.write("etc/localtime", "TZif2\0\0utc\n"),
            "name": edited("etc/sysconfig/clock", "Europe/Berlin", "UTC"),
            "server": edited("etc/ntp.conf", "10.0.0.1", "10.0.0.9"),
        },
        handlers=("service ntpd restart",),
        release="el6",
    ),
    Case(
        "language",
        steps_of("el9", "language keyboard", language="de_DE.UTF-8", keyboard="de-latin1"),
        prepare=files({"etc/locale.conf": "LANG=en_US.UTF-8\nLC_TIME=C\n", "etc/vconsole.conf": 'KEYMAP="us"'}),
        drifts={
            "language": edited("etc/locale.conf", "de_DE", "fr_FR"),
            "twice": edited("etc/locale.conf", "LC_TIME", 'LANG="de_DE.UTF-8"\nLC_TIME'),
            "keyboard": lambda w: (w.root / "etc/vconsole.conf").unlink(),
        },
    ),
    Case(
        "cron",
        steps_of("el9", "cron", cron=CRON),
        prepare=files({"etc/cron.d/bootforge-gone": "x\n", "etc/cron.d/theirs": "y\n"}),
        drifts={
            "edited": edited("etc/cron.d/bootforge-mail", "@daily", "@hourly"),
            "back": lambda w: w.write("etc/cron.d/bootforge-gone2", ""),
        },
    ),
]

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def made(tmp_path: Path, steps: tuple[Step, ...], release: str = "el9") -> tuple[World, Path]:
    script = tmp_path / "b"
    script.write_text(script_of(steps, release))
    return World(tmp_path / "w"), script


def test_what_is_left_of_other_settings_stays(shell: list[str], tmp_path: Path) -> None:
    for case, name, text in (
        (4, "etc/chrony.conf", "# see chrony.conf(5)\nserver 10.0.0.1 iburst\nserver ntp.example.com iburst\n"
                               "driftfile /var/lib/chrony/drift\n"),
        (5, "etc/ntp.conf", "server 10.0.0.1 iburst\nserver 127.127.1.0\nfudge 127.127.1.0 stratum 10\n"),
        (5, "etc/sysconfig/clock", 'ZONE="Europe/Berlin"\nUTC=true\n'),
        (6, "etc/locale.conf", 'LANG="de_DE.UTF-8"\nLC_TIME=C\n'),
        (7, "etc/cron.d/bootforge-report", "# Written by Bootforge; changes are lost.\n30 4 * * sun nobody"
                                           " echo $(date +\\%F) 'it''s' \"50 \\%\" \\n é\n"),
        (7, "etc/cron.d/theirs", "y\n"),
        (3, "etc/default/grub", 'GRUB_TIMEOUT=5\nGRUB_CMDLINE_LINUX="rhgb elevator=none a.b=1:2 nosmt"\n'
                                'GRUB_X="true"\n'),
        (1, "etc/sysctl.conf", "# theirs\nkernel.sysrq = 0\n# Begin of what Bootforge wrote\n"
                               "kernel/core_pattern = |/bin/x 'a' \"$b\" `c` %p \\n -é\nkernel.panic = 10\n"
                               "# End of what Bootforge wrote\n"),
    ):  # fmt: skip
        at = tmp_path / f"{case}{name.replace('/', '-')}"
        world = CASES[case].world(at)
        assert world.run(shell, CASES[case].script(tmp_path)).status == 0
        assert (world.root / name).read_text() == text


def test_kernels_have_what_is_asked_for(shell: list[str], tmp_path: Path) -> None:
    world = CASES[3].world(tmp_path / "w")
    ran = world.run(shell, CASES[3].script(tmp_path))
    kernels = (world.fake / "kernels").read_text().splitlines()
    assert [sorted(line.split()) for line in kernels] == [
        ["a.b=1:2", "elevator=none", "nosmt", "ro"],
        ["a.b=1:2", "elevator=none", "nosmt", "nosmt-not", "ro"],
    ]
    assert ran.texts["kernel-args"].startswith(
        "every kernel from the next boot on: with elevator=none a.b=1:2 nosmt: without gone=1"
    )
    script = tmp_path / "none"
    script.write_text(script_of(steps_of("el9", "kernel-args")))
    assert world.run(shell, script).statuses["kernel-args"] == "changed"
    assert (world.fake / "kernels").read_text() == "ro\nro nosmt-not\n"
    assert not (world.root / "etc/bootforge/kernel-args").exists()
    assert (world.root / "etc/default/grub").read_text().splitlines()[1] == 'GRUB_CMDLINE_LINUX="rhgb"'


def test_grub_that_is_more_than_words_is_left_alone(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "kernel-args", kernel_args=["nosmt"]))
    world.tool("grubby", GRUBBY)
    (world.fake / "kernels").write_text("ro nosmt\n")
    text = 'GRUB_CMDLINE_LINUX="$(lvm) x"\n'
    world.write("etc/default/grub", text)
    ran = world.run(shell, script)
    assert ran.status == 0 and "left alone" in ran.texts["kernel-args"]
    assert (world.root / "etc/default/grub").read_text() == text
    (world.fake / "kernels").write_text("")
    assert world.run(shell, script).texts["kernel-args"] == "grubby names no kernel"
    (world.bin / "grubby").unlink()
    assert world.run(shell, script).texts["kernel-args"] == "grubby is not installed"


def test_every_setting_that_the_kernel_lacks_or_changes_is_told(shell: list[str], tmp_path: Path) -> None:
    settings = {"kernel.there": "5", "kernel.not": "1", "kernel.nor": "1", "kernel.clamped": "9"}
    world, script = made(tmp_path, steps_of("el9", "sysctl-live", sysctl=settings))
    world.write("proc/sys/kernel/there", "4\n")
    (world.root / "proc/sys/kernel/clamped").mkdir()
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["sysctl-live"]) == (5, "failed")
    assert ran.texts["sysctl-live"] == (
        "kernel/there = 5 (was 4), kernel/clamped cannot be read, the kernel has no kernel/nor,"
        " the kernel has no kernel/not"
    )
    assert (world.root / "proc/sys/kernel/there").read_text() == "5\n"
    checked = world.run(shell, script, "--check")
    assert checked.status == 5 and "no kernel/not" in checked.texts["sysctl-live"]


def test_settings_of_an_installers_kernel_are_left_alone(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "sysctl sysctl-live kernel-modules-live", sysctl=SYSCTL))
    files(PROC)(world)
    assert world.run(shell, script, "--phase", "install").status == 0
    assert (world.root / "proc/sys/net/ipv4/ip_forward").read_text() == "0\n"
    assert (world.root / "etc/sysctl.d/90-bootforge.conf").exists()


def test_what_left_the_site_is_taken_away(shell: list[str], tmp_path: Path) -> None:
    for release, number in (("el9", 0), ("el9", 2), ("el9", 7), ("el5", 1)):
        world = CASES[number].world(tmp_path / str(number))
        assert world.run(shell, CASES[number].script(tmp_path)).status == 0
        script = tmp_path / "none"
        script.write_text(script_of(steps_of(release, "sysctl kernel-modules cron"), release))
        assert world.run(shell, script).status == 0
        assert world.run(shell, script, "--check").status == 0
        left = {name for name in world.tree() if name.startswith("etc/") and world.root.joinpath(name).is_file()}
        assert {name for name in left if "bootforge" in name} <= {"etc/bootforge/stamp"}
        assert number != 1 or (world.root / "etc/sysctl.conf").read_text() == "# theirs\nkernel.sysrq = 0\n"


def test_an_initramfs_is_made_anew_in_every_phase(shell: list[str], tmp_path: Path) -> None:
    for phase in ("install", "boot", "run"):
        world = CASES[2].world(tmp_path / phase)
        ran = world.run(shell, CASES[2].script(tmp_path), "--phase", phase)
        assert (ran.status, ran.statuses["handler:initramfs"]) == (0, "changed"), ran
        assert (world.root / "boot/initramfs-5.14.0-1.el9.x86_64.img").read_text() == "rebuilt\n"
        assert (world.root / "boot/initramfs-0-rescue-1234.img").read_text() == "rescue"
        assert (world.root / "sys/module/br_netfilter").is_dir() == (phase != "install")


def test_mkinitrd_where_there_is_no_dracut(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el5", "kernel-modules", kernel_modules={"e1000": "blacklist"}), "el5")
    world.write("boot/initrd-2.6.18-398.el5xen.img", "old")
    (world.root / "lib/modules/2.6.18-398.el5xen").mkdir(parents=True)
    assert world.run(shell, script).statuses["handler:initramfs"] == "failed"
    world.tool("mkinitrd", 'echo rebuilt >"$2"')
    assert world.run(shell, script).status == 0
    assert world.calls()[-1] == f"mkinitrd -f {world.root}/boot/initrd-2.6.18-398.el5xen.img 2.6.18-398.el5xen"


def test_a_module_that_is_loaded_is_not_taken_away(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "kernel-modules-live", kernel_modules={"usb-storage": "blacklist"}))
    (world.root / "sys/module/usb_storage").mkdir(parents=True)
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["kernel-modules-live"]) == (0, "usb-storage is loaded until the next boot")


def test_a_module_that_cannot_be_loaded_fails(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "kernel-modules-live", kernel_modules={"no": "load", "yes": "load"}))
    refuse = '#!/bin/sh\n[ "$1" = yes ] || { echo "FATAL: Module $1 not found." >&2; exit 1; }\n'
    world.write("sbin/modprobe", refuse, 0o755)
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["kernel-modules-live"]) == (5, "no, failed: FATAL: Module no not found., yes")


def test_what_is_missing_for_the_time_is_told(shell: list[str], tmp_path: Path) -> None:
    world, script = made(tmp_path, steps_of("el9", "timezone ntp", ntp=["10.0.0.1"]))
    ran = world.run(shell, script)
    assert (ran.status, ran.texts["timezone"]) == (5, "there is no /usr/share/zoneinfo/Etc/UTC")
    assert (ran.statuses["ntp"], ran.texts["ntp"]) == ("ok", "there is no /etc/chrony.conf, so nothing keeps the time")
