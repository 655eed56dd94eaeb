"""A network of its own with real firmware in it: the harness of the tests that boot virtual machines.

A ``Lab`` is one network namespace (``bf-<pid>-<n>``) without a way out, holding a bridge ``br0`` with 10.77.0.1
and fd77::1, the processes started in it, and QEMU machines on taps. Everything that a process prints goes to
``<dir>/<name>.log`` with the seconds since its start, and can be waited for. Leaving the ``with`` block kills
the processes (by process group, never by name) and deletes the namespace.

Run one test by hand, as root:

    .venv/bin/pytest -m vm tests/vm/test_bios.py -k armed --basetemp /tmp/vm      # logs stay in /tmp/vm/*/
    tail -f /tmp/vm/*/web01.log                                                   # the serial console meanwhile

Debian packages: qemu-system-x86 ipxe ipxe-qemu ovmf dnsmasq-base busybox-static iproute2 kmod debootstrap, and
apt's package lists (``apt-get update``) for the kernel, which is downloaded but never installed (see media.py).
QEMU emulates in software, for /dev/kvm is rare where this runs: a machine costs 5 to 15 CPU seconds a boot.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.integration.wire import unconfined
from tests.vm import media, signed
from tests.vm.signed import Key

SERVER = "10.77.0.1"
NEEDED = ("ip", "setpriv", "qemu-system-x86_64", "dnsmasq", "apt-get", "dpkg-deb", "debootstrap", "depmod", "modprobe")
NEEDED_FILES = (
    media.BUSYBOX,
    media.OVMF / "OVMF_CODE_4M.fd",
    media.OVMF / "OVMF_VARS_4M.fd",
    Path("/usr/lib/ipxe/qemu/pxe-virtio.rom"),
    Path("/usr/lib/ipxe/snponly.efi"),
    Path("/dev/net/tun"),
)
ESCAPES = re.compile(rb"\x1b(\[[0-9;?=]*[A-Za-z]|[()][A-Z0-9]|c)|\r")
BEGUN = re.compile(rb"\x1b[^A-Za-z]{0,15}\Z")  # an escape sequence that arrives in pieces
PATIENCE = 4  # measured times on an idle machine, times this, are the time-outs

_number = itertools.count()


def missing() -> list[str]:
    """What this machine lacks for a lab; empty when it can run."""
    lacking = [tool for tool in NEEDED if not shutil.which(tool)]
    lacking += [str(path) for path in NEEDED_FILES if not path.exists()]
    return lacking + ([] if os.geteuid() == 0 else ["root"])


class Process:
    """A process in the lab. Its output is logged line by line and can be waited for, as in ``expect``.

    ``last_words``: after these nothing more will be said, though the process goes on.
    """

    def __init__(self, name: str, argv: list[str], log: Path, last_words: str = "") -> None:
        self.name, self.log, self.last_words, self.started = name, log, last_words, time.monotonic()
        self._text, self._seen = "", 0
        self._news = threading.Condition()
        self._popen = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._popen.stdout
        fresh, rest = True, b""
        with self.log.open("a") as log:
            while chunk := os.read(self._popen.stdout.fileno(), 65536):
                plain = ESCAPES.sub(b"", rest + chunk)
                begun = BEGUN.search(plain)
                rest = begun[0] if begun else b""
                text = plain.removesuffix(rest).decode(errors="replace")
                stamp = f"{time.monotonic() - self.started:8.2f} "
                for line in text.splitlines(keepends=True):
                    log.write(stamp + line if fresh else line)
                    fresh = line.endswith("\n")
                log.flush()
                with self._news:
                    self._text += text
                    self._news.notify_all()
        with self._news:
            self._news.notify_all()

    @property
    def pid(self) -> int:
        return self._popen.pid

    @property
    def text(self) -> str:
        return self._text

    def wait_for(self, pattern: str, timeout: float) -> re.Match[str]:
        """The next match in whole lines after the last one that was waited for; fails with the log's end."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                whole = self._text.rfind("\n") + 1
                if match := re.compile(pattern, re.MULTILINE).search(self._text, self._seen, whole):
                    self._seen = match.end()
                    return match
                left = deadline - time.monotonic()
                over = bool(self.last_words) and self.last_words in self._text[self._seen : whole]
                if left <= 0 or over or not self._reader.is_alive():
                    why = f"within {timeout:g} s" if left <= 0 else "and there will be none"
                    tail = "\n".join(self._text.splitlines()[-25:])
                    raise AssertionError(f"{self.name}: no {pattern!r} {why}; {self.log}:\n{tail}")
                self._news.wait(min(left, 1))

    def wait_for_end(self, timeout: float) -> None:
        """Until the process ends by itself."""
        self._popen.wait(timeout=timeout)
        self._reader.join(timeout=10)

    def kill(self) -> None:
        """End the process and its children. Idempotent."""
        if self._popen.poll() is None:
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait(timeout=30)
        self._reader.join(timeout=10)


