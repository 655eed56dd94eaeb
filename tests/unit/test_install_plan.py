"""What a host may say of its installed system, for every release: through pykickstart of that release with warnings as
errors, our own rules and ``sh -n``; and in which words each release is told."""

from __future__ import annotations

import re
import shlex
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
from pykickstart.parser import KickstartParser
from pykickstart.version import makeVersion

from bootforge.errors import SiteError
from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.lint.shape import sections
from bootforge.releases import RELEASES
from bootforge.words import Slot
from tests.sites import DB, base, problems_with
from tests.support import SMALL

PROFILES = {"el5": "centos5", "el6": "centos6", "el7": "centos7", "el8": "rocky8", "el9": "rocky9", "el10": "alma10"}
PROFILES |= {"fedora45": "fedora45", "fedora46": "fedora46"}
OLD = ("el5", "el6")
BY_BOOTSTRAP = (*OLD, "el7")
HOST = "web{:02d}.prod.den.example.com"
SPEC = """\
{host}:
  profile: {profile}
  nics: {{lan: {{mac: "02:00:00:00:00:{n:02d}", device: eth0, address: 10.2.1.{n}}}}}
  groups: {{dba: {{gid: 5000}}}}
  users:
    alice: {{uid: 5001, gid: 5002, groups: [dba, wheel], gecos: "Alice O'Hara", password: {{secret: root_hash}}}}
    batch: {{uid: 5003, shell: /sbin/nologin, home: /srv/batch}}
    gone: {{uid: 5004, state: absent}}
  authorized_keys: {{alice: [keys/ops.pub]}}
  services: {{crond: on, cups: off, atd: off}}
  selinux: permissive
  firewall: {{services: [http, ssh], ports: [8080/tcp, 53/udp]}}
  repos: {{base: {{}}, later: {{install: false}}{more}}}
  driver_disks: [http://m.example.com/dd.iso]
  console: ttyS1,9600
  kernel_args: [quiet]
  exclude_packages: ["@games", plymouth]
"""
REPOS = """\
base: {url: "http://m.example.com/{release}/{releasever}/{arch}/{branch}/{site}"}
later: {url: "https://m.example.com/later"}
extra: {mirrorlist: "http://m.example.com/list?repo=extra&arch={arch}", proxy: "http://p.example.com:3128"}
"""
EXTRA = ", extra: {{exclude: ['mysql*', foo], cost: 500}}".replace("{{", "{").replace("}}", "}")


