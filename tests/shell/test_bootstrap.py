"""The bootstrap under every shell that it may meet: check, run, run again, cut off, killed, and a full disk."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from bootforge.generation import build_generation
from tests.sites import generation_with
from tests.support import SMALL, need

SHELLS = ("dash", "bash", "mksh", "busybox sh")
HOST = "web01.prod.den.example.com"


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bootstrap") / "bootstrap"
    path.write_text(build_generation(SMALL).artifact(HOST, "bootstrap").text)
    return path


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param.split()
    need(words[0])
    return words


def run(shell: list[str], script: Path, root: Path, *args: str, path: str = "") -> tuple[int, list[list[str]]]:
    env = {"PATH": path or os.environ["PATH"], "BF_ROOT": str(root), "LC_ALL": "C"}
    done = subprocess.run([*shell, str(script), *args], capture_output=True, text=True, env=env, timeout=60)
    return done.returncode, [line.split("\t") for line in done.stdout.splitlines()]


def statuses(report: list[list[str]]) -> dict[str, str]:
    return {line[2]: line[0] for line in report}


def tree(root: Path) -> dict[str, tuple[int, bytes]]:
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): (path.stat().st_mode & 0o7777, path.read_bytes()) for path in files}


def test_check_then_run_then_nothing(shell: list[str], script: Path, tmp_path: Path) -> None:
    status, report = run(shell, script, tmp_path, "--check")
    assert (status, statuses(report)) == (1, {"hostname": "would", "mark": "ok", "stamp": "would"})
    assert tree(tmp_path) == {} and list(tmp_path.iterdir()) == []
    status, report = run(shell, script, tmp_path, "--phase", "install", "--revision", "abc123")
    assert (status, statuses(report)) == (0, {"hostname": "changed", "mark": "ok", "stamp": "changed"})
    made = tree(tmp_path)
    assert made["etc/hostname"] == (0o644, f"{HOST}\n".encode())
    stamp = made["etc/bootforge/stamp"][1].decode().splitlines()
    digest = subprocess.run(["sha256sum", script], capture_output=True, text=True).stdout.split()[0]
    assert stamp[:2] == [f"host {HOST}", "revision abc123"] and stamp[3] == f"bootstrap sha256:{digest}"
    for args in ([], ["--check"], ["--phase", "install", "--revision", "abc123"]):
        status, report = run(shell, script, tmp_path, *args)
        assert (status, statuses(report)) == (0, {"hostname": "ok", "mark": "ok", "stamp": "ok"})
    assert tree(tmp_path) == made


@pytest.mark.parametrize("drift", ["content", "mode", "removed", "link", "empty", "no newline"])
def test_drift_is_found_and_mended(shell: list[str], script: Path, tmp_path: Path, drift: str) -> None:
    run(shell, script, tmp_path, "--revision", "r")
    made, path = tree(tmp_path), tmp_path / "etc/hostname"
    if drift == "mode":
        path.chmod(0o600)
    elif drift == "removed":
        path.unlink()
    elif drift == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_text({"content": "other\n", "empty": "", "no newline": HOST}[drift])
    status, report = run(shell, script, tmp_path, "--check")
    assert (status, statuses(report)) == (1, {"hostname": "would", "mark": "ok", "stamp": "ok"})
    assert run(shell, script, tmp_path)[0] == 0
    (tmp_path / "elsewhere").unlink(missing_ok=True)
    assert tree(tmp_path) == made and not path.is_symlink()


def test_a_script_that_was_cut_off_runs_nothing(shell: list[str], script: Path, tmp_path: Path) -> None:
    """Every cut at the end of a line: without its last line the script does nothing at all."""
    lines = script.read_text().splitlines(keepends=True)
    cut, root = tmp_path / "cut", tmp_path / "root"
    root.mkdir()
    for length in range(1, len(lines), 7 if shell[0] != "dash" else 1):
        cut.write_text("".join(lines[:length]))
        run(shell, cut, root)
        assert tree(root) == {}
    run(shell, script, root)
    assert tree(root) != {}


def test_the_mark_is_put_on_boot_and_on_the_volume_group(shell: list[str], script: Path, tmp_path: Path) -> None:
    commands, root = tmp_path / "bin", tmp_path / "root"
    for name in (commands, root / "proc", root / "dev/system"):
        name.mkdir(parents=True)
    (root / "proc/mounts").write_text(
        "/dev/md0 / xfs rw 0 0\n/dev/md1 /boot ext4 rw 0 0\n/dev/sda1 /boot/efi vfat rw 0 0\n"
    )
    state = tmp_path / "state"
    state.mkdir()
    tools = {
        "e2label": f'[ "$1" = {root}/dev/md1 ] || exit 1\n'
        f'if [ $# -gt 1 ]; then echo "$2" >{state}/label; else cat {state}/label 2>/dev/null; fi',
        "lvm": f'case $1 in vgs) printf "  "; cat {state}/tags ;; *) echo "other,$3" >{state}/tags ;; esac',
    }
    for tool, text in tools.items():
        (commands / tool).write_text(f"#!/bin/sh\n{text}\n")
        (commands / tool).chmod(0o755)
    path = f"{commands}:{os.environ['PATH']}"
    assert statuses(run(shell, script, root, "--check", path=path)[1])["mark"] == "would"
    assert list(state.iterdir()) == []
    assert statuses(run(shell, script, root, path=path)[1])["mark"] == "changed"
    assert (state / "label").read_text() == "bf-c10897c2\n" and (state / "tags").read_text() == "other,bf-c10897c2\n"
    assert statuses(run(shell, script, root, path=path)[1])["mark"] == "ok"
    (commands / "lvm").write_text("#!/bin/sh\nexit 5\n")
    status, report = run(shell, script, root, path=path)
    assert (status, statuses(report)["mark"]) == (0, "ok") and "system could not be marked" in report[1][3]


def test_wrong_usage_is_said(shell: list[str], script: Path, tmp_path: Path) -> None:
    for args in (["--phase", "boot"], ["--phase"], ["--force"], ["x"]):
        assert run(shell, script, tmp_path, *args)[0] == 2
    assert tree(tmp_path) == {}


def test_killed_after_any_command_it_converges(shell: list[str], script: Path, tmp_path: Path) -> None:
    """External commands come from a directory of wrappers; the k-th kills its parent instead of running."""
    commands = tmp_path / "bin"
    commands.mkdir()
    for name in ("cat", "stat", "cmp", "mkdir", "rm", "chmod", "mv", "sha256sum", "sed"):
        real = shutil.which(name)
        wrapper = commands / name
        wrapper.write_text(
            f'#!/bin/bash\nread n <"{tmp_path}/left"; echo $((n - 1)) >"{tmp_path}/left"\n'
            f'[ "$n" -ne 0 ] || {{ kill -9 $PPID; exit 1; }}\nexec {real} "$@"\n'
        )
        wrapper.chmod(0o755)
    clean = tmp_path / "clean"
    clean.mkdir()
    run(shell, script, clean, "--revision", "r")
    killed = 0
    for k in range(60):
        root = tmp_path / f"root{k}"
        root.mkdir()
        (tmp_path / "left").write_text(f"{k}\n")
        status, _ = run(shell, script, root, "--revision", "r", path=f"{commands}:{os.environ['PATH']}")
        killed += status != 0
        for name, (_, content) in tree(root).items():
            assert name.endswith(".bf-new") or tree(clean)[name][1] == content, f"{name} is half-written"
        assert run(shell, script, root, "--revision", "r")[0] == 0
        assert {name: file for name, file in tree(root).items()} == tree(clean)
        if int((tmp_path / "left").read_text()) >= 0 and status == 0:
            break
    assert killed >= 3 or shell[0] == "busybox"


def test_without_sha256sum_openssl_makes_the_same_digest(shell: list[str], script: Path, tmp_path: Path) -> None:
    """EL5's coreutils may have none."""
    need("openssl")
    commands, roots = tmp_path / "bin", [tmp_path / "with", tmp_path / "without"]
    commands.mkdir()
    for name in ("cat", "stat", "cmp", "mkdir", "rm", "chmod", "mv", "sed", "printf", "openssl"):
        (commands / name).symlink_to(shutil.which(name) or name)
    if shell[0] == "busybox":
        pytest.skip("busybox's own sha256sum cannot be taken away")
    shell = [shutil.which(shell[0]) or shell[0], *shell[1:]]
    for root, path in zip(roots, (os.environ["PATH"], str(commands)), strict=True):
        root.mkdir()
        assert run(shell, script, root, "--revision", "r", path=path)[0] == 0
    assert tree(roots[0]) == tree(roots[1])


