"""The schema of the site: every key that exists, its type and its default. Nothing else knows the keys.

Three kinds of collection (kinds.py): ``dict`` is a keyed map, ``Annotated[tuple[...], *AsSet]`` a set, a bare
``tuple`` an atomic list. Scalars are ours (scalars.py): a bare ``int``, ``bool`` or ``float`` would be
converted by pydantic's rules, so a test refuses them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bootforge.site.scalars import (
    Address,
    AsSet,
    Bool,
    BootWord,
    Count,
    Device,
    DiskId,
    FactsBootWord,
    FactsName,
    FactsWord,
    Interface,
    Label,
    Language,
    MacText,
    Name,
    Package,
    Range,
    SecretName,
    Server,
    SitePath,
    Size,
    Subnet,
    Text,
    Timezone,
    Url,
    User,
    Uuid,
    Word,
    Wwn,
    one_of,
)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NicSpec(Model):
    """A network interface of a host."""

    mac: MacText | None = Field(None, description="The MAC address on the nic's label.")
    device: Name | None = Field(None, description="The kernel's name for it; EL5's installer knows no other.")
    network: FactsName = Field(description="The network it is plugged into.")
    address: Address | None = Field(None, description="Its fixed IPv4 address; without one it uses DHCP.")
    boot: Bool | None = Field(
        None, description="Whether the host boots from it. Default: the only nic whose network has a server."
    )


class MachineSpec(Model):
    """What is known about the machine itself."""

    firmware: one_of("bios", "uefi", "any") = Field(  # type: ignore[valid-type]
        "any", description="How the firmware boots the disk; any: the installer finds out."
    )


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


class InstallSpec(Model):
    """Where the installer comes from and how it is started."""

    url: Url | None = Field(None, description="The install tree: what holds .treeinfo and images/.")
    kernel: BootWord = Field("images/pxeboot/vmlinuz", description="The installer's kernel below the tree.")
    initrd: BootWord = Field("images/pxeboot/initrd.img", description="The installer's initrd below the tree.")
    args: tuple[FactsBootWord, ...] = Field((), description="More kernel arguments for the installer.")


class VmDiskSpec(Model):
    """A disk of a virtual machine, keyed by the device name that the guest sees, as in xvda."""

    backing: FactsWord = Field(description="The block device in dom0 that backs it, as in /dev/vg0/web01.")


class VmSpec(Model):
    """A virtual machine."""

    uuid: Uuid | None = Field(None, description="The guest's UUID; without one, dom0 draws one.")
    memory: Size = Field(2048, description="Memory.")
    vcpus: Count = Field(1, description="Virtual processors.")
    disks: dict[Name, VmDiskSpec] = Field({}, description="Disks by the guest's device name.")


class HostSpec(Model):
    """Everything that can be said about a host; defaults, profiles, layouts, roles, rules and hosts say it."""

    profile: Name | None = Field(None, description="The OS profile: release, architecture, install source.")
    layout: Name | None = Field(None, description="The disk layout.")
    roles: Annotated[tuple[Name, ...], *AsSet] = Field((), description="What the host is for.")
    classes: Annotated[tuple[Name, ...], *AsSet] = Field((), description="Soft facts that rules can test.")
    virt: one_of("metal", "xen") = Field("metal", description="Bare metal or a Xen guest.")  # type: ignore[valid-type]
    serial: Text | None = Field(None, description="The system's serial number, as DMI tells it.")
    language: Language = Field("en_US.UTF-8", description="Language of the installed system.")
    keyboard: Word = Field("us", description="Console keymap.")
    timezone: Timezone = Field("Etc/UTC", description="Time zone; the hardware clock runs in UTC.")
    ntp: tuple[Word, ...] = Field((), description="Time servers.")
    root_password: SecretName | None = Field(
        None,
        description="The crypt(5) hash of root's password, by its secret's name; without one root is locked.",
    )
    authorized_keys: dict[User, Annotated[tuple[SitePath, ...], *AsSet]] = Field(
        {}, description="SSH public keys by user, as paths of files of the site. Users: root."
    )
    machine: MachineSpec = Field(MachineSpec(), description="The machine.")
    install: InstallSpec = Field(InstallSpec(), description="The installer's source and arguments.")
    kernel_args: tuple[Word, ...] = Field((), description="Kernel arguments of the installed system.")
    packages: Annotated[tuple[Package, ...], *AsSet] = Field(
        (), description="Packages, @groups and one @^environment to install."
    )
    disks: dict[Name, DiskSpec] = Field({}, description="The disks that the installer may use.")
    scheme: one_of("lvm", "plain") = Field("lvm", description="Logical volumes, or plain partitions.")  # type: ignore[valid-type]
    raid: one_of("none", "raid1") = Field(  # type: ignore[valid-type]
        "none", description="raid1: the disks of the group that holds / are mirrors of each other, two or more."
    )
    volume_groups: dict[Name, VolumeGroupSpec] = Field(
        {}, description="Volume groups by name. Default: one, 'system', of all disks."
    )
    filesystems: dict[Name, FilesystemSpec] = Field({}, description="File systems and swap by name.")
    nics: dict[Name, NicSpec] = Field({}, description="Network interfaces by name.")
    vm: VmSpec = Field(VmSpec(), description="The virtual machine, when virt is not metal.")


class ProfileHead(Model):
    """What makes a file below profiles/ a profile; every other key of it is the host's."""

    release: Word = Field(description="The release, as in el9.")
    arch: one_of("x86_64") = Field("x86_64", description="The architecture.")  # type: ignore[valid-type]


