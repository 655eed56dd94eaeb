"""Install trees over HTTP: every range beside nginx, real clients, hostile paths, slow readers, deaths and the end."""

from __future__ import annotations

import hashlib
import http.client
import os
import re
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.integration.edge import alive, edge_site, front_pid, http_pids, kill, mac, until
from tests.integration.nginx import Nginx
from tests.rpms import BASE, RPM_TOOLS, build, make_key, publish
from tests.support import Answer, Running, need, running, verb

CONTENT = os.urandom(200_000)
INITRD = os.urandom(8_000_000)
SOON = 5.0


@dataclass
class Scene:
    """The server, its media directory, and nginx with the same files."""

    server: Running
    media: Path
    nginx: Nginx

    def ask(self, who: str, path: str, method: str = "GET", **headers: str) -> Answer:
        url = self.server.http if who == "bootforge" else self.nginx.url
        with closing(http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)) as connection:
            named = {key.replace("_", "-"): value for key, value in headers.items()}
            connection.request(method, path, headers=named)
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(), {key.lower(): value for key, value in answer.getheaders()})


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    need("nginx")
    root = tmp_path_factory.mktemp("media")
    media = root / "state" / "media"
    (media / "t" / "images").mkdir(parents=True)
    (media / "t" / "file").write_bytes(CONTENT)
    (media / "t" / "images" / "initrd.img").write_bytes(INITRD)
    (media / "t" / "empty").touch()
    (media / "t" / ".treeinfo").write_text("[general]\n")
    with (
        running(edge_site(root / "site", hosts=5), root / "state") as server,
        Nginx(root / "nginx", f"location /media/ {{ alias {media}/; }}") as nginx,
    ):
        yield Scene(server, media, nginx)


# Ranges, beside nginx

PATH = "/media/t/file"
END = len(CONTENT) - 1


def ranges(count: int, step: int = 600) -> str:
    return "bytes=" + ",".join(f"{n * step}-{n * step + 99}" for n in range(count))


def version(scene: Scene, who: str) -> tuple[str, str]:
    headers = scene.ask(who, PATH).headers
    return headers["etag"], headers["last-modified"]


OLD = "Thu, 01 Jan 1998 00:00:00 GMT"
TABLE: tuple[tuple[str, str, dict[str, str], int], ...] = (
    ("whole", "GET", {}, 200),
    ("HEAD", "HEAD", {}, 200),
    ("0-99", "GET", {"Range": "bytes=0-99"}, 206),
    ("100-", "GET", {"Range": "bytes=100-"}, 206),
    ("-100", "GET", {"Range": "bytes=-100"}, 206),
    ("last byte", "GET", {"Range": f"bytes={END}-{END}"}, 206),
    ("clipped", "GET", {"Range": f"bytes=100-{END + 100}"}, 206),
    ("long suffix", "GET", {"Range": f"bytes=-{END + 100}"}, 206),
    ("unsatisfiable", "GET", {"Range": f"bytes={END + 1}-"}, 416),
    ("malformed", "GET", {"Range": "bytes=abc"}, 200),
    ("another unit", "GET", {"Range": "lines=0-9"}, 200),
    ("2 ranges", "GET", {"Range": ranges(2)}, 206),
    ("100 ranges", "GET", {"Range": ranges(100)}, 206),
    ("300 ranges", "GET", {"Range": ranges(300)}, 206),
    ("300 overlapping", "GET", {"Range": "bytes=" + ",".join(f"{n}-" for n in range(300))}, 200),
    ("If-Range, tag", "GET", {"Range": "bytes=100-199", "If-Range": "ETAG"}, 206),
    ("If-Range, old tag", "GET", {"Range": "bytes=100-199", "If-Range": '"old"'}, 200),
    ("If-Range, date", "GET", {"Range": "bytes=100-199", "If-Range": "DATE"}, 206),
    ("If-Range, old date", "GET", {"Range": "bytes=100-199", "If-Range": OLD}, 200),
    ("If-None-Match", "GET", {"If-None-Match": "ETAG"}, 304),
    ("If-None-Match, old", "GET", {"If-None-Match": '"old"'}, 200),
    ("If-Modified-Since", "GET", {"If-Modified-Since": "DATE"}, 304),
    ("If-Modified-Since, old", "GET", {"If-Modified-Since": OLD}, 200),
    ("HEAD, If-None-Match", "HEAD", {"If-None-Match": "ETAG"}, 304),
)
OTHERWISE = {"malformed": 416, "300 overlapping": 200}
"""What nginx answers that we do not, or not for the same reason."""


