"""The schema of the site: every key that exists, its type and its default. Nothing else knows the keys.

Three kinds of collection (kinds.py): ``dict`` is a keyed map, ``Annotated[tuple[...], *AsSet]`` a set, a bare
``tuple`` an atomic list. Scalars are ours (scalars.py): a bare ``int``, ``bool`` or ``float`` would be
converted by pydantic's rules, so a test refuses them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bootforge.site.scalars import (
    AbsolutePath,
    Address,
    Address6,
    Addressing,
    AnyAddress,
    AsSet,
    Bool,
    BootWord,
    ChapUser,
    Console,
    Count,
    Device,
    DiskId,
    Excluded,
    FactName,
    FactsBootWord,
    FactsIqn,
    FactsName,
    FactsWord,
    FactWord,
    FirewallService,
    Gecos,
    Group,
    Host,
    HostId,
    Id,
    Interface,
    Iqn,
    Label,
    Language,
    Level,
    Logical,
    Lun,
    MacPrefix,
    MacText,
    MirrorUrl,
    Mtu,
    Name,
    NicAddress,
    NicAddress6,
    OptionName,
    OptionValue,
    Package,
    Port,
    Prefix,
    Range,
    SecretName,
    Server,
    Service,
    SitePath,
    Size,
    Subnet,
    Subnet6,
    Text,
    Timezone,
    Url,
    User,
    Uuid,
    VlanId,
    Word,
    Wwid,
    Wwn,
    one_of,
)


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteSpec(Model):
    """A route, keyed by its destination, as in 10.50.0.0/16. Checked; the bootstrap's network step applies it."""

    via: AnyAddress = Field(description="The router, in the nic's own subnet.")
    metric: Count | None = Field(None, description="The route's metric; lower is preferred.")


class NicSpec(Model):
    """A network interface of a host."""

    kind: one_of("physical", "bond", "vlan", "bridge", "bmc") = Field(  # type: ignore[valid-type]
        "physical", description="What it is; bond and bridge have 'ports', a vlan a 'parent', a bmc is only reserved."
    )
    mac: MacText | None = Field(None, description="The MAC address on the nic's label.")
    device: Interface | None = Field(
        None,
        description="The name that the kernel gives it, as in eno1. Default: a bond's or bridge's own name, PARENT.ID"
        " for a vlan; a port or parent without one is given its nic's name. EL5's installer knows nics by it alone.",
    )
    network: FactsName | None = Field(
        None, description="The network that it is on; a port needs none, it is on that of its bond or bridge."
    )
    address: NicAddress | None = Field(
        None, description="A fixed IPv4 address, dhcp or none. Default: dhcp on a network with an IPv4 subnet."
    )
    address6: NicAddress6 = Field(Addressing("none"), description="A fixed IPv6 address, auto (SLAAC), dhcp or none.")
    ports: Annotated[tuple[Name, ...], *AsSet] = Field((), description="The nics that a bond or bridge is made of.")
    parent: Name | None = Field(None, description="The nic whose frames a vlan tags.")
    vlan: VlanId | None = Field(None, description="The tag of a vlan. Default: the network's.")
    options: dict[OptionName, OptionValue] = Field(
        {}, description="Options of a bond (mode, miimon, ...) or bridge (stp, ...), as the kernel names them."
    )
    mtu: Mtu | None = Field(None, description="MTU in bytes. Default: the network's.")
    ethtool: dict[OptionName, OptionValue] = Field({}, description="Settings of ethtool(8) -s, as in 'autoneg: off'.")
    routes: dict[Prefix, RouteSpec] = Field({}, description="Routes besides the default one, by destination.")
    boot: Bool | None = Field(
        None, description="Whether the host boots from it. Default: the only nic whose network has a server."
    )
    install: Bool | None = Field(
        None, description="Whether the installer uses it. Default: the nic that boots, or what is made of it."
    )
    default_route: Bool | None = Field(None, description="Whether the default route is here. Default: as 'install'.")
    iscsi: Bool = Field(False, description="Whether iSCSI runs over it.")


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
    network_timeout: Count = Field(
        60, description="Seconds that the installer waits for a link, for DHCP and for the network, from EL7."
    )


class VmDiskSpec(Model):
    """A disk of a virtual machine, keyed by the device name that the guest sees, as in xvda."""

    backing: FactsWord = Field(description="The block device in dom0 that backs it, as in /dev/vg0/web01.")


class VmSpec(Model):
    """A virtual machine."""

    uuid: Uuid | None = Field(None, description="The guest's UUID; 'bootforge lock' draws one, else dom0 does.")
    memory: Size = Field(2048, description="Memory.")
    vcpus: Count = Field(1, description="Virtual processors.")
    disks: dict[Name, VmDiskSpec] = Field({}, description="Disks by the guest's device name.")
    autostart: Bool = Field(
        False, description="Whether its parent starts it at boot; checked; applied by the parent's guests step."
    )


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


