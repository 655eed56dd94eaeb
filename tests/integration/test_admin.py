"""The listener for operators, the log's two forms, and what systemd is told."""

from __future__ import annotations

import json
import logging
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from bootforge.serve.logs import Json, Text
from tests.integration.edge import edge_site, front_pid, http_pids, kill, mac, name, netboot, tftp_pid, until
from tests.support import ROOT, Running, environment, need, running, write_site


@dataclass
class Watched:
    """A server and its listener for operators."""

    server: Running
    url: str

    def get(self, path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(self.url + path, timeout=20) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def numbers(self) -> dict[str, float]:
        """Every sample of /metrics by its name and labels."""
        lines = (line for line in self.get("/metrics")[1].splitlines() if not line.startswith("#"))
        return {key: float(value) for key, _, value in (line.rpartition(" ") for line in lines)}

    def number(self, key: str) -> float:
        return self.numbers().get(key, 0.0)

    def fetch(self, file: str) -> bytes:
        """A file by TFTP, or what there is of it."""
        url = f"tftp://127.0.0.1:{self.server.tftp_port}/{file}"
        return subprocess.run(["curl", "-s", "-m", "20", url], capture_output=True).stdout


@contextmanager
def watched(root: Path, *options: str, **env: str) -> Iterator[Watched]:
    with running(edge_site(root / "site", 9), root / "state", "--admin", "0", *options, **env) as server:
        assert server.process.stdout
        url = server.process.stdout.readline().strip()
        assert url.endswith("/metrics")
        yield Watched(server, url.removesuffix("/metrics"))


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with watched(tmp_path_factory.mktemp("admin")) as one:
        yield one


def asked(route: str, status: int) -> str:
    return f'bootforge_http_requests_total{{route="{route}",status="{status}"}}'


def test_prometheus_finds_nothing_to_complain_of(one: Watched) -> None:
    need("promtool", "curl")
    one.server.get("/nothing")
    assert one.fetch("undionly.kpxe")
    text = one.get("/metrics")[1]
    for shown, faults in ((text, False), (text.replace("counter\n", "gauge\n"), True)):
        done = subprocess.run(["promtool", "check", "metrics"], input=shown, capture_output=True, text=True)
        assert bool(done.returncode or done.stderr) == faults, done


def test_what_happens_is_counted(one: Watched) -> None:
    need("curl")
    before = one.numbers()
    write_site(one.server.log.parent / "media", {"t/big": "x" * 100_000})
    grant = one.server.grant(name(1))
    netboot(one.server, 1)
    assert one.server.get(grant).status == 200
    one.server.get(grant, "127.0.0.9")
    one.server.get("/nothing")
    one.server.get("/media/t/big")
    one.server.get("/media/t/big", range="bytes=1-2")
    one.server.get("/media/t/none")
    one.server.send(b"no request\r\n\r\n")
    size = len(one.fetch("undionly.kpxe"))
    one.fetch("nothing")

    def changes() -> dict[str, float]:
        return {key: value - before.get(key, 0) for key, value in one.numbers().items()}

    assert until(lambda: changes()["bootforge_tftp_bytes_total"] == size > 0)
    changed = changes()
    assert changed[asked("/m/<mac>/boot.ipxe", 200)] == 1
    assert changed[asked("/i/<host>/<token>/kickstart", 200)] == 1
    assert changed[asked("/i/<host>/<token>/kickstart", 404)] == changed["bootforge_refused_total"] == 1
    assert changed[asked("none", 404)] == 2
    assert [changed[asked("/media/<path>", status)] for status in (200, 206, 404)] == [1, 1, 1]
    assert 100_002 < changed["bootforge_media_bytes_total"] < 102_000
    assert changed['bootforge_tftp_transfers_total{result="sent"}'] == 1
    assert changed["bootforge_tftp_refused_total"] == 1
    assert one.number('bootforge_hosts{state="installing"}') >= 0
    assert until(lambda: one.number('bootforge_hosts{state="installing"}') == 1), "what the store says is 5 s old"
    assert one.number("bootforge_generation_hosts") == 12
    assert one.number("bootforge_last_reload_successful") == one.number("bootforge_ready") == 1
    route = '{route="/i/<host>/<token>/kickstart"}'
    assert changed[f"bootforge_http_request_duration_seconds_count{route}"] == 2


def test_no_number_tells_of_a_host_or_a_token(one: Watched) -> None:
    grant = one.server.grant(name(2))
    netboot(one.server, 2)
    one.server.get(grant)
    one.server.get(f"/{name(3)}/{mac(3)}")
    text = one.get("/metrics")[1]
    assert "bootforge_hosts" in text
    for told in ("example.com", "web2", mac(2), "02:00", "127.0.", grant.split("/")[3], str(one.server.site)):
        assert told not in text
    labels = re.findall(r'="([^"]*)"', text)
    assert labels and not [label for label in labels if re.search(r"[0-9a-f]{8}", label)]


def test_numbers_go_on_when_processes_are_killed(one: Watched) -> None:
    need("curl")
    key, media = asked("none", 404), asked("/media/<path>", 404)
    for _ in range(3):
        before = one.numbers()
        kill(http_pids(one.server)[1])
        kill(front_pid(one.server))
        kill(tftp_pid(one.server))
        assert until(lambda: one.server.get("/nothing").status == 404, 30)
        assert until(lambda: one.server.get("/media/nothing").status == 404, 30)
        assert until(lambda: bool(one.fetch("undionly.kpxe")), 30)
        after = one.numbers()
        assert after[key] == before.get(key, 0) + 1 and after[media] == before.get(media, 0) + 1
        assert after["bootforge_tftp_bytes_total"] > before["bootforge_tftp_bytes_total"]
    assert [one.number(f'bootforge_restarts_total{{process="{process}"}}') for process in ("front", "tftp")] == [3, 3]
    assert until(lambda: one.get("/readyz") == (200, "ok\n"))


def test_who_is_alive_and_who_is_ready(one: Watched) -> None:
    assert until(lambda: one.get("/readyz") == (200, "ok\n"))
    assert one.get("/healthz") == (200, "ok\n")
    assert one.get("/") == one.get("/i/x") == one.get("/boot.ipxe") == (404, "not found\n")
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(urllib.request.Request(one.url + "/metrics", b"x"), timeout=10)
    kill(http_pids(one.server)[0])
    assert until(lambda: one.get("/readyz") == (503, "http is starting\n"))
    assert one.get("/healthz")[0] == 200
    assert until(lambda: one.get("/readyz")[0] == 200, 30), "the next one is"


def test_a_store_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    with watched(tmp_path) as one:
        assert until(lambda: one.get("/readyz")[0] == 200)
        for file in (tmp_path / "state").glob("store.db*"):
            file.write_bytes(b"no database" * 1000)
        assert until(lambda: one.get("/readyz")[0] == 503)
        assert one.get("/readyz")[1] == "the store cannot be read: see the log\n"
        assert one.number("bootforge_store_up") == one.number("bootforge_ready") == 0
        assert one.get("/healthz")[0] == 200
        before = one.number("bootforge_store_errors_total")
        one.server.get("/m/52:54:00:00:00:99/boot.ipxe")
        assert one.number("bootforge_store_errors_total") == before + 1
        assert "the store cannot be read: the store" in one.server.log.read_text()


def test_a_broken_site_is_told(tmp_path: Path) -> None:
    with watched(tmp_path) as one:
        before = one.number("bootforge_generation_timestamp_seconds")
        write_site(one.server.site, {"rules.yaml": "rules: [broken\n"})
        assert until(lambda: one.number("bootforge_last_reload_successful") == 0)
        assert one.number("bootforge_generation_timestamp_seconds") == before
        assert one.get("/readyz")[0] == 200, "the last good one is served"
        (one.server.site / "rules.yaml").unlink()
        assert until(lambda: one.number("bootforge_last_reload_successful") == 1)
        assert one.number('bootforge_reloads_total{result="failed"}') == 1


@pytest.mark.parametrize("given", ["x", "1.2.3.4", "70000", "localhost:80", "1.2.3:80", "-1", "1.2.3.4:", "\u0663"])
def test_what_is_no_listener_is_refused(given: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "bootforge", "serve", "--admin", given],
        capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2 and "such as 10.0.0.1:9467" in done.stderr, done


# Logs

HOSTILE = (
    b"GET /\x1b[2J%0a<0>fake%0d%0A{%22level%22:%22x%22}/\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /m/52:54:00:00:00:98/boot.ipxe?serial=%0aERROR%20fake%1b[31m HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /media/%0a%1b HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET /media/\x0b\x85\xe2\x80\xa8x HTTP/1.1\r\nHost: x\r\n\r\n",
    b"POST /i/web1%0aweb2/%0a/report/%0a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\n\n",
    b"\n\nERROR fake\r\n\r\n",
)


def provoke(server: Running) -> str:
    """Sends what may not get into a log as it is; the token that was used."""
    grant = server.grant(name(5))
    for request in HOSTILE:
        server.send(request, timeout=3, ends=True)
    netboot(server, 5)
    server.get(grant)
    server.get(grant.replace("/kickstart", "/nothing"))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"\0\1x\nERROR fake\x1b\0octet\0", ("127.0.0.1", server.tftp_port))
    server.wait_for_log("refused: file not found")
    return grant.split("/")[3]


