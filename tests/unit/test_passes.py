"""What passed before is not parsed again; and whatever happens to the file, a check says the same."""

from __future__ import annotations

import hashlib
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from bootforge.generation import Generation
from bootforge.lint import lint, passes, shape
from bootforge.lint.passes import LIMIT, Passes, cache_directory
from tests.sites import APP, DB, WEB, generation_with, site_with
from tests.support import ROOT, environment, verb

HOSTS = (WEB, DB, APP)
BROKEN = '{% extends "shipped/kickstart.cfg.j2" %}\n{% block security %}\nselinx\n{% endblock %}\n'


@pytest.fixture
def generation(tmp_path: Path) -> Generation:
    return generation_with(tmp_path)


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The hosts that are rendered and parsed from here on."""
    found: list[str] = []
    real = shape._lint_host
    monkeypatch.setattr(shape, "_lint_host", lambda generation, name: (found.append(name), real(generation, name))[1])
    return found


def check(generation: Generation, directory: Path | None, **how: bool) -> list[str]:
    return [problem.code for problem in lint(generation, HOSTS, passes=Passes(directory), **how)]


def test_what_passed_is_not_parsed_again(generation: Generation, tmp_path: Path, parsed: list[str]) -> None:
    directory = tmp_path / "cache" / "bootforge"
    assert check(generation, directory) == [] and sorted(parsed) == sorted(HOSTS)
    assert check(generation, directory) == [] and len(parsed) == 3
    assert check(generation, directory, exhaustive=True) == [] and len(parsed) == 6
    assert check(generation, None) == [] and len(parsed) == 9
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((directory / "passes").stat().st_mode) == 0o600
    assert [path.name for path in directory.iterdir()] == ["passes"]


def test_a_failure_is_never_kept(tmp_path: Path, parsed: list[str]) -> None:
    broken = generation_with(tmp_path, {"templates/kickstart.cfg.j2": BROKEN})
    for count in (3, 6):
        assert check(broken, tmp_path / "cache") == ["BF071"] * 3 and len(parsed) == count
    assert not (tmp_path / "cache").exists()


def test_a_pass_is_of_one_shape_with_these_templates(tmp_path: Path, parsed: list[str]) -> None:
    """What passed with the shipped template says nothing of the same hosts with another one, or with another plan."""
    assert check(generation_with(tmp_path / "a"), tmp_path / "cache") == []
    del parsed[:]
    own = {"templates/kickstart.cfg.j2": BROKEN.replace("selinx", "selinux --permissive")}
    assert check(generation_with(tmp_path / "b", own), tmp_path / "cache") == [] and len(parsed) == 3
    own["templates/kickstart.cfg.j2"] = BROKEN
    assert check(generation_with(tmp_path / "b", own), tmp_path / "cache") == ["BF071"] * 3
    del parsed[:]
    role = {"roles/db.yaml": "nics: {lan: {network: '{site}-lan'}}\npackages: [mariadb-server, dstat]\n"}
    assert check(generation_with(tmp_path / "c", role), tmp_path / "cache") == [] and parsed == [DB]


def test_a_pass_is_of_these_tools(generation: Generation, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another pykickstart, another shell or other code of ours: everything is looked at again."""
    key = Passes(None).key(generation, DB)
    assert key == Passes(None).key(generation, DB) != Passes(None).key(generation, WEB)
    for name, value in (
        ("version", lambda package: "0"),
        ("package_digest", lambda: "other"),
        ("shutil", type("other", (), {"which": staticmethod(lambda name: "/other/sh")})),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(passes, name, value)
            passes._tools.cache_clear()
            assert Passes(None).key(generation, DB) != key, name
        passes._tools.cache_clear()


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(b"\x00\xff" * 1000),
        lambda file: file.write_bytes(file.read_bytes()[:-10]),
        lambda file: file.write_bytes(b"another header\n" + file.read_bytes().partition(b"\n")[2]),
        lambda file: file.write_bytes(file.read_bytes() + b"x" * 64 + b"\n"),
        lambda file: file.write_bytes(file.read_bytes() + b"0" * (LIMIT * 65)),
        lambda file: file.chmod(0o666),
        lambda file: file.parent.chmod(0o777),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: (file.unlink(), os.mkfifo(file)),
        lambda file: (file.rename(file.with_name("away")), file.symlink_to(file.with_name("away"))),
        lambda file: (file.parent.rename(f"{file.parent}.away"), file.parent.symlink_to(f"{file.parent}.away")),
    ],
    ids=[
        "empty", "nonsense", "cut", "header", "line", "long", "writable", "writable-directory", "gone", "directory",
        "fifo", "link", "linked-directory",
    ],
)  # fmt: skip
def test_a_file_that_is_not_as_we_wrote_it_is_as_none(
    generation: Generation, tmp_path: Path, parsed: list[str], spoil: object
) -> None:
    directory = tmp_path / "cache"
    check(generation, directory)
    del parsed[:]
    spoil(directory / "passes")  # type: ignore[operator]
    assert check(generation, directory) == [] and len(parsed) == 3


