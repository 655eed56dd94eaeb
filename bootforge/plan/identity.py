"""Identities that outlive names: what ``bootforge lock`` adds to lock.yaml, and the file's text.

A value is derived, not drawn by chance: from the host's id, what it is for, and a counter that goes on while another
host has the value. So the same site gives the same identities, and what is written is never drawn again.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from uuid import UUID

from bootforge.addr import parse_mac
from bootforge.errors import Problem, SiteError
from bootforge.model import Path, dotted
from bootforge.plan.fleet import Owned, Shared, shared
from bootforge.resolve import ResolvedHost
from bootforge.site.load import Site

Additions = Mapping[str, Mapping[Path, str]]
"""By host: what lock.yaml lacks."""

_HEADER = """\
# Identities that outlive names, written by 'bootforge lock'. Keep this file with the site. A renamed host keeps its
# identity when its key is renamed here too. Comments below are not kept.
"""
_LONGEST_DOMAIN = 223 - len("iqn.2026-11.") - len(":0123456789abcdef")


def missing(host: ResolvedHost) -> Iterator[Path]:
    """What a host needs and lacks: an id, an initiator; a guest also MAC addresses and a UUID. The id is first, because
    the others come from it. A retired host needs nothing any more."""
    spec = host.spec
    if spec.state == "retired":
        return
    if spec.id is None:
        yield ("id",)
    if spec.initiator is None:
        yield ("initiator",)
    if spec.virt == "metal":
        return
    for name, nic in sorted(spec.nics.items()):
        if nic.mac is None and nic.kind == "physical":
            yield ("nics", name, "mac")
    if spec.vm.uuid is None:
        yield ("vm", "uuid")


def additions(site: Site, hosts: Mapping[str, ResolvedHost], chosen: Iterable[str]) -> Additions:
    """What the chosen hosts lack, unique over the whole fleet and lock.yaml. Raises SiteError where lock.yaml says a
    value that a stronger line takes away."""
    taken = {value for host in hosts.values() for _, _, _, value in owned(host)}
    taken |= {_canonical(path, str(said.value)) for lock in site.locks.values() for path, said in lock.says.items()}
    found: dict[str, dict[Path, str]] = {}
    problems = []
    for name in sorted(chosen):
        host, lock = hosts[name], site.locks.get(name)
        identity = host.spec.id or ""
        for path in missing(host):
            if lock and path in lock.says:
                hint = "write the value at the host, or take the suffix from the key there"
                by = host.trails[path][-1].origin if path in host.trails else host.origin
                what = f"{dotted(path)} of lock.yaml does not reach the host"
                problems.append(Problem(by, "BF083", what, hint, name))
                continue
            value = _draw(identity or name, path, _maker(site, host, path, identity), taken)
            identity = value if path == ("id",) else identity
            found.setdefault(name, {})[path] = value
    if problems:
        raise SiteError(problems)
    return found


def owned(host: ResolvedHost) -> Iterator[Owned]:
    """Every identity that a host has."""
    spec, name = host.spec, host.name.text
    if spec.id:
        yield name, ("id",), "id", spec.id
    if spec.initiator:
        yield name, ("initiator",), "initiator", spec.initiator
    if spec.vm.uuid:
        yield name, ("vm", "uuid"), "UUID", spec.vm.uuid
    for nic, one in spec.nics.items():
        if one.mac:
            yield name, ("nics", nic, "mac"), "MAC", one.mac.text


def clashes(hosts: Iterable[ResolvedHost]) -> Iterator[Shared]:
    """Identities that two hosts have already; a retired host's MAC addresses may be another's."""
    return shared(
        one for host in hosts for one in owned(host) if host.spec.state != "retired" or one[2] in ("id", "initiator")
    )


def _canonical(path: Path, text: str) -> str:
    return parse_mac(text).text if path[-1] == "mac" else text.lower()


def _draw(key: str, path: Path, make: Callable[[bytes], str], taken: set[str]) -> str:
    for counter in count():
        message = f"{dotted(path)}\0{counter}".encode()
        value = make(hmac.new(key.encode(), message, hashlib.sha256).digest())
        if value not in taken:
            taken.add(value)
            return value
    raise AssertionError("count() does not end")


def _maker(site: Site, host: ResolvedHost, path: Path, identity: str) -> Callable[[bytes], str]:
    """How a digest becomes the value at a path."""
    match path[-1]:
        case "mac":
            kvm = host.spec.virt == "kvm"
            prefix, mask = (site.macs.kvm, 0xFF) if kvm else (site.macs.xen, 0x7F)  # 0x7F: as libxl_nic.c draws them
            return lambda digest: f"{prefix}:{digest[0] & mask:02x}:{digest[1]:02x}:{digest[2]:02x}"
        case "uuid":
            return _uuid
        case "initiator":
            domain = host.name.text.partition(".")[2]
            while len(domain) > _LONGEST_DOMAIN:
                domain = domain.partition(".")[2]
            start = "iqn.2026-11." + ".".join(reversed(domain.split(".")))
            own = iter([identity])
            return lambda digest: f"{start}:{next(own, digest.hex()[:16])}"
    return lambda digest: digest.hex()[:16]


def _uuid(digest: bytes) -> str:
    """A UUID of version 8, which RFC 9562 (5.8) leaves to whoever makes it."""
    number = int.from_bytes(digest[:16], "big") & ~(0xF000 << 64) & ~(0xC000 << 48)
    return str(UUID(int=number | 0x8000 << 64 | 0x8000 << 48))


def lock_text(site: Site, added: Additions) -> str:
    """The whole of lock.yaml: what it says, as it was written, and the additions; sorted by host and key."""
    said: dict[str, dict[Path, str]] = {
        name: {path: one.value for path, one in layer.says.items() if isinstance(one.value, str)}
        for name, layer in site.locks.items()
    }
    for name, more in added.items():
        said.setdefault(name, {}).update(more)
    return _HEADER + "".join(line for name in sorted(said) for line in _entry(name, said[name]))


def _entry(name: str, said: Mapping[Path, str]) -> Iterator[str]:
    if not said:
        yield f"{name}: {{}}\n"
        return
    yield f"{name}:\n"
    yield from (f"  {key}: {said[key,]}\n" for key in ("id", "initiator") if (key,) in said)
    if uuid := said.get(("vm", "uuid")):
        yield f"  vm: {{uuid: {uuid}}}\n"
    nics = sorted(path for path in said if path[0] == "nics")
    yield from ["  nics:\n"] if nics else []
    for path in nics:
        yield f"    {path[1]}: {{mac: {said[path]}}}\n"
