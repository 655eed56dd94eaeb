"""Names, trust and accounts as the steps of every release."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.model_steps import Step
from bootforge.releases import RELEASES
from tests.sites import problems_with
from tests.support import SMALL, need
from tests.unit.test_install_plan import PROFILES

HOST = "web{:02d}.prod.den.example.com"
SPEC = """\
{host}:
  profile: {profile}
  aliases: [www{n}.example.com]
  nics: {{lan: {{mac: "02:00:00:00:00:{n:02d}", device: eth0, address: 10.2.1.{n}}}}}
  groups: {{dba: {{gid: 5000}}}}
  users:
    alice: {{uid: 5001, gid: 5002, groups: [dba, wheel], gecos: "Alice O'Hara", password: {{secret: root_hash}}}}
    batch: {{uid: 5003, shell: /sbin/nologin, home: /srv/batch, groups_exact: true}}
    gone: {{uid: 5004, state: absent}}
  authorized_keys: {{alice: [keys/ops.pub]}}
  sudo: {{ops: ["%wheel ALL=(ALL) NOPASSWD: ALL", "Defaults !requiretty"]}}
  trust: [ca/corp.pem]
  host_entries: {{db: 10.2.0.31, db.example.com: 10.2.0.31, six: "2001:db8::6"}}
  resolver: {{search: ["{{site}}.example.com", example.com], options: [timeout:2, rotate]}}
