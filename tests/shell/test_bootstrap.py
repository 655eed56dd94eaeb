"""The bootstrap of a whole host under every shell that it may meet, and the steps that tell who a host is."""

from __future__ import annotations

import re
from functools import partial
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from bootforge.model_steps import Step, whole_file
from bootforge.plan.files import watched
from bootforge.resources import shipped_texts
from tests.shell.host import whole_host
from tests.shell.world import HOST, SHELLS, Case, World, machine_shell, proofs, script_of
from tests.sites import generation_with
from tests.support import SMALL

MAC = "52:54:00:00:00:01"
UNIT = "etc/systemd/system/bootforge-boot.service"


def _marked(world: World) -> None:
    """A /boot of ext4 and a volume group, neither of them marked."""
    mounts = "/dev/md0 / xfs rw 0 0\n/dev/md1 /boot ext4 rw 0 0\n/dev/sda1 /boot/efi vfat rw 0 0\n"
    world.write("proc/mounts", mounts)
    (world.root / "dev/system").mkdir(parents=True)
    world.tool("e2label", f'[ "$1" = {world.root}/dev/md1 ] || exit 1\n'
               'if [ $# -gt 1 ]; then echo "$2" >$fake/label; else cat $fake/label 2>/dev/null; fi')  # fmt: skip
    (world.fake / "tags").write_text("\n")
    world.tool("lvm", 'case $1 in vgs) printf "  "; cat $fake/tags ;; *) echo "other,$3" >$fake/tags ;; esac')


def _edited(name: str, world: World) -> None:
    (world.root / name).write_text("other\n")


def _led_astray(name: str, world: World) -> None:
    (world.root / name).unlink()
    (world.root / name).symlink_to("elsewhere")


