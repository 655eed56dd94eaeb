"""3,000 requests that no client would send: the server lives, says nothing it should not, and keeps its size."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.integration.edge import children, edge_site, front_pid, host, http_pids, mac, name, netboot, until
from tests.support import ROOT_HASH, Running, running, write_site

SEED, COUNT, WARM_UP = 20_250_601, 4000, 400

METHODS = ("GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "get", "G\0T", "", "A" * 300)
VERSIONS = ("HTTP/1.1", "HTTP/1.0", "HTTP/1.2", "HTTP/2.0", "HTTP/0.9", "HTTP/11", "http/1.1", "", "HTTP/1.1 x")
NAMES = (
    "Host", "Content-Length", "Transfer-Encoding", "Connection", "Expect", "X-RHN-Provisioning-MAC-0", "Range",
    "X-System-Serial-Number", "X-Forwarded-For", "Cookie", "If-None-Match", "Upgrade", "Content-Type", "Trailer",
    "X_Under", "Bad Name", "", "\xff", "A" * 200, "Accept-Encoding", "X-RHN-Provisioning-MAC-999999999999",
)  # fmt: skip
VALUES = (
    "", "x", "0", "-1", "5", "99999999999999999999", "0x5", "chunked", "gzip, chunked", "chunked, chunked", "close",
    "keep-alive", "100-continue", "upgrade", "h2c", "websocket", "bytes=0-1", "\0", "\x7f", "\xff" * 50, "a" * 5000,
    "eth0 02:00:00:00:00:01", "[::1", "a\r\n b", "*", '"', "multipart/form-data; boundary=x", "application/json",
)  # fmt: skip
BODIES = (
    b"", b"x", b"hello", b"0\r\n\r\n", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"ffffffffffffffff\r\nx",
    b"5;x=y\r\nhello", b"-1\r\n", b"5\r\nhelloXX", b"0\r\nX: y\r\n\r\n", b"1\r\n\n\r\n", b"x" * 70_000,
    b"\0" * 100, b"5 \r\nhello\r\n",
)  # fmt: skip


RANGES = (
    "bytes=0-9", "bytes=-5", "bytes=5-9,20-29", "bytes=900-", "bytes=9999-", "bytes=-0", "bytes=" + "0-," * 300,
    "bytes=", "lines=1-2", "bytes=9-0", "bytes=" + "9" * 300 + "-",
    "bytes=" + ",".join(f"{n}-{n}" for n in range(300)),
)  # fmt: skip
CONDITIONS = ("If-Range", "If-None-Match", "If-Match", "If-Modified-Since", "If-Unmodified-Since")
VALIDATORS = (
    '"x"',
    "*",
    "W/",
    "Thu, 01 Jan 1970 00:00:00 GMT",
    "Thu, 01 Jan 2099 00:00:00 GMT",
    "Thu, 99 Foo 0 GMT",
    "\xff",
)


class Fuzz:
    """A stream of requests that a seed decides."""

    def __init__(self, seed: int, paths: list[str]) -> None:
        self.random = random.Random(seed)
        self.paths = paths

    def request(self) -> bytes:
        """Something for one connection: a request, several in a row, a part of one, or noise."""
        kind = self.random.random()
        if kind < 0.04:
            return self.random.randbytes(self.random.randrange(1, 3000))
        whole = b"".join(self.one() for _ in range(1 if kind < 0.8 else self.random.randrange(2, 6)))
        if kind > 0.93:
            return whole[: self.random.randrange(len(whole))]
        if kind > 0.86:
            return self.flipped(whole)
        return whole

    def one(self) -> bytes:
        usual = self.random.random() < 0.6
        if usual and self.random.random() < 0.4:
            return f"GET {self.random.choice(self.paths)} HTTP/1.1\r\nHost: x\r\n\r\n".encode()
        if usual and self.random.random() < 0.2:
            return self.report()
        if usual and self.random.random() < 0.2:
            return self.part()
        method = self.random.choice(("GET", "POST", "HEAD")) if usual else self.random.choice(METHODS)
        version = "HTTP/1.1" if usual else self.random.choice(VERSIONS)
        lines = [f"{method} {self.path()} {version}"]
        if usual:
            lines.append("Host: x")
        lines += [
            f"{self.random.choice(NAMES)}{self.random.choice((': ', ':', ' : ', ''))}{self.random.choice(VALUES)}"
            for _ in range(self.random.choice((0, 1, 2, 3, 90)))
        ]
        end = self.random.choice(("\r\n", "\r\n", "\r\n", "\n", "\r"))
        return (end.join(lines) + end * 2).encode("latin-1") + self.random.choice(BODIES)

    def report(self) -> bytes:
        """A report whose body is not what its head says."""
        path = self.random.choice([path for path in self.paths if "/report/" in path or "/log/" in path])
        body = self.random.choice(BODIES)
        framing = self.random.choice(
            ("Transfer-Encoding: chunked", f"Content-Length: {len(body)}", f"Content-Length: {len(body) + 5}", "X: y")
        )
        return f"POST {path} HTTP/1.1\r\nHost: x\r\n{framing}\r\n\r\n".encode() + body

    def part(self) -> bytes:
        """A part of a file, under a condition."""
        path = self.random.choice([path for path in self.paths if "/media/" in path])
        lines = [f"{self.random.choice(('GET', 'GET', 'HEAD'))} {path} HTTP/1.1", "Host: x"]
        lines.append(f"Range: {self.random.choice(RANGES)}")
        if self.random.random() < 0.4:
            lines.append(f"{self.random.choice(CONDITIONS)}: {self.random.choice(VALIDATORS)}")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")

    def path(self) -> str:
        path = self.random.choice(self.paths)
        for _ in range(self.random.choice((0, 0, 1, 3))):
            at = self.random.randrange(len(path) + 1)
            bits = (
                "%00",
                "%",
                "%zz",
                "/",
                "//",
                "..",
                "%2f",
                "?",
                "#",
                "é",
                "\0",
                " ",
                "a" * 4000,
                "%ff",
                ";",
                "\\",
                "%25",
            )
            path = path[:at] + self.random.choice(bits) + path[at + self.random.randrange(3) :]
        return path.encode("latin-1", "replace").decode("latin-1")

    def flipped(self, data: bytes) -> bytes:
        changed = bytearray(data)
        for _ in range(self.random.randrange(1, 20)):
            changed[self.random.randrange(len(changed))] = self.random.randrange(256)
        return bytes(changed)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("fuzz")
    media = root / "state" / "media" / "t"
    media.mkdir(parents=True)
    (media / "file").write_bytes(bytes(range(32, 127)) * 10)
    write_site(media, dict.fromkeys(("EFI/BOOT/BOOTX64.EFI", "EFI/BOOT/grubx64.efi", "vmlinuz"), "x" * 70_000))
    write_site(root / "given", {"undionly.kpxe": "x" * 70_000})
    site = edge_site(root / "site", hosts=4)
    machine = "  machine: {loader: shim}\n  install: {url: 'media:t', kernel: vmlinuz}\n"
    write_site(site, {"hosts/shim.yaml": host(5, machine)})
    with running(site, root / "state", BOOTFORGE_LOADERS=str(root / "given")) as server:
        yield server


def size(pid: int) -> tuple[int, int]:
    """Descriptors that are open, and resident memory in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    resident = re.search(r"VmRSS:\s+(\d+)", status)
    assert resident
    return len(list(Path(f"/proc/{pid}/fd").iterdir())), int(resident[1])


