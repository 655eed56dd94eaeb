"""A machine as %pre sees it: /sys and /dev in a directory, disks as sparse files, and the tools of an installer."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

MIB = 1024 * 1024
LOCAL = "pci0000:00/0000:00:1f.2/ata1/host0/target0:0:0/0:0:0:0"
USB = "pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/host6/target6:0:0/6:0:0:0"
ISCSI = "platform/host4/session1/target4:0:0/4:0:0:0"
FC = "pci0000:00/0000:05:00.0/host5/rport-5:0-0/target5:0:0/5:0:0:0"
SAS = "pci0000:00/0000:03:00.0/host2/port-2:0/end_device-2:0/target2:0:0/2:0:0:0"
TOOLS = ("cat", "dd", "readlink", "mknod", "printf")
"""What the script may run besides its shell, udevadm, lvm and curl; EL5 has no readlink."""


@dataclass
class Ran:
    """``files``: what was written below /tmp."""

    status: int
    out: str
    err: str
    storage: list[str]
    report: list[str]
    sent: str


class Machine:
    """``root`` is what BF_ROOT says. ``bin`` has tools; ``tool`` puts more there."""

    def __init__(self, root: Path) -> None:
        self.root, self.bin = root / "root", root / "bin"
        for name in ("sys/block", "sys/devices", "dev/disk/by-id", "proc/sys/kernel", "tmp"):
            (self.root / name).mkdir(parents=True)
        (self.root / "dev/console").touch()
        self.cmdline("inst.ks=http://10.0.0.1/i/web01/0123456789abcdef/kickstart quiet")
        self.bin.mkdir()
        for name in TOOLS:
            (self.bin / name).symlink_to(shutil.which(name) or name)
        sent = root / "sent"
        self.sent = sent
        self.tool("curl", f'for last; do :; done; echo "$last" >{sent}; while [ $# -gt 1 ]; do\n'
                  f'[ "$1" != --data-binary ] || cat "${{2#@}}" >>{sent}; shift; done')  # fmt: skip
        self.tool("udevadm", "exit 1")
        self.lvm([])

    def cmdline(self, text: str) -> None:
        (self.root / "proc/cmdline").write_text(text + "\n")

    def tool(self, name: str, script: str) -> None:
        path = self.bin / name
        path.unlink(missing_ok=True)
        path.write_text(f"#!/bin/bash\n{script}\n")
        path.chmod(0o755)

    def lvm(self, pvs: list[tuple[str, str, str]], **volumes: list[str]) -> None:
        """What lvm answers: physical volumes with group and tags, and the logical volumes of groups."""
        lines = "\n".join(f"  {path}|{group}|{tags}" for path, group, tags in pvs)
        cases = "\n".join(f"{group}) printf '  %s\\n' {' '.join(names)} ;;" for group, names in volumes.items())
        self.tool(
            "lvm",
            f"case $1 in\npvs) cat <<'EOF'\n{lines}\nEOF\n;;\n"
            f"lvs) for last; do :; done; case $last in\n{cases}\n*) exit 5 ;; esac ;;\nesac\necho WARNING: x >&2",
        )

    def disk(
        self,
        name: str,
        mib: float = 100,
        *,
        place: str = LOCAL,
        content: dict[float, bytes] | None = None,
        parts: dict[str, dict[int, bytes]] | None = None,
        old: bool = False,
        **facts: str | bytes,
    ) -> Path:
        """A disk of ``mib`` MiB at ``place`` of /sys/devices, with bytes at offsets in MiB (negative: from its end),
        and partitions with bytes at offsets. ``facts``: files of its directory; ``device__x`` is device/x.
        ``old``: /sys/block is laid out as before Linux 2.6.26, which is EL5's."""
        sys, device = name.replace("/", "!"), self.root / "sys/devices" / place
        device.mkdir(parents=True, exist_ok=True)
        directory = self.root / "sys/block" / sys
        if not old:
            directory.symlink_to(device / "block" / sys)
        directory.resolve().mkdir(parents=True)
        (directory / "device").symlink_to(device)
        (directory / "size").write_text(f"{int(mib * 2048)}\n")
        (directory / "dev").write_text("8:0\n")
        (directory / "removable").write_text("0\n")
        node = self.root / "dev" / name
        node.parent.mkdir(exist_ok=True)
        self._sparse(node, int(mib * MIB), {int(at * MIB): data for at, data in (content or {}).items()})
        for part, written in (parts or {}).items():
            (directory / part).mkdir()
            (directory / part / "dev").write_text("8:1\n")
            self._sparse(node.parent / part, 4 * MIB, written)
        for key, value in facts.items():
            path = directory / key.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(value if isinstance(value, bytes) else value.encode())
        return directory

    @staticmethod
    def _sparse(path: Path, size: int, written: dict[int, bytes]) -> None:
        with path.open("wb") as file:
            file.truncate(size)
            for at, data in written.items():
                file.seek(at if at >= 0 else size + at)
                file.write(data)

    def link(self, name: str, device: str) -> None:
        """/dev/disk/by-id/NAME, as udev makes it."""
        (self.root / "dev/disk/by-id" / name).symlink_to(f"../../{device}")

    def run(self, shell: list[str], script: str) -> Ran:
        self.sent.unlink(missing_ok=True)
        for name in ("bootforge-storage", "bootforge-report"):
            (self.root / "tmp" / name).unlink(missing_ok=True)
        command = [shutil.which(shell[0]) or shell[0], *shell[1:], "-c", script]
        env = {"PATH": str(self.bin), "BF_ROOT": str(self.root)}
        done = subprocess.run(command, capture_output=True, env=env, timeout=60, cwd=os.sep)
        storage, report = (self._lines(name) for name in ("bootforge-storage", "bootforge-report"))
        sent = self.sent.read_text() if self.sent.exists() else ""
        return Ran(done.returncode, done.stdout.decode(), done.stderr.decode(), storage, report, sent)

    def _lines(self, name: str) -> list[str]:
        path = self.root / "tmp" / name
        return path.read_text().splitlines() if path.exists() else []


def ext(label: str) -> dict[int, bytes]:
    """Where an ext file system has its signature and label."""
    return {1080: b"\x53\xef", 1144: label.encode()}


def xfs(label: str) -> dict[int, bytes]:
    return {0: b"XFSB", 108: label.encode()}