@pytest.mark.parametrize("who", ["bootforge", "nginx"])
@pytest.mark.parametrize("what,method,headers,status", TABLE, ids=[row[0] for row in TABLE])
def test_ranges(scene: Scene, what: str, method: str, headers: dict[str, str], status: int, who: str) -> None:
    etag, date = version(scene, who)
    assert re.fullmatch(r'"[^"]+"', etag)
    asked = {key: value.replace("ETAG", etag).replace("DATE", date) for key, value in headers.items()}
    answer = scene.ask(who, PATH, method, **asked)
    if who == "nginx":
        status = OTHERWISE.get(what, status)
    assert answer.status == status
    if method == "HEAD":
        assert answer.body == b""
        assert status != 200 or answer.headers["content-length"] == str(len(CONTENT))
    elif status == 200:
        assert answer.body == CONTENT and answer.headers["accept-ranges"] == "bytes"
        assert (answer.headers["etag"], answer.headers["last-modified"]) == (etag, date)
    elif status == 416:
        assert answer.headers["content-range"] == f"bytes */{len(CONTENT)}"
    elif status == 304:
        assert answer.body == b"" and answer.headers["etag"] == etag
    else:
        assert_parts(answer)


def assert_parts(answer: Answer) -> None:
    """Every part is of the file, and is what its Content-Range says."""
    kind = answer.headers["content-type"]
    if not kind.startswith("multipart/byteranges; boundary="):
        found = [(answer.headers["content-range"], answer.body)]
    else:
        found = []
        for part in answer.body.split(b"\r\n--" + kind.partition("=")[2].encode())[1:-1]:
            head, _, body = part.partition(b"\r\n\r\n")
            where = re.search(rb"content-range: (.*)", head, re.I)
            assert where
            found.append((where[1].strip().decode(), body))
    assert found
    for where, body in found:
        first, last, size = map(int, re.fullmatch(r"bytes (\d+)-(\d+)/(\d+)", where).groups())  # type: ignore[union-attr]
        assert body == CONTENT[first : last + 1] and size == len(CONTENT)


def test_an_empty_file(scene: Scene) -> None:
    assert scene.ask("bootforge", "/media/t/empty").body == b""
    answer = scene.ask("bootforge", "/media/t/empty", Range="bytes=0-")
    assert answer.status == 416 and answer.headers["content-range"] == "bytes */0"


def test_a_file_that_is_replaced_has_another_tag_though_nothing_else_differs(scene: Scene) -> None:
    file = scene.media / "t" / "same"
    tags = set()
    for content in (b"1" * 100, b"2" * 100, b"3" * 100):
        new = file.with_name("new")
        new.write_bytes(content)
        os.utime(new, (1_000_000_000, 1_000_000_000))
        new.replace(file)
        tags.add(scene.ask("bootforge", "/media/t/same").headers["etag"])
    assert len(tags) == 3
    answer = scene.ask("bootforge", "/media/t/same", Range="bytes=50-", If_Range=tags.pop())
    assert answer.status in (200, 206) and answer.body in (b"3" * 100, b"3" * 50)


