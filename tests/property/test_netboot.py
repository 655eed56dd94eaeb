"""However a host is installed, its netboot scripts say to the kernel what the plan says, and the grant's URL is where
it has to be: once in a script, and in the kickstart exactly where the script's arguments have it not."""

from __future__ import annotations

import gzip
import tempfile
from pathlib import Path

from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from bootforge.serve.cpio import archive
from tests.sites import DB, base, generation_with
from tests.unit.test_netboot import grub_args, ipxe_args, pxelinux_args

SERIAL = "  serial: 0911QAZ4711\n"
PROFILES = ("centos5", "centos6", "centos7", "rocky8", "rocky9", "rocky10", "fedora46")
WORDS = st.from_regex(r"[a-z][a-z0-9._-]{0,12}(=[A-Za-z0-9&()\[\]*/:.,-]{1,12})?", fullmatch=True)


@settings(max_examples=40, deadline=None, phases=(Phase.explicit, Phase.reuse, Phase.generate))
@given(
    profile=st.sampled_from(PROFILES),
    kickstart=st.sampled_from(("url", "initrd")),
    words=st.lists(WORDS.filter(lambda word: not word.startswith("console=")), max_size=4, unique=True),
    driver=st.booleans(),
    console=st.booleans(),
)
def test_every_script_says_what_the_plan_says(
    profile: str, kickstart: str, words: list[str], driver: bool, console: bool
) -> None:
    quoted = ", ".join(f'"{word}"' for word in words)
    lines = f"  profile: {profile}\n  install: {{kickstart: {kickstart}, args: [{quoted}]}}\n"
    lines += "  driver_disks: [http://10.2.0.5/dd.iso]\n" * driver + "  console: ttyS0\n" * console
    hosts = base("hosts/den.yaml", ("10.2.0.31", "10.2.0.31, device: eth0"), (SERIAL, SERIAL + lines))
    with tempfile.TemporaryDirectory(prefix="bf-netboot-") as root:
        generation = generation_with(Path(root), {"hosts/den.yaml": hosts})
    plan, made = generation.plan(DB), generation.artifacts(DB)
    planned = [one.name if one.value is None else f"{one.name}={one.value}" for one in plan.boot.args]
    assert planned[len(planned) - len(words) :] == words
    assert ipxe_args(made["ipxe"].text) == planned
    assert ("grub" in made) == ("pxelinux" in made) == (kickstart == "url")
    if "grub" in made:
        assert grub_args(made["grub"].text) == pxelinux_args(made["pxelinux"].text) == planned
    uses = {name: [use.slot.source for use in one.slots].count("grant.url") for name, one in made.items()}
    assert uses == {name: 0 for name in made} | {"kickstart": 4 * (kickstart == "initrd")} | {
        name: 1 for name in ("ipxe", "grub", "pxelinux") if name in made
    }


@given(name=st.from_regex(r"[a-z.]{1,20}", fullmatch=True), content=st.binary(max_size=5000))
def test_an_archive_holds_the_file_and_an_end(name: str, content: bytes) -> None:
    """Read by the fields of cpio(5): eight hex digits each, name and content padded to four bytes."""
    packed = gzip.decompress(archive(name, content))
    found, at = [], 0
    while at < len(packed):
        assert packed[at : at + 6] == b"070701"
        mode, size, length = (int(packed[at + start : at + start + 8], 16) for start in (14, 54, 94))
        begin = -(-(at + 110 + length) // 4) * 4
        found.append((packed[at + 110 : at + 109 + length].decode(), mode, packed[begin : begin + size]))
        at = -(-(begin + size) // 4) * 4
    assert found == [(name, 0o100600, content), ("TRAILER!!!", 0, b"")]
