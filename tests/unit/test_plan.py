"""Decisions for one host: exactly these commands, arguments and steps; and what two hosts may not share."""

from __future__ import annotations

from dataclasses import is_dataclass
from ipaddress import IPv4Interface
from pathlib import Path
from types import ModuleType

import pytest

from bootforge import model, model_storage, words
from bootforge.addr import Mac
from bootforge.generation import Generation
from bootforge.model import Plan
from bootforge.plan.fleet import duplicates
from bootforge.plan.steps import stamp
from bootforge.releases import RELEASES
from bootforge.words import KsCommand, Package, Slot
from tests.sites import APP, DB, WEB, base, generation_with

SERIAL = "  serial: 0911QAZ4711\n"


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    return generation_with(tmp_path_factory.mktemp("plan"))


def plan_with(root: Path, host: str = DB, **files: str) -> Plan:
    return generation_with(root, {f"{name.replace('_', '/')}.yaml": text for name, text in files.items()}).plan(host)


def db(lines: str) -> str:
    return base("hosts/den.yaml", (SERIAL, SERIAL + lines))


def shown(command: KsCommand) -> str:
    """A command as a reader would write it, without quoting: that is the renderer's."""
    words = [
        f"{one.name}={one.value}" if one.name and one.value is not None else f"{one.name or one.value}"
        for one in command.options
    ]
    return " ".join([command.name, *words])


def test_the_install_of_a_database_server(generation: Generation) -> None:
    install = generation.plan(DB).install
    assert install.title == "profile rocky9, layout lvm, roles db"
    assert [*map(shown, install.source)] == [
        "url --url=http://download.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os",
    ]
    assert [*map(shown, install.locale)] == [
        "lang en_US.UTF-8",
        "keyboard us",
        "timezone Europe/Berlin --utc",
        "timesource --ntp-server=10.2.0.5",
        "timesource --ntp-server=10.2.0.6",
    ]
    assert [*map(shown, install.network)] == [
        "network --device=52:54:00:12:34:57 --bootproto=static --ip=10.2.0.31 --netmask=255.255.240.0"
        " --gateway=10.2.0.1 --nameserver=10.2.0.2 --onboot=yes --activate --noipv6"
        " --hostname=db01.prod.den.example.com"
    ]
    assert [shown(command)[:40] for command in install.access] == [
        "rootpw --iscrypted @secret:root_hash@",
        "sshkey ssh-ed25519 AAAAC3NzaC1lZDI1NTE5A",
    ]
    assert install.access[0].options[1].value == Slot("secret:root_hash", ("$6$", "$5$", "$y$", "$2b$"))
    assert [*map(shown, install.storage)] == [
        "ignoredisk --only-use=sda",
        "zerombr",
        "clearpart --all --initlabel --drives=sda",
        "bootloader --boot-drive=sda",
        "reqpart",
        "part /boot --fstype=xfs --size=1024 --label=bf-664ae4aa --ondisk=sda",
        "part pv.system.1 --size=1024 --grow --ondisk=sda",
        "volgroup system pv.system.1",
        "logvol /var/lib/mysql --vgname=system --name=mysql --fstype=xfs --size=40960",
        "logvol / --vgname=system --name=root --fstype=xfs --size=8192 --grow",
        "logvol swap --vgname=system --name=swap --fstype=swap --size=2048",
    ]
    assert install.packages == (Package("@^minimal-environment"), Package("mariadb-server"))


def test_the_boot_arguments(generation: Generation) -> None:
    """EL9 reads nothing without 'inst.'; the kickstart's URL is the grant's and known to nobody yet."""
    boot = generation.plan(DB).boot
    tree = "http://download.rockylinux.org/pub/rocky/9/BaseOS/x86_64/os"
    assert (boot.kernel, boot.initrd) == (f"{tree}/images/pxeboot/vmlinuz", f"{tree}/images/pxeboot/initrd.img")
    assert [(arg.name, arg.value) for arg in boot.args] == [
        ("inst.ks", Slot("grant.url")),
        ("inst.ks.sendmac", None),
        ("inst.ks.sendsn", None),
        ("inst.repo", tree),
        ("ip", "dhcp"),
        ("BOOTIF", "01-52-54-00-12-34-57"),
        ("rd.net.timeout.carrier", 60),
        ("rd.net.timeout.dhcp", 60),
        ("inst.waitfornet", 60),
        ("inst.nosave", "all_ks"),
    ]


