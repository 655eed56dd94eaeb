"""The schema of the site: every key that exists, its type and its default. Nothing else knows the keys.

What a host and site.yaml say is here; the parts of a host that are maps of their own are in schema_network.py,
schema_storage.py and schema_system.py, arrays.yaml in arrays.py.

Three kinds of collection (kinds.py): ``dict`` is a keyed map, ``Annotated[tuple[...], *AsSet]`` a set, a bare
``tuple`` an atomic list. Scalars are ours (scalars.py): a bare ``int``, ``bool`` or ``float`` would be
converted by pydantic's rules, so a test refuses them.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bootforge.site.kinds import Model
from bootforge.site.scalars import (
    AsSet,
    Bool,
    FactName,
    FactWord,
    Host,
    HostId,
    Name,
    SecretName,
    SitePath,
    Text,
    User,
    Word,
    one_of,
)
from bootforge.site.scalars_files import FilePath, Line, Process
from bootforge.site.scalars_network import AnyAddress, Domain, MacPrefix, Url
from bootforge.site.scalars_settings import KernelModule, ModuleOptions, PathRegex, SelinuxName, SysctlKey
from bootforge.site.scalars_storage import FactsIqn
from bootforge.site.scalars_system import Console, Language, Level, Module, OnlyPackage, Package, Service, Timezone
from bootforge.site.schema_files import BootstrapSpec, DirectorySpec, EditSpec, FileSpec, HookSpec, LinkSpec
from bootforge.site.schema_network import NetworkSpec, NicSpec
from bootforge.site.schema_settings import CronSpec
from bootforge.site.schema_storage import ChapSpec, DiskSpec, FilesystemSpec, VolumeGroupSpec, VolumeSpec
from bootforge.site.schema_system import (
    FirewallSpec,
    GroupSpec,
    HypervisorSpec,
    InstallSpec,
    MachineSpec,
    RepoUseSpec,
    ResolverSpec,
    UserSpec,
    VmSpec,
)


class HostSpec(Model):
    """Everything that can be said about a host, by defaults, profiles, layouts, hardware, roles, rules and hosts."""

    profile: Name | None = Field(None, description="The OS profile: release, architecture, install source.")
    layout: Name | None = Field(None, description="The disk layout.")
    hardware: Name | None = Field(None, description="The model of the machine. Said at the host or in defaults.")
    roles: Annotated[tuple[Name, ...], *AsSet] = Field((), description="What the host is for.")
    classes: Annotated[tuple[Name, ...], *AsSet] = Field((), description="Soft facts that rules can test.")
    virt: one_of("metal", "xen", "kvm") = Field(  # type: ignore[valid-type]
        "metal", description="Bare metal, a guest of Xen or one of KVM."
    )
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
    ntp: tuple[Word, ...] = Field(
        (),
        description="Time servers, in place of those in the configuration of chrony, or of ntp on EL5 and EL6."
        " Default: those of the network that the host is installed from.",
    )
    sysctl: dict[SysctlKey, Text] = Field(
        {},
        description="Settings of the kernel, as in net.ipv4.ip_forward; a slash stands for a dot in the name of a nic.",
    )
    kernel_modules: dict[KernelModule, one_of("load", "blacklist")] = Field(  # type: ignore[valid-type]
        {}, description="Kernel modules that are loaded at every boot, and those that nothing may load."
    )
    kernel_module_options: dict[KernelModule, ModuleOptions] = Field(
        {}, description="Options of kernel modules, by module, for whoever loads them."
    )
    cron: dict[Name, CronSpec] = Field({}, description="Commands that cron starts, each in a file of its own.")
    root_password: SecretName | None = Field(
        None,
        description="The crypt(5) hash of root's password, by its secret's name; without one root is locked.",
    )
    authorized_keys: dict[User, Annotated[tuple[SitePath, ...], *AsSet]] = Field(
        {}, description="SSH public keys by user, as paths of files of the site. Users: root, and those of 'users:'."
    )
    services: dict[Service, one_of("on", "off", "enabled", "running", "masked")] = Field(  # type: ignore[valid-type]
        {},
        description="Services: enabled and running (on), disabled and stopped (off), enabled only, running whether or"
        " not enabled, or masked, which SysV cannot. A package must bring them, but for off and masked.",
    )
    keys_policy: one_of("additive", "exclusive") = Field(  # type: ignore[valid-type]
        "additive",
        description="additive: other keys of those users stay; exclusive: they have no others.",
    )
    users: dict[User, UserSpec] = Field({}, description="Accounts, by name.")
    groups: dict[User, GroupSpec] = Field({}, description="Groups, by name.")
    sudo: dict[Name, tuple[Text, ...]] = Field(
        {},
        description="Lines of sudoers(5) by name; the file is /etc/sudoers.d/bootforge-NAME.",
    )
    trust: Annotated[tuple[SitePath, ...], *AsSet] = Field(
        (), description="Certificate authorities that the host believes, as paths of PEM files of the site."
    )
    host_entries: dict[Domain, AnyAddress] = Field(
        {}, description="Addresses by name, for /etc/hosts, which is then Bootforge's whole file."
    )
    manage_hosts: Bool = Field(
        False, description="Whether /etc/hosts is Bootforge's also where 'host_entries' names none."
    )
    resolver: ResolverSpec = Field(ResolverSpec(), description="Who is asked for names: /etc/resolv.conf.")
    no_processes: Annotated[tuple[Process, ...], *AsSet] = Field(
        (), description="Processes that must not run, by the kernel's name of their command, 15 characters at most."
    )
    files: dict[FilePath, FileSpec] = Field({}, description="Whole files of the installed system, by path.")
    directories: dict[FilePath, DirectorySpec] = Field({}, description="Directories, by path.")
    links: dict[FilePath, LinkSpec] = Field({}, description="Symbolic links, by path.")
    absent_paths: Annotated[tuple[FilePath, ...], *AsSet] = Field(
        (), description="Files, links and empty directories that must not be there."
    )
    edits: dict[FilePath, EditSpec] = Field({}, description="What is so in files that packages own, by path.")
    commands: dict[Name, tuple[Line, ...]] = Field(
        {}, description="Programs and their arguments, by the name that 'run NAME' of a notify has."
    )
    hooks: dict[Name, HookSpec] = Field({}, description="Scripts of the site's own, by name.")
    bootstrap: BootstrapSpec = Field(BootstrapSpec(), description="How the bootstrap treats what differs.")
    selinux: one_of("enforcing", "permissive", "disabled") = Field(  # type: ignore[valid-type]
        "enforcing", description="The mode of SELinux."
    )
    selinux_booleans: dict[SelinuxName, one_of("on", "off")] = Field(  # type: ignore[valid-type]
        {}, description="Booleans of SELinux's policy; one that is not named is left as it is."
    )
    selinux_contexts: dict[PathRegex, SelinuxName] = Field(
        {},
        description="Types that SELinux gives to files, by a pattern of whole paths, as in /srv/web(/.*)?."
        " Needs semanage on the host (policycoreutils-python-utils; to EL7 policycoreutils-python).",
    )
    firewall: FirewallSpec = Field(FirewallSpec(), description="What the installed system lets in.")
    repos: dict[Name, RepoUseSpec] = Field({}, description="Repositories of repos.yaml, by name.")
    repos_purge: Bool = Field(
        False, description="Whether .repo files of others are removed, so that packages come from 'repos:' only."
    )
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
    kernel_args: tuple[Word, ...] = Field(
        (),
        description="Kernel arguments of the installed system. On a host that is installed every kernel gets them,"
        " and loses those that were here before; they count from its next boot.",
    )
    packages: Annotated[tuple[Package, ...], *AsSet] = Field(
        (),
        description="Packages, @groups and one @^environment to install. The bootstrap's packages step keeps the"
        " packages installed; groups and environments are the installer's.",
    )
    exclude_packages: Annotated[tuple[Package, ...], *AsSet] = Field(
        (), description="Packages and @groups that a group or environment would bring, and that are left out."
    )
    absent_packages: Annotated[tuple[OnlyPackage, ...], *AsSet] = Field(
        (), description="Packages that the bootstrap's packages step removes, with what needs them."
    )
    latest_packages: Annotated[tuple[OnlyPackage, ...], *AsSet] = Field(
        (),
        description="Packages that the bootstrap's packages step installs, and keeps at the newest that the host's"
        " repositories offer; it looks once a day.",
    )
    modules: dict[Module, Module] = Field(
        {},
        description="Streams of modules that packages come from, by the module's name, as in 'nodejs: 18'. EL8, EL9.",
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
    hypervisor: HypervisorSpec = Field(HypervisorSpec(), description="What a host of guests is to them.")
    on: Host | None = Field(
        None,
        description="The host that runs this guest: its bootstrap makes the disks that have a size, and keeps the"
        " definition.",
    )
    candidates: Annotated[tuple[Host, ...], *AsSet] = Field(
        (),
        description="The hosts that may run this guest; checked. None of them gets its definition until 'on' names"
        " one.",
    )
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


class SecretSpec(Model):
    """Where a secret comes from: exactly one of the three."""

    file: Word | None = Field(None, description="An absolute path outside the site, readable by its owner only.")
    env: Word | None = Field(None, description="An environment variable of the server.")
    command: tuple[Text, ...] = Field((), description="A program and its arguments; its output is the secret.")


class MacsSpec(Model):
    """The first three octets of MAC addresses that 'bootforge lock' draws, by kind of guest."""

    xen: MacPrefix = Field("00:16:3e", description="Of Xen guests.")
    kvm: MacPrefix = Field("52:54:00", description="Of KVM guests.")


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


HOST_ONLY = ("id", "facts")
"""What only a host itself (``id`` also lock.yaml) can say."""
ASSIGNED = ("profile", "layout", "roles", "classes", "virt")
"""What ``assign:`` decides, so that ``rules:`` may test it and may not set it."""
DECLARED = ("hardware",)
"""What a machine is, said by hosts and defaults alone, so that ``assign:`` may test it."""
