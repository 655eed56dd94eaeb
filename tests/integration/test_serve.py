"""What a running server answers: to the host that is armed, to everybody else, and to those who try."""

from __future__ import annotations

import gzip
import hashlib
import re
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from bootforge.generation import build_generation
from bootforge.seal import seal
from bootforge.serve.keeper import Served
from bootforge.serve.netboot import make_grant
from bootforge.state import server_key
from tests.integration.edge import (
    ABSENT,
    PLAIN,
    SANBOOT,
    edge_site,
    is_local,
    mac,
    name,
    netboot,
    planned,
    state_bytes,
)
from tests.support import ROOT_HASH, Answer, Running, running

SEEDED = "Passw0rd-in-the-clear"
REFUSAL = (404, b"not found\n")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("serve")
    with running(edge_site(root / "site"), root / "state", BOOTFORGE_TEST_PLAIN=SEEDED) as server:
        yield server


NUMBERS = count(1)


@pytest.fixture
def number() -> int:
    """A host that no other test uses."""
    return next(NUMBERS)


def header_names(answer: Answer) -> list[str]:
    return sorted(answer.headers)


def parsed(raw: bytes) -> Answer:
    """An answer from bytes."""
    head, _, body = raw.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    return Answer(
        int(first.split()[1]), body, {k.lower(): v.strip() for k, _, v in (one.partition(":") for one in lines)}
    )


def assert_refused(answer: Answer) -> None:
    assert (answer.status, answer.body) == REFUSAL
    assert header_names(answer) == [
        "cache-control", "connection", "content-length", "content-type", "date", "server", "x-content-type-options",
    ]  # fmt: skip
    assert {key: answer.headers[key] for key in ("content-type", "content-length", "cache-control", "server")} == {
        "content-type": "text/plain; charset=utf-8",
        "content-length": "10",
        "cache-control": "no-store",
        "server": "gunicorn",
    }


def last_event(server: Running, host: str) -> tuple[str, str]:
    event = server.recorded(host)[-1]
    return event.kind, event.detail


# What the armed host gets


