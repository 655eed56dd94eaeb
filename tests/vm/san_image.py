"""The disk that a host of the SAN tests boots from: a Debian with open-iscsi, multipath-tools, lvm2 and systemd, laid
out as Enterprise Linux has it where the two differ. Made once (see media.py), never written to: machines get overlays.

What is Debian's own here and not proved: EL's kernel, dracut, and EL's units of iSCSI, for which two stand in.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.rpms import BASE, build, make_key
from tests.vm import media

PACKAGES = media.SYSTEM.replace(" extlinux syslinux-common", "") + (
    " open-iscsi multipath-tools lvm2 iputils-ping xfsprogs"
)
RPMS = ("iscsi-initiator-utils", "device-mapper-multipath", "lvm2", "xfsprogs", "e2fsprogs")
"""What rpm shall say is installed; Debian's packages are."""

IDLE = ("apt-daily", "apt-daily-upgrade", "dpkg-db-backup", "e2scrub_all", "fstrim")
"""Timers of Debian that do what no test asks for."""

ISCSI_SERVICE = """\
[Unit]
Description=Login and scanning of iSCSI devices
Before=remote-fs.target
After=network.target network-online.target iscsid.service
Wants=remote-fs-pre.target
ConditionDirectoryNotEmpty=/var/lib/iscsi/nodes
[Service]
Type=oneshot
RemainAfterExit=true
ExecStart=-/usr/sbin/iscsiadm -m node --loginall=automatic
ExecReload=-/usr/sbin/iscsiadm -m node --loginall=automatic
SuccessExitStatus=21 15
[Install]
WantedBy=remote-fs.target
"""
"""What EL calls iscsi.service does no more than this; Debian's is another and is called open-iscsi."""


def disk() -> Path:
    """An ext4 image without a partition table."""
    root, kernel = media.system_root(PACKAGES), media.kernel()
    recipe = hashlib.sha256(f"{root.name} {kernel.name}".encode() + Path(__file__).read_bytes()).hexdigest()[:16]
    wanted = media.cache_dir() / f"san-{recipe}.img"
    with Path(f"{wanted}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.exists():
            with tempfile.TemporaryDirectory(dir=media.cache_dir()) as scratch:
                media.output("cp", "-a", "--reflink=auto", str(root), f"{scratch}/root")
                _adapt(Path(scratch) / "root", Path(scratch))
                media.output("cp", "-a", f"{kernel}/tree/.", f"{scratch}/root/lib/modules")
                made = Path(scratch) / "image"
                media.output("mke2fs", "-q", "-t", "ext4", "-d", f"{scratch}/root", str(made), "1600M")
                made.rename(wanted)
    return wanted


def _adapt(root: Path, scratch: Path) -> None:
    """Where EL has what Debian has elsewhere."""
    (root / "lib/modules").mkdir(exist_ok=True)
    (root / "etc/rpm").mkdir(exist_ok=True)
    (root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n")
    with (root / "etc/group").open("a") as groups:
        groups.write("wheel:x:10:\n")
    (root / "etc/redhat-release").write_text("Rocky Linux release 9.4 (stand-in)\n")
    (root / "var/lib/iscsi").symlink_to("../../etc/iscsi")
    for directory in ("ifaces", "nodes", "send_targets"):
        (root / "etc/iscsi" / directory).mkdir(exist_ok=True)
    (root / "etc/iscsi/initiatorname.iscsi").unlink(missing_ok=True)
    units = root / "etc/systemd/system"
    (units / "iscsi.service").unlink(missing_ok=True)
    for unit in ("open-iscsi.service", *(f"{name}.timer" for name in IDLE)):
        (units / unit).symlink_to("/dev/null")
    (units / "iscsi.service").write_text(ISCSI_SERVICE)
    packages = (BASE, *((name, "9", "") for name in RPMS))
    make_key(scratch / "gpg", "lab")
    rpms = build(scratch / "rpms", scratch / "gpg", "lab", packages)
    database = ("--dbpath", root / "var/lib/rpm", "--nosignature", "--justdb", "--nodeps")
    subprocess.run(["rpm", *database, "-i", *rpms], check=True)
    subprocess.run(["gpgconf", "--homedir", scratch / "gpg", "--kill", "all"], check=False)
    shutil.rmtree(root / "usr/share/doc", ignore_errors=True)
