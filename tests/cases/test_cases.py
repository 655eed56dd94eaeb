"""One fault each: a patch to the site in base/, and what 'bootforge check' says about it, to the letter.

A ``.case`` file begins with what it claims. Then, each at the beginning of a line:

``@ with NAME``       the files of with/NAME are laid over base/ first
``@ write FILE``      the following lines are the whole file
``@ patch FILE``      lines with ``-`` stand in the file once, in one block, and make way for those with ``+``; a block
                      without ``-`` is appended; an empty line parts two blocks
``@ escaped FILE``    as write, in Python's escapes (``\\xff \\t \\r``): bytes that an editor would not keep
``@ link FILE TARGET``, ``@ delete FILE``
``@ check STATUS``    the exit code of ``bootforge check``; the rest of the file is its standard error

``@SITE@`` stands for the site's directory.

``pytest tests/cases --update-cases`` writes transcripts anew; read the diff before you commit it.
"""

from __future__ import annotations

import logging
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootforge import generation
from bootforge.cli import main
from bootforge.render.engine import Engine
from tests.support import ROOT_HASH, bootforge

HERE = Path(__file__).parent
CASES = sorted(HERE.glob("*/*.case"))
_DIRECTIVE = re.compile(r"^@ (with|write|patch|escaped|link|delete|check) ?(.*)\n", re.MULTILINE)
WITHOUT_HINT = ("BF006", "BF007")  # what render/engine.py and Jinja say of templates speaks for itself
_PROBLEM = re.compile(r"^(\S+?):(\d+):(\d+): (error|warning)\[(BF\d{3})\]: (.+)$")


@dataclass
class Case:
    """A parsed case file: the claim, what is done to the base (verb, arguments, lines), and what check must say."""

    claim: str
    actions: list[tuple[str, list[str], str]]
    status: int
    transcript: str


def read_case(path: Path) -> Case:
    claim, *parts = _DIRECTIVE.split(path.read_text(encoding="utf-8"))
    steps = [(verb, words.split(), body) for verb, words, body in zip(*[iter(parts)] * 3, strict=True)]
    assert steps[-1][0] == "check", f"{path}: ends with '@ check STATUS' and the transcript"
    _, status, transcript = steps.pop()
    return Case(claim.strip(), steps, int(status[0]), transcript)


def write_transcript(path: Path, status: int, transcript: str) -> None:
    head, _, _ = path.read_text(encoding="utf-8").partition("@ check")
    path.write_text(f"{head}@ check {status}\n{transcript}", encoding="utf-8")


def patched(text: str, body: str) -> str:
    for block in body.split("\n\n"):
        lines = block.split("\n")
        old = "".join(line[1:] + "\n" for line in lines if line.startswith("-"))
        new = "".join(line[1:] + "\n" for line in lines if line.startswith("+"))
        assert all(line[:1] in ("-", "+") for line in lines), lines
        if old:
            assert ("\n" + text).count("\n" + old) == 1, f"not once in the file:\n{old}"
            text = ("\n" + text).replace("\n" + old, "\n" + new)[1:]
        else:
            text += new
    return text


def build(case: Case, site: Path) -> Path:
    shutil.copytree(HERE / "base", site)
    for verb, words, body in case.actions:
        if verb == "with":
            shutil.copytree(HERE / "with" / words[0], site, dirs_exist_ok=True)
            continue
        path = site / words[0]
        path.parent.mkdir(parents=True, exist_ok=True)
        body = body.rstrip("\n").replace("@SITE@", str(site))
        match verb:
            case "write":
                path.write_text(body + "\n", encoding="utf-8")
            case "patch":
                path.write_text(patched(path.read_text(encoding="utf-8"), body), encoding="utf-8")
            case "escaped":
                path.write_bytes((body + "\n").encode("ascii").decode("unicode_escape").encode("latin-1"))
            case "link":
                path.symlink_to(words[1])
            case "delete":
                path.unlink()
    return site


SHIPPED = Engine({})


@pytest.fixture
def process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a process of its own would have: its logging, and the shipped templates compiled once."""
    own = re.compile("templates/").match
    monkeypatch.setattr(generation, "Engine", lambda files: Engine(files) if any(map(own, files)) else SHIPPED)
    monkeypatch.setenv("BOOTFORGE_ROOT_HASH", ROOT_HASH)
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/none")  # no cache: what passed in another run is looked at again
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_check_says_exactly_this(
    path: Path,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    capsys: pytest.CaptureFixture[str],
    process: None,
) -> None:
    """The exit code and every character of standard error are those of the file; standard output is empty."""
    case = read_case(path)
    site = build(case, tmp_path / "site")
    with pytest.raises(SystemExit) as left:
        main(["check", "--site", str(site)])
    said = capsys.readouterr()
    transcript = said.err.replace(str(site), "@SITE@")
    if request.config.getoption("--update-cases"):
        write_transcript(path, int(left.value.code or 0), transcript)
        return
    assert said.out == ""
    assert transcript == case.transcript
    assert left.value.code == case.status


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_a_transcript_is_fit_for_a_stranger(path: Path) -> None:
    """A case says what it claims; each problem says what to do, holds no control character, and points at a
    character that exists; errors and only errors fail the check."""
    case = read_case(path)
    assert case.claim.endswith(".") and case.actions
    lines = [*case.transcript.splitlines(), "", ""]
    errors = 0
    for line, source, mark in zip(lines, lines[1:], lines[2:], strict=False):
        if match := _PROBLEM.match(line):
            errors += match[4] == "error"
            assert line.isprintable(), repr(line)
            assert "; " in match[6] or match[5] in WITHOUT_HINT, f"no hint: {line}"
            if mark.strip() == "^" and source.startswith("    ..."):
                assert mark.index("^") < len(source), f"points past what is shown: {line}"
            elif mark.strip() == "^":
                assert mark.index("^") - 4 == int(match[3]) - 1 <= len(source) - 4, f"points past the line: {line}"
    assert case.status == (2 if errors else 0)
    assert case.transcript == "" or re.search(rf"^{errors} errors?, \d+ warnings?\n\Z", case.transcript, re.MULTILINE)


def test_the_base_has_no_fault(tmp_path: Path) -> None:
    """What a case reports is its own fault, because the site that it patches has none."""
    for number, actions in enumerate(([], [("with", ["san"], "")])):
        done = bootforge("check", "--site", build(Case("", actions, 0, ""), tmp_path / str(number)))
        assert (done.status, done.out, done.err) == (0, "", "")


def test_a_process_says_the_same(tmp_path: Path) -> None:
    """What the cases see inside the test process is what an operator's process prints and exits with."""
    case = read_case(HERE / "keys" / "host.case")
    done = bootforge("check", "--site", build(case, tmp_path / "site"))
    assert (done.status, done.out, done.err) == (case.status, "", case.transcript)


def test_there_are_enough() -> None:
    """A glob that finds nothing would make every test above pass."""
    assert len(CASES) >= 240
