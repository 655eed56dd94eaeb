"""The verbs that look at a server as a machine does, on real servers, good ones and bad ones."""

from __future__ import annotations

import hashlib
import http.server
import os
import resource
import shutil
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from bootforge.doctor import checks
from bootforge.doctor.clients import fetch, fetch_tftp
from bootforge.state import LOOK_HEADER, ServerKey, server_key
from tests.integration.edge import KEY, SITE, host, mac, name, netboot, planned
from tests.support import Done, Running, need, running, verb, write_site

TREE = {"images/pxeboot/vmlinuz": "kernel " * 5000, "images/pxeboot/initrd.img": "initrd " * 50_000}
SIGNED = {"EFI/BOOT/BOOTX64.EFI": "shim " * 999, "EFI/BOOT/grubx64.efi": "grub " * 9999}
UNKNOWN = "52:54:00:00:00:99"


def doctors_site(root: Path) -> Path:
    """Three hosts that are installed from the server's own media."""
    settings = SITE.replace("  absent: {env: BOOTFORGE_TEST_ABSENT}\n  plain: {env: BOOTFORGE_TEST_PLAIN}\n", "")
    role = "nics: {lan: {network: lan}}\ninstall: {url: 'http://127.0.0.1/media/t'}\n"
    hosts = "".join(host(number) for number in (1, 2, 3)) + host(4, "  state: held\n")
    hosts += host(5, "  machine: {loader: shim}\n") + host(6, "  install: {kickstart: initrd}\n")
    files = {"site.yaml": settings, "roles/web.yaml": role, "hosts/web.yaml": hosts}
    return write_site(root, {**files, "keys/ops.pub": KEY})


@contextmanager
def serving(root: Path, **env: str) -> Iterator[Running]:
    root.mkdir(exist_ok=True)
    (root / "state").mkdir(mode=0o700)
    write_site(root / "state/media/t", TREE | SIGNED)
    with running(doctors_site(root / "site"), root / "state", **env) as server:
        yield server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with serving(tmp_path_factory.mktemp("doctor")) as server:
        yield server


def asked(server: Running, verb: str, *args: str) -> Done:
    return server.verb(verb, "--server", server.http, "--tftp-port", str(server.tftp_port), *args)


def simulate(server: Running, number: int | str, arch: int = 0, *args: str) -> tuple[int, dict[str, dict[str, Any]]]:
    address = number if isinstance(number, str) else mac(number)
    done = asked(server, "simulate", "--mac", address, "--arch", str(arch), "--json", *args)
    assert done.out.startswith("["), done
    return done.status, {step["step"]: step for step in done.json}


def said_of(server: Running) -> tuple[list[Any], list[Any]]:
    """The grants, with their counts, and the events."""
    with server.opened() as store:
        return [one.grant for one in store.status()], store.events()


# simulate


def test_the_chain_of_an_armed_host_is_told_and_nothing_used_up(server: Running) -> None:
    grant = server.grant(name(1))
    before = said_of(server)
    for _ in range(12):  # more often than a host may boot
        status, steps = simulate(server, 1, 7)
    assert said_of(server) == before
    assert status == 0
    assert [*steps] == [
        "dhcp", "loader", "dhcp of iPXE", "first script", "chain", "script", "kernel", "initrd", "kickstart",
    ]  # fmt: skip
    loader = next(path for path in Path("/usr/lib/ipxe").glob("snponly.efi")).read_bytes()
    assert (steps["loader"]["size"], steps["loader"]["digest"]) == (len(loader), hashlib.sha256(loader).hexdigest())
    assert f"{-(-len(loader) // 1468)} blocks of 1468, window 4" == steps["loader"]["answer"]
    assert planned(1) in steps["dhcp"]["answer"] and "boot file snponly.efi" in steps["dhcp"]["answer"]
    assert steps["script"]["answer"] == f"200, {name(1)} is armed: the installer"
    sizes = {step: steps[step]["size"] for step in ("kernel", "initrd")}
    assert [*sizes.values()] == [len(text) for text in TREE.values()]
    assert [step for step in steps if not steps[step]["asked"]] == ["dhcp", "dhcp of iPXE", "kickstart"]
    assert grant.split("/")[3] not in str(steps), "who reads this over a shoulder can do nothing with it"

    booted = netboot(server, 1)
    assert steps["script"]["digest"] == hashlib.sha256(booted.body).hexdigest(), "it is what the machine gets"
    assert server.get(grant, planned(1)).status == 200


