"""Which boot program a machine's firmware is sent to, by what the firmware says it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from bootforge.addr import Mac
from bootforge.model import Loader, Network

BIOS, X64, X64_OLD, ARM64, X64_HTTP, ARM64_HTTP = 0, 7, 9, 11, 16, 19
"""Client architectures (DHCP option 93; IANA: Processor Architecture Types). 9 is what old firmware says for 7."""

_IPXE = {BIOS: "undionly.kpxe", X64: "snponly.efi", ARM64: "snponly-arm64.efi"}
_SHIM = {X64: "shimx64.efi", ARM64: "shimaa64.efi"}
_PXELINUX = {BIOS: "lpxelinux.0"}
_LIKE = {X64_OLD: X64, X64_HTTP: X64, ARM64_HTTP: ARM64}
_BY_HTTP = (X64_HTTP, ARM64_HTTP)

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
    own = f"m/{mac.text.replace(':', '-')}/" if mac else ""
    found = {}
    for architecture in ARCHITECTURES:
        kind = _LIKE.get(architecture, architecture)
        special = {"ipxe": {}, "shim": _SHIM, "pxelinux": _PXELINUX}[loader].get(kind) if own else None
        path = f"{own}{special}" if special else _IPXE[kind]
        if architecture in _BY_HTTP:
            path = f"{server}/{path}" if special else f"{server}/loaders/{path}"
        found[architecture] = path
    return MappingProxyType(found)
