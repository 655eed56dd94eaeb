"""Files, edits and hooks on a machine; and that an edit applied twice is the edit applied once, whatever the file."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bootforge.model_steps import Command, Step, whole_file
from bootforge.plan.edits import plan_edit
from bootforge.plan.faults import Fault
from bootforge.render.bootstrap import render_bootstrap
from bootforge.site.patterns import compile_match
from bootforge.site.schema_files import EditSpec
from tests.shell.world import HOST, SHELLS, Case, World, machine_shell, proofs, script_of, site_of, small


def edits(path: str, said: dict[str, Any], **more: Any) -> Step:
    """The step of an edit as a site would say it."""
    faults: list[Fault] = []
    content = plan_edit(site_of(), small().hosts[HOST], path, EditSpec.model_validate(said), faults)
    assert faults == []
    return Step(f"edits:{path}", "edits", (path,), (), content=content, **more)


STOCK = """# Stock file of a package
#Port 22
Port 22
  port 23
PermitRootLogin yes
\tPermitRootLogin\tno
ClientAliveInterval
Greeting "it's $(id) `x` \\n %s" & \\1
caf\u00e9 \u0101 no

1.0

"""
SAID = {
    "separator": " ",
    "settings": {"PermitRootLogin": "no", "ClientAliveInterval": "5", "New": "-n $(id) 'x' \"y\" \\1 & \u0101\u2019"},
    "lines": {
        "port": {"line": "Port 2222", "match": "^#?Port [0-9]+$"},
        "dash": {"line": "-n"},
        "caf": {"match": "^caf.+ no$", "state": "absent"},
        "one": {"line": "1", "state": "absent"},
    },
    "block": "Match User x\n\tX11Forwarding no\n\n# END\nPermitRootLogin maybe\n",
}
MADE = """# Stock file of a package
Port 2222
  port 23
PermitRootLogin no
ClientAliveInterval 5
Greeting "it's $(id) `x` \\n %s" & \\1

1.0

New -n $(id) 'x' "y" \\1 & \u0101\u2019
-n
# BEGIN Bootforge
Match User x
\tX11Forwarding no

# END
PermitRootLogin maybe
# END Bootforge
"""

HOOK = """
case $1 in
check)
    [ "$(cat "$BF_ROOT/hooked" 2>/dev/null)" = "it's \\$x" ] && exit
    echo first
    echo "would hook $0 in $BF_PHASE"
    exit 1
    ;;
apply) printf "it's %s\\n" '$x' >"$BF_ROOT/hooked" && echo hooked ;;
esac
"""


def _appended(name: str, text: str) -> Any:
    return lambda w: (w.root / name).write_text((w.root / name).read_text() + text)


CASES = [
    Case(
        "edits",
        (edits("/etc/app.conf", SAID, notify=("restart:app",)),),
        prepare=lambda w: (w.write("etc/app.conf", STOCK, 0o640), w.tool("systemctl", "exit 0")),
        drifts={
            "a-later-duplicate": _appended("etc/app.conf", "PermitRootLogin yes\n"),
            "a-line": lambda w: w.write("etc/app.conf", MADE.replace("Port 2222", "Port 22"), 0o640),
            "an-absent-line": lambda w: w.write("etc/app.conf", "caf\u00e9 no\n" + MADE, 0o640),
            "a-block": lambda w: w.write("etc/app.conf", MADE.replace("X11", "X12"), 0o640),
            "two-blocks": _appended("etc/app.conf", "# BEGIN Bootforge\n# END Bootforge\n"),
            "a-lone-marker": lambda w: w.write("etc/app.conf", "# END Bootforge\n" + MADE, 0o640),
        },
        handlers=("systemctl try-restart app",),
    ),
    Case(
        "edit-of-nothing",
        (edits("/etc/new/a.conf", {"settings": {"KEY": ""}}),),
        drifts={"removed": lambda w: (w.root / "etc/new/a.conf").unlink()},
    ),
    Case(
        "secret",
        (Step("files:/etc/key", "secret_file", ("/etc/key", "600", "root:root", "key"), (), secrets=("key",)),),
        prepare=lambda w: w.write("../secrets/key", "-----BEGIN\n'a' \"b\" $(id) `id` \\n %s\n\n\u0101\n", 0o600),
        drifts={
            "content": lambda w: (w.root / "etc/key").write_text("x"),
            "mode": lambda w: (w.root / "etc/key").chmod(0o644),
        },
        args=("--secrets", "{at}/secrets"),
    ),
    Case(
        "hook",
        (Step("hooks:it", "hook", ("it",), (), content=HOOK),),
        drifts={"undone": lambda w: (w.root / "hooked").write_text("x")},
    ),
]

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def test_an_edit_leaves_the_rest(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of([edits("/etc/app.conf", SAID)]))
    file = world.write("etc/app.conf", STOCK, 0o640)
    __import__("os").chown(file, 4321, 4322)
    assert world.run(shell, script).status == 0
    stat = file.stat()
    assert file.read_text() == MADE
    assert (stat.st_mode & 0o7777, stat.st_uid, stat.st_gid) == (0o640, 4321, 4322)


def test_an_edit_says_no_more_than_it_must(shell: list[str], tmp_path: Path) -> None:
    """A file without a last newline, with bytes that are no UTF-8, or with blank lines at its end is right as it is."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    said = {"settings": {"A": "1"}, "lines": {"gone": {"line": "x", "state": "absent"}}}
    script.write_text(script_of([edits("/etc/a", said)]))
    for content in (b"A=1", b"\x81\xff\nA=1\n\n\n", b"A=1\r\n" * 0 + b"A=1\n"):
        (world.root / "etc").mkdir(exist_ok=True)
        (world.root / "etc/a").write_bytes(content)
        assert world.run(shell, script).statuses["edits:/etc/a"] == "ok"
        assert (world.root / "etc/a").read_bytes() == content
    (world.root / "etc/a").write_bytes(b"\x80\x81\x82\x83\x84\x88\xff\nx\n\\\n\n\n")
    assert world.run(shell, script).statuses["edits:/etc/a"] == "changed"
    assert (world.root / "etc/a").read_bytes() == b"\x80\x81\x82\x83\x84\x88\xff\n\\\n\n\nA=1\n"


