"""The whole life of a host: armed, installed from the network, its bootstrap run in the chroot with the real dnf and at
the first boot, and ever after over SSH: nothing changes, and when the site changes, exactly that does."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.rpms import BASE, RPM_TOOLS, build, make_key, publish
from tests.support import need
from tests.vm import lab as vm
from tests.vm import media
from tests.vm.product import BOOTFORGE, SITE, Bootforge, serve

pytestmark = pytest.mark.vm

TREE = f"http://{vm.SERVER}:8081"
HOST, MAC, ADDRESS = "web01.prod.lab.example.com", "52:54:00:00:00:01", "10.77.0.11"
ROLE = """\
install: {url: 'TREE', args: [console=ttyS0, 'lab.system=TREE']}
nics: {lan: {network: '{site}-lan'}}
disks: {system: {path: /dev/vda}}
firewall: {enabled: false} # the lab's kernel has no netfilter
users: {ops: {uid: 1500, groups: [wheel], gecos: Operations}}
authorized_keys: {root: [keys/lab.pub], ops: [keys/lab.pub]}
sudo: {ops: ['ops ALL=(ALL) NOPASSWD: ALL']}
sysctl: {vm.swappiness: 'SWAPPINESS'}
repos: {lab: {exclude: [unwanted]}}
packages: [hello]
files:
  /etc/lab.conf: {content: 'CONF', notify: [restart lab]}
  /etc/systemd/system/lab.service: {source: lab.service}
services: {lab: 'on'}
"""
SERVICE = """\
[Unit]
Description=Counts how often it was started
[Service]
ExecStart=/bin/sh -c 'echo started >>/var/log/lab; exec sleep 1d'
[Install]
WantedBy=multi-user.target
"""


@pytest.fixture
def key(tmp_path: Path) -> Path:
    """The operator's key of SSH."""
    need("ssh", "ssh-keygen", *RPM_TOOLS)
    path = tmp_path / "operator"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return path


@pytest.fixture
def site(tmp_path: Path, key: Path) -> Path:
    """The lab's site, with a whole system for one disk, and what it shall be."""
    root = tmp_path / "site"
    shutil.copytree(SITE, root)
    (root / "keys").mkdir()
    (root / "keys/lab.pub").write_text(key.with_suffix(".pub").read_text())
    (root / "keys/lab.asc").write_text(make_key(tmp_path / "gpg", "lab"))
    (root / "lab.service").write_text(SERVICE)
    (root / "repos.yaml").write_text(f"lab: {{url: '{TREE}/repo', gpgkey: keys/lab.asc, repo_gpgcheck: true}}\n")
    say(root)
    return root


def say(site: Path, conf: str = "a=1", swappiness: int = 10) -> None:
    said = ROLE.replace("TREE", TREE).replace("CONF", conf).replace("SWAPPINESS", str(swappiness))
    (site / "roles/web.yaml").write_text(said)