def check(request: bytes, answer: bytes) -> None:
    heads = re.findall(rb"HTTP/1\.\d (\d{3}) ", answer)
    assert set(heads) <= {b"100", b"200", b"206", b"304", b"404", b"412", b"416"}, (request[:500], answer[:500])
    assert not answer or answer.startswith(b"HTTP/1."), (request[:500], answer[:500])
    for word in (b"Traceback", b"gunicorn/", b"Werkzeug", b"<html", b"sqlite", ROOT_HASH.encode()):
        assert word not in answer, (request[:500], answer[:500])


def test_3000_requests_that_no_client_would_send(server: Running) -> None:
    kickstart = server.grant(name(2))
    base = kickstart.removesuffix("/kickstart")
    # The right token under the wrong names, so that no answer may hold the secret.
    paths = [
        "/", "/boot.ipxe", f"/m/{mac(1)}/boot.ipxe", f"/m/{mac(2)}/boot.ipxe", "/m/52:54:00:00:99:01/boot.ipxe?uuid=a",
        kickstart.replace(name(2), name(3)), f"{base}/bootstrap", f"{base}/report/installed", f"{base}/report/failed",
        f"{base}/log/anaconda.log", f"{base}/log/x",
        f"/i/{name(1)}/{'0' * 32}/kickstart", "*", "http://x/boot.ipxe", "",
        "/media/t/file", "/media/t/file", "/media/t/../key", "http://x/media/t/file", "/media/", "/media/t",
        "/loaders/undionly.kpxe", "/loaders/../key", f"/m/{mac(1)}/grub.cfg", f"/m/{mac(1)}/shimx64.efi",
        f"/m/{mac(5)}/shimx64.efi", f"/m/{mac(5)}//grubx64.efi", f"http://x/m/{mac(5)}/kernel?x",
    ]  # fmt: skip
    fuzz = Fuzz(SEED, paths)
    requests = [fuzz.request() for _ in range(COUNT)]
    assert len(set(requests)) >= 3000

    def send(request: bytes) -> bytes:
        answer = server.send(request, timeout=20, ends=True)
        check(request, answer)
        return answer

    arbiter, worker = http_pids(server)
    front = front_pid(server)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(send, requests[:WARM_UP]))
        before = {pid: size(pid) for pid in (worker, front)}
        answers += pool.map(send, requests[WARM_UP:])
    assert http_pids(server) == (arbiter, worker), "a process died"
    assert front_pid(server) == front, "a process died"
    for pid, (descriptors, memory) in before.items():
        # Connections that are being closed are open for some seconds still.
        assert until(lambda pid=pid, most=descriptors + 16: size(pid)[0] <= most, 20), (descriptors, size(pid))
        assert size(pid)[1] <= memory + 32 * 1024, (memory, size(pid))

    assert sum(answer.count(b"HTTP/1.1 200 ") for answer in answers) > 200, "some requests make sense"
    assert sum(b"HTTP/1.1 206 " in answer for answer in answers) > 10
    assert sum(b" 404 NOT FOUND\r\n" in answer for answer in answers) > 1000
    log = server.log.read_text()
    assert "Traceback" not in log
    assert all(line.isprintable() for line in log.splitlines())
    assert server.get("/boot.ipxe").status == 200
    assert b"kernel " in netboot(server, 2).body and server.get(kickstart).status == 200
    assert len(children(server.process.pid)) == 3
