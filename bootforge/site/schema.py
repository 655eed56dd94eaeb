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
    AsSet,
    Bool,
    BootWord,
    Console,
    Count,
    Device,
    Excluded,
    FactsBootWord,
    FactsName,
    FactsWord,
    FirewallService,
    Gecos,
    Id,
    Interface,
    Language,
    MacText,
    MirrorUrl,
    Name,
    Package,
    Port,
    Range,
    SecretName,
    Server,
    Service,
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

    uuid: Uuid | None = Field(None, description="The guest's UUID; without one, dom0 draws one.")
    memory: Size = Field(2048, description="Memory.")
    vcpus: Count = Field(1, description="Virtual processors.")
    disks: dict[Name, VmDiskSpec] = Field({}, description="Disks by the guest's device name.")


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


class SiteFile(Model):
    """site.yaml."""

    schema_: one_of("1") = Field(alias="schema", description="The version of the site language: 1.")  # type: ignore[valid-type]
    environments: dict[Name, EnvironmentSpec] = Field({}, description="Environments by name.")
    names: tuple[Text, ...] = Field((), description="Patterns of host names, tried in order.")
    networks: dict[Name, NetworkSpec] = Field({}, description="Networks by name.")
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


ASSIGNED = ("profile", "layout", "roles", "classes", "virt")
"""What ``assign:`` decides, so that ``rules:`` may test it and may not set it."""
