"""Hosts on a storage network, with the real open-iscsi, multipath-tools, lvm2 and systemd: their storage is right at
the first boot, survives a pulled cable, is the same after a reboot, and is never destroyed."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.vm import san
from tests.vm.product import BOOTFORGE, ROOT_HASH
from tests.vm.san import MIB, Array, Cable, Host, Report, San, target

pytestmark = [pytest.mark.vm, pytest.mark.slow]

SITE = Path(__file__).parent / "site-san"
SECRETS = {"root_hash": ROOT_HASH}
HOSTS = "hosts/lab.yaml"


@dataclass
class Lab:
    """A storage network, and the site of its hosts."""

    san: San
    site: Path
    key: Path

    def say(self, *changes: tuple[str, str], file: str = HOSTS) -> None:
        """Replaces texts of a file of the site."""
        text = (SITE / file).read_text()
        for old, new in changes:
            assert old in text, f"{old!r} is not in {file}"
            text = text.replace(old, new)
        (self.site / file).write_text(text)

    def bootstrap(self, name: str) -> str:
        argv = [*BOOTFORGE, "render", "--site", str(self.site), f"{name}.prod.lab.example.com", "bootstrap"]
        return subprocess.run(argv, check=True, capture_output=True, text=True).stdout

    def host(self, name: str, number: int, bridges: tuple[str, str] = ("san0", "san0")) -> Host:
        """A host of the site: its nics by the names of their cables, lan, 0 and 1."""
        cables = {"lan": Cable(f"52:54:00:77:00:{number:02}", "br0", 4)}
        for nic, bridge in enumerate(bridges):
            cables[f"san{nic}"] = Cable(f"52:54:00:88:{nic:02}:{number:02}", bridge, 5 + nic)
        return Host(self.san, name, f"10.77.0.{10 + number}", cables, self.key)


def new_lab(directory: Path) -> Iterator[Lab]:
    if lacking := san.missing():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no storage network here: {', '.join(lacking)}")
    key = directory / "operator"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    site = directory / "site"
    shutil.copytree(SITE, site)
    (site / "keys").mkdir()
    shutil.copy(key.with_suffix(".pub"), site / "keys/lab.pub")
    with San(directory) as storage:
        yield Lab(storage, site, key)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    yield from new_lab(tmp_path)


@dataclass
class Running:
    """A host that was installed with its storage, and has booted."""

    lab: Lab
    array: Array
    host: Host
    installed: Report
    booted: Report


@pytest.fixture(scope="module")
def db01(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """On an array like an EqualLogic. Tests leave it as they found it."""
    for lab in new_lab(tmp_path_factory.mktemp("san")):
        array = Array(lab.san, "eql", {"san0": "10.88.0.10"})
        array.volume(1, initiator("db01"), 512 * MIB)
        array.volume(2, initiator("db01"))
        host = lab.host("db01", 1)
        report = host.install(lab.bootstrap("db01"), SECRETS)
        host.power_on()
        yield Running(lab, array, host, report, host.booted())


def initiator(name: str) -> str:
    return f"iqn.2026-11.com.example.lab:{name}"


# What a host says of its storage


def sessions(host: Host) -> Counter[tuple[str, str]]:
    """How many sessions there are from each nic to each target. A nic is what the session's connection is bound to, by
    the MAC address or the name that its iface has."""
    found: Counter[tuple[str, str]] = Counter()
    at = mac = ""
    for line in host("iscsiadm -m session -P 1 || test $? = 21").splitlines():
        key, _, value = line.strip().partition(": ")
        if key == "Target":
            at = value.split()[0]
        elif key == "Iface HWaddress":
            mac = value
        elif key == "Iface Netdev":
            found[value if value != "default" else mac, at] += 1
    return found


def active_paths(host: Host) -> dict[str, int]:
    """By alias, how many paths to a volume are in use."""
    maps: dict[str, int] = {}
    for line in host("multipath -ll").splitlines():
        if header := re.match(r"(\S+) \(3\w+\) dm-\d+ EQLOGIC,100E-00", line):
            alias = header[1]
            maps[alias] = 0
        elif re.search(r"\d+:\d+:\d+:\d+ +sd\w+ .* active ready +running", line):
            maps[alias] += 1
    return maps


def mounted(host: Host, where: str) -> tuple[str, str]:
    """What is mounted there, and its type."""
    source, kind = host(f"findmnt -n -o SOURCE,FSTYPE --mountpoint {where}").split()
    return source, kind


def processes(host: Host) -> str:
    return host("pidof iscsid multipathd; cat /proc/sys/kernel/random/boot_id; ls /sys/class/iscsi_session")


def configuration(host: Host) -> str:
    """Every file of the configuration and of open-iscsi's and Bootforge's state, but reports, with its times."""
    where = "/etc /var/lib/iscsi/ /var/lib/bootforge"
    return host(f"find {where} -type f ! -name report ! -path '*/ok/*' -printf '%p %T@ %i %m\\n' | sort")


def write_for(host: Host, file: str, meanwhile: Callable[[], None]) -> dict[str, object]:
    """Has blocks written to a file while something happens; what san_writer.py says of it."""
    writer = Path(san.__file__).with_name("san_writer.py").read_text()
    host.ssh("cat >/root/writer.py", input=writer)
    command = f"python3 /root/writer.py {file} /run/writer.stop >/run/writer.json"
    host(f"rm -f /run/writer.*; systemd-run -q --unit=writer sh -c '{command}'")
    host.wait(f"test -s {file}", 20)
    meanwhile()
    host("touch /run/writer.stop")
    host.wait("! systemctl is-active -q writer", 30)
    told = json.loads(host("cat /run/writer.json"))
    print(f"{file}: {told}", file=sys.stderr)
    return told


def assert_db01(host: Host) -> None:
    """Each target once per iface, two active paths per alias, both volumes mounted by their names."""
    nics = ("52:54:00:88:00:01", "52:54:00:88:01:01")
    assert sessions(host) == {(nic, target(number)): 1 for nic in nics for number in (1, 2)}
    assert active_paths(host) == {"data": 2, "logs": 2}
    assert mounted(host, "/srv/data") == ("/dev/mapper/vg_data-data", "xfs")
    assert mounted(host, "/srv/logs") == ("/dev/mapper/logs", "ext4")


# An EqualLogic: one subnet, two nics, one group address


def test_storage_is_there_at_the_first_boot(db01: Running) -> None:
    assert db01.installed.exit == 0, db01.installed.whole
    assert db01.booted.exit == 0, db01.booted.whole
    assert_db01(db01.host)
    assert sorted(db01.array.sessions()) == [initiator("db01")] * 4
    assert db01.host("systemctl --failed --no-legend --plain") == ""


def test_a_second_run_changes_and_restarts_nothing(db01: Running) -> None:
    before = processes(db01.host), configuration(db01.host)
    report = db01.host.run(db01.lab.bootstrap("db01"))
    assert (report.exit, report.but_ok()) == (0, {}), report.whole
    assert (processes(db01.host), configuration(db01.host)) == before
    report = db01.host.run(db01.lab.bootstrap("db01"), "--check")
    assert (report.exit, report.but_ok()) == (0, {}), report.whole


def test_a_wrong_mac_is_refused_before_anything_is_touched(db01: Running) -> None:
    """A nic was replaced, or an operator mistyped."""
    before = processes(db01.host), configuration(db01.host)
    db01.lab.say(("52:54:00:88:01:01", "52:54:00:88:01:99"))
    try:
        report = db01.host.run(db01.lab.bootstrap("db01"))
        assert report.exit == 5 and "52:54:00:88:01:99" in report.whole, report.whole
        assert (processes(db01.host), configuration(db01.host)) == before
        assert_db01(db01.host)
    finally:
        db01.lab.say()


@pytest.mark.parametrize(
    "nic,break_,mend",
    [
        pytest.param("san0", "down", "up", id="switch"),
        pytest.param("san1", "off", "on", id="cable"),
    ],
)
def test_either_link_may_fail_while_data_are_written(db01: Running, nic: str, break_: str, mend: str) -> None:
    """A switch that forwards nothing any more, of which the nic knows nothing; and a nic without carrier."""

    def fail() -> None:
        db01.host.cable(nic, break_)
        db01.host.wait("test $(multipath -ll data | grep -c 'failed faulty') = 1", 40)
        db01.host("sleep 15")
        db01.host.cable(nic, mend)
        db01.host.wait("test $(multipath -ll | grep -c 'active ready *running') = 4", 60)

    told = write_for(db01.host, "/srv/data/written", fail)
    assert (told["bad"], told["error"]) == (0, ""), told
    assert 10 < float(str(told["gap"])) < 30, told
    assert_db01(db01.host)


def test_after_a_reboot_names_and_data_are_the_same(db01: Running) -> None:
    """And nics come in another order."""
    host = db01.host
    content = "for i in $(seq 5000); do echo line $i; done"
    host(f"({content}) >/srv/data/kept; ({content}) >/srv/logs/kept; sync")
    devices = {nic: host(f"ip -br link | grep {cable.mac}").split()[0] for nic, cable in host.cables.items()}
    host.off()
    host.cables["san0"].slot, host.cables["san1"].slot = 6, 5
    host.power_on()
    host.up()
    host.wait("mountpoint -q /srv/data && mountpoint -q /srv/logs", 90)
    swapped = {nic: host(f"ip -br link | grep {cable.mac}").split()[0] for nic, cable in host.cables.items()}
    assert swapped == {"lan": devices["lan"], "san0": devices["san1"], "san1": devices["san0"]}
    host.wait("test $(multipath -ll | grep -c 'active ready *running') = 4", 30)
    assert_db01(host)
    kept = hashlib.sha256("".join(f"line {i}\n" for i in range(1, 5001)).encode()).hexdigest()
    assert {line.split()[0] for line in host("sha256sum /srv/data/kept /srv/logs/kept").splitlines()} == {kept}
    report = host.run(db01.lab.bootstrap("db01"))
    assert (report.exit, report.but_ok()) == (0, {}), report.whole


def test_a_cable_that_is_out_at_boot(db01: Running) -> None:
    """That of the nic over which the kernel would send to the array. The volumes are there over the other one, and over
    both when it is back."""
    host = db01.host
    device = host("ip -o route get 10.88.0.10").split(" dev ")[1].split()[0]
    mac = host(f"cat /sys/class/net/{device}/address").strip()
    out = next(nic for nic, cable in host.cables.items() if cable.mac == mac)
    host.off()
    host.cable(out, "down")
    host.power_on()
    host.up()
    host.wait("mountpoint -q /srv/data && mountpoint -q /srv/logs", 120)
    host.wait("systemctl is-failed -q bootforge-san", 100)
    assert active_paths(host) == {"data": 1, "logs": 1}
    host.cable(out, "up")
    host.wait("systemctl is-active -q bootforge-san", 180)
    host.wait("test $(multipath -ll | grep -c 'active ready *running') = 4", 30)
    assert_db01(host)
    quiet(host, db01.lab)


def test_an_array_that_is_down_at_a_later_boot(db01: Running) -> None:
    """Nothing waits for it, what lacks it has failed, and once it is back the volumes come back by themselves."""
    host, script = db01.host, db01.lab.bootstrap("db01")
    host("echo so >/srv/data/before; sync")
    host.off()
    db01.array.cables("down")
    host.power_on()
    host.up()
    host.wait("systemctl is-active -q multi-user.target", 60)
    assert not sessions(host)
    report = host.run(script)
    assert report.exit == 5 and "10.88.0.10" in report.whole, report.whole
    host.wait("systemctl is-failed -q bootforge-san", 100)
    db01.array.cables("up")
    host.wait("systemctl is-active -q bootforge-san", 180)
    assert_db01(host)
    assert host("cat /srv/data/before") == "so\n"
    quiet(host, db01.lab)


# Other arrays and other ways to them


def installed(host: Host, lab: Lab, secrets: Mapping[str, str] = SECRETS) -> Report:
    """Installs and boots; both must succeed."""
    report = host.install(lab.bootstrap(host.name), secrets)
    assert report.exit == 0, report.whole
    host.power_on()
    report = host.booted()
    assert report.exit == 0, report.whole
    return report


def quiet(host: Host, lab: Lab) -> None:
    report = host.run(lab.bootstrap(host.name))
    assert (report.exit, report.but_ok()) == (0, {}), report.whole


def test_two_fabrics(lab: Lab) -> None:
    """Discovery names the portals of both on either; each nic logs in to its own."""
    array = Array(lab.san, "two", {"san0": "10.88.1.10", "san1": "10.88.2.10"})
    array.volume(3, initiator("fab01"))
    host = lab.host("fab01", 2, ("san0", "san1"))
    installed(host, lab)
    assert sessions(host) == {(f"52:54:00:88:{nic:02}:02", target(3)): 1 for nic in (0, 1)}
    portals = set(host("cat /sys/class/iscsi_connection/*/persistent_address").split())
    assert portals == {"10.88.1.10", "10.88.2.10"}
    assert active_paths(host) == {"data": 2}
    assert mounted(host, "/srv/data") == ("/dev/mapper/data", "ext4")
    assert host("iscsiadm -m node").splitlines() == [
        f"10.88.1.10:3260,1 {target(3)}",
        f"10.88.2.10:3260,1 {target(3)}",
    ]
    quiet(host, lab)


def test_a_bond(lab: Lab) -> None:
    """One session; the bond changes its port, and nothing is lost."""
    array = Array(lab.san, "eql", {"san0": "10.88.0.10"})
    array.volume(4, initiator("bond01"))
    host = lab.host("bond01", 3)
    installed(host, lab)
    assert sessions(host) == {("san", target(4)): 1}
    assert mounted(host, "/srv/data")[1] == "ext4"

    def fail() -> None:
        active = host("cat /sys/class/net/san/bonding/active_slave").strip()
        nic = {"p0": "san0", "p1": "san1"}[active]
        host.cable(nic, "off")
        host.wait(f"! grep -qx {active} /sys/class/net/san/bonding/active_slave", 20)
        host("sleep 5")
        host.cable(nic, "on")

    told = write_for(host, "/srv/data/written", fail)
    assert (told["bad"], told["error"]) == (0, ""), told
    quiet(host, lab)


def test_a_storage_network_that_is_a_vlan(lab: Lab) -> None:
    array = Array(lab.san, "tagged", {"san0": "10.88.3.10@42"})
    array.volume(5, initiator("tag01"))
    host = lab.host("tag01", 4)
    installed(host, lab)
    assert sessions(host) == {("p0.42", target(5)): 1, ("p1.42", target(5)): 1}
    assert active_paths(host) == {"data": 2}
    assert mounted(host, "/srv/data") == ("/dev/mapper/data", "ext4")
    quiet(host, lab)


# What may go wrong


def test_an_array_that_is_down(lab: Lab) -> None:
    """Nothing waits for it: not the boot, not sshd. The report says so, and a run mends it."""
    array = Array(lab.san, "eql", {"san0": "10.88.0.10"})
    array.volume(1, initiator("db01"), 512 * MIB)
    array.volume(2, initiator("db01"))
    array.cables("down")
    host = lab.host("db01", 1)
    script = lab.bootstrap("db01")
    assert host.install(script, SECRETS).exit == 0
    host.power_on()
    report = host.booted()
    assert report.exit == 5 and "10.88.0.10" in report.whole, report.whole
    assert not sessions(host)
    array.cables("up")
    report = host.run(script)
    assert report.exit == 0, report.whole
    assert_db01(host)


@pytest.mark.parametrize("name,other", [("logs", "data"), ("data", "logs")], ids=["bytes", "filesystem"])
def test_a_volume_with_foreign_data_is_left_alone(lab: Lab, name: str, other: str) -> None:
    """Bytes that nobody knows where a file system was planned, and a file system where a group was. The other volume is
    not held up."""
    foreign = lab.san.directory / "foreign"
    foreign.write_bytes(b"\0" * 700_000 + b"somebody's data")
    if name == "data":
        subprocess.run(["mke2fs", "-q", "-t", "ext4", foreign, "512M"], check=True)
    content = {name: foreign.read_bytes()}
    array = Array(lab.san, "eql", {"san0": "10.88.0.10"})
    volumes = {
        "data": array.volume(1, initiator("db01"), 512 * MIB, content.get("data", b"")),
        "logs": array.volume(2, initiator("db01"), content=content.get("logs", b"")),
    }
    before = hashlib.sha256(volumes[name].read_bytes()).digest()
    host = lab.host("db01", 1)
    assert host.install(lab.bootstrap("db01"), SECRETS).exit == 0
    host.power_on()
    report = host.booted()
    assert report.exit == 5 and report.status[f"volumes:{name}"] == "failed", report.whole
    assert "left as it is" in report.text[f"volumes:{name}"], report.whole
    for _ in range(2):
        mounted(host, f"/srv/{other}")
        assert host.ssh(f"mountpoint -q /srv/{name}", check=False).returncode != 0
        host("sync")
        assert hashlib.sha256(volumes[name].read_bytes()).digest() == before
        report = host.run(lab.bootstrap("db01"))
        assert report.exit == 5, report.whole


def test_both_sides_prove_who_they_are(lab: Lab) -> None:
    """CHAP in both directions; with a wrong secret of either side nobody logs in."""
    array = Array(lab.san, "eql", {"san0": "10.88.0.10"})
    for number, size in ((1, 512), (2, 256)):
        array.volume(number, initiator("db01"), size * MIB)
        array.chap(number, "db01", "the-host-s-secret")
        array.chap(number, "eql", "the-array-s-one", outgoing=True)
    chap = "  chap: {user: db01, secret: {secret: chap}, mutual_user: eql, mutual_secret: {secret: chap_array}}\n"
    named = "db01.prod.lab.example.com:\n"
    lab.say((named, named + chap))
    secrets = "secrets:\n"
    lab.say((secrets, f"{secrets}  chap: {{env: CHAP}}\n  chap_array: {{env: CHAP_ARRAY}}\n"), file="site.yaml")
    right = {**SECRETS, "chap": "the-host-s-secret", "chap_array": "the-array-s-one"}
    host = lab.host("db01", 1)
    installed(host, lab, right)
    assert_db01(host)
    assert host.ssh("ls /var/lib/bootforge/kept", check=False).returncode != 0
    host("umount /srv/data /srv/logs; vgchange -an vg_data; multipath -F; iscsiadm -m node --logoutall=all")
    assert not sessions(host)
    for wrong in ({"chap": "another-secret-2"}, {"chap_array": "another-secret-2"}):
        report = host.run(lab.bootstrap("db01"), secrets={**right, **wrong})
        assert report.exit == 5 and "secret-2" not in report.whole, report.whole
        assert not sessions(host) and not array.sessions()
    report = host.run(lab.bootstrap("db01"), secrets=right)
    assert report.exit == 0, report.whole
    assert_db01(host)
    told = host("cat /var/lib/bootforge/report; journalctl -b; ps ax")
    assert "the-host-s-secret" not in told and "the-array-s-one" not in told
    quiet(host, lab)
