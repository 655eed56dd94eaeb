"""What firmware with Secure Boot takes: Debian's signed shim and GRUB, packages of their own for others, a key of the
lab's that the firmware trusts as well, and NVRAM in which Secure Boot is on."""

from __future__ import annotations

import fcntl
import hashlib
import struct
import subprocess
import tempfile
import uuid
from pathlib import Path

from tests.vm import media

PACKAGES = ("shim-signed", "grub-efi-amd64-signed", "grub-efi-amd64-bin", "pxelinux", "syslinux-common")
"""Downloaded and unpacked, like the kernel; none is installed, because some would change how this machine boots."""

SHIM = "usr/lib/shim/shimx64.efi.signed"
GRUB = "usr/lib/grub/x86_64-efi-signed/grubnetx64.efi.signed"
MODULES = "usr/lib/grub/x86_64-efi"

_KEPT = ("certdb", "db", "dbx", "KEK", "PK", "VendorKeysNv", "SecureBootEnable", "CustomMode", "MTC")
"""Variables without which Secure Boot would be off; the rest of Debian's file is about another machine's devices."""
_X509 = uuid.UUID("a5c059a1-94e4-4aa7-87b5-ab155c2bf072").bytes_le


def packages() -> Path:
    """A directory with the files of PACKAGES."""
    versions = media.output("apt-cache", "show", "--no-all-versions", *PACKAGES)
    wanted = media.cache_dir() / f"loaders-{hashlib.sha256(versions.encode()).hexdigest()[:16]}"
    with (media.cache_dir() / "loaders-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.is_dir():
            with tempfile.TemporaryDirectory(dir=media.cache_dir()) as scratch:
                place = Path(scratch)
                media.output("apt-get", "download", *PACKAGES, cwd=place)
                for package in place.glob("*.deb"):
                    media.output("dpkg-deb", "-x", str(package), f"{scratch}/root")
                (place / "root").rename(wanted)
    return wanted


class Key:
    """A key and its certificate, in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        words = "req -x509 -newkey rsa:2048 -nodes -days 7 -subj /CN=lab -outform PEM -keyout key.pem -out cert.pem"
        subprocess.run(["openssl", *words.split()], cwd=directory, check=True, capture_output=True)
        media.output("openssl", "x509", "-in", "cert.pem", "-outform", "DER", "-out", "cert.der", cwd=directory)

    def sign(self, image: Path) -> None:
        """In its place."""
        where = ("--key", "key.pem", "--cert", "cert.pem", "--output", str(image))
        media.output("sbsign", *where, str(image), cwd=self.directory)

    def listed(self) -> bytes:
        """As a signature list of firmware (UEFI 2.9, 32.4.1: EFI_SIGNATURE_LIST)."""
        certificate = (self.directory / "cert.der").read_bytes()
        size = 16 + len(certificate)
        return _X509 + struct.pack("<III", 28 + size, 0, size) + bytes(16) + certificate


def nvram(path: Path, mac: str, nic_slot: int, disk_slot: int, key: Key, http: bool) -> Path:
    """As media.nvram, of firmware that trusts Microsoft's keys and this one, and nothing else."""
    store = bytearray((media.OVMF / "OVMF_VARS_4M.ms.fd").read_bytes())
    at, kept = media.NVRAM_START, {}
    while store[at : at + 2] == b"\xaa\x55":
        name_size, size = struct.unpack_from("<II", store, at + 36)
        end = at + 60 + name_size + size
        name = store[at + 60 : at + 60 + name_size].decode("utf-16-le").rstrip("\0")
        if store[at + 2] == 0x3F and name in _KEPT:
            vendor = bytes(store[at + 44 : at + 60])
            head = store[at : at + 36]
            value = bytes(store[at + 60 + name_size : end])
            kept[name] = media.variable(name, value + (key.listed() if name == "db" else b""), vendor, bytes(head))
        at = media.NVRAM_START + -(-(end - media.NVRAM_START) // 4) * 4
    assert set(kept) >= {"db", "PK", "KEK", "SecureBootEnable"}, "OVMF_VARS_4M.ms.fd has no keys"
    store[media.NVRAM_START : at] = b"\xff" * (at - media.NVRAM_START)
    boot = media.boot_order(mac, nic_slot, disk_slot, http)
    records = b"".join([*kept.values(), *(media.variable(name, value) for name, value in boot.items())])
    store[media.NVRAM_START : media.NVRAM_START + len(records)] = records
    path.write_bytes(store)
    return path


def grub_with_http(path: Path, key: Key) -> Path:
    """A GRUB as EL builds its own, with HTTP in it, which looks for its script beside itself."""
    modules = (
        "boot chain configfile echo efinet exfat ext2 fat gzio halt http linux minicmd net normal part_gpt part_msdos"
        " regexp search search_fs_file serial sleep test tftp true"
    )
    path.with_name("sbat.csv").write_text("sbat,1,SBAT Version,sbat,1,lab\ngrub,5,Lab,grub,2.06,lab\n")
    path.with_name("early.cfg").write_text("configfile $cmdpath/grub.cfg\n")
    media.output(
        "grub-mkimage",
        *("-O", "x86_64-efi", "-d", str(packages() / MODULES), "-p", "", "-c", str(path.with_name("early.cfg"))),
        *("--sbat", str(path.with_name("sbat.csv")), "-o", str(path), *modules.split()),
    )
    key.sign(path)
    return path
