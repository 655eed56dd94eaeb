"""Xen guests: xl.cfg(5), written by a small serialiser."""

from __future__ import annotations

from bootforge.errors import RenderError
from bootforge.model import Artifact, DomainPlan, Plan
from bootforge.render.slots import make_artifact

Value = str | int | list[str]


def render_xl(plan: Plan, domain: DomainPlan) -> Artifact:
    """The guest's definition. The boot order is network first: the server decides at every boot whether an
    armed guest installs or boots its disk, so one definition serves both."""
    settings: dict[str, Value] = {"name": domain.name, "type": domain.type}
    if domain.uefi:
        settings["firmware"] = "uefi"
    if domain.uuid:
        settings["uuid"] = domain.uuid
    settings |= {
        "memory": domain.memory,
        "vcpus": domain.vcpus,
        "vif": [f"mac={nic.mac},bridge={nic.network.bridge}" for nic in plan.nics if nic.mac and nic.network],
        "disk": [f"format=raw,vdev={disk.vdev},access=rw,target={disk.backing}" for disk in domain.disks],
        "boot": "nc",
        "serial": "pty",
        "on_poweroff": "destroy",
        "on_reboot": "restart",
        "on_crash": "restart",
    }
    lines = [f"# {domain.name}: rendered by Bootforge; changes are lost."]
    lines += [f"{key} = {_xl(value)}" for key, value in settings.items()]
    return make_artifact("xl", "text/plain; charset=utf-8", "\n".join(lines) + "\n")


def _xl(value: Value) -> str:
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        if not value.isprintable() or '"' in value or "\\" in value:
            raise RenderError(f"{value!r} cannot be a string of xl.cfg")
        return f'"{value}"'
    return "[ " + ", ".join(map(_xl, value)) + " ]"