def test_a_block_that_is_no_longer_wanted_goes(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of([edits("/etc/a", {"lines": {"x": {"line": "x", "state": "absent"}}, "comment": ";"})]))
    world.write("etc/a", "a\n; BEGIN Bootforge\nx\ny\n; END Bootforge\n# BEGIN Bootforge\nb\n")
    assert world.run(shell, script).status == 0
    assert (world.root / "etc/a").read_text() == "a\n# BEGIN Bootforge\nb\n"
    world.write("etc/a", "x\n")
    assert world.run(shell, script).status == 0
    assert (world.root / "etc/a").read_text() == ""


def test_an_edit_of_a_link_or_a_directory_fails(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of([edits(f"/etc/{n}", {"settings": {"A": "1"}}) for n in "abc"]))
    world.write("etc/real", "A=0\n")
    (world.root / "etc/a").symlink_to("real")
    (world.root / "etc/b").mkdir()
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["edits:/etc/c"]) == (5, "changed")
    assert ran.texts["edits:/etc/a"] == "/etc/a is a link; edit what it leads to"
    assert ran.texts["edits:/etc/b"] == "/etc/b is no file"
    assert (world.root / "etc/real").read_text() == "A=0\n"


_WORDS = (
    "a",
    "b",
    "ab",
    "#a",
    "a.b",
    "A",
    "\u00e9",
    "$x",
    "'",
    "\\",
    "",
    " ",
    "\t",
    "[a]",
    "*",
    "-n",
    "1",
    "1.0",
    "a=1",
)
_SEPARATORS = ("=", " = ", " ", "\t", ":", ": ", ":=")
_MATCHES = ("^a", "b$", "^#?a[ =]", "[[:space:]]b", "a|b", "(a|b)+1", r"\$x", "[]a]", "^.$", "[^a]b", r"\\", "caf.*")


def _random_edit(rng: random.Random) -> EditSpec | None:
    """An edit that a site could say, and that the planner takes."""

    def text() -> str:
        text = rng.choice(("", " ", "x")) + rng.choice(_WORDS) + rng.choice(_SEPARATORS) + rng.choice(_WORDS)
        return text if text.strip() else "-"

    lines = {}
    for n in range(rng.randrange(4)):
        state, match = rng.choice(("present", "absent")), rng.choice((*_MATCHES, None))
        line = text() if state == "present" or match is None or rng.random() < 0.5 else None
        lines[f"l{n}"] = {k: v for k, v in (("line", line), ("match", match), ("state", state)) if v is not None}
    settings = {key: rng.choice(_WORDS) for key in rng.sample(("a", "b", "ab", "a.b", "A"), rng.randrange(4))}
    said: dict[str, Any] = {"settings": settings, "lines": lines, "separator": rng.choice(_SEPARATORS)}
    if rng.random() < 0.5:
        said["block"] = "\n".join(text() for _ in range(3))
    faults: list[Fault] = []
    spec = EditSpec.model_validate(said)
    plan_edit(site_of(), small().hosts[HOST], "/etc/x", spec, faults)
    return None if faults else spec


