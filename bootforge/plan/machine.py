"""Whether a release can run on the machine at all: its firmware, Secure Boot, processor and memory."""

from __future__ import annotations

from bootforge.model import Loader, Path
from bootforge.plan.domain import is_pv
from bootforge.plan.faults import Fault, written
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost
from bootforge.rules import class_name

_FIRMWARE, _SECURE = ("machine", "firmware"), ("machine", "secure_boot")
_LEVEL, _MEMORY = ("machine", "x86_level"), ("machine", "memory")


def loader_of(host: ResolvedHost) -> Loader:
    """What the host's firmware gets from the network: iPXE, unless Secure Boot is on, which has it not."""
    said: Loader | None = host.spec.machine.loader
    return said or ("shim" if host.spec.machine.secure_boot == "true" else "ipxe")


def check_machine(host: ResolvedHost, faults: list[Fault]) -> None:
    """Faults about what the host's release cannot run on, and about a machine that cannot exist. What the machine
    does not say is not doubted."""
    machine, release = host.spec.machine, RELEASES[host.release]
    secure = machine.secure_boot == "true"
    if secure and machine.firmware == "bios":
        at = written(host, [_FIRMWARE, _SECURE])
        faults.append(Fault(at, "BF034", "a BIOS has no Secure Boot", "write 'firmware: uefi' or 'secure_boot: false'"))
    elif is_pv(host) and machine.firmware == "uefi":
        what = f"{release.title} runs as a PV guest, which has no UEFI, and {_owner(host, _FIRMWARE)} says uefi"
        hint = "write 'hardware-:' at the guest" if _model(host, _FIRMWARE) else "write 'machine: {firmware: any}'"
        faults.append(Fault(_place(host, _FIRMWARE), "BF033", what, hint))
    elif machine.firmware == "uefi" and not release.uefi:
        what = f"{release.title} cannot boot from UEFI, the firmware of {_owner(host, _FIRMWARE)}"
        faults.append(_refusal(host, _FIRMWARE, what, "set it to BIOS and write 'machine: {firmware: bios}'"))
    elif secure and not release.secure_boot:
        what = f"{release.title} has no signed boot loader for the Secure Boot of {_owner(host, _SECURE)}"
        faults.append(_refusal(host, _SECURE, what, "switch it off and write 'machine: {secure_boot: false}'"))
    needed = host.x86_level or release.x86_level
    if machine.x86_level is not None and machine.x86_level < needed:
        what = f"profile {host.spec.profile} needs a processor of x86-64-v{needed}"
        what += f", and {_owner(host, _LEVEL)} has one of x86-64-v{machine.x86_level}"
        faults.append(_refusal(host, _LEVEL, what, "correct 'machine: {x86_level: ...}'"))
    least = release.memory
    if machine.memory is not None and machine.memory < least:
        what = f"the installer of {release.title} gives up below {least} MiB of memory"
        what += f", and {_owner(host, _MEMORY)} has {machine.memory} MiB"
        faults.append(_refusal(host, _MEMORY, what, "correct 'machine: {memory: ...}'"))


def _refusal(host: ResolvedHost, path: Path, what: str, otherwise: str) -> Fault:
    model = _model(host, path)
    by = f" (assign may test {class_name('hw', model)})" if model else ""
    hint = f"choose another profile than {host.spec.profile}{by}, or {otherwise}"
    return Fault(_place(host, path), "BF033", what, hint)


def _model(host: ResolvedHost, path: Path) -> str | None:
    """The hardware that says what the machine is; None when another layer says it."""
    layer = host.merged.values[path].layer
    return host.spec.hardware if layer == f"hardware {host.spec.hardware}" else None


def _owner(host: ResolvedHost, path: Path) -> str:
    model = _model(host, path)
    return f"hardware {model}" if model else "this machine"


def _place(host: ResolvedHost, path: Path) -> Path:
    """The more particular of the two that do not fit: the line that chose the profile, or the one that says what the
    machine is; the profile's among equals, because a machine is what it is."""
    cause: Path = ("hardware",) if _model(host, path) else path
    return cause if _strength(host, cause) > _strength(host, ("profile",)) else ("profile",)


def _strength(host: ResolvedHost, path: Path) -> int:
    word, _, _ = host.merged.values[path].layer.partition(" ")
    return {"host": 2, "assign": 1, "rule": 1, "role": 1}.get(word, 0)
