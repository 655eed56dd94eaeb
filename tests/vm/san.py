"""A storage network in the lab: an array like an EqualLogic, and hosts with nics on it whose cables can be pulled.

``Array``: tgt in a network namespace of its own, at the end of one cable for each network. One subnet: the group's
address answers discovery and sends every login on to a member's (RFC 7143 11.13.5), as an EqualLogic does; the disks
answer EQLOGIC 100E-00 and have WWIDs like its own, but for the LUN, which is 1, for tgt keeps 0. Two fabrics: a portal
on each, and discovery names both on either.

``Host``: a machine that boots from an overlay of san_image.disk(). An initramfs runs its bootstrap in a chroot, as an
installer does, and ends; when the system has booted it is talked to by SSH over its first nic.

By hand, as root:

    .venv/bin/pytest -m vm tests/vm/test_san.py -k cable --basetemp /tmp/san
    tail -f /tmp/san/*/db01.log
"""

from __future__ import annotations

import itertools
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.vm import lab as vm
from tests.vm import media, san_image

NEEDED = ("tgtd", "tgtadm", "qemu-img", "mke2fs", "rpmbuild", "rpmsign", "gpg", "ssh", "ssh-keygen")
MTU = 9000
MIB = 1 << 20


def missing() -> list[str]:
    return vm.missing() + [tool for tool in NEEDED if not shutil.which(tool)]


def wwid(number: int) -> str:
    """What multipath calls volume ``number``."""
    return f"36090a01820494c58{number:016x}"


def target(number: int) -> str:
    return f"iqn.2001-05.com.equallogic:0-8a0906-lab-vol{number}"


@dataclass(frozen=True)
class Report:
    """A run of the bootstrap: its exit status, and by step what came of it and what was said of it."""

    exit: int
    status: Mapping[str, str]
    text: Mapping[str, str]
    whole: str

    def but_ok(self) -> dict[str, str]:
        return {step: status for step, status in self.status.items() if status != "ok"}


def read_report(text: str) -> Report:
    lines = [line.split("\t") for line in text.splitlines() if "\t" in line]
    steps = [line for line in lines if line[0] not in ("bootforge", "end", "diff") and len(line) == 4]
    [end] = [line for line in lines if line[0] == "end"]
    return Report(int(end[2]), {one[2]: one[0] for one in steps}, {one[2]: one[3] for one in steps}, text)


