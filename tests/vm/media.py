"""What the machines boot: Debian's cloud kernel, a stand-in installer as initramfs, and local disks.

Nothing here is installed and nothing needs root. The kernel comes from ``apt-get download`` (apt's lists must
be there: ``apt-get update``), is unpacked with ``dpkg-deb`` and kept in ``$XDG_CACHE_HOME/bootforge-lab`` or
/var/cache/bootforge-lab, keyed by its version. Disks carry hand-made boot code that writes MARKER to COM1:
no boot loader package is needed for them.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import struct
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).parent
OVMF = Path("/usr/share/OVMF")
BUSYBOX = Path("/bin/busybox")
MODULES = ("virtio_pci", "virtio_net", "virtio_blk", "ext4")
NVRAM_START = 0x64
"""Where OVMF's variables begin in its file: after the volume's and the store's headers."""
GLOBAL = uuid.UUID("8be4df61-93ca-11d2-aa0d-00e098032b8c").bytes_le
NEW = struct.pack("<HBBIQ16sI", 0x55AA, 0x3F, 0, 7, 0, bytes(16), 0)
"""The beginning of a variable that was added, is not volatile, and is there at boot time and after."""
MARKER = "LOCAL DISK BOOTED"
SYSTEM = (
    "systemd systemd-sysv dbus udev kmod iproute2 openssh-server dnf rpm gnupg network-manager extlinux"
    " syslinux-common sudo procps curl e2fsprogs cron chrony libpam-systemd"
)
"""What an installed system has beside debootstrap's minimum: Debian's packages of what an EL host has."""


def output(*argv: str, cwd: Path | None = None) -> str:
    return subprocess.run(argv, cwd=cwd, check=True, capture_output=True, text=True).stdout


def cache_dir() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "/var/cache"
    path = Path(base) / "bootforge-lab"
    path.mkdir(parents=True, exist_ok=True)
    return path