def test_every_line_is_one_json_object(tmp_path: Path) -> None:
    with watched(tmp_path, "--log-format", "json", "-v") as one:
        token = provoke(one.server)
        write_site(one.server.site, {"rules.yaml": "rules: ['\n\x1b'\n"})
        one.server.wait_for_log("the site is broken")
        kill(http_pids(one.server)[1])
        one.server.wait_for_log("gunicorn.error")
    text = one.server.log.read_bytes().decode("ascii")
    assert "\x1b" not in text and token not in text
    lines = [json.loads(line) for line in text.splitlines()]
    assert len(lines) > 20
    for line in lines:
        assert set(line) >= {"time", "level", "logger", "what"} and re.fullmatch(r"[-0-9]+T[0-9:.]+Z", line["time"])
        assert line["level"] in ("debug", "info", "warning", "error", "critical")
    (kickstart,) = [line for line in lines if line.get("route", "").endswith("/kickstart")]
    assert {key: kickstart[key] for key in ("client", "host", "status", "level")} == {
        "client": "127.0.0.1", "host": name(5), "status": 200, "level": "info",
    }  # fmt: skip
    assert kickstart["bytes"] > 1000 and 0 <= kickstart["duration"] < 100
    assert any(line.get("mac") == mac(5) for line in lines)
    assert any(line.get("result") == "failed" or "refused" in line["what"] for line in lines)