class Array:
    """See the module. ``portals``: by bridge of the lab, where it listens there, as ADDRESS or ADDRESS@VLAN."""

    def __init__(self, lab: San, name: str, portals: Mapping[str, str]) -> None:
        self.lab, self.name, self.portals = lab, name, dict(portals)
        self.namespace = f"{lab.namespace}-{name}"
        self.volumes: dict[int, Path] = {}
        self._accounts: set[str] = set()
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        lab.others.append(self.namespace)
        self._ip("link set lo up")
        for number, (bridge, portal) in enumerate(self.portals.items()):
            address, _, vlan = portal.partition("@")
            nic, cable = f"eth{number}", f"{name}-{number}"
            if vlan:
                tagger = lab.start(cable, sys.executable, "-u", Path(__file__).with_name("tagger.py"), cable, nic, vlan)
                tagger.wait_for("ready", 20)
                lab.ip(f"link set {nic} netns {self.namespace}")
            else:
                lab.ip(f"link add {cable} type veth peer name {nic} netns {self.namespace}")
            lab.ip(f"link set {cable} mtu {MTU + 4 if vlan else MTU} master {bridge} up")
            self._ip(f"link set {nic} mtu {MTU} up")
            for one in {address, self._member(address)}:
                self._ip(f"address add {one}/24 dev {nic}")
        addresses = [portal.partition("@")[0] for portal in self.portals.values()]
        self._redirects = len(addresses) == 1
        self.daemons = [self._daemon("member", [self._member(one) for one in addresses])]
        if self._redirects:
            self.daemons.append(self._daemon("group", addresses))

    def _member(self, address: str) -> str:
        """An array with one portal has a member behind it, at the next address."""
        head, _, last = address.rpartition(".")
        return f"{head}.{int(last) + 1}" if len(self.portals) == 1 else address

    def _ip(self, command: str) -> None:
        subprocess.run(["ip", "-n", self.namespace, *command.split()], check=True)

    def _daemon(self, name: str, addresses: Iterable[str]) -> vm.Process:
        where = [f"portal={address}:3260" for address in addresses]
        log = self.lab.directory / f"{self.name}-{name}.log"
        control = f"TGT_IPC_SOCKET={self.lab.sockets}/{self.name}-{name}"
        argv = ["ip", "netns", "exec", self.namespace, "setpriv", "--pdeathsig", "KILL", "env", control]
        process = vm.Process(name, [*argv, "tgtd", "-f", "--iscsi", ",".join(where)], log)
        self.lab.processes.append(process)
        process.wait_for("bs_init", 20)
        return process

    def _admin(self, daemon: str, *words: str) -> str:
        environment = {**os.environ, "TGT_IPC_SOCKET": f"{self.lab.sockets}/{self.name}-{daemon}"}
        argv = ["tgtadm", "--lld", "iscsi", *words]
        deadline = time.monotonic() + 20
        while True:
            done = subprocess.run(argv, env=environment, capture_output=True, text=True)
            if done.returncode == 0:
                return done.stdout
            assert time.monotonic() < deadline, f"{argv}: {done.stderr}"
            time.sleep(0.2)

    def volume(self, number: int, initiator: str, size: int = 256 * MIB, content: bytes = b"") -> Path:
        """A volume for one initiator. Its bytes are in the file."""
        path = media.blank_disk(self.lab.directory / f"{self.name}-volume{number}", content, size)
        self.volumes[number] = path
        tid = ("--tid", str(number))
        for daemon in ("member", "group")[: len(self.daemons)]:
            self._admin(daemon, "--op", "new", "--mode", "target", *tid, "-T", target(number))
            self._admin(daemon, "--op", "bind", "--mode", "target", *tid, "-I", "ALL")
            self._admin(daemon, "--op", "bind", "--mode", "target", *tid, "-Q", initiator)
        lun = ("--mode", "logicalunit", *tid, "--lun", "1")
        self._admin("member", "--op", "new", *lun, "-b", str(path))
        naa = wwid(number)[1:]
        said = f"vendor_id=EQLOGIC,product_id=100E-00,product_rev=4.3,scsi_id={naa},scsi_sn={naa}"
        self._admin("member", "--op", "update", *lun, "--params", said)
        if self._redirects:
            [portal] = self.portals.values()
            there = {"Address": self._member(portal.partition("@")[0]), "Port": "3260", "Reason": "Temporary"}
            for key, value in there.items():
                words = ("--name", f"Redirect{key}", "--value", value)
                self._admin("group", "--op", "update", "--mode", "target", *tid, *words)
        return path

    def chap(self, number: int, user: str, password: str, outgoing: bool = False) -> None:
        """A volume asks for this account; ``outgoing``: the array's own, with which it answers when it is asked."""
        for daemon in ("member", "group")[: len(self.daemons)]:
            if f"{daemon} {user}" not in self._accounts:
                account = ("--mode", "account", "--user", user)
                self._admin(daemon, "--op", "new", *account, "--password", password)
                self._accounts.add(f"{daemon} {user}")
            bind = ("--mode", "account", "--tid", str(number), "--user", user)
            self._admin(daemon, "--op", "bind", *bind, *(["--outgoing"] if outgoing else []))

    def sessions(self) -> list[str]:
        """The initiators that are logged in, one for each session."""
        told = self._admin("member", "--op", "show", "--mode", "target")
        return re.findall(r"I_T nexus: \d+\n\s+Initiator: (\S+)", told)

    def cables(self, state: str) -> None:
        """``down``: nobody reaches it any more."""
        for number in range(len(self.portals)):
            self.lab.ip(f"link set {self.name}-{number} {state}")


@dataclass
class Cable:
    """A nic of a host, where it is plugged in, and its slot."""

    mac: str
    bridge: str
    slot: int
    tap: str = ""


