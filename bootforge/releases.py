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

    ``handler``: pykickstart's name for its grammar. ``has_end``: sections end with %end; EL5's own parser takes that
    line for a package, or for shell. ``prefix``: of installer boot options. ``dracut``: the installer's network is
    dracut's, else the loader's. ``tree_option``: names the install tree. ``sends_serial``: the installer can send the
    serial number. ``install_word``: the command ``install`` exists and is not deprecated. ``noninteractive``: ``text
    --non-interactive``. ``ntp``: how a kickstart names time servers. ``authconfig``: password hashing is set by it.
    ``nic_by_name``: ``network --device`` takes kernel names only. ``network_flags``: --activate and --nodefroute.
    ``root_lock``: ``rootpw --lock`` without a password. ``sshkey``: the command. ``boot_drive``: ``bootloader
    --boot-drive``, else --driveorder. ``reqpart``: the command. ``blivet``: the storage code that knows ``clearpart
    --disklabel``, biosboot, --label of logvol and raid, arrays by name, and an EFI system partition on RAID1.
    ``udev``: the installer's udev tells disks' serials and names; EL5's stage 2 has none. ``environments``:
    ``@^group``. ``services``: ``firewall --service``. ``fstype``: what its installer formats by default. ``https``:
    the installer speaks TLS. ``hashes``: prefixes of crypt(5) that its libcrypt verifies. ``xen_type``: the guest
    type its stock kernel runs as; EL8 and later are built without CONFIG_XEN_PV and CONFIG_XEN_PVH. ``uefi``,
    ``secure_boot``: on x86_64. ``x86_level``: of the x86-64 psABI. ``end_of_life``: of its free rebuilds, or of
    Fedora's schedule, as YYYY-MM.
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
    root_lock: bool = True
    sshkey: bool = True
    boot_drive: bool = True
    reqpart: bool = True
    blivet: bool = True
    udev: bool = True
    environments: bool = True
    services: bool = True
    fstype: Literal["ext3", "ext4", "xfs"] = "xfs"
    https: bool = True
    hashes: tuple[str, ...] = ("$6$", "$5$", "$y$", "$2b$")
    xen_type: Literal["pv", "hvm"] = "hvm"
    uefi: bool = True
    secure_boot: bool = True
    x86_level: int = 1
    end_of_life: str = ""


_EL9 = Release("el9", "Enterprise Linux 9", "RHEL9", x86_level=2, end_of_life="2032-05")
_EL8 = replace(
    _EL9, name="el8", title="Enterprise Linux 8", handler="RHEL8", ntp="flag", x86_level=1, end_of_life="2029-05"
)
_EL7 = replace(
    _EL8,
    name="el7",
    title="Enterprise Linux 7",
    handler="RHEL7",
    install_word=True,
    noninteractive=False,
    authconfig=True,
    sshkey=False,
    hashes=("$6$", "$5$", "$1$"),
    end_of_life="2024-06",
)
_EL6 = replace(
    _EL7,
    name="el6",
    title="Enterprise Linux 6",
    handler="RHEL6",
    prefix="",
    dracut=False,
    tree_option="repo",
    ntp="none",
    root_lock=False,
    boot_drive=False,
    reqpart=False,
    blivet=False,
    environments=False,
    fstype="ext4",
    xen_type="pv",
    secure_boot=False,
    end_of_life="2020-11",
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
    udev=False,
    services=False,
    fstype="ext3",
    https=False,
    uefi=False,
    end_of_life="2017-03",
)
_EL10 = replace(
    _EL9,
    name="el10",
    title="Enterprise Linux 10",
    handler="RHEL10",
    hashes=("$y$", "$gy$", "$6$", "$5$", "$2b$"),
    x86_level=3,
    end_of_life="2035-05",
)
_FEDORA = replace(_EL10, x86_level=1)

RELEASES = {
    release.name: release
    for release in (
        _EL5,
        _EL6,
        _EL7,
        _EL8,
        _EL9,
        _EL10,
        replace(_FEDORA, name="fedora45", title="Fedora 45", handler="F45", end_of_life="2027-11"),
        replace(_FEDORA, name="fedora46", title="Fedora 46", handler="F46", end_of_life="2028-05"),
    )
}
"""Every release that Bootforge installs, by the name that profiles use."""
