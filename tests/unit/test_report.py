"""Reports of the bootstrap, as they come from a host that may write anything."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootforge.model_steps import whole_file
from bootforge.report import (
    MAX_LINE,
    MAX_REPORT,
    STATUSES,
    DiffLine,
    End,
    Header,
    Report,
    ReportReader,
    StepLine,
    parse_line,
    parse_report,
)
from tests.shell.world import script_of

HEAD = "bootforge\tweb01\trun\tcheck\tabc123\tsha256:0\n"
WHOLE = (
    HEAD + "ok\t3\thostname\t\nwould\t12\tfiles:/etc/motd\t/etc/motd\nend\t20\t1\t0 changed, 1 would change, 0 failed\n"
)
REPORT = Report(
    "web01",
    "run",
    True,
    "abc123",
    "sha256:0",
    (StepLine("ok", 3, "hostname", ""), StepLine("would", 12, "files:/etc/motd", "/etc/motd")),
    20,
    1,
)


def test_a_whole_report() -> None:
    assert parse_report(WHOLE) == REPORT and REPORT.count("would") == 1


def test_the_report_of_a_real_run(tmp_path: Path) -> None:
    user = f"{os.geteuid()}:{os.getegid()}"
    script = tmp_path / "bootstrap"
    script.write_text(script_of((whole_file("files:/etc/motd", "/etc/motd", "hello", (), owner=user),)))
    env = {"PATH": os.environ["PATH"], "BF_ROOT": str(tmp_path)}
    command = ["sh", str(script), "--check", "--diff", "--revision", "r1"]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    reader = ReportReader()
    for byte in done.stdout.encode():
        reader.feed(bytes([byte]))
    report = reader.report()
    assert (report.phase, report.check, report.revision, report.exit) == ("run", True, "r1", 1), done
    assert [(step.status, step.step) for step in report.steps][0] == ("would", "files:/etc/motd")
    assert DiffLine("files:/etc/motd", "+hello") in reader.diffs and reader.text == done.stdout


@pytest.mark.parametrize("end", range(len(WHOLE)))
def test_a_report_that_is_cut_off_has_no_exit(end: int) -> None:
    cut = parse_report(WHOLE[:end])
    assert cut.exit is None or cut == REPORT
    assert cut.steps == REPORT.steps[: len(cut.steps)] or cut.steps[-1].status in STATUSES


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Last login: yesterday",
        "done\t1\tx\ty",
        "ok\t1\tx",
        "ok\t1\tone two\ttext",
        "ok\t1\t\x1b[31m\ttext",
        "end\t1\t-1\ttext",
        "end\t1\t0",
        "bootforge\tweb01\trun\tno\tr\tp",
        "bootforge\tweb01\trun",
    ],
)
def test_what_is_no_line_of_a_report(line: str) -> None:
    assert parse_line(line) is None


def test_what_a_terminal_would_obey_is_taken_out() -> None:
    line = parse_line("failed\t-5\tfiles:/x\t\x1b]0;x\x07 a\tb\u202e\r")
    assert line == StepLine("failed", 0, "files:/x", "?]0;x? a b??")
    assert parse_line("bootforge\tweb\x1b\trun\t\tr\tp") == Header("web?", "run", False, "r", "p")
    assert parse_line("end\t99999999999999999999\t5\tx") == End(0, 5)


def test_lines_count_between_the_first_and_the_last_only() -> None:
    noise = "ok\t1\tbefore\t\nend\t0\t0\tx\n"
    assert parse_report(noise + WHOLE + "failed\t1\tafter\t\n" + HEAD.replace("web01", "other")) == REPORT
    reader = ReportReader()
    reader.feed((noise + WHOLE + noise).encode())
    assert reader.text == WHOLE


def test_endless_output_is_bounded() -> None:
    reader = ReportReader()
    reader.feed(HEAD.encode())
    for _ in range(100):
        reader.feed(b"x" * 100_000)
    assert len(reader._rest) == MAX_LINE
    reader.feed(b"\n")
    step = b"changed\t1\tfiles:/x\t" + b"y" * 100_000 + b"\n"
    found = [line for _ in range(1000) for line in reader.feed(step)]
    assert len(reader.text) <= MAX_REPORT + 3 * MAX_LINE and len(found) == len(reader.report().steps) < 100
    reader.feed(b"end\t1\t0\tx\n")
    assert reader.report().exit == 0


@given(st.binary(max_size=300), st.lists(st.integers(1, 20)))
def test_it_never_raises_and_pieces_make_no_difference(noise: bytes, sizes: list[int]) -> None:
    data = noise + WHOLE.encode() + noise
    whole, pieces = ReportReader(), ReportReader()
    whole.feed(data)
    for size in sizes:
        pieces.feed(data[:size])
        data = data[size:]
    pieces.feed(data)
    assert whole.report() == pieces.report() and whole.text == pieces.text


@given(st.text(max_size=400))
def test_any_text_is_a_report(text: str) -> None:
    report = parse_report(HEAD + text)
    assert report.host == "web01" and all(step.text.isprintable() or not step.text for step in report.steps)