class Host:
    """See the module. ``cables``: by nic; the first is the one that SSH goes over."""

    def __init__(self, lab: San, name: str, address: str, cables: Mapping[str, Cable], key: Path) -> None:
        self.lab, self.name, self.address, self.cables, self.key = lab, name, address, dict(cables), key
        self.disk = lab.directory / f"{name}.qcow2"
        base = san_image.disk()
        media.output("qemu-img", "create", "-q", "-f", "qcow2", "-b", str(base), "-F", "raw", str(self.disk))
        for cable in self.cables.values():
            cable.tap = f"tap{next(lab.taps)}"
            lab.ip(f"tuntap add {cable.tap} mode tap")
            lab.ip(f"link set {cable.tap} mtu {MTU if cable.bridge != 'br0' else 1500}")
            lab.ip(f"link set {cable.tap} master {cable.bridge} up")
        self._boots = itertools.count(1)
        self.console: vm.Process

    def install(self, bootstrap: str, secrets: Mapping[str, str]) -> Report:
        """Phase install in a chroot; what it reported. The machine is off then."""
        files = {"bootstrap": (0o100755, bootstrap.encode()), "secrets": (0o040700, b"")}
        for secret, value in secrets.items():
            files[f"secrets/{secret}"] = (0o100600, f"{value}\n".encode())
        self.power_on(files)
        self.console.wait_for_end(60 * vm.PATIENCE)
        told = re.findall(r"^BF: install\| (.*)$", self.console.text, re.MULTILINE)
        assert "BF: the disk" not in self.console.text
        return read_report("\n".join(told))

    def power_on(self, files: Mapping[str, tuple[int, bytes]] | None = None) -> vm.Process:
        """Boots. ``files``: what the initramfs has besides."""
        number = next(self._boots)
        kernel = media.kernel()
        initrd = self.lab.directory / f"{self.name}-{number}.initrd"
        initrd.write_bytes(media.initramfs(kernel, "boot", files))
        nics = []
        for nic, cable in self.cables.items():
            device = f"virtio-net-pci,netdev={nic},id={nic},mac={cable.mac},addr={cable.slot},romfile="
            jumbo = f",host_mtu={MTU}" if cable.bridge != "br0" else ""
            nics += ["-netdev", f"tap,id={nic},ifname={cable.tap},script=no,downscript=no", "-device", device + jumbo]
        self.console = self.lab.start(
            f"{self.name}-{number}",
            *("nice", "-n", "10", "qemu-system-x86_64", "-display", "none", "-serial", "stdio", "-nodefaults"),
            *("-monitor", f"unix:{self._monitor},server=on,wait=off"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-m", "768", "-smp", "2", "-machine", "pc"),
            *("-drive", f"if=none,id=disk,format=qcow2,cache=unsafe,file={self.disk}"),
            *("-device", "virtio-blk-pci,addr=3,drive=disk", *nics, "-no-reboot"),
            *("-kernel", kernel / "vmlinuz", "-initrd", initrd),
            *("-append", "root=/dev/vda console=ttyS0 net.ifnames=0 panic=-1"),
        )
        return self.console

    @property
    def _monitor(self) -> str:
        return f"{self.lab.sockets}/{self.name}-monitor"

    def up(self) -> None:
        """Until it answers by SSH."""
        deadline = time.monotonic() + 90 * vm.PATIENCE
        while (done := self.ssh("true", check=False)).returncode:
            assert time.monotonic() < deadline, f"{done.stderr}\n{self.console.log}: {self.console.text[-3000:]}"
            time.sleep(1)

    def booted(self) -> Report:
        """What phase boot reported, once it has ended."""
        self.up()
        self.wait("cd /var/lib/bootforge && grep -q '^bootforge.*\tboot\t' report && grep -q '^end\t' report", 100)
        return read_report(self("cat /var/lib/bootforge/report"))

    def ssh(self, command: str, input: str | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
        options = {
            "BatchMode": "yes",
            "ConnectTimeout": "10",
            "ControlMaster": "auto",
            "ControlPath": f"{self.lab.sockets}/%C",
            "ControlPersist": "60",
            "LogLevel": "ERROR",
            "ServerAliveInterval": "10",
            "StrictHostKeyChecking": "no",
            "UserKnownHostsFile": "/dev/null",
        }
        argv = ["ssh", "-i", str(self.key), *(word for pair in options.items() for word in ("-o", "=".join(pair)))]
        done = subprocess.run(
            self.lab.inside(*argv, f"root@{self.address}", command),
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=600,
        )
        assert not check or done.returncode == 0, f"{command}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def __call__(self, command: str) -> str:
        """What a command prints; it must succeed."""
        return self.ssh(command).stdout

    def wait(self, command: str, seconds: float) -> None:
        """Until a command succeeds."""
        deadline = time.monotonic() + seconds * vm.PATIENCE
        while (done := self.ssh(command, check=False)).returncode:
            assert time.monotonic() < deadline, f"{command}: {done.stdout}{done.stderr}"
            time.sleep(1)

    def run(self, script: str, *arguments: str, secrets: Mapping[str, str] | None = None) -> Report:
        """The bootstrap as it is pushed: the script first, then ``sh`` on it."""
        for secret, value in (secrets or {}).items():
            self.ssh(f"umask 077; mkdir -p /root/secrets && cat >/root/secrets/{secret}", input=f"{value}\n")
        handed = ("--secrets", "/root/secrets") if secrets else ()
        self.ssh("umask 077; cat >/root/bootstrap", input=script)
        done = self.ssh(" ".join(("sh /root/bootstrap", *handed, *arguments, "2>&1")), check=False)
        report = read_report(done.stdout)
        assert report.exit == done.returncode, done.stdout
        return report

    def cable(self, nic: str, state: str) -> None:
        """``down``: the switch forwards nothing any more, and the nic does not notice. ``off``: the nic has no
        carrier. ``up`` and ``on`` mend them."""
        if state in ("up", "down"):
            self.lab.ip(f"link set {self.cables[nic].tap} {state}")
            return
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.connect(self._monitor)
            monitor.sendall(f"set_link {nic} {state}\n".encode())
            monitor.settimeout(10)
            told = b""
            while told.count(b"(qemu)") < 2:
                told += monitor.recv(4096)

    def off(self, command: str = "systemctl reboot") -> None:
        """Ends, in order; a reboot ends the machine too, and it can be powered on anew."""
        self.ssh(f"{command} --no-wall", check=False)
        self.console.wait_for_end(90 * vm.PATIENCE)


class San(vm.Lab):
    """A lab with the bridges san0 and san1, on which jumbo frames pass."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.sockets = tempfile.mkdtemp(prefix="bf-")  # a socket's path has room for 107 characters
        self.taps = self._taps

    def __enter__(self) -> San:
        super().__enter__()
        try:
            for bridge in ("san0", "san1"):
                self.ip(f"link add {bridge} mtu {MTU} type bridge stp_state 0 forward_delay 0 mcast_snooping 0")
                self.ip(f"link set {bridge} up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *exception: object) -> None:
        super().__exit__(*exception)
        shutil.rmtree(self.sockets)
