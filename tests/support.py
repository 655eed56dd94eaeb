"""What tests share: tools that must be there, sites in a temporary directory, the command line, a running server."""

from __future__ import annotations

import io
import json
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from bootforge.store import EventRow, Store

ROOT = Path(__file__).resolve().parent.parent
EXAMPLE = ROOT / "vagrant" / "site"
SMALL = ROOT / "tests" / "site"
"""Three hosts of one data centre, for tests that say to the letter what comes out."""
RELEASES_SITE = ROOT / "tests" / "golden" / "site"
"""A host of each release of Enterprise Linux, which says nearly all that a bootstrap can do."""
ROOT_HASH = "$6$rounds=5000$seededsaltseeded$" + "SeEdEdHaSh" * 8 + "SeEdEd"


def need(*tools: str) -> None:
    """Skips the test when a tool is missing; in CI that is a failure."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    missing = [tool for tool in tools if shutil.which(tool, path=path) is None]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {', '.join(missing)}")


def write_site(root: Path, files: Mapping[str, str]) -> Path:
    """Files by path below ``root``."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return root


def heed_interrupts() -> None:
    """For a child that is to be interrupted: what was started in the background has SIGINT ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@dataclass
class Done:
    """A finished command."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def environment(**more: str) -> dict[str, str]:
    """The environment of commands under test: nothing of the caller's Bootforge settings, nor of their cache."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("BOOTFORGE_")}
    return {**kept, "BOOTFORGE_ROOT_HASH": ROOT_HASH, "XDG_CACHE_HOME": "/proc/none", **more}


def bootforge(*args: str | Path, **env: str) -> Done:
    """Runs the command line in a process of its own."""
    command = [sys.executable, "-m", "bootforge", *map(str, args)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(**env), cwd=ROOT, timeout=120)
    return Done(done.returncode, done.stdout, done.stderr)


def verb(*args: str | Path, **env: str) -> Done:
    """Runs the command line in this process: what ``bootforge`` does, in a tenth of the time."""
    from bootforge.cli import main

    out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    before, root = dict(os.environ), logging.getLogger()
    handlers, level = root.handlers[:], root.level
    status: Any = 0
    os.environ.clear()
    os.environ.update(environment(**env))
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main([str(arg) for arg in args])
    except SystemExit as stop:
        status = stop.code
    finally:
        os.environ.clear()
        os.environ.update(before)
        root.handlers[:] = handlers
        root.setLevel(level)
    texts = [stream.buffer.getvalue().decode() for stream in (out, err)]  # type: ignore[attr-defined]
    return Done(int(status or 0), *texts)


@dataclass
class Answer:
    """An HTTP answer; an error is one like any other."""

    status: int
    body: bytes
    headers: dict[str, str]


@dataclass
class Running:
    """A running server: its process, its URLs and its store."""

    process: subprocess.Popen[str]
    http: str
    tftp_port: int
    store: str
    site: Path
    log: Path
    env: dict[str, str] = field(default_factory=dict)

    def get(self, path: str, source: str = "127.0.0.1", data: bytes | None = None, **headers: str) -> Answer:
        """A request from a source address of loopback, as another machine would send it."""
        import http.client
        from urllib.parse import urlsplit

        netloc = urlsplit(self.http).netloc
        connection = http.client.HTTPConnection(netloc, source_address=(source, 0), timeout=20)
        try:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request("POST" if data is not None else "GET", path, body=data, headers=named)
            response = connection.getresponse()
            return Answer(response.status, response.read(), {k.lower(): v for k, v in response.getheaders()})
        finally:
            connection.close()

    def send(self, data: bytes, source: str = "127.0.0.1", timeout: float = 10, ends: bool = False) -> bytes:
        """Bytes as they are, on a connection of their own; what comes back until the server closes or is silent.
        ``ends``: the server is told that no more will come."""
        host, _, port = self.http.removeprefix("http://").rpartition(":")
        received = b""
        connection = socket.create_connection((host, int(port)), timeout, source_address=(source, 0))
        with connection:
            with suppress(OSError):  # it may have answered, and closed, before it had everything
                connection.sendall(data)
                if ends:
                    connection.shutdown(socket.SHUT_WR)
            with suppress(OSError):
                while more := connection.recv(65536):
                    received += more
        return received

    @contextmanager
    def opened(self) -> Iterator[Store]:
        """The server's store, in this process."""
        from bootforge.store import open_store

        store = open_store(self.store)
        try:
            yield store
        finally:
            store.close()

    def grant(self, host: str, ttl: float = 7200) -> str:
        """Arms a host as ``arm`` does, but in this process, which is quick; the path of its kickstart."""
        from bootforge.plan.cmdline import kickstart_path
        from bootforge.state import server_key

        key = server_key(self.store)
        with self.opened() as store:
            (row,) = store.arm([host], ttl=ttl, why="test", by="test", tokens=key.token)
        return kickstart_path(host, key.token(row.id))

    def recorded(self, host: str | None = None, after: int = 0) -> list[EventRow]:
        """The events, read from the store."""
        with self.opened() as store:
            return store.events(host, after=after, limit=100_000)

    def verb(self, *args: str) -> Done:
        """As ``run``, in this process."""
        return verb(*args, BOOTFORGE_SITE=str(self.site), BOOTFORGE_STORE=self.store, **self.env)

    def run(self, *args: str) -> Done:
        """A verb against this server's site and store."""
        return bootforge(*args, BOOTFORGE_SITE=str(self.site), BOOTFORGE_STORE=self.store, **self.env)

    def arm(self, host: str, *options: str) -> str:
        """Arms a host; the path of its kickstart."""
        done = self.run("arm", host, "--json", *options)
        assert done.status == 0, done.err
        path: str = done.json[0]["path"]
        return path

    def events(self) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = self.run("events", "--json").json
        return events

    def wait_for_log(self, pattern: str, timeout: float = 20) -> None:
        end = time.monotonic() + timeout
        while not re.search(pattern, self.log.read_text()):
            assert time.monotonic() < end, f"no {pattern!r} in:\n{self.log.read_text()}"
            time.sleep(0.1)


@contextmanager
def running(site: Path, state: Path, *options: str, store: str = "", patch: str = "", **env: str) -> Iterator[Running]:
    """A server of its own on free ports of loopback, stopped at the end. Its log, and its store unless another
    one is given, are in ``state``. ``patch``: Python that runs first, to shorten a time."""
    state.mkdir(parents=True, exist_ok=True)
    log = state / "serve.log"
    store = store or f"sqlite:///{state / 'store.db'}"
    program = ["-c", f"{patch}\nfrom bootforge.cli import main\nmain()"] if patch else ["-m", "bootforge"]
    command = [sys.executable, *program, "serve", "--site", str(site), "--store", store]
    command += ["--bind", "127.0.0.1", "--http-port", "0", "--tftp-port", "0", *options]
    with log.open("w") as errors:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment(**env), cwd=ROOT
        )
    try:
        assert process.stdout is not None
        http, tftp = process.stdout.readline().strip(), process.stdout.readline().strip()
        assert http.startswith("http://") and tftp.startswith("tftp://"), log.read_text()
        server = Running(process, http.rstrip("/"), int(tftp.rstrip("/").rpartition(":")[2]), store, site, log, env)
        _wait_until_answering(server)
        yield server
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            process.wait(40)


def _wait_until_answering(server: Running) -> None:
    end = time.monotonic() + 30
    while True:
        try:
            with urllib.request.urlopen(server.http + "/boot.ipxe", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert time.monotonic() < end, server.log.read_text()
            time.sleep(0.1)
