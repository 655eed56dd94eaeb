"""Virtual machines: what dom0 needs to know about a guest."""

from __future__ import annotations

from bootforge.model import DomainDisk, DomainPlan, Nic
from bootforge.plan.faults import Fault
from bootforge.releases import RELEASES
from bootforge.resolve import ResolvedHost


def plan_domain(host: ResolvedHost, nics: tuple[Nic, ...], faults: list[Fault]) -> DomainPlan | None:
    """The guest's definition; None on bare metal."""
    if host.spec.virt == "metal":
        return None
    vm = host.spec.vm
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
        type=RELEASES[host.release].xen_type,
        uuid=vm.uuid,
        memory=vm.memory,
        vcpus=vm.vcpus,
        uefi=host.spec.machine.firmware == "uefi",
        disks=tuple(DomainDisk(name, disk.backing) for name, disk in sorted(vm.disks.items())),
    )
