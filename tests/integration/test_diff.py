"""What a change of the site does to its hosts, by revisions of a git repository."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import SMALL, need, verb

WEB, DB, APP = "web01.prod.den.example.com", "db01.prod.den.example.com", "app01.qa.den.example.com"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The site in a directory of a repository, with one commit."""
    need("git")
    site = tmp_path / "repository" / "site"
    shutil.copytree(SMALL, site)
    git(site, "init", "-q", "-b", "main")
    commit(site)
    return site


def git(site: Path, *args: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@example.com"]
    subprocess.run(["git", "-C", str(site), *who, *args], check=True, capture_output=True)


def commit(site: Path) -> None:
    git(site, "add", "-A", ".")
    git(site, "commit", "-q", "-m", "x")


def change(site: Path, file: str, old: str, new: str) -> None:
    text = (site / file).read_text()
    assert old in text
    (site / file).write_text(text.replace(old, new))


def test_nothing_differs(site: Path) -> None:
    done = verb("diff", "HEAD", "--site", site)
    assert (done.status, done.out, done.err) == (0, "", "")


def test_a_difference_is_told_once_with_the_hosts_that_have_it(site: Path) -> None:
    change(site, "site.yaml", "timezone: America/Denver", "timezone: Europe/Berlin")
    change(site, "roles/web.yaml", "mod_ssl", "mod_http2")
    done = verb("diff", "HEAD", "--site", site)
    assert done.status == 1
    assert re.sub(r"dnf [0-9a-f]{16} ", "dnf DIGEST ", done.out) == (
        f"bootstrap, 3 hosts: {APP}, {DB}, {WEB}\n"
        "       fi\n       if bf_step timezone 'install boot run' '' '' ''; then\n"
        "  -        bf_zone_link America/Denver\n  +        bf_zone_link Europe/Berlin\n"
        "           bf_end $?\n       fi\n\n"
        f"kickstart, 3 hosts: {APP}, {DB}, {WEB}\n"
        "   lang en_US.UTF-8\n   keyboard us\n"
        "  -timezone America/Denver --utc\n  +timezone Europe/Berlin --utc\n"
        "   timesource --ntp-server=10.2.0.5\n   timesource --ntp-server=10.2.0.6\n\n"
        f"bootstrap, 1 host: {WEB}\n"
        "       fi\n       if bf_step packages 'install boot run' '' 'rpm-keys repos modules' ''; then\n"
        "  -        bf_packages dnf DIGEST 'httpd mod_ssl' '' ''\n"
        "  +        bf_packages dnf DIGEST 'httpd mod_http2' '' ''\n"
        "           bf_end $?\n       fi\n\n"
        f"kickstart, 1 host: {WEB}\n"
        "   @^minimal-environment\n   httpd\n  -mod_ssl\n  +mod_http2\n   %end\n   \n\n"
    )
    commit(site)
    assert verb("diff", "HEAD~1", "HEAD", "--site", site).out == done.out
    assert verb("diff", "HEAD", "--site", site).status == 0
    stat = verb("diff", "HEAD~1", "--stat", "--site", site).out.splitlines()
    assert stat == [f"changed  {name}  bootstrap kickstart" for name in (APP, DB, WEB)]


def test_hosts_that_come_and_go(site: Path) -> None:
    change(site, "hosts/den.yaml", "web01.prod", "web02.prod")
    done = verb("diff", "HEAD", "--json", "--site", site)
    assert done.status == 1 and (done.json["added"], done.json["removed"]) == ([WEB.replace("01", "02")], [WEB])
    assert done.json["changed"] == {} and done.json["changes"] == []


def test_an_address_of_one_host_is_its_own_difference(site: Path) -> None:
    change(site, "hosts/den.yaml", "10.2.0.31", "10.2.0.32")
    found = verb("diff", "HEAD", "--json", "--site", site).json
    assert set(found["changed"]) == {DB}
    assert any(
        "10.2.0.32" in line for one in found["changes"] for line in one["lines"] if one["artifact"] == "kickstart"
    )


def test_a_site_that_was_broken_is_told_with_its_revision(site: Path) -> None:
    change(site, "roles/web.yaml", "packages", "pakages")
    commit(site)
    change(site, "roles/web.yaml", "pakages", "packages")
    done = verb("diff", "HEAD", "--site", site)
    assert done.status == 2 and done.err.startswith("HEAD:roles/web.yaml:2:1: error[BF012]: unknown key 'pakages'")


@pytest.mark.parametrize(
    "args,status,words",
    [
        (["nothing"], 3, "no revision 'nothing'"),
        (["--", "--output=/tmp/x"], 2, "is not a revision"),
        (["HEAD:/etc"], 3, "no revision"),
    ],
)
def test_a_revision_that_is_none(site: Path, args: list[str], status: int, words: str) -> None:
    done = verb("diff", "--site", site, *args)
    assert done.status == status and words in done.err and "Traceback" not in done.err


def test_a_site_that_is_in_no_repository(tmp_path: Path) -> None:
    shutil.copytree(SMALL, tmp_path / "site")
    done = verb("diff", "HEAD", "--site", tmp_path / "site")
    assert done.status == 2 and "is not in a git repository" in done.err