class MachineSpec(Model):
    """What a machine is, as far as a server cannot see it: its firmware, its processor, its memory."""

    firmware: one_of("bios", "uefi", "any") = Field(  # type: ignore[valid-type]
        "any", description="How it boots: a release without UEFI is refused for uefi; a Xen HVM guest gets it."
    )
    secure_boot: one_of("true", "false", "unknown") = Field(  # type: ignore[valid-type]
        "unknown", description="Whether Secure Boot is on; releases without a signed boot loader are refused for true."
    )
    x86_level: Level | None = Field(
        None, description="The processor's level of the x86-64 psABI, 1 to 4; a release that needs more is refused."
    )
    local_boot: one_of("exit-1", "exit", "sanboot") = Field(  # type: ignore[valid-type]
        "exit-1",
        description="How iPXE hands over to the local disk: by failing, by success, or by booting it itself.",
    )
    memory: Size | None = Field(None, description="Its memory; less than the release's installer needs is refused.")


class GroupSpec(Model):
    """A group of the installed system."""

    gid: Id = Field(description="Its id; above those that packages give to groups of their own.")


class UserSpec(Model):
    """A person or program that has an account."""

    uid: Id = Field(description="Its id; above those that packages give to users of their own.")
    gid: Id | None = Field(None, description="The id of its own group, which has its name. Default: the uid.")
    groups: Annotated[tuple[User, ...], *AsSet] = Field(
        (), description="More groups: those of 'groups:', or of every system, as wheel."
    )
    shell: AbsolutePath = Field("/bin/bash", description="The login shell.")
    home: AbsolutePath | None = Field(None, description="The home directory. Default: /home/NAME.")
    gecos: Gecos = Field("", description="The full name.")
    password: SecretName | None = Field(
        None, description="The crypt(5) hash of the password, by its secret's name; without one no password fits."
    )
    state: one_of("present", "absent") = Field(  # type: ignore[valid-type]
        "present",
        description="absent: the installer does not make the account."
        " Checked; taking it from an installed system is the bootstrap's users step.",
    )


class FirewallSpec(Model):
    """What the installed system lets in."""

    enabled: Bool = Field(True, description="Whether there is a firewall.")
    services: Annotated[tuple[FirewallService, ...], *AsSet] = Field(
        (), description="Services that are let in, by the firewall's names for them. ssh always is."
    )
    ports: Annotated[tuple[Port, ...], *AsSet] = Field((), description="Ports that are let in, as in 8080/tcp.")


class RepoUseSpec(Model):
    """How a host uses a repository of repos.yaml. The installed system's .repo files are the bootstrap's
    repositories step."""

    install: Bool = Field(
        True,
        description="Whether the installer takes packages from it."
        " The .repo file of the installed system is the bootstrap's repositories step either way.",
    )
    exclude: tuple[Excluded, ...] = Field(
        (), description="Packages that are not taken from it; * and ? stand for any letters. EL5's installer cannot."
    )
    cost: Count | None = Field(
        None, description="Of two repositories with one package the cheaper is used; 1000 unless said. Not on EL5."
    )


