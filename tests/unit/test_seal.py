"""Filling slots: every hostile value arrives as it is, and where a secret cannot be had nothing of it is told."""

from __future__ import annotations

import os
import shlex
import subprocess
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import bootforge.seal as seal_module
from bootforge.errors import SecretError
from bootforge.model import Artifact, Grant
from bootforge.render.slots import FILTERS, make_artifact
from bootforge.seal import Vault, seal
from bootforge.site.schema import SecretSpec
from bootforge.words import BootArg, KsCommand, KsOption, Slot
from tests.support import ROOT_HASH, need

GRANT = Grant("web01.example.com", "t" * 32, "http://192.0.2.5/i/web01.example.com/" + "t" * 32 + "/kickstart", "rev-1")

HOSTILE = (
    "plain", "two words", " leading and trailing ", "it's", '"double"', "back`tick`s", "$(id)", "${HOME}", "$6$x",
    "a;b", "a&b|c>d<e", "#comment", "a #b", "%end", "%packages", "-dash", "--iscrypted", "\\", "a\\", "\\n", "a\\'b",
    "!!", "*?[x]", "~root", "{a,b}", "=", "a=b", "'", "''", '\'"\'"\'', "@secret:other@", "@grant.token@", "@secret:",
    "@@", "{{ host | ks }}", "{% raw %}", "%(x)s", "\\x02", "ünïcödé", "日本語", "💣", "é" * 300,
)  # fmt: skip


class Fixed(Vault):
    """A vault whose secrets are given."""

    def __init__(self, **values: str) -> None:
        super().__init__({})
        self.values = values

    def get(self, name: str) -> str:
        return self.values[name]


def artifact(*parts: object, grammar: str = "ks") -> Artifact:
    """Text with slots: what is no text is written in the grammar."""
    text = "".join(part if isinstance(part, str) else FILTERS[grammar](part) for part in parts)
    return make_artifact("kickstart", "text/plain", text)


SECRET = Slot("secret:a")


# Quoting


@pytest.mark.parametrize("value", HOSTILE)
def test_a_value_is_one_word_of_a_kickstart_line(value: str) -> None:
    pykickstart = pytest.importorskip("pykickstart.parser")
    from pykickstart.version import makeVersion

    command = KsCommand("rootpw", (KsOption("--plaintext"), KsOption("", SECRET)))
    user = KsCommand("user", (KsOption("--name", "x"), KsOption("--password", SECRET)))
    text = seal(artifact(command, "\n", user, "\n"), GRANT, Fixed(a=value)).decode()
    first, second = text.splitlines()
    assert shlex.split(first, comments=True) == ["rootpw", "--plaintext", value]
    assert shlex.split(second, comments=True) == ["user", "--name=x", f"--password={value}"]
    parser = pykickstart.KickstartParser(makeVersion("RHEL9"))
    if not value.startswith("-"):  # an option's name to any parser of options: crypt hashes begin with $
        parser.readKickstartFromString(text)
        assert parser.handler.rootpw.password == value
        assert parser.handler.user.userList[0].password == value


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "busybox sh"])
def test_a_value_is_one_word_of_a_shell_line(shell: str) -> None:
    need(shell.split()[0])
    script = "".join(
        seal(artifact("printf '%s\\0' ", SECRET, "\n", grammar="sh"), GRANT, Fixed(a=value)).decode()
        for value in HOSTILE
    )
    done = subprocess.run(
        [*shell.split(), "-c", script], capture_output=True, env={"PATH": os.environ["PATH"]}, check=True
    )
    assert done.stdout.decode().split("\0")[:-1] == list(HOSTILE)


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=80))
def test_any_printable_value_is_one_word(value: str) -> None:
    if value.isprintable():
        for grammar in ("ks", "sh"):
            text = seal(artifact("x ", SECRET, " y", grammar=grammar), GRANT, Fixed(a=value)).decode()
            assert shlex.split(text) == ["x", value, "y"]


@pytest.mark.parametrize("grammar", ["ipxe", "dnsmasq"])
def test_what_a_grammar_cannot_hold_is_refused_without_a_word_of_it(grammar: str) -> None:
    values = Fixed(a="Leak$(x) `y`")
    with pytest.raises(SecretError) as caught:
        seal(artifact(SECRET, grammar=grammar), GRANT, values)
    assert "@secret:a@" in str(caught.value) and grammar in str(caught.value)
    assert "Leak" not in "".join(traceback.format_exception(caught.value))