class EnvironmentSpec(Model):
    """An environment; its name is the alphabet of {env}."""


class NetworkSpec(Model):
    """A network: one broadcast domain with one IPv4 subnet."""

    site: Name | None = Field(None, description="The site it is at; such names are the alphabet of {site}.")
    subnet: Subnet = Field(description="The IPv4 subnet.")
    gateway: Address | None = Field(None, description="The default router.")
    dns: tuple[Address, ...] = Field((), description="Name servers.")
    range: Range | None = Field(None, description="Addresses that DHCP may give to unknown machines.")
    server: Server | None = Field(None, description="This server's URL as seen from the network.")
    bridge: Interface | None = Field(None, description="The dom0 bridge that guests on it are plugged into.")


class SecretSpec(Model):
    """Where a secret comes from: exactly one of the three."""

    file: Word | None = Field(None, description="An absolute path outside the site, readable by its owner only.")
    env: Word | None = Field(None, description="An environment variable of the server.")
    command: tuple[Text, ...] = Field((), description="A program and its arguments; its output is the secret.")


class PolicySpec(Model):
    """What the server does when a machine is not quite the one that was armed."""

    mismatch: one_of("refuse", "alarm") = Field(  # type: ignore[valid-type]
        "refuse", description="A kickstart request whose MAC or serial headers fit another machine."
    )
    guard: one_of("refuse", "off") = Field(  # type: ignore[valid-type]
        "refuse",
        description="An install to a disk that is neither blank nor this host's own, nor named by 'arm --wipe'.",
    )


class SiteFile(Model):
    """site.yaml."""

    schema_: one_of("1") = Field(alias="schema", description="The version of the site language: 1.")  # type: ignore[valid-type]
    environments: dict[Name, EnvironmentSpec] = Field({}, description="Environments by name.")
    names: tuple[Text, ...] = Field((), description="Patterns of host names, tried in order.")
    networks: dict[Name, NetworkSpec] = Field({}, description="Networks by name.")
    secrets: dict[User, SecretSpec] = Field({}, description="Secrets by name.")
    policy: PolicySpec = Field(PolicySpec(), description="Policies of the server.")
    defaults: HostSpec = Field(HostSpec(), description="The weakest layer of every host.")


ASSIGNED = ("profile", "layout", "roles", "classes", "virt")
"""What ``assign:`` decides, so that ``rules:`` may test it and may not set it."""
