"""The real dnf, rpm and gpg under the real bootstrap: signed repositories over HTTP, and a machine that takes packages
from them.

The machine is this one, seen through an overlay whose changes are thrown away, in namespaces of mounts, processes,
names and networks of its own; its rpm database, repositories and keys are its own. What Enterprise Linux has beyond
that (the distribution's packages and keys) is not proved here.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from bootforge.render.bootstrap import render_bootstrap
from bootforge.rpmkey import fingerprints
from tests.rpms import BASE, RPM_TOOLS, build, make_key, publish
from tests.sites import generation_with
from tests.support import SMALL, need

HOST = "web01.prod.den.example.com"
KINDS = ("rpm-keys", "repos", "repos-purge", "modules", "packages")
"""Steps of the bootstrap that are run; others would reach for what this machine shares with its host."""
PORT = 8080
PATH = "/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

PACKAGES = (
    BASE,
    ("hello", "1.0", ""),
    ("hello", "1.1", ""),
    ("late", "1.0", ""),
    ("late", "1.1", ""),
    ("mta-a", "1", "Provides: mta\nConflicts: mta-b"),
    ("mta-b", "1", "Provides: mta\nConflicts: mta-a"),
    ("cron", "1", "Requires: mta"),
    ("old", "1", ""),
    ("uses-old", "1", "Requires: old"),
    ("app", "1", "ModularityLabel: app:1:1:c0"),
    ("app", "2", "ModularityLabel: app:2:1:c0"),
)
MODULES = """
document: modulemd
version: 2
data:
  name: app
  stream: "{stream}"
  version: 1
  context: c0
  arch: noarch
  summary: A module
  description: A module
  license: {{module: [MIT]}}
  dependencies: [{{}}]
  artifacts: {{rpms: ["app-0:{stream}-1.noarch"]}}
"""


@dataclass
class Machine:
    """``at``: where its root and its site are. ``holder``: the process in whose namespaces it lives."""

    at: Path
    holder: int
    served: Path
    files: dict[str, str] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        return Path(f"/proc/{self.holder}/root{self.at}/r")

    def do(self, *argv: str, input: str | None = None) -> subprocess.CompletedProcess[str]:
        inside = ["nsenter", f"--target={self.holder}", "--mount", "--pid", "--net", "--uts"]
        return subprocess.run(
            [*inside, "chroot", str(self.at / "r"), "env", f"PATH={PATH}", *argv],
            capture_output=True,
            text=True,
            input=input,
            timeout=120,
        )

    def site(self, said: str, repos: str) -> None:
        """Writes the bootstrap that follows from what the host says of packages, and from repos.yaml."""
        scratch = self.at / "sites" / str(time.monotonic_ns())
        hosts = f"{HOST}:\n  nics: {{lan: {{mac: 00:14:4f:12:34:50, address: 10.2.0.21}}}}\n  profile: rocky9\n{said}"
        role = "nics: {lan: {network: den-lan}}\n"
        files = {**self.files, "roles/web.yaml": role, "hosts/den.yaml": hosts, "repos.yaml": repos}
        generation = generation_with(scratch, files, SMALL)
        plan = generation.plan(HOST)
        steps = tuple(step for step in plan.steps if step.id.partition(":")[0] in KINDS)
        script = render_bootstrap(replace(plan, steps=steps), generation.engine).text
        (self.root / "root/bootstrap").write_text(script)

    def run(self, *args: str) -> tuple[int, dict[str, str], dict[str, str]]:
        """Exit status, and statuses and texts by step, of those that are not ok."""
        done = self.do("dash", "/root/bootstrap", *args)
        assert done.stderr == "", done
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        told = [line for line in lines if line[0] not in ("bootforge", "end", "ok", "diff") and line[2] != "stamp"]
        return done.returncode, {line[2]: line[0] for line in told}, {line[2]: line[3] for line in told}

    def installed(self) -> set[str]:
        return set(self.do("rpm", "-qa", "--qf", "%{NAME}-%{VERSION}\n").stdout.split()) - {"lab-base-9"}

    def tree(self) -> dict[str, str]:
        """Every file that is not the machine's below: what dnf logs and caches is left out."""
        upper = Path(f"/proc/{self.holder}/root{self.at}/u")
        aside = ("var/cache", "var/log", "root", "tmp", "var/lib/dnf/history", "run")
        return {
            name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(upper.rglob("*"))
            if path.is_file()
            and not path.is_symlink()
            and not (name := path.relative_to(upper).as_posix()).startswith(aside)
            and not name.endswith(("-shm", ".rpm.lock"))
        }


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, dict[str, str]]]:
    """Below the path: first/ (hello 1.0 and the others), next/ (with hello 1.1) and modular/; and public keys."""
    need(*RPM_TOOLS, "dnf", "modifyrepo_c", "unshare", "nsenter", "dash")
    if os.geteuid():
        pytest.skip("namespaces and overlays need root")
    top = tmp_path_factory.mktemp("rpm")
    home = top / "gpg"
    keys = {name: make_key(home, name) for name in ("right", "wrong")}
    rpms = build(top / "built", home, "right", PACKAGES)
    for name, left in (("first", "*-1.1-*"), ("next", ""), ("modular", "")):
        modular = name == "modular"
        some = [rpm for rpm in rpms if rpm.name.startswith("app") == modular and not (left and rpm.match(left))]
        modules = "---".join(["", *(MODULES.format(stream=one) for one in (1, 2))]) if modular else ""
        publish(top / "www" / name, some, home, "right", modules)
    yield top, keys
    subprocess.run(["gpgconf", "--homedir", str(home), "--kill", "all"], check=False)


