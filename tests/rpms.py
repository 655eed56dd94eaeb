"""Signed packages and repositories for tests, by the tools that distributions make theirs with."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

RPM_TOOLS = ("rpm", "rpmbuild", "rpmsign", "createrepo_c", "gpg")
BASE = ("lab-base", "9", "Provides: /bin/sh\nProvides: system-release = 9\nProvides: system-release(releasever) = 9")
"""What scripts and dnf want of a base system, as a package."""

SPEC = """
Name: {name}
Version: {version}
Release: 1
Summary: A package
License: MIT
BuildArch: noarch
{head}
%description
Nothing.
%files
{files}
"""


def make_key(home: Path, name: str) -> str:
    """A key of OpenPGP in the keyring ``home``, which is made; its public half, armored."""
    home.mkdir(mode=0o700, exist_ok=True)
    told = f"%no-protection\nKey-Type: RSA\nKey-Length: 2048\nKey-Usage: sign\nName-Real: {name}\nExpire-Date: 0\n"
    _run("gpg", "--homedir", home, "--batch", "-q", "--gen-key", input=told)
    return _run("gpg", "--homedir", home, "--armor", "--export", name)


def build(top: Path, home: Path, key: str, packages: Iterable[tuple[str, str, str]]) -> list[Path]:
    """Signed packages below ``top``: name, version, more lines of the header. Each but the base has one file,
    /usr/share/lab-NAME, with its version."""
    top.mkdir()
    for name, version, head in packages:
        file = f"/usr/share/lab-{name}"
        text = SPEC.format(name=name, version=version, head=head, files="" if name == BASE[0] else file)
        if name != BASE[0]:
            install = f"%install\nmkdir -p %{{buildroot}}/usr/share\necho {version} >%{{buildroot}}{file}\n"
            text = text.replace("%files", f"{install}%files")
        (top / f"{name}-{version}.spec").write_text(text)
    macros = ("--define", f"_topdir {top}/top", "--define", f"_rpmdir {top}", "--define", "_binary_payload w3.gzdio")
    specs = sorted(top.glob("*.spec"))
    _run("rpmbuild", "-bb", "--quiet", *macros, *specs)
    rpms = sorted(top.rglob("*.rpm"))
    assert len(rpms) == len(specs)
    sign = ("--define", f"_gpg_name {key}", "--define", f"_gpg_path {home}", "--define", "__gpg /usr/bin/gpg")
    _run("rpmsign", *sign, "--addsign", *rpms)
    return rpms


def publish(there: Path, rpms: Iterable[Path], home: Path, key: str, modules: str = "") -> None:
    """Makes ``there`` a repository of these packages, with signed metadata."""
    shutil.rmtree(there, ignore_errors=True)
    there.mkdir(parents=True)
    for rpm in rpms:
        shutil.copy(rpm, there)
    _run("createrepo_c", "-q", "--no-database", there)
    metadata = there / "repodata"
    if modules:
        (there.parent / "modules.yaml").write_text(modules)
        _run("modifyrepo_c", "--mdtype=modules", there.parent / "modules.yaml", metadata)
    sign = ("--batch", "-u", key, "--detach-sign", "--armor")
    _run("gpg", "--homedir", home, *sign, metadata / "repomd.xml")


def _run(*argv: str | Path, input: str | None = None) -> str:
    return subprocess.run([str(one) for one in argv], check=True, capture_output=True, text=True, input=input).stdout