class HostSpec(Model):
    """Everything that can be said about a host, by defaults, profiles, layouts, hardware, roles, rules and hosts."""

    profile: Name | None = Field(None, description="The OS profile: release, architecture, install source.")
    layout: Name | None = Field(None, description="The disk layout.")
    hardware: Name | None = Field(None, description="The model of the machine. Said at the host or in defaults.")
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
    serial: Text | None = Field(None, description="The system's serial number, as DMI tells it.")
    machine: MachineSpec = Field(MachineSpec(), description="What the machine is; its hardware says it for a model.")
    language: Language = Field("en_US.UTF-8", description="Language of the installed system.")
    keyboard: Word = Field("us", description="Console keymap.")
    timezone: Timezone = Field("Etc/UTC", description="Time zone; the hardware clock runs in UTC.")
    ntp: tuple[Word, ...] = Field((), description="Time servers.")
    root_password: SecretName | None = Field(
        None,
        description="The crypt(5) hash of root's password, by its secret's name; without one root is locked.",
    )
    authorized_keys: dict[User, Annotated[tuple[SitePath, ...], *AsSet]] = Field(
        {}, description="SSH public keys by user, as paths of files of the site. Users: root, and those of 'users:'."
    )
    users: dict[User, UserSpec] = Field({}, description="Accounts that the installer makes, by name.")
    groups: dict[User, GroupSpec] = Field({}, description="Groups that the installer makes, by name.")
    services: dict[Service, one_of("on", "off")] = Field(  # type: ignore[valid-type]
        {}, description="Services that start at boot (on), or do not (off). A package must bring those that are on."
    )
    selinux: one_of("enforcing", "permissive", "disabled") = Field(  # type: ignore[valid-type]
        "enforcing", description="The mode of SELinux."
    )
    firewall: FirewallSpec = Field(FirewallSpec(), description="What the installed system lets in.")
    repos: dict[Name, RepoUseSpec] = Field({}, description="Repositories of repos.yaml, by name.")
    driver_disks: tuple[Url, ...] = Field(
        (), description="Driver disks that the installer loads first. EL5 and EL6 take one."
    )
    console: Console | None = Field(
        None,
        description="The serial console of the installer and, beside the screen, of the installed system,"
        " as in ttyS0,115200.",
    )
    boot_order: one_of("network-first", "disk-first") = Field(  # type: ignore[valid-type]
        "network-first",
        description="What UEFI boots first once the host is installed: network-first keeps the entry that booted the"
        " installer before the one that the installer adds. Without effect on BIOS, whose order is set in its setup.",
    )
    install: InstallSpec = Field(InstallSpec(), description="The installer's source and arguments.")
    kernel_args: tuple[Word, ...] = Field((), description="Kernel arguments of the installed system.")
    packages: Annotated[tuple[Package, ...], *AsSet] = Field(
        (), description="Packages, @groups and one @^environment to install."
    )
    exclude_packages: Annotated[tuple[Package, ...], *AsSet] = Field(
        (), description="Packages and @groups that a group or environment would bring, and that are left out."
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
    on: Host | None = Field(None, description="The host that runs this guest.")
    candidates: Annotated[tuple[Host, ...], *AsSet] = Field((), description="The hosts that may run this guest.")
    path_policy: one_of("multipath", "bond", "single") = Field(  # type: ignore[valid-type]
        "multipath",
        description="How volumes are reached: over every path, over one bonded nic, over one nic; "
        "checked and planned; applied by the bootstrap's storage steps.",
    )
    initiator: FactsIqn | None = Field(
        None,
        description="The host's iSCSI name, as in iqn.2008-05.com.example:db01; 'bootforge lock' writes one; "
        "applied by the bootstrap's iSCSI step.",
    )
    volumes: dict[Name, VolumeSpec] = Field(
        {}, description="Volumes of arrays by name; checked and planned; applied by the bootstrap's storage steps."
    )
    chap: ChapSpec | None = Field(
        None, description="CHAP to every array; checked and planned; applied by the bootstrap's iSCSI step."
    )


class ProfileHead(Model):
    """What makes a file below profiles/ a profile; every other key of it is the host's."""

    release: Word = Field(description="The release, as in el9.")
    arch: one_of("x86_64") = Field("x86_64", description="The architecture.")  # type: ignore[valid-type]
    x86_level: Level | None = Field(
        None, description="The level of the x86-64 psABI that its packages are built for. Default: the release's."
    )


class EnvironmentSpec(Model):
    """An environment; its name is the alphabet of {env}."""

    branch: Name | None = Field(None, description="What {branch} stands for. Default: the environment's name.")


class NetworkSpec(Model):
    """A network: one broadcast domain with one subnet of IPv4, of IPv6 or of each."""

    site: Name | None = Field(None, description="The site it is at; such names are the alphabet of {site}.")
    subnet: Subnet | None = Field(None, description="The IPv4 subnet.")
    gateway: Address | None = Field(None, description="The default router.")
    subnet6: Subnet6 | None = Field(None, description="The IPv6 subnet.")
    gateway6: Address6 | None = Field(None, description="The default router for IPv6.")
    dns: tuple[AnyAddress, ...] = Field((), description="Name servers.")
    ntp: tuple[Word, ...] = Field((), description="Time servers, for hosts installed over it that name none.")
    range: Range | None = Field(None, description="Addresses that DHCP may give to unknown machines.")
    server: Server | None = Field(None, description="This server's URL as seen from the network.")
    vlan: VlanId | None = Field(None, description="The tag of its frames where they are tagged.")
    mtu: Mtu | None = Field(None, description="MTU of every nic on it, in bytes.")
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
    macs: MacsSpec = Field(MacsSpec(), description="Prefixes of the MAC addresses that 'bootforge lock' draws.")
    secrets: dict[User, SecretSpec] = Field({}, description="Secrets by name.")
    policy: PolicySpec = Field(PolicySpec(), description="Policies of the server.")
    defaults: HostSpec = Field(HostSpec(), description="The weakest layer of every host.")


class RepoSpec(Model):
    """A repository of packages: exactly one of url and mirrorlist."""

    url: Url | None = Field(None, description="What holds repodata/.")
    mirrorlist: MirrorUrl | None = Field(None, description="A list of mirrors, instead of the url.")
    gpgkey: SitePath | None = Field(
        None,
        description="The public key that signs its packages, as the path of a file of the site."
        " Checked; installed by the bootstrap's repositories step.",
    )
    branches: Annotated[tuple[Name, ...], *AsSet] = Field(
        (), description="Branches whose hosts may use it: {branch} of a host, else its {env}. Default: every host."
    )
    proxy: Url | None = Field(None, description="The proxy that the installer reaches it by. Not on EL5.")


class ReposFile(Model):
    """repos.yaml, whose repositories stand at the top."""

    repos: dict[Name, RepoSpec] = Field({}, description="Repositories by name.")


HOST_ONLY = ("id", "facts")
"""What only a host itself (``id`` also lock.yaml) can say."""

ASSIGNED = ("profile", "layout", "roles", "classes", "virt")
"""What ``assign:`` decides, so that ``rules:`` may test it and may not set it."""

DECLARED = ("hardware",)
"""What a machine is, said by hosts and defaults alone, so that ``assign:`` may test it."""
