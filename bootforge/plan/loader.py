"""Which boot program a machine's firmware is sent to, by what the firmware says it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from bootforge.addr import Mac
from bootforge.model import BootArgs, Loader, Network, Plan
from bootforge.plan.faults import Fault, written
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost

BIOS, X64, X64_OLD, ARM64, X64_HTTP, ARM64_HTTP = 0, 7, 9, 11, 16, 19
"""Client architectures (DHCP option 93; IANA: Processor Architecture Types). 9 is what old firmware says for 7."""

_IPXE = {BIOS: "undionly.kpxe", X64: "snponly.efi", ARM64: "snponly-arm64.efi"}
_SHIM = {X64: "shimx64.efi", ARM64: "shimaa64.efi"}
_PXELINUX = {BIOS: "lpxelinux.0"}
_LIKE = {X64_OLD: X64, X64_HTTP: X64, ARM64_HTTP: ARM64}
_BY_HTTP = (X64_HTTP, ARM64_HTTP)

_SAID = (("machine", "firmware"), ("machine", "secure_boot"), ("machine", "loader"))

ARCHITECTURES = (BIOS, X64, X64_OLD, ARM64, X64_HTTP, ARM64_HTTP)


def first_script(network: Network) -> str:
    """The URL that DHCP names for iPXE: a script by TFTP, whose name says where the next one is to be had by HTTP, so
    that the TFTP server need not know the site."""
    server = network.server or ""
    return f"tftp://{urlsplit(server).hostname}/{server.replace('://', '/')}/boot.ipxe"


def boot_files(network: Network, mac: Mac | None = None, loader: Loader = "ipxe") -> Mapping[int, str]:
    """The boot file for each client architecture: a path on the TFTP server, or a URL where the firmware boots by
    HTTP (UEFI 2.5, 24.7). ``mac`` is that of a known host, whose shim and pxelinux are files of its own, because what
    they load next lies beside them; iPXE is the same for everybody.

    Firmware that a host's loader is not made for gets iPXE.
    """
    server = network.server or ""
    own = own_path(mac) if mac else ""
    found = {}
    for architecture in ARCHITECTURES:
        kind = _LIKE.get(architecture, architecture)
        special = {"ipxe": {}, "shim": _SHIM, "pxelinux": _PXELINUX}[loader].get(kind) if own else None
        path = f"{own}{special}" if special else _IPXE[kind]
        if architecture in _BY_HTTP:
            path = f"{server}/{path}" if special else f"{server}/loaders/{path}"
        found[architecture] = path
    return MappingProxyType(found)


def own_path(mac: Mac) -> str:
    """The directory of a host's own boot files, by TFTP and by HTTP."""
    return f"m/{mac.text.replace(':', '-')}/"


def media_path(plan: Plan, url: str) -> str | None:
    """The path in the media directory of a file that this server gives out itself; None for what others have."""
    for server in {nic.network.server for nic in plan.nics if nic.network and nic.network.server}:
        if url.startswith(f"{server}/media/"):
            return url.removeprefix(f"{server}/media/")
    return None


def loader_of(host: ResolvedHost) -> Loader:
    """What the host is booted by: what the site says, else what its firmware starts."""
    machine = host.spec.machine
    return machine.loader or ("shim" if machine.secure_boot == "true" else "ipxe")


def check_loader(host: ResolvedHost, boot: BootArgs, faults: list[Fault]) -> None:
    """Faults when the host's loader cannot run on its firmware, is not made for its release, or cannot fetch what it
    is to boot."""
    machine, release = host.spec.machine, RELEASES[host.release]
    loader = loader_of(host)
    if machine.loader:
        at = written(host, [path for path in _SAID if path in host.merged.values])
        if loader == "shim" and machine.firmware == "bios":
            hint = "write 'loader: pxelinux' or 'loader: ipxe', or 'firmware: uefi'"
            faults.append(Fault(at, "BF172", "a BIOS cannot run shim, which is a program for UEFI", hint))
        elif loader == "shim" and not release.secure_boot:
            faults.append(Fault(at, "BF172", f"{release.title} has no signed shim", "write 'loader: ipxe'"))
        elif loader == "pxelinux" and (machine.firmware == "uefi" or machine.secure_boot == "true"):
            what = "UEFI cannot run lpxelinux.0, which is a program for a BIOS"
            faults.append(Fault(at, "BF172", what, "write 'loader: shim' or 'loader: ipxe'"))
    if loader == "ipxe":
        return
    name = {"shim": "GRUB", "pxelinux": "lpxelinux"}[loader]
    if not all(url.startswith("http://") for url in (boot.kernel, boot.initrd)):
        hint = "let 'install: {url: ...}' begin with http:// or media:, or write 'loader: ipxe'"
        faults.append(Fault(("install", "url"), "BF173", f"{name} has no TLS, and {boot.kernel} needs it", hint))
    elif loader == "pxelinux" and "," in boot.initrd:
        what = "a comma parts the initrds of lpxelinux, and there is one in install.url or install.initrd"
        faults.append(Fault(("install", "url"), "BF173", what, "serve the tree under another name"))