class Lab:
    """See the module. ``directory`` receives logs, disks and leases."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.namespace = f"bf-{os.getpid()}-{next(_number)}"
        self.processes: list[Process] = []
        self.others: list[str] = []
        self._taps = itertools.count()

    def __enter__(self) -> Lab:
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        try:
            self.ip("link set lo up")
            self.ip("link add br0 type bridge stp_state 0 forward_delay 0")
            self.ip(f"address add {SERVER}/24 dev br0")
            self.ip("address add fd77::1/64 dev br0 nodad")
            self.ip("link set br0 up")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            for process in reversed(self.processes):
                process.kill()
        finally:
            for name in self.others + [self.namespace]:
                subprocess.run(["ip", "netns", "delete", name], check=True)

    def inside(self, *argv: str | Path) -> list[str]:
        """The argument list that runs ``argv`` in the namespace (``ip netns exec`` execs: the pid stays)."""
        return ["ip", "netns", "exec", self.namespace, *map(str, argv)]

    def ip(self, command: str) -> None:
        subprocess.run(["ip", "-n", self.namespace, *command.split()], check=True)

    def run(self, *argv: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.inside(*argv), capture_output=True, text=True, timeout=120)

    def start(self, name: str, *argv: str | Path, last_words: str = "") -> Process:
        command = self.inside("setpriv", "--pdeathsig", "KILL", *argv)  # it goes when the tests are killed, too
        process = Process(name, command, self.directory / f"{name}.log", last_words)
        self.processes.append(process)
        return process

    def dnsmasq(self, configuration: str) -> Process:
        """DHCP by ``configuration``; adds only where files go and a router for iPXE, which waits 13 s for one."""
        path = self.directory / "dnsmasq.conf"
        path.write_text(configuration)
        process = self.start(
            "dnsmasq",
            *(
                "dnsmasq",
                "--no-daemon",
                "--log-dhcp",
                f"--conf-file={path}",
                f"--dhcp-leasefile={self.directory}/leases",
            ),
            *("--no-ping", "--enable-ra", "--dhcp-range=fd77::,ra-only,64,1h"),
        )
        process.wait_for(r"DHCP, (IP range|proxy)", 20)
        return process

    def kea(self, configuration: str) -> Process:
        """DHCP by Kea; adds only where its leases go, and a router for iPXE, which waits 13 s for one."""
        loaded = json.loads(configuration)
        loaded["Dhcp4"]["lease-database"] = {"type": "memfile", "persist": False}
        path = self.directory / "kea.json"
        path.write_text(json.dumps(loaded))
        router = ("dnsmasq", "--no-daemon", "--port=0", "--conf-file=/dev/null", "--enable-ra")
        self.start("router", *router, "--dhcp-range=fd77::,ra-only,64,1h").wait_for("router advertisement", 20)
        places = (f"KEA_PIDFILE_DIR={self.directory}", f"KEA_LOCKFILE_DIR={self.directory}")
        process = self.start("kea", "env", *places, unconfined("kea-dhcp4", self.directory), "-c", path)
        process.wait_for("DHCP4_STARTED", 20)
        return process

    def foreign_dhcp(self) -> Process:
        """The DHCP server that was there before: on a machine of its own (10.77.0.2), it gives addresses and knows
        nothing of booting. It is the router that iPXE waits 13 s for, too."""
        other = f"{self.namespace}-dhcp"
        subprocess.run(["ip", "netns", "add", other], check=True)
        self.others.append(other)
        self.ip(f"link add dhcp type veth peer name eth0 netns {other}")
        self.ip("link set dhcp master br0 up")
        for command in (
            "address add 10.77.0.2/24 dev eth0",
            "address add fd77::2/64 dev eth0 nodad",
            "link set eth0 up",
            "link set lo up",
        ):
            subprocess.run(["ip", "-n", other, *command.split()], check=True)
        dnsmasq = ("dnsmasq", "--no-daemon", "--port=0", "--no-ping", "--conf-file=/dev/null", "--log-dhcp")
        leases = (f"--dhcp-leasefile={self.directory}/foreign-leases", "--dhcp-range=10.77.0.50,10.77.0.99,1h")
        router = ("--enable-ra", "--dhcp-range=fd77::,ra-only,64,1h")
        argv = ["ip", "netns", "exec", other, "setpriv", "--pdeathsig", "KILL", *dnsmasq, *leases, *router]
        process = Process("foreign-dhcp", argv, self.directory / "foreign-dhcp.log")
        self.processes.append(process)
        process.wait_for(r"DHCP, IP range", 20)
        return process

    def media(self) -> Process:
        """The install tree at http://10.77.0.1:8081."""
        tree = media.install_tree(self.directory / "tree")
        server = ("-m", "http.server", "8081", "--bind", SERVER, "--directory", tree)
        process = self.start("media", sys.executable, "-u", *server)
        process.wait_for("Serving HTTP", 20)
        return process

    def sniffer(self) -> Process:
        """Sees every TFTP request and option acknowledgement (sniff.py)."""
        process = self.start("tftp-wire", sys.executable, "-u", Path(__file__).with_name("sniff.py"), "br0")
        process.wait_for("sniffing", 20)
        return process

    def power_on(
        self,
        name: str,
        mac: str,
        firmware: str = "bios",
        serial: str = "",
        system: bool = False,
        http: bool = False,
        key: Key | None = None,
        disk_signed: bool = True,
    ) -> Process:
        """A machine that tries the network first, then its local disk (which prints media.MARKER). It has another
        disk to install to, <name>.target in the lab's directory, which is made blank if it is not there.

        ``system``: instead of the two, one disk of 2 GiB, on which a whole system can be installed and boots.

        bios: SeaBIOS with QEMU's iPXE ROM. uefi: OVMF with its own PXE client (``romfile=`` drops the iPXE ROM), or
        with its HTTP client for ``http``. With a ``key`` Secure Boot is on: what is signed by Microsoft or by the key
        runs, and the loader of the disk is, unless ``disk_signed`` says otherwise.
        The process's log is the serial console; a machine that reboots does so within it.
        """
        if system:
            return self._power_on_system(name, mac)
        tap = f"tap{next(self._taps)}"
        self.ip(f"tuntap add {tap} mode tap")
        self.ip(f"link set {tap} master br0 up")
        nic = f"virtio-net-pci,addr=2,netdev=lan,mac={mac}"
        if firmware == "bios":
            disk = str(media.bios_disk(self.directory / f"{name}.img"))
            # graphics=off makes SeaBIOS and iPXE talk on the serial port
            board = ["-machine", "pc,graphics=off", "-device", f"{nic},bootindex=1"]
        else:
            esp = media.uefi_disk(self.directory / f"{name}.esp")
            disk = f"fat:{esp}"
            flash = "if=pflash,format=raw"
            nvram, code = self.directory / f"{name}.nvram", "OVMF_CODE_4M.fd"
            board = ["-machine", "q35", "-device", f"{nic},romfile="]
            if key:
                code = "OVMF_CODE_4M.secboot.fd"
                signed.nvram(nvram, mac, nic_slot=2, disk_slot=3, key=key, http=http)
                if disk_signed:
                    key.sign(esp / "EFI/BOOT/BOOTX64.EFI")
                board[1] = "q35,smm=on"
                board += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
                board += ["-global", "ICH9-LPC.disable_s3=1"]
            else:
                media.nvram(nvram, mac, nic_slot=2, disk_slot=3, http=http)
            board += ["-drive", f"{flash},unit=0,readonly=on,file={media.OVMF}/{code}"]
            board += ["-drive", f"{flash},unit=1,file={nvram}"]
        return self.start(
            name,
            *("qemu-system-x86_64", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nodefaults"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-m", "512", *board),
            *("-netdev", f"tap,id=lan,ifname={tap},script=no,downscript=no"),
            *("-drive", f"if=none,id=disk,format=raw,readonly=on,file={disk}"),
            *("-device", "virtio-blk-pci,addr=3,drive=disk"),
            *("-drive", f"if=none,id=target,format=raw,file={media.blank_disk(self.directory / f'{name}.target')}"),
            *("-device", "virtio-blk-pci,addr=4,drive=target"),
            *("-smbios", f"type=1,serial={serial or name}"),
            last_words=media.MARKER,
        )

    def _power_on_system(self, name: str, mac: str) -> Process:
        tap = f"tap{next(self._taps)}"
        self.ip(f"tuntap add {tap} mode tap")
        self.ip(f"link set {tap} master br0 up")
        disk = media.blank_disk(self.directory / f"{name}.disk", size=2 << 30)
        return self.start(
            name,
            *("qemu-system-x86_64", "-display", "none", "-serial", "stdio", "-monitor", "none", "-nodefaults"),
            *("-accel", "tcg,thread=multi", "-cpu", "max", "-m", "1024", "-machine", "pc,graphics=off"),
            *("-netdev", f"tap,id=lan,ifname={tap},script=no,downscript=no"),
            *("-device", f"virtio-net-pci,addr=2,netdev=lan,mac={mac},bootindex=1"),
            *("-drive", f"if=none,id=disk,format=raw,cache=unsafe,file={disk}"),
            *("-device", "virtio-blk-pci,addr=3,drive=disk,bootindex=2", "-smbios", f"type=1,serial={name}"),
        )
