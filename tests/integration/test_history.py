"""What went wrong in other provisioners (docs/security.md), tried on a running server."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.serve.http import ROUTES
from tests.integration.edge import edge_site, is_local, mac, name, netboot, planned
from tests.support import Running, running

REFUSED = (404, b"not found\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Started with the most careless umask that there is."""
    root = tmp_path_factory.mktemp("history")
    old = os.umask(0)
    try:
        with running(edge_site(root / "site", 9), root / "state") as server:
            yield server
    finally:
        os.umask(old)


def filled(rule: str, host: str, token: str) -> str:
    values = {"mac": mac(1), "host": host, "token": token, "outcome": "installed", "name": "anaconda.log"}
    return re.sub(r"<(\w+)>", lambda match: values[match[1]], rule)


def methods() -> list[str]:
    return ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND", "get"]


def answered(server: Running, method: str, path: str, *headers: str) -> tuple[int, bytes]:
    """Status and body of an answer to a request written by hand."""
    head = "".join(f"{header}\r\n" for header in headers)
    request = f"{method} {path} HTTP/1.1\r\nHost: x\r\n{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
    head_of, _, body = server.send(request.encode()).partition(b"\r\n\r\n")
    return int(head_of.split()[1]), body


def test_an_absent_credential_is_a_wrong_one(server: Running) -> None:
    """Cobbler took -1 and Foreman's proxy took nothing: whatever is given in a token's place, or not given, gets
    the answer of a wrong token."""
    host = name(1)
    server.grant(host)
    for route in ROUTES:
        if "<token>" in route.rule:
            for token in ("0" * 32, "", "-1", "None", "null", "%00", "*", "%", "0", "-", "true", "[]", "' OR ''='"):
                path = filled(route.rule, host, token.replace(" ", "%20"))
                assert answered(server, route.method, path) == REFUSED, path
            without = filled(route.rule, host, "").replace("//", "/")
            for extra in ("", f"Authorization: Bearer {'0' * 32}", "X-RHN-Provisioning-MAC-0: eth0 " + mac(1)):
                assert answered(server, route.method, without, *([extra] if extra else [])) == REFUSED
    with server.opened() as store:
        (status,) = store.status([host])
    assert status.state == "armed", "none of it changed anything"


def test_no_request_changes_the_site_or_a_setting(server: Running) -> None:
    """Whatever method is used where: files of the site, the generation and the grants of others stay as they are."""
    before = {path: path.read_bytes() for path in server.site.rglob("*") if path.is_file()}
    grant = server.grant(name(2))
    for method in methods():
        for route in ROUTES:
            if method != route.method:
                path = filled(route.rule, name(2), grant.split("/")[3])
                assert answered(server, method, path) == REFUSED, (method, path)
        for path in ("/", "/settings", "/reload", "/RPC2", "/cobbler_api", "/metrics", "/healthz", "/readyz", "/arm"):
            assert answered(server, method, path) == REFUSED, (method, path)
    assert {path: path.read_bytes() for path in server.site.rglob("*") if path.is_file()} == before
    with server.opened() as store:
        assert [one.state for one in store.status([name(2)])] == ["armed"]
    assert is_local(netboot(server, 3)), "nobody else was armed"
    assert server.get(grant, planned(2)).status == 200


def test_what_a_machine_says_is_never_a_template(server: Running) -> None:
    """Cobbler rendered a log into which anybody could write."""
    said = "{{ 7 * 7 }}{% for x in () %}{% endfor %}#set $x = 1"
    grant = server.grant(name(4)).removesuffix("/kickstart")
    assert server.get(f"{grant}/kickstart").status == 200
    assert server.get(f"{grant}/log/syslog", data=said.encode()).status == 200
    server.get("/m/52:54:00:00:00:77/boot.ipxe?uuid=%7B%7B7*7%7D%7D&serial=%7B%25%20x%20%25%7D")
    assert said in server.verb("log", name(4), "syslog").out
    assert "uuid={{7*7}} serial={% x %}" in server.verb("events").out
    assert b"{{" not in server.get("/m/52:54:00:00:00:77/boot.ipxe").body


def test_state_is_closed_to_others_whatever_the_umask(server: Running) -> None:
    state = Path(server.store.removeprefix("sqlite:///")).parent
    with server.opened():
        modes = {
            path.relative_to(state).as_posix(): stat.S_IMODE(path.stat().st_mode)
            for path in state.rglob("*")
            if not path.is_symlink() and path != server.log
        }
    assert {"key", "store.db", "store.db-wal"} <= set(modes)
    assert any(path.endswith("/site.yaml") for path in modes), "what is kept of the site"
    assert {path: oct(mode) for path, mode in modes.items() if mode & 0o077} == {}
