"""Machines with a real sshd each: this machine's own root, seen through an overlay, in namespaces of their own. What is
changed on one stays in its overlay, and whoever ends its first process ends them all."""

from __future__ import annotations

import os
import re
import shutil
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.integration.edge import alive
from tests.support import ROOT, SMALL, Done, bootforge, environment, need, write_site

KEY = (SMALL / "keys" / "ops.pub").read_text()
SITE = """\
schema: 1
environments: {prod: {}}
names: ["{role}{n:int}.{env}.example.com"]
networks:
  lan: {subnet: 127.0.0.0/8, server: "http://127.0.0.1"}
secrets:
  token: {env: BOOTFORGE_TEST_TOKEN}
  root_hash: {env: BOOTFORGE_ROOT_HASH}
defaults: {profile: rocky9, layout: lvm, timezone: Etc/UTC, authorized_keys: {root: [keys/ops.pub]}}
"""
_NICS = "nics: {lan: {network: lan}}\n"
TOKEN = f"LeakToken{os.getpid()}" * 3
"""What is searched for; tests that run at the same time have others."""


def name(number: int) -> str:
    return f"web{number}.prod.example.com"


def address(number: int) -> str:
    return f"127.0.{9 + number // 250}.{1 + number % 250}"


def run_site(root: Path, count: int, role: str, more: Mapping[int, str] | None = None) -> Path:
    """A site of that many hosts of a role; ``more``: lines of a host by its number."""
    hosts = [
        f"{name(n)}:\n  nics: {{lan: {{mac: '02:00:00:00:{n // 250:02x}:{n % 250:02x}', address: {address(n)}}}}}\n"
        + (more or {}).get(n, "")
        for n in range(1, count + 1)
    ]
    files = {"site.yaml": SITE, "roles/web.yaml": _NICS + role, "hosts/web.yaml": "".join(hosts), "keys/ops.pub": KEY}
    return write_site(root, files)


