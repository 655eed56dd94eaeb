"""A real nginx on a free port of loopback."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from tests.support import need

CONF = """\
daemon off;
pid {top}/pid;
error_log {top}/error.log;
worker_processes 1;
{user}
events {{ worker_connections 2048; }}
http {{
    access_log {top}/access.log;
    client_body_temp_path {top}/body;
    proxy_temp_path {top}/proxy;
    fastcgi_temp_path {top}/fastcgi;
    uwsgi_temp_path {top}/uwsgi;
    scgi_temp_path {top}/scgi;
    sendfile on;
    {http}
}}
"""


class Nginx:
    """``server``: the lines of its one server; or, with ``whole``, the server itself, in which PORT is its port."""

    def __init__(self, top: Path, server: str, whole: bool = False) -> None:
        need("nginx")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.top, self.url = top, f"http://127.0.0.1:{port}"
        top.mkdir(parents=True)
        http = (
            server.replace("PORT", f"127.0.0.1:{port}") if whole else f"server {{ listen 127.0.0.1:{port}; {server} }}"
        )
        (top / "nginx.conf").write_text(CONF.format(top=top, user="user root;", http=http))

    def __enter__(self) -> Nginx:
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/sbin:/bin") or "nginx"
        self.process = subprocess.Popen(
            [program, "-p", str(self.top), "-e", str(self.top / "error.log"), "-c", str(self.top / "nginx.conf")],
            stderr=subprocess.PIPE,
            text=True,
        )
        end = time.monotonic() + 20
        host, _, port = self.url.removeprefix("http://").rpartition(":")
        while True:
            try:
                socket.create_connection((host, int(port)), 1).close()
                return self
            except OSError:
                assert self.process.poll() is None and self.process.stderr, "nginx ended"
                assert time.monotonic() < end, "nginx does not listen"
                time.sleep(0.05)

    def __exit__(self, *args: object) -> None:
        self.process.terminate()
        self.process.wait(20)