def test_the_armed_host_gets_the_sealed_kickstart(
    server: Running, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOOTFORGE_ROOT_HASH", ROOT_HASH)
    armed = server.run("arm", name(number), "--why", "a test", "--json")
    path = armed.json[0]["path"]
    served = Served(build_generation(server.site))
    with server.opened() as store:
        (status,) = store.status([name(number)])
    grant = make_grant(served.generation.plan(name(number)), status.grant.id, server_key(server.store), served)
    script, kickstart = (served.generation.artifact(name(number), kind) for kind in ("ipxe", "kickstart"))

    booted = netboot(server, number)
    fetched = server.get(path)

    assert grant.url == f"http://127.0.0.1{path}"
    assert (booted.status, booted.body) == (200, seal(script, grant, served.vault))
    assert f"inst.ks={grant.url} ".encode() in booted.body
    assert (fetched.status, fetched.body) == (200, seal(kickstart, grant, served.vault))
    assert ROOT_HASH.encode() in fetched.body and b"@secret:" not in fetched.body
    assert fetched.headers["cache-control"] == "no-store"
    assert fetched.headers["content-type"] == "text/plain; charset=utf-8"


def test_ipxe_gets_the_same_kickstart_as_an_archive(server: Running, number: int) -> None:
    """For the same permission, which either fetch spends; what iPXE says of its machine is looked at as what the
    installer's headers say."""
    path = server.grant(name(number))
    for wrong, why in (
        (f"mac={mac(number + 1)}", f"the machine's MAC addresses are {mac(number + 1)}"),
        (f"mac=nonsense&serial=SN-{number + 1}", f"the machine's serial number is 'SN-{number + 1}'"),
    ):
        assert_refused(server.get(f"{path}.cpio?{wrong}"))
        assert last_event(server, name(number)) == ("refused", f"kickstart: {why}")
    with server.opened() as store:
        assert [one.state for one in store.status([name(number)])] == ["armed"]
    dashed = mac(number).replace(":", "-")
    packed = server.get(f"{path}.cpio?mac={dashed}&serial=SN-{number}")
    assert packed.status == 200 and packed.headers["content-type"] == "application/octet-stream"
    assert packed.headers["cache-control"] == "no-store"
    with server.opened() as store:
        assert [one.state for one in store.status([name(number)])] == ["installing"]
    unpacked = gzip.decompress(packed.body)
    kickstart = server.get(path).body
    assert unpacked.count(kickstart) == 1 and unpacked.startswith(b"070701") and b"\0ks.cfg\0" not in unpacked
    assert unpacked[110:117] == b"ks.cfg\0"
    assert_refused(server.get(f"{path}.cpio", "127.0.0.2"))
    base = path.removesuffix("/kickstart")
    assert server.get(f"{base}/bootstrap").status == 200
    assert_refused(server.get(f"{path}.cpio"))
    assert last_event(server, name(number)) == ("refused", "kickstart: spent")


def test_an_install_from_boot_to_the_local_disk(server: Running, number: int) -> None:
    path = server.grant(name(number))
    base = path.removesuffix("/kickstart")
    assert_refused(server.get(f"{base}/bootstrap"))
    assert last_event(server, name(number)) == ("refused", "bootstrap: no kickstart yet")
    assert_refused(server.get(f"{base}/report/installed", data=b"too early"))

    assert not is_local(netboot(server, number))
    kickstart = server.get(path)
    bootstrap = server.get(f"{base}/bootstrap")
    assert (kickstart.status, bootstrap.status) == (200, 200)
    digest = re.search(rb"^digest=(\w{64})$", kickstart.body, re.M)
    assert digest and digest[1].decode() == hashlib.sha256(bootstrap.body).hexdigest()
    assert bootstrap.headers["content-type"].startswith("text/x-shellscript")

    report = "ok\t12\thostname\tset\nok\t3\tstamp\t\x1b[31mred\x00\n"
    answer = server.get(f"{base}/report/installed", data=report.encode(), Content_Type="text/plain")
    assert (answer.status, answer.body) == (200, b"ok\n")
    (status,) = server.verb("status", name(number), "--json").json
    assert (status["state"], status["run"]["by"], status["run"]["result"]) == ("first-boot", "installer", "cut off")
    assert [(step["step"], step["status"]) for step in status["steps"]] == [("hostname", "ok"), ("stamp", "ok")]
    printed = server.verb("log", name(number), "bootstrap")
    assert printed.status == 0
    assert printed.out == report.replace("\x1b", "?").replace("\x00", "?"), "a terminal would obey this"
    assert server.verb("log", name(number), "bootstrap", "--json").json["text"] == report

    assert is_local(netboot(server, number)), "the next boot must not install again"
    assert_refused(server.get(path))
    assert [one.kind for one in server.recorded(name(number))][-2:] == ["local", "refused"]


def test_a_host_boots_its_disk_in_the_way_of_its_machine(server: Running, number: int) -> None:
    """Disarmed, or by the nic that does not boot; no other host does, and no stranger."""
    sanboot = b"\nsanboot --no-describe --drive 0x80 ||\nexit 1\n"
    assert netboot(server, SANBOOT).body.endswith(sanboot)
    assert server.get(f"/m/02:00:00:00:03{mac(SANBOOT)[-3:]}/boot.ipxe").body.endswith(sanboot)
    assert is_local(netboot(server, SANBOOT))
    for other in (netboot(server, number), server.get("/m/02:00:00:00:77:77/boot.ipxe")):
        assert other.body.endswith(b"device.\nexit 1\n") and b"sanboot" not in other.body


def test_a_failed_install_is_reported_as_failed(server: Running, number: int) -> None:
    path = server.grant(name(number))
    base = path.removesuffix("/kickstart")
    assert server.get(path).status == 200
    assert server.get(f"{base}/report/failed", data=b"failed\t0\tfetch\tno\n").status == 200
    assert_refused(server.get(f"{base}/report/installed", data=b"all is well"))
    with server.opened() as store:
        assert [one.state for one in store.status([name(number)])] == ["failed"]
    assert is_local(netboot(server, number))


def test_a_report_that_is_too_long_or_not_whole_is_refused(server: Running, number: int) -> None:
    path = server.grant(name(number))
    base = path.removesuffix("/kickstart")
    assert server.get(path).status == 200
    chunked = b"%x\r\n%b\r\n0\r\n\r\n" % (300_000, b"x" * 300_000)
    head = f"POST {base}/report/installed HTTP/1.1\r\nHost: x\r\nConnection: close\r\n".encode()
    for request in (
        head + b"Content-Length: 300000\r\n\r\n" + b"x" * 300_000,
        head + b"Content-Length: 99999999999999\r\n\r\n",
        head + b"Transfer-Encoding: chunked\r\n\r\n" + chunked,
        head + b"Transfer-Encoding: chunked\r\n\r\nnot a size\r\n\r\n",
        head + b"Content-Length: 10\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head + b"Content-Length: -1\r\n\r\n",
        head + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        head + b"Content-Length: 100\r\n\r\ncut off in transit",
        head + b"Transfer-Encoding: chunked\r\n\r\n40\r\ncut off in transit",
    ):
        assert_refused(parsed(server.send(request, ends=True)))
    with server.opened() as store:
        assert store.logs(name(number)) == []
        assert [one.state for one in store.status([name(number)])] == ["installing"]
    assert server.get(f"{base}/report/installed", data=b"x" * 262_144).status == 200


def test_logs_of_the_installer_beside_its_report(server: Running, number: int) -> None:
    path = server.grant(name(number))
    base = path.removesuffix("/kickstart")
    token = base.split("/")[3]
    assert_refused(server.get(f"{base}/log/anaconda.log", data=b"too early"))
    assert server.get(path).status == 200
    assert server.get(f"{base}/log/anaconda.log", data=f"ks={path}\n".encode()).body == b"ok\n"
    assert server.get(f"{base}/report/installed", data=b"ok\t1\tstamp\t\n").status == 200
    assert server.get(f"{base}/log/syslog", data=b"x" * 262_144).status == 200
    for wrong, body in (
        ("anaconda.log", b"again"),
        ("storage.log", b"x" * 262_145),
        ("passwd", b"x"),
        ("bootstrap", b"x"),
        ("..%2fsyslog", b"x"),
        ("", b"x"),
    ):
        assert_refused(server.get(f"{base}/log/{wrong}", data=body))
    assert_refused(server.get(f"/i/{name(number)}/{'0' * 32}/log/program.log", data=b"x"))
    assert_refused(server.get(f"{base}/log/program.log"))  # a GET
    printed = server.verb("log", name(number))
    assert "stamp" in printed.out and printed.err == "logs: anaconda.log, syslog\n"
    assert server.verb("log", name(number), "bootstrap").out == "ok\t1\tstamp\t\n"
    log = server.verb("log", name(number), "anaconda.log")
    assert "ks=/i/" in log.out and token not in log.out and log.err == ""
    assert "did you mean 'anaconda.log'?" in server.verb("log", name(number), "anacondalog").err
    (status,) = server.verb("status", name(number), "--json").json
    assert status["state"] == "first-boot"


def test_head_tells_what_get_would(server: Running, number: int) -> None:
    path = server.grant(name(number))
    for asked in ("/boot.ipxe", f"/m/{mac(number)}/boot.ipxe", path, "/nothing"):
        got = server.get(asked)
        raw = server.send(f"HEAD {asked} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head = parsed(raw)
        assert head.body == b"" and head.status == got.status, asked
        assert head.headers["content-length"] == str(len(got.body)), asked
        assert header_names(head) == header_names(got), asked


# What everybody else gets


def test_the_wrong_token_host_or_client_gets_the_one_refusal(server: Running) -> None:
    one, other, idle = (next(NUMBERS) for _ in range(3))
    path, others = server.grant(name(one)), server.grant(name(other))
    token, others_token = path.split("/")[3], others.split("/")[3]
    wrong = token[:-1] + ("0" if token[-1] != "0" else "1")

    def refused(asked: str, host: str | None, detail: str | None, source: str = "127.0.0.1") -> None:
        before = len(server.recorded())
        assert_refused(server.get(asked, source))
        new = [(event.kind, event.host, event.detail) for event in server.recorded()[before:]]
        assert new == ([] if detail is None else [("refused", host or "", detail)]), asked

    refused(f"/i/{name(other)}/{token}/kickstart", name(one), f"kickstart for {name(other)}: token of another host")
    refused(f"/i/{name(idle)}/{token}/kickstart", name(one), f"kickstart for {name(idle)}: token of another host")
    refused(
        f"/i/{name(one)}/{others_token}/kickstart", name(other), f"kickstart for {name(one)}: token of another host"
    )
    refused(f"/i/{name(one)}/{wrong}/kickstart", name(one), "kickstart: unknown token")
    refused(f"/i/{name(one)}/{token.upper()}/bootstrap", name(one), "bootstrap: unknown token")
    refused(f"/i/{name(one)}/{token}%20/report/installed", None, None)  # a GET, where POST is the method
    refused(f"/i/{name(idle)}/{'0' * 32}/kickstart", name(idle), "kickstart: unknown token")
    refused(f"/i/nobody.example.com/{token}/kickstart", None, "kickstart: no such host")
    refused(f"/i/nobody.example.com/{token}/bootstrap", None, "bootstrap: no such host")
    refused(f"/i/{name(one).upper()}/{token}/kickstart", None, None)  # the same event once more
    refused(f"/i/{name(one)}//kickstart", None, None)
    refused(f"/i/{name(one)}/kickstart", None, None)
    refused(f"/i//{token}/kickstart", None, None)
    refused(f"/{path}", None, None)
    refused(f"{path}/", None, None)
    refused(f"{path}%00", None, None)
    refused(f"{path}.", None, None)
    refused(path.replace("/kickstart", "/KICKSTART"), None, None)
    refused(f"/i/{name(one)}/{wrong}/kickstart.cpio", None, None)
    refused(f"/i/{name(idle)}/{token}/kickstart.cpio", None, None)
    refused(f"{path}.cpi", None, None)
    refused(f"{path}.cpio/", None, None)

    assert server.get(path, "127.0.0.7").status == 200, "all that left the grant as it was"
    refused(path, name(one), "kickstart: another client", source="127.0.0.2")
    refused(f"{path}.cpio", None, None, source="127.0.0.2")
    assert server.get(path, "127.0.0.7").status == 200, "dracut and stage 2 fetch again"
    assert server.get(path, planned(one)).status == 200, "the planned address is the host's"

    again = server.grant(name(one))
    refused(path, name(one), "kickstart: superseded")
    with server.opened() as store:
        store.disarm([name(one)], by="test")
    refused(again, name(one), "kickstart: disarmed")
    assert is_local(netboot(server, one))
    assert server.get(others).status == 200, "the other host's grant is its own"


def test_only_one_of_many_clients_that_ask_at_once_is_the_first(server: Running, number: int) -> None:
    path = server.grant(name(number))
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda client: server.get(path, f"127.0.5.{client}"), range(1, 21)))
    assert sorted(answer.status for answer in answers) == [200] + [404] * 19
    for answer in answers:
        if answer.status == 404:
            assert_refused(answer)


