"""The boot target of an install: the one place where the installer's kernel arguments are decided."""

from __future__ import annotations

from bootforge.model import BootArgs, Nic
from bootforge.plan.bootargs import installer_args
from bootforge.plan.bringup import network_args
from bootforge.plan.domain import is_pv
from bootforge.plan.faults import Fault
from bootforge.plan.loader import loader_of
from bootforge.plan.media import tree_url
from bootforge.releases import RELEASES, Release
from bootforge.resolve import ResolvedHost
from bootforge.words import BootArg, Slot


def plan_boot(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> BootArgs:
    """Kernel, initrd and arguments.

    EL9 and later read only options with the ``inst.`` prefix, EL5 and EL6 only those without (anaconda:
    dracut/parse-anaconda-options.sh, loader/loader.c).
    """
    install, release = host.spec.install, RELEASES[host.release]
    url = tree_url(install.url or "", nics)
    if not url:
        faults.append(Fault(("install", "url"), "BF043", "no install tree", "set install.url in the profile"))
    kernel, initrd = install.kernel, install.initrd
    if is_pv(host):  # a kernel of its own, on EL5 (its tree's .treeinfo: images-xen)
        said = host.merged.values
        kernel = kernel if ("install", "kernel") in said else f"{release.xen_images}/vmlinuz"
        initrd = initrd if ("install", "initrd") in said else f"{release.xen_images}/initrd.img"
    kickstart = _injected(host, faults)
    if kickstart:
        args = [BootArg(f"{release.prefix}ks", "file:/ks.cfg")]
    else:
        args = [BootArg(f"{release.prefix}ks", Slot("grant.url")), *_headers(release)]
    args.append(BootArg(release.tree_option, url))
    args += network_args(host, nics)
    args += installer_args(host, faults)
    for word in install.args:
        name, equals, value = word.partition("=")
        args.append(BootArg(name, value if equals else None))
    return BootArgs(f"{url}/{kernel}", f"{url}/{initrd}", tuple(args), kickstart)


def _injected(host: ResolvedHost, faults: list[Fault]) -> Slot | None:
    """What iPXE fetches into the installer's initramfs. Every release takes ``file:`` for a file that is there:
    virt-install(1) has it so, ``--initrd-inject`` (anaconda, rhel5-branch and rhel6-branch: getKickstartFile)."""
    if host.spec.install.kickstart == "url":
        return None
    where = ("install", "kickstart")
    loader = loader_of(host)
    if is_pv(host):
        what = "iPXE puts a kickstart into the initrd, and a PV guest is started by its host"
        faults.append(Fault(where, "BF176", what, "write 'install: {kickstart: url}'"))
    elif loader != "ipxe":
        what = f"iPXE puts a kickstart into the initrd, and this host is booted by {loader}"
        hint = "write 'install: {kickstart: url}', or have it booted by iPXE"
        faults.append(Fault(where, "BF176", what, hint))
    return Slot("grant.url")


def _headers(release: Release) -> list[BootArg]:
    """What makes the installer say which machine it is when it fetches the kickstart."""
    if release.dracut:
        return [BootArg("inst.ks.sendmac"), BootArg("inst.ks.sendsn")]
    return [BootArg("kssendmac"), *([BootArg("kssendsn")] if release.sends_serial else [])]
