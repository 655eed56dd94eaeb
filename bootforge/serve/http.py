"""What machines may fetch, by whom, and what they get.

Every route has a policy, and a route without one is never registered. Whatever is refused gets one and the same
answer; the reason is in the event. Nothing is listed.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from flask import Flask, Response, g, request
from werkzeug.exceptions import HTTPException

from bootforge.addr import is_address, parse_mac
from bootforge.errors import BootforgeError
from bootforge.model import Plan
from bootforge.render.netboot import render_chain
from bootforge.serve import counters
from bootforge.serve.answers import REFUSED, shown_path
from bootforge.serve.cpio import archive
from bootforge.serve.keeper import Served
from bootforge.serve.logs import told
from bootforge.serve.netboot import STORES, Kind, Server, boot_script, record_failure, sealed
from bootforge.state import LOOK_HEADER

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

log = logging.getLogger(__name__)

Policy = Literal["anybody", "machine", "grant"]
"""``anybody``: the answer says nothing about any host. ``machine``: asked by MAC address, answered by the boot
permission; nothing but the grant's own script holds more than a name. ``grant``: host, token and client must be
those of a live grant."""

_MAX_REPORT = 256 * 1024
LOGS = ("anaconda.log", "program.log", "storage.log", "packaging.log", "syslog", "install.log", "post.log")
"""What an installer may send beside its report: templates/install/logs.sh sends these."""
_MAC_HEADER = re.compile(r"HTTP_X_RHN_PROVISIONING_MAC_\d+")


class Refused(Exception):
    """The request is refused; its event has been recorded."""


def create_app(server: Server, nginx: str | None = None) -> Flask:
    """The installer-facing application: boot scripts, kickstarts, bootstraps and reports. ``nginx``: the address whose
    X-Forwarded-For is believed."""
    app = Flask("bootforge", static_folder=None)
    app.url_map.strict_slashes = True
    app.url_map.merge_slashes = False
    for route in ROUTES:
        add_route(app, server, route)
    app.before_request(_begin)
    app.before_request(_exact)
    app.register_error_handler(HTTPException, lambda error: refused())
    app.register_error_handler(Exception, _failed)
    app.after_request(_finish)
    if nginx:
        app.wsgi_app = _behind(nginx, app.wsgi_app)  # type: ignore[method-assign, assignment]
    return app


def _behind(nginx: str, app: WSGIApplication) -> WSGIApplication:
    """Requests from this address are from whom it says last that they are: what stands before that in
    X-Forwarded-For the client has said."""

    def called(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        said = environ.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        if environ.get("REMOTE_ADDR") == nginx and is_address(said):
            environ["REMOTE_ADDR"] = said
        return app(environ, start_response)

    return called


@dataclass(frozen=True, slots=True)
class Route:
    """``answer`` gets the server and the rule's variables; it raises Refused."""

    rule: str
    method: Literal["GET", "POST"]
    policy: Policy
    answer: Callable[..., Response]


def add_route(app: Flask, server: Server, route: Route) -> None:
    """Registers a route with its policy."""

    def view(**values: str) -> Response:
        try:
            return route.answer(server, **values)
        except Refused:
            counters.REFUSED.add()
            return refused()

    view.policy = route.policy  # type: ignore[attr-defined]
    endpoint = f"{route.method} {route.rule}"
    app.add_url_rule(route.rule, endpoint, view, methods=[route.method], provide_automatic_options=False)


def refused() -> Response:
    """The one answer to everything that is not permitted or does not exist."""
    return Response(REFUSED, status=404, content_type="text/plain; charset=utf-8")


def _begin() -> None:
    g.began = time.monotonic()


def _exact() -> Response | None:
    """Werkzeug takes ``//x`` for ``/x``; here every answer has one name."""
    return refused() if request.environ.get("PATH_INFO", "").startswith("//") else None


def _failed(error: Exception) -> Response:
    """What goes wrong on our side is told in the log: in one line when it is known what, else in full."""
    known = isinstance(error, BootforgeError)
    what = f"failed: {error}" if known else "failed"
    if isinstance(error, STORES):
        counters.STORE_ERRORS.add()
    log.error("%s %s %s", request.method, shown_path(request.path), what, exc_info=None if known else error)
    return refused()


