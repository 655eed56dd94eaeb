"""Keys as rpm will call them; and the steps of repositories, modules and packages, by release."""

from __future__ import annotations

import base64
import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from bootforge.model_steps import Step
from bootforge.releases import RELEASES
from bootforge.rpmkey import fingerprints
from tests.sites import DB, base, generation_with
from tests.support import EXAMPLE, need

KEY = (EXAMPLE / "keys/packages.asc").read_bytes()
PRINT = "9c5febb94860d9788bd809560bffaf9c45ef95bf"
PROFILES = {
    "el5": "centos5",
    "el6": "centos6",
    "el7": "centos7",
    "el8": "rocky8",
    "el9": "rocky9",
    "el10": "rocky10",
    "fedora45": "fedora45",
    "fedora46": "fedora46",
}
REPOS = """
base: {url: "http://m.example.com/{branch}/{releasever}/{arch}", gpgkey: keys/site.asc, proxy: "http://p.example.com:3128"}
listed: {mirrorlist: "http://m.example.com/?repo={release}", gpgcheck: false}
gone: {url: "http://m.example.com/gone", gpgkey: keys/site.asc}
"""
SAID = """  repos:
    base: {install: false, exclude: ["mysql*", php], cost: 500}
    listed: {install: false}
    gone: {state: absent}
  packages: ["@base", strace]
  latest_packages: [openssl]
  absent_packages: [telnet]
  install: {url: http://m.example.com/tree}
"""


def _steps(root: Path, release: str, said: str = SAID, repos: str = REPOS) -> dict[str, Step]:
    host = base("hosts/den.yaml", ("  serial: 0911QAZ4711\n", f"  profile: {PROFILES[release]}\n{said}"))
    host = host.replace("lan: {mac: 52:54:00:12:34:57,", "lan: {device: eth0, mac: 52:54:00:12:34:57,")
    files = {"repos.yaml": repos, "keys/site.asc": KEY.decode(), "hosts/den.yaml": host}
    return {step.id: step for step in generation_with(root, files).plan(DB).steps}


@pytest.mark.parametrize("release", RELEASES)
def test_steps_of_every_release(tmp_path: Path, release: str) -> None:
    steps = _steps(tmp_path, release)
    kinds = ("rpm-keys", "repos", "repos-purge", "modules", "packages")
    ours = [id for id in steps if id.partition(":")[0] in kinds]
    assert " ".join(ours) == "rpm-keys:base rpm-keys:gone rpm-keys repos:base repos:gone repos:listed packages"
    path = "/etc/pki/rpm-gpg/RPM-GPG-KEY-bootforge-base"
    assert steps["rpm-keys:base"].content == KEY.decode() and steps["rpm-keys"].args == (path, PRINT)
    assert steps["rpm-keys:gone"].fn == steps["repos:gone"].fn == "absent"
    read = configparser.ConfigParser(interpolation=None)
    for name in ("base", "listed"):
        read.read_string(steps[f"repos:{name}"].content or "")
    assert dict(read["bootforge-base"]) == {
        "name": "base",
        "baseurl": f"http://m.example.com/prod/{RELEASES[release].releasever}/x86_64",
        "enabled": "1",
        "gpgcheck": "1",
        "gpgkey": f"file://{path}",
        "exclude": "mysql* php",
        "cost": "500",
        "proxy": "http://p.example.com:3128",
    }
    assert dict(read["bootforge-listed"]) == {
        "name": "listed",
        "mirrorlist": f"http://m.example.com/?repo={release}",
        "enabled": "1",
        "gpgcheck": "0",
    }
    tool, _, present, latest, absent = steps["packages"].args
    expected = {"el5": "yum", "el6": "yum", "el7": "yum", "fedora45": "dnf5", "fedora46": "dnf5"}.get(release, "dnf")
    assert (tool, latest, absent) == (expected, "openssl", "telnet")
    assert "strace" in str(present).split() and "@" not in str(present)


def test_modules_and_purge(tmp_path: Path) -> None:
    steps = _steps(tmp_path, "el8", SAID + "  modules: {nodejs: 18, perl-DBD-Pg: 3.7}\n  repos_purge: true\n")
    assert [steps[id].args for id in ("modules:nodejs", "modules:perl-DBD-Pg")] == [
        ("nodejs", "18"),
        ("perl-DBD-Pg", "3.7"),
    ]
    ours = ("/etc/yum.repos.d/bootforge-base.repo", "/etc/yum.repos.d/bootforge-listed.repo")
    assert steps["repos-purge"].args == ours and steps["repos-purge"].needs == ("repos",)
    assert steps["packages"].needs == ("rpm-keys", "repos", "modules")


def test_signed_metadata(tmp_path: Path) -> None:
    repos = REPOS.replace("gpgkey: keys/site.asc, proxy", "gpgkey: keys/site.asc, repo_gpgcheck: true, proxy")
    assert "repo_gpgcheck=1\n" in str(_steps(tmp_path, "el6", repos=repos)["repos:base"].content)


