"""The schema of machines and of what is installed on them: installer, accounts, firewall, repositories."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from bootforge.site.kinds import Model
from bootforge.site.scalars import AsSet, Bool, Count, FactsWord, Name, SecretName, SitePath, Size, User, one_of
from bootforge.site.scalars_network import AnyAddress, FactsDomain, MirrorUrl, ResolverOption, TreeUrl, Url
from bootforge.site.scalars_system import (
    AbsolutePath,
    BootWord,
    Excluded,
    FactsBootWord,
    FirewallService,
    Gecos,
    Id,
    Level,
    Port,
    Uuid,
)


class InstallSpec(Model):
    """Where the installer comes from and how it is started."""

    url: TreeUrl | None = Field(
        None,
        description="The install tree: what holds .treeinfo and images/. media:NAME is the server's own"
        " ('bootforge media add').",
    )
    kernel: BootWord = Field("images/pxeboot/vmlinuz", description="The installer's kernel below the tree.")
    initrd: BootWord = Field("images/pxeboot/initrd.img", description="The installer's initrd below the tree.")
    args: tuple[FactsBootWord, ...] = Field((), description="More kernel arguments for the installer.")
    kickstart: one_of("url", "initrd") = Field(  # type: ignore[valid-type]
        "url",
        description="How the installer gets its kickstart: url: it fetches it; initrd: iPXE does and puts it into the"
        " initramfs, so that no URL is on the kernel's command line.",
    )
    network_timeout: Count = Field(
        60, description="Seconds that the installer waits for a link, for DHCP and for the network, from EL7."
    )


class VmDiskSpec(Model):
    """A disk of a virtual machine, keyed by the device name that the guest sees, as in xvda."""

    backing: FactsWord = Field(description="The block device of its host that backs it, as in /dev/vg0/web01.")
    size: Size | None = Field(
        None,
        description="Its size. Its host's bootstrap makes a logical volume of it where there is none, and never makes"
        " one smaller.",
    )
    grow: Bool = Field(
        False, description="Whether a logical volume that is smaller than 'size' is made larger; the guest is not told."
    )


class VmSpec(Model):
    """A virtual machine."""

    uuid: Uuid | None = Field(
        None, description="The guest's UUID; 'bootforge lock' draws one, else Xen does, at every start."
    )
    memory: Size = Field(2048, description="Memory.")
    vcpus: Count = Field(1, description="Virtual processors.")
    disks: dict[Name, VmDiskSpec] = Field(
        {}, description="Disks by the name of the device that the guest sees, as in xvda, or vda with KVM."
    )
    boot: one_of("disk", "network-first") = Field(  # type: ignore[valid-type]
        "disk",
        description="What its definition boots once it is installed; with network-first the server decides at every"
        " boot, so that 'arm' and a reboot install it anew. A PV guest boots its disk.",
    )
    autostart: Bool = Field(
        False, description="Whether the host that it is on starts it at boot: xendomains or libvirtd does it."
    )


class HypervisorSpec(Model):
    """What a host of guests is to them."""

    kind: one_of("xen", "kvm") | None = Field(  # type: ignore[valid-type]
        None,
        description="Whose guests it runs. Default: what its guests are. Said in a role, definitions are taken away"
        " also when the last guest has left.",
    )
    memory: Size | None = Field(
        None, description="Memory that it keeps for itself; on Xen it is dom0_mem of Xen's command line."
    )


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
    loader: one_of("ipxe", "shim", "pxelinux") | None = Field(  # type: ignore[valid-type]
        None,
        description="What its firmware gets from the network: iPXE, the release's own signed shim and GRUB, or"
        " lpxelinux. Default: shim where Secure Boot is on, else ipxe.",
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
    groups_exact: Bool = Field(
        False, description="Whether other memberships are taken away; else those that 'groups:' lists are added only."
    )
    shell: AbsolutePath = Field("/bin/bash", description="The login shell.")
    home: AbsolutePath | None = Field(None, description="The home directory. Default: /home/NAME.")
    gecos: Gecos = Field("", description="The full name.")
    password: SecretName | None = Field(
        None, description="The crypt(5) hash of the password, by its secret's name; without one no password fits."
    )
    state: one_of("present", "absent") = Field(  # type: ignore[valid-type]
        "present",
        description="absent: the account is not made, and is removed where it is; its home directory stays.",
    )


class ResolverSpec(Model):
    """/etc/resolv.conf, which is Bootforge's as soon as one of the keys says something."""

    search: tuple[FactsDomain, ...] = Field((), description="Domains in which short names are searched, in order.")
    servers: tuple[AnyAddress, ...] = Field(
        (), description="Name servers, three at most. Default: the first three of the host's networks."
    )
    options: tuple[ResolverOption, ...] = Field((), description="Options of resolv.conf(5), as in timeout:2.")


class FirewallSpec(Model):
    """What the installed system lets in."""

    enabled: Bool = Field(True, description="Whether there is a firewall.")
    services: Annotated[tuple[FirewallService, ...], *AsSet] = Field(
        (), description="Services that are let in, by the firewall's names for them. ssh always is."
    )
    ports: Annotated[tuple[Port, ...], *AsSet] = Field((), description="Ports that are let in, as in 8080/tcp.")


class RepoUseSpec(Model):
    """How a host uses a repository of repos.yaml: the installer, and the installed system by a .repo file."""

    install: Bool = Field(
        True,
        description="Whether the installer takes packages from it. The installed system has its .repo file either way.",
    )
    exclude: tuple[Excluded, ...] = Field(
        (), description="Packages that are not taken from it; * and ? stand for any letters. EL5's installer cannot."
    )
    cost: Count | None = Field(
        None,
        description="Of two repositories with one package the cheaper is used; 1000 unless said."
        " EL5's installer cannot.",
    )
    state: one_of("present", "absent") = Field(  # type: ignore[valid-type]
        "present",
        description="absent: nobody takes packages from it; its .repo file and the file of its key are removed."
        " It need not stand in repos.yaml any more.",
    )


class RepoSpec(Model):
    """A repository of packages: exactly one of url and mirrorlist."""

    url: TreeUrl | None = Field(
        None, description="What holds repodata/: a URL, or media:NAME/PATH for one that the server has itself."
    )
    mirrorlist: MirrorUrl | None = Field(None, description="A list of mirrors, instead of the url.")
    gpgkey: SitePath | None = Field(
        None,
        description="The public key that signs its packages, as the path of a file of the site. The installed system"
        " gets the file and knows the key.",
    )
    gpgcheck: Bool = Field(
        True,
        description="Whether the installed system refuses packages without a signature by a key that it knows: this"
        " one, or another that was imported.",
    )
    repo_gpgcheck: Bool = Field(
        False, description="Whether it refuses metadata that 'gpgkey' has not signed (repomd.xml.asc). Not on EL5."
    )
    branches: Annotated[tuple[Name, ...], *AsSet] = Field(
        (), description="Branches whose hosts may use it: {branch} of a host, else its {env}. Default: every host."
    )
    proxy: Url | None = Field(None, description="The proxy that it is reached by. EL5's installer cannot.")


class ReposFile(Model):
    """repos.yaml, whose repositories stand at the top."""

    repos: dict[Name, RepoSpec] = Field({}, description="Repositories by name.")