def test_a_grant_that_expired_is_refused(server: Running, number: int) -> None:
    path = server.grant(name(number), ttl=1)
    time.sleep(1.1)
    assert_refused(server.get(path))
    assert last_event(server, name(number)) == ("refused", "kickstart: expired")
    assert is_local(netboot(server, number))
    assert last_event(server, name(number)) == ("local", "expired")


def requests_that_make_no_sense(path: str) -> Iterator[bytes]:
    """Requests that end with a refusal, as bytes."""
    host, token = path.split("/")[2:4]
    tail = " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    for asked in (
        "/", "/favicon.ico", "/i/", "/m/", "/i", "//", "///", "/.", "/..", "/boot.ipxe/", "//boot.ipxe", "/BOOT.IPXE",
        "/boot.ipxe%00", "/%00", "/%", "/%zz", "/%ff%fe", "/..%2f..%2fetc%2fpasswd", "/../../etc/passwd", "/%2e%2e/",
        "/m/../boot.ipxe", "/m/x/boot.ipxe", "/m/ff:ff:ff:ff:ff:ff/boot.ipxe", "/m/00:00:00:00:00:00/boot.ipxe",
        f"/m/{mac(1)}%00/boot.ipxe", f"/m/{mac(1)}%0a/boot.ipxe", f"/m/{mac(1)}/", f"/m//{mac(1)}/boot.ipxe",
        f"//i/{host}/{token}/kickstart", f"/i/{host}%2f{token}%2fkickstart/x", f"/i/{host}/{token}/kickstart%2f",
        f"/i/{host}/{token}/x", f"/i/{host}/{token}", f"/i/{host}/{token}/report", f"/i/{host}/{token}/report/maybe",
        f"/i/{'a' * 3000}/{token}/kickstart", f"/i/{host}/{'a' * 3000}/kickstart", "/" + "a" * 5000, "/a" * 2200,
        "/x?" + "q" * 5000, "/last-good/site.yaml", "/key", "/store.db", "/serve.log", "*", "x", "http://", ":80",
        "/x#/boot.ipxe",
    ):  # fmt: skip
        yield f"GET {asked}{tail}".encode()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "PATCH", "PROPFIND", "get", "X", "G" * 30, "GE\tT"):
        yield f"{method} {path}{tail}".encode()
        yield f"{method} /boot.ipxe{tail}".encode()
    yield f"CONNECT x:80{tail}".encode()
    yield f"OPTIONS *{tail}".encode()
    yield f"GET {path} HTTP/2.0\r\n\r\n".encode()
    yield f"GET {path} HTTP/0.9\r\n\r\n".encode()
    yield f"GET {path}\r\n\r\n".encode()
    yield f"GET {path} HTTP/1.1 x\r\nHost: x\r\n\r\n".encode()
    for header in (
        b"X-Long: " + b"x" * 5000, b"\r\n".join(b"X-%d: x" % n for n in range(100)), b"no colon", b": no name",
        b"Bad Name: x", b"X-Nul: \0", b"X-Bell: \x07", b"Host: x\r\nHost: y", b"Host: \x01", b"Expect: the worst",
        b" folded: x", b"X: y\r\n folded", b"Transfer-Encoding: gzip", b"Transfer-Encoding: chunked, chunked",
        b"Content-Length: 0x10", b"Content-Length: +1",
    ):  # fmt: skip
        yield b"GET " + path.encode() + b" HTTP/1.1\r\n" + header + b"\r\nConnection: close\r\n\r\n"
    for bad in (b"", b"a b", b"[::1", b"\xff\xfe", b"../../etc", b"x:99999999", b"a" * 3000, b"%00", b"localhost\t"):
        yield b"GET /nothing HTTP/1.1\r\nHost: " + bad + b"\r\nConnection: close\r\n\r\n"
    yield b"PROXY TCP4 10.2.0.21 10.2.0.5 1 80\r\nGET " + path.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    yield b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n"
    yield b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"


