"""What phase install leaves of a host's storage network, for each release, byte for byte; docs/storage.md has every
line of it and where it comes from. ``pytest tests/golden --update-golden`` writes the files anew."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from bootforge.model_steps import Step
from tests.golden.test_golden import read_tree
from tests.shell.test_san import EQL, ETH, EXT4, KINDS, equallogic
from tests.shell.test_services import CHKCONFIG, SERVICE
from tests.shell.world import World, machine_shell, script_of
from tests.sites import san_with
from tests.support import ROOT

FILES = Path(__file__).parent / "storage"
SOURCES = ("manual", "default", "source", "measured", "facts", "site", "ours")
PROFILES = {"el5": "centos5", "el6": "centos6", "el7": "centos7", "el8": "rocky8", "el9": "rocky9", "el10": "rocky10"}
BY_NAME = (
    ("lan: {mac", "lan: {device: eth0, mac"),
    ("san0: {network", "san0: {device: eth1, network"),
    ("san1: {network", "san1: {device: eth2, network"),
    *(("a: {network", "a: {device: eth1, network"), ("b: {network", "b: {device: eth2, network")),
)


def steps_of(root: Path, release: str) -> tuple[Step, ...]:
    profile = ("db02.prod.den.example.com:\n", f"db02.prod.den.example.com:\n  profile: {PROFILES[release]}\n")
    generation = san_with(
        root,
        profile,
        EXT4 if release != "el5" else ("mount: /srv/orders", "fs: ext3, mount: /srv/orders"),
        ETH,
        *BY_NAME,
    )
    kinds = (*KINDS, "sysctl")
    return tuple(step for step in generation.plan(EQL).steps if step.id.partition(":")[0] in kinds)


def made(tmp_path: Path, release: str) -> dict[str, bytes]:
    """The files of the host after phase install, but those that were there before and did not change."""
    world = equallogic(World(tmp_path / "w"))
    before = read_tree(world.root)
    if release in ("el5", "el6"):
        world.tool("chkconfig", CHKCONFIG)
        world.tool("service", SERVICE)
        (world.fake / "levels").mkdir()
        for name in ("iscsid", "iscsi", "netfs", "multipathd"):
            world.write(f"etc/init.d/{name}", "", 0o755)
            before[f"etc/init.d/{name}"] = b""
    if release not in ("el9", "el10"):
        (world.bin / "lvmdevices").unlink()
    script = tmp_path / "s"
    script.write_text(script_of(steps_of(tmp_path, release), release))
    ran = world.run(machine_shell("dash"), script, "--phase", "install")
    assert ran.status == 0, ran
    ours = ("var/lib/bootforge/", "etc/bootforge/")
    after = {name: text for name, text in read_tree(world.root).items() if not name.startswith(ours)}
    links = {name for name in after if (world.root / name).is_symlink()}
    return {name: text for name, text in after.items() if before.get(name) != text and name not in links}


@pytest.mark.parametrize("release", PROFILES)
def test_files_of_storage(release: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    files = made(tmp_path, release)
    if request.config.getoption("--update-golden"):
        shutil.rmtree(FILES / release, ignore_errors=True)
        for name, content in files.items():
            path = FILES / release / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    assert {name: text.decode() for name, text in files.items()} == {
        name: text.decode() for name, text in read_tree(FILES / release).items()
    }


def test_every_line_is_explained() -> None:
    """The script that logs in at boot is explained as a whole."""
    text = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
    lines = {
        (release, name, line.strip())
        for release in PROFILES
        for name, content in read_tree(FILES / release).items()
        if "bootforge-san" not in name or name.endswith(".service")
        for line in content.decode().splitlines()
    }
    assert len({line for _, _, line in lines}) > 50
    missing = {one for one in lines if one[2] not in ("", "}") and f"`{one[2]}`" not in text}
    assert not missing


def test_every_explanation_has_its_source() -> None:
    """Of what stands in a file: one of the words that docs/storage.md explains at its beginning."""
    text = (ROOT / "docs" / "storage.md").read_text(encoding="utf-8")
    head, _, rest = text.partition("## Ifaces")
    said = re.findall(r"^- (`.*?)(?=^- |^\n|\Z)", rest, re.MULTILINE | re.DOTALL)
    assert len(said) > 40 and all(f"*{word}*" in head for word in SOURCES)
    assert not [one for one in said if not any(f"*{word}*" in one for word in SOURCES)]
