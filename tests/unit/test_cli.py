"""The command line as a contract: exit codes, help, JSON, selections, and what a script or a terminal relies on."""

from __future__ import annotations

import importlib
import json
import os
import pty
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from bootforge.cli import SUMMARIES, VERBS, artifacts
from bootforge.errors import Exit
from tests.bench.fleet_site import write_fleet
from tests.sites import site_with
from tests.support import ROOT, SMALL, Done, bootforge, environment, heed_interrupts, verb, write_site
from tests.verbs import commands

WEB, DB, APP = "web01.prod.den.example.com", "db01.prod.den.example.com", "app01.qa.den.example.com"
HEAVY = ("pydantic", "yaml", "jinja2", "flask", "sqlalchemy", "pykickstart", "rich", "gunicorn", "alembic")


@pytest.fixture
def store(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'state' / 'store.db'}"


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """The example site, to be changed."""
    return Path(shutil.copytree(SMALL, tmp_path / "site"))


def run(*args: str | Path, store: str = "", **env: str) -> Done:
    """A verb on the example site."""
    return verb(*args, **{"BOOTFORGE_SITE": str(SMALL), **({"BOOTFORGE_STORE": store} if store else {}), **env})


# Exit codes


CODES: tuple[tuple[int, str, tuple[str, ...]], ...] = (
    (0, "", ("--version",)),
    (0, "", ("--help",)),
    (0, "", ("-h",)),
    (0, "", ("hosts",)),
    (0, "", ("check",)),
    (0, "", ("check", WEB, "role_db")),
    (0, "", ("show", WEB)),
    (0, "", ("explain", WEB, "timezone")),
    (0, "", ("render", WEB)),
    (0, "", ("render", WEB, "kickstart")),
    (0, "", ("dhcp", "dnsmasq")),
    (0, "", ("dhcp", "kea")),
    (0, "", ("dhcp", "isc")),
    (2, "cannot answer beside", ("dhcp", "kea", "--mode", "proxy")),
    (0, "", ("domain", APP)),
    (0, "", ("domain", APP, "--for", "libvirt-xen", "--phase", "install")),
    (3, "is a guest of Xen, which libvirt-kvm cannot have", ("domain", APP, "--for", "libvirt-kvm")),
    (2, "'vmware' is not one of", ("domain", APP, "--for", "vmware")),
    (0, "", ("status",)),
    (0, "", ("events",)),
    (2, "Usage:", ()),
    (2, "No such command", ("nonsense",)),
    (2, "No such option", ("hosts", "--nonsense")),
    (2, "Missing argument", ("show",)),
    (2, "Missing argument", ("arm",)),
    (2, "Missing argument", ("disarm",)),
    (2, "unexpected extra argument", ("show", WEB, DB)),
    (2, "is not a site", ("hosts", "--site", "/nowhere")),
    (2, "is not a site", ("check", "--site", "/nowhere")),
    (2, "neither a host nor a class expression", ("hosts", "&&")),
    (2, "neither a host nor a class expression", ("check", "role_web &")),
    (2, "render takes HOST", ("render",)),
    (2, "render takes HOST", ("render", WEB, "--all", "-o", "/tmp/x")),
    (2, "render takes HOST", ("render", "--all")),
    (2, "Invalid value", ("show", WEB, "--stage", "nonsense")),
    (2, "Invalid value", ("check", "--format", "xml")),
    (2, "is not a length of time", ("arm", WEB, "--ttl", "soon")),
    (2, "is not a length of time", ("arm", WEB, "--ttl", "0s")),
    (2, "is not a length of time", ("arm", WEB, "--ttl", "-1h")),
    (2, "Invalid value", ("serve", "--http-port", "65536")),
    (2, "is not empty", ("init", str(SMALL))),
    (2, "cannot be written", ("init", "/proc/nowhere/site")),
    (2, "Invalid value", ("dhcp", "named")),
    (2, "give another --store", ("events", "--store", "sqlite:////proc/nowhere/store.db")),
    (2, "write sqlite:///", ("events", "--store", "mysql://user:hunter2@host/x")),
    (2, "write sqlite:///", ("arm", WEB, "--store", "postgresql://user:hunter2@127.0.0.1:1/x")),
    (3, "no host", ("show", "web02.prod.den.example.com")),
    (3, "did you mean 'web01.prod.den.example.com'", ("show", "web1.prod.den.example.com")),
    (3, "no host", ("hosts", "mail*")),
    (3, "there is no class 'role_mail'", ("hosts", "role_mail")),
    (3, "no host", ("hosts", WEB, "nonsense.example.com")),
    (3, "no host", ("check", "role_web & role_db")),
    (3, "no host", ("arm", "nonsense.example.com")),
    (3, "no host", ("arm", "web*", "mail*")),
    (3, "no host", ("status", "nonsense.example.com")),
    (3, "no artifact 'kickstrat'", ("render", WEB, "kickstrat")),
    (3, "nothing says anything about 'tymezone'", ("explain", WEB, "tymezone")),
    (3, "is not a virtual machine", ("domain", WEB)),
    (3, "has reported nothing", ("log", WEB)),
    (3, "has reported nothing named 'x'", ("log", WEB, "x")),
    (3, "has reported no run", ("log", WEB, "--runs")),
    (2, "--runs lists all runs", ("log", WEB, "x", "--runs")),
)


