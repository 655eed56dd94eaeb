"""The boot target of an install: the one place where the installer's kernel arguments are decided."""

from __future__ import annotations

from bootforge.model import BootArg, BootArgs, Nic, Slot
from bootforge.plan.faults import Fault
from bootforge.resolve import ResolvedHost


def plan_boot(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> BootArgs:
    """Kernel, initrd and arguments. EL9 reads only options with the ``inst.`` prefix (anaconda, rhel-9:
    dracut/parse-anaconda-options.sh); BOOTIF makes dracut use the nic that booted (dracut.cmdline(7))."""
    install = host.spec.install
    url = install.url or ""
    if not url:
        faults.append(Fault(("install", "url"), "BF043", "no install tree", "set install.url in the profile"))
    args = [
        BootArg("inst.ks", Slot("grant.url")),
        BootArg("inst.ks.sendmac"),
        BootArg("inst.ks.sendsn"),
        BootArg("inst.repo", url),
        BootArg("ip", "dhcp"),
    ]
    args += [BootArg("BOOTIF", "01-" + nic.mac.dashed) for nic in nics if nic.boot]
    for word in install.args:
        name, equals, value = word.partition("=")
        args.append(BootArg(name, value if equals else None))
    return BootArgs(f"{url}/{install.kernel}", f"{url}/{install.initrd}", tuple(args))
