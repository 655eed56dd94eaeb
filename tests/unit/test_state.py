"""The key beside the store: made once, closed to others, never shown."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bootforge.errors import UsageError
from bootforge.serve.keeper import Keeper
from bootforge.serve.source import Source
from bootforge.state import ServerKey, default_store, server_key, state_dir
from tests.support import ROOT, SMALL, environment


def url(root: Path) -> str:
    return f"sqlite:///{root}/state/store.db"


def test_a_key_is_made_once_and_closed_to_others(tmp_path: Path) -> None:
    first = server_key(url(tmp_path))
    key = tmp_path / "state" / "key"
    assert len(first.secret) == 32 and key.read_bytes() == first.secret
    assert (key.stat().st_mode & 0o777, key.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert server_key(url(tmp_path)) == first
    assert [path.name for path in key.parent.iterdir()] == ["key"]
    assert server_key(url(tmp_path / "other")).secret != first.secret


def test_a_token_is_the_same_whenever_it_is_needed_and_for_one_grant_only() -> None:
    key = ServerKey(b"k" * 32)
    assert key.token("a") == key.token("a") == ServerKey(b"k" * 32).token("a")
    assert len({key.token("a"), key.token("b"), key.token(""), ServerKey(b"l" * 32).token("a")}) == 4
    assert all(len(key.token(id)) == 32 and int(key.token(id), 16) >= 0 for id in ("a", "b" * 1000))


def test_a_key_is_never_shown() -> None:
    assert repr(ServerKey(b"secret" * 5 + b"xx")) == "ServerKey()"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604])
def test_a_key_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    server_key(url(tmp_path))
    (tmp_path / "state" / "key").chmod(mode)
    with pytest.raises(UsageError, match="can be read by others.*chmod 600"):
        server_key(url(tmp_path))


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_what_is_no_key_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "key").write_bytes(content)
    (tmp_path / "state" / "key").chmod(0o600)
    with pytest.raises(UsageError, match="is not a key"):
        server_key(url(tmp_path))


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for store in (f"sqlite:///{tmp_path}/file/store.db", "sqlite:////proc/none/store.db"):
        with pytest.raises(UsageError, match="--store"):
            state_dir(store)


@pytest.mark.parametrize("store", ["postgresql://user:hunter2@db/boot", "sqlite://", "", "x", "sqlite:/x/y"])
def test_what_is_no_url_of_sqlite_is_refused_without_its_password(store: str) -> None:
    with pytest.raises(UsageError) as caught:
        state_dir(store)
    assert "hunter2" not in str(caught.value)


def test_processes_that_start_together_have_one_key(tmp_path: Path) -> None:
    code = """
import os, sys, time
from bootforge.state import server_key
start = time.time() + 0.2
for _ in range(24):
    if not os.fork():
        while time.time() < start:
            pass
        os.write(1, server_key(sys.argv[1]).secret.hex().encode() + b"\\n")
        os._exit(0)
for _ in range(24):
    os.wait()
"""
    for round in range(3):
        store = url(tmp_path / str(round))
        done = subprocess.run(
            [sys.executable, "-c", code, store], capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60
        )
        keys = done.stdout.split()
        assert len(keys) == 24 and len(set(keys)) == 1 and len(keys[0]) == 64, done.stderr
        assert [path.name for path in (tmp_path / str(round) / "state").iterdir()] == ["key"]


def test_the_default_store_is_where_the_user_may_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("XDG_STATE_HOME", "/home/x/state")
    assert default_store() == "sqlite:////home/x/state/bootforge/store.db"
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert default_store() == "sqlite:////var/lib/bootforge/store.db"


def test_the_keeper_replaces_nothing_but_its_own_name(tmp_path: Path) -> None:
    """Given anything else than a directory of its own it keeps no copy, and leaves the thing as it is."""
    target = tmp_path / "device"
    target.write_bytes(b"left alone")
    Keeper(Source(SMALL), target)
    assert target.read_bytes() == b"left alone" and [*tmp_path.iterdir()] == [target]
    (tmp_path / "state").mkdir()
    Keeper(Source(SMALL), tmp_path / "state")
    assert (tmp_path / "state/last-good/site.yaml").is_file()