@pytest.mark.parametrize("code,words,args", CODES, ids=[" ".join(map(str, args))[:60] or "-" for _, _, args in CODES])
def test_exit_codes(code: int, words: str, args: tuple[str, ...], store: str) -> None:
    done = run(*args, store=store)
    assert done.status == code, done
    assert words in done.err if code else not done.err or done.out == ""
    assert code == 0 or done.out == "", "what went wrong is talk"
    assert "Traceback" not in done.err and "hunter2" not in done.err
    for line in done.err.splitlines() if code == 2 else ():
        assert line == line.rstrip()


def test_an_invalid_site_is_2_and_tells_every_problem(site: Path) -> None:
    write_site(site, {"roles/web.yaml": "nics: {lan: {network: lan}}\npakcages: [x]\n", "roles/db.yaml": "vm: [x]\n"})
    for args in (("hosts",), ("show", WEB), ("render", WEB), ("arm", WEB), ("check",)):
        done = verb(*args, "--site", site)
        assert (done.status, done.out) == (Exit.USAGE, "")
        assert "roles/db.yaml:1:5: error[BF013]" in done.err and "roles/web.yaml:2:1: error[BF012]" in done.err


def test_what_cannot_be_rendered_is_4(site: Path) -> None:
    template = '{% extends "shipped/kickstart.cfg.j2" %}{% block access %}{{ nobody | ks }}{% endblock %}'
    write_site(site, {"templates/kickstart.cfg.j2": template})
    done = verb("render", "web01.prod.den.example.com", "kickstart", "--site", site)
    assert (done.status, done.out) == (Exit.RENDER, "")
    assert "nobody" in done.err and "correct the template" in done.err


def test_a_crash_is_70_and_tells_where(monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: object) -> None:
        raise RuntimeError("planted")

    monkeypatch.setattr("bootforge.cli.options.load", crash)
    done = run("hosts")
    assert (done.status, done.out) == (Exit.CRASH, "")
    assert "RuntimeError: planted" in done.err and "please report it" in done.err


def test_a_locked_store_is_75(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("arm", WEB, store=store).status == 0
    monkeypatch.setattr("bootforge.store.database.BUSY", 0.2)
    with sqlite3.connect(store.removeprefix("sqlite:///"), isolation_level=None) as other:
        other.execute("BEGIN IMMEDIATE")
        done = run("arm", WEB, store=store)
        other.execute("ROLLBACK")
    other.close()
    assert (done.status, done.out) == (Exit.LOCKED, "") and "try again" in done.err
    assert run("arm", WEB, store=store).status == 0


def test_an_interrupt_is_130(store: str) -> None:
    env = environment(BOOTFORGE_SITE=str(SMALL), BOOTFORGE_STORE=store)
    command = [sys.executable, "-m", "bootforge", "status", "--watch"]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe, env=env, cwd=ROOT, preexec_fn=heed_interrupts) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b"host")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=20)
    assert process.returncode == Exit.INTERRUPTED and b"Traceback" not in err


