"""Plans of the system's settings for every release: which files, which functions, in which phases."""

from __future__ import annotations

import pytest

from bootforge.releases import RELEASES
from bootforge.site.scalars_settings import parse_command, parse_schedule, sysctl_file
from tests.shell.test_system import steps_of

KINDS = "kernel-modules kernel-modules-live sysctl sysctl-live kernel-args timezone language keyboard ntp cron"


@pytest.mark.parametrize("release", RELEASES)
def test_every_release_has_its_own_files(release: str) -> None:
    steps = steps_of(
        release,
        f"{KINDS} selinux firewall",
        sysctl={"kernel.panic": "1", "net.ipv4.ip_forward": "1"},
        kernel_modules={"b": "load", "a": "blacklist"},
        cron={"x": {"schedule": "@daily", "command": "date +%F"}},
        ntp=["10.0.0.1"],
        kernel_args=["quiet", "console=tty0", "x=1", "x=2"],
    )
    by_id = {step.id: step for step in steps}
    old, oldest = release in ("el5", "el6"), release == "el5"
    modules = "/etc/sysconfig/modules/bootforge.modules" if old else "/etc/modules-load.d/bootforge.conf"
    assert by_id["kernel-modules"].args == (modules, "755" if old else "644", "root:root")
    assert by_id["kernel-modules:modprobe"].notify == ("initramfs",)
    assert by_id["sysctl"].fn == ("sysctl_block" if oldest else "file")
    assert by_id["sysctl-live"].args == ("net/ipv4/ip_forward", "1", "kernel/panic", "1")
    assert by_id["sysctl-live"].phases == by_id["kernel-args"].phases == ("boot", "run")
    assert by_id["kernel-args"].args == ("quiet",)
    assert by_id["timezone"].fn == ("zone_copy" if old else "zone_link")
    assert by_id["ntp"].args == ("/etc/ntp.conf" if old else "/etc/chrony.conf", "10.0.0.1")
    assert by_id["ntp"].notify == (("restart:ntpd",) if old else ("restart:chronyd",))
    assert by_id["language"].args[0] == ("/etc/sysconfig/i18n" if old else "/etc/locale.conf")
    assert by_id["cron:x"].content == "# Written by Bootforge; changes are lost.\n@daily root date +\\%F\n"
    firewall = {"el5": ("on", "RH-Firewall-1-INPUT", "22/tcp"), "el6": ("on", "INPUT", "22/tcp")}
    assert by_id["firewall"].args == firewall.get(release, ("on", "service=ssh"))


def test_a_host_without_settings_takes_away_what_was_ours() -> None:
    steps = {step.id: step for step in steps_of("el9", KINDS)}
    assert [steps[one].fn for one in ("kernel-modules", "kernel-modules:modprobe", "sysctl")] == ["absent"] * 3
    assert steps["cron"].args == () and "sysctl-live" not in steps and "kernel-modules-live" not in steps


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
        ("net.ipv4.conf.eth0/1.rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
        ("net/ipv4/conf/eth0.1/rp_filter", "net/ipv4/conf/eth0.1/rp_filter"),
    ],
)
def test_slashes_and_dots_change_places(key: str, file: str) -> None:
    assert sysctl_file(key) == file


@pytest.mark.parametrize(
    "schedule",
    ["* * * * *", "*/5 0-23 1,15 jan sun", "0-59/2 0 1 12 7", "@reboot", "5,10-20/3 4 31 1-12/4 0"],
)
def test_cron_reads(schedule: str) -> None:
    assert parse_schedule(schedule) == schedule


@pytest.mark.parametrize(
    "schedule",
    ["60 * * * *", "* * 0 * *", "* * * 13 *", "* * * * 8", "5-1 * * * *", "*/0 * * * *", "5/2 * * * *", "~ * * * *",
     "* * * jan-feb *", ", * * * *", "* * * * * *", "@never", "-1 * * * *", "１ * * * *"],
)  # fmt: skip
def test_cron_does_not_read(schedule: str) -> None:
    with pytest.raises(ValueError, match="cron"):
        parse_schedule(schedule)


def test_what_cron_would_lose_is_refused() -> None:
    assert parse_command("x" * 998) and parse_command("%" * 499)
    for command in ("x" * 999, "%" * 500, "a\\", "a \\% b", "", " a"):
        with pytest.raises(ValueError, match="command"):
            parse_command(command)