def test_a_connection_is_kept_and_requests_may_come_in_a_row(scene: Scene) -> None:
    one = f"GET {PATH} HTTP/1.1\r\nHost: x\r\nRange: bytes=0-9\r\n\r\n".encode()
    last = b"GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n"
    received = scene.server.send(one * 3 + last)
    assert received.count(b"HTTP/1.1 206 ") == 3 and received.count(CONTENT[:10]) == 3
    assert received.count(b"HTTP/1.1 200 OK") == 1 and b"#!ipxe" in received, "the last one is the worker's"
    close = one.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert scene.server.send(close + one).count(b"HTTP/1.1 206 ") == 1
    old = scene.server.send(one.replace(b"HTTP/1.1", b"HTTP/1.0"))
    assert b"Connection: close" in old
    assert (
        scene.server.send(one.replace(PATH.encode(), b"http://other:80" + PATH.encode()), timeout=1).count(b" 206 ")
        == 1
    )


# Paths that lead elsewhere


@pytest.fixture(scope="module")
def traps(scene: Scene, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret").write_bytes(b"SECRET" * 10)
    t = scene.media / "t"
    (t / ".hidden").write_bytes(b"SECRET")
    (t / ".git").mkdir()
    (t / ".git" / "config").write_bytes(b"SECRET")
    (t / "out").symlink_to(outside / "secret")
    (t / "outdir").symlink_to(outside)
    (t / "up").symlink_to("../../store.db")
    (t / "tohidden").symlink_to(".hidden")
    (t / "loop").symlink_to("loop")
    (t / "null").symlink_to("/dev/zero")
    (t / "good").symlink_to("images")
    (scene.media / "latest").symlink_to("t")
    os.mkfifo(t / "pipe")
    (t / "a%b").write_bytes(b"percent")
    (t / "a b+c").write_bytes(b"blank")


def test_links_inside_and_strange_names_are_followed(scene: Scene, traps: None) -> None:
    assert scene.ask("bootforge", "/media/latest/good/initrd.img").body == INITRD
    assert scene.ask("bootforge", "/media/t/.treeinfo").status == 200
    assert scene.ask("bootforge", "/media/t/a%25b").body == b"percent"
    assert scene.ask("bootforge", "/media/t/a%20b+c?x=/../y").body == b"blank"
    assert scene.ask("bootforge", "/media/t/%66ile").body == CONTENT


def test_hostile_paths(scene: Scene, traps: None) -> None:
    refused = scene.server.send(b"GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    expected = re.sub(rb"Date: .*\r\n", b"", refused)
    paths = (
        "", "t", "t/", "t/images", ".", "..", "../key", "../store.db", "t/../t/file", "t/./file", "t//file", "/t/file",
        "t/..%2ffile", "..%2fstore.db", "%2e%2e/store.db", "%2e%2e%2fstore.db", "t%2ffile", "t/file%00", "t/%00file",
        "t/file%00.txt", "t/file/", "t/file/x", "t/.hidden", "t/%2ehidden", "t/.git/config", "t/out", "t/outdir/secret",
        "t/up", "t/tohidden", "t/loop", "t/null", "t/pipe", "t/..\\..\\store.db", "t/a%b", "t/%zz", "t/%", "t/file#x",
        "t/" + "a" * 4000, "a/" * 2000, "t/\xff\xfe", "t/%ff%fe", ".bootforge.json", "t/file%20", "T/file", "t/file.",
        "~root/x", "t/%252e%252e/key", "....//store.db", "t/;/../file", "\x7f",
    )  # fmt: skip
    for path in paths:
        for method in ("GET", "HEAD"):
            request = f"{method} /media/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode("latin-1")
            answer = scene.server.send(request)
            assert b"SECRET" not in answer and b"SQLite" not in answer
            wanted = expected if method == "GET" else expected.removesuffix(b"not found\n")
            assert re.sub(rb"Date: .*\r\n", b"", answer) == wanted, (path, method)
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "get"):
        request = f"{method} /media/t/file HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
        assert re.sub(rb"Date: .*\r\n", b"", scene.server.send(request)) == expected, method


def test_huge_heads(scene: Scene) -> None:
    many = "".join(f"X-{n}: {'a' * 90}\r\n" for n in range(100))
    answer = scene.server.send(f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{many}Connection: close\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 200 ") and answer.endswith(CONTENT)
    for sent in (
        f"GET {PATH} HTTP/1.1\r\nHost: x\r\n{many * 10}\r\n",
        f"GET {PATH} HTTP/1.1\r\nX: {'a' * 100_000}",
        "GET /media/" + "a" * 100_000,
        "a" * 100_000,
        "\r\n" * 50_000,
    ):
        answer = scene.server.send(sent.encode())
        assert answer == b"" or answer.startswith(b"HTTP/1.1 404 "), sent[:100]
    assert scene.ask("bootforge", PATH).status == 200
    assert "Traceback" not in scene.server.log.read_text()


# Real clients


def curl(*args: str | Path) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["curl", "-sS", *map(str, args)], capture_output=True, timeout=60, check=False)


def test_zckdl_fetches_a_delta(scene: Scene, tmp_path: Path) -> None:
    need("zck", "zckdl")
    lines = [hashlib.sha256(str(n).encode()).hexdigest() for n in range(60_000)]
    for which, changed in (("old", 0), ("new", 7)):
        text = "\n".join(
            lines if not changed else [f"{n:064}" if n % 6000 == 0 else line for n, line in enumerate(lines)]
        )
        (tmp_path / which).write_text(text)
        subprocess.run(["zck", "-o", f"{which}.zck", which], cwd=tmp_path, check=True, capture_output=True)
    shutil.copy(tmp_path / "new.zck", scene.media / "t" / "primary.xml.zck")
    url = f"{scene.server.http}/media/t/primary.xml.zck"
    done = subprocess.run(
        ["zckdl", "-s", "old.zck", url], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done
    assert (tmp_path / "primary.xml.zck").read_bytes() == (tmp_path / "new.zck").read_bytes()
    said = re.search(r"Downloaded (\d+) bytes", done.stdout + done.stderr)
    assert said and int(said[1]) < (tmp_path / "new.zck").stat().st_size / 2, done
    asked = [line for line in scene.server.log.read_text().splitlines() if "primary.xml.zck" in line]
    assert asked and all(line.endswith(" 206") for line in asked)


def test_curl_resumes_across_a_restart_and_splices_nothing(tmp_path: Path) -> None:
    need("curl")
    media = tmp_path / "media"
    (media / "t").mkdir(parents=True)
    file, got = media / "t" / "big", tmp_path / "got"
    file.write_bytes(INITRD)
    site = edge_site(tmp_path / "site", hosts=1)
    with running(site, tmp_path / "state", "--media", str(media)) as server:
        url = f"{server.http}/media/t/big"
        headers = curl("-r", "0-2999999", "-D", "-", "-o", got, url).stdout.decode()
        assert got.stat().st_size == 3_000_000
        etag = re.search(r"(?m)^ETag: (.*)\r$", headers)[1]  # type: ignore[index]
    with running(site, tmp_path / "state", "--media", str(media)) as server:
        url = f"{server.http}/media/t/big"
        condition = ("-H", f"If-Range: {etag}")
        whole = tmp_path / "whole"
        shutil.copy(got, whole)
        assert curl("-C", "-", *condition, "-o", whole, url).returncode == 0
        assert whole.read_bytes() == INITRD, "the tag of the file outlives the server"
        other = file.with_name("other")
        other.write_bytes(bytes(len(INITRD)))
        os.utime(other, ns=(file.stat().st_atime_ns, file.stat().st_mtime_ns))
        other.replace(file)
        spliced = curl("-C", "-", *condition, "-o", got, url)
        assert spliced.returncode == 33, "CURLE_RANGE_ERROR: it got the whole file, and says that it cannot resume"
        assert got.read_bytes() == INITRD[:3_000_000]


def test_dnf_installs_from_a_tree_that_was_taken_in(scene: Scene, tmp_path: Path) -> None:
    need("dnf", *RPM_TOOLS, "bsdtar", "xorriso")
    if os.geteuid():
        pytest.skip("an installroot needs root")
    key = make_key(tmp_path / "gpg", "right")
    rpms = build(tmp_path / "built", tmp_path / "gpg", "right", [BASE, ("hello", "1.0", "")])
    top = tmp_path / "tree"
    publish(top, rpms, tmp_path / "gpg", "right")
    (top / "images/pxeboot").mkdir(parents=True)
    sums = []
    for image in ("vmlinuz", "initrd.img"):
        (top / "images/pxeboot" / image).write_bytes(image.encode() * 1000)
        sums.append(f"images/pxeboot/{image} = sha256:{hashlib.sha256(image.encode() * 1000).hexdigest()}")
    names = "kernel = images/pxeboot/vmlinuz\ninitrd = images/pxeboot/initrd.img"
    (top / ".treeinfo").write_text(
        "[general]\nfamily = Lab\nversion = 9\narch = x86_64\n[images-x86_64]\n"
        f"{names}\n[checksums]\n" + "\n".join(sums) + "\n"
    )
    image = tmp_path / "lab.iso"
    make = ["xorriso", "-as", "mkisofs", "-quiet", "-R", "-J", "-o", str(image), str(top)]
    subprocess.run(make, check=True, capture_output=True)
    env = {"BOOTFORGE_MEDIA": str(scene.media)}
    added = verb("media", "add", str(image), "--name", "lab-iso", **env)
    assert (added.status, added.out) == (0, "lab-iso\n"), added
    # And once more over HTTP, from the server that gives it out already.
    again = verb("media", "add", f"{scene.server.http}/media/lab-iso", "--name", "lab-url", **env)
    assert (again.status, again.out) == (0, "lab-url\n"), again
    assert verb("media", "verify", "lab-iso", "lab-url", **env).status == 0
    (tmp_path / "key.asc").write_text(key)
    for tree in ("lab-iso", "lab-url"):
        root = tmp_path / tree
        url = f"{scene.server.http}/media/{tree}"
        repo = f"[lab]\nname=lab\nbaseurl={url}\ngpgcheck=1\nrepo_gpgcheck=1\ngpgkey=file://{tmp_path}/key.asc\n"
        (root / "etc/yum.repos.d").mkdir(parents=True)
        (root / "etc/yum.repos.d/lab.repo").write_text(repo)
        command = ["dnf", "-y", f"--installroot={root}", "--releasever=9", f"--setopt=reposdir={root}/etc/yum.repos.d"]
        done = subprocess.run(
            [*command, f"--setopt=cachedir={root}/cache", "install", "hello"],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert (root / "usr/share/lab-hello").read_text() == "1.0\n"
    asked = scene.server.log.read_text()
    assert re.search(r"GET /media/lab-iso/hello-1.0-1.noarch.rpm 200", asked)


# Crowds


class Reader:
    """A client that takes an answer as slowly as it is told to."""

    def __init__(self, server: Running, path: str = "/media/t/images/initrd.img", source: str = "127.0.0.1") -> None:
        port = int(server.http.rpartition(":")[2])
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 32_768)
        self.socket.bind((source, 0))
        self.socket.settimeout(20)
        self.socket.connect(("127.0.0.1", port))
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        self.received = b""

    def take(self, most: int) -> int:
        data = self.socket.recv(most)
        self.received += data
        return len(data)

    def rest(self) -> bytes:
        while self.take(1 << 20):
            pass
        self.socket.close()
        return self.received.partition(b"\r\n\r\n")[2]


def test_500_slow_readers_keep_no_kickstart_waiting(scene: Scene) -> None:
    """Each of them reads at its own pace and far below what it could; not one holds a thread."""
    path = f"/m/{mac(2)}/boot.ipxe"
    readers = [Reader(scene.server) for _ in range(500)]
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            for reader in readers:
                with suppress(BlockingIOError):
                    reader.take(13_107)
            stop.wait(0.1)

    for reader in readers:
        assert reader.take(100)
        reader.socket.setblocking(False)
    thread = threading.Thread(target=read)
    thread.start()
    try:
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: scene.server.get(path).status, range(200)))
        assert answers == [200] * 200
        assert scene.ask("bootforge", PATH).body == CONTENT
    finally:
        stop.set()
        thread.join()
    for reader in readers[::50]:
        reader.socket.settimeout(20)
        assert reader.rest() == INITRD
    for reader in readers:
        reader.socket.close()