def test_the_table_of_codes_is_told_in_the_help() -> None:
    told = " ".join(run("--help").out.split())
    for code in (code for code in Exit if code != Exit.PENDING):
        assert f"{int(code)} " in told, code


# Help


@pytest.mark.parametrize("word", commands())
def test_help_tells_every_option(word: str) -> None:
    command = commands()[word]
    assert command.help
    done = run(*word.split(), "--help")
    assert (done.status, done.err) == (0, "")
    shown = " ".join(done.out.split())
    for param in command.params:
        if isinstance(param, click.Option):
            assert all(option in shown for option in param.opts), param.opts
            assert param.help and " ".join(param.help.split()) in shown, f"{param.opts} has no help"
        else:
            choices = "{" + "|".join(getattr(param.type, "choices", ())) + "}"
            assert (param.metavar or str(param.name).upper()) in shown or choices in shown
    assert done.out.splitlines()[0].startswith(f"Usage: bootforge {word} ")


def test_every_verb_is_what_it_says() -> None:
    assert list(SUMMARIES) == list(VERBS)
    shown = run("--help").out
    for word, place in VERBS.items():
        module, _, function = place.partition(":")
        command = getattr(importlib.import_module(f"bootforge.cli.{module}"), function)
        assert command.name == word
        assert re.search(rf"^  {word} +{re.escape(SUMMARIES[word])}$", shown, re.M)
    for word, command in commands().items():
        options = {option for param in command.params for option in param.opts}
        assert "--verbose" in options
        assert "--site" in options or word in NEED_NO_SITE


NEED_NO_SITE = (
    "init",
    "schema",
    "media add",
    "media list",
    "media verify",
    "repo probe",
    "loaders add",
    "loaders remove",
)