def test_more_boot_arguments_follow_in_the_order_of_the_list(tmp_path: Path) -> None:
    lines = "  install: {args: [console=ttyS0, inst.text, a=b=c], url: http://m/os/}\n"
    boot = plan_with(tmp_path, hosts_den=db(lines)).boot
    assert [(arg.name, arg.value) for arg in boot.args][-3:] == [
        ("console", "ttyS0"),
        ("inst.text", None),
        ("a", "b=c"),
    ]
    assert boot.kernel == "http://m/os/images/pxeboot/vmlinuz"


def test_the_booting_nic_is_first_and_alone_has_the_default_route_and_the_name(tmp_path: Path) -> None:
    lines = (
        "    bmc: {kind: bmc, network: den-bmc, mac: 52:54:00:00:00:01, address: 10.3.0.9}\n"
        "    a: {network: den-bmc, mac: 52:54:00:00:00:02}\n"
    )
    text = base("hosts/den.yaml", ("address: 10.2.0.31}\n", "address: 10.2.0.31}\n" + lines))
    plan = plan_with(tmp_path, hosts_den=text)
    assert [(nic.name, nic.mac, nic.boot) for nic in plan.nics] == [
        ("lan", Mac("52:54:00:12:34:57"), True),
        ("a", Mac("52:54:00:00:00:02"), False),
        ("bmc", Mac("52:54:00:00:00:01"), False),
    ]
    assert plan.boot_nic.address == IPv4Interface("10.2.0.31/20")
    lan, dhcp = map(shown, plan.install.network)
    assert "--nodefroute" not in lan and "--hostname=" in lan
    assert dhcp == "network --device=52:54:00:00:00:02 --bootproto=dhcp --nodefroute --onboot=yes --activate --noipv6"


@pytest.mark.parametrize(
    "nics,boots",
    [
        ("lan: {network: den-lan, mac: 52:54:00:00:00:01}", "lan"),
        ("lan: {network: den-lan, mac: 52:54:00:00:00:01}, b: {network: den-bmc, mac: 52:54:00:00:00:02}", "lan"),
        (
            "lan: {network: den-lan, mac: 52:54:00:00:00:01},"
            " b: {network: den-lan, mac: 52:54:00:00:00:02, boot: true}",
            "b",
        ),
        (
            "lan: {network: den-lan, mac: 52:54:00:00:00:01, boot: false},"
            " b: {network: den-lan, mac: 52:54:00:00:00:02}",
            "b",
        ),
    ],
)
def test_which_nic_boots(tmp_path: Path, nics: str, boots: str) -> None:
    text = f"web01.prod.den.example.com: {{nics!: {{{nics}}}}}\n"
    assert plan_with(tmp_path, WEB, hosts_den=text).boot_nic.name == boots


def test_a_gateway_and_name_servers_only_where_they_are(tmp_path: Path) -> None:
    text = base(
        "site.yaml", ("    gateway: 10.2.0.1\n", ""), ("    dns: [10.2.0.2]\n", "    dns: [10.2.0.2, 10.2.0.3]\n")
    )
    (line,) = map(shown, plan_with(tmp_path, site=text).install.network)
    assert "--gateway" not in line and "--nameserver=10.2.0.2,10.2.0.3" in line


def test_without_a_secret_root_is_locked(tmp_path: Path) -> None:
    access = plan_with(tmp_path, site=base("site.yaml", ("  root_password: {secret: root_hash}\n", ""))).install.access
    assert shown(access[0]) == "rootpw --lock"


def test_every_key_of_a_file_in_its_order_without_comments(tmp_path: Path) -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDK8mGnano6PWNSuVWs7npokg9yYdMvtFHJ0+3tH4unx"
    files = {"keys/ops.pub": f"# two\n{key} it's b\r\n\n  # three\n{key} a\n"}
    access = generation_with(tmp_path, files).plan(DB).install.access
    assert [shown(command) for command in access[1:]] == [
        f"sshkey {key} it's b --username=root",
        f"sshkey {key} a --username=root",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "ssh-rsa AAAAB3NzaC1yc2E=",
        "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTY= ops@example.com",
        "sk-ssh-ed25519@openssh.com AAAAGnNrLXNzaC1lZDI1NTE5QG9wZW5zc2guY29t yubikey",
    ],
)
def test_kinds_of_keys(tmp_path: Path, line: str) -> None:
    access = generation_with(tmp_path, {"keys/ops.pub": line + "\n"}).plan(DB).install.access
    assert shown(access[1]) == f"sshkey {line} --username=root"


