"""What a run is made of, without a machine: batches, exit codes, ssh's lines, the summary and the display."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from rich.console import Console

from bootforge.apply.fleet import Amount, Begun, Fleet, Said, batches_of, parse_amount
from bootforge.apply.local import this_host
from bootforge.apply.outcome import FAILURES, Kind, Outcome, exit_of
from bootforge.apply.session import Control
from bootforge.apply.ssh import receiver, refused_by_sudo, ssh_command, why_unreachable
from bootforge.cli import progress
from bootforge.cli.progress import Live, as_json, differences, summary, told
from bootforge.errors import NotFound, SiteError
from bootforge.render.engine import Engine
from bootforge.report import DiffLine, Line, Report, StepLine
from tests.support import SMALL, need, verb

WEB, DB, APP = "web01.prod.den.example.com", "db01.prod.den.example.com", "app01.qa.den.example.com"
HOSTS = [f"web{number:03}" for number in range(1, 201)]


def outcome(host: str, kind: Kind, *steps: tuple[str, str, str], text: str = "") -> Outcome:
    report = Report(host, "run", steps=tuple(StepLine(status, 1, step, said) for status, step, said in steps))
    return Outcome(host, kind, report, text, seconds=1.5)


# Batches


@pytest.mark.parametrize("text,amount", [("0", Amount(0, False)), ("25%", Amount(25, True)), ("7", Amount(7, False))])
def test_amounts(text: str, amount: Amount) -> None:
    assert parse_amount(text) == amount


@pytest.mark.parametrize("text", ["", "-1", "101%", "x", "5 %", "1.5", "٣", "9999999"])
def test_what_is_no_amount(text: str) -> None:
    with pytest.raises(ValueError, match="write 5 or 5%"):
        parse_amount(text)


def test_the_last_size_holds_for_all_that_follow_and_percentages_are_rounded_up() -> None:
    sizes = [parse_amount(word) for word in ("1", "5%", "25%")]
    batches = batches_of(HOSTS, sizes)
    assert [len(batch) for batch in batches] == [1, 10, 50, 50, 50, 39]
    assert [host for batch in batches for host in batch] == HOSTS
    assert [len(batch) for batch in batches_of(HOSTS[:3], sizes)] == [1, 1, 1]
    assert batches_of(HOSTS, []) == [HOSTS]


def fleet(kinds: dict[str, Kind], batches: list[list[str]], max_fail: Amount | None) -> dict[str, str]:
    def attend(host: str, control: Control, said: Callable[[Line], None]) -> Outcome:
        return Outcome(host, kinds.get(host, "ok"))

    events = Fleet(batches, attend, 3, max_fail).run()
    return {event.host: event.kind for event in events if isinstance(event, Outcome)}


def test_no_batch_begins_when_more_failed_than_allowed() -> None:
    batches = [["a"], ["b", "c"], ["d", "e", "f"]]
    none, two, half = Amount(0, False), Amount(2, False), Amount(50, True)
    assert fleet({"b": "lost"}, batches, none) == {
        **dict.fromkeys("ac", "ok"),
        "b": "lost",
        **dict.fromkeys("def", "not begun"),
    }
    assert fleet({"a": "failed", "b": "pending"}, batches, two)["f"] == "ok"
    assert fleet({"a": "failed"}, batches, half) == {"a": "failed", **dict.fromkeys("bcdef", "not begun")}
    assert fleet({"b": "failed"}, batches, half)["d"] == "ok"
    assert fleet(dict.fromkeys("abc", "locked"), batches, none)["d"] == "ok"


def test_no_more_than_jobs_at_once_and_none_after_an_interrupt() -> None:
    at_work: set[str] = set()
    most = 0
    lock = threading.Lock()

    def attend(host: str, control: Control, said: Callable[[Line], None]) -> Outcome:
        nonlocal most
        with lock:
            at_work.add(host)
            most = max(most, len(at_work))
        time.sleep(0.02)
        with lock:
            at_work.discard(host)
        return Outcome(host, "ok")

    whole = Fleet([HOSTS[:20]], attend, 4)
    events = []
    for event in whole.run():
        events.append(event)
        if len(events) == 20:
            whole.control.interrupt()
    ended = [event.kind for event in events if isinstance(event, Outcome)]
    assert most == 4 and len(ended) == 20 and 0 < ended.count("not begun") < 20


def test_no_host_begins_when_nobody_listens_any_more() -> None:
    attended = []

    def attend(host: str, control: Control, said: Callable[[Line], None]) -> Outcome:
        attended.append(host)
        time.sleep(0.02)
        return Outcome(host, "ok")

    with closing(Fleet([HOSTS], attend, 2).run()) as events:
        next(events)
    assert 0 < len(attended) <= 4 and threading.active_count() == 1


def test_a_defect_in_a_thread_ends_the_whole() -> None:
    def attend(host: str, control: Control, said: Callable[[Line], None]) -> Outcome:
        if host == "web003":
            raise ZeroDivisionError
        return Outcome(host, "ok")

    with pytest.raises(ZeroDivisionError):
        list(Fleet([HOSTS], attend, 4).run())
    assert threading.active_count() == 1


def test_the_second_interrupt_waits_for_nobody() -> None:
    control = Control()
    control.interrupt()
    assert control.enough and control.leave_at > time.monotonic() + 5
    control.interrupt()
    assert control.leave_at <= time.monotonic()


# Exit codes


def test_the_worst_outcome_is_the_exit_code() -> None:
    order: list[tuple[int, Kind]] = [
        (0, "ok"),
        (0, "changed"),
        (1, "differs"),
        (1, "new"),
        (75, "locked"),
        (6, "pending"),
    ]
    order += [(5, "failed"), (5, "lost"), (5, "unreachable")]
    outcomes: list[Outcome] = []
    for code, kind in order:
        outcomes.append(Outcome("a", kind))
        assert exit_of(outcomes, False) == exit_of(outcomes[::-1], False) == code
        assert exit_of(outcomes, True) == 130
    assert {"failed", "lost", "unreachable", "pending"} == {*FAILURES}


# ssh


@pytest.mark.parametrize(
    "errors,why",
    [
        ("ssh: Could not resolve hostname x: Name or service not known\r\n", "name"),
        ("ssh: connect to host x port 22: Connection refused\r\n", "refused"),
        ("ssh: connect to host x port 22: Connection timed out\r\n", "timeout"),
        ("Connection timed out during banner exchange\r\nConnection to 1.2.3.4 port 22 timed out\r\n", "timeout"),
        ("ssh: connect to host x port 22: No route to host\r\n", "route"),
        ("root@x: Permission denied (publickey,password).\r\n", "auth"),
        (
            "@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\r\nHost key verification failed.\r\n",
            "host-key-changed",
        ),
        ("No ED25519 host key is known for x and you have requested strict checking.\r\n", "host-key-unknown"),
        ("kex_exchange_identification: read: Connection reset by peer\r\n", "closed"),
        ("Connection closed by 10.0.0.1 port 22\r\n", "closed"),
        ("something else\r\n", "other"),
        ("", "other"),
    ],
)
def test_what_ssh_says(errors: str, why: str) -> None:
    word, text = why_unreachable(errors, "x")
    assert word == why and text


@pytest.mark.parametrize(
    "line",
    [
        "sudo: a password is required",
        "sudo: sorry, you must have a tty to run sudo",
        "sh: 1: exec: sudo: not found",
        "ops is not in the sudoers file.  This incident will be reported.",
        "Sorry, user ops is not allowed to execute '/usr/bin/sh -c x' as root on web1.",
    ],
)
def test_what_sudo_says(line: str) -> None:
    assert refused_by_sudo(f"Welcome\n{line}\n") == line and not refused_by_sudo("Welcome to pseudo: 1")


def test_the_command_is_one_word_for_any_login_shell() -> None:
    """In csh and fish, too, nothing within these quotes is special but what is not there."""
    code = receiver()[-1]
    assert code.count("\n") == 0 and not {"'", "!", "\\"} & {*code}
    command = ssh_command(WEB, "10.2.0.9")
    assert command[-2:] == [WEB, f"exec sh -c '{receiver()[2]}' '{code}'"] and command[-3] == "--"
    assert "HostName=10.2.0.9" in command and f"HostKeyAlias={WEB}" in command


@pytest.mark.parametrize("shell", ["dash", "bash", "mksh", "busybox"])
def test_the_receiver_can_be_read_by_every_shell(shell: str) -> None:
    need(shell)
    words = [shutil.which(shell) or shell, *(["sh"] if shell == "busybox" else []), "-n", "-c", receiver()[-1]]
    done = subprocess.run(words, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_site_cannot_replace_the_receiver() -> None:
    with pytest.raises(SiteError) as told:
        Engine({"templates/run/receive.sh": b"exit 0\n"})
    assert [problem.code for problem in told.value.problems] == ["BF006"]


def test_the_receiver_passes_shellcheck() -> None:
    need("shellcheck")
    done = subprocess.run(
        ["shellcheck", "-s", "sh", SMALL.parents[1] / "templates/run/receive.sh"], capture_output=True
    )
    assert done.stdout == b""


def test_this_machine_is_a_host_of_the_site_by_its_stamp_or_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bootforge.apply import local

    monkeypatch.setattr(local, "_STAMP", tmp_path / "stamp")
    monkeypatch.setattr("socket.gethostname", lambda: DB)
    assert this_host([WEB, DB]) == DB
    (tmp_path / "stamp").write_text(f"host {WEB}\nplan x\n")
    assert this_host([WEB, DB]) == WEB
    with pytest.raises(NotFound, match="no host 'db01"):
        this_host([APP])


# What is shown


def test_two_hundred_hosts_in_a_few_lines() -> None:
    changed = [outcome(host, "changed", ("changed", "files:/a", "")) for host in HOSTS[:150]]
    same = [outcome(host, "ok", ("ok", "files:/a", "")) for host in HOSTS[150:190]]
    others = [outcome(host, "changed", ("changed", "files:/b", "")) for host in HOSTS[190:193]]
    failed = [
        outcome(host, "failed", ("failed", "packages", "no mirror"), ("failed", "sudo", "")) for host in HOSTS[193:200]
    ]
    assert summary([*failed, *changed, *same, *others]) == [
        ("40 hosts", "ok", "-", "-", "-", "1.5", ""),
        ("web001 and 149 like it", "changed", "1", "-", "-", "1.5", "files:/a"),
        *((host, "changed", "1", "-", "-", "1.5", "files:/b") for host in HOSTS[190:193]),
        *((host, "failed", "-", "-", "2", "1.5", "packages: no mirror (and 1 more)") for host in HOSTS[193:200]),
    ]


def test_what_is_told_of_a_host() -> None:
    many = outcome("a", "changed", *(("changed", f"files:/{n}", "") for n in range(9)))
    assert told(many) == "files:/0 files:/1 files:/2 files:/3 and 5 more"
    assert told(outcome("a", "new", ("failed", "x", "y"), text="only checked")) == "only checked"


def test_a_difference_is_shown_once_with_its_hosts() -> None:
    lines = (DiffLine("files:/a", "-old"), DiffLine("files:/a", "+new"))
    same = [Outcome(host, "differs", diffs=lines) for host in HOSTS[:5]]
    other = Outcome("web9", "differs", diffs=(DiffLine("files:/a", "+newer"),))
    assert differences([*same, other]) == [
        "files:/a, 5 hosts: web001, web002, web003 and 2 others",
        *("  -old", "  +new", "", "files:/a, 1 host: web9", "  +newer", ""),
    ]


def test_every_kind_of_outcome_has_a_place() -> None:
    kinds = Kind.__args__  # type: ignore[attr-defined]
    assert {*progress._ORDER} == {*kinds}
    assert {as_json(Outcome("a", kind))["outcome"] for kind in kinds} == {*kinds}


def test_the_display_is_no_higher_than_the_terminal() -> None:
    clock = [0.0]
    live = Live(200, lambda host: ("hostname", "packages", "stamp"), clock=lambda: clock[0])
    console = Console(width=80, height=12)
    live.console = console
    for host in HOSTS[:50]:
        live.take(Begun(host))
    clock[0] = 65.0
    live.take(Said("web001", StepLine("ok", 1, "hostname", "")))
    for host in HOSTS[40:50]:
        live.take(outcome(host, "ok"))
    with console.capture() as shown:
        console.print(live.render())
    lines = [line.rstrip() for line in shown.get().splitlines()]
    assert len(lines) <= 12 and lines[0] == "10 of 200  40 at work  10 ok"
    assert lines[1].split() == ["web001", "1/3", "packages", "65", "s"] and lines[2].split()[1:3] == [
        "0/3",
        "connecting",
    ]
    assert lines[-1] == "and 32 more at work"


# The verb


def run(*args: str, site: Path = SMALL) -> tuple[int, str]:
    done = verb("run", *args, BOOTFORGE_SITE=str(site), PATH="/nowhere:/usr/bin:/bin")
    return done.status, done.err


@pytest.mark.parametrize(
    "args,status,words",
    [
        ((), 2, "run takes HOSTS, or --local"),
        ((WEB, "--max-fail", "1"), 2, "--max-fail needs --batch"),
        ((WEB, "--batch", "0"), 2, "a batch has one host at least"),
        ((WEB, "--batch", "1,x"), 2, "'x' is neither a number nor a percentage"),
        ((WEB, "--batch", "1", "--max-fail", "no"), 2, "'no' is neither"),
        ((WEB, "--jobs", "0"), 2, "--jobs"),
        ((WEB, "--timeout", "1"), 2, "is not a length of time"),
        ((WEB, DB, "--local"), 2, "--local is for one host"),
        ((WEB, "--local", "--batch", "1"), 2, "--local is for one host"),
        (("nobody.example.com",), 3, "no host is 'nobody.example.com'"),
        ((WEB, "--only", "file"), 3, "no host of these has a step 'file'"),
        ((WEB, "--only", "x; reboot"), 3, "no host of these has a step"),
    ],
)
def test_wrong_calls(args: tuple[str, ...], status: int, words: str) -> None:
    done = run(*args)
    assert done[0] == status and words in done[1], done


def test_hosts_that_are_not_active(tmp_path: Path) -> None:
    site = Path(shutil.copytree(SMALL, tmp_path / "site"))
    hosts = site / "hosts/den.yaml"
    text = hosts.read_text()
    for host, state in ((WEB, "retired"), (DB, "held"), (APP, "planned")):
        assert f"{host}:\n" in text
        text = text.replace(f"{host}:\n", f"{host}:\n  state: {state}\n")
    hosts.write_text(text)
    for host, state in ((WEB, "retired"), (DB, "held"), (APP, "planned")):
        status, err = run(host, site=site)
        assert status == 2 and f"{host} is {state}" in err and ("--check" in err) == (state == "held")
    status, err = run("*", site=site)
    assert status == 3 and "no host is left" in err
    assert [f"left out, because {state}: {host}" in err for host, state in ((WEB, "retired"), (DB, "held"))] == [
        True
    ] * 2


def test_a_machine_without_ssh() -> None:
    done = verb("run", WEB, BOOTFORGE_SITE=str(SMALL), PATH="/nowhere")
    assert done.status == 2 and "there is no ssh on this machine" in done.err