def test_another_list_is_another_digest(tmp_path: Path) -> None:
    one = _steps(tmp_path / "1", "el9")["packages"].args
    other = _steps(tmp_path / "2", "el9", SAID.replace("telnet", "rsh"))["packages"].args
    moved = _steps(tmp_path / "3", "el9", SAID.replace("latest_packages: [openssl]", "latest_packages: [openssh]"))
    assert len({one[1], other[1], moved["packages"].args[1]}) == 3


def _armor(data: bytes) -> bytes:
    return (
        b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + base64.encodebytes(data) + b"-----END PGP PUBLIC KEY BLOCK-----\n"
    )


def _binary() -> bytes:
    return base64.b64decode(b"".join(KEY.split(b"\n\n", 1)[1].splitlines()[:-2]))


def test_a_key_is_called_what_gpg_calls_it(tmp_path: Path) -> None:
    assert fingerprints(KEY) == (PRINT,)
    assert fingerprints(KEY.replace(b"\n", b"\r\n")) == (PRINT,), "as from Windows"
    assert fingerprints(b"which signs packages\n\n" + KEY + KEY) == (PRINT,), "text around it, and twice"
    assert fingerprints(_armor(_binary())) == (PRINT,), "no checksum"
    need("gpg")
    shown = subprocess.run(
        ["gpg", "--homedir", tmp_path, "--with-colons", "--show-keys"], input=KEY, capture_output=True, check=True
    ).stdout.decode()
    assert [line.split(":")[9].lower() for line in shown.splitlines() if line.startswith("fpr")] == [PRINT]


@pytest.mark.parametrize("kind", ["RSA", "DSA", "EDDSA", "subkeys"])
def test_keys_of_many_kinds(tmp_path: Path, kind: str) -> None:
    need("gpg")
    home = Path("/tmp") / f"bf-gpg-{tmp_path.name}"  # gpg-agent's socket has a short name only
    home.mkdir(mode=0o700)
    try:
        kinds = {"EDDSA": "Key-Type: EDDSA\nKey-Curve: ed25519", "subkeys": "Key-Type: RSA\nSubkey-Type: RSA"}
        made = kinds.get(kind, f"Key-Type: {kind}\nKey-Length: 1024")
        told = f"%no-protection\n{made}\nName-Real: Någon\nExpire-Date: 1y\n"
        gpg = ["gpg", "--homedir", str(home), "--batch", "-q"]
        subprocess.run([*gpg, "--gen-key"], input=told.encode(), check=True, capture_output=True)
        key = subprocess.run([*gpg, "--armor", "--export"], check=True, capture_output=True).stdout
        shown = subprocess.run([*gpg, "--with-colons", "-k"], check=True, capture_output=True).stdout.decode()
        assert fingerprints(key) == ([x.split(":")[9].lower() for x in shown.splitlines() if x[:3] == "fpr"][0],)
    finally:
        subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)
        shutil.rmtree(home)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (b"", "has no public key"),
        (b"\xff\xfe", "is no text"),
        (KEY.replace(b"BEGIN PGP PUBLIC KEY", b"BEGIN PGP SIGNATURE"), "has no public key"),
        (KEY.replace(b"mQGNB", b"mQGN!"), "not base64"),
        (KEY.replace(b"mQGNB", b"mQGNC"), "its checksum is another"),
        (_armor(_binary()[:50]), "cut off"),
        (_armor(b"\x00\x01"), "no packets"),
        (_armor(b"\x98"), "cut off"),
        (_armor(b"\x9b\x04"), "cut off"),
        (_armor(b"\xc6\xe4\x04"), "cut off"),
        (_armor(b"\x98\x00"), "of version no"),
        (_armor(b"\xc6\x02\x06\x00"), "of version 6"),
        (_armor(b"\x98\x02\x03\x00"), "of version 3"),
        (_armor(b"\xb4\x01x"), "has no public key"),
    ],
)
def test_what_is_no_key(text: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        fingerprints(text)


def test_lengths_of_packets_in_every_form() -> None:
    """The new format's one, two and five octets, the old one's four: the same key."""
    body = b"\x04" + bytes(100)
    long = b"\x04" + bytes(300)
    assert len(set(fingerprints(_armor(b"\xc6\x65" + body + b"\x98\x65" + body)))) == 1
    two = (len(long) - 192).to_bytes(2, "big")
    forms = (bytes([192 + two[0], two[1]]), b"\xff" + len(long).to_bytes(4, "big"))
    keys = {fingerprints(_armor(b"\xc6" + form + long)) for form in forms}
    assert keys == {fingerprints(_armor(b"\x9a" + len(long).to_bytes(4, "big") + long))}