def test_600_half_open_connections_stop_nobody_and_are_closed(tmp_path: Path) -> None:
    media = tmp_path / "media" / "t"
    media.mkdir(parents=True)
    (media / "file").write_bytes(CONTENT)
    site = edge_site(tmp_path / "site", hosts=3)
    patch = "import bootforge.serve.front as front\nassert front.ASKING <= 10\nfront.ASKING = 4.0"
    with running(site, tmp_path / "state", "--media", str(tmp_path / "media"), patch=patch) as server:
        path = f"/m/{mac(2)}/boot.ipxe"
        port = int(server.http.rpartition(":")[2])
        halves = []
        for sent in (b"", b"G", b"GET /media/t/file HTTP/1.1\r\nHost: x\r\n", b"GET /boot.ipxe HTTP/1.1\r\nHost:"):
            for _ in range(150):
                connection = socket.create_connection(("127.0.0.1", port), 20)
                connection.sendall(sent)
                halves.append(connection)
        for _ in range(20):
            assert server.get(path).status == 200
            assert server.get("/media/t/file").body == CONTENT
        front = Path(f"/proc/{front_pid(server)}/fd")
        assert len(list(front.iterdir())) > 600
        assert until(lambda: len(list(front.iterdir())) < 30, 20)
        for connection in halves:
            connection.settimeout(5)
            with suppress(ConnectionResetError):
                assert connection.recv(100) == b""
            connection.close()