def test_help_and_version_import_nothing_heavy() -> None:
    calls = [
        ["--help"],
        ["--version"],
        [],
        ["nonsense"],
        *([*word.split(), "--help"] for word in [*VERBS, *commands()]),
    ]
    code = f"""
import sys
from bootforge.cli import main
for call in {calls!r}:
    try:
        main(call)
    except SystemExit:
        pass
    for name in {HEAVY!r}:
        if name in sys.modules:
            sys.exit(f"{{call}} imports {{name}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment())
    assert done.returncode == 0, done.stderr[-500:]


def test_help_is_quick() -> None:
    def best(*args: str) -> float:
        times = []
        for _ in range(3):
            start = time.monotonic()
            subprocess.run([sys.executable, *args], stdout=subprocess.DEVNULL, cwd=ROOT, env=environment(), check=True)
            times.append(time.monotonic() - start)
        return min(times)

    base = best("-c", "import click")
    for args in (("--help",), ("--version",), ("arm", "--help")):
        assert best("-m", "bootforge", *args) < 3 * base + 0.2, args


# JSON


def test_json_of_hosts() -> None:
    rows = run("hosts", "--json").json
    keys = ["name", "profile", "release", "roles", "classes", "mac", "address", "virt"]
    keys += ["hardware", "state", "aliases", "labels"]
    assert [list(row) for row in rows] == [keys] * 3
    assert rows[0] == {
        "name": APP,
        "profile": "rocky9",
        "release": "el9",
        "roles": ["app"],
        "classes": [
            *("domain_den_example_com", "domain_example_com", "domain_qa_den_example_com"),
            *("el9", "env_qa", "net_den_lan", "role_app", "site_den", "virt_xen", "x86_64"),
        ],
        "mac": "00:16:3e:12:34:70",
        "address": "10.2.0.41",
        "virt": "xen",
        "hardware": None,
        "state": "active",
        "aliases": [],
        "labels": {},
    }


def test_json_of_what_shows_a_host() -> None:
    shown = run("show", WEB, "--json").json
    assert shown["name"] == WEB and shown["root_password"] == "root_hash" and shown["packages"] == [
        "@^minimal-environment", "httpd", "mod_ssl",
    ]  # fmt: skip
    plan = run("show", WEB, "--stage", "plan", "--json").json
    assert plan["host"] == WEB and plan["nics"][0]["mac"] == "00:14:4f:12:34:50"
    listed = run("show", WEB, "--stage", "artifacts", "--json").json
    rendered = run("render", WEB, "--json").json
    assert [row["name"] for row in listed] == [row["name"] for row in rendered]
    assert {tuple(row) for row in rendered} == {("name", "media_type", "bytes", "digest")}
    assert "@secret:root_hash@" in next(row for row in listed if row["name"] == "kickstart")["slots"]
    one = run("render", WEB, "kickstart", "--json").json
    assert one["text"] == run("render", WEB, "kickstart").out
    explained = run("explain", WEB, "timezone", "--json").json
    assert explained["timezone"]["value"] == "America/Denver"
    assert list(explained["timezone"]["trail"][0]) == ["value", "op", "layer", "file", "line"]


def test_json_of_the_store(store: str) -> None:
    assert run("events", "--json", store=store).json == []
    armed = run("arm", WEB, DB, "--why", "a test", "--json", store=store).json
    assert [list(row) for row in armed] == [["host", "expires", "path", "url", "wipe"]] * 2
    assert armed[0]["url"] == f"http://10.2.0.5{armed[0]['path']}"
    rows = run("status", "--json", store=store).json
    keys = ["host", "state", "since", "deadline", "why", "armed_by", "wipe"]
    assert [list(row)[:7] for row in rows] == [keys] * 3
    assert {row["host"]: (row["state"], row["why"]) for row in rows} == {
        APP: ("idle", ""),
        DB: ("armed", "a test"),
        WEB: ("armed", "a test"),
    }
    (first, *_) = run("events", "--json", store=store).json
    assert set(first) >= {"id", "at", "last", "count", "kind", "host", "mac", "address", "detail"}
    assert run("events", DB, "--json", store=store).json[0]["host"] == DB
    assert run("disarm", "env_prod", "--json", store=store).json == [DB, WEB]
    assert run("disarm", "env_prod", "--json", store=store).json == []


def test_wipe_takes_the_names_of_the_hosts_disks(store: str) -> None:
    (armed,) = run("arm", WEB, "--wipe", "system", "--json", store=store).json
    assert armed["wipe"] == ["system"]
    (row,) = run("status", WEB, "--json", store=store).json
    assert row["wipe"] == ["system"]
    assert "system" in run("status", WEB, store=store).out
    refused = run("arm", WEB, "--wipe", "sytem", store=store)
    assert refused.status == Exit.USAGE and "has no disk 'sytem'" in refused.err and "'system'" in refused.err
    assert run("arm", WEB, "--wipe", "all", "--json", store=store).json[0]["wipe"] == ["all"]


def test_check_in_every_form(site: Path) -> None:
    assert verb("check", "--site", site, "--format", "json").json == []
    assert verb("check", "--site", site, "--format", "github").out == ""
    name = "hosts/a,b:c.yaml"
    write_site(site, {name: "web09.qa.den.example.com:\n  'a%b': 1\n  nics: {lan: {mac: 00:14:4f:12:34:99}}\n"})
    text, github, json_ = (verb("check", "--site", site, "--format", form) for form in ("text", "github", "json"))
    assert {done.status for done in (text, github, json_)} == {Exit.USAGE}
    assert text.out == "" and f"{name}:2:3: error[BF012]" in text.err
    assert "      'a%b': 1\n      ^\n" in text.err and "1 errors, 0 warnings" in text.err
    (line,) = github.out.splitlines()
    assert line.startswith("::error file=hosts/a%2Cb%3Ac.yaml,line=2,col=3,title=BF012::") and "'a%25b'" in line
    (problem,) = json_.json
    assert list(problem) == ["file", "line", "col", "code", "severity", "message", "hint", "host"]
    assert (problem["file"], problem["line"], problem["col"], problem["code"]) == (name, 2, 3, "BF012")


def test_check_of_hosts_finds_only_theirs(site: Path) -> None:
    text = (site / "site.yaml").read_text()
    no_login = "".join(line for line in text.splitlines(True) if "root_password" not in line and "ops.pub" not in line)
    write_site(site, {"site.yaml": no_login})
    everything = verb("check", "--site", site)
    assert everything.status == 0 and everything.err.count("warning[BF060]") == 3
    write_site(
        site, {"roles/db.yaml": (site / "roles/db.yaml").read_text() + "authorized_keys: {root: [keys/ops.pub]}\n"}
    )
    assert "warning[BF060]" not in verb("check", "role_db", "--site", site).err
    assert verb("check", "role_web", "--site", site).err.count("warning[BF060]") == 1


# Selections


@pytest.mark.parametrize(
    "words,expected",
    [
        ([], [APP, DB, WEB]),
        ([WEB], [WEB]),
        ([WEB, WEB, "web*"], [WEB]),
        ([WEB, APP], [APP, WEB]),
        (["web*"], [WEB]),
        (["*01.prod.*"], [DB, WEB]),
        (["[ad]*"], [APP, DB]),
        (["role_web"], [WEB]),
        (["env_prod & !role_web"], [DB]),
        (["role_db | virt_xen"], [APP, DB]),
        (["(role_db | role_app) & env_qa"], [APP]),
        (["el9"], [APP, DB, WEB]),
        (["role_web", "a*"], [APP, WEB]),
    ],
)
def test_hosts_are_names_globs_or_class_expressions(words: list[str], expected: list[str]) -> None:
    assert [row["name"] for row in run("hosts", *words, "--json").json] == expected


def test_nothing_is_armed_when_a_word_names_nobody(store: str) -> None:
    assert run("arm", WEB, "mail*", store=store).status == Exit.NOT_FOUND
    assert run("events", "--json", store=store).json == []


def test_a_host_that_is_armed_can_be_disarmed_while_the_site_is_broken(site: Path, store: str) -> None:
    assert verb("arm", WEB, "--site", site, "--store", store).status == 0
    write_site(site, {"roles/web.yaml": "broken"})
    assert verb("status", WEB, "--site", site, "--store", store, "--json").json[0]["state"] == "armed"
    done = verb("disarm", WEB, "--site", site, "--store", store)
    assert (done.status, done.out) == (0, f"{WEB}\n")
    assert verb("status", WEB, "--site", site, "--store", store, "--json").json[0]["state"] == "disarmed"
    assert verb("disarm", DB, "--site", site, "--store", store).status == Exit.USAGE


# Output


def tree(root: Path) -> dict[str, tuple[int, int, bytes]]:
    return {
        str(path.relative_to(root)): (path.stat().st_ino, path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def test_render_all_writes_what_changed_and_nothing_else(site: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = verb("render", "--all", "-o", out, "--site", site)
    assert (first.status, first.out) == (0, "") and first.err == "3 hosts, 21 files written\n"
    before = tree(out)
    names = ("bootstrap", "grub", "ipxe", "kickstart", "pxelinux")
    definitions = [f"{APP}/{tool}{end}" for tool in ("xl", "xm", "libvirt-xen") for end in ("", "-install")]
    assert sorted(before) == sorted([*(f"{host}/{name}" for host in (APP, DB, WEB) for name in names), *definitions])
    assert before[f"{WEB}/kickstart"][2].decode() == verb("render", WEB, "kickstart", "--site", site).out
    assert (out / WEB / "kickstart").stat().st_mode & 0o777 == 0o644

    again = verb("render", "--all", "-o", out, "--site", site)
    assert again.err == "3 hosts, 0 files written\n" and tree(out) == before

    (out / WEB / "ipxe").unlink()
    text = (site / "hosts/den.yaml").read_text().replace("0911QAZ4711", "0911QAZ4712")
    write_site(
        site,
        {"hosts/den.yaml": text, "roles/db.yaml": (site / "roles/db.yaml").read_text() + "timezone: Europe/Berlin\n"},
    )
    changed = verb("render", "--all", "-o", out, "--site", site)
    after = tree(out)
    different = {name for name in after if after[name] != before[name]}
    assert different == {f"{WEB}/ipxe", f"{DB}/kickstart", f"{DB}/bootstrap"}, changed.err
    assert after[f"{DB}/kickstart"][0] != before[f"{DB}/kickstart"][0], "a reader of the old file has the old one"


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    assert run("render", "--all", "-o", out).status == 0
    (out / WEB / "kickstart").write_text("old")
    before = tree(out)

    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(artifacts.os, "replace", fail)
    done = run("render", "--all", "-o", out)
    assert (done.status, done.out) == (Exit.USAGE, "") and "No space left on device" in done.err
    assert tree(out) == before, "nothing of it was left behind"


def test_render_into_what_is_no_directory_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run("render", "--all", "-o", tmp_path / "file" / "below")
    assert done.status == Exit.USAGE and "Traceback" not in done.err


VERBS_THAT_PRINT = (("hosts",), ("hosts", "--json"), ("show", WEB), ("render", WEB, "kickstart"), ("dhcp", "dnsmasq"))


def piped(args: tuple[str, ...], stdout: int) -> tuple[int, str]:
    env = environment(BOOTFORGE_SITE=str(SMALL))
    command = [sys.executable, "-m", "bootforge", *args]
    done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env, cwd=ROOT, timeout=60)
    return done.returncode, done.stderr


@pytest.mark.parametrize("args", VERBS_THAT_PRINT[::2])
def test_a_reader_that_had_enough_is_no_failure(args: tuple[str, ...]) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        assert piped(args, writing) == (0, "")
    finally:
        os.close(writing)


@pytest.mark.parametrize("args", VERBS_THAT_PRINT[1::2])
def test_an_output_that_is_full_is_told(args: tuple[str, ...]) -> None:
    with open("/dev/full", "wb") as full:
        status, told = piped(args, full.fileno())
    assert (status, told) == (Exit.CRASH, "bootforge: the output cannot be written: No space left on device\n")


def terminal(args: tuple[str, ...], **env: str) -> str:
    """What a verb prints on a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "bootforge", *args],
        stdout=theirs,
        stderr=theirs,
        env=environment(BOOTFORGE_SITE=str(SMALL), COLUMNS="80", TERM="xterm", **env),
        cwd=ROOT,
    )
    os.close(theirs)
    shown = b""
    try:
        while more := os.read(ours, 65536):
            shown += more
    except OSError:  # the other end was closed
        pass
    os.close(ours)
    assert process.wait() == 0, shown
    return shown.decode()