def test_whatever_makes_no_sense_gets_the_one_refusal(server: Running, number: int) -> None:
    path = server.grant(name(number))
    before = server.recorded(name(number))
    for request in requests_that_make_no_sense(path):
        raw = server.send(request)
        assert raw, f"no answer to {request[:200]!r}"
        answer = parsed(raw)
        if answer.body == b"" and request.startswith(b"HEAD"):
            continue
        try:
            assert_refused(answer)
        except AssertionError as error:
            raise AssertionError(f"{request[:300]!r}: {raw[:600]!r}") from error
    allowed = {"kickstart: unknown token", "refused: try again"}
    assert {event.detail for event in server.recorded(name(number))[len(before) :]} <= allowed
    assert server.get(path).status == 200, "none of it used the permission"


@pytest.mark.parametrize("bad", ["", "a b/\\", "[::1", "x:99999999", "evil.example.com"])
def test_the_host_header_decides_nothing(server: Running, number: int, bad: str) -> None:
    path = server.grant(name(number))
    expected = {asked: server.get(asked).body for asked in ("/boot.ipxe", f"/m/{mac(number)}/boot.ipxe", path)}
    for asked, body in expected.items():
        answer = server.get(asked, Host=bad)
        assert (answer.status, answer.body) == (200, body)


