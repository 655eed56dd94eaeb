"""arrays.yaml: the storage arrays of a site by name, and what is wrong with them before any host is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import Field, RootModel

from bootforge.errors import Problem, did_you_mean
from bootforge.model import Origin, Path, dotted
from bootforge.model_storage import Portal
from bootforge.site.kinds import Model, Struct, kind_of_model
from bootforge.site.layer import Merged, flatten, merge, no_weaker
from bootforge.site.scalars import AsSet, Count, Name
from bootforge.site.scalars_network import PortalText
from bootforge.site.scalars_storage import Fabric, Percent, Product, Vendor
from bootforge.site.schema_network import NetworkSpec
from bootforge.site.tree import Bad, Map, Node
from bootforge.site.values import typed

FILE = "arrays.yaml"


class FabricSpec(Model):
    """One of the separate networks over which an array is reached."""

    network: Name = Field(description="The network of the fabric.")
    portals: Annotated[tuple[PortalText, ...], *AsSet] = Field(
        description="The array's portals on it, as ADDRESS or ADDRESS:PORT."
    )


class InquirySpec(Model):
    """What the array's disks answer when asked who they are, as 'lsscsi' shows it."""

    vendor: Vendor = Field(description="The vendor, as in EQLOGIC.")
    product: Product = Field(description="The product, as in 100E-00.")


class PoolSpec(Model):
    """A pool of an array, and what the connection budget (plan/budget.py) holds its hosts to."""

    sessions: Count = Field(description="How many iSCSI sessions the pool bears.")
    reserved: Count = Field(0, description="How many of them are kept for others.")
    warn: Percent = Field(80, description="The share in use from which 'check' warns, as in 80%.")


class ArraySpec(Model):
    """A storage array: one subnet with 'portals', or separate networks with 'fabrics'."""

    portals: Annotated[tuple[PortalText, ...], *AsSet] = Field(
        (),
        description="Its portals, as ADDRESS or ADDRESS:PORT, in one network; an EqualLogic has one, the group's.",
    )
    fabrics: dict[Fabric, FabricSpec] = Field({}, description="Its fabrics by name, when it has separate networks.")
    device: InquirySpec = Field(description="What its disks answer; applied by the bootstrap's multipath step.")
    sessions: Count | None = Field(
        None, description="How many sessions the array bears over all pools, as an EqualLogic group does."
    )
    members: Count = Field(
        1,
        description="How many members a host logs in to on each way, where tools of the array's maker do that; "
        "open-iscsi logs in to one.",
    )
    pools: dict[Name, PoolSpec] = Field({}, description="Its pools by name.")


class ArraysFile(RootModel[dict[Name, ArraySpec]]):
    """arrays.yaml: a map of arrays."""


ARRAY = kind_of_model(ArraySpec)
_Finding = tuple[Path, str, str]
"""Where, what, and what to do about it."""


def read_arrays(node: Node | None, problems: list[Problem]) -> tuple[Mapping[str, ArraySpec], Merged]:
    """The arrays of a file's tree, and where everything about them is written. Without a suffix: a file of its own
    has no weaker layer."""
    if node is None:
        return {}, Merged()
    if not isinstance(node, Map):
        if not isinstance(node, Bad):
            problems.append(
                Problem(node.origin, "BF013", f"{FILE} must be a map of arrays", "write 'NAME: {...}' lines")
            )
        return {}, Merged()
    names = Struct({entry.key: ARRAY for entry in node.entries})
    layer = flatten(node, names, FILE, node.origin, problems)
    problems += [no_weaker(operator.origin) for operator in (*layer.replaces.values(), *layer.removes.values())]
    merged = merge(Merged(), [layer])
    found = typed(ArraysFile, merged, node.origin, problems)
    return (dict(sorted(found.root.items())) if found else {}), merged


def array_problems(
    arrays: Mapping[str, ArraySpec], origins: Merged, networks: Mapping[str, NetworkSpec], *, whole: bool
) -> Iterator[Problem]:
    """What is wrong with arrays by themselves, among each other, and with the networks that they are on. ``whole``:
    nothing else is wrong with the file, so that what is missing was forgotten."""
    for path, message, hint in (*_shapes(arrays, whole), *_places(arrays, networks), *_pools(arrays), *_twice(arrays)):
        if path not in origins.values:  # a portal without its port, which nobody has to write
            path = (*path[:-1], path[-1].removesuffix(":3260"))
        yield Problem(origins.origin(path, Origin(FILE)), "BF095", message, hint)


