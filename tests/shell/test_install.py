"""The shell functions of kickstarts, run for real under every shell: finding the server, fetching, reporting, sending
logs, ordering UEFI's entries."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from bootforge.resources import shipped_texts
from bootforge.serve.http import LOGS
from tests.support import need

LIBRARIES = ("common", "logs", "bootorder")
SHELLS = ("dash", "bash", "mksh", "busybox sh")
TOOLS = ("curl", "wget", "python")
TOKEN = "0123456789abcdef"


def library(name: str) -> str:
    return shipped_texts("templates")[f"install/{name}.sh"]


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    words: list[str] = request.param.split()
    need(words[0])
    return words


@dataclass
class Server:
    """What was asked for and sent; ``gone`` answers everything with an error."""

    url: str
    sent: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    gone: bool = False


@pytest.fixture
def server() -> Iterator[Server]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known.asked.append(self.path)
            self.answer(b"content\n")

        def do_POST(self) -> None:
            known.asked.append(self.path)
            known.sent[self.path] = self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(b"ok\n")

        def answer(self, body: bytes) -> None:
            self.send_response(404 if known.gone else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    known = Server(f"http://127.0.0.1:{http.server_port}/i/web01/{TOKEN}")
    threading.Thread(target=http.serve_forever, daemon=True).start()
    yield known
    http.shutdown()
    http.server_close()


def commands(root: Path, *names: str) -> str:
    """A directory that has these commands and no others."""
    bin = root / "bin"
    bin.mkdir()
    for name in ("sed", "tail", "rm", "cat", "mkdir", "chmod", "chown", "sha256sum", "echo", "printf", *names):
        found = os.path.realpath(sys.executable) if name == "python" else shutil.which(name)
        if found:
            (bin / name).symlink_to(found)
    return str(bin)


def run(
    shell: list[str], script: str, root: Path, *, cmdline: str = "", path: str = ""
) -> subprocess.CompletedProcess[str]:
    (root / "cmdline").write_text(cmdline)
    (root / "tmp").mkdir(exist_ok=True)
    env = {"PATH": path or os.environ["PATH"], "BF_ROOT": str(root), "BF_CMDLINE": str(root / "cmdline")}
    program = shutil.which(shell[0]) or shell[0]
    return subprocess.run(
        [program, *shell[1:], "-c", script], capture_output=True, text=True, env=env, timeout=60, cwd=root
    )


@pytest.mark.parametrize("name", LIBRARIES)
def test_a_library_passes_shellcheck_and_no_line_begins_a_section(name: str) -> None:
    need("shellcheck")
    text = "#!/bin/sh\n" + library(name)
    done = subprocess.run(["shellcheck", "-s", "sh", "-"], input=text, capture_output=True, text=True)
    assert done.stdout == ""
    assert not [line for line in text.splitlines() if line.startswith("%")]


@pytest.mark.parametrize(
    "cmdline,url",
    [
        ("ro inst.ks=http://10.0.0.1/i/a/b/kickstart quiet\n", "http://10.0.0.1/i/a/b"),
        ("ks=http://10.0.0.1:8080/i/a/b/kickstart", "http://10.0.0.1:8080/i/a/b"),
        ("inst.ks=https://h/kickstart inst.ks=http://h2/kickstart", "http://h2"),
        ("a=* inst.ks=http://10.0.0.1/i/[a]/kickstart ?", "http://10.0.0.1/i/[a]"),
        ("inst.ks=hd:sda1:/ks.cfg quiet", ""),
        ("inst.ksx=http://h/kickstart", ""),
        ("", ""),
    ],
)
def test_the_url_is_read_from_the_boot_arguments(shell: list[str], tmp_path: Path, cmdline: str, url: str) -> None:
    done = run(shell, library("common") + "line=kept\nbf_url\necho $? $line", tmp_path, cmdline=cmdline)
    assert done.stdout == (f"{url}\n0 kept\n" if url else "1 kept\n")


@pytest.mark.parametrize("cmdline", ["inst.ks=file:/ks.cfg\n", "ks=http://other/kickstart\n"])
def test_a_kickstart_of_the_initramfs_says_itself_where_it_is_from(
    shell: list[str], tmp_path: Path, cmdline: str
) -> None:
    script = library("common") + "bf_grant='http://10.0.0.1/i/a/b/kickstart'\nbf_url"
    assert run(shell, script, tmp_path, cmdline=cmdline).stdout == "http://10.0.0.1/i/a/b\n"


@pytest.mark.parametrize("tool", TOOLS)
def test_fetch_and_report_with_whatever_there_is(shell: list[str], server: Server, tmp_path: Path, tool: str) -> None:
    if shell[0] == "busybox" and tool != "curl":
        pytest.skip("busybox's own wget cannot be taken away")
    need(*({tool} - {"python"}))
    path = commands(tmp_path, tool)
    (tmp_path / "said").write_text("installed\t0\n\0é")
    cmdline = f"inst.ks={server.url}/kickstart"
    script = library("common") + (
        '\nbf_fetch "$(bf_url)/bootstrap" got && cat got\nbf_report installed said; echo $?\nbf_sha256 got\n'
    )
    done = run(shell, script, tmp_path, cmdline=cmdline, path=path)
    assert done.stdout.splitlines()[:2] == ["content", "0"], done.stderr
    assert len(done.stdout.splitlines()[2]) == 64
    base = f"/i/web01/{TOKEN}"
    assert server.asked == [f"{base}/bootstrap", f"{base}/report/installed"]
    assert server.sent == {f"{base}/report/installed": (tmp_path / "said").read_bytes()}
    server.gone = True
    script = library("common") + "\nbf_fetch $(bf_url)/x none 2>/dev/null; echo $?; bf_report failed said 2>/dev/null\n"
    done = run(shell, script, tmp_path, cmdline=cmdline, path=path)
    assert done.stdout != "0\n" and done.returncode


def test_without_any_tool_it_fails_and_says_nothing(shell: list[str], server: Server, tmp_path: Path) -> None:
    if shell[0] == "busybox":
        pytest.skip("busybox has a wget")
    path = commands(tmp_path)
    done = run(shell, library("common") + "\nbf_fetch http://127.0.0.1:9/x y", tmp_path, path=path)
    assert (done.returncode, done.stdout, done.stderr) == (127, "", "")


@pytest.mark.parametrize("mount", ["sysroot", "sysimage"])
def test_the_ends_of_logs_are_sent(shell: list[str], server: Server, tmp_path: Path, mount: str) -> None:
    need("curl")
    system = tmp_path / "mnt" / mount / "root"
    system.mkdir(parents=True)
    (system / "bootforge-post.log").write_text("post\n")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/anaconda.log").write_bytes(b"begin" + b"x" * 300_000 + b"end")
    (tmp_path / "tmp/program.log").write_text("")
    (tmp_path / "tmp/syslog").write_text("syslog\n")
    script = library("common") + library("logs") + "bf_upload_logs; echo $?"
    done = run(shell, script, tmp_path, cmdline=f"ks={server.url}/kickstart")
    assert (done.stdout, done.stderr) == ("0\n", "")
    sent = {name.rpartition("/")[2]: body for name, body in server.sent.items()}
    assert sent.keys() == {"post.log", "anaconda.log", "syslog"} and sent.keys() <= {*LOGS}
    assert len(sent["anaconda.log"]) == 256 * 1024 and sent["anaconda.log"].endswith(b"xend")
    assert not (tmp_path / "tmp/bf-upload").exists()


def test_a_log_that_cannot_be_sent_is_the_last_and_changes_nothing(
    shell: list[str], server: Server, tmp_path: Path
) -> None:
    need("curl")
    server.gone = True
    (tmp_path / "tmp").mkdir()
    for name in ("anaconda.log", "program.log", "storage.log"):
        (tmp_path / "tmp" / name).write_text("x\n")
    script = library("common") + library("logs") + "bf_upload_logs; echo $?"
    done = run(shell, script, tmp_path, cmdline=f"ks={server.url}/kickstart")
    assert done.stdout == "0\n" and len(server.asked) == 1
    done = run(shell, script, tmp_path, cmdline="quiet")
    assert done.stdout == "0\n" and len(server.asked) == 1


def test_the_names_that_are_sent_are_those_that_are_taken() -> None:
    text = library("logs")
    assert all(name in text for name in LOGS)


def test_a_dying_installer_reports_and_sends_its_logs(shell: list[str], server: Server, tmp_path: Path) -> None:
    need("curl")
    (tmp_path / "tmp").mkdir()
    (tmp_path / "tmp/anaconda.log").write_text("".join(f"line {number}\n" for number in range(100)))
    done = run(shell, library("common") + library("logs") + "bf_failed", tmp_path, cmdline=f"ks={server.url}/kickstart")
    assert done.returncode == 0, done.stderr
    base = f"/i/web01/{TOKEN}"
    assert server.asked == [f"{base}/report/failed", f"{base}/log/anaconda.log"]
    lines = server.sent[f"{base}/report/failed"].decode().splitlines()
    assert lines[0] == "failed\t0\tinstaller\tthe installer stopped before the end; its logs say why"
    assert lines[1:4] == ["", "== anaconda.log", "line 60"] and lines[-1] == "line 99"
    assert [*(tmp_path / "tmp").iterdir()] == [tmp_path / "tmp/anaconda.log"]


# The boot order


@pytest.mark.parametrize(
    "current,order,wanted",
    [
        ("0003", "0004,0003,0000", "0003,0004,0000"),
        ("0003", "0003,0004", None),
        ("0003", "0004,0000", "0003,0004,0000"),
        ("", "0004,0000", None),
        ("0003", "", None),
    ],
)
def test_the_entry_that_booted_goes_first(
    shell: list[str], tmp_path: Path, current: str, order: str, wanted: str | None
) -> None:
    bin = tmp_path / "stubs"
    bin.mkdir()
    lines = [f"BootCurrent: {current}"] * bool(current) + ["Timeout: 1 seconds"] + [f"BootOrder: {order}"] * bool(order)
    said = "\\n".join([*lines, "Boot0003* PXEv4", "Boot0004* Rocky Linux"])
    (bin / "efibootmgr").write_text(
        f'#!/bin/sh\n[ $# = 0 ] && printf "{said}\\n" && exit\necho "$@" >>$BF_ROOT/calls\n'
    )
    (bin / "efibootmgr").chmod(0o755)
    (tmp_path / "sys/firmware/efi").mkdir(parents=True)
    path = f"{bin}:{os.environ['PATH']}"
    done = run(shell, library("bootorder") + "bf_network_first", tmp_path, path=path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    calls = tmp_path / "calls"
    assert (calls.read_text() if calls.exists() else None) == (f"-q -o {wanted}\n" if wanted else None)


def test_bios_has_no_order(shell: list[str], tmp_path: Path) -> None:
    done = run(shell, library("bootorder") + "bf_network_first", tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
