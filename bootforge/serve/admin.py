"""What operators and their tools ask, on a listener that machines are not told of: /metrics, /healthz, /readyz.

It is a process of its own, so that it can tell of the others. Nothing is changed here, and no host is named.
"""

from __future__ import annotations

import logging
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType
from typing import Any, get_args

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bootforge import __version__
from bootforge.errors import BootforgeError
from bootforge.serve import counters
from bootforge.store import Store
from bootforge.store.schema import State

log = logging.getLogger(__name__)

SILENCE = 30.0
"""Seconds after which a process that said nothing is taken for stuck; both speak every second."""
KEEP = 5.0
"""Seconds for which what the store said is kept: however often it is asked, it is read so often."""
_PATIENCE = 10
_AT_A_TIME = 32


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, media type and body."""

    status: int
    media_type: str
    body: bytes


class Admin:
    """``place`` is where the store's database lies. Threads may share it."""

    def __init__(self, store: Callable[[], Store], place: Path) -> None:
        self._open, self.place = store, place
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._asked: tuple[float, dict[str, int] | str] = (float("-inf"), "")
        self._registry = CollectorRegistry()
        self._registry.register(_Collector(self))

    def states(self) -> dict[str, int] | str:
        """How many hosts were ever armed, by what became of it; or why the store cannot be read."""
        with self._lock:
            at, found = self._asked
            if time.monotonic() - at >= KEEP:
                try:
                    self._store = self._store or self._open()
                    found = dict(Counter(one.state for one in self._store.status()))
                except BootforgeError as error:
                    log.error("the store cannot be read: %s", error)
                    found = error.message
                self._asked = (time.monotonic(), found)
            return found

    def metrics(self) -> Answer:
        """All numbers, in Prometheus's text format."""
        return Answer(200, CONTENT_TYPE_LATEST, generate_latest(self._registry))

    def alive(self) -> Answer:
        """The supervisor and this process are there."""
        return _text(200, "ok\n")

    def ready(self) -> Answer:
        """Whether a machine that asks now is answered: or what is missing, a line for each."""
        missing = []
        for process in ("front", "http"):
            seen = counters.SEEN.get(process)
            if not seen or time.monotonic() - seen > SILENCE:
                missing.append(f"{process} is {'silent' if seen else 'starting'}\n")
        if not counters.BUILT.get():
            missing.append("no generation is served yet\n")
        if isinstance(self.states(), str):
            missing.append("the store cannot be read: see the log\n")  # where it is, only the log says
        return _text(503, "".join(missing)) if missing else _text(200, "ok\n")


ROUTES = MappingProxyType({"/metrics": Admin.metrics, "/healthz": Admin.alive, "/readyz": Admin.ready})
"""Everything there is; all of it reads, and any operator may."""


def _text(status: int, text: str) -> Answer:
    return Answer(status, "text/plain; charset=utf-8", text.encode())


class _Collector(Collector):
    """Our numbers, as the library wants them."""

    def __init__(self, admin: Admin) -> None:
        self._admin = admin

    def collect(self) -> Iterator[Metric]:
        for one in counters.ALL:
            if one is counters.SEEN:
                continue
            yield _histogram(one) if isinstance(one, counters.Histogram) else _number(one)
        about = GaugeMetricFamily("bootforge_build_info", "The version that runs.", labels=["version"])
        about.add_metric([__version__], 1)
        yield about
        ready = self._admin.ready().status == 200
        yield GaugeMetricFamily("bootforge_ready", "1 if machines that ask are answered.", value=int(ready))
        states = self._admin.states()
        up = isinstance(states, dict)
        yield GaugeMetricFamily("bootforge_store_up", "1 if the store could be read.", value=int(up))
        if isinstance(states, dict):
            hosts = GaugeMetricFamily("bootforge_hosts", "Hosts that were ever armed, by state.", labels=["state"])
            for state in get_args(State):
                hosts.add_metric([state], states.get(state, 0))
            yield hosts
        try:
            free = shutil.disk_usage(self._admin.place).free
        except OSError:
            return
        yield GaugeMetricFamily("bootforge_store_free_bytes", "Free space where the store is.", value=free)


def _number(one: counters.Number) -> Metric:
    kind = CounterMetricFamily if one.kind == "counter" else GaugeMetricFamily
    family = kind(one.name, one.about, labels=one.labels)
    for values, number in one.samples():
        family.add_metric(list(values), number)
    return family


def _histogram(one: counters.Histogram) -> Metric:
    family = HistogramMetricFamily(one.name, one.about, labels=[one.label])
    for value, counts, seconds in one.samples():
        below, buckets = 0.0, []
        for bound, count in zip([*map(str, counters.BUCKETS), "+Inf"], counts, strict=True):
            below += count
            buckets.append((bound, below))
        family.add_metric([value], buckets, seconds)
    return family


class _Handler(BaseHTTPRequestHandler):
    """GET and HEAD of the routes; 404 for everything else."""

    timeout = _PATIENCE
    server_version, sys_version = "bootforge", ""
    error_message_format, error_content_type = "refused\n", "text/plain"
    server: _Listener

    def do_GET(self) -> None:
        answer = self.server.answer(self.path)
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.media_type)
        self.send_header("Content-Length", str(len(answer.body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(answer.body)

    do_HEAD = do_GET

    def log_message(self, format: str, *args: Any) -> None:
        log.debug("admin %s: " + format, self.client_address[0], *args)


class _Listener(ThreadingHTTPServer):
    """On a socket that is listening already; so many requests at a time, others wait."""

    def __init__(self, listener: socket.socket, admin: Admin) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.admin = listener, admin
        self._places = threading.BoundedSemaphore(_AT_A_TIME)

    def answer(self, path: str) -> Answer:
        made = ROUTES.get(path.partition("?")[0])
        return made(self.admin) if made else _text(404, "not found\n")

    def process_request(self, request: Any, client_address: Any) -> None:
        self._places.acquire()
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        log.info("admin %s: the request failed", client_address[0], exc_info=True)


def run(listener: socket.socket, store: Callable[[], Store], place: Path) -> None:
    """Answers until SIGTERM."""
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    _Listener(listener, Admin(store, place)).serve_forever()