def test_a_server_that_is_hostile_reaches_no_terminal(server: Running) -> None:
    """What somebody else's server says is not printed as it came."""

    class Hostile(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            chain = "/m/" not in self.path
            said = b"/boot.ipxe?uuid=" if chain else b"#!ipxe\nkernel --name kernel http://127.0.0.1:1/\x1b[2J\xff\n"
            self.send_response_only(200, "fine\x1b[31m")
            self.end_headers()
            self.wfile.write(said)

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hostile) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{listener.server_port}"
        ports = ["--server", url, "--tftp-port", str(server.tftp_port)]
        told = [server.verb("simulate", "--mac", mac(2), "--arch", "0", *ports), server.verb("doctor", *ports)]
        listener.shutdown()
    assert [done.status for done in told] == [5, 5] and "kernel" in told[0].out
    for done in told:
        assert all(line.isprintable() for line in (done.out + done.err).splitlines()), done


def test_firmware_that_boots_by_http(server: Running) -> None:
    status, steps = simulate(server, 2, 7, "--http")
    size = Path("/usr/lib/ipxe/snponly.efi").stat().st_size
    assert status == 0 and steps["loader"]["size"] == size and steps["loader"]["answer"] == "200"
    assert steps["loader"]["request"] == f"HEAD, GET {server.http}/loaders/snponly.efi"


def test_the_chain_of_secure_boot(server: Running) -> None:
    done = asked(server, "simulate", "--mac", mac(5), "--arch", "7", "--json")
    assert [step["step"] for step in done.json] == ["dhcp", "loader", "loader", "script"]
    assert done.json[-1]["answer"].endswith("is not armed, or may not boot now: the local disk")
    server.grant(name(5))
    before = said_of(server)
    done = asked(server, "simulate", "--mac", mac(5), "--arch", "7", "--json")
    assert said_of(server) == before and done.status == 0
    sizes = [step["size"] for step in done.json]
    assert sizes[1:3] == [len(text) for text in SIGNED.values()] and done.json[1]["request"].endswith("/shimx64.efi")
    assert done.json[3]["answer"] == f"200, {name(5)} is armed: the installer"
    assert sizes[4:6] == [len(text) for text in TREE.values()]
    assert [step["step"] for step in done.json[4:]] == ["kernel", "initrd", "kickstart"]


def test_a_kickstart_that_the_loader_fetches_is_left_alone(server: Running) -> None:
    server.grant(name(6))
    before = said_of(server)
    status, steps = simulate(server, 6)
    assert status == 0 and said_of(server) == before
    assert b"kickstart.cpio" in netboot(server, 6).body, "it is in the script that was looked at"
    assert list(steps)[-3:] == ["kernel", "initrd", "kickstart"] and not steps["kickstart"]["asked"]


def test_machines_that_boot_their_disk(server: Running) -> None:
    events = len(server.recorded())
    for number, why in ((2, "is not armed"), (4, "is held"), (UNKNOWN, "is in no site"), ("02:00:00:00:03:02", "nic")):
        status, steps = simulate(server, number)
        assert status == 0 and list(steps)[-1] == "script", steps
        assert why in steps["script"]["answer"] and steps["script"]["answer"].endswith("the local disk")
    assert len(server.recorded()) == events, "nobody was discovered"


def test_who_has_no_key_cannot_look(server: Running) -> None:
    now = time.time()
    key = server_key(server.store)
    forged = [
        ServerKey(b"x" * 32).look(UNKNOWN, now),
        key.look(UNKNOWN, now - 200),
        key.look(mac(3), now),
        key.look(UNKNOWN, now)[:-1],
        "",
        "-",
        "9" * 400,
        "\u00b2-" + "0" * 64,
    ]
    for text in forged:
        before = sum(event.count for event in server.recorded() if event.kind == "discovered")
        got = fetch(f"{server.http}/m/{UNKNOWN}/boot.ipxe", headers={LOOK_HEADER: text} if text.isascii() else {})
        assert got.status == 200
        after = sum(event.count for event in server.recorded() if event.kind == "discovered")
        assert after == before + 1, text
        assert not key.is_look(UNKNOWN, text, now)
    assert key.is_look(UNKNOWN, key.look(UNKNOWN, now - 30), now)


