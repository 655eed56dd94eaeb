"""multipath.conf of a host: its arrays, the names of its volumes, and what is never a path; in its release's words."""

from __future__ import annotations

from bootforge.model_storage import StoragePlan
from bootforge.releases import Release

FILE = "/etc/multipath.conf"

_NEVER = "^(ram|raw|loop|fd|md|dm-|sr|scd|st|hd|xvd|vd|nvme|cciss)"
"""Devices that no array gives: memory, loops, tapes and optical drives, disks of guests, and local ones."""

_WWID = {
    "0.4.7": "/sbin/scsi_id -g -u -s /block/%n",
    "0.4.9": "/lib/udev/scsi_id --whitelisted --device=/dev/%n",
}
"""What tells the WWID, in those dialects that do not take udev's ID_SERIAL by themselves (multipath.conf.annotated)."""


def multipath_conf(plan: StoragePlan, release: Release) -> str:
    """The file, one word and its value to a line: multipath takes no block that stands in one line."""
    dialect = release.mp_dialect
    find = [] if dialect in _WWID else ["find_multipaths no"]
    never = [f"devnode {_quoted(_NEVER)}", *_block("device", *_inquiry("ATA" if dialect == "0.4.7" else ".*", ".*"))]
    if dialect == "0.8":
        never.append(f"protocol {_quoted('scsi:(ata|sas|usb)')}")
    arrays = {(_literal(array.vendor), _literal(array.product)) for array in plan.arrays}
    ours = [line for one in sorted(arrays) for line in _block("device", *_inquiry(*one))]
    lines = [
        "# Written by Bootforge; changes are lost.",
        *_block("defaults", "user_friendly_names no", *find),
        *_block("blacklist", *never),
        *(_block("blacklist_exceptions", *ours) if dialect != "0.4.7" else ()),
        *_block("devices", *(line for one in sorted(arrays) for line in _device(*one, release))),
    ]
    named = sorted((volume.wwid, volume.name) for volume in plan.volumes if volume.wwid)
    maps = [line for wwid, name in named for line in _block("multipath", f"wwid {wwid}", f"alias {name}")]
    lines += _block("multipaths", *maps) if maps else []
    return "\n".join(lines) + "\n"


def _device(vendor: str, product: str, release: Release) -> list[str]:
    """How the paths to an array's disks are used: what the release's own table says of it, and that writes wait for a
    while when no path is left. An EqualLogic stands in that of multipath-tools 0.13 only (libmultipath/hwtable.c:
    multibus, no_path_retry 30), so all is said of it."""
    old = _WWID.get(release.mp_dialect)
    said = [f"getuid_callout {_quoted(old)}"] if old else []
    if vendor == "EQLOGIC":
        said += ["path_grouping_policy multibus", 'path_selector "round-robin 0"', "path_checker tur"]
        said += ["prio const"] if release.mp_dialect != "0.4.7" else []
        said.append(f"{'rr_min_io' if old else 'rr_min_io_rq'} 10")
    return _block("device", *_inquiry(vendor, product), *said, "failback immediate", "no_path_retry 30")


def _inquiry(vendor: str, product: str) -> tuple[str, str]:
    return f"vendor {_quoted(vendor)}", f"product {_quoted(product)}"


def _block(word: str, *lines: str) -> list[str]:
    return [f"{word} {{", *(f"    {line}" for line in lines), "}"]


def _literal(text: str) -> str:
    """A regular expression that finds the text: letters, digits, blanks and . _ / - (site/scalars_storage.py)."""
    return text.replace(".", "[.]")


def _quoted(text: str) -> str:
    return f'"{text}"'
