"""The hosts of a site and their identities: hosts/*.yaml and lock.yaml, read into layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from bootforge.errors import Problem, told
from bootforge.model import Origin
from bootforge.site.kinds import Keyed, Struct, kind_of_model
from bootforge.site.layer import Layer, Merged, flatten, no_weaker
from bootforge.site.ranges import RangeError, in_values, layers, names
from bootforge.site.scalars import parse_host
from bootforge.site.schema import HostSpec
from bootforge.site.tree import Bad, Entry, Map, Node
from bootforge.site.values import Typer

_HOST = kind_of_model(HostSpec)
_TYPER = Typer(HostSpec)


def _identity() -> Struct:
    """What lock.yaml may say about a host: a part of what the host may."""
    match _HOST.fields["nics"], _HOST.fields["vm"]:
        case Keyed(Struct(nic)), Struct(vm):
            nics = Keyed(Struct({"mac": nic["mac"]}))
            plain = {key: _HOST.fields[key] for key in ("id", "initiator")}
            return Struct({**plain, "nics": nics, "vm": Struct({"uuid": vm["uuid"]})})
    raise TypeError("nics is a map and vm a struct")


LOCK = _identity()


@dataclass(slots=True)
class Hosts:
    """Layers by host. ``ranged``: places of values that hold a range, so that what is wrong with one is said once."""

    layers: dict[str, Layer] = field(default_factory=dict)
    ranged: set[Origin] = field(default_factory=set)


def read_hosts(trees: Iterable[tuple[Node | None, str]], problems: list[Problem]) -> Hosts:
    """Every host of the files of hosts/, a range as its hosts, sorted by name."""
    hosts = Hosts()
    for node, file in trees:
        for entry in _entries(node, file, problems):
            _read_entry(entry, hosts, problems)
    hosts.layers = dict(sorted(hosts.layers.items()))
    return hosts


def _entries(node: Node | None, file: str, problems: list[Problem]) -> tuple[Entry, ...]:
    if isinstance(node, Map):
        problems += [no_weaker(entry.origin) for entry in node.entries if entry.op != "set"]
        return node.entries
    if node is not None and not isinstance(node, Bad):
        hint = "write 'NAME: {...}' lines"
        problems.append(Problem(node.origin, "BF013", f"{file} must be a map of hosts", hint))
    return ()


def _read_entry(entry: Entry, hosts: Hosts, problems: list[Problem]) -> None:
    """One line of hosts/: a host or a range of them. They share what they say, and the name of their layer."""
    try:
        found = names(entry.key)
        parse_host(found[0])
    except RangeError as error:
        problems.append(Problem(entry.at(error.at), "BF029", str(error), error.hint))
        return
    except ValueError as error:
        problems.append(Problem(entry.origin, "BF015", *told(error)))
        return
    if taken := [name for name in found if name in hosts.layers]:
        first = hosts.layers[taken[0]]
        others = len(taken) - 1
        more = f" (and {others} host{'s' if others > 1 else ''} like it)" if others else ""
        in_range = len(found) > 1 or first.name != f"host {taken[0]}"
        hint = "take it out of the range, and say what differs in a rule" if in_range else "keep one"
        message = f"host {taken[0]} stands at {first.origin} already{more}"
        problems.append(Problem(entry.at(max(entry.key.find("["), 0)), "BF005", message, hint))
        return
    if "[" not in entry.key:
        made = [flatten(entry.node, _HOST, f"host {entry.key}", entry.origin, problems)]
    else:
        known = len(problems)
        node, ranged = in_values(entry.node, _HOST, len(found), problems)
        if len(problems) > known:
            return
        layer = flatten(node, _HOST, f"host {entry.key}", entry.origin, problems)
        made = [*layers(layer, len(found), ranged)]
        hosts.ranged.update(ranged)
    hosts.layers.update(zip(found, made, strict=True))


def host_problems(layers: Mapping[str, Layer]) -> list[Problem]:
    """What is wrong with the hosts' own values; of a range, with those of its first host. A host that can be resolved
    has no such problem, so this is asked only when something is wrong."""
    problems: list[Problem] = []
    first = {layer.origin: layer for layer in reversed([*layers.values()])}
    for layer in reversed([*first.values()]):
        typed_alone(layer, problems)
    return problems


def read_locks(node: Node | None, problems: list[Problem]) -> dict[str, Layer]:
    """The identities of lock.yaml by host; also of hosts that do not exist, for a check to tell."""
    locks = {}
    for entry in _entries(node, "lock.yaml", problems):
        try:
            parse_host(entry.key)
        except ValueError as error:
            problems.append(Problem(entry.origin, "BF015", *told(error)))
            continue
        layer = flatten(entry.node, LOCK, "lock", entry.origin, problems)
        forced = [said for said in layer.says.values() if said.op == "force"]
        for said in (*layer.replaces.values(), *layer.removes.values(), *forced):
            problems.append(Problem(said.origin, "BF014", "lock.yaml has no suffixes", "drop the suffix"))
        typed_alone(layer, problems)
        locks[entry.key] = layer
    return dict(sorted(locks.items()))


def typed_alone(layer: Layer, problems: list[Problem]) -> None:
    """A layer by itself, so that a typo in a role that nobody uses is found; what it lacks, others may have."""
    _TYPER.check(Merged(layer.says, keys=layer.keys), layer.origin, problems)