def _random_file(rng: random.Random, spec: EditSpec) -> str:
    said = [f"{key}{spec.separator}{value}" for key, value in spec.settings.items()]
    said += [line.line for line in spec.lines.values() if line.line] + ["# BEGIN Bootforge", "# END Bootforge"]
    lines = []
    for _ in range(rng.randrange(12)):
        line = (
            rng.choice(_WORDS) + rng.choice(_SEPARATORS) + rng.choice(_WORDS)
            if rng.random() < 0.6
            else rng.choice(said)
        )
        lines.append(rng.choice(("", " ", "#")) + line if rng.random() < 0.3 else line)
    return "\n".join(lines) + rng.choice(("", "\n", "\n\n"))


@pytest.mark.parametrize("shell", SHELLS)
def test_applied_twice_is_applied_once(shell: str, tmp_path: Path) -> None:
    """Edits and files by the hundred, of words that awk, a shell or a pattern could take for something else."""
    words, rng = machine_shell(shell), random.Random(shell)
    world, script = World(tmp_path / "w"), tmp_path / "b"
    specs = [spec for _ in range(400) if (spec := _random_edit(rng))]
    assert len(specs) > 100
    steps = []
    for number, spec in enumerate(specs):
        path = f"/etc/{number}"
        content = plan_edit(site_of(), small().hosts[HOST], path, spec, [])
        steps.append(Step(f"edits:{path}", "edits", (path,), (), content=content))
        world.write(path, _random_file(rng, spec))
    script.write_text(script_of(steps))
    first = world.run(words, script)
    assert first.status == 0 and list(first.statuses.values()).count("changed") > 100
    made = world.tree()
    again = world.run(words, script)
    assert {status for status in again.statuses.values()} == {"ok"}, again
    assert world.tree() == made
    for number, spec in enumerate(specs):
        lines = (world.root / f"etc/{number}").read_text().split("\n")
        for line in spec.lines.values():
            if line.state == "present":
                assert line.line in lines
        for key, value in spec.settings.items():
            assert f"{key}{spec.separator}{value}" in lines


def test_what_the_planner_refuses_does_not_converge(shell: list[str], tmp_path: Path) -> None:
    """The faults of edits are no pedantry: without them a second run has something to do."""
    said = {"lines": {"a": {"line": "x=2", "match": "^x"}, "b": {"line": "xy=1", "match": "^xy"}}}
    faults: list[Fault] = []
    content = plan_edit(site_of(), small().hosts[HOST], "/e", EditSpec.model_validate(said), faults)
    assert [fault.code for fault in faults] == ["BF113"]
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of([Step("edits:/e", "edits", ("/e",), (), content=content)]))
    world.write("e", "xy=1\n")
    trees = [(world.run(shell, script), world.tree())[1]["e"] for _ in range(3)]
    assert trees[0] != trees[1] or (world.root / "e").read_text() != "xy=1\n"


@pytest.mark.parametrize("shell", SHELLS[:1] + SHELLS[3:])
def test_awk_finds_what_we_find(shell: str, tmp_path: Path) -> None:
    """The same regular expressions in awk and here, line by line."""
    words = machine_shell(shell)
    lines = [f"{a}{b}{c}" for a in _WORDS for b in ("", " ", "=", "1") for c in _WORDS if f"{a}{b}{c}".strip()]
    world, script = World(tmp_path / "w"), tmp_path / "b"
    steps = []
    for number, match in enumerate(_MATCHES):
        said = {"lines": {"x": {"match": match, "state": "absent"}}}
        steps.append(edits(f"/{number}", said))
        world.write(f"{number}", "\n".join(lines) + "\n")
    script.write_text(script_of(steps))
    assert world.run(words, script).status == 0
    for number, match in enumerate(_MATCHES):
        kept = (world.root / str(number)).read_text().split("\n")[:-1]
        assert kept == [line for line in lines if not compile_match(match).finds(line)], match