MOUNT = """
mount -t tmpfs -o mode=755 lab $1 && mkdir $1/u $1/w $1/r &&
mount -t overlay -o lowerdir=/,upperdir=$1/u,workdir=$1/w lab $1/r && mount -t proc proc $1/r/proc &&
mount --rbind /dev $1/r/dev && ip link set lo up && cd $2 && exec python3 -c "$4" $3 2>/dev/null
"""
SERVE = """
import sys, http.server as http
server = http.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), http.SimpleHTTPRequestHandler)
print("ready", flush=True)
server.serve_forever()
"""


@pytest.fixture
def machine(repository: tuple[Path, dict[str, str]], tmp_path: Path) -> Iterator[Machine]:
    top, keys = repository
    served = tmp_path / "www"
    shutil.copytree(top / "www", served)
    (served / "branch").symlink_to("first")
    at = tmp_path / "m"
    at.mkdir()
    apart = ["unshare", "--mount", "--pid", "--net", "--uts", "--fork", "--kill-child"]
    holder = subprocess.Popen(
        [*apart, "sh", "-c", MOUNT, "sh", at, served, str(PORT), SERVE],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert holder.stdout and holder.stdout.readline() == "ready\n"
        child = int(Path(f"/proc/{holder.pid}/task/{holder.pid}/children").read_text().split()[0])
        one = Machine(at, child, served, {f"keys/{name}.asc": text for name, text in keys.items()})
        for path in ("etc/yum.repos.d", "var/lib/rpm", "var/lib/dnf", "var/cache/dnf", "var/lib/bootforge"):
            shutil.rmtree(one.root / path, ignore_errors=True)
        for path in ("etc/rpm", "etc/yum.repos.d"):
            (one.root / path).mkdir(parents=True, exist_ok=True)
        (one.root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n")
        conf = "[main]\ngpgcheck=1\nclean_requirements_on_remove=True\nbest=True\nskip_if_unavailable=False\n"
        (one.root / "etc/dnf/dnf.conf").write_text(conf + "metadata_expire=1\n")
        base = next((top / "built").rglob("lab-base*.rpm"))
        shutil.copy(base, one.root / "root/base.rpm")
        done = one.do("rpm", "--nosignature", "-i", "/root/base.rpm")
        assert done.returncode == 0, done
        yield one
    finally:
        holder.kill()
        holder.wait()


URL = f"http://127.0.0.1:{PORT}"
REPOS = f"site: {{url: '{URL}/branch', gpgkey: keys/right.asc, repo_gpgcheck: true}}\n"


def test_keys_repositories_and_packages_converge(machine: Machine) -> None:
    machine.site("  repos: {site: {}}\n  packages: [hello, mta-a, cron]\n", REPOS)
    before = machine.tree()
    status, statuses, texts = machine.run("--check")
    assert (status, set(statuses.values())) == (1, {"would"})
    assert texts["packages"] == "install cron hello mta-a"
    assert machine.tree() == before
    status, ran, texts = machine.run()
    assert (status, ran) == (0, {id: "changed" for id in statuses}), texts
    assert machine.installed() >= {"hello-1.0", "mta-a-1", "cron-1"}
    known = machine.do("rpm", "-q", "gpg-pubkey", "--qf", "%{VERSION}\n").stdout.split()
    assert known == [fingerprints(machine.files["keys/right.asc"].encode())[0][-8:]]
    assert machine.run()[:2] == machine.run("--check")[:2] == (0, {})


def test_nothing_to_do_starts_no_dnf(machine: Machine) -> None:
    machine.site("  repos: {site: {}}\n  packages: [hello]\n  latest_packages: [late]\n", REPOS)
    assert machine.run()[0] == 0
    calls = machine.root / "root/calls"
    for tool in ("rpm", "dnf"):
        wrapper = machine.root / "usr/local/bin" / tool
        wrapper.write_text(f'#!/bin/sh\nprintf "%s " {tool} "$@" >>/root/calls\nexec /usr/bin/{tool} "$@"\n')
        wrapper.chmod(0o755)
    time.sleep(1.1)
    assert machine.run()[:2] == (0, {})
    calls.unlink()
    began = time.monotonic()
    assert machine.run()[:2] == (0, {})
    print(f"nothing to do: {(time.monotonic() - began) * 1000:.0f} ms")
    assert calls.read_text() == "rpm -q --qf %{VERSION}\\n gpg-pubkey "
    assert machine.do("rpm", "-e", "hello").returncode == 0
    assert machine.run()[2] == {"packages": "install hello"}


def test_a_package_that_another_key_signed_is_not_installed(machine: Machine) -> None:
    machine.site(
        "  repos: {site: {}}\n  packages: [hello]\n", f"site: {{url: '{URL}/first', gpgkey: keys/wrong.asc}}\n"
    )
    status, statuses, texts = machine.run()
    assert (status, statuses["packages"]) == (5, "failed")
    assert "GPG check FAILED" in texts["packages"] and "hello-1.0-1.noarch" in texts["packages"]
    assert machine.installed() == {"gpg-pubkey-" + fingerprints(machine.files["keys/wrong.asc"].encode())[0][-8:]}
    machine.site("  repos: {site: {}}\n  packages: [hello]\n", f"site: {{url: '{URL}/first'}}\n")
    status, _, texts = machine.run()
    assert (status, "hello-1.0" in machine.installed()) == (5, False), "without a key nothing is taken either"
    machine.site("  repos: {site: {}}\n  packages: [hello]\n", f"site: {{url: '{URL}/first', gpgcheck: false}}\n")
    assert machine.run()[0] == 0, "unless the site says so"


def test_metadata_that_another_key_signed_is_not_used(machine: Machine) -> None:
    wrong = f"site: {{url: '{URL}/first', gpgkey: keys/wrong.asc, repo_gpgcheck: true}}\n"
    machine.site("  repos: {site: {}}\n  packages: [hello]\n", wrong)
    status, statuses, texts = machine.run()
    assert (status, statuses["packages"]) == (5, "failed") and "bootforge-site" in texts["packages"]
    assert "hello-1.0" not in machine.installed()


def test_what_is_excluded_is_not_taken(machine: Machine) -> None:
    machine.site('  repos: {site: {exclude: ["hel*", old]}}\n  packages: [hello, late]\n', REPOS)
    status, _, texts = machine.run()
    assert status == 5 and "hello" in texts["packages"]
    assert "hello-1.0" not in machine.installed()
    machine.site('  repos: {site: {exclude: ["hel*", old]}}\n  packages: [late]\n', REPOS)
    assert machine.run()[0] == 0


def test_install_update_and_removal_are_one_transaction(machine: Machine) -> None:
    machine.site("  repos: {site: {}}\n  packages: [mta-a, cron, old]\n  latest_packages: [late]\n", REPOS)
    assert machine.run()[0] == 0 and machine.installed() >= {"mta-a-1", "cron-1", "old-1", "late-1.0"}
    (machine.served / "branch").unlink()
    (machine.served / "branch").symlink_to("next")
    time.sleep(1.1)
    said = "  repos: {site: {}}\n  packages: [mta-b, cron, hello]\n  latest_packages: [late]\n"
    machine.site(f"{said}  absent_packages: [mta-a, old]\n", REPOS)
    assert machine.do("dnf", "-q", "makecache").returncode == 0
    (machine.root / "var/lib/bootforge/ok/latest").unlink()
    before = machine.tree()
    would = machine.run("--check")
    assert would[2]["packages"] == "install hello mta-b, update late, remove mta-a old"
    assert machine.tree() == before
    count = len(machine.do("dnf", "history", "list", "--reverse").stdout.splitlines())
    status, _, texts = machine.run()
    assert (status, texts) == (0, would[2])
    assert len(machine.do("dnf", "history", "list", "--reverse").stdout.splitlines()) == count + 1
    there = machine.installed()
    assert there >= {"mta-b-1", "cron-1", "hello-1.1", "late-1.1"} and not there & {"mta-a-1", "old-1", "late-1.0"}
    assert machine.run()[:2] == (0, {})


def test_a_replacement_that_is_not_to_be_had_removes_nothing(machine: Machine) -> None:
    machine.site("  repos: {site: {}}\n  packages: [mta-a, cron]\n", REPOS)
    assert machine.run()[0] == 0
    machine.site("  repos: {site: {}}\n  packages: [mta-c, cron]\n  absent_packages: [mta-a]\n", REPOS)
    status, statuses, texts = machine.run()
    assert (status, statuses["packages"]) == (5, "failed") and "mta-c" in texts["packages"], texts
    assert machine.installed() >= {"mta-a-1", "cron-1"}


def test_what_is_wanted_is_not_removed_with_what_it_needs(machine: Machine) -> None:
    machine.site("  repos: {site: {}}\n  packages: [uses-old]\n", REPOS)
    assert machine.run()[0] == 0
    machine.site("  repos: {site: {}}\n  packages: [uses-old]\n  absent_packages: [old]\n", REPOS)
    status, _, texts = machine.run()
    assert status == 5 and "uses-old" in texts["packages"] and machine.installed() >= {"old-1", "uses-old-1"}
    protected = machine.root / "etc/dnf/protected.d/site.conf"
    protected.write_text("old\n")
    machine.site("  repos: {site: {}}\n  packages: [hello]\n  absent_packages: [old]\n", REPOS)
    status, _, texts = machine.run()
    assert status == 5 and "old" in machine.run()[2]["packages"] and "old-1" in machine.installed(), texts
    protected.unlink()
    machine.site("  repos: {site: {}}\n  absent_packages: [old]\n", REPOS)
    assert machine.run("--check")[2]["packages"] == "remove old and what needs it: uses-old-1-1.noarch"
    assert machine.run()[0] == 0 and not machine.installed() & {"old-1", "uses-old-1"}


def test_modules_and_what_is_purged(machine: Machine) -> None:
    repos = REPOS + f"modular: {{url: '{URL}/modular', gpgkey: keys/right.asc}}\n"
    said = "  repos: {modular: {}}\n  repos_purge: true\n  packages: [app]\n  modules: {app: 1}\n"
    machine.site(said, repos)
    foreign = machine.root / "etc/yum.repos.d/foreign.repo"
    foreign.write_text("[foreign]\nname=foreign\nbaseurl=http://127.0.0.1:1/\n")
    status, statuses, texts = machine.run("--check")
    assert statuses.keys() == {
        "rpm-keys:modular",
        "rpm-keys",
        "repos:modular",
        "repos-purge",
        "modules:app",
        "packages",
    }
    status, _, texts = machine.run()
    assert (status, foreign.exists()) == (0, False), texts
    assert "app-1" in machine.installed() and "app-2" not in machine.installed()
    assert machine.run()[:2] == (0, {})
    machine.site(said.replace("app: 1", "app: 2"), repos)
    status, statuses, texts = machine.run()
    assert (status, statuses["modules:app"], statuses["packages"]) == (5, "failed", "blocked")
    assert texts["modules:app"].startswith("app:1 is enabled")
    machine.site("  repos: {modular: {state: absent}, site: {}}\n", repos)
    assert machine.run()[0] == 0
    assert sorted(path.name for path in (machine.root / "etc/yum.repos.d").iterdir()) == ["bootforge-site.repo"]
