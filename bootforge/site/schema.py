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
    FactName,
    FactsBootWord,
    FactsName,
    FactsWord,
    FactWord,
    Host,
    HostId,
    Interface,
    Iqn,
    Language,
    MacPrefix,
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


class DiskSpec(Model):
    """A disk that the installer may use; every other disk is left alone."""

    path: Device = Field(description="The device as the installer sees it, as in /dev/sda.")


class FilesystemSpec(Model):
    """A logical volume of the system's volume group."""

    fstype: one_of("ext3", "ext4", "xfs", "swap") | None = Field(  # type: ignore[valid-type]
        None, description="File system type, or swap. Default: what the release's installer makes."
    )
    mount: Word | None = Field(None, description="Mount point; none for swap.")
    size: Size = Field(description="Size, in MiB, GiB or TiB.")
    grow: Bool = Field(False, description="Whether it takes the room that is left.")


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

    uuid: Uuid | None = Field(None, description="The guest's UUID; 'bootforge lock' draws one, else dom0 does.")
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
    state: one_of("planned", "active", "held", "retired") = Field(  # type: ignore[valid-type]
        "active", description="Only active hosts can be armed; a retired one leaves its addresses to others."
    )
    id: HostId | None = Field(
        None, description="Its identity, which outlives its name; lock.yaml or the host itself says it, nobody else."
    )
    facts: dict[FactName, FactWord] = Field(
        {}, description="What a name that fits no pattern would state; only the host itself says it."
    )
    aliases: Annotated[tuple[Host, ...], *AsSet] = Field(
        (), description="Other full names of the host; no two hosts share one. Shown by 'hosts --json' and 'show'."
    )
    labels: dict[Name, Text] = Field(
        {}, description="Free text by name, as in rack or tenant; shown by 'hosts --json' and 'show'."
    )
    initiator: Iqn | None = Field(
        None, description="The host's iSCSI name (IQN); checked; applied by the bootstrap's iscsi step."
    )
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
    install: InstallSpec = Field(InstallSpec(), description="The installer's source and arguments.")
    kernel_args: tuple[Word, ...] = Field((), description="Kernel arguments of the installed system.")
    packages: Annotated[tuple[Package, ...], *AsSet] = Field(
        (), description="Packages, @groups and one @^environment to install."
    )
    disks: dict[Name, DiskSpec] = Field({}, description="The disks that the installer may use.")
    volume_group: Name = Field("system", description="The volume group that holds the system.")
    filesystems: dict[Name, FilesystemSpec] = Field({}, description="The system's logical volumes by name.")
    nics: dict[Name, NicSpec] = Field({}, description="Network interfaces by name.")
    vm: VmSpec = Field(VmSpec(), description="The virtual machine, when virt is not metal.")


class ProfileHead(Model):
    """What makes a file below profiles/ a profile; every other key of it is the host's."""

    release: Word = Field(description="The release, as in el9.")
    arch: one_of("x86_64") = Field("x86_64", description="The architecture.")  # type: ignore[valid-type]


class EnvironmentSpec(Model):
    """An environment; its name is the alphabet of {env}."""

    branch: Name | None = Field(None, description="What {branch} stands for. Default: the environment's name.")


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


class MacsSpec(Model):
    """The first three octets of MAC addresses that 'bootforge lock' draws, by kind of guest."""

    xen: MacPrefix = Field("00:16:3e", description="Of Xen guests.")


class PolicySpec(Model):
    """What the server does when a machine is not quite the one that was armed."""

    mismatch: one_of("refuse", "alarm") = Field(  # type: ignore[valid-type]
        "refuse", description="A kickstart request whose MAC or serial headers fit another machine."
    )


class SiteFile(Model):
    """site.yaml."""

    schema_: one_of("1") = Field(alias="schema", description="The version of the site language: 1.")  # type: ignore[valid-type]
    environments: dict[Name, EnvironmentSpec] = Field({}, description="Environments by name.")
    names: tuple[Text, ...] = Field((), description="Patterns of host names, tried in order.")
    networks: dict[Name, NetworkSpec] = Field({}, description="Networks by name.")
    macs: MacsSpec = Field(MacsSpec(), description="Prefixes of the MAC addresses that 'bootforge lock' draws.")
    secrets: dict[User, SecretSpec] = Field({}, description="Secrets by name.")
    policy: PolicySpec = Field(PolicySpec(), description="Policies of the server.")
    defaults: HostSpec = Field(HostSpec(), description="The weakest layer of every host.")


HOST_ONLY = ("id", "facts")
"""What only a host itself (``id`` also lock.yaml) can say."""

ASSIGNED = ("profile", "layout", "roles", "classes", "virt")
"""What ``assign:`` decides, so that ``rules:`` may test it and may not set it."""