def test_a_terminal_gets_whole_cells(store: str) -> None:
    shown = terminal(("arm", WEB), BOOTFORGE_STORE=store)
    assert re.search(rf"http://10.2.0.5/i/{WEB}/[0-9a-f]{{32}}/kickstart", shown) and "…" not in shown
    assert WEB in shown


def test_a_table_in_a_pipe_is_plain() -> None:
    done = run("hosts")
    assert "\x1b" not in done.out and "…" not in done.out
    assert all(name in done.out for name in (WEB, DB, APP, "00:16:3e:12:34:70"))


def test_verbose_is_talk(store: str) -> None:
    for args in (("hosts", "--json"), ("events", "--json"), ("arm", WEB, "--json")):
        assert json.loads(run(*args, "-v", store=store).out) is not None


# Completion


def completed(words: str, shell: str = "bash", **env: str) -> list[str]:
    number = len(words.split()) - (not words.endswith(" "))
    done = verb(
        **{f"_BOOTFORGE_COMPLETE": f"{shell}_complete", "COMP_WORDS": words, "COMP_CWORD": str(number), **env}  # noqa: F541
    )
    assert done.err == "" and done.status == 0, done
    return done.out.split()


@pytest.mark.parametrize(
    "words,expected",
    [
        ("bootforge show w", [WEB]),
        ("bootforge show ", [APP, DB, WEB]),
        ("bootforge hosts a", [APP]),
        ("bootforge arm web01.prod.den.example.com d", [DB]),
        ("bootforge render d", [DB]),
        ("bootforge events x", []),
        ("bootforge sh", ["show"]),
        ("bootforge disa", ["disarm"]),
        ("bootforge show web01.prod.den.example.com --st", ["--stage"]),
        ("bootforge show --stage p", ["plan"]),
        ("bootforge check --format g", ["github"]),
    ],
)
def test_completion(words: str, expected: list[str]) -> None:
    assert completed(words, BOOTFORGE_SITE=str(SMALL)) == [f"plain,{word}" for word in expected]


