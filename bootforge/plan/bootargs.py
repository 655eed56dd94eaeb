"""Kernel arguments that have nothing to do with the network: consoles, driver disks, what the installer keeps."""

from __future__ import annotations

from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.words import BootArg


def installer_args(host: ResolvedHost, faults: list[Fault]) -> tuple[BootArg, ...]:
    """What the installer is started with. ``inst.nosave=all_ks`` keeps kickstarts, with their hashes, out of the
    installed system (EL7 and later; EL7 writes anaconda-ks.cfg after %post, so no script could remove it). EL5 and EL6
    find a serial console by themselves; ``serial`` says so, for a loader whose standard input is something else."""
    spec, release = host.spec, RELEASES[host.release]
    args = [BootArg("inst.nosave", "all_ks")] if release.nosave else []
    disks = spec.driver_disks
    if len(disks) > 1 and release.one_driver:
        faults.append(Fault(("driver_disks",), "BF092", f"{release.name} loads one driver disk", "make one of them"))
    if any(url.startswith("https:") for url in disks) and not release.https:
        faults.append(Fault(("driver_disks",), "BF092", f"{release.name}'s installer has no TLS", "write http://"))
    args += [BootArg(f"{release.prefix}dd", url) for url in disks]
    if spec.console:
        args += [BootArg("serial")] if not release.dracut and spec.console.startswith("ttyS") else []
        args.append(BootArg("console", spec.console))
    return tuple(args)


def system_args(host: ResolvedHost, faults: list[Fault]) -> tuple[str, ...]:
    """What the installed system is started with. The last console is /dev/console, where init and fsck speak, so the
    serial one is last; installers that add it themselves (EL6 to EL10) add the same word."""
    spec = host.spec
    if not spec.console:
        return spec.kernel_args
    for key, words in (("kernel_args",), spec.kernel_args), (("install", "args"), spec.install.args):
        if other := next((word for word in words if word.startswith("console=")), None):
            what = f"'{other}' beside 'console: {spec.console}'"
            faults.append(Fault(key, "BF093", what, "the last console wins, so say it in one place"))
    return (*spec.kernel_args, "console=tty0", f"console={spec.console}")