@dataclass
class Machine:
    """``upper`` has what was changed on it, ``run`` is its /run, a tmpfs."""

    at: Path
    number: int
    port: int
    process: subprocess.Popen[bytes] | None = None

    @property
    def upper(self) -> Path:
        return self.at / "upper"

    @property
    def run(self) -> Path:
        return self.at / "run"

    def read(self, file: str) -> str:
        return (self.upper / file.lstrip("/")).read_text()

    def start(self, key: str, more: str = "") -> None:
        """Its sshd begins; ``more``: lines of its configuration."""
        for directory in ("upper/etc/ssh", "work", "root", "run/sshd", "shm"):
            (self.at / directory).mkdir(parents=True, exist_ok=True)
        for file in (".bashrc", ".profile", ".bash_profile"):
            hidden = self.upper / "root" / file
            if not hidden.exists():
                hidden.parent.mkdir(mode=0o700, exist_ok=True)
                os.mknod(hidden, stat.S_IFCHR)  # overlayfs takes it for a file that was removed
        config = {
            "ListenAddress": f"{address(self.number)}:{self.port}",
            "HostKey": "/etc/ssh/bf_key",
            "AuthorizedKeysFile": "/etc/ssh/bf_authorized",
            "PidFile": "none",
            "UsePAM": "no",
            "UseDNS": "no",
            "PermitRootLogin": "yes",
            "StrictModes": "no",
            "LogLevel": "ERROR",
        }
        etc = self.upper / "etc/ssh"
        (etc / "bf_sshd").write_text("".join(f"{key} {value}\n" for key, value in config.items()) + more)
        (etc / "bf_authorized").write_text(key)
        if not (etc / "bf_key").exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", etc / "bf_key"], check=True)
        mounts = (
            "mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root && mount -t proc proc root/proc &&"
            " mount --rbind /dev root/dev && mount --bind shm root/dev/shm && mount --bind run root/run &&"
            " exec chroot root /usr/sbin/sshd -D -e -f /etc/ssh/bf_sshd"
        )
        with (self.at / "log").open("ab") as log:
            self.process = subprocess.Popen(
                ["unshare", "-m", "-u", "-p", "-f", "--kill-child", "sh", "-c", mounts],
                cwd=self.at,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                start_new_session=True,
            )

    def wait(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection((address(self.number), self.port), 5).close()
                return
            except OSError:
                assert time.monotonic() < end, (self.at / "log").read_text()
                time.sleep(0.05)

    def sh(self, code: str) -> str:
        """What a command says on the machine, below its own processes' namespaces."""
        assert self.process
        (inner,) = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        command = ["nsenter", "-t", inner, "-m", "-p", "-u", "-r", "-w", "sh", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done
        return done.stdout

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Lab:
    """A site, its machines, and the command line of an operator whose ssh knows them."""

    at: Path
    site: Path
    port: int
    machines: dict[int, Machine] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    def machine(self, number: int) -> Machine:
        return self.machines[number]

    def add(self, *numbers: int) -> None:
        """Machines that answer when this returns, and whose keys are known."""
        for number in numbers:
            self.machines[number] = Machine(self.at / f"m{number}", number, self.port)
            self.start(number)
        for number in numbers:
            self.machines[number].wait()
            self.know(number)

    def start(self, number: int, more: str = "") -> None:
        self.machines[number].stop()
        self.machines[number].start((self.at / "key.pub").read_text(), more)

    def know(self, number: int) -> None:
        """The machine's key is known from now on."""
        public = (self.machines[number].upper / "etc/ssh/bf_key.pub").read_text().split()[:2]
        with (self.at / "known").open("a") as known:
            known.write(f"{name(number)} {' '.join(public)}\n")

    def configure(self, count: int, more: str = "") -> None:
        hosts = "".join(
            f"Host {name(n)}\n  HostName {address(n)}\n  HostKeyAlias {name(n)}\n" for n in range(1, count + 1)
        )
        (self.at / "config").write_text(
            f"{more}{hosts}Host *\n  Port {self.port}\n  User root\n  IdentityFile {self.at}/key\n"
            f"  IdentitiesOnly yes\n  UserKnownHostsFile {self.at}/known\n  GlobalKnownHostsFile /dev/null\n"
        )

    def environment(self, **more: str) -> dict[str, str]:
        return {
            "PATH": f"{self.at}/bin:{os.environ['PATH']}",
            "BOOTFORGE_SITE": str(self.site),
            "BOOTFORGE_STORE": f"sqlite:///{self.at}/state/store.db",
            "BOOTFORGE_TEST_TOKEN": TOKEN,
            **self.env,
            **more,
        }

    def run(self, *args: str, **more: str) -> Done:
        return bootforge("run", *args, **self.environment(**more))

    def begin(self, *args: str, **more: str) -> subprocess.Popen[bytes]:
        """As ``run``, to be ended by the caller."""
        command = [sys.executable, "-m", "bootforge", "run", *args]
        pipe = subprocess.PIPE
        env = environment(**self.environment(**more))
        return subprocess.Popen(command, stdout=pipe, stderr=pipe, env=env, cwd=ROOT, start_new_session=True)


@contextmanager
def lab(at: Path, site: Path, numbers: int = 1) -> Iterator[Lab]:
    """A lab with that many machines, of numbers 1 and following."""
    need("unshare", "nsenter", "sshd", "ssh", "ssh-keygen")
    if os.geteuid():
        pytest.skip("mounts need root")
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", at], check=True)
    lab = Lab(at, site, _free_port())
    try:
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", at / "key"], check=True)
        (at / "bin").mkdir()
        (at / "bin/ssh").write_text(f'#!/bin/sh\nexec {shutil.which("ssh")} -F {at}/config "$@"\n')
        (at / "bin/ssh").chmod(0o755)
        lab.configure(numbers)
        lab.add(*range(1, numbers + 1))
        yield lab
    finally:
        for machine in lab.machines.values():
            machine.stop()
        for _ in range(50):
            if subprocess.run(["umount", at], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "-l", at], check=True)


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


# What tests of runs share

ROLE = "firewall: {enabled: false}\nfiles: {/etc/bf-motd: {content: hello}, /etc/bf-token: {secret: token}}\n"
SLOW = "commands: {slow: [/bin/sh, -c, 'sleep 4; echo x >>/bf-slow']}\n"
"""What takes four seconds where it is notified."""


def outcomes(done: Done) -> dict[str, dict[str, Any]]:
    """What --json says, by the host's number."""
    assert done.out.startswith("["), done
    return {re.sub(r"\D", "", one["host"].partition(".")[0]): one for one in done.json}


def kinds(done: Done) -> dict[str, str]:
    return {number: one["outcome"] for number, one in outcomes(done).items()}


def changed(one: dict[str, Any]) -> list[str]:
    return [step["step"] for step in one["steps"] if step["status"] in ("changed", "would")]


def rewrite(file: Path, old: str, new: str) -> None:
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))


def places(at: Path, *but: str) -> list[str]:
    """The files below a directory that have the token in them."""
    found = []
    for path in at.rglob("*"):
        if path.is_file() and not path.is_symlink() and "/root/" not in path.as_posix():
            try:
                if TOKEN.encode() in path.read_bytes():
                    found.append(path.relative_to(at).as_posix())
            except OSError:
                continue
    return sorted(set(found) - {*but})


def _content(process: int, name: str) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{process}/{name}").read_bytes()
    return b""


def leaking_processes(but: int) -> set[str]:
    """Processes that have the token among their arguments or in their environment, but for that one, which was given
    it, and what it forked and will be another program in a moment."""
    found = set()
    given = _content(but, "cmdline")
    for process in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ"):
            number = int(process.name)
            if number != but and TOKEN.encode() in _content(number, what):
                command = _content(number, "cmdline")
                if command != given and TOKEN.encode() in _content(number, what):  # it is that program now
                    found.add(f"{what} of {command!r}")
    return found


def slow_lab(two: Lab) -> None:
    """From now on a run takes four seconds on each machine, in a handler."""
    assert two.run("web[12].*", "--take-over").status == 0
    more = f"{SLOW}files: {{/etc/bf-slow: {{content: x, notify: [run slow]}}, "
    rewrite(two.site / "roles/web.yaml", "files: {", more)


def begun(machine: Machine) -> Callable[[], bool]:
    """Whether its handler is at work."""
    return lambda: (machine.upper / "var/lib/bootforge/pending/run:slow").exists()


def ssh_processes(made: Lab) -> list[int]:
    """The operator's ssh processes that are there."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"-F\0{made.at}/config".encode() in (process / "cmdline").read_bytes() and alive(int(process.name)):
                found.append(int(process.name))
        except OSError:
            continue
    return found