def test_every_line_of_text_is_ours(tmp_path: Path) -> None:
    with running(edge_site(tmp_path / "site", 9), tmp_path / "state", "-v") as server:
        token = provoke(server)
    text = server.log.read_text()
    assert "\x1b" not in text and token not in text
    for line in text.split("\n")[:-1]:
        assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} (DEBUG|INFO|WARNING|ERROR) |    ", line), line
        assert line.isprintable()
    assert not re.search(r"^\S+ \S+ ERROR fake|^ERROR", text, re.MULTILINE)


def record(message: str, *args: object, exc: bool = False) -> logging.LogRecord:
    try:
        raise ValueError("two\nlines \x1b[31m of a stranger")
    except ValueError:
        info = sys.exc_info() if exc else None
    return logging.LogRecord("bootforge.x", logging.WARNING, "x.py", 1, message, args, info)


def test_a_traceback_cannot_begin_a_line_of_its_own() -> None:
    text = Text(journal=False).format(record("%s", "a\nb\u2028c\x1b", exc=True)).split("\n")
    assert text[0].endswith(" WARNING a\\nb\\u2028c\\x1b") and len(text) > 3
    assert all(line.startswith("    ") and line.isprintable() for line in text[1:])
    line = Json(journal=False).format(record("%s", "a\nb\u2028c", exc=True))
    assert line.isascii() and line.isprintable()
    assert json.loads(line)["traceback"][-1] == "lines \x1b[31m of a stranger"
    assert Json(journal=False).format(record("x")).startswith('{"time": "')