@pytest.fixture
def bootforge(lab: vm.Lab, site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bootforge:
    """A served lab with a signed repository, whose installer unpacks a whole system that knows rpm."""
    product = serve(lab, site, monkeypatch)
    tree = lab.directory / "tree"
    packages = (BASE, ("hello", "1.0", ""), ("unwanted", "1.0", ""))
    rpms = build(tmp_path / "rpms", tmp_path / "gpg", "lab", packages)
    publish(tree / "repo", rpms, tmp_path / "gpg", "lab")
    more = tmp_path / "more"
    (more / "etc/rpm").mkdir(parents=True)
    (more / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n")
    (more / "etc/group").write_text((media.system_root() / "etc/group").read_text() + "wheel:x:10:\n")
    base = next(rpm for rpm in rpms if rpm.name.startswith(BASE[0]))
    database = ("--dbpath", more / "var/lib/rpm", "--nosignature", "--justdb", "--nodeps")
    subprocess.run(["rpm", *database, "-i", base], check=True)
    tar = tree / "system.tar"
    subprocess.run(["tar", "-cf", tar, "-C", media.system_root(), "."], check=True)
    subprocess.run(["tar", "-rf", tar, "-C", more, "."], check=True)
    return product


def test_a_host_from_bare_metal_to_its_daily_run(bootforge: Bootforge, site: Path, key: Path) -> None:
    bootforge("arm", HOST)
    machine = bootforge.lab.power_on("web01", MAC, system=True)
    machine.wait_for(r"^BF: pre\| disk 1: vda$", 30 * vm.PATIENCE)
    machine.wait_for("^BF: unpacked", 100 * vm.PATIENCE)
    machine.wait_for(r"^BF: post\| changed\s+\d+\s+packages\s+install hello$", 40 * vm.PATIENCE)
    machine.wait_for(r"^BF: post\| skipped\s+0\s+handler:restart:lab", 40 * vm.PATIENCE)
    machine.wait_for(r"^BF: post\| end\s+\d+\s+0\s", 20 * vm.PATIENCE)
    machine.wait_for("^BF: reboot$", 20 * vm.PATIENCE)
    deadline = time.monotonic() + 100 * vm.PATIENCE
    while (status := bootforge.json("status", HOST)[0])["state"] != "installed":
        assert status["state"] == "first-boot" and time.monotonic() < deadline, bootforge("status", HOST)
        time.sleep(1)
    assert (status["run"]["phase"], status["run"]["failed"], status["current"]) == ("boot", 0, True)
    # The restart that the chroot could not do was not lost.
    assert "\thandler:restart:lab\t" in bootforge("log", HOST, "booted")
    daily_runs(bootforge, site, reached(bootforge, key))


def reached(bootforge: Bootforge, key: Path) -> SshHost:
    """The installed host by SSH, as its operator reaches it: with a configuration, a key, and the host's known key."""
    known = bootforge.lab.run("ssh-keyscan", "-t", "ed25519", ADDRESS).stdout.replace(ADDRESS, HOST)
    assert known, "sshd does not answer"
    (key.parent / "known").write_text(known)
    config = f"User root\nIdentityFile {key}\nIdentitiesOnly yes\nUserKnownHostsFile {key.parent}/known\n"
    (key.parent / "config").write_text(config)
    bin = key.parent / "bin"
    bin.mkdir()
    (bin / "ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {key.parent}/config "$@"\n')
    (bin / "ssh").chmod(0o755)
    return SshHost(bootforge, bin)


@dataclass
class SshHost:
    """``bin`` has the ssh that finds the host."""

    bootforge: Bootforge
    bin: Path

    def run(self, *words: str) -> tuple[int, dict[str, str]]:
        """``bootforge run``: its exit status, and what became of the steps that were not ok."""
        path = f"PATH={self.bin}:{os.environ['PATH']}"
        done = self.bootforge.lab.run("env", path, *BOOTFORGE, "run", HOST, "--by-address", "--json", *words)
        assert done.stdout, done.stderr
        (told,) = json.loads(done.stdout)
        return done.returncode, {step["step"]: step["status"] for step in told["steps"] if step["status"] != "ok"}

    def __call__(self, command: str) -> str:
        address = ("-o", f"HostName={ADDRESS}", "-o", f"HostKeyAlias={HOST}", HOST)
        done = self.bootforge.lab.run(self.bin / "ssh", *address, command)
        assert done.returncode == 0, done
        return done.stdout.strip()


def daily_runs(bootforge: Bootforge, site: Path, host: SshHost) -> None:
    """Nothing to do is nothing done; a change of the site does exactly that; what drifted is mended."""
    started = "wc -l </var/log/lab"
    assert host(started) == "2", "at boot, and by the handler that was owed"
    assert host.run("--check") == host.run() == (0, {})
    say(site, conf="a=2", swappiness=20)
    would = {step: "would" for step in ("files:/etc/lab.conf", "handler:restart:lab", "sysctl", "sysctl-live", "stamp")}
    assert host.run("--check") == (1, would)
    assert host("cat /etc/lab.conf /proc/sys/vm/swappiness") == "a=1\n10"
    assert bootforge.json("status", HOST)[0]["current"] is False
    assert host.run() == (0, {step: "changed" for step in would})
    assert host("cat /etc/lab.conf /proc/sys/vm/swappiness") == "a=2\n20"
    assert host(started) == "3"
    host("rpm -e hello && systemctl disable --now lab 2>/dev/null && chmod 666 /etc/lab.conf && userdel ops")
    drifted = {"packages", "services", "files:/etc/lab.conf", "users:ops", "keys:ops"}
    status, steps = host.run("--check")
    assert (
        status == 1 and drifted - {"keys:ops"} <= {step for step in steps if not step.startswith("handler:")} <= drifted
    )
    status, steps = host.run()
    assert status == 0 and set(steps.values()) == {"changed"} and drifted - {"keys:ops"} <= set(steps)
    assert host.run() == (0, {})
    newest = bootforge.json("status", HOST)[0]
    assert (newest["run"]["phase"], newest["run"]["failed"], newest["current"]) == ("run", 0, True)
