"""docs/server/: the unit under the real systemd, and what else of it can be run here."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support import ROOT, ROOT_HASH, need

UNIT = ROOT / "docs" / "server" / "bootforge.service"
CONTAINER = ROOT / "docs" / "server" / "Containerfile"
THRESHOLD = "20"
"""Tenths: an exposure of 2.0 at most."""


def exposure(unit: Path) -> str:
    """What systemd thinks of a unit's hardening, '' when it is within the threshold."""
    command = ["systemd-analyze", "security", "--no-pager", "--offline=yes", f"--threshold={THRESHOLD}", unit]
    done = subprocess.run(command, capture_output=True, text=True)
    assert "Overall exposure level" in done.stdout, done
    return done.stdout if done.returncode else ""


def test_the_unit_is_hardened(tmp_path: Path) -> None:
    need("systemd-analyze")
    assert exposure(UNIT) == ""
    planted = tmp_path / "planted.service"
    planted.write_text(
        re.sub(r"^(Protect|Restrict|Private|SystemCall|Capab|Dynamic).*\n", "", UNIT.read_text(), flags=re.M)
    )
    assert "Overall exposure level" in exposure(planted)


def verified(text: str, place: Path) -> str:
    """What systemd-analyze complains of in a unit."""
    program = place / "bootforge"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = place / "bootforge.service"
    unit.write_text(text.replace("/opt/bootforge/bin/bootforge", str(program)))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True, text=True)
    return "\n".join(line for line in done.stderr.splitlines() if "bootforge.service" in line)


def test_the_unit_is_correct(tmp_path: Path) -> None:
    need("systemd-analyze")
    text = UNIT.read_text()
    assert verified(text, tmp_path) == ""
    assert "strictly" in verified(text.replace("ProtectSystem=strict", "ProtectSystem=strictly"), tmp_path)


# A systemd of the test's own

LAB = """\
set -e
cd "$1"
mkdir -p "$3"; echo $$ >"$3/cgroup.procs"
exec unshare -C -m -u -i -p -n -f --kill-child sh -ec '
mount -t tmpfs -o mode=755 tmpfs .
cd "$PWD"
mkdir upper work root
mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root
mount -t proc proc root/proc
mount -o bind,ro root/proc/sys root/proc/sys
mount -t sysfs -o ro sysfs root/sys
mount -t cgroup2 cgroup2 root/sys/fs/cgroup
for dir in run tmp dev dev/shm; do mkdir -p root/$dir; mount -t tmpfs -o mode=755 tmpfs root/$dir; done
chmod 1777 root/tmp root/dev/shm
for node in null zero full random urandom tty kmsg; do
    touch root/dev/$node; mount --bind /dev/$node root/dev/$node
done
mkdir root/dev/pts
mount -t devpts -o newinstance,ptmxmode=666 devpts root/dev/pts
ln -s pts/ptmx root/dev/ptmx
ln -s /proc/self/fd root/dev/fd
rm -rf root/etc/systemd/system/*.wants root/etc/systemd/system/default.target root/var/lib/bootforge
rm -rf root/lib/systemd/system/sysinit.target.wants root/etc/systemd/system.conf.d root/var/log/journal
mkdir -p root/opt/bootforge/bin root/opt/bf-code root/opt/bf-libraries root/srv root/etc/bootforge root/mnt/lab
mount --bind "$1" root/opt/bf-code
mount --bind "$2" root/opt/bf-libraries
mount --bind "$0" root/mnt/lab
cp root/mnt/lab/bootforge root/opt/bootforge/bin/
cp root/opt/bf-code/docs/server/bootforge.service root/etc/systemd/system/
cp root/opt/bf-code/docs/server/dnsmasq.conf root/mnt/
cp root/mnt/lab/lab.target root/etc/systemd/system/
cp -r root/opt/bf-code/vagrant/site root/srv/site
cp root/mnt/lab/environment root/etc/bootforge/
ip link set lo up
ip link add lan type veth peer name wire
ip addr add 10.2.0.5/20 dev lan
ip link set lan up; ip link set wire up
cd root
mkdir -p mnt/old
pivot_root . mnt/old
cd /
umount -l /mnt/old
mount --make-rshared /
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin \\
    /lib/systemd/systemd --system --log-target=journal --unit=lab.target
' "$2" "$4" "$5"
"""
PROGRAM = """\
#!/bin/sh
export PYTHONPATH=/opt/bf-code:/opt/bf-libraries PYTHONDONTWRITEBYTECODE=1
exec /usr/bin/python3 -m bootforge "$@"
"""
TARGET = "[Unit]\nRequires=basic.target\nAfter=basic.target\nAllowIsolate=yes\n"


