"""``bootforge serve``: one small process that owns the sockets and keeps three children alive.

The children are the front (every HTTP connection comes to it; it gives out media), HTTP (gunicorn, one worker of many
threads, which also watches the site) and TFTP. A child that dies is started again on the same sockets; children die
with their parent. SIGHUP reloads, SIGTERM drains.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bootforge.errors import Exit, UsageError
from bootforge.generation import build_generation
from bootforge.serve import tftp, tftp_wire
from bootforge.serve.loaders import find_loader, missing_loaders
from bootforge.serve.script import first_scripts
from bootforge.state import default_media, server_key, state_dir
from bootforge.store import open_store

log = logging.getLogger(__name__)

DRAIN = 30.0
_BUILD = 600
"""Seconds for a worker to build its first generation, before it is taken for dead: 10,000 hosts take 14."""
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


@dataclass(frozen=True, slots=True)
class Options:
    """What ``serve`` was asked for; port 0 picks a free one."""

    site: Path
    store: str
    bind: str
    http_port: int
    tftp_port: int
    tftp_single_port: bool = False
    media: Path | None = None
    nginx: str | None = None


@dataclass(slots=True)
class Child:
    """A child process and how to start it again."""

    name: str
    target: Callable[[], None]
    pid: int = 0
    started: float = 0.0
    failures: int = 0
    due: float = field(default=0.0)

    def start(self) -> None:
        parent = os.getpid()
        sys.stdout.flush()
        sys.stderr.flush()
        self.started = time.monotonic()
        self.pid = os.fork()
        if self.pid == 0:
            self._run(parent)

    def _run(self, parent: int) -> None:
        status = int(Exit.CRASH)
        try:
            libc = ctypes.CDLL(None)
            libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
            libc.prctl(_PR_SET_NAME, f"bootforge-{self.name}".encode())  # 15 characters, for ps and top
            if os.getppid() == parent:
                for number in _SIGNALS:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
                self.target()
            status = 0
        except SystemExit as stop:
            status = stop.code if isinstance(stop.code, int) else 1
        except BaseException:
            log.exception("%s ended", self.name)
        finally:
            sys.stderr.flush()
            os._exit(status)

    def ended(self, status: int) -> None:
        """Notes the end of the process; the next start is put off when ends follow each other quickly."""
        quick = time.monotonic() - self.started < 5
        self.failures = self.failures + 1 if quick else 0
        self.due = time.monotonic() + min(0.1 * 2**self.failures, 2.0)
        self.pid = 0
        log.error("%s ended with status %s; it is started again", self.name, os.waitstatus_to_exitcode(status))


def serve(options: Options, announce: Callable[[str], None]) -> int:
    """Serves until a signal says to stop; the exit code. ``announce`` gets the URLs, once they answer. Raises
    UsageError and SiteError when something is wrong at the start."""
    state = state_dir(options.store)
    open_store(options.store).close()
    server_key(options.store)
    revision = build_generation(options.site).site.revision
    http, udp = _bind(options)
    wake_read, wake_write = os.pipe()
    for name in missing_loaders():
        log.warning("no loader %s: install the package ipxe (Debian) or ipxe-bootimgs-x86 (EL)", name)
    hand, handed = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    media = options.media or default_media(options.store)
    children = [
        Child("front", lambda: _run_front(http, udp, hand, handed, media, options.nginx)),
        Child("http", lambda: _run_http(options, http, udp, hand, handed, wake_read, state)),
        Child("tftp", lambda: _run_tftp(options, http, udp, hand, handed)),
    ]
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for child in children:
        child.start()
    log.info("serving revision %s", revision)
    announce(f"http://{_shown(http)}/")
    announce(f"tftp://{_shown(udp)}/")
    return _supervise(children, wake_write, hand)


def _bind(options: Options) -> tuple[socket.socket, socket.socket]:
    try:
        http = socket.create_server((options.bind, options.http_port), family=_family(options.bind), backlog=2048)
        return http, tftp_wire.bind(options.bind, options.tftp_port, single_port=options.tftp_single_port)
    except OSError as error:
        ports = f"{options.bind}, HTTP port {options.http_port}, TFTP port {options.tftp_port}"
        hint = "ports below 1024 need root or CAP_NET_BIND_SERVICE; --http-port and --tftp-port choose others"
        raise UsageError(f"cannot listen on {ports}: {error.strerror or error}", hint) from None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _supervise(children: list[Child], wake: int, hand: socket.socket) -> int:
    while True:
        due = [child.due for child in children if not child.pid]
        timeout = max(0.0, min(due) - time.monotonic()) if due else 3600.0
        got = signal.sigtimedwait(_SIGNALS, timeout)
        number = got.si_signo if got else None
        if number in (signal.SIGTERM, signal.SIGINT):
            hand.close()  # the front has it still, until it has handed over the last connection
            _stop(children)
            return int(Exit.INTERRUPTED if number == signal.SIGINT else Exit.OK)
        if number == signal.SIGHUP:
            os.write(wake, b"\n")
        for child, status in _reap(children):
            child.ended(status)
        for child in children:
            if not child.pid and child.due <= time.monotonic():
                child.start()


def _reap(children: list[Child]) -> list[tuple[Child, int]]:
    ended = []
    for child in children:
        if child.pid:
            pid, status = os.waitpid(child.pid, os.WNOHANG)
            if pid:
                ended.append((child, status))
    return ended


def _stop(children: list[Child]) -> None:
    """SIGTERM to every child, time to finish what is in flight, then SIGKILL."""
    log.info("stopping: transfers in flight have %d s to finish", DRAIN)
    for child in children:
        if child.pid:
            os.kill(child.pid, signal.SIGTERM)
    end = time.monotonic() + DRAIN + 2
    while any(child.pid for child in children) and time.monotonic() < end:
        signal.sigtimedwait({signal.SIGCHLD}, 0.2)
        for child, _ in _reap(children):
            child.pid = 0
    for child in children:
        if child.pid:
            os.kill(child.pid, signal.SIGKILL)


def _run_front(
    listener: socket.socket,
    udp: socket.socket,
    hand: socket.socket,
    handed: socket.socket,
    media: Path,
    nginx: str | None,
) -> None:
    from bootforge.serve import front
    from bootforge.serve.media import Media

    udp.close()
    handed.close()
    front.run(listener, hand, Media(media), nginx, DRAIN)


def _run_tftp(options: Options, *others: socket.socket) -> None:
    http, udp, hand, handed = others
    for other in (http, hand, handed):
        other.close()  # else a transfer that ends late would keep the next server from its port
    script = first_scripts()
    tftp.run(udp, lambda name: script(name) or find_loader(name), single_port=options.tftp_single_port)


def _run_http(
    options: Options,
    listener: socket.socket,
    udp: socket.socket,
    hand: socket.socket,
    handed: socket.socket,
    wake: int,
    state: Path,
) -> None:
    from gunicorn.app.base import BaseApplication

    from bootforge.serve.http import Server, create_app
    from bootforge.serve.keeper import Keeper
    from bootforge.serve.worker import CONNECTIONS, THREADS, Worker

    udp.close()
    hand.close()
    Worker.queue, Worker.nginx = handed, options.nginx

    class Http(BaseApplication):  # type: ignore[misc]
        def load_config(self) -> None:
            settings: dict[str, Any] = {
                "bind": f"fd://{listener.fileno()}",
                "worker_class": Worker,
                "workers": 1,
                "threads": THREADS,
                "timeout": _BUILD,
                "graceful_timeout": int(DRAIN),
                "worker_connections": CONNECTIONS,
                # A connection is the worker's for one request: the next one may be for the front.
                "keepalive": 0,
                "loglevel": "warning",
                "forwarded_allow_ips": "",
                "limit_request_line": 4094,
                "limit_request_fields": 64,
                "limit_request_field_size": 4094,
                # A way to command the server that is not ours, below the user's home (gunicorn 25.1 and later).
                "control_socket_disable": True,
            }
            for key, value in settings.items():
                if key in self.cfg.settings:
                    self.cfg.set(key, value)

        def load(self) -> Any:
            keeper = Keeper(options.site, state)
            keeper.watch(wake)
            server = Server(keeper, open_store(options.store), server_key(options.store))
            return create_app(server, options.nginx)

    Http().run()
