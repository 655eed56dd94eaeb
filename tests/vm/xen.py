"""A dom0 in one file: Xen 4.17, Debian's kernel, and an initramfs with Xen's own tools and lvm2.

Packages come from ``apt-get download`` and are unpacked, never installed; what is made of them is kept in media.py's
cache, keyed by their versions. Nothing here needs root.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tests.vm import media

HERE = Path(__file__).parent
XEN = "xen-hypervisor-4.17-amd64"
TOOLS = (
    "bash coreutils dmsetup libacl1 libaio1 libattr1 libgmp10 libblkid1 libbz2-1.0 libc6 libcap2"
    " libdevmapper-event1.02.1 libdevmapper1.02.1 libedit2"
    " libgcc-s1 liblzma5 liblzo2-2 libncurses6 libpcre2-8-0 libselinux1 libsystemd0 libtinfo6 libudev1 libuuid1"
    " libxencall1 libxendevicemodel1 libxenevtchn1 libxenforeignmemory1 libxengnttab1 libxenhypfs1 libxenmisc4.17"
    " libxenstore4 libxentoolcore1 libxentoollog1 libyajl2 libzstd1 liblz4-1 libgcrypt20 libgpg-error0 libmd0 libbsd0"
    " lvm2 util-linux xen-utils-4.17 xen-utils-common xenstore-utils zlib1g"
)
"""What dom0's user space is made of besides busybox."""

MODULES = (
    "virtio_pci",
    "virtio_blk",
    "xen-evtchn",
    "xen-privcmd",
    "xen-gntdev",
    "xen-gntalloc",
    "xenfs",
    "xen-netback",
    "xen-blkback",
    "bridge",
    "dm-mod",
)
GUEST_MODULES = ("xen-netfront", "xen-blkfront")
_UNNEEDED = ("usr/share", "usr/lib/x86_64-linux-gnu/gconv", "usr/lib/x86_64-linux-gnu/perl-base", "boot", "etc/init.d")


def hypervisor() -> Path:
    """Xen as QEMU's -kernel takes it (multiboot)."""
    return _cached(XEN, "", lambda at: _unpack_xen(at)) / "xen"


def _unpack_xen(at: Path) -> None:
    _unpack(at / "root", XEN)
    packed = next((at / "root/boot").glob("xen-*.gz"))
    (at / "xen").write_bytes(gzip.decompress(packed.read_bytes()))
    shutil.rmtree(at / "root")


def tools() -> Path:
    """The root directory of dom0: Xen's tools, lvm2, their libraries."""
    return _cached(TOOLS, "", lambda at: _unpack_tools(at)) / "root"


def _unpack_tools(at: Path) -> None:
    _unpack(at / "root", *TOOLS.split())
    for name in _UNNEEDED:
        shutil.rmtree(at / "root" / name, ignore_errors=True)


def kernel() -> Path:
    """A directory with ``vmlinuz`` and the modules of dom0 and of a guest, in the order of loading."""
    package = media.apt_says("Depends:", "depends", "linux-image-amd64")
    return _cached(package, " ".join(MODULES + GUEST_MODULES), lambda at: _unpack_kernel(package, at))


def _unpack_kernel(package: str, at: Path) -> None:
    kept = media.unpack_kernel(package, at, MODULES)
    guest = media.modules_of(at / "root", GUEST_MODULES)
    (kept / "guest").mkdir()
    for number, module in enumerate(guest):
        shutil.copy(module, kept / f"guest/{number:02}-{module.name}")
    for name in ("vmlinuz", "modules", "guest"):
        (kept / name).rename(at / name)
    shutil.rmtree(at / "root")
    kept.rmdir()
    for package_file in at.glob("*.deb"):
        package_file.unlink()


def _cached(packages: str, more: str, make: object) -> Path:
    """What ``make`` makes in a directory, once for each set of versions of the packages."""
    assert callable(make)
    with (media.cache_dir() / "xen-lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        shown = media.output("apt-cache", "show", "--no-all-versions", *packages.split())
        versions = [line for line in shown.splitlines() if line.startswith(("Package:", "Version:"))]
        digest = hashlib.sha256("\n".join([*versions, more]).encode()).hexdigest()[:16]
        wanted = media.cache_dir() / f"{packages.split()[0]}-{digest}"
        if not wanted.is_dir():
            with tempfile.TemporaryDirectory(dir=media.cache_dir()) as scratch:
                at = Path(scratch) / "made"
                at.mkdir()
                make(at)
                at.rename(wanted)
        return wanted


def _unpack(root: Path, *packages: str) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        media.output("apt-get", "download", *packages, cwd=Path(scratch))
        for package in sorted(Path(scratch).glob("*.deb")):
            media.output("dpkg-deb", "-x", str(package), str(root))


def dom0(files: Mapping[str, bytes]) -> bytes:
    """The initramfs of dom0: ``files`` beside its tools, by path."""
    where, root = kernel(), tools()
    entries: dict[str, tuple[int, bytes]] = {}
    for name in ("bf", "dev", "mnt", "proc", "root", "run", "sys", "tmp", "var", "var/log", "var/lib", "var/lib/xen"):
        entries[name] = (0o040755, b"")
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_symlink():
            entries[name] = (0o120777, os.readlink(path).encode())
        elif path.is_dir():
            entries.setdefault(name, (0o040755, b""))
        elif path.is_file():
            entries[name] = (0o100000 | (path.stat().st_mode & 0o777), path.read_bytes())
    entries["bin/busybox"] = (0o100755, media.BUSYBOX.read_bytes())
    entries["bin/sh"] = (0o120777, b"busybox")
    entries["etc/passwd"] = (0o100644, b"root:x:0:0:root:/root:/bin/sh\n")
    entries["etc/group"] = (0o100644, b"root:x:0:\n")
    entries["init"] = (0o100755, (HERE / "initramfs/dom0").read_bytes())
    for name, module in _modules(where / "modules"):
        entries[f"bf/modules/{name}"] = (0o100644, module)
    entries["bf/domu/vmlinuz"] = (0o100644, (where / "vmlinuz").read_bytes())
    entries["bf/domu/initrd.img"] = (0o100644, guest_initramfs())
    for name, content in files.items():
        entries[f"bf/{name}"] = (0o100644, content)
    for name in [name for name in entries if "/" in name]:
        for parent in Path(name).parents:
            if parent.as_posix() != ".":
                entries.setdefault(parent.as_posix(), (0o040755, b""))
    return gzip.compress(media.cpio(dict(sorted(entries.items()))), compresslevel=1, mtime=0)


def guest_initramfs() -> bytes:
    """What stands in for a guest's installer: it says what it sees of its machine, and reboots."""
    files = {name: (0o040755, b"") for name in ("bin", "dev", "lib", "lib/modules", "proc", "sys")}
    files["bin/busybox"] = (0o100755, media.BUSYBOX.read_bytes())
    files["bin/sh"] = (0o120777, b"busybox")
    files["init"] = (0o100755, (HERE / "initramfs/domu").read_bytes())
    for name, module in _modules(kernel() / "guest"):
        files[f"lib/modules/{name}"] = (0o100644, module)
    return gzip.compress(media.cpio(files), compresslevel=1, mtime=0)


def _modules(directory: Path) -> list[tuple[str, bytes]]:
    return [(path.name, path.read_bytes()) for path in sorted(directory.iterdir())]
