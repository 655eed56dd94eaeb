"""Public keys that sign packages: what rpm will call them, read from the armored file without any gpg.

Armor is RFC 9580 section 6 (RFC 4880 the same), packets section 4.2, the fingerprint section 5.5.4.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from functools import lru_cache

_BLOCK = re.compile(
    r"^-----BEGIN PGP PUBLIC KEY BLOCK-----[ \t]*\n(?:[^\n:]+: [^\n]*\n)*[ \t]*\n"
    r"(.*?)^-----END PGP PUBLIC KEY BLOCK-----",
    re.MULTILINE | re.DOTALL,
)
_PUBLIC_KEY = 6
"""The tag of a primary key; what it certifies and its subkeys have others."""


@lru_cache(maxsize=256)
def fingerprints(text: bytes) -> tuple[str, ...]:
    """The fingerprints of the keys of an armored file, 40 hex digits in lower case each, in their order. Raises
    ValueError, with a message for the operator, when it is no such file, or has a key that is not of version 4: rpm
    reads no other of all releases."""
    try:
        armored = text.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        raise ValueError("is no text; 'gpg --armor --export' writes one") from None
    found = [one for block in _BLOCK.findall(armored) for one in _keys(_decoded(block))]
    if not found:
        raise ValueError("has no public key of PGP; 'gpg --armor --export' writes one")
    return tuple(dict.fromkeys(found))


def _decoded(block: str) -> bytes:
    """What is armored: base64, and a line of a checksum that need not be there."""
    lines = block.split()
    checksum = lines.pop()[1:] if lines and len(lines[-1]) == 5 and lines[-1][0] == "=" else None
    try:
        data = base64.b64decode("".join(lines), validate=True)
        given = base64.b64decode(checksum, validate=True) if checksum else None
    except binascii.Error:
        raise ValueError("is damaged: not base64; export it again") from None
    if given is not None and int.from_bytes(given, "big") != _crc24(data):
        raise ValueError("is damaged: its checksum is another; export it again")
    return data


def _crc24(data: bytes) -> int:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
    return crc & 0xFFFFFF


def _keys(data: bytes) -> Iterator[str]:
    for tag, body in _packets(data):
        if tag != _PUBLIC_KEY:
            continue
        if body[:1] != b"\x04":
            version = body[0] if body else "no"
            raise ValueError(f"has a key of version {version}, which rpm does not read; make one of version 4")
        # SHA-1 names the key, as version 4 has it; it protects nothing here.
        yield hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest()


def _packets(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Tag and body of each packet."""
    at = 0
    try:
        while at < len(data):
            head, at = data[at], at + 1
            if not head & 0x80:
                raise IndexError
            if head & 0x40:
                tag, first = head & 0x3F, data[at]
                if 224 <= first < 255:
                    raise IndexError  # partial lengths are for data that are streamed, never for keys
                size = 1 if first < 192 else 2 if first < 224 else 5
                length = int.from_bytes(data[at + 1 : at + 5], "big") if size == 5 else first
                if size == 2:
                    length = (first - 192 << 8) + data[at + 1] + 192
            else:
                tag, size = head >> 2 & 0x0F, (1, 2, 4, 0)[head & 3]
                length = int.from_bytes(data[at : at + size], "big") if size else len(data)
            at += size
            if at + length > len(data):
                raise IndexError
            yield tag, data[at : at + length]
            at += length
    except IndexError:
        raise ValueError("is damaged: cut off, or no packets of PGP; export it again") from None
