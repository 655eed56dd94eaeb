"""A server that follows a branch: what was committed is served, and nothing else."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.edge import edge_site, host, http_pids, is_local, kill, name, netboot, until
from tests.support import Running, bootforge, need, running, write_site

SOON = 10.0


@dataclass
class Followed:
    """A server of the branch 'main' of a bare repository that the clone ``site`` is pushed to."""

    server: Running
    site: Path

    def git(self, *args: str) -> str:
        return git(self.site, *args)

    def push(self, files: dict[str, str]) -> str:
        """Commits and pushes the files; the commit."""
        write_site(self.site, files)
        self.git("add", "-A", ".")
        self.git("commit", "-qm", "x")
        self.git("push", "-q", "origin", "HEAD:main")
        return self.git("rev-parse", "HEAD")[:12]

    def knows(self, number: int) -> bool:
        try:
            return name(number).encode() in netboot(self.server, number).body
        except OSError:
            return False


def git(at: Path, *args: str) -> str:
    who = ("-c", "user.name=Op", "-c", "user.email=op@example.com")
    done = subprocess.run(["git", "-C", str(at), *who, *args], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def followed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Followed]:
    need("git")
    root = tmp_path_factory.mktemp("revisions")
    site, bare = edge_site(root / "site", hosts=2), root / "site.git"
    git(root, "init", "-q", "--bare", "-b", "main", str(bare))
    git(site, "init", "-q", "-b", "main")
    git(site, "remote", "add", "origin", str(bare))
    git(site, "add", "-A", ".")
    git(site, "commit", "-qm", "first")
    git(site, "push", "-q", "origin", "main")
    with running(bare, root / "state", "--rev", "main") as server:
        server.site = site  # arm and the like read the clone
        yield Followed(server, site)


def test_what_is_pushed_is_served(followed: Followed) -> None:
    write_site(followed.site, {"hosts/more7.yaml": host(7)})
    followed.git("checkout", "-q", "-b", "other")
    followed.git("add", "-A", ".")
    followed.git("commit", "-qm", "not for main")
    followed.git("push", "-q", "origin", "other")
    assert followed.knows(1) and not followed.knows(7)
    followed.git("checkout", "-q", "main")
    commit = followed.push({"hosts/more8.yaml": host(8)})
    assert until(lambda: followed.knows(8), SOON) and not followed.knows(7)
    followed.server.wait_for_log(f"serving revision {commit}: ", SOON)
    followed.server.grant(name(8))
    assert not is_local(netboot(followed.server, 8))


def test_a_broken_commit_is_not_served(followed: Followed) -> None:
    followed.push({"hosts/more9.yaml": host(9), "roles/extra.yaml": "pakcages: [httpd]\n"})
    followed.server.wait_for_log(r"roles/extra.yaml:1:1: error\[BF012\]", SOON)
    assert followed.knows(1) and not followed.knows(9)
    kill(http_pids(followed.server)[1])
    assert until(lambda: followed.knows(1), SOON) and not followed.knows(9)
    followed.git("rm", "-q", "roles/extra.yaml")
    followed.push({})
    assert until(lambda: followed.knows(9), SOON)


def test_a_repository_that_vanishes_keeps_the_last_good_generation(followed: Followed) -> None:
    bare = followed.site.with_name("site.git")
    away = bare.rename(bare.with_name("away"))
    try:
        followed.server.wait_for_log("the site is broken.*is not in a git repository|cannot change to", SOON)
        assert followed.knows(1)
    finally:
        away.rename(bare)


@pytest.mark.parametrize(
    ("rev", "status", "said"),
    [("absent", 3, "no revision 'absent'"), ("--upload-pack=x", 2, "is not a revision"), ("other~1", 0, "")],
)
def test_a_revision_that_is_none_is_told(followed: Followed, tmp_path: Path, rev: str, status: int, said: str) -> None:
    if not status:
        with running(followed.site, tmp_path, f"--rev={rev}") as server:
            assert name(1).encode() in netboot(server, 1).body
        return
    args = ("--site", str(followed.site), "--store", f"sqlite:///{tmp_path}/store.db", f"--rev={rev}")
    done = bootforge("serve", *args, "--http-port", "0", "--tftp-port", "0", "--bind", "127.0.0.1")
    assert (done.status, said in done.err) == (status, True), done.err


def test_a_directory_without_a_repository_has_no_revisions(tmp_path: Path) -> None:
    site = edge_site(tmp_path / "site", hosts=1)
    done = bootforge("serve", "--site", str(site), "--store", f"sqlite:///{tmp_path}/store.db", "--rev", "main")
    assert done.status == 2 and "is not in a git repository" in done.err
