"""The schema of a host's storage: disks, what is made of them, and volumes of arrays."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bootforge.site.kinds import Model
from bootforge.site.scalars import AsSet, Bool, Count, FactsName, Host, Name, SecretName, Size, Text, Word, one_of
from bootforge.site.scalars_storage import ChapUser, Device, DiskId, Group, Iqn, Label, Logical, Lun, Wwid, Wwn


class DiskSpec(Model):
    """A disk that the installer may use, by its path or by what it is; every other disk is left alone. What is
    said besides a path must all be true of it. Disks of a SAN, USB and removable ones are never used."""

    path: Device | None = Field(None, description="The device as the installer sees it, as in /dev/sda.")
    id: DiskId | None = Field(None, description="Its name below /dev/disk/by-id.")
    wwn: Wwn | None = Field(None, description="Its World Wide Name, as in 0x5000c500a1b2c3d4.")
    serial: Text | None = Field(None, description="Its serial number.")
    min_size: Size | None = Field(None, description="It is at least as large.")
    max_size: Size | None = Field(None, description="It is at most as large.")
    count: Count = Field(1, description="How many disks must fit, no fewer and no more.")


class VolumeGroupSpec(Model):
    """A volume group; with scheme plain, the disks that its file systems are partitions of."""

    disks: Annotated[tuple[Name, ...], *AsSet] = Field(
        (), description="Its disks, by their names. Default: all that no other group names."
    )
    preserve: Bool = Field(
        False, description="Whether a reinstall keeps it as it is. It is made where its disks are blank."
    )


class FilesystemSpec(Model):
    """A file system: a logical volume, or with scheme plain a partition."""

    fstype: one_of("ext3", "ext4", "xfs", "swap") | None = Field(  # type: ignore[valid-type]
        None, description="File system type, or swap. Default: what the release's installer makes."
    )
    mount: Word | None = Field(None, description="Mount point; none for swap.")
    size: Size = Field(description="Size, in MiB, GiB or TiB.")
    grow: Bool = Field(False, description="Whether it takes the room that is left.")
    group: Name | None = Field(
        None, description="Its volume group. Default: the group that names no disks, or else 'system'."
    )
    label: Label | None = Field(None, description="Its label; 12 characters at most for xfs, 16 for others.")


class VolumeSpec(Model):
    """A volume of a storage array. It is checked and planned, and applied by the bootstrap's storage steps."""

    array: FactsName = Field(description="The array of arrays.yaml that has it.")
    pool: Name | None = Field(None, description="The array's pool. Default: the only one that the array has.")
    wwid: Wwid | None = Field(
        None,
        description="What multipath -ll calls it, as in 36090a01820494c580000000000000001; its name is the alias.",
    )
    target: Iqn | None = Field(None, description="Its target's iSCSI name; discovery finds it when none is given.")
    lun: Lun | None = Field(None, description="Its LUN at the target.")
    size: Size | None = Field(None, description="Its size on the array; checked before anything is written to it.")
    vg: Group | None = Field(None, description="The volume group that is made of it.")
    lv: Logical | None = Field(None, description="The logical volume that fills the group.")
    fs: one_of("ext3", "ext4", "xfs") | None = Field(  # type: ignore[valid-type]
        None, description="File system type. Default, with a mount point: what the release's installer makes."
    )
    mount: Word | None = Field(None, description="Mount point.")
    shared_by: Annotated[tuple[Host, ...], *AsSet] = Field(
        (), description="The hosts that may have it besides this one; each says so of the others."
    )


class ChapSpec(Model):
    """How a host and its arrays prove to each other who they are."""

    user: ChapUser = Field(description="The host's name at the array.")
    secret: SecretName = Field(description="The host's secret, by name.")
    mutual_user: ChapUser | None = Field(None, description="The array's name at the host, when it proves itself too.")
    mutual_secret: SecretName | None = Field(None, description="The array's secret, by name; not the host's.")
