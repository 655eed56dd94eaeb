"""Lines without effect are found at their place; the example and the starter site have none."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from bootforge.lint import lint
from tests.support import ROOT, SMALL, bootforge

TODAY = date(2026, 1, 1)


def found(site: Path, today: date = TODAY) -> list[str]:
    generation = build_generation(site)
    return [problem.line() for problem in lint(generation, generation.hosts, today=today)]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    shutil.copytree(SMALL, tmp_path / "site")
    return tmp_path / "site"


@pytest.mark.parametrize("path", ["vagrant/site", "templates/init", "tests/vm/site", "tests/site"])
def test_our_own_sites_say_nothing_in_vain(path: str) -> None:
    assert [line for line in found(ROOT / path) if "note[" not in line] == []


def append(path: Path, text: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text((path.read_text() if path.exists() else "") + text)


@pytest.mark.parametrize(
    "file,text,words",
    [
        ("rules.yaml", "  - when: role_web & env_qa\n    packages: [x]\n", "rules.yaml:18:5: warning[BF061]: rule 3"),
        ("roles/mail.yaml", "packages: [postfix]\n", "roles/mail.yaml:1:1: warning[BF062]: role 'mail'"),
        ("layouts/big.yaml", "volume_groups: {big: {}}\n", "layouts/big.yaml:1:1: warning[BF062]: layout 'big'"),
        ("profiles/own.yaml", "release: el9\n", "profiles/own.yaml:1:1: warning[BF062]: profile 'own'"),
        ("keys/old.pub", "ssh-ed25519 AAAA a\n", "keys/old.pub:1:1: warning[BF062]: key file 'keys/old.pub'"),
        ("site.yaml", "  install: {url: http://m/x}\n", "warning[BF063]: install.url of defaults never holds: profile"),
    ],
)
def test_what_has_no_effect_is_found(site: Path, file: str, text: str, words: str) -> None:
    append(site / file, text)
    (line,) = found(site)
    assert words in line


def test_a_subset_of_hosts_says_nothing_about_the_site(site: Path) -> None:
    append(site / "roles/mail.yaml", "packages: [postfix]\n")
    generation = build_generation(site)
    assert list(lint(generation, ["web01.prod.den.example.com"], today=TODAY)) == []


def test_an_ended_release_is_a_note_and_notes_are_asked_for(site: Path) -> None:
    (line,) = found(site, date(2033, 1, 1))
    assert (
        line.startswith("site.yaml:")
        and "note[BF064]: Enterprise Linux 9 got its last updates in 2032-05: 3 hosts" in line
    )
    text = (site / "site.yaml").read_text()
    (site / "site.yaml").write_text(text.replace("profile: rocky9", "profile: centos7"))
    assert (bootforge("check", "--site", site).err, bootforge("check", "--site", site).status) == ("", 0)
    assert "note[BF064]: Enterprise Linux 7" in bootforge("check", "-v", "--site", site).err