def test_no_header_makes_a_client_somebody_else(server: Running, number: int) -> None:
    path = server.grant(name(number))
    assert server.get(path, "127.0.0.7").status == 200
    for header in ("X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Client-IP", "Client-IP", "Via", "True-Client-IP"):
        for value in ("127.0.0.7", planned(number), f"for={planned(number)}", "::1"):
            assert_refused(server.get(path, "127.0.0.8", **{header: value, "X_Forwarded_Proto": "https"}))
    addresses = {event.address for event in server.recorded(name(number)) if event.kind == "refused"}
    assert addresses == {"127.0.0.8"}
    for header in ("SCRIPT_NAME: /x", "PATH_INFO: /x", "REMOTE_ADDR: 127.0.0.7", "HTTP_X_FORWARDED_FOR: 127.0.0.7"):
        request = f"GET {path} HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n"
        assert_refused(parsed(server.send(request.encode(), "127.0.0.8")))


def test_a_token_is_nowhere_but_in_what_it_opens(server: Running, number: int) -> None:
    """Also when a confused client sends it where it does not belong."""
    (row,) = server.verb("arm", name(number), "--json").json
    printed = row["path"]
    tokens = {printed.split("/")[3], *(server.grant(name(next(NUMBERS))).split("/")[3] for _ in range(2))}
    for token in tokens:
        path = f"/i/{name(number)}/{token}/kickstart"
        for request in requests_that_make_no_sense(path):
            server.send(request)
        for asked in (f"/{token}", f"/boot.ipxe?{token}", f"/i/{token}/x/kickstart", f"/m/{token}/boot.ipxe",
                      f"/m/02:aa:aa:aa:aa:aa/boot.ipxe?uuid=x&ks=/i/x/{token}"):  # fmt: skip
            server.get(asked, X_Token=token, Referer=f"http://127.0.0.1{path}", Cookie=token)
    assert server.get(printed).status == 200
    base = printed.removesuffix("/kickstart")
    assert server.get(f"{base}/report/installed", data=f"fetched {base}/bootstrap\n".encode()).status == 200

    needles = [token.encode() for token in tokens] + [token.upper().encode() for token in tokens]
    shown = [
        server.verb(*verb, "-v") for verb in (("events",), ("events", "--json"), ("status",), ("log", name(number)))
    ]
    texts = {f"output {number}": (done.out + done.err).encode() for number, done in enumerate(shown)}
    files = dict(state_bytes(server.log.parent))
    assert {path.name for path in files} >= {"store.db", "store.db-wal", "serve.log", "key", "site.yaml"}
    for place, content in {**texts, **files}.items():
        found = [needle for needle in needles if needle in content]
        assert not found, f"a token is in {place}"


