"""Scalars of storage: disks and what they answer, file systems' labels, LVM, iSCSI and the arrays."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

from bootforge.site.scalars import matching, scalar, with_facts

_PERCENT = re.compile(r"([1-9][0-9]?|100)%")
_LUN = re.compile(r"0|[1-9][0-9]{0,4}")
_WWID = re.compile(r"3(6[0-9a-f]{31}|[235][0-9a-f]{15})|2([0-9a-f]{16}|[0-9a-f]{24}|[0-9a-f]{32})")
_IQN = re.compile(r"iqn\.[0-9]{4}-(0[1-9]|1[0-2])\.[a-z0-9]([a-z0-9.-]*[a-z0-9])?(:[a-z0-9.:-]+)?")
_OTHER_ISCSI = re.compile(r"eui\.[0-9a-f]{16}|naa\.([0-9a-f]{16}|[0-9a-f]{32})")
_FABRIC = re.compile(r"[A-Za-z][A-Za-z0-9-]{0,15}")
_INQUIRY = re.compile(r"[A-Za-z0-9]([A-Za-z0-9 ._/-]*[A-Za-z0-9._/-])?")
_LVM = re.compile(r"[A-Za-z][A-Za-z0-9_.+-]{0,62}")
_LVM_OWN = re.compile(r"^snapshot|^pvmove|_([cmrtv]data|[crt]meta|[civ]orig|mlog|[mr]image|pmspare)")
_CHAP_USER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,222}")
_DEVICE = re.compile(r"/dev/[A-Za-z0-9._:+/-]+")
_DISK_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:+@#=-]*")
_WWN = re.compile(r"0x[0-9a-f]{16}([0-9a-f]{16})?|eui\.[0-9a-f]{16}([0-9a-f]{16})?")
_FS_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,15}")
_ONE_WWN = ("a World Wide Name", "write it as in 0x5000c500a1b2c3d4, in lower case")
_ONE_LABEL = ("a label", "use at most 16 letters, digits and . _ -, a letter or digit first")


def parse_device(text: str) -> str:
    if not _DEVICE.fullmatch(text) or ".." in text:
        raise ValueError(f"{text!r} is not a device; write it as in /dev/sda")
    return text


def parse_percent(text: str) -> int:
    if not _PERCENT.fullmatch(text):
        raise ValueError(f"{text!r} is not a percentage; write a whole number from 1% to 100%")
    return int(text.removesuffix("%"))


def parse_lun(text: str) -> int:
    """SAM-5's flat addressing has 14 bits."""
    if not _LUN.fullmatch(text) or int(text) > 16383:
        raise ValueError(f"{text!r} is not a LUN; write a whole number from 0 to 16383")
    return int(text)


def parse_wwid(text: str) -> str:
    """What scsi_id and multipath call a disk: one digit for the kind of name, 3 for NAA and 2 for EUI-64, then the
    name in hex (SPC-4 7.8.6; systemd's scsi_id/scsi_serial.c). An NAA 6 name has 32 digits."""
    lower = text.lower()
    if not _WWID.fullmatch(lower):
        bare = re.fullmatch(r"6[0-9a-f]{31}", lower)
        hint = f"put a 3 before it: 3{lower}" if bare else "'multipath -ll' prints it: a 3 and 32 hex digits, mostly"
        raise ValueError(f"{text!r} is not a WWID; {hint}")
    return lower


def parse_iqn(text: str) -> str:
    """An iSCSI name in one of its three forms (RFC 7143 4.2.7.3 to 4.2.7.5), normalised, of 223 bytes at most."""
    if len(text) > 223 or not (_IQN.fullmatch(text) or _OTHER_ISCSI.fullmatch(text)):
        hint = "write it in lower case, as in iqn.2008-05.com.example:db01"
        raise ValueError(f"{text!r} is not an iSCSI name; {hint}")
    return text


def parse_group(text: str) -> str:
    if not _LVM.fullmatch(text):
        raise ValueError(f"{text!r} is not a name for LVM; use letters, digits and _ . + -, a letter first")
    return text


def parse_logical(text: str) -> str:
    """lvm(8), "Valid names", has what LVM keeps for itself."""
    if reserved := _LVM_OWN.search(text):
        raise ValueError(f"{text!r} is not a logical volume's name; LVM keeps {reserved[0]!r} for itself")
    return parse_group(text)


def _inquiry(length: int) -> Callable[[str], str]:
    """A field of standard INQUIRY data (SPC-4 6.6.2), without the blanks that fill it up."""

    def read(text: str) -> str:
        if len(text) > length or not _INQUIRY.fullmatch(text):
            hint = f"write what 'lsscsi' shows: at most {length} letters, digits, blanks and . _ / -"
            raise ValueError(f"{text!r} is not what a disk answers; {hint}")
        return text

    return read


# fmt: off
Device = Annotated[str, *scalar(parse_device, _DEVICE.pattern)]
DiskId = Annotated[str, *scalar(matching(_DISK_ID, "a name below /dev/disk/by-id", "as in ata-ST4000_Z1"))]
Wwn = Annotated[str, *scalar(matching(_WWN, *_ONE_WWN), _WWN.pattern)]
Label = Annotated[str, *scalar(matching(_FS_LABEL, *_ONE_LABEL), _FS_LABEL.pattern)]
Percent = Annotated[int, *scalar(parse_percent, _PERCENT.pattern)]
Lun = Annotated[int, *scalar(parse_lun, _LUN.pattern)]
Wwid = Annotated[str, *scalar(parse_wwid)]
Iqn = Annotated[str, *scalar(parse_iqn)]
FactsIqn = Annotated[str, *with_facts(parse_iqn)]
Group = Annotated[str, *scalar(parse_group, _LVM.pattern)]
Logical = Annotated[str, *scalar(parse_logical)]
Vendor = Annotated[str, *scalar(_inquiry(8))]
Product = Annotated[str, *scalar(_inquiry(16))]
Fabric = Annotated[str, *scalar(matching(_FABRIC, "the name of a fabric", "write a letter or a word, as in A"))]
ChapUser = Annotated[str, *scalar(matching(_CHAP_USER, "a name for CHAP", "use letters, digits and . _ : @ -"))]
# fmt: on
