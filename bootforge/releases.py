"""What each release can do, as rows of capabilities. Nothing outside this module compares releases.

Sources: pykickstart's handlers, anaconda's branches, the releases' own packages (facts are cited per field).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Release:
    """Capabilities of one release.

    ``handler``: pykickstart's name for its grammar. ``xen_type``: the guest type its stock kernel runs as;
    EL8 and later are built without CONFIG_XEN_PV and CONFIG_XEN_PVH, so only ``hvm`` boots.
    ``hash_schemes``: the crypt(5) prefixes that its libcrypt verifies.
    """

    name: str
    title: str
    handler: str
    xen_type: str
    hash_schemes: tuple[str, ...]


RELEASES = {
    release.name: release
    for release in (
        Release(
            name="el9",
            title="Enterprise Linux 9",
            handler="RHEL9",
            xen_type="hvm",
            hash_schemes=("$6$", "$5$", "$y$", "$2b$"),
        ),
    )
}