def test_what_fails_is_named(tmp_path: Path) -> None:
    (tmp_path / "loaders").mkdir()
    shutil.copy("/usr/lib/ipxe/undionly.kpxe", tmp_path / "loaders")
    with serving(tmp_path, BOOTFORGE_LOADERS=str(tmp_path / "loaders")) as server:
        server.grant(name(1))
        assert simulate(server, 1)[0] == 0
        for step, file, arch in (
            ("kernel", "state/media/t/images/pxeboot/vmlinuz", 0),
            ("initrd", "state/media/t/images/pxeboot/initrd.img", 0),
            ("loader", "loaders/undionly.kpxe", 0),
            ("loader", "", 11),
        ):
            whole = (tmp_path / file).read_bytes() if file else b""
            if file:
                (tmp_path / file).write_bytes(b"")
            status, steps = simulate(server, 1, arch)
            assert status == 5 and [key for key in steps if not steps[key]["ok"]] == [step]
            if file:
                (tmp_path / file).write_bytes(whole)
    done = asked(server, "simulate", "--mac", mac(1), "--arch", "0")
    assert done.status == 5 and "FAILED" in done.out, "nobody is there any more"


@pytest.mark.parametrize(
    "args,words",
    [
        (["--mac", "52:54", "--arch", "0"], "is not a MAC address"),
        (["--mac", UNKNOWN, "--arch", "5"], "no firmware boots as 5; known: 0, 7, 9, 11, 16, 19"),
        (["--mac", UNKNOWN, "--arch", "0", "--http"], "no firmware boots as 0 by HTTP"),
        (["--mac", UNKNOWN, "--arch", "0", "--network", "san"], "no network 'san' has a 'server:'"),
    ],
)
def test_what_makes_no_sense_is_refused(server: Running, args: list[str], words: str) -> None:
    done = server.verb("simulate", *args)
    assert done.status == 2 and words in f"{done.err}".replace("\n  ", "; "), done


# doctor


def diagnose(server: Running, *args: str) -> tuple[int, list[dict[str, str]]]:
    done = asked(server, "doctor", "--json", *args)
    assert done.out.startswith("["), done
    return done.status, done.json


def failed(found: list[dict[str, str]]) -> list[str]:
    return [f"{one['check']}: {one['what']}" for one in found if one["verdict"] == "fail"]


def test_a_good_server_is_well(server: Running) -> None:
    before = said_of(server)
    status, found = diagnose(server)
    assert (status, failed(found)) == (0, [])
    told = {one["check"] for one in found}
    assert told >= {"site", "state", "store", "store's disk", "clock", "descriptors", "dhcp", "secrets", "http", "tftp"}
    assert [one["what"] for one in found if one["check"] == "trees"] == ["2 kernels and initrds are there"]
    assert all(bool(one["remedy"]) == (one["verdict"] != "ok") for one in found)
    assert said_of(server) == before
    table = asked(server, "doctor").out
    assert "6 hosts, revision" in table and "undionly.kpxe from 127.0.0.1" in table


def empty(file: str) -> Callable[[Path], object]:
    return lambda at: (at / file).write_bytes(b"")


FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("state/key", lambda at: (at / "state/key").chmod(0o644), "state: others may use"),
    ("", lambda at: (at / "state").chmod(0o777), "state: others may use"),
    (
        "site/rules.yaml",
        lambda at: write_site(at / "site", {"rules.yaml": "rules: ["}),
        "site: 1 problem in the site: r",
    ),
    ("state/media/t/images/pxeboot/vmlinuz", empty("state/media/t/images/pxeboot/vmlinuz"), "trees: http://127.0.0.1:"),
    ("state/media/t/images/pxeboot/initrd.img", empty("state/media/t/images/pxeboot/initrd.img"), "4 more: no size"),
    (
        "state/media/t/EFI/BOOT/grubx64.efi",
        lambda at: (at / "state/media/t/EFI/BOOT/grubx64.efi").unlink(),
        f"loaders: no shimx64.efi, for {name(5)}",
    ),
    ("loaders/snponly.efi", empty("loaders/snponly.efi"), "tftp: snponly.efi from 127.0.0.1: it is empty"),
    ("state/store.db", lambda at: (at / "state/store.db").write_bytes(b"no database" * 999), "store: the store"),
]


def test_faults_are_found(tmp_path: Path) -> None:
    (tmp_path / "loaders").mkdir()
    for loader in ("undionly.kpxe", "snponly.efi"):
        shutil.copy(f"/usr/lib/ipxe/{loader}", tmp_path / "loaders")
    with serving(tmp_path, BOOTFORGE_LOADERS=str(tmp_path / "loaders")) as server:
        write_site(server.site, {"rules.yaml": "rules: []\n"})
        assert diagnose(server)[0] == 0
        for file, break_it, words in FAULTS:
            whole = (tmp_path / file).read_bytes() if file else b""
            break_it(tmp_path)
            status, found = diagnose(server)
            assert status == 5 and len(failed(found)) <= 2 and any(words in one for one in failed(found)), (file, found)
            (tmp_path / "state").chmod(0o700)
            if file:
                (tmp_path / file).write_bytes(whole)
                (tmp_path / file).chmod(0o600)
    assert {"http", "tftp", "trees"} <= {one.partition(":")[0] for one in failed(diagnose(server)[1])}, "it has ended"


