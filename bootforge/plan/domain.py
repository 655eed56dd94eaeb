"""Virtual machines: what dom0 needs to know about a guest."""

from __future__ import annotations

from bootforge.model import DomainDisk, DomainPlan, Nic
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost


def plan_domain(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> DomainPlan | None:
    """The guest's definition; None on bare metal. What its parent must have is for placement.py to say."""
    spec, release = host.spec, RELEASES[host.release]
    if spec.virt == "metal":
        for key, said in (("on", spec.on), ("candidates", spec.candidates)):
            if said:
                hint = f"set 'virt: xen' under 'assign:', or remove '{key}:'"
                faults.append(Fault((key,), "BF098", f"'{key}' is for guests, and this is metal", hint))
        return None
    vm, needed = spec.vm, release.memory
    if vm.memory < needed and not {"nomemcheck", "inst.nomemcheck"} & {*spec.install.args}:
        what = f"{release.title}'s installer refuses {vm.memory} MiB of memory"
        hint = f"give it {needed} MiB or more: the installer keeps its image in memory"
        faults.append(Fault(("vm", "memory"), "BF048", what, hint))
    if not vm.disks:
        hint = "write 'vm: {disks: {xvda: {backing: /dev/...}}}'"
        faults.append(Fault((), "BF048", "a guest needs a disk", hint))
    for name, disk in vm.disks.items():
        if not disk.backing.startswith("/dev/") or "," in disk.backing:
            path = ("vm", "disks", name, "backing")
            faults.append(
                Fault(path, "BF048", f"{disk.backing!r} is not a block device", "write it as in /dev/vg0/web01")
            )
    for nic in nics:
        if nic.kind == "physical" and nic.network and not nic.network.bridge:
            hint = "write 'bridge:' at the network in site.yaml"
            what = f"network {nic.network.name} has no bridge for a guest"
            faults.append(Fault(("nics", nic.name, "network"), "BF048", what, hint))
        elif nic.kind == "physical" and nic.network is None:
            what = f"nic {nic.name} is on no network, so no bridge of dom0 is known for it"
            faults.append(Fault(("nics", nic.name), "BF048", what, "write 'network:': the one of its untagged frames"))
    return DomainPlan(
        name=host.name.text,
        type=release.xen_type,
        uuid=vm.uuid,
        memory=vm.memory,
        vcpus=vm.vcpus,
        uefi=host.spec.machine.firmware == "uefi",
        disks=tuple(DomainDisk(name, disk.backing) for name, disk in sorted(vm.disks.items())),
        on=spec.on.text if spec.on else None,
        candidates=tuple(parent.text for parent in spec.candidates),
        autostart=vm.autostart,
    )