def _portals(array: ArraySpec, name: str) -> Iterator[tuple[Path, Portal]]:
    """Every portal with its path, as if it had been written with its port."""
    for portal in array.portals:
        yield (name, "portals", str(portal)), portal
    for fabric, spec in array.fabrics.items():
        for portal in spec.portals:
            yield (name, "fabrics", fabric, "portals", str(portal)), portal


def _shapes(arrays: Mapping[str, ArraySpec], whole: bool) -> Iterator[_Finding]:
    for name, array in arrays.items():
        if bool(array.portals) == bool(array.fabrics):
            what = "both 'portals' and 'fabrics'" if array.portals else "neither 'portals' nor 'fabrics'"
            hint = "write 'portals' for one subnet, 'fabrics' for separate networks"
            if array.portals or whole:
                yield (name,), f"array {name} has {what}", hint
        elif len(array.fabrics) == 1:
            hint = "write 'portals:' for an array on one network, or its other fabric"
            yield (name, "fabrics"), f"array {name} has one fabric", hint


def _places(arrays: Mapping[str, ArraySpec], networks: Mapping[str, NetworkSpec]) -> Iterator[_Finding]:
    """Portals that are where nobody can reach them, or where another machine may be."""
    for name, array in arrays.items():
        around = {
            at: [net for net, spec in networks.items() if spec.subnet and at.address in spec.subnet]
            for at in array.portals
        }
        for portal, there in around.items():
            if not there:
                hint = "declare its network under 'networks:' in site.yaml, or correct the address"
                yield (name, "portals", str(portal)), f"{portal.address} is in no network of the site", hint
        if all(around.values()) and around and not set.intersection(*map(set, around.values())):
            firsts = sorted({there[0] for there in around.values()})
            what = f"the portals of {name} are in several networks: {', '.join(firsts)}"
            yield (name, "portals"), what, "write them under 'fabrics:', each with its network"
        used: dict[str, str] = {}
        for fabric, spec in array.fabrics.items():
            at = (name, "fabrics", fabric)
            first = used.setdefault(spec.network, fabric)
            if spec.network not in networks:
                hint = did_you_mean(spec.network, networks) or "declare it under 'networks:' in site.yaml"
                yield (*at, "network"), f"no network '{spec.network}'", hint
            elif first != fabric:
                what = f"fabrics {first} and {fabric} of {name} are both on {spec.network}"
                yield (*at, "network"), what, "fabrics are separate networks; write 'portals:' for one"
            for portal in spec.portals if spec.network in networks else ():
                subnet = networks[spec.network].subnet
                if subnet is None or portal.address not in subnet:
                    what, hint = f"{portal.address} is not in {subnet}", f"that is {spec.network}'s subnet"
                    yield (*at, "portals", str(portal)), what, hint
            around |= {portal: [spec.network] for portal in spec.portals if spec.network in networks}
        for path, portal in _portals(array, name):
            for network in (networks[net] for net in around.get(portal, ())[:1]):
                if portal.address == network.gateway:
                    yield path, f"{portal.address} is the gateway of its network", "correct one of them"
                elif network.range and network.range.first <= portal.address <= network.range.last:
                    what = f"{portal.address} is in the range {network.range.first}-{network.range.last} of its network"
                    yield path, what, "DHCP gives those to unknown machines; change the range"


def _pools(arrays: Mapping[str, ArraySpec]) -> Iterator[_Finding]:
    for name, array in arrays.items():
        for pool, spec in array.pools.items():
            at = (name, "pools", pool)
            if spec.reserved >= spec.sessions:
                what = f"pool {pool} keeps {spec.reserved} of {spec.sessions} sessions for others: none is left"
                yield (*at, "reserved"), what, "correct one of the numbers"
            if array.sessions and spec.sessions > array.sessions:
                what = f"pool {pool} bears {spec.sessions} sessions, but all of {name} only {array.sessions}"
                yield (*at, "sessions"), what, "correct one of the numbers"


def _twice(arrays: Mapping[str, ArraySpec]) -> Iterator[_Finding]:
    """Portals that lead to two arrays, or that stand twice, with and without their port."""
    owners: dict[Portal, str] = {}
    for name, array in arrays.items():
        for path, portal in _portals(array, name):
            if portal in owners:
                yield path, f"portal {portal} is {owners[portal]}'s already", "a portal leads to one array; keep one"
            owners[portal] = dotted(path[:-2])
