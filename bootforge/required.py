"""Packages that follow from what a host is given, each told at the line that it follows from, as if it stood there.
What the site says itself counts more: a package that it takes away stays away, and the plan says what lacks it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootforge.model import Assertion, Origin, Path
from bootforge.releases import RELEASES
from bootforge.site.layer import Merged

LAYER = "needed by volumes"


def with_required(merged: Merged, release: str) -> Merged:
    """The merged text with the packages that its volumes need."""
    values, trails = dict(merged.values), dict(merged.trails)
    for name, origin in required(merged, release):
        path = ("packages", name)
        if path in values or path in trails or any((key, name) in values for key in _AGAINST):
            continue
        said = Assertion(name, "set", origin, LAYER)
        values[path], trails[path] = said, (said,)
    return replace(merged, values=values, trails=trails) if len(values) > len(merged.values) else merged


_AGAINST = ("absent_packages", "exclude_packages")


def required(merged: Merged, release: str) -> Iterator[tuple[str, Origin]]:
    """Names of packages, and the first line that needs each. They are the same from EL5 to EL10."""
    values = merged.values
    volumes = sorted({path[1] for path in values if path[0] == "volumes" and len(path) > 2})
    if not volumes:
        return
    first = values[min(path for path in values if path[:2] == ("volumes", volumes[0]) and len(path) > 2)].origin
    yield "iscsi-initiator-utils", first
    policy = values.get(("path_policy",))
    if policy is None or policy.value == "multipath":
        yield "device-mapper-multipath", policy.origin if policy else first
    groups = [values[path].origin for name in volumes if (path := ("volumes", name, "vg")) in values]
    if groups:
        yield "lvm2", groups[0]
    for name in volumes:
        made, mount = (values.get(("volumes", name, key)) for key in ("fs", "mount"))
        decides = made or mount
        if decides and (made.value if made else RELEASES[release].fstype) == "xfs":
            yield "xfsprogs", decides.origin
            return


def lacking(merged: Merged, release: str) -> Iterator[tuple[str, Path]]:
    """Packages that are needed and that the site keeps away, each with the path that does."""
    for name, _ in required(merged, release):
        against = [(key, name) for key in _AGAINST if (key, name) in merged.values]
        if against or ("packages", name) not in merged.values:
            yield name, against[0] if against else ("packages", name)