def test_a_file_of_somebody_else_is_not_believed(
    generation: Generation, tmp_path: Path, parsed: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    check(generation, tmp_path / "cache")
    monkeypatch.setattr(passes.os, "geteuid", lambda: 12345)
    assert check(generation, tmp_path / "cache") == [] and len(parsed) == 6


def test_a_file_that_is_not_believed_is_written_anew(generation: Generation, tmp_path: Path) -> None:
    check(generation, tmp_path / "cache")
    whole = (tmp_path / "cache/passes").read_bytes()
    (tmp_path / "cache/passes").write_bytes(whole[:-10])
    check(generation, tmp_path / "cache")
    assert sorted((tmp_path / "cache/passes").read_bytes().splitlines()) == sorted(whole.splitlines())


def test_a_place_that_cannot_be_written_is_no_problem(generation: Generation, tmp_path: Path) -> None:
    """As root every directory can be written, but none below a file; a home on a read-only disk says EROFS."""
    (tmp_path / "file").write_text("")
    assert check(generation, tmp_path / "file" / "cache") == []
    assert check(generation, Path("/proc/bootforge")) == []
    done = verb("check", "--site", site_with(tmp_path), XDG_CACHE_HOME="/proc")
    assert (done.status, done.out, done.err) == (0, "", "")


def test_it_does_not_grow_without_end(tmp_path: Path) -> None:
    """What passed last is what stays."""
    old = [hashlib.sha256(str(number).encode()).hexdigest().encode() for number in range(LIMIT)]
    one = Passes(tmp_path)
    for key in old:
        one.add(key)
    one.save()
    two = Passes(tmp_path)
    assert old[0] in two and old[-1] in two
    new = hashlib.sha256(b"new").hexdigest().encode()
    two.add(new)
    two.save()
    lines = (tmp_path / "passes").read_bytes().splitlines()
    assert len(lines) == 1 + LIMIT and lines[1:4] == [old[0], old[-1], new]
    assert new in Passes(tmp_path) and old[-2] not in Passes(tmp_path)


def test_two_checks_at_once(tmp_path: Path) -> None:
    """Writers by the dozen: a reader always finds a whole file, and nothing of theirs is left behind."""
    keys = [hashlib.sha256(str(number).encode()).hexdigest().encode() for number in range(400)]

    def write(part: list[bytes]) -> None:
        for key in part:
            one = Passes(tmp_path)
            one.add(key)
            one.save()

    Passes(tmp_path).save()
    writers = [threading.Thread(target=write, args=(keys[number::4],)) for number in range(4)]
    for writer in writers:
        writer.start()
    seen = 0
    while any(writer.is_alive() for writer in writers):
        if (tmp_path / "passes").exists():
            lines = (tmp_path / "passes").read_bytes().split(b"\n")
            assert lines[0] == b"bootforge passes 1" and lines[-1] == b"" and set(lines[1:-1]) <= set(keys)
            seen += 1
    for writer in writers:
        writer.join()
    assert seen and [path.name for path in tmp_path.iterdir()] == ["passes"]
    assert len(passes._read(tmp_path)) > 50


def test_two_processes_check_one_site(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "bootforge", "check", "--site", str(site_with(tmp_path))]
    env = environment(XDG_CACHE_HOME=str(tmp_path / "cache"))
    both = [subprocess.Popen(command, cwd=ROOT, env=env, stderr=subprocess.PIPE) for _ in range(2)]
    assert [(one.wait(60), one.stderr.read() if one.stderr else b"") for one in both] == [(0, b""), (0, b"")]
    assert len(passes._read(tmp_path / "cache/bootforge")) == 3


def test_no_cache(tmp_path: Path) -> None:
    site = site_with(tmp_path)
    cache = tmp_path / "cache"
    assert verb("check", "--no-cache", "--site", site, XDG_CACHE_HOME=str(cache)).status == 0
    assert not cache.exists()
    assert verb("check", "--site", site, XDG_CACHE_HOME=str(cache)).status == 0
    assert (cache / "bootforge/passes").exists()


@pytest.mark.parametrize(
    "xdg,home,directory",
    [
        ("/x/cache", "/home/me", "/x/cache/bootforge"),
        ("relative", "/home/me", "/home/me/.cache/bootforge"),
        ("", "/home/me", "/home/me/.cache/bootforge"),
        ("", "", None),
        ("", "relative", None),
    ],
)
def test_where_it_is(monkeypatch: pytest.MonkeyPatch, xdg: str, home: str, directory: str | None) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", xdg)
    monkeypatch.setenv("HOME", home)
    assert cache_directory() == (Path(directory) if directory else None)