def test_the_journal_gets_the_level_of_each_line(tmp_path: Path) -> None:
    code = (
        "import logging, os\nfrom bootforge.serve.logs import configure\nlogging.basicConfig()\nconfigure('text')\n"
        "logging.error('bad')\nlogging.warning('odd')\n"
        "try:\n    1 / 0\nexcept ZeroDivisionError:\n    logging.exception('worse')"
    )
    for ours in (True, False):
        with (tmp_path / "log").open("w") as log:
            status = os.fstat(log.fileno())
            stream = f"{status.st_dev}:{status.st_ino + (not ours)}"
            env = environment(JOURNAL_STREAM=stream)
            subprocess.run([sys.executable, "-c", code], stderr=log, env=env, cwd=ROOT, check=True)
        lines = (tmp_path / "log").read_text().splitlines()
        if ours:
            assert lines[:3] == ["<3>ERROR bad", "<4>WARNING odd", "<3>ERROR worse"]
            assert len(lines) > 5 and all(line.startswith("<3>    ") for line in lines[3:])
        else:
            assert re.fullmatch(r"[-0-9]+ [:,0-9]+ ERROR bad", lines[0])


# systemd


def test_systemd_is_told(tmp_path: Path) -> None:
    heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard.bind(str(tmp_path / "notify"))
    heard.settimeout(30)

    def hear() -> list[str]:
        return heard.recv(4096).decode().split("\n")

    with watched(tmp_path, NOTIFY_SOCKET=str(tmp_path / "notify")) as one:
        assert hear() == ["READY=1", "STATUS=serving 12 hosts"]
        assert until(lambda: one.get("/readyz")[0] == 200)
        one.server.process.send_signal(1)
        first, second = hear()
        assert first == "RELOADING=1" and abs(int(second.partition("=")[2]) / 1e6 - time.monotonic()) < 100
        assert hear() == ["READY=1", "STATUS=serving 12 hosts"]
        write_site(one.server.site, {"rules.yaml": "rules: [broken\n"})
        one.server.wait_for_log("the site is broken")
        one.server.process.send_signal(1)
        assert hear()[0] == "RELOADING=1"
        assert hear()[1].endswith("; the site is broken, this is the last good one")
        one.server.process.terminate()
        assert hear() == ["STOPPING=1"]
        one.server.process.wait(40)
        heard.settimeout(0.1)
        with pytest.raises(TimeoutError):
            hear()


def test_the_listener_goes_with_the_server(tmp_path: Path) -> None:
    with running(edge_site(tmp_path / "site", 1), tmp_path / "state", "--admin", "[::1]:0") as server:
        assert server.process.stdout
        url = server.process.stdout.readline().strip()
        assert url.startswith("http://[::1]:") and urllib.request.urlopen(url, timeout=20).status == 200
        address = ("::1", int(url.removesuffix("/metrics").rpartition(":")[2]))
        with pytest.raises(OSError):
            socket.create_server(address, family=socket.AF_INET6)
        server.process.kill()
        server.process.wait()
        assert until(lambda: socket.create_server(address, family=socket.AF_INET6).close() is None), (
            "nobody has it still"
        )
