"""What a plan says about storage: the disks of the host, and the arrays and volumes that it reaches."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import IPv4Address

from bootforge.addr import Mac
from bootforge.words import Call, KsCommand, Slot, tell_plainly


@dataclass(frozen=True, slots=True)
class StorageLine:
    """A storage command that %pre writes once it knows the disks. ``when``: '' always; ``make:GROUP`` or
    ``make:GROUP/VOLUME`` when that is made, ``keep:...`` when it is there and kept."""

    when: str
    command: KsCommand


@dataclass(frozen=True, slots=True)
class DiskPlan:
    """What %pre does before a disk is touched: it finds ``numbers`` of disks and decides for each group, unless
    ``guard`` is off only for disks that are blank, carry ``mark``, or may be wiped. ``lines`` is empty when nothing
    of the storage commands depends on what it finds. ``tagged``: the volume groups that will carry the mark."""

    mark: str
    guard: str
    numbers: tuple[int, ...]
    finds: tuple[Call, ...]
    groups: tuple[Call, ...]
    lines: tuple[StorageLine, ...]
    tagged: tuple[str, ...]


@dataclass(frozen=True, slots=True, order=True)
class Portal:
    """Where a storage array listens; 3260 is iSCSI's port (IANA)."""

    address: IPv4Address
    port: int = 3260

    def __str__(self) -> str:
        return f"{self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Iface:
    """An open-iscsi record: it binds sessions to one nic and has the nic's name. ``mac`` is its iface.hwaddress, or
    ``device`` its iface.net_ifacename; one of them is None."""

    name: str
    mac: Mac | None
    device: str | None
    network: str


@dataclass(frozen=True, slots=True)
class ArrayPath:
    """One way to an array: the iface and the portals that it may log in to. ``fabric`` of a two-fabric array."""

    iface: str
    fabric: str | None
    portals: tuple[Portal, ...]


@dataclass(frozen=True, slots=True)
class ArrayPlan:
    """A storage array as one host reaches it. ``vendor`` and ``product`` are what its disks answer to INQUIRY."""

    name: str
    vendor: str
    product: str
    paths: tuple[ArrayPath, ...]


@dataclass(frozen=True, slots=True)
class VolumePlan:
    """A volume of an array and what the host makes of it; ``name`` is also its alias below /dev/mapper.

    ``size`` in MiB. ``group`` and ``logical`` are LVM's names; without them the file system fills the volume."""

    name: str
    array: str
    pool: str | None
    wwid: str | None
    target: str | None
    lun: int | None
    size: int | None
    group: str | None
    logical: str | None
    fstype: str | None
    mount: str | None
    shared_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChapPlan:
    """How host and array prove to each other who they are; the ``mutual`` half is the array's."""

    user: str
    secret: Slot
    mutual_user: str | None
    mutual_secret: Slot | None


@dataclass(frozen=True, slots=True)
class StoragePlan:
    """A host's storage network: the one value behind iSCSI, multipath, LVM and mounts. ``settings``: keys of
    iscsid.conf and of node records; ``sysctl``: of the kernel, each by its file below /proc/sys."""

    policy: str
    initiator: str | None
    ifaces: tuple[Iface, ...]
    arrays: tuple[ArrayPlan, ...]
    volumes: tuple[VolumePlan, ...]
    chap: ChapPlan | None
    settings: tuple[tuple[str, str], ...] = ()
    sysctl: tuple[tuple[str, str], ...] = ()


tell_plainly(globals().values())