# Whom a kickstart is for


def test_any_nic_of_the_host_may_ask(server: Running, number: int) -> None:
    path = server.grant(name(number))
    stranger = "de:ad:be:ef:00:01"
    for macs in (
        [mac(number)],
        [stranger, "de:ad:be:ef:00:02", mac(number).upper()],
        ["02:00:00:00:03" + mac(number)[-3:]],
        [f"eth0 {stranger}", f"eth1 {mac(number)}"],
        ["not an address", "eth0"],
    ):
        headers = {f"X-RHN-Provisioning-MAC-{index}": value for index, value in enumerate(macs)}
        assert server.get(path, **headers).status == 200, macs
    before = len(server.recorded(name(number)))
    for macs in ([stranger], [f"eth0 {stranger}", mac(number + 1)], [mac(number + 1)]):
        headers = {f"X-RHN-Provisioning-MAC-{index}": value for index, value in enumerate(macs)}
        assert_refused(server.get(path, **headers))
    details = [event.detail for event in server.recorded(name(number))[before:]]
    assert len(details) == 3 and all("the machine's MAC addresses are" in detail for detail in details), details
    assert stranger in details[0]


def test_the_serial_number_must_be_the_hosts(server: Running, number: int) -> None:
    path = server.grant(name(number))
    assert server.get(path, X_System_Serial_Number=f"SN-{number}").status == 200
    assert server.get(path, X_System_Serial_Number="").status == 200
    assert_refused(server.get(path, X_System_Serial_Number="SN-0"))
    assert last_event(server, name(number)) == ("refused", "kickstart: the machine's serial number is 'SN-0'")
    assert_refused(server.get(path, X_System_Serial_Number="\xff" * 3000))
    assert len(last_event(server, name(number))[1]) < 800


