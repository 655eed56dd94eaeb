"""The graph of a host's nics: physical <- bond <- vlan <- bridge. What is made of what, and whether that can be."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from bootforge.errors import did_you_mean
from bootforge.model import Path
from bootforge.plan.faults import Fault
from bootforge.site.schema_network import NicSpec

_BELOW = {"bond": ("physical",), "bridge": ("physical", "bond", "vlan"), "vlan": ("physical", "bond")}
_KEYS = {
    "ports": ("bond", "bridge"),
    "options": ("bond", "bridge"),
    "parent": ("vlan",),
    "vlan": ("vlan",),
    "ethtool": ("physical",),
    "mac": ("physical", "bmc"),
    "boot": ("physical",),
    "install": ("physical", "bond", "vlan", "bridge"),
    "default_route": ("physical", "bond", "vlan", "bridge"),
    "iscsi": ("physical", "bond", "vlan", "bridge"),
    "routes": ("physical", "bond", "vlan", "bridge"),
}
BOND_MODES = ("balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb")
# fmt: off
_OPTIONS = {
    "bond": frozenset((
        "active_slave", "ad_actor_sys_prio", "ad_actor_system", "ad_select", "ad_user_port_key", "all_slaves_active",
        "arp_all_targets", "arp_interval", "arp_ip_target", "arp_validate", "downdelay", "fail_over_mac", "lacp_active",
        "lacp_rate", "lp_interval", "miimon", "min_links", "mode", "num_grat_arp", "num_unsol_na", "packets_per_slave",
        "peer_notif_delay", "primary", "primary_reselect", "resend_igmp", "tlb_dynamic_lb", "updelay", "use_carrier",
        "xmit_hash_policy",
    )),
    "bridge": frozenset((
        "ageing-time", "forward-delay", "hello-time", "max-age", "multicast-snooping", "priority", "stp",
    )),
}
# fmt: on
"""Options by kind: bonding.rst of the kernel (Documentation/networking), and what nm-settings(5) takes of a bridge."""

DEFAULT_OPTIONS = {"bond": {"mode": "active-backup", "miimon": "100"}, "bridge": {"stp": "no"}}
"""A bond that survives a pulled cable with any switch. A bridge without STP forwards at once: with it a guest's boot
firmware has given up before the ports forward (forward delay of 15 s, twice)."""

Nics = Mapping[str, NicSpec]


def check_stack(nics: Nics) -> list[Fault]:
    """Everything that is wrong with what nics are made of."""
    faults = [fault for name, spec in nics.items() for fault in (*_keys(name, spec), *_parts(nics, name, spec))]
    owner: dict[str, str] = {}
    for name, spec in sorted(nics.items()):
        for port in spec.ports:
            if (first := owner.setdefault(port, name)) != name:
                faults.append(_fault(name, ("ports", port), f"{port} is a port of {first} already", "choose another"))
    if not faults:
        faults += [
            _fault(name, ("parent",), f"{spec.parent} is a port of {owner[spec.parent]}", f"tag {owner[spec.parent]}")
            for name, spec in nics.items()
            if spec.parent in owner and spec.parent
        ]
    return faults


def masters(nics: Nics) -> dict[str, str]:
    """The bond or bridge that each port is part of."""
    return {port: name for name, spec in nics.items() for port in spec.ports}


def parts_of(spec: NicSpec) -> tuple[str, ...]:
    """The nics that one is directly made of."""
    return (spec.parent,) if spec.parent else spec.ports


def all_below(nics: Nics, name: str) -> list[str]:
    """Every nic that one is made of. There is no circle: a kind is made of lower kinds only (``check_stack``)."""
    return [one for part in parts_of(nics[name]) for one in (part, *all_below(nics, part))]


def physical_below(nics: Nics, name: str) -> list[str]:
    """The physical nics that a nic is made of, itself included, sorted."""
    return sorted(one for one in (name, *all_below(nics, name)) if not parts_of(nics[one]))


def is_bond_mode(word: str) -> bool:
    """Whether the kernel's bonding driver has such a mode, by name or number."""
    return word in BOND_MODES or re.fullmatch("[0-6]", word) is not None


def _fault(name: str, at: Path, message: str, hint: str) -> Fault:
    return Fault(("nics", name, *at), "BF049", message, hint)


def _keys(name: str, spec: NicSpec) -> Iterator[Fault]:
    """Keys that mean nothing for the kind, and those that it needs."""
    for key, kinds in _KEYS.items():
        if spec.kind not in kinds and key in spec.model_fields_set and getattr(spec, key):
            yield _fault(name, (key,), f"a {spec.kind} nic has no '{key}'", f"'{key}' is for: {', '.join(kinds)}")
    if spec.kind in ("bond", "bridge") and not spec.ports:
        yield _fault(name, (), f"{spec.kind} {name} has no ports", "write 'ports: [NIC, NIC]'")
    if spec.kind == "vlan" and spec.parent is None:
        yield _fault(name, (), f"vlan {name} has no parent", "write 'parent: NIC'")
    known = _OPTIONS.get(spec.kind, frozenset())
    for option in spec.options if known else ():
        if option not in known:
            hint = did_you_mean(option, known) or f"known: {', '.join(sorted(known))}"
            yield _fault(name, ("options", option), f"no option '{option}' of a {spec.kind}", hint)
    mode = spec.options.get("mode", "active-backup")
    if spec.kind == "bond" and not is_bond_mode(mode):
        hint = did_you_mean(mode, BOND_MODES) or f"one of: {', '.join(BOND_MODES)}"
        yield _fault(name, ("options", "mode"), f"no mode '{mode}' of a bond", hint)
    primary = spec.options.get("primary")
    if spec.kind == "bond" and primary and primary not in spec.ports:
        hint = f"name a port of the bond: {', '.join(spec.ports)}"
        yield _fault(name, ("options", "primary"), f"{primary} is no port of {name}", hint)


def _parts(nics: Nics, name: str, spec: NicSpec) -> Iterator[Fault]:
    """What a nic is made of exists, is of a kind that fits, and has no address of its own when it is a port."""
    parts = [(("ports", port), port) for port in spec.ports] + ([(("parent",), spec.parent)] if spec.parent else [])
    fits = _BELOW.get(spec.kind, ())
    for at, part in parts if fits else ():
        if part == name:
            yield _fault(name, at, f"{name} cannot be made of itself", "name another nic")
        elif part not in nics:
            yield _fault(name, at, f"no nic '{part}'", did_you_mean(part, nics) or "declare it under 'nics:'")
        elif nics[part].kind not in fits:
            what = f"a {spec.kind} cannot be made of {part}, which is a {nics[part].kind} nic"
            yield _fault(name, at, what, f"name one of kind: {', '.join(fits)}")
        elif at[0] == "ports":
            for key in ("address", "address6"):
                given = getattr(nics[part], key)
                if given and given.method != "none":
                    what = f"{part} is a port of {name} and cannot have an address"
                    yield Fault(("nics", part, key), "BF049", what, f"give it to {name}")