CASES = [
    Case(
        "hostname",
        (Step("hostname", "hostname", (HOST,), ()),),
        drifts={
            "content": lambda w: (w.root / "etc/hostname").write_text("other\n"),
            "mode": lambda w: (w.root / "etc/hostname").chmod(0o600),
        },
    ),
    Case(
        "nic-names",
        (Step("nic-names", "nic_names", (MAC, "p0", "52:54:00:00:00:02", "p1"), ()),),
        drifts={"removed": lambda w: (w.root / "etc/udev/rules.d/70-persistent-net.rules").unlink()},
    ),
    *(
        Case(
            f"first-boot-{release}",
            (Step("first-boot", "first_boot", (), (), ("install",)),),
            drifts={"content": partial(_edited, unit), "link": partial(_led_astray, link)},
            release=release,
            args=("--phase", "install"),
            again=((), ("--check",)),
        )
        for release, unit, link in (
            ("el5", "etc/rc.d/init.d/bootforge-boot", "etc/rc.d/rc5.d/S99bootforge-boot"),
            ("el9", UNIT, "etc/systemd/system/multi-user.target.wants/bootforge-boot.service"),
        )
    ),
    Case(
        "mark",
        (Step("mark", "mark", ("bf-c10897c2", "system"), ()),),
        prepare=_marked,
        drifts={
            "label": lambda w: (w.fake / "label").write_text("other\n"),
            "tag": lambda w: (w.fake / "tags").write_text("x\n"),
        },
    ),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bootstrap") / "bootstrap"
    path.write_text(build_generation(SMALL).artifact(HOST, "bootstrap").text)
    return path


def test_the_stamp_says_what_made_the_host(shell: list[str], script: Path, tmp_path: Path) -> None:
    world = whole_host(tmp_path / "w")
    assert world.run(shell, script, "--phase", "install", "--revision", "abc123").status == 0
    stamp = (world.root / "etc/bootforge/stamp").read_text()
    assert re.fullmatch(
        rf"host {HOST}\nplan sha256:[0-9a-f]{{64}}\nbootstrap sha256:[0-9a-f]{{64}}\nrevision abc123\n", stamp
    )
    again = world.run(shell, script, "--revision", "def456")
    assert (again.status, again.statuses["stamp"]) == (0, "ok"), "a revision that changes nothing here is no change"
    (world.root / "etc/bootforge/stamp").write_text(stamp.replace("plan sha256:", "plan sha256:0"))
    assert world.run(shell, script, "--revision", "def456").statuses["stamp"] == "changed"
    assert "revision def456\n" in (world.root / "etc/bootforge/stamp").read_text()


def test_a_script_that_was_cut_off_runs_nothing(shell: list[str], script: Path, tmp_path: Path) -> None:
    """Every cut at the end of a line: without its last line the script does nothing at all."""
    lines = script.read_text().splitlines(keepends=True)
    cut, world = tmp_path / "cut", World(tmp_path / "w")
    for length in range(1, len(lines), 17 if shell[0] != "dash" else 3):
        cut.write_text("".join(lines[:length]))
        world.run(shell, cut)
        assert world.tree() == {}
    world.run(shell, script)
    assert world.tree() != {}


def test_what_cannot_be_marked_is_said_and_is_no_failure(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    _marked(world)
    world.tool("lvm", "exit 5")
    script.write_text(script_of([Step("mark", "mark", ("bf-c10897c2", "system"), ())]))
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["mark"]) == (0, "changed") and "no volume group system" in ran.texts["mark"]


def test_wrong_usage_is_said(shell: list[str], script: Path, tmp_path: Path) -> None:
    world = World(tmp_path / "w")
    for args in (["--phase", "never"], ["--phase"], ["--force"], ["x"], ["--only"]):
        ran = world.run(shell, script, *args)
        assert ran.status == 2 and ran.err.startswith("bootstrap: ")
    assert world.tree() == {}


def test_without_sha256sum_every_step_looks_for_itself(shell: list[str], script: Path, tmp_path: Path) -> None:
    """EL5's coreutils may have none."""
    if shell[0] == "busybox":
        pytest.skip("busybox's own sha256sum cannot be taken away")
    worlds = [whole_host(tmp_path / "with"), whole_host(tmp_path / "without")]
    (worlds[1].bin / "sha256sum").unlink()
    for world in worlds:
        assert world.run(shell, script, "--revision", "r").status == 0
        assert world.run(shell, script).status == 0
    assert worlds[0].tree() == worlds[1].tree()


def test_names_of_nics_survive_in_a_udev_rule(shell: list[str], tmp_path: Path) -> None:
    nics = (
        "{p0: {mac: 52:54:00:00:00:01}, p1: {mac: 52:54:00:00:00:02},"
        " bond0: {kind: bond, ports: [p0, p1], network: den-lan}}"
    )
    site = {"hosts/den.yaml": f"web01.prod.den.example.com:\n  nics: {nics}\n", "roles/web.yaml": "packages: [httpd]\n"}
    world, script = World(tmp_path / "w"), tmp_path / "bootstrap"
    script.write_text(generation_with(tmp_path, site).artifact(HOST, "bootstrap").text)
    assert world.run(shell, script, "--only", "nic-names").status == 0
    rules = (world.root / "etc/udev/rules.d/70-persistent-net.rules").read_text().splitlines()
    assert [rule for rule in rules if not rule.startswith("#")] == [
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1",'
        f' ATTR{{address}}=="52:54:00:00:00:0{number}", NAME="p{number - 1}"'
        for number in (1, 2)
    ]


def test_the_least_of_tools_will_do(shell: list[str], script: Path, tmp_path: Path) -> None:
    """A run finds what it needs in the base of EL5: no timeout, mktemp, realpath, truncate or getent."""
    world = whole_host(tmp_path / "w")
    assert not {"timeout", "mktemp", "realpath", "truncate", "nproc", "getent"} & {p.name for p in world.bin.iterdir()}
    ran = world.run(shell, script)
    assert (ran.status, ran.err) == (0, "")


LIBRARY = {name: text for name, text in shipped_texts("templates").items() if name.startswith("bootstrap/lib/")}
WRITERS = ("bootstrap/lib/put.sh", "bootstrap/lib/state.sh")
NOT_OURS = {
    "bf_write_keys": "a script that runs as a user, in his own home, where root follows no name",
}
"""Scripts in quotes that another shell runs, and why they write by themselves."""

_WRITING = re.compile(
    r"(?:^|[;&|({]\s*|\b(?:then|else|do)\s+)(?:rm|mv|cp|ln|mkdir|rmdir|chmod|chown|chcon|touch|tee|install -|sed -i)\s"
    r"|(?<![0-9&<])>>?\s*(?!/dev/null|&)[\"$/A-Za-z]"
)


def _of_ours(text: str) -> str:
    """The text without the scripts of NOT_OURS; its lines keep their numbers."""
    names = "|".join(NOT_OURS)
    return re.sub(rf"^({names})='[^']*'", lambda found: "\n" * found[0].count("\n"), text, flags=re.M)


def writes_elsewhere(library: dict[str, str]) -> list[str]:
    """Lines that write without the write primitives: 'file:number: line'."""
    library = {name: _of_ours(text) for name, text in library.items()}
    return [
        f"{name}:{number}: {line.strip()}"
        for name, text in sorted(library.items())
        if name not in WRITERS
        for number, line in enumerate(text.splitlines(), 1)
        if not line.lstrip().startswith("#") and _WRITING.search(line.strip())
    ]


def test_nothing_else_writes() -> None:
    assert writes_elsewhere(LIBRARY) == []
    for planted in (
        '    rm -f "$x"',
        'echo x >"$bf_path"',
        "cat >>/etc/hosts",
        "if true; then mv a b",
        "x && sed -i s/a/b/ c",
    ):
        assert writes_elsewhere({"bootstrap/lib/planted.sh": f"bf_x() {{\n{planted}\n}}\n"}), planted


_HERE = r"<<'?EOS'?.*?\nEOS\n"
_QUOTED = r"""\$\{[^}]*\}|\\.|'[^']*'|"(?:[^"\\]|\\.)*\""""
_COMMAND = r"(?:^|;|&&|\|\||[({]|\b(?:then|do|else|if|while|until|export)\s)\s*"
_ASSIGNED = re.compile(rf"{_COMMAND}((?:[A-Za-z_]\w*=[^\s;)]*(?:[ \t]+|(?=[\n;)])))+)", re.M)
_PATTERN = re.compile(r"^\s*[^\s()]+(?: \| [^\s()]+)*\)", re.M)  # of a case


def foreign_variables(text: str) -> set[str]:
    """Variables that a library sets and that are not its own: their names do not begin with bf_."""
    code = "\n".join(line for line in _of_ours(text).splitlines() if not line.lstrip().startswith("#")) + "\n"
    code = re.sub(_QUOTED, "Q", re.sub(_HERE, "\n", code, flags=re.S), flags=re.S)
    words = " ".join(found[1] for found in _ASSIGNED.finditer(_PATTERN.sub("", code))).split()
    return {name for name in (word.partition("=")[0] for word in words) if not name.startswith("bf_")}


def test_every_variable_is_the_librarys_own() -> None:
    """Without `local`, a name that begins with anything else could be a tool's or a shell's."""
    for name, text in LIBRARY.items():
        assert foreign_variables(text) <= {"LC_ALL", "IFS", "PATH"}, name
    for planted in ("x=1", "true && x='a b' bf_y=2", 'bf_y="it\'s" x=$bf_y', "if x=$(true); then :; fi", "(x=1)"):
        assert foreign_variables(f"bf_x() {{\n    {planted}\n}}\n") == {"x"}, planted


@pytest.mark.parametrize("release", ["el5", "el9"])
def test_the_first_boot_runs_the_script_once_more_and_reports(shell: list[str], release: str, tmp_path: Path) -> None:
    """What install could not do is done, told to the server of the install, and told again when that was away."""
    world, script = World(tmp_path / "w"), tmp_path / "b"
    app = whole_file("files:/etc/app", "/etc/app", "x\n", (), notify=("restart:app",))
    script.write_text(script_of([Step("first-boot", "first_boot", (), (), ("install",)), app], release))
    world.tool("service", '[ "$2" != restart ] || [ -e $fake/mended ]')
    world.tool("systemctl", '[ "$1" != try-restart ] || [ -e $fake/mended ]')
    world.tool("curl", 'for word; do :; done; case $word in */broken/*) exit 7 ;; esac; cat "${11#@}" >$fake/sent')
    state = world.root / "var/lib/bootforge"
    world.write("var/lib/bootforge/server", "http://10.0.0.1/i/web01/broken\n", 0o600)
    assert world.run(shell, script, "--phase", "install").status == 0
    units = "etc/systemd/system"
    wants, links = {
        "el9": (f"{units}/bootforge-boot.service", [f"{units}/multi-user.target.wants/bootforge-boot.service"]),
        "el5": ("etc/rc.d/init.d/bootforge-boot", [f"etc/rc.d/rc{n}.d/S99bootforge-boot" for n in (3, 4, 5)]),
    }[release]
    assert all((world.root / link).resolve() == (world.root / wants).resolve() for link in links)
    assert "--phase boot" in (world.root / wants).read_text() and (state / "first-boot").exists()
    failed = world.run(shell, script, "--phase", "boot")
    assert failed.status == 6 and (state / "first-boot").exists() and (state / "unsent").exists()
    assert world.calls()[-1].endswith("http://10.0.0.1/i/web01/broken/report/boot-failed")
    (world.fake / "mended").touch()
    (state / "server").write_text("http://10.0.0.1/i/web01/token\n")
    went = world.run(shell, script, "--phase", "boot")
    assert went.status == 0 and world.calls()[-1].endswith("http://10.0.0.1/i/web01/token/report/booted")
    assert (world.fake / "sent").read_text() == went.out
    assert not {"first-boot", "unsent", "server"} & {path.name for path in state.iterdir()}
    asked = len(world.calls())
    assert world.run(shell, script).status == 0 and not [one for one in world.calls()[asked:] if "curl" in one]


def test_a_difference_that_is_only_told_is_no_failed_first_boot(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    told = watched(whole_file("files:/etc/app", "/etc/app", "x\n", ()))
    script.write_text(script_of([Step("first-boot", "first_boot", (), (), ("install",)), told]))
    world.tool("curl", "for word; do :; done; echo $word >$fake/asked")
    world.write("var/lib/bootforge/server", "http://10.0.0.1/i/web01/token\n", 0o600)
    assert world.run(shell, script, "--phase", "install").status == 0
    ran = world.run(shell, script, "--phase", "boot")
    assert (ran.status, ran.statuses["files:/etc/app"]) == (1, "would")
    assert (world.fake / "asked").read_text() == "http://10.0.0.1/i/web01/token/report/booted\n"
    assert not (world.root / "var/lib/bootforge/first-boot").exists()