def test_more_connections_than_descriptors(tmp_path: Path) -> None:
    """Whoever has been asking for longest goes; whoever has a transfer keeps it."""
    media = tmp_path / "media" / "t"
    (media / "images").mkdir(parents=True)
    (media / "images" / "initrd.img").write_bytes(INITRD)
    limit = "import resource\nresource.setrlimit(resource.RLIMIT_NOFILE, (400, 400))"
    with running(
        edge_site(tmp_path / "site", hosts=1), tmp_path / "state", "--media", str(tmp_path / "media"), patch=limit
    ) as server:
        port = int(server.http.rpartition(":")[2])
        reader = Reader(server)
        reader.take(1000)
        idle = [socket.create_connection(("127.0.0.1", port), 20) for _ in range(500)]
        assert server.get("/boot.ipxe").status == 200
        assert reader.rest() == INITRD
        for connection in idle:
            connection.close()
        assert "too many connections" in server.log.read_text() and "Traceback" not in server.log.read_text()


def test_transfers_that_cannot_be_are_put_off(tmp_path: Path) -> None:
    media = tmp_path / "media" / "t"
    (media / "images").mkdir(parents=True)
    (media / "images" / "initrd.img").write_bytes(INITRD)
    limit = "import bootforge.serve.front as front\nfront._most_descriptors = lambda: 0  # 64 connections, 48 transfers"
    with running(
        edge_site(tmp_path / "site", hosts=1), tmp_path / "state", "--media", str(tmp_path / "media"), patch=limit
    ) as server:
        readers = [Reader(server) for _ in range(48)]
        assert all(reader.take(100) for reader in readers)
        answer = server.get("/media/t/images/initrd.img")
        assert (answer.status, answer.headers["retry-after"]) == (503, "5")
        assert server.get("/boot.ipxe").status == 200
        assert readers[0].rest() == INITRD
        assert until(lambda: server.get("/media/t/images/initrd.img").status == 200)
        for reader in readers:
            reader.socket.close()


