"""Archives that a boot loader adds to an initramfs."""

from __future__ import annotations

import gzip

_REGULAR = 0o100600


def archive(name: str, content: bytes) -> bytes:
    """One regular file of root's, mode 0600, as a compressed archive. The kernel unpacks several that lie one behind
    the other, the later over the earlier; a compressed one may begin at any byte, a plain one at every fourth (linux:
    init/initramfs.c, unpack_to_rootfs)."""
    return gzip.compress(_entry(name, _REGULAR, content) + _entry("TRAILER!!!", 0, b""), mtime=0)


def _entry(name: str, mode: int, content: bytes) -> bytes:
    """A file of the format newc (cpio(5)): magic, 13 fields of 8 hex digits, name and content, padded to 4 bytes."""
    raw = name.encode() + b"\0"
    inode, uid, gid, links, time, device, check = 1, 0, 0, 1, 0, 0, 0
    fields = (inode, mode, uid, gid, links, time, len(content), device, device, device, device, len(raw), check)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw
    return _padded(head) + _padded(content)


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 4)