def _finish(response: Response) -> Response:
    response.headers["Cache-Control"] = "no-store"
    response.headers["X-Content-Type-Options"] = "nosniff"
    route = request.url_rule.rule if request.url_rule else counters.NO_ROUTE
    took = time.monotonic() - g.began
    counters.REQUESTS.add(route, str(response.status_code))
    counters.DURATIONS.observe(route, took)
    asked = {key: shown_path(value) for key, value in (request.view_args or {}).items() if key in ("host", "mac")}
    size = response.content_length if request.method != "HEAD" else 0
    more = told(
        client=_client(), route=route, status=response.status_code, duration=round(took, 4), bytes=size, **asked
    )
    log.info("%s %s %s %d", _client(), request.method, shown_path(request.path), response.status_code, extra=more)
    return response


def _client() -> str:
    return request.remote_addr or ""


def _text(content: str | bytes, content_type: str = "text/plain; charset=utf-8") -> Response:
    return Response(content, content_type=content_type)


# Netboot scripts


def chain(server: Server) -> Response:
    """The script that makes an iPXE ask again with what it knows of its machine."""
    return _text(render_chain(server.keeper.current.generation.engine))


def ipxe(server: Server, mac: str) -> Response:
    """What the boot permission lets this machine boot, for iPXE."""
    said = {key: request.args.get(key, "")[:100] for key in ("uuid", "serial")}
    return _script(server, mac, "ipxe", " ".join(f"{key}={value}" for key, value in said.items() if value))


def grub(server: Server, mac: str) -> Response:
    """The same for a GRUB that was fetched by HTTP; one that was fetched by TFTP asks there."""
    return _script(server, mac, "grub")


def _script(server: Server, mac: str, kind: Kind, said: str = "") -> Response:
    try:
        return _text(boot_script(server, mac, _client(), kind, said, request.headers.get(LOOK_HEADER, "")))
    except ValueError:
        raise Refused from None


# What a grant opens


def kickstart(server: Server, host: str, token: str) -> Response:
    """The kickstart, for an installer: it says in headers which machine it is."""
    return _text(*_kickstart(server, host, token, _said_by_installer()))


def kickstart_archive(server: Server, host: str, token: str) -> Response:
    """The kickstart as /ks.cfg of an initramfs, for iPXE: it says in the query which machine it is."""
    said = request.args.getlist("mac"), request.args.get("serial", "")
    text, _ = _kickstart(server, host, token, said)
    return _text(archive("ks.cfg", text), "application/octet-stream")


def _kickstart(server: Server, host: str, token: str, said: Said) -> tuple[bytes, str]:
    """The kickstart permission: this host, this token, one client, a machine that looks like the one armed. The text
    and its type."""
    served, plan = _plan(server, host, "kickstart")
    why = _mismatch(plan, said)
    if why and served.generation.site.policy.mismatch == "refuse":
        server.store.record("refused", host=host, address=_client(), detail=f"kickstart: {why}", coalesce=60)
        raise Refused
    decision = server.store.permit_kickstart(host, token, _client(), _is_planned(plan))
    if decision.grant is None:
        raise Refused
    if why:
        counters.ALARMS.add()
        server.store.record("alarm", host=host, address=_client(), detail=f"kickstart: {why}", coalesce=60)
    artifact = served.generation.artifact(host, "kickstart")
    try:
        return sealed(server, served, artifact, plan, decision), artifact.media_type
    except BootforgeError as error:
        record_failure(server, plan, error)
        raise Refused from None


def bootstrap(server: Server, host: str, token: str) -> Response:
    """The bootstrap, for the install that holds the grant."""
    served, plan = _plan(server, host, "bootstrap")
    if server.store.permit_bootstrap(host, token, _client(), _is_planned(plan)).grant is None:
        raise Refused
    artifact = served.generation.artifact(host, "bootstrap")
    return _text(artifact.text, artifact.media_type)