def test_a_server_url_that_ipxe_cannot_hold_does_not_tell_the_token() -> None:
    grant = Grant(GRANT.host, GRANT.token, "http://192.0.2.5/a;b$c/i/x/" + GRANT.token, "rev")
    with pytest.raises(SecretError, match="server") as caught:
        seal(artifact(BootArg("inst.ks", Slot("grant.url")), grammar="ipxe"), grant, Fixed())
    assert GRANT.token not in "".join(traceback.format_exception(caught.value))


# Places


def test_several_slots_are_filled_at_their_places() -> None:
    token, url, revision = Slot("grant.token"), Slot("grant.url"), Slot("site.revision")
    parts = (SECRET, "é日💣 ", url, token, "\n", Slot("secret:b"), SECRET, " @secret:a@ ", revision, "\n", SECRET)
    made = artifact(*parts, grammar="sh")
    assert made.text == f"@secret:a@é日💣 {url}{token}\n@secret:b@@secret:a@ @secret:a@ {revision}\n@secret:a@"
    assert len(made.slots) == 7
    sealed = seal(made, GRANT, Fixed(a="1'1", b="long " * 100)).decode()
    one, long = shlex.quote("1'1"), shlex.quote("long " * 100)
    assert sealed == f"{one}é日💣 {GRANT.url}{GRANT.token}\n{long}{one} @secret:a@ {GRANT.revision}\n{one}"


@pytest.mark.parametrize("value", ["@secret:b@", "@grant.token@", "@secret:a@", "@grant.url@@grant.url@"])
def test_a_value_that_looks_like_a_slot_is_inert(value: str) -> None:
    made = artifact(SECRET, " ", Slot("secret:b"), " ", SECRET, grammar="sh")
    assert shlex.split(seal(made, GRANT, Fixed(a=value, b="B")).decode()) == [value, "B", value]


def test_text_without_slots_is_not_changed() -> None:
    text = "@secret:a@ @grant.url@ {{ x }} \\ % $"
    assert seal(make_artifact("x", "text/plain", text), GRANT, Fixed()) == text.encode()


def test_nothing_is_kept_in_the_artifact() -> None:
    made = artifact("x ", SECRET)
    before = (made.text, made.digest)
    seal(made, GRANT, Fixed(a="Leak"))
    assert (made.text, made.digest) == before and "Leak" not in repr(made)


# Hashes

HASHES = ("$6$", "$5$", "$y$", "$2b$", "$1$")


@pytest.mark.parametrize(
    "value",
    [
        ROOT_HASH,
        "$5$saltsalt$" + "a" * 43,
        "$y$j9T$" + "a" * 22 + "$" + "b" * 43,
        "$2b$12$" + "a" * 53,
        "$1$salt$" + "a" * 22,
    ],
)
def test_a_crypt_hash_passes(value: str) -> None:
    made = artifact(Slot("secret:a", HASHES))
    assert shlex.split(seal(made, GRANT, Fixed(a=value)).decode()) == [value]
    for hashes in (HASHES[1:], HASHES[:1] * 2):
        if not value.startswith(hashes):
            with pytest.raises(SecretError, match="a hash that the host's release cannot verify") as caught:
                seal(artifact(Slot("secret:a", hashes)), GRANT, Fixed(a=value))
            assert value not in str(caught.value) and value[-20:] not in str(caught.value)


NO_HASHES = (
    "hunter2", "", "$6$", "$6$short", "$9$saltsalt$" + "a" * 86, ROOT_HASH + " ", "x" + ROOT_HASH, "!", "*",
    "$6$a b$" + "c" * 86,
)  # fmt: skip


@pytest.mark.parametrize("value", NO_HASHES)
def test_what_is_no_crypt_hash_is_refused(value: str) -> None:
    with pytest.raises(SecretError, match="secret a is not a crypt") as caught:
        seal(artifact(Slot("secret:a", HASHES)), GRANT, Fixed(a=value))
    assert len(value) < 3 or value not in str(caught.value)


# Sources


def vault(**sources: SecretSpec) -> Vault:
    return Vault(sources)