# Machines that are not armed, and machines that nobody knows


def test_an_unarmed_host_boots_its_disk(server: Running, number: int) -> None:
    answer = netboot(server, number)
    assert is_local(answer) and name(number).encode() in answer.body
    assert last_event(server, name(number)) == ("local", "not armed")
    other = server.get(f"/m/02:00:00:00:03{mac(number)[-3:]}/boot.ipxe")
    server.grant(name(number))
    assert is_local(other) and is_local(server.get(f"/m/02:00:00:00:03{mac(number)[-3:]}/boot.ipxe"))
    assert not is_local(server.get(f"/m/{mac(number).upper().replace(':', '-')}/boot.ipxe"))


def test_an_unknown_machine_boots_its_disk_and_is_recorded_once(server: Running) -> None:
    unknown = "52:54:00:aa:bb:01"
    for _ in range(20):
        assert is_local(server.get(f"/m/{unknown}/boot.ipxe?uuid=4c4c4544-0042&serial=CZ%20123"))
    found = [event for event in server.recorded() if event.mac == unknown]
    assert [(event.kind, event.detail, event.count) for event in found] == [
        ("discovered", "uuid=4c4c4544-0042 serial=CZ 123", 20)
    ]
    shown = [event for event in server.run("events", "--json").json if event["mac"] == unknown]
    assert [event["detail"] for event in shown] == ["uuid=4c4c4544-0042 serial=CZ 123"]


@pytest.mark.parametrize(
    "said",
    [
        "uuid=%00%1b%5b2J%0d%0a&serial=%e2%80%ae%ff",
        "uuid=" + "A" * 3500 + "&serial=x",
        "uuid=x&uuid=y&serial=x&serial=y&mac=z",
        "uuid[]=x&serial=%F0%9F%92%A9%ED%A0%80",
        "uuid=%7B%7B7*7%7D%7D&serial='; DROP TABLE event;--".replace(" ", "%20"),
        "&&&===%%%",
    ],
)
def test_what_an_unknown_machine_says_does_no_harm(server: Running, number: int, said: str) -> None:
    unknown = f"52:54:00:bb:00:{number:02x}"
    answer = server.get(f"/m/{unknown}/boot.ipxe?{said}")
    assert is_local(answer)
    assert unknown.encode() in answer.body and len(answer.body) < 400, "it is not echoed"
    (event,) = [event for event in server.recorded() if event.mac == unknown]
    assert event.detail.isprintable() and len(event.detail) <= 800
    shown = server.verb("events")
    assert all(char.isprintable() or char == "\n" for char in shown.out)


def test_what_is_10_kb_long_is_refused(server: Running) -> None:
    assert_refused(server.get("/m/52:54:00:cc:00:01/boot.ipxe?serial=" + "A" * 10_000))


# Secrets that cannot be had


@pytest.mark.parametrize(
    "number,why",
    [
        (ABSENT, "secret absent: BOOTFORGE_TEST_ABSENT is not in the environment; set it for the server"),
        (PLAIN, "secret plain is not a crypt(5) hash; 'openssl passwd -6' makes one"),
    ],
)
def test_a_host_without_its_secret_is_not_booted_into_the_installer(server: Running, number: int, why: str) -> None:
    path = server.grant(name(number))
    assert is_local(netboot(server, number))
    assert last_event(server, name(number)) == ("error", why)
    with server.opened() as store:
        assert [one.state for one in store.status([name(number)])] == ["armed"], "the permission was not used"
    assert_refused(server.get(path))
    errors = [event for event in server.recorded(name(number)) if event.kind == "error"]
    assert {event.detail for event in errors} == {why}
    assert SEEDED not in server.log.read_text() and SEEDED not in server.verb("events", "--json").out


# At the end, because the log is of all of them


def test_nothing_of_it_was_a_crash(server: Running) -> None:
    log = server.log.read_text()
    assert "Traceback" not in log and "gunicorn.error" not in log
    assert all(line.isprintable() for line in log.splitlines())