def kernel() -> Path:
    """A directory with ``vmlinuz``, in the order of loading ``modules/NN-name.ko`` for virtio, and in ``tree`` all of
    /lib/modules."""
    with (cache_dir() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # several test processes may start with an empty cache
        package = apt_says("Depends:", "depends", "linux-image-cloud-amd64")
        version = apt_says("Version:", "show", "--no-all-versions", package)
        wanted = cache_dir() / f"{package}_{version}+{'+'.join(MODULES)}+tree"
        if not wanted.is_dir():
            with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
                unpack_kernel(package, Path(scratch)).rename(wanted)
        return wanted


def apt_says(field: str, *query: str) -> str:
    """The first value of a field in what apt-cache prints."""
    found = [line.split()[1] for line in output("apt-cache", *query).splitlines() if line.lstrip().startswith(field)]
    assert found, f"apt-cache {' '.join(query)} has no {field} run apt-get update"
    return found[0]


def unpack_kernel(package: str, scratch: Path, modules: tuple[str, ...] = MODULES) -> Path:
    output("apt-get", "download", package, cwd=scratch)
    output("dpkg-deb", "-x", str(next(scratch.glob("*.deb"))), str(scratch / "root"))
    release = next((scratch / "root/lib/modules").iterdir()).name
    output("depmod", "-b", str(scratch / "root"), release)
    kept = scratch / "kept"
    (kept / "modules").mkdir(parents=True)
    shutil.move(scratch / f"root/boot/vmlinuz-{release}", kept / "vmlinuz")
    for number, module in enumerate(modules_of(scratch / "root", modules)):
        shutil.copy(module, kept / f"modules/{number:02}-{module.name}")
    shutil.move(scratch / "root/lib/modules", kept / "tree")
    return kept


def modules_of(root: Path, names: tuple[str, ...]) -> list[Path]:
    """The files of modules and of what they need, in the order of loading."""
    release = next((root / "lib/modules").iterdir()).name
    order: list[Path] = []
    for name in names:
        for line in output("modprobe", "-D", "-d", str(root), "-S", release, name).splitlines():
            verb, _, file = line.strip().partition(" ")
            if verb == "insmod" and Path(file.strip()) not in order:
                order.append(Path(file.strip()))
    return order


def cpio(files: dict[str, tuple[int, bytes]]) -> bytes:
    """A newc archive of ``{name: (mode with file type, content)}``, in the order given; the same bytes always."""
    out = bytearray()
    for inode, (name, (mode, content)) in enumerate([*files.items(), ("TRAILER!!!", (0, b""))], 1):
        raw = name.encode() + b"\0"
        fields = (inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0, len(raw), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields) + raw
        out += b"\0" * (-len(out) % 4) + content
        out += b"\0" * (-len(out) % 4)
    return bytes(out)


def initramfs(kernel_dir: Path, init: str = "init", more: Mapping[str, tuple[int, bytes]] | None = None) -> bytes:
    """busybox, the modules and the scripts of tests/vm/initramfs: about 2 MB, built in a second. ``more``: as cpio
    takes them."""
    directories = ("bin", "dev", "etc", "lib", "lib/modules", "mnt", "mnt/sysroot", "proc", "root", "run", "sys", "tmp")
    files = {name: (0o040755, b"") for name in directories}
    files["bin/busybox"] = (0o100755, BUSYBOX.read_bytes())
    files["bin/sh"] = (0o120777, b"busybox")
    for module in sorted((kernel_dir / "modules").iterdir()):
        files[f"lib/modules/{module.name}"] = (0o100644, module.read_bytes())
    files["init"] = (0o100755, (HERE / "initramfs" / init).read_bytes())
    files["bin/curl"] = (0o100755, (HERE / "initramfs/curl").read_bytes())
    files["lib/udhcpc"] = (0o100755, (HERE / "initramfs/udhcpc").read_bytes())
    return gzip.compress(cpio({**files, **(more or {})}), compresslevel=1, mtime=0)


def install_tree(root: Path) -> Path:
    """A directory shaped like a distribution's: ``images/pxeboot/{vmlinuz,initrd.img}``."""
    pxeboot = root / "images/pxeboot"
    pxeboot.mkdir(parents=True)
    where = kernel()
    (pxeboot / "vmlinuz").symlink_to(where / "vmlinuz")
    (pxeboot / "initrd.img").write_bytes(initramfs(where))
    (pxeboot / "boot.img").write_bytes(initramfs(where, "boot"))
    return root


def system_root(packages: str = SYSTEM) -> Path:
    """A Debian in a directory, which an installer unpacks: made once by debootstrap (two minutes), kept until one of
    its packages is a new one."""
    versions = output("apt-cache", "show", "--no-all-versions", *packages.split())
    wanted = cache_dir() / f"system-{hashlib.sha256(versions.encode()).hexdigest()[:16]}"
    with Path(f"{wanted}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not wanted.is_dir():
            with tempfile.TemporaryDirectory(dir=cache_dir()) as scratch:
                include = f"--include={','.join(packages.split())}"
                output("debootstrap", "--variant=minbase", include, _codename(), f"{scratch}/root", _mirror())
                for unneeded in (
                    "var/cache/apt",
                    "var/lib/apt/lists",
                    "usr/share/doc",
                    "usr/share/locale",
                    "usr/share/man",
                ):
                    shutil.rmtree(Path(scratch) / "root" / unneeded)
                (Path(scratch) / "root").rename(wanted)
        return wanted


def _codename() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    raise AssertionError("/etc/os-release names no release")


def _mirror() -> str:
    """Where this machine's apt takes packages from."""
    return output("apt-get", "indextargets", "--format", "$(REPO_URI)", "Created-By: Packages").split()[0]


def print_and_halt(message: str, wide: bool) -> bytes:
    """x86 code that writes what DS:SI (``wide``: RSI) points at to COM1 and halts; the caller sets the pointer."""
    mov_dx = b"\x66\xba" if wide else b"\xba"
    send = b"\x88\xc4" + mov_dx + b"\xfd\x03"  # keep AL in AH; DX = line status register
    send += b"\xec\xa8\x20\x74\xfb"  # until the transmitter is empty
    send += b"\x88\xe0" + mov_dx + b"\xf8\x03\xee"  # out
    body = b"\xac\x84\xc0\x74" + bytes([len(send) + 2]) + send  # lodsb; end at the zero byte
    body += b"\xeb" + bytes([256 - len(body) - 2])
    return body + b"\xfa\xf4\xeb\xfd" + f"\r\n{message}\r\n\0".encode()


def bios_disk(path: Path) -> Path:
    """A disk of 1 MiB whose boot sector prints MARKER."""
    code = b"\x31\xc0\x8e\xd8\xfc\xbe\x09\x7c"  # DS = 0, forwards, SI = the message
    body = print_and_halt(MARKER, wide=False)
    message = 0x7C00 + len(code) + body.index(b"\r\n" + MARKER.encode())
    sector = (code[:-2] + struct.pack("<H", message) + body).ljust(510, b"\0") + b"\x55\xaa"
    path.write_bytes(sector.ljust(1 << 20, b"\0"))
    return path


def blank_disk(path: Path, content: bytes = b"", size: int = 64 << 20) -> Path:
    """A disk of ``size`` bytes to install to, with ``content`` at its beginning; one that is there stays as it is."""
    if not path.exists():
        with path.open("wb") as disk:
            disk.write(content)
            disk.truncate(size)
    return path


def uefi_disk(path: Path) -> Path:
    """The directory of an EFI system partition (QEMU makes the FAT of it) whose default loader prints MARKER."""
    body = print_and_halt(MARKER, wide=True)
    message = body.index(b"\r\n" + MARKER.encode())
    code = b"\xfc\x48\x8d\x35" + struct.pack("<i", message) + body  # forwards, RSI = the message
    text = code.ljust(0x200, b"\0")
    coff = struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x0022)  # x86-64, one section, executable
    optional = struct.pack("<HBBIIIII", 0x20B, 0, 0, len(text), 0, 0, 0x1000, 0x1000)  # PE32+, entry at .text
    optional += struct.pack("<QIIHHHHHHIIIIHH", 0, 0x1000, 0x200, 0, 0, 0, 0, 0, 0, 0, 0x2000, 0x200, 0, 10, 0)
    optional += struct.pack("<QQQQII", 0, 0, 0, 0, 0, 16) + bytes(16 * 8)  # subsystem 10: EFI application
    section = struct.pack("<8sIIIIIIHHI", b".text", len(text), 0x1000, len(text), 0x200, 0, 0, 0, 0, 0x60000020)
    dos = b"MZ".ljust(60, b"\0") + struct.pack("<I", 64)
    image = (dos + b"PE\0\0" + coff + optional + section).ljust(0x200, b"\0") + text
    loader = path / "EFI/BOOT/BOOTX64.EFI"
    loader.parent.mkdir(parents=True, exist_ok=True)
    loader.write_bytes(image)
    return path


def nvram(path: Path, mac: str, nic_slot: int, disk_slot: int, http: bool = False) -> Path:
    """OVMF's variables with a boot order of two entries: the nic by PXE over IPv4, or by HTTP, then the disk. Those of
    a machine that ran before stay as it left them.

    QEMU's bootindex would not do: OVMF reads it as "everything on this nic", and after an iPXE that gives up
    it tries PXE over IPv6 (68 s) and HTTP boot over IPv4 and IPv6 (60 s each) before it comes to the disk.
    """
    if path.exists():
        return path
    store = bytearray((OVMF / "OVMF_VARS_4M.fd").read_bytes())
    assert store[NVRAM_START : NVRAM_START + 2] == b"\xff\xff", "OVMF_VARS_4M.fd is not empty"
    records = b"".join(variable(*one) for one in boot_order(mac, nic_slot, disk_slot, http).items())
    store[NVRAM_START : NVRAM_START + len(records)] = records
    path.write_bytes(store)
    return path


def boot_order(mac: str, nic_slot: int, disk_slot: int, http: bool) -> dict[str, bytes]:
    """The variables with the two entries."""
    root = bytes.fromhex("02010c00d041030a00000000")  # PciRoot(0x0)
    hardware = bytes.fromhex(mac.replace(":", "")).ljust(32, b"\0")
    nic = slot(nic_slot) + b"\x03\x0b\x25\0" + hardware + b"\x01" + b"\x03\x0c\x1b\0" + bytes(23)  # MAC, IPv4
    nic += b"\x03\x18\x04\0" if http else b""  # Uri()
    end = b"\x7f\xff\x04\0"
    variables = {"BootOrder": struct.pack("<HH", 0, 1)}
    for number, (title, device) in enumerate((("network", nic), ("disk", slot(disk_slot)))):
        devices = root + device + end
        description = f"{title}\0".encode("utf-16-le")
        variables[f"Boot{number:04}"] = struct.pack("<IH", 1, len(devices)) + description + devices
    return variables


def variable(name: str, value: bytes, vendor: bytes = GLOBAL, head: bytes = NEW) -> bytes:
    """A record of OVMF's store (EDK2: AUTHENTICATED_VARIABLE_HEADER), filled up to where the next may begin."""
    wide = f"{name}\0".encode("utf-16-le")
    record = head + struct.pack("<II16s", len(wide), len(value), vendor) + wide + value
    return record + b"\xff" * (-len(record) % 4)


def slot(device: int) -> bytes:
    """The UEFI device path node of a device on PCI bus 0."""
    return bytes([1, 1, 6, 0, 0, device])