def refusal(spec: SecretSpec) -> str:
    with pytest.raises(SecretError) as caught:
        vault(a=spec).get("a")
    text = "".join(traceback.format_exception(caught.value))
    assert "Leak" not in text, "an error told a part of a secret"
    assert "secret a" in str(caught.value)
    return str(caught.value)


def from_env(value: str | None, monkeypatch: pytest.MonkeyPatch) -> SecretSpec:
    if value is None:
        monkeypatch.delenv("BOOTFORGE_TEST_SECRET", raising=False)
    else:
        monkeypatch.setenv("BOOTFORGE_TEST_SECRET", value)
    return SecretSpec(env="BOOTFORGE_TEST_SECRET")


@pytest.mark.parametrize("value", ["x", " x ", "é", "a'b\"c", "x" * 65536])
@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_value_of_one_line_passes(value: str, end: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes((value + end).encode())
    file.chmod(0o400)
    held = vault(
        env=from_env(value + end, monkeypatch),
        file=SecretSpec(file=str(file)),
        run=SecretSpec(command=("cat", str(file))),
    )
    assert [held.get(name) for name in ("env", "file", "run")] == [value] * 3


@pytest.mark.parametrize(
    "value", ["", "\n", "\n\n", "Leak\nx", "Leak\rx", "Leak\tx", "Leak\x1b[m", "Leak\u2028", "Leak" * 20_000]
)
def test_what_is_not_one_line_is_refused(value: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(value.encode())
    file.chmod(0o600)
    sources = [SecretSpec(file=str(file)), SecretSpec(command=("cat", str(file)))]
    if len(value) < 70_000:
        sources.append(from_env(value, monkeypatch))
    for spec in sources:
        assert "is empty, or not one line of text" in refusal(spec)


@pytest.mark.parametrize(
    "content,why", [(b"Leak\0x", "one line"), (b"Leak\xff", "UTF-8"), (b"\xfe\xff\0L\0e", "UTF-8")]
)
def test_bytes_that_are_no_text_are_refused(content: bytes, why: str, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(content)
    file.chmod(0o600)
    assert why in refusal(SecretSpec(command=("cat", str(file))))
    assert "secret a" in refusal(SecretSpec(file=str(file)))


def test_a_variable_that_is_not_set_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "BOOTFORGE_TEST_SECRET is not in the environment" in refusal(from_env(None, monkeypatch))


def test_a_secret_that_is_not_declared_is_named() -> None:
    with pytest.raises(SecretError, match="no secret a"):
        vault().get("a")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o602, 0o601, 0o777])
def test_a_file_that_others_may_touch_is_refused(mode: int, tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("Leak")
    file.chmod(mode)
    said = refusal(SecretSpec(file=str(file)))
    assert "only the server can read" in said and f"chmod 600 {file}" in said


def test_a_file_of_somebody_else_is_refused(tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("only root can give files away")
    file = tmp_path / "secret"
    file.write_text("Leak")
    file.chmod(0o600)
    os.chown(file, 65534, 65534)
    assert "only the server can read" in refusal(SecretSpec(file=str(file)))


def special_files(root: Path) -> Iterator[str]:
    os.mkfifo(root / "fifo", 0o600)
    (root / "directory").mkdir(mode=0o700)
    (root / "dangling").symlink_to("nowhere")
    (root / "loop").symlink_to("loop")
    (root / "file").write_text("x")
    yield from (str(root / name) for name in ("fifo", "directory", "dangling", "loop", "missing", "file/below"))
    yield from ("/dev/zero", "/dev/null", "/proc/self/mem", "relative/path")


def test_what_is_no_file_is_refused_and_closed(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for file in special_files(tmp_path):
        said: list[str] = []
        thread = threading.Thread(target=lambda file=file, said=said: said.append(refusal(SecretSpec(file=file))))  # type: ignore[misc]
        thread.daemon = True
        thread.start()
        thread.join(5)
        assert said, f"{file} is no secret, or blocks"
    assert len(os.listdir("/proc/self/fd")) == before


def test_a_link_to_a_good_file_is_followed(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("x\n")
    file.chmod(0o600)
    (tmp_path / "link").symlink_to(file)
    assert vault(a=SecretSpec(file=str(tmp_path / "link"))).get("a") == "x"


def test_a_command_that_fails_does_not_tell_what_it_printed(tmp_path: Path) -> None:
    assert "failed with status 3" in refusal(SecretSpec(command=("sh", "-c", "echo Leak; echo Leak >&2; exit 3")))
    assert "failed with status -9" in refusal(SecretSpec(command=("sh", "-c", "echo Leak; kill -9 $$")))
    assert "did not run" in refusal(SecretSpec(command=(str(tmp_path / "nothing"),)))
    assert "did not run" in refusal(SecretSpec(command=(str(tmp_path),)))
    (tmp_path / "text").write_text("no program")
    assert "did not run" in refusal(SecretSpec(command=(str(tmp_path / "text"),)))


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seal_module, "_TIMEOUT", 0.3)
    start = time.monotonic()
    assert "did not run" in refusal(SecretSpec(command=("sh", "-c", "echo Leak; exec sleep 30")))
    assert time.monotonic() - start < 3


def test_a_command_is_run_without_shell_input_or_place() -> None:
    assert vault(a=SecretSpec(command=("echo", "$(id)", "; ls"))).get("a") == "$(id) ; ls"
    reading, writing = os.pipe()
    os.write(writing, b"what the operator types")
    os.close(writing)
    ours = os.dup(0)
    os.dup2(reading, 0)
    try:
        assert vault(a=SecretSpec(command=("sh", "-c", "pwd; cat"))).get("a") == "/"
    finally:
        os.dup2(ours, 0)
        os.close(ours)
        os.close(reading)


# The cache


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def counted(tmp_path: Path) -> tuple[SecretSpec, Callable[[], int]]:
    """A command, and how often it ran; it fails while there is a file 'fail'."""
    runs, fail = tmp_path / "runs", tmp_path / "fail"
    script = f"echo x >>{runs}; [ ! -e {fail} ] || exit 7; echo value"
    return SecretSpec(command=("sh", "-c", script)), lambda: len(runs.read_text().split()) if runs.exists() else 0


def test_a_value_is_kept_for_a_minute(counted: tuple[SecretSpec, Callable[[], int]]) -> None:
    spec, count = counted
    clock = Clock()
    held = Vault({"a": spec}, clock)
    for now, runs in ((1000, 1), (1001, 1), (1059, 1), (1061, 2), (1062, 2)):
        clock.now = now
        assert (held.get("a"), count()) == ("value", runs)
    assert Vault({"a": spec}, clock).get("a") == "value" and count() == 3, "a new vault knows nothing"


def test_a_failure_is_kept_for_seconds(counted: tuple[SecretSpec, Callable[[], int]], tmp_path: Path) -> None:
    spec, count = counted
    clock = Clock()
    held = Vault({"a": spec}, clock)
    (tmp_path / "fail").touch()
    messages = set()
    for now, runs in ((1000, 1), (1001, 1), (1004, 1), (1006, 2)):
        clock.now = now
        with pytest.raises(SecretError) as caught:
            held.get("a")
        messages.add(str(caught.value))
        assert count() == runs
    assert len(messages) == 1
    (tmp_path / "fail").unlink()
    clock.now = 1012
    assert (held.get("a"), count()) == ("value", 3)


def test_a_rack_that_asks_at_once_runs_a_command_once(counted: tuple[SecretSpec, Callable[[], int]]) -> None:
    spec, count = counted
    held = vault(a=spec)
    threads = [threading.Thread(target=held.get, args=("a",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count() == 1


def test_a_slow_secret_does_not_keep_another_waiting() -> None:
    held = vault(slow=SecretSpec(command=("sh", "-c", "sleep 1; echo x")), quick=SecretSpec(command=("echo", "y")))
    thread = threading.Thread(target=held.get, args=("slow",))
    thread.start()
    time.sleep(0.1)
    start = time.monotonic()
    assert held.get("quick") == "y" and time.monotonic() - start < 0.7
    thread.join()


def test_a_vault_shows_names_only(monkeypatch: pytest.MonkeyPatch) -> None:
    held = vault(a=from_env("Leak", monkeypatch))
    held.get("a")
    assert str(held) == repr(held) == "Vault(a)"


def test_the_disks_that_may_be_wiped_are_one_word_of_the_script() -> None:
    """Without any, an empty word."""
    slotted = artifact("wipe=", Slot("grant.wipe"), "\n", grammar="sh")
    assert seal(slotted, GRANT, Fixed()) == b"wipe=''\n"
    assert seal(slotted, replace(GRANT, wipe=("a", "b")), Fixed()) == b"wipe=a,b\n"