def test_a_secret_is_written_when_it_comes(shell: list[str], tmp_path: Path) -> None:
    world, script, secrets = World(tmp_path / "w"), tmp_path / "b", tmp_path / "secrets"
    step = Step("files:/etc/key", "secret_file", ("/etc/key", "600", "root:root", "tls"), (), secrets=("tls",))
    script.write_text(script_of([step]))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["files:/etc/key"]) == (0, "ok")
    assert ran.texts["files:/etc/key"] == "secret tls not given"
    secrets.mkdir()
    (secrets / "tls").write_text("-----BEGIN\n$(id) 'x' \\n\n-----END\n")
    told = world.run(shell, script, "--check", "--diff", "--secrets", str(secrets))
    assert told.status == 1 and "BEGIN" not in told.out
    assert not (world.root / "etc/key").exists()
    assert world.run(shell, script, "--secrets", str(secrets)).statuses["files:/etc/key"] == "changed"
    file = world.root / "etc/key"
    assert file.read_text() == (secrets / "tls").read_text() and file.stat().st_mode & 0o7777 == 0o600
    assert world.run(shell, script, "--secrets", str(secrets)).statuses["files:/etc/key"] == "ok"
    assert world.run(shell, script).statuses["files:/etc/key"] == "ok"
    (secrets / "tls").write_text("")
    assert world.run(shell, script, "--secrets", str(secrets)).status == 5
    assert file.read_text().startswith("-----BEGIN")


@pytest.mark.parametrize(
    ("script", "status", "text"),
    [
        ("exit 0", "ok", ""),
        ("echo why; exit 3", "failed", "check exits with 3: why"),
        ("echo say $1; [ $1 = apply ]", "failed", "still not right after apply: say check"),
        ("echo say $1; exit 1", "failed", "apply exits with 1: say apply"),
        ("if then", "failed", "check exits with 2: "),
    ],
)
def test_hooks(shell: list[str], tmp_path: Path, script: str, status: str, text: str) -> None:
    world, file = World(tmp_path / "w"), tmp_path / "b"
    file.write_text(script_of([Step("hooks:h", "hook", ("h",), (), content=script)]))
    ran = world.run(shell, file)
    assert ran.statuses["hooks:h"] == status and ran.texts["hooks:h"].startswith(text), ran


def test_a_hook_tells_what_it_would_do_and_what_it_did(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of([Step("hooks:it", "hook", ("it",), (), content=HOOK)]))
    assert world.run(shell, script, "--check").texts["hooks:it"] == "would hook it in run"
    assert world.run(shell, script).texts["hooks:it"] == "hooked"


def test_a_command_is_a_handler(shell: list[str], tmp_path: Path) -> None:
    """Its words are its words, in whatever quotes; what no site names any more is owed by nobody."""
    hostile = ("newaliases", "a b", "it's", "$(id)", "*", "-n", "\\")
    step = whole_file("files:/etc/aliases", "/etc/aliases", "x\n", (), notify=("run:aliases",))
    plan = replace(small().plan(HOST), steps=(step,), commands=(Command("aliases", hostile), Command("other", ("x",))))
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(render_bootstrap(plan, small().engine).text)
    world.tool("newaliases", 'for word; do echo "<$word>" >>$fake/words; done; [ ! -e $fake/fails ]')
    (world.fake / "fails").touch()
    assert world.run(shell, script, "--phase", "install").statuses["handler:run:aliases"] == "skipped"
    assert world.run(shell, script).status == 6
    (world.fake / "fails").unlink()
    assert world.run(shell, script).statuses["handler:run:aliases"] == "changed"
    assert (world.fake / "words").read_text() == 2 * "".join(f"<{word}>\n" for word in hostile[1:])
    (world.root / "var/lib/bootforge/pending/run:gone").touch()
    assert world.run(shell, script).status == 0
    assert not (world.root / "var/lib/bootforge/pending/run:gone").exists()


def test_what_is_watched_owes_nothing(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    step = whole_file("files:/etc/m", "/etc/m", "x\n", (), notify=("restart:app",))
    script.write_text(script_of([replace(step, watch=True)]))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["files:/etc/m"], world.calls()) == (1, "would", [])
    assert "handler:restart:app" in world.run(shell, script, "--check").statuses
