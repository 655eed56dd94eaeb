"""What each release can do, as rows of capabilities. Nothing outside this module compares releases.

Sources, unless a field names another: pykickstart 3.78's handlers for kickstart commands and options; anaconda's
branches rhel5-branch to rhel-10 for boot options (loader2/loader.c, loader/loader.c,
dracut/parse-anaconda-{kickstart,options,net}.sh) and for what its parsers accept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal


@dataclass(frozen=True, slots=True)
class Release:
    """Capabilities of one release.

    ``handler``: pykickstart's name for its grammar. ``has_end``: sections end with %end; EL5's own parser takes
    that line for a package, or for shell. ``prefix``: of installer boot options. ``dracut``: the installer's
    network is dracut's, else the loader's. ``tree_option``: names the install tree. ``sends_serial``: the installer
    can send the serial number. ``install_word``: the command ``install`` exists and is not deprecated.
    ``noninteractive``: ``text --non-interactive``. ``ntp``: how a kickstart names time servers. ``authconfig``:
    password hashing is set by it. ``nic_by_name``: ``network --device`` takes kernel names only. ``network_flags``:
    --activate and --nodefroute. ``stacks``: kinds of nics that ``network`` can make. ``ipv6``: --ipv6 and
    --ipv6gateway. ``root_lock``: ``rootpw --lock`` without a password.
    ``boot_drive``: ``bootloader --boot-drive``, else --driveorder. ``reqpart``: the command. ``blivet``: the storage
    code that knows ``clearpart --disklabel``, biosboot, --label of logvol and raid, arrays by name, and an EFI system
    partition on RAID1. ``udev``: the installer's udev tells disks' serials and names; EL5's stage 2 has none.
    ``environments``: ``@^group``. ``services``: ``firewall --service``. ``accounts``: ``group``, ``user --gid`` and
    ``sshkey`` make accounts whole; else the bootstrap does it alone. ``uid_min``: the first id that is not a package's
    (login.defs(5)). ``etc_hostname``: the name is in /etc/hostname (hostname(5)), else HOSTNAME of
    /etc/sysconfig/network (initscripts: sysconfig.txt). ``search_limit``: domains to search in, after which libc reads
    no more (resolv.conf(5); glibc 2.26 has no limit). ``trust``: how a CA is trusted: anchors and update-ca-trust(8),
    which is to be enabled first where it came in an update (EL6.5), or by the bundle itself. ``systemd``: services are
    units. ``net_format``: what holds the configuration of nics (NetworkManager's news: 1.36 makes keyfiles the default
    of EL9). ``network_manager``: NetworkManager brings the network up, writes /etc/resolv.conf and reads conf.d
    (NetworkManager.conf(5)), else the scripts of initscripts. ``bridging_opts``: they know BRIDGING_OPTS (initscripts,
    rhel6-branch: sysconfig.txt). ``bond_alias``: a bond's module is found by an alias in modprobe.conf.
    ``repo_options``: --cost, --excludepkgs and --proxy of ``repo``. ``one_driver``: the loader keeps the last ``dd=``
    only (loader2/loader.c, loader/loader.c). ``onerror``: the section; else there is %traceback. ``nosave``: the boot
    option. ``nosave_flag``: the file /tmp/NOSAVE_INPUT_KS
    (data/post-scripts/99-copy-logs.ks), which EL10 does not look for (pyanaconda/modules/boss/installation.py).
    ``fstype``: what its installer formats by default. ``https``: the installer speaks TLS. ``hashes``: prefixes of
    crypt(5) that its libcrypt verifies. ``xen_type``: the guest type its stock kernel runs as; EL8 and later are built
    without CONFIG_XEN_PV and CONFIG_XEN_PVH. ``xen_images``: where its tree has the installer's kernel for a PV guest.
    ``dom0``: the tool that makes Xen guests on it: xm of EL5's own Xen 3; xl of Xen 4, which EL6 and EL7 have from the
    Virtualization SIG (Xen4CentOS) and Fedora itself; EL8 and later have no kernel for it (CONFIG_XEN_DOM0 asks for
    CONFIG_XEN_PV). ``kvm``: libvirt makes KVM guests on it, as plan/libvirt.py writes them. ``auto_firmware``: that
    libvirt finds the files of a UEFI itself (5.2: formatdomain, ``firmware``). ``virtio_modern``: a guest's kernel
    speaks virtio 1.0, so that its devices can be on PCI Express. ``uefi``, ``secure_boot``: on x86_64. ``grub_linux``:
    what its signed GRUB boots a kernel with by UEFI (Red Hat's installation guides of EL7 to EL9, TFTP servers for UEFI
    clients).
    ``x86_level``: of the x86-64 psABI. ``memory``: MiB below which its installer gives up when the tree comes by HTTP
    (anaconda: display.py check_memory, isys.py MIN_RAM and SQUASHFS_EXTRA_RAM).
    ``pkg``: what installs packages: yum, dnf (4) or dnf5 (Fedora since 41, "Switch to DNF5"). ``modules``: streams of
    packages; deprecated in EL9, gone in EL10 and Fedora (pykickstart: ``module``). ``repo_gpgcheck``: of a .repo file;
    EL5's yum 3.2.22 has none.
    ``end_of_life``: of its free rebuilds, or of Fedora's schedule, as YYYY-MM. ``releasever``: what yum and dnf call
    it. ``sysctl_d``: its boot reads /etc/sysctl.d (initscripts: rc.d/init.d/functions, apply_sysctl). ``chrony``: what
    keeps the time, else ntpd. ``input_chain``: where lokkit's rules stand in /etc/sysconfig/iptables
    (system-config-firewall: fw_iptables.py; system-config-securitylevel: lokkit.c); empty where there is firewalld.
    ``mp_dialect``: the version of multipath-tools whose words multipath.conf is in (libmultipath/dict.c; EL7's 0.4.9
    has many of later ones). ``lvm_scope``: what keeps LVM to the disks that it may see: its file of devices
    (lvmdevices(8)) from EL9 on; before, a filter, which is the global one where daemons scan as well (lvm.conf(5)).
    ``loose_rp``: rp_filter knows 2, loose (Linux 2.6.31); else it is switched off for the nics concerned.
    ``login_retries``: node records have node.session.initial_login_retry_max, which EL5's first ones had not.
    """

    name: str
    title: str
    handler: str
    has_end: bool = True
    prefix: Literal["", "inst."] = "inst."
    dracut: bool = True
    tree_option: str = "inst.repo"
    sends_serial: bool = True
    install_word: bool = False
    noninteractive: bool = True
    ntp: Literal["none", "flag", "timesource"] = "timesource"
    authconfig: bool = False
    nic_by_name: bool = False
    network_flags: bool = True
    stacks: tuple[str, ...] = ("bond", "vlan", "bridge")
    ipv6: Literal["none", "address", "gateway"] = "gateway"
    root_lock: bool = True
    boot_drive: bool = True
    reqpart: bool = True
    blivet: bool = True
    udev: bool = True
    environments: bool = True
    services: bool = True
    accounts: bool = True
    uid_min: int = 1000
    etc_hostname: bool = True
    search_limit: int | None = None
    trust: Literal["bundle", "enable", "extract"] = "extract"
    systemd: bool = True
    net_format: Literal["keyfile", "ifcfg"] = "keyfile"
    network_manager: bool = True
    bridging_opts: bool = True
    bond_alias: bool = False
    sysctl_d: bool = True
    chrony: bool = True
    input_chain: str = ""
    mp_dialect: Literal["0.4.7", "0.4.9", "el7", "0.8"] = "0.8"
    lvm_scope: Literal["filter", "global_filter", "devices"] = "devices"
    loose_rp: bool = True
    login_retries: bool = True
    repo_options: bool = True
    one_driver: bool = False
    onerror: bool = True
    nosave: bool = True
    nosave_flag: bool = True
    fstype: Literal["ext3", "ext4", "xfs"] = "xfs"
    https: bool = True
    hashes: tuple[str, ...] = ("$6$", "$5$", "$y$", "$2b$")
    xen_type: Literal["pv", "hvm"] = "hvm"
    xen_images: str = "images/pxeboot"
    dom0: Literal["", "xm", "xl"] = ""
    kvm: bool = True
    auto_firmware: bool = True
    virtio_modern: bool = True
    uefi: bool = True
    secure_boot: bool = True
    grub_linux: Literal["linux", "linuxefi"] = "linux"
    x86_level: int = 1
    memory: int = 1070
    pkg: Literal["yum", "dnf", "dnf5"] = "dnf"
    modules: bool = True
    repo_gpgcheck: bool = True
    end_of_life: str = ""
    releasever: str = ""


_EL9 = Release("el9", "Enterprise Linux 9", "RHEL9", x86_level=2, end_of_life="2032-05", releasever="9")
_EL8 = replace(
    _EL9,
    name="el8",
    title="Enterprise Linux 8",
    handler="RHEL8",
    ntp="flag",
    grub_linux="linuxefi",
    x86_level=1,
    net_format="ifcfg",
    lvm_scope="global_filter",
    end_of_life="2029-05",
    releasever="8",
)
_EL7 = replace(
    _EL8,
    name="el7",
    title="Enterprise Linux 7",
    handler="RHEL7",
    install_word=True,
    noninteractive=False,
    authconfig=True,
    accounts=False,
    search_limit=6,
    memory=670,
    dom0="xl",
    auto_firmware=False,
    mp_dialect="el7",
    pkg="yum",
    modules=False,
    hashes=("$6$", "$5$", "$1$"),
    end_of_life="2024-06",
    releasever="7",
)
_EL6 = replace(
    _EL7,
    name="el6",
    title="Enterprise Linux 6",
    handler="RHEL6",
    prefix="",
    dracut=False,
    stacks=("bond", "vlan"),
    ipv6="address",
    tree_option="repo",
    ntp="none",
    root_lock=False,
    boot_drive=False,
    reqpart=False,
    blivet=False,
    environments=False,
    uid_min=500,
    etc_hostname=False,
    trust="enable",
    systemd=False,
    network_manager=False,
    chrony=False,
    input_chain="INPUT",
    mp_dialect="0.4.9",
    lvm_scope="filter",
    one_driver=True,
    onerror=False,
    nosave=False,
    nosave_flag=False,
    fstype="ext4",
    xen_type="pv",
    kvm=False,
    virtio_modern=False,
    secure_boot=False,
    grub_linux="linux",
    memory=384,
    end_of_life="2020-11",
    releasever="6",
)
_EL5 = replace(
    _EL6,
    name="el5",
    title="Enterprise Linux 5",
    handler="RHEL5",
    has_end=False,
    tree_option="method",
    sends_serial=False,
    nic_by_name=True,
    network_flags=False,
    stacks=(),
    ipv6="none",
    udev=False,
    bridging_opts=False,
    bond_alias=True,
    services=False,
    sysctl_d=False,
    input_chain="RH-Firewall-1-INPUT",
    mp_dialect="0.4.7",
    loose_rp=False,
    login_retries=False,
    repo_options=False,
    trust="bundle",
    xen_images="images/xen",
    dom0="xm",
    fstype="ext3",
    https=False,
    uefi=False,
    memory=64,
    repo_gpgcheck=False,
    end_of_life="2017-03",
    releasever="5",
)
_EL10 = replace(
    _EL9,
    name="el10",
    title="Enterprise Linux 10",
    handler="RHEL10",
    nosave_flag=False,
    hashes=("$y$", "$gy$", "$6$", "$5$", "$2b$"),
    x86_level=3,
    modules=False,
    end_of_life="2035-05",
    releasever="10",
)
_FEDORA = replace(_EL10, x86_level=1, pkg="dnf5", dom0="xl")

RELEASES = {
    release.name: release
    for release in (
        _EL5,
        _EL6,
        _EL7,
        _EL8,
        _EL9,
        _EL10,
        replace(_FEDORA, name="fedora45", title="Fedora 45", handler="F45", end_of_life="2027-11", releasever="45"),
        replace(_FEDORA, name="fedora46", title="Fedora 46", handler="F46", end_of_life="2028-05", releasever="46"),
    )
}
"""Every release that Bootforge installs, by the name that profiles use."""