# Deaths, and the end


def test_the_front_and_the_worker_are_back_under_load(scene: Scene) -> None:
    server = scene.server
    path = f"/m/{mac(3)}/boot.ipxe"
    stop, fetched, asked, wrong = threading.Event(), [0], [0], []

    def fetch() -> None:
        while not stop.is_set():
            with suppress(OSError, http.client.HTTPException):  # what dies, dies; clients ask again
                answer = server.get("/media/t/images/initrd.img")
                if answer.status != 200 or answer.body != INITRD:
                    wrong.append(answer.status)
                fetched[0] += 1

    def ask() -> None:
        while not stop.is_set():
            with suppress(OSError, http.client.HTTPException):
                if server.get(path).status != 200:
                    wrong.append(0)
                asked[0] += 1

    threads = [threading.Thread(target=one) for one in (fetch, fetch, fetch, ask, ask)]
    for thread in threads:
        thread.start()
    try:
        deaths: tuple[Callable[[], int], ...] = (
            lambda: front_pid(server),
            lambda: http_pids(server)[1],
            lambda: http_pids(server)[0],
            lambda: front_pid(server),
        )
        for find in deaths:
            before = (fetched[0], asked[0])
            assert until(lambda before=before: fetched[0] > before[0] and asked[0] > before[1], 20)
            pid = find()
            kill(pid)
            assert until(lambda pid=pid: not alive(pid), SOON)
            before = (fetched[0], asked[0])
            assert until(lambda before=before: fetched[0] > before[0] and asked[0] > before[1], SOON), find
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert not wrong
    assert "Traceback" not in server.log.read_text()