def test_a_full_disk_leaves_nothing_half_written(shell: list[str], script: Path, tmp_path: Path) -> None:
    if os.geteuid():
        pytest.skip("mounting needs root")
    root = tmp_path / "small"
    root.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", root], check=True)
    try:
        (root / "etc").mkdir()
        (root / "etc/hostname").write_text("old\n")
        with pytest.raises(OSError), (root / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 4096)
        status, report = run(shell, script, root)
        assert (status, statuses(report)) == (5, {"hostname": "failed", "mark": "ok", "stamp": "failed"})
        assert (root / "etc/hostname").read_text() == "old\n"
        assert sorted(path.name for path in (root / "etc").iterdir()) in (["hostname"], ["bootforge", "hostname"])
        (root / "filler").unlink()
        assert run(shell, script, root)[0] == 0
    finally:
        subprocess.run(["umount", root], check=True)


def test_names_of_nics_survive_in_a_udev_rule(shell: list[str], tmp_path: Path) -> None:
    nics = (
        "{p0: {mac: 52:54:00:00:00:01}, p1: {mac: 52:54:00:00:00:02},"
        " bond0: {kind: bond, ports: [p0, p1], network: den-lan}}"
    )
    site = {"hosts/den.yaml": f"web01.prod.den.example.com:\n  nics: {nics}\n", "roles/web.yaml": "packages: [httpd]\n"}
    script = tmp_path / "bootstrap"
    script.write_text(generation_with(tmp_path, site).artifact(HOST, "bootstrap").text)
    root = tmp_path / "root"
    root.mkdir()
    assert run(shell, script, root)[0] == 0
    rules = tree(root)["etc/udev/rules.d/70-persistent-net.rules"][1].decode().splitlines()
    assert [rule for rule in rules if not rule.startswith("#")] == [
        'SUBSYSTEM=="net", ACTION=="add", DRIVERS=="?*", ATTR{type}=="1",'
        f' ATTR{{address}}=="52:54:00:00:00:0{number}", NAME="p{number - 1}"'
        for number in (1, 2)
    ]
    status, report = run(shell, script, root)
    assert (status, statuses(report)["nic-names"]) == (0, "ok")