def report(server: Server, host: str, token: str, outcome: str) -> Response:
    """The installer says how its bootstrap went, and later the host how its first boot did, with the bootstrap's own
    report as the body."""
    _, plan = _plan(server, host, "report")
    if outcome not in ("installed", "failed", "booted", "boot-failed"):
        raise Refused
    text = _body().decode("utf-8", "replace")
    if outcome in ("booted", "boot-failed"):
        decision = server.store.report_boot(host, token, _client(), outcome == "booted", text)
    else:
        ended: Literal["installed", "failed"] = "installed" if outcome == "installed" else "failed"
        decision = server.store.report(host, token, _client(), _is_planned(plan), ended, "bootstrap", text)
    if decision.grant is None:
        raise Refused
    return _text("ok\n")


def keep_log(server: Server, host: str, token: str, name: str) -> Response:
    """The end of one of the installer's logs, for ``bootforge log``; it changes nothing about the install."""
    _, plan = _plan(server, host, "log")
    if name not in LOGS:
        raise Refused
    text = _body().decode("utf-8", "replace")
    if server.store.keep_log(host, token, _client(), _is_planned(plan), name, text).grant is None:
        raise Refused
    return _text("ok\n")


def _body() -> bytes:
    """The request's body. Raises Refused when it is too long, or did not arrive whole; Werkzeug would take what is
    there of it, because gunicorn says that it ends bodies itself."""
    length = request.content_length
    try:
        body: bytes = b"" if (length or 0) > _MAX_REPORT else request.environ["wsgi.input"].read(_MAX_REPORT + 1)
    except Exception as error:  # gunicorn has its own for every way to get chunks wrong
        log.info("%s sent a broken body: %s", _client(), type(error).__name__)
        raise Refused from None
    if len(body) > _MAX_REPORT or length not in (None, len(body)):
        log.info("%s sent %d bytes of a report of %s; %d at most", _client(), len(body), length, _MAX_REPORT)
        raise Refused
    return body


ROUTES = (
    Route("/boot.ipxe", "GET", "anybody", chain),
    Route("/m/<mac>/boot.ipxe", "GET", "machine", ipxe),
    Route("/m/<mac>/grub.cfg", "GET", "machine", grub),
    Route("/i/<host>/<token>/kickstart", "GET", "grant", kickstart),
    Route("/i/<host>/<token>/kickstart.cpio", "GET", "grant", kickstart_archive),
    Route("/i/<host>/<token>/bootstrap", "GET", "grant", bootstrap),
    Route("/i/<host>/<token>/report/<outcome>", "POST", "grant", report),
    Route("/i/<host>/<token>/log/<name>", "POST", "grant", keep_log),
)
counters.ROUTES += [route.rule for route in ROUTES]


def _plan(server: Server, host: str, what: str) -> tuple[Served, Plan]:
    served = server.keeper.current
    plan = served.generation.plans.get(host)
    if plan is None:
        server.store.record("refused", address=_client(), detail=f"{what}: no such host", coalesce=60)
        raise Refused
    return served, plan


def _is_planned(plan: Plan) -> bool:
    return _client().removeprefix("::ffff:") in {str(nic.address.ip) for nic in plan.nics if nic.address}


Said = tuple[list[str], str]
"""What a machine says that it is: MAC addresses and serial number."""


def _said_by_installer() -> Said:
    """The installer sends every nic's name and address, in no useful order, and the serial number (anaconda, rhel-9:
    dracut/anaconda-ks-sendheaders.sh)."""
    named = [str(value).split() for name, value in request.environ.items() if _MAC_HEADER.fullmatch(name)]
    return [words[-1] for words in named if words], request.headers.get("X-System-Serial-Number", "").strip()


def _mismatch(plan: Plan, said: Said) -> str:
    """Why the machine that asks does not look like the planned one; '' when it does, or says nothing. What it says
    identifies; it never authenticates."""
    macs = set()
    for word in said[0]:
        try:
            macs.add(parse_mac(word).text)
        except ValueError:
            continue
    if macs and not macs & {nic.mac.text for nic in plan.nics if nic.mac}:
        return f"the machine's MAC addresses are {', '.join(sorted(macs)[:8])}"
    serial = said[1]
    if serial and plan.serial and serial != plan.serial:
        return f"the machine's serial number is {serial[:64]!r}"
    return ""