def test_requests_that_wait_for_a_worker_get_their_answer(scene: Scene) -> None:
    """What is handed over while there is no worker is answered by the next one: no connection is lost."""
    server = scene.server
    arbiter, worker = http_pids(server)
    kill(worker)
    with ThreadPoolExecutor(50) as pool:
        answers = list(pool.map(lambda _: server.get("/boot.ipxe").status, range(100)))
    assert answers == [200] * 100
    assert http_pids(server)[0] == arbiter


def test_sigterm_lets_downloads_finish(tmp_path: Path) -> None:
    media = tmp_path / "media" / "t"
    (media / "images").mkdir(parents=True)
    (media / "images" / "initrd.img").write_bytes(INITRD)
    with ExitStack() as stack:
        server = stack.enter_context(
            running(edge_site(tmp_path / "site", hosts=2), tmp_path / "state", "--media", str(tmp_path / "media"))
        )
        readers = [Reader(server) for _ in range(8)]
        for reader in readers:
            reader.take(1000)
        idle = socket.create_connection(("127.0.0.1", int(server.http.rpartition(":")[2])), 20)
        asks = socket.create_connection(("127.0.0.1", int(server.http.rpartition(":")[2])), 20)
        asks.sendall(b"GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n")
        server.process.terminate()
        asks.settimeout(20)
        assert asks.recv(65536).startswith(b"HTTP/1.1 200 "), "what was asked before is answered"
        assert idle.recv(100) == b"", "who asks for nothing is let go"
        time.sleep(0.5)
        assert server.process.poll() is None, "it waits"
        with pytest.raises(OSError):
            late = socket.create_connection(("127.0.0.1", int(server.http.rpartition(":")[2])), 1)
            late.settimeout(1)
            late.sendall(b"GET /boot.ipxe HTTP/1.1\r\nHost: x\r\n\r\n")
            if not late.recv(100):
                raise ConnectionResetError
        for reader in readers:
            assert reader.rest() == INITRD
        assert server.process.wait(20) == 0
        log = server.log.read_text()
        assert "Traceback" not in log and "ERROR" not in log


def test_a_file_that_becomes_shorter_ends_its_transfer(scene: Scene) -> None:
    file = scene.media / "t" / "shrinks"
    file.write_bytes(INITRD)
    reader = Reader(scene.server, "/media/t/shrinks")
    reader.take(1000)
    os.truncate(file, 1000)
    with suppress(ConnectionResetError):
        assert len(reader.rest()) < len(INITRD)
    assert scene.ask("bootforge", PATH).status == 200


# The probe


def test_repo_probe(scene: Scene, tmp_path: Path) -> None:
    for who, url in (("us", f"{scene.server.http}{PATH}"), ("nginx", f"{scene.nginx.url}{PATH}")):
        done = verb("repo", "probe", url)
        assert done.status == 0, (who, done)
        assert "FAIL" not in done.out and "16 of 16 answers are right" in done.err
