"""Site in, tree out: every artifact of the example site, byte for byte as it was when somebody last read it.

``pytest tests/golden --update-golden`` writes the tree anew; 'git diff tests/golden' is then what a reviewer reads.
"""

from __future__ import annotations

import shutil
import subprocess
from difflib import ndiff
from pathlib import Path

import pytest

from bootforge.cli.artifacts import write_all
from bootforge.generation import Generation, build_generation
from tests.support import SMALL

TREE = Path(__file__).parent / "tree"
INJECTED = Path(__file__).parent / "injected.ipxe"


def write_tree(generation: Generation, root: Path) -> dict[str, bytes]:
    """Everything that the site makes, below ``root``, and as a dict of paths."""
    write_all(generation, root)
    (root / "dnsmasq.conf").write_text(generation.dnsmasq("full"), encoding="utf-8")
    (root / "dnsmasq-proxy.conf").write_text(generation.dnsmasq("proxy"), encoding="utf-8")
    (root / "dhcpd.conf").write_text(generation.isc(), encoding="utf-8")
    (root / "kea.json").write_text(generation.kea(), encoding="utf-8")
    return read_tree(root)


def read_tree(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """From a copy that is in no checkout, so that nothing of git can be in it."""
    root = tmp_path_factory.mktemp("golden")
    return write_tree(build_generation(shutil.copytree(SMALL, root / "site")), root / "tree")


def test_every_artifact_of_the_example_is_the_golden_one(
    rendered: dict[str, bytes], request: pytest.FixtureRequest
) -> None:
    if request.config.getoption("--update-golden"):
        shutil.rmtree(TREE, ignore_errors=True)
        for name, content in rendered.items():
            path = TREE / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
    golden = read_tree(TREE)
    assert sorted(rendered) == sorted(golden)
    for name, content in rendered.items():
        assert content.decode() == golden[name].decode(), name


def test_a_kickstart_in_the_initramfs(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """The script that brings it is a golden one; the kickstart differs in who says where it is from, and in the digest
    of the bootstrap, which knows its plan."""
    site = shutil.copytree(SMALL, tmp_path / "site")
    plain = build_generation(site).artifacts("web01.prod.den.example.com")
    text = (site / "site.yaml").read_text(encoding="utf-8")
    (site / "site.yaml").write_text(text.replace("\ndefaults:\n", "\ndefaults:\n  install: {kickstart: initrd}\n"))
    made = build_generation(site).artifacts("web01.prod.den.example.com")
    script = made["ipxe"].text
    if request.config.getoption("--update-golden"):
        INJECTED.write_text(script, encoding="utf-8")
    assert script == INJECTED.read_text(encoding="utf-8")
    lines = ndiff(plain["kickstart"].text.splitlines(), made["kickstart"].text.splitlines())
    changed = [line for line in lines if line[0] in "+-" and not line[2:].startswith("digest=")]
    assert changed == ["+ bf_grant=@grant.url@"] * 4


def test_the_tree_holds_what_it_should() -> None:
    """Three hosts, one of them a guest: a tree that lost a file would agree with a renderer that lost it too."""
    names = {"bootstrap", "kickstart", "ipxe", "grub", "pxelinux"}
    definitions = {f"{tool}{phase}" for tool in ("xl", "xm", "libvirt-xen") for phase in ("", "-install")}
    assert set(read_tree(TREE)) == {
        "dnsmasq.conf",
        "dnsmasq-proxy.conf",
        "dhcpd.conf",
        "kea.json",
        *(f"web01.prod.den.example.com/{name}" for name in names),
        *(f"db01.prod.den.example.com/{name}" for name in names),
        *(f"app01.qa.den.example.com/{name}" for name in names | definitions),
    }


def test_nothing_of_it_depends_on_git(rendered: dict[str, bytes], tmp_path: Path) -> None:
    """The same bytes from a checkout, clean or not: the revision is a hole until an artifact is served."""
    site = shutil.copytree(SMALL, tmp_path / "site")
    git = ["git", "-C", str(site), "-c", "user.name=a", "-c", "user.email=a@b", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "a"]):
        subprocess.run([*git, *command], check=True, capture_output=True)
    clean = build_generation(site)
    assert not clean.site.revision.startswith("tree-")
    assert write_tree(clean, tmp_path / "clean") == rendered
    (site / "README").write_text("changed")
    changed = build_generation(site)
    assert changed.site.revision.startswith("tree-")
    assert write_tree(changed, tmp_path / "changed") == rendered


def test_it_holds_no_secret_and_no_place_of_ours(rendered: dict[str, bytes]) -> None:
    for name, content in rendered.items():
        assert str(SMALL.parent.parent).encode() not in content, name
        assert b"\r" not in content and b"\t\n" not in content, name
    assert rendered["db01.prod.den.example.com/kickstart"].count(b"@secret:root_hash@") == 2