@pytest.fixture(scope="module")
def generation(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    site = tmp_path_factory.mktemp("install") / "site"
    shutil.copytree(SMALL, site)
    hosts = [
        SPEC.format(host=HOST.format(n), n=n, profile=profile, more="" if release == "el5" else EXTRA)
        for n, (release, profile) in enumerate(PROFILES.items(), 1)
    ]
    (site / "hosts/den.yaml").write_text("".join(hosts))
    (site / "repos.yaml").write_text(REPOS)
    try:
        return build_generation(site)
    except SiteError as error:
        raise AssertionError("\n".join(p.line() for p in error.problems)) from error


def name_of(release: str) -> str:
    return HOST.format([*PROFILES].index(release) + 1)


def lines(generation: Generation, release: str, command: str) -> list[str]:
    text = generation.artifact(name_of(release), "kickstart").text
    return re.findall(rf"^{command} .*$", text, re.MULTILINE)


def parsed(generation: Generation, release: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parser = KickstartParser(makeVersion(RELEASES[release].handler), errorsAreFatal=True)
        parser.readKickstartFromString(generation.artifact(name_of(release), "kickstart").text)
    return parser.handler


def test_every_release_is_here() -> None:
    assert {*PROFILES} == {*RELEASES}


def test_every_release_passes_its_own_parser_and_our_rules(generation: Generation) -> None:
    found = [problem.line() for problem in lint(generation, generation.plans, exhaustive=True)]
    assert [line for line in found if "BF06" not in line] == []


@pytest.mark.parametrize("release", PROFILES)
def test_accounts(generation: Generation, release: str) -> None:
    handler = parsed(generation, release)
    post = sections(generation.artifact(name_of(release), "kickstart").text, "%post")[0]
    commands = lines(generation, release, "sshkey")
    assert "useradd" not in post and "authorized_keys" not in post
    if release in BY_BOOTSTRAP:
        assert handler.user.userList == [] and commands == [] and not lines(generation, release, "group")
        return
    assert [(group.name, group.gid) for group in handler.group.groupList] == [("dba", 5000)]
    told = [(u.name, u.uid, u.gid, u.groups, u.homedir, u.shell, u.gecos, u.lock) for u in handler.user.userList]
    assert told == [
        ("alice", 5001, 5002, ["dba", "wheel"], "/home/alice", "/bin/bash", "Alice O'Hara", False),
        ("batch", 5003, 5003, [], "/srv/batch", "/sbin/nologin", "", True),
    ]
    assert handler.user.userList[0].isCrypted and handler.user.userList[0].password == "@secret:root_hash@"
    assert [shlex.split(line)[-1] for line in commands] == ["--username=alice", "--username=root"]


@pytest.mark.parametrize("release", PROFILES)
def test_a_password_is_a_hole_that_wants_a_hash(generation: Generation, release: str) -> None:
    slots = generation.artifact(name_of(release), "kickstart").slots
    secrets = [use for use in slots if use.slot.source.startswith("secret:")]
    wanted = 1 if release in BY_BOOTSTRAP else 2  # and one for the bootstrap's steps, which %post gives it in a file
    assert [use.slot for use in secrets] == [Slot("secret:root_hash", RELEASES[release].hashes)] * wanted + [
        Slot("secret:root_hash")
    ]
    assert [use.grammar for use in secrets] == ["ks"] * wanted + ["sh"]


@pytest.mark.parametrize("release", PROFILES)
def test_services_firewall_and_selinux(generation: Generation, release: str) -> None:
    handler = parsed(generation, release)
    assert (handler.services.enabled, handler.services.disabled) == (["crond"], ["atd", "cups"])
    assert handler.selinux.selinux == 2  # SELINUX_PERMISSIVE
    assert handler.firewall.enabled
    ports = {*handler.firewall.ports}
    if release == "el5":
        assert ports == {"22:tcp", "80:tcp", "8080:tcp", "53:udp"}
    else:
        assert (ports, handler.firewall.services) == ({"8080:tcp", "53:udp"}, ["ssh", "http"])


@pytest.mark.parametrize("release", PROFILES)
def test_repositories(generation: Generation, release: str) -> None:
    handler = parsed(generation, release)
    number = re.sub(r"\D", "", release)
    repos = {repo.name: repo for repo in handler.repo.repoList}
    assert repos.keys() == ({"base"} if release == "el5" else {"base", "extra"})
    assert repos["base"].baseurl == f"http://m.example.com/{release}/{number}/x86_64/prod/den"
    if release != "el5":
        extra = repos["extra"]
        assert extra.mirrorlist == "http://m.example.com/list?repo=extra&arch=x86_64"
        assert (extra.excludepkgs, extra.cost, extra.proxy) == (["mysql*", "foo"], 500, "http://p.example.com:3128")
    assert handler.packages.excludedList == ["plymouth"]
    assert [group.name for group in handler.packages.excludedGroupList] == ["games"]


@pytest.mark.parametrize("release", PROFILES)
def test_the_console_and_the_driver_disk(generation: Generation, release: str) -> None:
    plan = generation.plan(name_of(release))
    words = [arg.name if arg.value is None else f"{arg.name}={arg.value}" for arg in plan.boot.args]
    dd = "dd" if release in OLD else "inst.dd"
    assert f"{dd}=http://m.example.com/dd.iso" in words and words[-1] == "console=ttyS1,9600n8"
    assert ("serial" in words) == (release in OLD)
    assert ("inst.nosave=all_ks" in words) == (release not in OLD)
    assert parsed(generation, release).bootloader.appendLine == "quiet console=tty0 console=ttyS1,9600n8"


@pytest.mark.parametrize("release", PROFILES)
def test_who_reports_when_the_installer_stops(generation: Generation, release: str) -> None:
    text = generation.artifact(name_of(release), "kickstart").text
    found = re.findall(r"^%(?!end|packages)(.*)$", text, re.MULTILINE)
    last = "traceback --interpreter=/bin/sh" if release in OLD else "onerror --interpreter=/bin/sh"
    assert found == [
        "pre --interpreter=/bin/sh --log=/tmp/bootforge-pre.log",
        "post --interpreter=/bin/sh --log=/root/bootforge-post.log",
        "post --interpreter=/bin/sh --nochroot",
        last,
    ]
    post, logs, failed = sections(text, "%post", "%onerror", "%traceback")
    assert post.count("bf_network_first") == (0 if release == "el5" else 3)
    assert ("NOSAVE_INPUT_KS" in logs) == (release in ("el7", "el8", "el9"))
    assert "\nbf_upload_logs\n" in logs and failed.rstrip().endswith("\nbf_failed")
    assert "rm -f /root/anaconda-ks.cfg /root/original-ks.cfg\n" in post


def test_disk_first_leaves_what_the_installer_did(tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(SMALL, site)
    with (site / "site.yaml").open("a") as settings:
        settings.write("  boot_order: disk-first\n")
    generation = build_generation(site)
    assert all("network_first" not in generation.artifact(name, "kickstart").text for name in generation.plans)


def test_a_repo_without_an_environment_has_no_branch(tmp_path: Path) -> None:
    """{branch} is the environment's name; a host whose name states none cannot have it."""
    text = base("site.yaml", ('names:\n  - "{role}{n:int}.{env}.{site}.example.com"\n\n', ""))
    files = {
        "site.yaml": text,
        "repos.yaml": "base: {url: 'http://m/{branch}'}\nlimited: {url: http://m/x, branches: [qa]}\n",
        "hosts/den.yaml": f"{DB}:\n  nics: {{lan: {{network: den-lan, mac: 52:54:00:00:00:01}}}}\n"
        "  repos: {base: {}, limited: {}}\n",
        "rules.yaml": "",
    }
    found = {(problem.code, problem.message) for problem in problems_with(tmp_path, files)}
    assert found == {
        ("BF025", "no fact 'branch', which url of repo base in repos.yaml takes"),
        ("BF091", "repo limited is for qa, and the host has no environment, and so no branch"),
    }


def test_what_facts_make_of_a_url_is_looked_at(tmp_path: Path) -> None:
    """A URL is read again once its facts are in it: a fact cannot smuggle a word into the kickstart."""
    files = {
        "repos.yaml": "base: {url: '{site}://m/'}\n",
        "hosts/den.yaml": base("hosts/den.yaml", ("  serial: 0911QAZ4711\n", "  repos: {base: {}}\n")),
    }
    (problem,) = problems_with(tmp_path, files)
    assert (problem.code, problem.message) == ("BF091", "url of repo base: 'den://m/' is not a URL")