def test_completion_knows_the_site_option_and_survives_a_broken_one(site: Path) -> None:
    assert completed(f"bootforge show --site {site} w") == [f"plain,{WEB}"]
    write_site(site, {"roles/web.yaml": "broken"})
    assert completed(f"bootforge show --site {site} w") == []
    assert completed("bootforge show w", BOOTFORGE_SITE="/nowhere") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_can_be_switched_on(shell: str) -> None:
    done = verb(_BOOTFORGE_COMPLETE=f"{shell}_source")
    assert done.status == 0 and "_BOOTFORGE_COMPLETE" in done.out


# Beginning


def test_init_writes_a_site_that_passes_check(tmp_path: Path) -> None:
    made = tmp_path / "new" / "site"
    done = verb("init", made)
    assert (done.status, done.out) == (0, "") and f"bootforge check --site {made}" in done.err
    assert verb("check", "--site", made).err == ""
    assert [row["name"] for row in verb("hosts", "--site", made, "--json").json] == [
        "web01.prod.example.com",
        "web02.prod.example.com",
    ]
    assert verb("init", made).status == Exit.USAGE


def test_the_command_that_is_installed_is_this_one() -> None:
    done = bootforge("--version")
    assert done.status == 0 and done.out == run("--version").out
    installed = Path(sys.executable).with_name("bootforge")
    assert subprocess.run([installed, "--version"], capture_output=True, text=True, cwd=ROOT).stdout == done.out