"""
ANCHOR = "bootforge-corp-13568786.pem"


@pytest.fixture(scope="module")
def certificate() -> str:
    need("openssl")
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=x", "-keyout", "/dev/stdout"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def public(certificate: str) -> str:
    return certificate[certificate.index("-----BEGIN CERTIFICATE") :]


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory, certificate: str) -> Generation:
    site = tmp_path_factory.mktemp("accounts") / "site"
    shutil.copytree(SMALL, site)
    hosts = [SPEC.format(host=HOST.format(n), n=n, profile=profile) for n, profile in enumerate(PROFILES.values(), 1)]
    (site / "hosts/den.yaml").write_text("".join(hosts))
    (site / "ca").mkdir()
    (site / "ca/corp.pem").write_text(f"# text\r\n{public(certificate)}")
    return build_generation(site)


def steps_of(generation: Generation, release: str) -> dict[str, Step]:
    return {step.id: step for step in generation.plan(HOST.format([*PROFILES].index(release) + 1)).steps}


def test_every_release_passes_lint(generation: Generation) -> None:
    assert [p.line() for p in lint(generation, generation.plans, exhaustive=True) if "BF06" not in p.line()] == []


@pytest.mark.parametrize("release", PROFILES)
def test_the_order_of_steps(generation: Generation, release: str) -> None:
    ids = [*steps_of(generation, release)]
    own = ["resolver:NetworkManager"] if RELEASES[release].network_manager else []
    trust = ["trust"] if release == "el5" else [f"trust:{ANCHOR}", "trust"]
    accounts = ["users:gone", "groups:dba", "users:alice", "users:batch", "users:root"]
    keys = ["keys:root", "keys:alice", "keys:batch"]
    first = ["hostname", "mark", "first-boot", "hosts", *own, "resolver", *trust, *accounts, *keys]
    assert [id for id in ids if id != "nic-names"][: len(first)] == first
    assert ids.index("sudo:ops") + 1 == ids.index("sudo") > ids.index("packages")


@pytest.mark.parametrize("release", PROFILES)
def test_accounts(generation: Generation, release: str) -> None:
    steps = steps_of(generation, release)
    kinds = {"el5": "6 5 1", "el6": "6 5 1", "el7": "6 5 1", "el8": "6 5 1", "el9": "6 5 y 2b"}
    hashes = kinds.get(release, "y gy 6 5 2b")
    if release == "el8":
        hashes = "6 5 y 2b"
    args = (
        "alice",
        5001,
        5002,
        "/home/alice",
        "/bin/bash",
        "Alice O'Hara",
        "also",
        "root_hash",
        hashes,
        "dba",
        "wheel",
    )
    assert (steps["users:alice"].args, steps["users:alice"].secrets) == (args, ("root_hash",))
    assert steps["users:batch"].args == ("batch", 5003, 5003, "/srv/batch", "/sbin/nologin", "", "only", "", "")
    assert (steps["users:gone"].fn, steps["users:gone"].args) == ("no_users", ("gone", 5004))
    assert steps["users:root"].secrets == ("root_hash",) and steps["users:root"].args == ("root", "root_hash", hashes)
    assert steps["keys:alice"].args == ("alice", 5001, "/home/alice", "additive")
    assert steps["keys:alice"].needs == ("users:alice",) and steps["keys:batch"].content is None


@pytest.mark.parametrize("release", PROFILES)
def test_names(generation: Generation, release: str) -> None:
    steps = steps_of(generation, release)
    n = [*PROFILES].index(release) + 1
    assert steps["hostname"].fn == ("sysconfig_hostname" if release in ("el5", "el6") else "hostname")
    content = steps["hosts"].content or ""
    assert content.splitlines()[3:] == [
        f"10.2.1.{n}\tweb{n:02d}.prod.den.example.com web{n:02d} www{n}.example.com",
        "10.2.0.31\tdb db.example.com",
        "2001:db8::6\tsix",
    ]
    assert steps["resolver"].content == (
        "# Written by Bootforge; changes are lost.\nsearch den.example.com example.com\nnameserver 10.2.0.2\n"
        "options timeout:2 rotate\n"
    )


@pytest.mark.parametrize("release", PROFILES)
def test_trust(generation: Generation, certificate: str, release: str) -> None:
    steps = steps_of(generation, release)
    if release == "el5":
        assert (steps["trust"].fn, steps["trust"].content) == ("ca_bundle", public(certificate))
        return
    anchor = steps[f"trust:{ANCHOR}"]
    assert (anchor.content, anchor.notify) == (public(certificate), ("trust:enable" if release == "el6" else "trust",))
    assert (
        steps["trust"].args == ("/etc/pki/ca-trust/source/anchors", ANCHOR) and steps["trust"].notify == anchor.notify
    )


def test_a_site_that_says_nothing_makes_no_files() -> None:
    ids = [step.id for step in build_generation(SMALL).plan("web01.prod.den.example.com").steps]
    assert not {"hosts", "resolver"} & {*ids} and not [
        id for id in ids if id.startswith(("groups:", "sudo:", "trust:"))
    ]
    assert [id for id in ids if id.startswith(("users:", "keys:"))] == ["users:root", "keys:root"]


def told(tmp_path: Path, files: dict[str, Any]) -> list[tuple[str, str]]:
    head = "db01.prod.den.example.com:\n  nics: {lan: {mac: 52:54:00:12:34:57, address: 10.2.0.31}}\n"
    lines = files.pop("lines")
    return [(p.code, p.message) for p in problems_with(tmp_path, {"hosts/db.yaml": head + lines, **files})]


def test_a_bundle_is_no_place_for_a_private_key(tmp_path: Path, certificate: str) -> None:
    files = {"hosts/den.yaml": "", "ca/a.pem": certificate, "lines": "  trust: [ca/a.pem]\n"}
    ((code, message),) = told(tmp_path, files)
    assert (code, message) == ("BF132", "ca/a.pem holds a private key")


def test_a_second_certificate_is_looked_at_too(tmp_path: Path, certificate: str) -> None:
    good = public(certificate)
    files = {"hosts/den.yaml": "", "ca/a.pem": good + good.replace("MII", "MIJ", 1), "lines": "  trust: [ca/a.pem]\n"}
    ((code, message),) = told(tmp_path, files)
    assert (code, message) == ("BF132", "certificate 2 of ca/a.pem cannot be read")