def test_disks_and_kernel_arguments(tmp_path: Path) -> None:
    lines = (
        "  disks!: {b: {path: /dev/disk/by-id/x}, a: {path: /dev/nvme0n1}}\n"
        "  kernel_args: [quiet, console=ttyS0]\n  volume_groups: {vg0: {}}\n"
    )
    storage = [*map(shown, plan_with(tmp_path, hosts_den=db(lines)).install.storage)]
    assert storage[0] == "ignoredisk --only-use=nvme0n1,disk/by-id/x"
    assert storage[2] == "clearpart --all --initlabel --drives=nvme0n1,disk/by-id/x"
    assert storage[3] == "bootloader --boot-drive=nvme0n1 --append=quiet console=ttyS0"
    assert storage[6:9] == [
        "part pv.vg0.1 --size=1024 --grow --ondisk=nvme0n1",
        "part pv.vg0.2 --size=1024 --grow --ondisk=disk/by-id/x",
        "volgroup vg0 pv.vg0.1 pv.vg0.2",
    ]


def test_environments_then_groups_then_packages(tmp_path: Path) -> None:
    lines = '  packages: ["@core", aaa, "@^server-product-environment", zzz]\n  packages-: ["@^minimal-environment"]\n'
    names = [package.text for package in plan_with(tmp_path, hosts_den=db(lines)).install.packages]
    assert names == ["@^server-product-environment", "@core", "aaa", "mariadb-server", "zzz"]


def test_a_guest(generation: Generation) -> None:
    domain = generation.plan(APP).domain
    assert domain is not None
    assert (domain.name, domain.type, domain.memory, domain.vcpus, domain.uuid) == (APP, "hvm", 4096, 2, None)
    assert [(disk.vdev, disk.backing) for disk in domain.disks] == [("xvda", "/dev/vg0/app01")]
    assert generation.plan(DB).domain is None


def test_the_stamp_changes_with_every_decision(tmp_path: Path, generation: Generation) -> None:
    plan = generation.plan(DB)
    assert [step.id for step in plan.steps] == ["hostname", "mark", "network:lan", "network-others"]
    assert plan.steps[0].args == (plan.host,)
    stamps = {stamp(plan).args}
    for number, lines in enumerate(("  timezone: Etc/UTC\n", "  packages: [dstat]\n", "  kernel_args: [quiet]\n")):
        stamps.add(stamp(plan_with(tmp_path / str(number), hosts_den=db(lines))).args)
    assert len(stamps) == 4


def test_what_does_not_concern_a_host_does_not_change_its_plan(tmp_path: Path, generation: Generation) -> None:
    text = base("roles/web.yaml", ("httpd", "nginx"))
    assert plan_with(tmp_path, roles_web=text) == generation.plan(DB)


@pytest.mark.parametrize("release", RELEASES)
def test_a_release_says_all_that_is_asked_of_it(release: str) -> None:
    """pykickstart knows its grammar, and the name is a class that a rule can test."""
    from pykickstart.version import makeVersion

    from bootforge.rules import compile_expression

    row = RELEASES[release]
    assert row.name == release
    assert makeVersion(row.handler) is not None
    assert row.xen_type in ("pv", "pvh", "hvm")
    assert compile_expression(release).classes == ((release, 0),)


def test_two_hosts_may_not_share(generation: Generation) -> None:
    """MACs, addresses, serials and UUIDs, each reported with both places; and nothing else is."""
    from dataclasses import replace

    one, two = generation.plan(DB), generation.plan(WEB)
    assert [*duplicates([one, two])] == []
    shared = [*duplicates([one, replace(two, nics=one.nics, serial=one.serial)])]
    assert [(found.what, found.first, found.second, found.path) for found in shared] == [
        ("MAC 52:54:00:12:34:57", DB, WEB, ("nics", "lan", "mac")),
        ("address 10.2.0.31", DB, WEB, ("nics", "lan", "address")),
        ("serial 0911QAZ4711", DB, WEB, ("serial",)),
    ]


def test_one_serial_of_three_hosts_is_told_twice(generation: Generation) -> None:
    from dataclasses import replace

    plans = [replace(generation.plan(name), serial="x") for name in (DB, WEB, APP)]
    assert [(found.first, found.second) for found in duplicates(plans)] == [(DB, WEB), (DB, APP)]


@pytest.mark.parametrize("module", [words, model_storage, model])
def test_no_value_guards_its_repr_against_cycles(module: ModuleType) -> None:
    """The digest of every plan is made of it; and what a module uses of the others is as plain as its own."""
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and is_dataclass(kind)]
    assert len(kinds) > 5
    assert [kind for kind in kinds if hasattr(kind.__repr__, "__wrapped__")] == []