@pytest.fixture(autouse=True)
def _columns(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("COLUMNS", raising=False)
    yield


def test_check_shows_no_more_than_a_terminal_takes(tmp_path: Path) -> None:
    """A thousand problems are counted and not all shown; JSON and GitHub have each. A line of a megabyte is cut."""
    hosts = "".join(f"h{number}: x\n" for number in range(1000)) + "x: " + "y" * 1_000_000 + "\n"
    site = site_with(tmp_path, {"hosts/den.yaml": hosts})
    text, data, github = (verb("check", "--site", site, "--format", form) for form in ("text", "json", "github"))
    assert (text.status, data.status, github.status) == (2, 2, 2)
    assert len(text.err) < 60_000 and "\n... and 801 more; '--format json' has them all\n1001 errors" in text.err
    assert len(data.json) == len(github.out.splitlines()) == 1001


# Many hosts


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_fleet(tmp_path_factory.mktemp("fleet"), 230)


def test_render_all_in_many_processes_writes_the_same(fleet: Path, tmp_path: Path) -> None:
    """The same bytes however many processes write them; a second run writes nothing, whoever wrote the first."""
    one, many = tmp_path / "one", tmp_path / "many"
    assert verb("render", "--all", "-o", one, "--jobs", "1", "--site", fleet).status == 0
    first = verb("render", "--all", "-o", many, "--jobs", "3", "--site", fleet)
    assert first.err == f"230 hosts, {len(tree(one))} files written\n" and first.out == ""
    assert {name: content for name, (_, _, content) in tree(many).items()} == {
        name: content for name, (_, _, content) in tree(one).items()
    }
    before = tree(many)
    assert verb("render", "--all", "-o", many, "--jobs", "2", "--site", fleet).err == "230 hosts, 0 files written\n"
    assert tree(many) == before
    victim = next(iter(before))
    (many / victim).write_text("changed by hand\n")
    assert verb("render", "--all", "-o", many, "--site", fleet).err == "230 hosts, 1 files written\n"
    assert tree(many)[victim][2] == before[victim][2]


def test_what_goes_wrong_in_another_process_is_told_in_full(fleet: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = verb("render", "--all", "-o", tmp_path / "file" / "out", "--jobs", "2", "--site", fleet)
    assert done.status == Exit.USAGE and "cannot be written: Not a directory" in done.err
    assert "nothing of it was left behind" in done.err and "Traceback" not in done.err


@pytest.mark.parametrize(
    "options", [["--jobs", "2", WEB], ["--all", "--jobs", "0", "-o", "out"], ["--all", "--jobs", "x"]]
)
def test_jobs_are_for_all_hosts(site: Path, options: list[str]) -> None:
    assert verb("render", *options, "--site", site).status == Exit.USAGE