def test_somebody_else_in_its_place_is_found(server: Running, tmp_path: Path) -> None:
    """Another web server, another TFTP server with another file of that name, and a clock that is wrong."""

    class Other(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response_only(200)
            self.send_header("Date", "Thu, 01 Jan 2015 00:00:00 GMT")
            self.end_headers()
            self.wfile.write(other["body"])

        do_HEAD = do_GET

        def log_message(self, *args: object) -> None:
            pass

    other = {"body": b"#!ipxe\nshell\n"}
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    try:
        with foreign_tftp(tmp_path, {"undionly.kpxe": b"x" * 3000}) as port:
            args = ["--server", f"http://127.0.0.1:{listener.server_port}", "--tftp-port", str(port), "--json"]
            found = server.verb("doctor", *args).json
            other["body"] = server.get("/boot.ipxe").body
            late = server.verb("doctor", *args).json
    finally:
        listener.shutdown()
        listener.server_close()
    assert any("and not this site's boot.ipxe" in one for one in failed(found))
    assert any("tftp: snponly.efi" in one for one in failed(found))
    assert [
        one["what"].partition(", but")[0] for one in found if one["verdict"] == "warn" and one["check"] == "tftp"
    ] == ["undionly.kpxe from 127.0.0.1: 3000 bytes"]
    assert [one["verdict"] for one in late if one["check"] == "http"] == ["warn"]


def test_a_secret_that_cannot_be_had_is_named_and_none_is_told(server: Running) -> None:
    seed = "Hunter2" * 4
    with_secrets = {"BOOTFORGE_SITE": str(server.site), "BOOTFORGE_STORE": server.store, "BOOTFORGE_ROOT_HASH": seed}
    done = verb("doctor", "--server", server.http, "--tftp-port", str(server.tftp_port), **with_secrets)
    assert "1 can be had by this user" in done.out and seed not in done.out + done.err
    with_secrets["BOOTFORGE_ROOT_HASH"] = ""
    done = verb("doctor", "--server", server.http, "--tftp-port", str(server.tftp_port), **with_secrets)
    assert done.status == 5 and "secret root_hash is empty, or not one line of text" in done.out


def test_the_clock_and_ports_as_the_kernel_tells_them(tmp_path: Path) -> None:
    for state, verdict in ((0, "ok"), (5, "warn"), (-1, "ok")):
        assert [one.verdict for one in checks.clock_findings(partial(int, state))] == [verdict]
    assert -1 <= checks._adjtimex() <= 5
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        assert checks._has_port(Path("/proc/net/udp"), port)
    assert not checks._has_port(Path("/proc/net/udp"), port)
    assert not checks._has_port(tmp_path / "none", 67)


# The clients


@contextmanager
def foreign_tftp(root: Path, files: dict[str, bytes]) -> Iterator[int]:
    """tftpy's server, with these files; its port."""
    import tftpy

    for file, content in files.items():
        (root / file).write_bytes(content)
    other = tftpy.TftpServer(str(root))
    thread = threading.Thread(target=other.listen, args=("127.0.0.1", 0), daemon=True)
    thread.start()
    other.is_running.wait(10)
    try:
        yield other.listenport
    finally:
        other.stop(now=True)
        thread.join(10)


def test_tftp_of_others(tmp_path: Path) -> None:
    content = os.urandom(70_000 * 3)
    with foreign_tftp(tmp_path, {"x": content, "empty": b"", "exact": content[:1456]}) as port:
        for file, blocks in (("x", 145), ("empty", 1), ("exact", 2)):
            got = fetch_tftp("127.0.0.1", port, file)
            assert (got.error, got.body) == ("", (tmp_path / file).read_bytes())
            assert got.how == f"{blocks} blocks of 1456, window 1"
        assert fetch_tftp("127.0.0.1", port, "none").error.startswith("error 1: ")


def test_tftp_of_ours_in_windows(server: Running) -> None:
    loader = Path("/usr/lib/ipxe/snponly.efi").read_bytes()
    for blksize, window in ((512, 1), (1456, 1), (1468, 4), (1468, 16), (60000, 64), (8, 3)):
        got = fetch_tftp("127.0.0.1", server.tftp_port, "snponly.efi", blksize, window)
        assert (got.error, got.body) == ("", loader), got
        assert got.how == f"{len(loader) // blksize + 1} blocks of {blksize}, window {window}"


def answering(*answers: bytes | None, to: Callable[[bytes], bytes] | None = None) -> tuple[int, threading.Thread]:
    """A TFTP server that gives these answers, one for each packet, from a new port each time if it is None's turn."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("127.0.0.1", 0))
    listener.settimeout(5)

    def serve() -> None:
        with listener:
            for answer in answers:
                try:
                    _, peer = listener.recvfrom(65536)
                except TimeoutError:
                    return
                if answer is not None:
                    listener.sendto(answer, peer)

    thread = threading.Thread(target=serve)
    thread.start()
    return listener.getsockname()[1], thread


@pytest.mark.parametrize(
    "answers,error",
    [
        ((None,) * 9, "no answer"),
        ((b"\0\5\0\1\x1b[2Jgone\n\0",), "error 1:  [2Jgone"),
        ((b"\0\6blksize\x009999\0",), "it grants what was not asked for"),
        ((b"\0\6multicast\x001\0",), "it grants what was not asked for"),
        ((b"\0\6tsize\x005\0", b"\0\3\0\1abc"), "3 bytes came, 5 were said to"),
        ((b"", b"\xff", b"\0", b"\0\3\0\x09x"), "Connection refused"),
    ],
)
def test_servers_that_are_none(answers: tuple[bytes | None, ...], error: str) -> None:
    port, thread = answering(*answers)
    got = fetch_tftp("127.0.0.1", port, "x", patience=2)
    thread.join()
    assert got.error == error and got.error.isprintable()


def test_what_is_lost_is_asked_again(tmp_path: Path) -> None:
    """A request, a block within a window, and one that came twice."""
    first, second, third = (b"\0\3\0" + bytes([n]) + bytes([64 + n]) * size for n, size in ((1, 512), (2, 512), (3, 5)))
    port, thread = answering(None, first, second, first, second, third)
    got = fetch_tftp("127.0.0.1", port, "x", 512, patience=4)
    thread.join()
    assert got.error == "" and got.body == b"A" * 512 + b"B" * 512 + b"C" * 5


def test_nobody_there_is_told_at_once() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    got = fetch_tftp("127.0.0.1", port, "x", patience=60)
    assert got.error == "Connection refused" and got.seconds < 30


def test_http_that_is_none() -> None:
    for url, error in (
        ("ftp://127.0.0.1/x", "'ftp://127.0.0.1/x' is no URL of HTTP"),
        ("http://127.0.0.1:1/", "Connection refused"),
        ("http:///x", "'http:///x' is no URL of HTTP"),
        ("http://127.0.0.1:99999/", "Port out of range 0-65535"),
    ):
        assert fetch(url, patience=2).error == error


def test_certificates_of_mirrors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need("openssl")
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", "key", "-out", "cert", "-days", "5"]
    made += ["-subj", "/CN=mirror", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(made, cwd=tmp_path, check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "cert", tmp_path / "key")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler) as mirror:
        mirror.socket = context.wrap_socket(mirror.socket, server_side=True)
        threading.Thread(target=mirror.serve_forever, daemon=True).start()
        server = ("127.0.0.1", mirror.server_port)
        url = f"https://127.0.0.1:{mirror.server_port}/nothing"
        assert fetch(url).error == "its certificate is not good: self-signed certificate"
        (refused,) = checks.certificate_findings({server})
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "cert"))
        assert fetch(url).status == 404
        (near,) = checks.certificate_findings({server})
        mirror.shutdown()
    assert refused.verdict == "fail" and "127.0.0.1" in refused.what
    assert near.verdict == "warn" and near.what.endswith("good for 5 days")


def test_disks_and_descriptors_that_are_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    total = 100 << 30
    for free, verdict in ((1 << 20, "fail"), (500 << 20, "warn"), (50 << 30, "ok")):
        monkeypatch.setattr(
            shutil, "disk_usage", lambda _, free=free: shutil._ntuple_diskusage(total, total - free, free)
        )
        assert checks._disk("disk", tmp_path).verdict == verdict
    for hard, verdict in ((1024, "warn"), (65536, "ok"), (resource.RLIM_INFINITY, "ok")):
        monkeypatch.setattr(resource, "getrlimit", lambda _, hard=hard: (hard, hard))
        assert next(checks.descriptor_findings()).verdict == verdict
