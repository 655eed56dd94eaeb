"""``bootforge serve``: one small process that owns the sockets and keeps its children alive.

The children are the front (every HTTP connection comes to it; it gives out media), HTTP (gunicorn, one worker of many
threads, which also watches the site), TFTP, DHCP (dnsmasq and what makes it follow the site) if asked for, and admin
where there is a listener for operators. A child that dies is started again on the same sockets; children die with their
parent. SIGHUP reloads, SIGTERM drains. systemd is told.
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
from bootforge.generation import Generation
from bootforge.render.dhcp import Mode
from bootforge.serve import counters, dnsmasq, front, tftp, tftp_wire
from bootforge.serve import http as application  # counts, and must be there before counters are fixed
from bootforge.serve.loaders import Loaders, lacking_text
from bootforge.serve.media import Media
from bootforge.serve.notify import Notifier
from bootforge.serve.questions import Asker, answer
from bootforge.serve.script import first_scripts
from bootforge.serve.source import Source
from bootforge.state import added_loaders, default_media, server_key, state_dir
from bootforge.store import open_store

log = logging.getLogger(__name__)

DRAIN = 30.0
EVERYBODYS = ("undionly.kpxe", "snponly.efi")
"""Programs that every server should have, for machines that nobody knows yet."""
_BUILD = 600
"""Seconds for a worker to build its first generation, before it is taken for dead: 10,000 hosts take 14."""
_LOOK = 0.2
"""Seconds between looks at whether the service is ready."""
_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD}
_PR_SET_PDEATHSIG, _PR_SET_NAME = 1, 15


@dataclass(frozen=True, slots=True)
class Options:
    """What ``serve`` was asked for; port 0 picks a free one."""

    source: Source
    store: str
    bind: str
    http_port: int
    tftp_port: int
    tftp_single_port: bool = False
    media: Path | None = None
    nginx: str | None = None
    dnsmasq: Mode | None = None
    admin: tuple[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Pairs:
    """The pairs of sockets between the HTTP worker, at the second ends, and the others: for connections that the front
    hands over, and for questions of the front and of TFTP."""

    connections: tuple[socket.socket, socket.socket]
    front: tuple[socket.socket, socket.socket]
    tftp: tuple[socket.socket, socket.socket]

    def close_but(self, *kept: socket.socket) -> None:
        """In a child, which has those of the others too."""
        for pair in (self.connections, self.front, self.tftp):
            for one in pair:
                if one not in kept:
                    one.close()


@dataclass(slots=True)
class Child:
    """A child process and how to start it again."""

    name: str
    target: Callable[[], None]
    closes: tuple[socket.socket, ...] = ()
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
                for other in self.closes:
                    other.close()
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
        counters.RESTARTS.add(self.name)
        if self.name in ("front", "http"):
            counters.SEEN.put(0, self.name)
        log.error("%s ended with status %s; it is started again", self.name, os.waitstatus_to_exitcode(status))


def serve(options: Options, announce: Callable[[str], None]) -> int:
    """Serves until a signal says to stop; the exit code. ``announce`` gets the URLs, once they answer. Raises
    UsageError and SiteError when something is wrong at the start."""
    os.umask(0o077)
    notifier = Notifier()
    counters.fix()
    state = state_dir(options.store)
    open_store(options.store).close()
    server_key(options.store)
    generation = options.source.build()
    if options.dnsmasq:
        dnsmasq.prepare(generation, options.dnsmasq, dnsmasq.directory(state))
    http, udp, admin = _bind(options)
    wake_read, wake_write = os.pipe()
    media = Media(options.media or default_media(options.store))
    loaders = Loaders(added_loaders(options.store), media)
    _warn(generation, loaders)
    pairs = Pairs(*(socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(3)))
    hand = pairs.connections[0]
    own = (admin,) if admin else ()
    children = [
        Child("front", lambda: _run_front(http, udp, pairs, media, options.nginx), own),
        Child("http", lambda: _run_http(options, http, udp, pairs, wake_read, state, loaders), own),
        Child("tftp", lambda: _run_tftp(options, http, udp, pairs, loaders), own),
    ]
    if options.dnsmasq:
        children.append(Child("dhcp", lambda: _run_dnsmasq(state, http, udp, pairs), own))
    if admin:
        children.append(Child("admin", lambda: _run_admin(options, admin, pairs, state), (http, udp)))
    revision = generation.site.revision
    del generation
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for child in children:
        child.start()
    log.info("serving revision %s", revision)
    announce(f"http://{_shown(http)}/")
    announce(f"tftp://{_shown(udp)}/")
    if admin:
        announce(f"http://{_shown(admin)}/metrics")
    return _Supervisor(children, wake_write, hand, notifier).run()


def _warn(generation: Generation, loaders: Loaders) -> None:
    """Says what hosts cannot boot by: their loader, wherever it should come from, or iPXE for everybody else."""
    lacking: dict[str, list[str]] = {name: [] for name in EVERYBODYS if not loaders.find(name)}
    for plan in generation.plans.values():
        for name in loaders.lacking(plan) if plan.state == "active" else ():
            lacking.setdefault(name, []).append(plan.host.text)
    for name, hosts in lacking.items():
        whose = f" for {hosts[0]}" + (f" and {len(hosts) - 1} more" if len(hosts) > 1 else "") if hosts else ""
        log.warning("no loader %s%s: %s", name, whose, lacking_text(name))


def _bind(options: Options) -> tuple[socket.socket, socket.socket, socket.socket | None]:
    admin = None
    if options.admin:
        try:
            admin = socket.create_server(options.admin, family=_family(options.admin[0]))
        except OSError as error:
            place = f"{options.admin[0]} port {options.admin[1]}"
            raise UsageError(f"--admin cannot listen on {place}: {error.strerror or error}", "give another") from None
    try:
        http = socket.create_server((options.bind, options.http_port), family=_family(options.bind), backlog=2048)
        return http, tftp_wire.bind(options.bind, options.tftp_port, single_port=options.tftp_single_port), admin
    except OSError as error:
        ports = f"{options.bind}, HTTP port {options.http_port}, TFTP port {options.tftp_port}"
        hint = "ports below 1024 need root or CAP_NET_BIND_SERVICE; --http-port and --tftp-port choose others"
        raise UsageError(f"cannot listen on {ports}: {error.strerror or error}", hint) from None


def _family(address: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def _shown(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


class _Supervisor:
    """Waits for signals and children, and tells systemd what becomes of the service."""

    def __init__(self, children: list[Child], wake: int, hand: socket.socket, notifier: Notifier) -> None:
        self.children, self.wake, self.hand, self.notifier = children, wake, hand, notifier
        self.ready = False
        self.read = 0.0

    def run(self) -> int:
        while True:
            due = [child.due for child in self.children if not child.pid]
            timeout = max(0.0, min(due) - time.monotonic()) if due else 3600.0
            got = signal.sigtimedwait(_SIGNALS, timeout if self.ready else min(timeout, _LOOK))
            number = got.si_signo if got else None
            if number in (signal.SIGTERM, signal.SIGINT):
                self.notifier.stopping()
                self.hand.close()  # the front has it still, until it has handed over the last connection
                _stop(self.children)
                return int(Exit.INTERRUPTED if number == signal.SIGINT else Exit.OK)
            if number == signal.SIGHUP:
                self._reload()
            for child, status in _reap(self.children):
                child.ended(status)
            for child in self.children:
                if not child.pid and child.due <= time.monotonic():
                    child.start()
            if not self.ready:
                self._look()

    def _reload(self) -> None:
        self.notifier.reloading()
        self.ready, self.read = False, _times_read()
        os.write(self.wake, b"\n")

    def _look(self) -> None:
        """Ready is who serves a generation, after a reload the one that was asked for or the last good one."""
        at_work = counters.SEEN.get("front") and counters.SEEN.get("http")
        if counters.BUILT.get() and at_work and _times_read() > self.read:
            self.ready = True
            kept = "" if counters.GOOD.get() else "; the site is broken, this is the last good one"
            self.notifier.ready(f"serving {counters.HOSTS.get():.0f} hosts{kept}")


def _times_read() -> float:
    return counters.RELOADS.get("ok") + counters.RELOADS.get("failed")


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


def _run_front(listener: socket.socket, udp: socket.socket, pairs: Pairs, media: Media, nginx: str | None) -> None:

    udp.close()
    hand, asker = pairs.connections[0], pairs.front[0]
    pairs.close_but(hand, asker)
    front.run(listener, hand, Asker(asker), media, nginx, DRAIN)


def _run_tftp(options: Options, http: socket.socket, udp: socket.socket, pairs: Pairs, loaders: Loaders) -> None:
    from bootforge.serve.bootfiles import is_asked

    http.close()  # else a transfer that ends late would keep the next server from its port
    asker = pairs.tftp[0]
    pairs.close_but(asker)
    script = first_scripts()
    tftp.run(
        udp,
        lambda name: script(name) or loaders.shared(name),
        asker=Asker(asker),
        is_asked=is_asked,
        single_port=options.tftp_single_port,
    )


def _run_dnsmasq(state: Path, http: socket.socket, udp: socket.socket, pairs: Pairs) -> None:
    http.close()
    udp.close()
    pairs.close_but()
    dnsmasq.run(dnsmasq.directory(state))


def _run_admin(options: Options, listener: socket.socket, pairs: Pairs, state: Path) -> None:
    from bootforge.serve import admin

    pairs.close_but()
    admin.run(listener, lambda: open_store(options.store), state)


def _run_http(
    options: Options,
    listener: socket.socket,
    udp: socket.socket,
    pairs: Pairs,
    wake: int,
    state: Path,
    loaders: Loaders,
) -> None:
    from gunicorn.app.base import BaseApplication

    from bootforge.serve.bootfiles import BootFiles
    from bootforge.serve.keeper import Keeper
    from bootforge.serve.logs import GunicornLogger
    from bootforge.serve.netboot import Server
    from bootforge.serve.worker import CONNECTIONS, THREADS, Worker

    def follow(generation: Generation) -> None:
        if options.dnsmasq:
            dnsmasq.write_files(generation, options.dnsmasq, dnsmasq.directory(state))

    udp.close()
    handed, *questions = pairs.connections[1], pairs.front[1], pairs.tftp[1]
    pairs.close_but(handed, *questions)
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
                "logger_class": GunicornLogger,
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
            keeper = Keeper(options.source, state, follow)
            keeper.watch(wake)
            server = Server(keeper, open_store(options.store), server_key(options.store))
            files = BootFiles(server, loaders)
            for one in questions:
                answer(one, files.find)
            return application.create_app(server, options.nginx)

    Http().run()