@dataclass
class Lab:
    """A systemd as the first process of namespaces of its own."""

    process: subprocess.Popen[bytes]

    def run(self, *command: str, timeout: float = 60) -> str:
        done = self.tried(*command, timeout=timeout)
        assert done.returncode == 0, (done, self.tried("journalctl", "--no-pager", "-n", "60").stdout)
        return done.stdout.strip()

    def tried(self, *command: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        (inner,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        inside = ["nsenter", "-t", inner, "-a", "-r", "-w", *command]
        return subprocess.run(inside, capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL)


def cgroups() -> Path | None:
    """Where the hierarchy of cgroup 2 is."""
    for line in Path("/proc/mounts").read_text().splitlines():
        words = line.split()
        if words[2] == "cgroup2":
            return Path(words[1])
    return None


@contextmanager
def systemd(root: Path) -> Iterator[Lab]:
    need("unshare", "nsenter", "systemctl", "curl", "ip", "git")
    hierarchy = cgroups()
    version = subprocess.run(["/usr/bin/python3", "-V"], capture_output=True, text=True).stdout.rpartition(".")[0]
    if os.geteuid() or not hierarchy or version != "Python {}.{}".format(*sys.version_info):
        pytest.skip("needs root, cgroup 2, and the system's own Python")
    files, mounts = root / "files", root / "mounts"
    for directory in (files, mounts):
        directory.mkdir()
    (files / "bootforge").write_text(PROGRAM)
    (files / "bootforge").chmod(0o755)
    (files / "lab.target").write_text(TARGET)
    (files / "environment").write_text(f"BOOTFORGE_ROOT_HASH={ROOT_HASH}\n")
    group = hierarchy / f"bootforge-test-{os.getpid()}"
    libraries = sysconfig.get_paths()["purelib"]
    arguments = ["sh", "-c", LAB, "lab", mounts, files, group, ROOT, libraries]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        lab = Lab(process)
        end = time.monotonic() + 60
        while True:
            with suppress(ValueError, OSError):
                if lab.tried("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"):
                    break
            assert process.poll() is None and time.monotonic() < end, (root / "log").read_text()
            time.sleep(0.2)
        yield lab
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
        for _ in range(50):
            left = sorted(group.rglob("*/"), key=lambda path: -len(path.parts)) if group.exists() else []
            for directory in [*left, group]:
                with suppress(OSError):
                    directory.rmdir()
            if not group.exists():
                break
            time.sleep(0.1)


def commit(lab: Lab) -> None:
    """The site is a repository of root's, with one commit."""
    git = ("git", "-C", "/srv/site", "-c", "user.name=x", "-c", "user.email=x@x")
    for words in (("init", "-q"), ("add", "."), ("commit", "-qm", "x")):
        lab.run(*git, *words)


def rights(lab: Lab, pid: str) -> tuple[str, str]:
    """Effective capabilities and the user of a process."""
    status = lab.run("cat", f"/proc/{pid}/status")
    found = [re.search(rf"^{key}:\t(\S+)", status, re.M) for key in ("CapEff", "Uid")]
    assert found[0] and found[1]
    return found[0][1].lstrip("0"), found[1][1]


def test_the_server_runs_as_the_unit_says(tmp_path: Path) -> None:
    """Its user has nothing but two ports; it is ready when it answers; and what root does to its store and its secrets
    works."""
    with systemd(tmp_path) as lab:
        lab.run("sh", "-c", f"umask 077; echo '{ROOT_HASH}' >/etc/bootforge/hash")
        drop_in = "/etc/systemd/system/bootforge.service.d"
        lab.run("mkdir", "-p", drop_in)
        lab.run("sh", "-c", f"printf '[Service]\\nLoadCredential=hash:/etc/bootforge/hash\\n' >{drop_in}/secrets.conf")
        credential = "/run/credentials/bootforge.service/hash"
        lab.run("sed", "-i", f"s,root_hash: .*,root_hash: {{file: {credential}}},", "/srv/site/site.yaml")
        lab.run("grep", credential, "/srv/site/site.yaml")
        commit(lab)
        lab.run("systemctl", "daemon-reload")
        lab.run("systemctl", "start", "bootforge", timeout=120)
        # Ready means ready: no wait, no second try.
        assert lab.run("curl", "-sm", "20", "http://127.0.0.1:9467/readyz") == "ok"
        assert lab.run("curl", "-sm", "20", "http://127.0.0.1/boot.ipxe").startswith("#!ipxe")
        assert len(lab.run("sh", "-c", "curl -sm 20 tftp://127.0.0.1/undionly.kpxe | base64")) > 10_000
        status = lab.run("systemctl", "show", "bootforge", "-P", "MainPID", "-P", "StatusText", "-P", "NotifyAccess")
        assert "serving 44 hosts" in status

        of_main = lab.run("sh", "-c", "cat /proc/$(systemctl show -P MainPID bootforge)/status")
        assert re.search(r"^NoNewPrivs:\t1$", of_main, re.M) and re.search(r"^Seccomp:\t2$", of_main, re.M)
        assert re.search(r"^CapBnd:\t0{13}400$", of_main, re.M) and not re.search(r"^Uid:\t0", of_main, re.M)
        modes = lab.run("sh", "-c", "cd /var/lib/bootforge/ && find . -perm /077 ! -type l; stat -c %a .; ls")
        assert modes.split()[0] == "700" and {"key", "store.db"} <= set(modes.split())

        # What the operator does as root.
        environ = ("env", "BOOTFORGE_SITE=/srv/site", "PATH=/opt/bootforge/bin:/usr/bin:/bin")
        armed = lab.run(*environ, "bootforge", "arm", "web01.prod.den.example.com")
        path = re.search(r"(/i/\S+/kickstart)", armed)
        assert path
        assert "kernel" in lab.run("curl", "-sm", "20", "http://127.0.0.1/m/00:14:4f:12:34:50/boot.ipxe")
        assert ROOT_HASH in lab.run("curl", "-sm", "20", f"http://127.0.0.1{path[1]}")
        lab.run("systemctl", "reload", "bootforge")
        lab.run("systemctl", "stop", "bootforge")
        assert "Result=success" in lab.run("systemctl", "show", "bootforge")
        owners = lab.run("sh", "-c", "stat -c %u /var/lib/bootforge/* | sort -u")
        assert owners.isdigit() and owners != "0", "root left nothing of its own in the store"
        journal = lab.run("journalctl", "-u", "bootforge", "-p", "warning", "-o", "cat", "--no-pager")
        assert "Traceback" not in journal and "denied" not in journal.lower(), journal

        # The same, answering DHCP.
        lab.run("cp", "/mnt/dnsmasq.conf", drop_in)
        lab.run("systemctl", "daemon-reload")
        lab.run("systemctl", "start", "bootforge", timeout=120)
        pids = lab.run("pgrep", "-x", "dnsmasq").split()
        assert len(pids) == 1
        own, user = rights(lab, pids[0])
        assert (own, user) == ("3400", owners), "NET_BIND_SERVICE, NET_ADMIN, NET_RAW"
        assert "dnsmasq" in lab.run("ss", "-lunp", "sport = :67")
        lab.run("systemctl", "stop", "bootforge")
        assert lab.tried("pgrep", "-x", "dnsmasq").returncode == 1
