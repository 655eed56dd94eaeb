"""How long the installer's kernel command line becomes once its slots are filled, and how long it may be."""

from __future__ import annotations

from bootforge.model import BootArgs, Nic
from bootforge.plan.faults import Fault
from bootforge.words import HostName, Slot

LIMIT = 2048
"""Bytes of the command line of an x86 kernel, the closing NUL among them (linux: arch/x86/include/asm/setup.h,
COMMAND_LINE_SIZE); what is longer is cut off without a word."""

TOKEN = 32
"""Characters of a grant's token."""


def kickstart_path(host: str, token: str) -> str:
    """Where the kickstart of a grant is: the path below the server's URL."""
    return f"/i/{host}/{token}/kickstart"


def check_command_line(host: HostName, nics: tuple[Nic, ...], boot: BootArgs, faults: list[Fault]) -> None:
    """A fault when the longest line, that of pxelinux, would not fit: it begins with the names of kernel and initrd
    (syslinux: com32/elflink/ldlinux/kernel.c, readconfig.c)."""
    servers = [nic.network.server or "" for nic in nics if nic.network and (nic.boot or nic.install)]
    server = max(servers, key=len, default="")
    url = server + kickstart_path(host.text, "-" * TOKEN)
    line = len(f"BOOT_IMAGE={boot.kernel} initrd={boot.initrd}")
    for arg in boot.args:
        value = url if isinstance(arg.value, Slot) else arg.value
        line += 1 + len(arg.name if value is None else f"{arg.name}={value}")
    over = line + 1 - LIMIT
    if over > 0:
        hint = f"shorten 'args:', 'url:' or 'kernel:' of install by {over}"
        what = f"the installer's kernel arguments are {over} characters too long: a kernel takes {LIMIT - 1}"
        faults.append(Fault(("install", "args"), "BF073", what, hint))
