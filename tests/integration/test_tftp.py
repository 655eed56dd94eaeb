"""The TFTP server against foreign clients, a lossy link, a hostile sender, and a client that counts packets."""

from __future__ import annotations

import itertools
import json
import os
import random
import resource
import signal
import socket
import statistics
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType

import pytest
from tftpy import TftpClient

from bootforge.serve import tftp, tftp_files, tftp_line, tftp_transfer, tftp_wire
from tests.integration.tftp_fuzz import LossyLink, hostile
from tests.support import ROOT, need

SIZES = (0, 1, 511, 512, 513, 3 * 1468, (1 << 20) + 17)

# The server as the keeper starts it: a process of its own. The allow-list is what lies in a directory.
SERVER = """
import json, logging, os, sys
from pathlib import Path
from bootforge.serve import tftp, tftp_files, tftp_transfer, tftp_wire

root, address, settings = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
single_port = settings.pop("single_port", False)
for name, value in settings.items():
    (module,) = (one for one in (tftp, tftp_files, tftp_transfer) if hasattr(one, name))
    setattr(module, name, value)
logging.basicConfig(level=logging.INFO, format="%(message)s")

def lookup(name):
    if name == "broken-lookup":
        raise RuntimeError("no such store")
    if name == "made":
        return b"made\\nwhen it is asked for\\n"
    return root / name if name in os.listdir(root) else None

sock = tftp_wire.bind(address, 0, single_port=single_port)
print(sock.getsockname()[1], flush=True)
tftp.run(sock, lookup, single_port=single_port)
"""


def until(condition: Callable[[], bool], seconds: float = 5) -> bool:
    """Wait for ``condition``, and say whether it came."""
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


class Server:
    """A TFTP server process on a directory; ``settings`` are constants of the module to change in it."""

    numbers = itertools.count()

    def __init__(self, root: Path, address: str = "0.0.0.0", **settings: float) -> None:
        self.single_port = bool(settings.get("single_port"))
        self.stderr = root.parent / f"{next(self.numbers)}.log"
        with self.stderr.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", SERVER, str(root), address, json.dumps(settings)],
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout
        self.port = int(self.process.stdout.readline())
        with Client(self.port, "::1" if ":" in address else "127.0.0.1") as client:
            client.ask("is anybody there?")  # the socket hears before the process is ready for signals
            client.error()
        time.sleep(0.02)  # and the socket of that answer is closed

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.kill()
        self.process.wait()
        assert self.process.stdout
        self.process.stdout.close()
        assert "Traceback" not in self.log()

    def log(self) -> str:
        return self.stderr.read_text()

    def descriptors(self) -> int:
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def resident_kib(self) -> int:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])


@contextmanager
def in_a_thread(
    lookup: tftp.Lookup, drain: float = 5, single_port: bool = False
) -> Iterator[tuple[socket.socket, list[str], Callable[[], None]]]:
    """A server inside this process: its socket, its log lines, and a function that stops it."""
    lines: list[str] = []
    with tftp_wire.bind("127.0.0.1", 0) as sock:
        server = tftp.TftpServer(
            sock, lookup, lambda line, **_: lines.append(line), drain=drain, single_port=single_port
        )
        thread = threading.Thread(target=server.serve)
        thread.start()

        def finish() -> None:
            server.stop()
            thread.join()

        try:
            yield sock, lines, finish
        finally:
            if thread.is_alive():
                finish()


class Client:
    """A TFTP client that does what the test says, packet by packet."""

    def __init__(self, port: int, host: str = "127.0.0.1", source: str = "") -> None:
        self.server = (host, port)
        self.sock = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.sock.bind((source, 0))
        self.tid: tuple[str, int] | None = None

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def ask(self, name: str, *options: object, mode: str = "octet", opcode: int = 1) -> None:
        fields = (name, mode, *map(str, options))
        self.raw(bytes([0, opcode]) + b"".join(field.encode() + b"\0" for field in fields))

    def raw(self, datagram: bytes) -> None:
        self.tid = None
        self.sock.sendto(datagram, self.server)

    def send(self, packet: bytes) -> None:
        assert self.tid
        self.sock.sendto(packet, self.tid)

    def ack(self, block: int) -> None:
        self.send(b"\0\4" + struct.pack("!H", block & 0xFFFF))

    def recv(self, timeout: float = 3.0) -> bytes:
        """The next packet of this conversation; b'' after ``timeout`` seconds without one."""
        self.sock.settimeout(timeout)
        try:
            while True:
                packet, sender = self.sock.recvfrom(65535)
                if self.tid is None:
                    self.tid = sender[:2]
                if sender[:2] == self.tid:
                    return packet
        except TimeoutError:
            return b""

    def block(self, timeout: float = 3.0) -> int:
        """The number of the DATA block that comes next, 0 when none comes."""
        packet = self.recv(timeout)
        assert packet[:2] in (b"\0\3", b""), packet
        return int.from_bytes(packet[2:4], "big")

    def error(self) -> tuple[int, str]:
        packet = self.recv()
        assert packet[:2] == b"\0\5" and packet.endswith(b"\0"), packet
        return packet[3], packet[4:-1].decode("ascii")

    def oack(self) -> dict[str, str]:
        packet = self.recv()
        assert packet[:2] == b"\0\6" and packet.endswith(b"\0"), packet
        fields = packet[2:-1].decode().split("\0")
        return dict(zip(fields[::2], fields[1::2], strict=True))

    def fetch(self, name: str, *options: object, mode: str = "octet", patience: float = 1.0) -> bytes:
        """The whole file, as a good client gets it: gaps and timeouts acknowledge the last block in order."""
        self.ask(name, *options, mode=mode)
        parts: list[bytes] = []
        size, window, since_ack, silent = 512, 1, 0, 0
        while True:
            packet = self.recv(patience)
            number = int.from_bytes(packet[2:4], "big")
            if not packet:
                silent += 1
                assert silent < 20, f"the server is silent after block {len(parts)}"
                if self.tid is None:
                    self.ask(name, *options, mode=mode)
                else:
                    self.ack(len(parts))
            elif packet[:2] == b"\0\6":
                fields = packet[2:-1].decode().lower().split("\0")
                granted = dict(zip(fields[::2], fields[1::2], strict=True))
                size, window = int(granted.get("blksize", 512)), int(granted.get("windowsize", 1))
                self.ack(0)
            elif packet[:2] == b"\0\5":
                raise AssertionError(packet)
            elif number == len(parts) + 1 & 0xFFFF:
                parts.append(packet[4:])
                since_ack += 1
                silent = 0
                if since_ack == window or len(packet) < size + 4:
                    self.ack(len(parts))
                    since_ack = 0
                if len(packet) < size + 4:
                    return b"".join(parts)
            else:
                self.ack(len(parts))
                since_ack = 0


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("tftp")
    rng = random.Random(7)
    for size in SIZES:
        (root / f"file{size}").write_bytes(rng.randbytes(size))
    (root / "small").write_bytes(rng.randbytes(3000))
    (root / "text").write_bytes(b"one\ntwo\r\nthree\rfour\n")
    (root / "66560").write_bytes(rng.randbytes(66560))
    (root / "rollover").write_bytes(rng.randbytes(8 * 65540 + 3))
    (root / "link").symlink_to("/etc/passwd")
    (root / "directory").mkdir()
    os.mkfifo(root / "fifo")
    return root


@pytest.fixture(scope="module", params=["own-ports", "single-port"])
def server(root: Path, request: pytest.FixtureRequest) -> Iterator[Server]:
    with Server(root, LINES_REFUSED=100_000, single_port=request.param == "single-port") as server:
        yield server


@pytest.fixture
def client(server: Server) -> Iterator[Client]:
    with Client(server.port) as client:
        yield client


# Foreign clients


def atftp(*options: str) -> Callable[[int, str, Path], None]:
    arguments = [argument for option in options for argument in ("--option", option)]

    def get(port: int, name: str, to: Path) -> None:
        need("atftp")
        command = ["atftp", *arguments, "--get", "-r", name, "-l", str(to), "127.0.0.1", str(port)]
        subprocess.run(command, check=True, timeout=120)

    return get


def tftp_hpa(mode: str) -> Callable[[int, str, Path], None]:
    def get(port: int, name: str, to: Path) -> None:
        need("tftp")
        command = ["tftp", "-m", mode, "127.0.0.1", str(port), "-c", "get", name, str(to)]
        subprocess.run(command, check=True, timeout=20)

    return get


def curl(*options: str) -> Callable[[int, str, Path], None]:
    def get(port: int, name: str, to: Path) -> None:
        need("curl")
        command = ["curl", "-sS", *options, "-o", str(to), f"tftp://127.0.0.1:{port}/{name}"]
        subprocess.run(command, check=True, timeout=120)
        to.touch()  # curl writes no file for no bytes

    return get


def busybox(*options: str) -> Callable[[int, str, Path], None]:
    def get(port: int, name: str, to: Path) -> None:
        need("busybox")
        command = ["busybox", "tftp", "-g", *options, "-l", str(to), "-r", name, "127.0.0.1", str(port)]
        subprocess.run(command, check=True, timeout=20, stderr=subprocess.DEVNULL)

    return get


def tftpy(**options: int) -> Callable[[int, str, Path], None]:
    def get(port: int, name: str, to: Path) -> None:
        TftpClient("127.0.0.1", port, options=options).download(name, str(to))

    return get


FOREIGN = {
    "atftp": atftp(),
    "atftp-blksize": atftp("blksize 1428", "tsize 0", "timeout 3"),
    "atftp-window": atftp("blksize 1428", "windowsize 8"),
    "tftp-hpa": tftp_hpa("octet"),
    "tftp-hpa-netascii": tftp_hpa("netascii"),
    "curl": curl(),
    "curl-blksize": curl("--tftp-blksize", "1468"),
    "curl-no-options": curl("--tftp-no-options"),
    "busybox": busybox(),
    "busybox-blksize": busybox("-b", "65464"),
    "tftpy": tftpy(),
    "tftpy-blksize": tftpy(blksize=1468, tsize=0),
}


@pytest.mark.parametrize(
    ("who", "size"),
    [(who, size) for who in FOREIGN for size in SIZES if "netascii" not in who or size <= tftp_files.NETASCII_BYTES],
)
def test_foreign_clients_get_the_same_bytes(server: Server, root: Path, tmp_path: Path, who: str, size: int) -> None:
    FOREIGN[who](server.port, f"file{size}", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == (root / f"file{size}").read_bytes()


def test_block_numbers_roll_over(client: Client, root: Path) -> None:
    assert client.fetch("rollover", "blksize", 8, "windowsize", 64) == (root / "rollover").read_bytes()


def test_block_numbers_roll_over_in_lock_step_with_curl(server: Server, root: Path, tmp_path: Path) -> None:
    curl("--tftp-blksize", "8")(server.port, "rollover", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == (root / "rollover").read_bytes()


@pytest.mark.parametrize("get", [atftp("blksize 1468", "windowsize 16"), curl("--tftp-blksize", "1468")])
def test_100_mb(server: Server, root: Path, tmp_path: Path, get: Callable[[int, str, Path], None]) -> None:
    content = random.Random(5).randbytes(100_000_000)
    (root / "initrd").write_bytes(content)
    get(server.port, "initrd", tmp_path / "got")
    assert (tmp_path / "got").read_bytes() == content
    (root / "initrd").unlink()


def test_2000_transfers_at_once(root: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    with ExitStack() as stack:
        server = stack.enter_context(Server(root))
        idle = server.descriptors()
        clients = []
        for number in range(2000):
            client = stack.enter_context(Client(server.port, source=f"127.0.1.{number % 40 + 1}"))
            clients.append(client)
            client.ask("66560", "blksize", 1468, "windowsize", 16, "timeout", 60)
            assert client.oack()
            client.ack(0)
        assert server.descriptors() == idle + 2001
        for last in (16, 32, 46):
            for client in clients:
                assert [client.block() for _ in range((last - 1) % 16 + 1)][-1] == last
                client.ack(last)
        assert until(lambda: server.log().count("sent 66560 bytes") == 2000)
        assert server.descriptors() == idle
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_many_clients_at_once(server: Server, root: Path) -> None:
    def get(_: int) -> bytes:
        with Client(server.port) as client:
            return client.fetch("66560", "blksize", 1468, "windowsize", 4)

    with ThreadPoolExecutor(60) as pool:
        assert set(pool.map(get, range(120))) == {(root / "66560").read_bytes()}


# Options (RFC 2347, 2348, 2349, 7440)


def test_oack_grants_what_was_asked_in_the_clients_spelling(client: Client) -> None:
    client.ask("small", "TSize", 0, "bLkSiZe", 1000, "mstfwindow", 31416, "windowsize", 2, "timeout", 9)
    assert client.recv() == b"\0\6TSize\0003000\0bLkSiZe\0001000\0windowsize\0002\0timeout\0009\0"
    client.ack(0)
    assert [len(client.recv()), len(client.recv())] == [1004, 1004]


def test_no_option_no_oack(client: Client) -> None:
    client.ask("small", "multicast", "", mode="OcTeT")
    assert client.recv()[:4] == b"\0\3\0\1"


@pytest.mark.parametrize(
    ("option", "asked", "granted"),
    [
        *(("blksize", bad, None) for bad in ("abc", "", "0", "7", "-1", "+512", " 512", "5_12", "1e3", "٣٢")),
        *(("blksize", size, size) for size in ("8", "65464")),
        *(("blksize", large, "65464") for large in ("65465", "65536", "9" * 300)),
        *(("timeout", bad, None) for bad in ("0", "256", "x")),
        *(("timeout", good, good) for good in ("1", "255")),
        *(("windowsize", bad, None) for bad in ("0", "-4", "x")),
        *(("windowsize", size, got) for size, got in (("1", "1"), ("64", "64"), ("65", "64"), ("65535", "64"))),
        ("tsize", "x", None),
        ("tsize", "0", "3000"),
    ],
)
def test_option_values(client: Client, option: str, asked: str, granted: str | None) -> None:
    client.ask("small", option, asked)
    if granted is None:
        assert client.recv()[:4] == b"\0\3\0\1"
    else:
        assert client.oack() == {option: granted}


def test_the_first_of_two_equal_options_counts(client: Client) -> None:
    client.ask("small", "blksize", 600, "BLKSIZE", 700)
    assert client.oack() == {"blksize": "600"}


def test_a_cut_off_option_is_not_there(client: Client) -> None:
    client.raw(b"\0\1small\0octet\0blksize\0001000\0windowsize\00016")
    assert client.oack() == {"blksize": "1000"}


def test_tsize_of_an_empty_file_is_left_out(client: Client) -> None:
    client.ask("file0", "tsize", 0)
    assert client.recv() == b"\0\3\0\1"


def test_declining_the_oack_is_no_failure_and_the_port_can_ask_again_at_once(server: Server, client: Client) -> None:
    for _ in range(20):
        client.ask("small", "tsize", 0, "blksize", 1468, "windowsize", 4)
        assert client.oack() == {"tsize": "3000", "blksize": "1468", "windowsize": "4"}
        client.send(b"\0\5\0\x08User aborted the transfer\0")
    assert len(client.fetch("small", "blksize", 1468, "windowsize", 4)) == 3000
    port = client.sock.getsockname()[1]
    assert until(lambda: server.log().count(f"port {port}:") == 21)
    lines = [line for line in server.log().splitlines() if f"port {port}:" in line]
    assert lines[0] == f"tftp 127.0.0.1 port {port}: 'small': told its size, ERROR 8 'User aborted the transfer'"
    assert not [line for line in lines if "fail" in line]


# Modes and refusals (RFC 1350)


def test_netascii_is_translated(client: Client) -> None:
    client.ask("text", "tsize", 0, mode="NetASCII")
    wire = b"one\r\ntwo\r\0\r\nthree\r\0four\r\n"
    assert client.oack() == {"tsize": str(len(wire))}
    client.ack(0)
    assert client.recv()[4:] == wire


def test_a_text_that_is_in_no_file(server: Server, client: Client) -> None:
    before = server.descriptors()
    for _ in range(20):
        assert client.fetch("made", "blksize", 512, "tsize", 0) == b"made\nwhen it is asked for\n"
    assert client.fetch("made", mode="netascii") == b"made\r\nwhen it is asked for\r\n"
    assert until(lambda: server.descriptors() <= before)


def test_netascii_is_for_text(client: Client) -> None:
    client.ask(f"file{SIZES[-1]}", mode="netascii")
    assert client.error() == (0, "too large for netascii, ask for octet")


@pytest.mark.parametrize("mode", ["mail", "binary", ""])
def test_other_modes_are_refused(client: Client, mode: str) -> None:
    client.ask("small", mode=mode)
    assert client.error() == (4, "unknown mode, ask for octet")


@pytest.mark.parametrize("name", ["small", "new", "../new"])
def test_writes_are_refused(client: Client, root: Path, name: str) -> None:
    before = {path: path.lstat().st_mtime_ns for path in root.iterdir()}
    client.ask(name, "tsize", 100, opcode=2)
    assert client.error() == (4, "this server is read-only")
    assert {path: path.lstat().st_mtime_ns for path in root.iterdir()} == before


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("missing", 1),
        ("", 1),
        ("..", 1),
        ("../../etc/passwd", 1),
        ("..%2fsmall", 1),
        ("small%00", 1),
        ("directory/../small", 1),
        ("/etc/passwd", 1),
        ("größe", 1),
        ("x" * 1400, 1),
        ("link", 2),
        ("directory", 2),
        ("fifo", 2),
        ("broken-lookup", 0),
    ],
)
def test_names_that_are_not_served(server: Server, client: Client, name: str, code: int) -> None:
    client.ask(name)
    assert client.error()[0] == code
    assert until(lambda: f"port {client.sock.getsockname()[1]}: {ascii(name[:200])}: refused: " in server.log())


def test_what_is_no_request_gets_no_answer(client: Client) -> None:
    for datagram in (b"", b"\0", b"\0\3\0\1data", b"\0\4\0\1", b"\0\5\0\0\0", b"\0\6", b"\0\7", b"RRQ"):
        client.raw(datagram)
    client.server = ("127.255.255.255", client.server[1])
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    client.ask("small")
    assert client.recv(0.3) == b""


# The transfer: windows, acknowledgements, the timer


@pytest.mark.parametrize("window", [1, 16])
def test_doubled_acks_cause_no_extra_data(client: Client, window: int) -> None:
    client.ask("66560", "blksize", 1468, "windowsize", window)
    client.oack()
    received: list[int] = []
    while len(received) < 46:
        for _ in range(2):
            client.ack(len(received))
        received += [client.block() for _ in range(min(window, 46 - len(received)))]
        assert client.block(0.02) == 0
    assert received == list(range(1, 47))


def test_acks_of_old_and_unsent_blocks_send_nothing(client: Client) -> None:
    client.ask("66560", "windowsize", 4, "timeout", 9)
    client.oack()
    client.ack(0)
    assert [client.block() for _ in range(4)] == [1, 2, 3, 4]
    client.ack(4)
    assert [client.block() for _ in range(4)] == [5, 6, 7, 8]
    for number in (0, 1, 3, 4, 9, 100, 65535):
        client.ack(number)
    client.send(b"\0\4\0")
    client.send(b"\0\3\0\5data")
    client.send(b"")
    assert client.block(0.3) == 0
    client.ack(8)
    assert client.block() == 9


def test_an_ack_inside_the_window_continues_after_it(client: Client) -> None:
    client.ask("66560", "windowsize", 8, "timeout", 9)  # so that nothing is resent on a busy machine
    client.oack()
    client.ack(0)
    assert [client.block() for _ in range(8)] == list(range(1, 9))
    assert client.block(0.1) == 0
    client.ack(3)
    assert [client.block() for _ in range(8)] == list(range(4, 12))
    assert client.block(0.1) == 0


def test_the_timer_resends_after_the_seconds_that_were_asked_and_doubles(client: Client) -> None:
    client.ask("66560", "timeout", 1, "windowsize", 2)
    client.oack()
    client.ack(0)
    start = time.monotonic()
    seen = []
    for _ in range(3):
        seen.append((client.block(), round(time.monotonic() - start)))
        assert client.block() == 2
    assert seen == [(1, 0), (1, 1), (1, 3)]


def test_after_five_resends_the_client_is_given_up(root: Path) -> None:
    with Server(root, RESEND_AFTER=0.1, LONGEST_WAIT=0.2, GIVE_UP=0.5) as server, Client(server.port) as client:
        before = server.descriptors()
        client.ask("small")
        assert [client.block() for _ in range(6)] == [1] * 6
        assert client.error() == (0, "no answer after block 0")
        assert until(lambda: server.descriptors() == before)


def test_a_lost_packet_after_a_long_silence_is_resent_soon(root: Path) -> None:
    """The back-off ends with the next ACK: the timer must not sleep on from the last, longer, wait."""
    with Server(root, RESEND_AFTER=0.2) as server, Client(server.port) as client:
        client.ask("66560")
        assert [client.block() for _ in range(4)] == [1] * 4  # after 0.2, 0.6 and 1.4 s; the next is 1.6 s away
        client.ack(1)
        start = time.monotonic()
        assert [client.block(), client.block()] == [2, 2]
        assert time.monotonic() - start < 0.8


@pytest.mark.parametrize("single_port", [False, True])
@pytest.mark.parametrize("window", [1, 16])
def test_two_percent_loss_both_ways(root: Path, window: int, single_port: bool) -> None:
    def get(port: int) -> tuple[bytes, float]:
        start = time.monotonic()
        with Client(port) as client:
            return client.fetch("66560", "blksize", 1468, "windowsize", window, patience=0.3), time.monotonic() - start

    readers = 100
    with Server(root, single_port=single_port) as server, LossyLink(server.port, 0.02, seed=window) as link:
        with ThreadPoolExecutor(20) as pool:
            results = list(pool.map(get, [link.port] * readers))
        assert {content for content, _ in results} == {(root / "66560").read_bytes()}
        assert link.lost > readers // 2
    times = statistics.quantiles([seconds for _, seconds in results], n=20)
    print(f"window {window}: {link.lost} lost, p50 {times[9]:.2f} s, p95 {times[18]:.2f} s")


# Addresses and sessions


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.2"])
def test_replies_come_from_the_address_that_was_asked(server: Server, client: Client, address: str) -> None:
    client.server = (address, server.port)
    for name, options in (("small", ()), ("small", ("tsize", 0)), ("missing", ())):
        client.ask(name, *options)
        assert client.recv()
        assert client.tid and client.tid[0] == address and (client.tid[1] == server.port) == server.single_port


@pytest.mark.parametrize("single_port", [False, True])
def test_both_families_on_one_socket(root: Path, single_port: bool) -> None:
    with Server(root, "::", single_port=single_port) as server:
        for address in ("::1", "127.0.0.1", "127.0.0.2"):
            with Client(server.port, address) as client:
                assert client.fetch("66560", "blksize", 1468, "windowsize", 8) == (root / "66560").read_bytes()
                assert client.tid and client.tid[0] == address
                client.ask("missing")
                assert client.error()[0] == 1
        assert until(lambda: server.log().count("sent 66560 bytes") == 3)
        assert "tftp 127.0.0.1 port" in server.log() and "tftp ::1 port" in server.log()


def test_one_family_when_one_address_is_asked(root: Path) -> None:
    with Server(root, "::1") as server, Client(server.port, "::1") as client:
        assert client.fetch("small") == (root / "small").read_bytes()


def test_bind_has_room_for_a_rack_and_picks_a_port() -> None:
    with tftp_wire.bind("127.0.0.1", 0) as sock:
        assert sock.getsockname()[1]
        limit = int(Path("/proc/sys/net/core/rmem_max").read_text())
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) >= min(1 << 20, limit)
    with pytest.raises(OSError):
        tftp_wire.bind("192.0.2.77", 0)


def test_strangers_cannot_disturb_a_transfer(server: Server, client: Client) -> None:
    client.ask("66560")
    assert client.block() == 1
    with Client(server.port, source="127.0.0.3") as stranger:
        stranger.tid = client.tid
        stranger.ack(1)
        stranger.send(b"\0\5\0\0stop\0")
    assert client.block(0.2) == 0
    client.ack(1)
    assert client.block() == 2


def test_a_repeated_request_is_answered_once(client: Client) -> None:
    for _ in range(5):
        client.ask("66560")
    assert [client.block(), client.block(0.3)] == [1, 0]
    first = client.tid
    client.ack(1)
    assert client.block() == 2
    client.sock.sendto(b"\0\00166560\0octet\0", client.server)  # a copy that the network delivered late
    assert client.block(0.3) == 0
    client.ack(2)
    assert client.block() == 3 and client.tid == first


def test_a_machine_that_starts_over_on_its_port_is_served_anew(root: Path) -> None:
    with Server(root, RESEND_AFTER=0.2) as server, Client(server.port) as client:
        client.ask("66560")
        assert client.block() == 1
        client.ask("file513")  # another request: at once
        assert client.recv()[4:] == (root / "file513").read_bytes()[:512]
        client.ack(1)
        assert client.block() == 2
        assert client.block() == 2  # and the same one, once the server has noticed the silence
        client.ask("file513")
        while client.block() != 1:
            client.tid = None
        assert until(lambda: server.log().count("the client started over") == 2)
        client.ack(1)
        assert client.block() == 2


def test_a_client_that_left_frees_its_transfer_at_once(server: Server) -> None:
    before = server.descriptors()
    for _ in range(30):
        with Client(server.port) as client:
            client.ask("66560", "windowsize", 16)
            client.oack()
            client.ack(0)
    assert until(lambda: server.descriptors() <= before)
    if server.single_port:  # no socket that the kernel could tell that nobody is there
        return
    with Client(server.port) as client:  # it has everything, but its last ACK is never sent
        client.ask("file1")
        assert client.block() == 1
        port = client.sock.getsockname()[1]
    assert until(lambda: f"port {port}: 'file1': sent 1 bytes" in server.log())
    assert "last ACK lost" in server.log()


def test_sessions_are_capped_per_address_and_in_all(root: Path) -> None:
    with Server(root, MAX_SESSIONS=14, HOST_SESSIONS=8, HOST_HALF_OPEN=4) as server:
        clients: list[Client] = []

        def answered(source: str, count: int, go_on: bool) -> int:
            some = [Client(server.port, source=source) for _ in range(count)]
            clients.extend(some)
            for client in some:
                client.ask("66560", "blksize", 8)
                if client.recv(0.1) and go_on:
                    client.ack(0)
                    assert client.block() == 1
            return sum(client.tid is not None for client in some)

        idle = server.descriptors()
        assert answered("127.0.0.11", 10, go_on=False) == 4  # nobody answers: only so many half-open
        assert answered("127.0.0.12", 10, go_on=True) == 8  # going on: more, but not everything
        assert answered("127.0.0.13", 3, go_on=True) == 2  # and then it is full
        assert server.descriptors() == idle + 14 + 1  # one file
        assert "66560': refused: busy: 14 transfers, 2 to this address" in server.log()
        for client in clients:
            if client.tid:
                client.send(b"\0\5\0\0\0")
        assert until(lambda: server.descriptors() == idle)
        assert answered("127.0.0.12", 10, go_on=True) == 8
        for client in clients:
            client.sock.close()


# Files


def half_way(client: Client, name: str) -> bytes:
    """Fetch a little of a file that is longer than what the server reads ahead."""
    client.ask(name)
    first = client.recv()
    client.ack(1)
    return first[4:] + client.recv()[4:]


def rest(client: Client) -> tuple[bytes, bytes]:
    """The rest of that file, and the packet that ended it."""
    got = b""
    for block in range(2, 1000):
        client.ack(block)
        packet = client.recv()
        got += packet[4:]
        if packet[:2] == b"\0\3" and len(packet) < 516:
            client.ack(block + 1)
        if len(packet) < 516:
            return got, packet
    raise AssertionError("endless")


@pytest.mark.parametrize("change", ["truncate", "append", "rewrite"])
def test_a_file_that_changes_is_not_sent_mixed(server: Server, client: Client, root: Path, change: str) -> None:
    path, content = root / "changing", bytes(200_000)
    path.write_bytes(content)
    half_way(client, "changing")
    if change == "truncate":
        os.truncate(path, 100_000)
    elif change == "append":
        with path.open("ab") as file:
            file.write(b"more")
    else:
        with path.open("r+b") as file:
            file.write(b"x" * 200_000)
    got, last = rest(client)
    assert b"x" not in got[:-40]
    assert last == b"\0\5\0\0the file changed while it was sent\0"


@pytest.mark.parametrize("change", ["replace", "unlink"])
def test_a_file_that_is_replaced_is_sent_as_it_was_opened(client: Client, root: Path, change: str) -> None:
    path, content = root / "changing", random.Random(9).randbytes(200_000)
    path.write_bytes(content)
    start = half_way(client, "changing")
    if change == "replace":
        (root / "new").write_bytes(bytes(200_000))
        (root / "new").rename(path)
    else:
        path.unlink()
    assert start + rest(client)[0] == content


def test_the_cache_of_many_readers_is_bounded(root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(300 << 20)
    clients = []
    with Server(root, CACHE_BYTES=1 << 20) as server:
        before = server.resident_kib()
        for number in range(40):  # readers far apart, each of whom holds a chunk
            client = Client(server.port)
            clients.append(client)
            client.ask("large", "blksize", 1468, "windowsize", 64)
            client.oack()
            for block in range(0, 64 * 3 * number + 1, 64):
                client.ack(block)
                for _ in range(64):
                    assert client.recv()
        assert server.resident_kib() - before < 1024 + 40 * 96 + 2048
    for client in clients:
        client.sock.close()


def test_a_large_file_is_not_held_in_memory(root: Path) -> None:
    with (root / "large").open("wb") as file:
        file.truncate(300 << 20)
    clients = []
    with Server(root) as server:
        before = server.resident_kib()
        for size in (512, 1468, 65464) * 5:
            client = Client(server.port)
            client.ask("large", "blksize", size, "windowsize", 64)
            client.oack()
            client.ack(0)
            assert client.recv()
            clients.append(client)
        assert server.resident_kib() - before < 8192
    for client in clients:
        client.sock.close()


def test_a_full_send_buffer_is_waited_for(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Narrow(socket.socket):
        calls = 0

        def send(self, data: bytes, flags: int = 0) -> int:
            Narrow.calls += 1
            if Narrow.calls % 3 == 0:
                raise BlockingIOError
            return super().send(data, flags)

    plain = tftp_wire.udp
    monkeypatch.setattr(tftp_transfer, "RESEND_AFTER", 0.2)
    monkeypatch.setattr(tftp_line, "udp", lambda *where: Narrow(fileno=plain(*where).detach()))
    with in_a_thread(root.joinpath) as (sock, _, _), Client(sock.getsockname()[1]) as client:
        start = time.monotonic()
        assert client.fetch("66560", "windowsize", 16) == (root / "66560").read_bytes()
        assert time.monotonic() - start < 0.9  # the timer had little to do
        client.ask("66560", "windowsize", 4)
        client.oack()
        client.ack(0)
        assert [client.block() for _ in range(6)] == [1, 2, 3, 4, 1, 2]  # and still works


def test_the_kernel_cuts_a_window_into_packets(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Counting(socket.socket):
        sends: list[int] = []

        def send(self, data: bytes, flags: int = 0) -> int:
            Counting.sends.append(len(data))
            return super().send(data, flags)

    plain = tftp_wire.udp
    monkeypatch.setattr(tftp_line, "udp", lambda *where: Counting(fileno=plain(*where).detach()))
    with in_a_thread(root.joinpath) as (sock, _, _), Client(sock.getsockname()[1]) as client:
        assert client.fetch("66560", "blksize", 1468, "windowsize", 16) == (root / "66560").read_bytes()
    assert Counting.sends[1:3] == [16 * 1472, 16 * 1472] and len(Counting.sends) == 4


@pytest.mark.parametrize("single_port", [False, True])
def test_blocks_larger_than_the_mtu_are_fragmented(root: Path, tmp_path: Path, single_port: bool) -> None:
    """No kernel cuts into what it would have to fragment: it refuses, and gets block by block."""
    need("atftp", "unshare", "ip")
    settings = json.dumps({"single_port": single_port, "RESEND_AFTER": 60, "RESEND_LEAST": 60})  # at once, not in time
    script = """
        ip link set lo up mtu 1500
        "$1" -c "$2" "$3" 127.0.0.1 "$4" >port & server=$!
        until [ -s port ]; do sleep 0.1; done
        atftp --option "blksize 4000" --option "windowsize 8" --get -r 66560 -l got 127.0.0.1 "$(cat port)"; status=$?
        kill $server; wait $server; exit $status
    """
    command = ["unshare", "--net", "sh", "-c", script, "sh", sys.executable, SERVER, str(root), settings]
    done = subprocess.run(command, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(ROOT)}, timeout=60)
    if done.returncode == 1 and os.geteuid():
        pytest.skip("no network namespace without root")
    assert done.returncode == 0
    assert (tmp_path / "got").read_bytes() == (root / "66560").read_bytes()


@pytest.mark.parametrize("where", ["open_file", "_on_ack", "on_deadline"])
@pytest.mark.parametrize("single_port", [False, True])
def test_a_fault_of_ours_ends_one_transfer_at_most(
    root: Path, monkeypatch: pytest.MonkeyPatch, where: str, single_port: bool
) -> None:
    owner = tftp if where == "open_file" else tftp_transfer.Transfer
    right = getattr(owner, where)

    def wrong(*arguments: object) -> object:
        if arguments[0] == root / "small" or getattr(arguments[0], "_last", 0) == 3000 // 512 + 1:
            raise RuntimeError("a fault")
        return right(*arguments)

    monkeypatch.setattr(owner, where, wrong)
    monkeypatch.setattr(tftp_transfer, "RESEND_AFTER", 0.05)
    with in_a_thread(root.joinpath, single_port=single_port) as (sock, _, _), Client(sock.getsockname()[1]) as client:
        for _ in range(2):
            client.ask("small")
            client.recv(0.2)
            if client.tid:
                client.ack(1)
            client.recv(0.2)
        for _ in range(2):
            with Client(sock.getsockname()[1]) as other:
                assert other.fetch("66560") == (root / "66560").read_bytes()


# The process


@pytest.mark.parametrize("single_port", [False, True])
def test_hostile_datagrams(root: Path, single_port: bool) -> None:
    count, before_root = 10_000, sorted(path.name for path in root.iterdir())
    settings = {"RESEND_AFTER": 0.05, "LONGEST_WAIT": 0.1, "GIVE_UP": 0.3, "LOG_PERIOD": 2, "single_port": single_port}
    with Server(root, **settings) as server:
        with Client(server.port) as client:
            client.fetch("66560")
        descriptors, resident = server.descriptors(), server.resident_kib()
        answers = 0
        for seed in range(count // 50):
            with Client(server.port) as enemy, Client(server.port) as friend:
                datagrams = list(hostile(seed, 50))
                for datagram in datagrams:
                    enemy.raw(datagram)
                friend.ask("missing")  # when this is answered, so is everything before it
                friend.error()
                while enemy.recv(0.001):  # the same again to the transfers that this opened
                    answers += 1
                    enemy.send(datagrams[answers % 50])
                    enemy.tid = None
        with Client(server.port) as client:
            assert client.fetch("66560", "blksize", 1468) == (root / "66560").read_bytes()
        assert answers > 1000
        assert until(lambda: server.descriptors() <= descriptors)
        assert server.resident_kib() - resident < 4096
        assert server.process.poll() is None
        assert until(lambda: "more lines about refused requests suppressed" in server.log())
        lines = server.log().splitlines()
        assert len(lines) < 500 and max(map(len, lines)) < 1000
        assert all(line.startswith("tftp") and line.isprintable() for line in lines)
    assert sorted(path.name for path in root.iterdir()) == before_root


@pytest.mark.parametrize("single_port", [False, True])
def test_sigterm_finishes_the_transfer_and_exits(root: Path, single_port: bool) -> None:
    with Server(root, single_port=single_port) as server, Client(server.port) as client, Client(server.port) as late:
        start = half_way(client, "66560")
        server.process.send_signal(signal.SIGTERM)
        assert not until(lambda: server.process.poll() is not None, 0.3)
        late.ask("small")
        assert late.recv(0.2) == b""
        assert start + rest(client)[0] == (root / "66560").read_bytes()
        assert server.process.wait(5) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_exits_at_once(root: Path, number: int) -> None:
    with Server(root) as server:
        server.process.send_signal(number)
        assert server.process.wait(2) == 0


def test_the_drain_ends_and_the_socket_stays_the_callers(root: Path) -> None:
    with (
        in_a_thread(root.joinpath, drain=0.3) as (sock, lines, finish),
        Client(sock.getsockname()[1]) as client,
    ):
        half_way(client, "66560")
        start = time.monotonic()
        finish()
        assert 0.2 < time.monotonic() - start < 1
        assert client.error() == (0, "the server is stopping")
        client.ask("small")
        assert sock.recv(100) == b"\0\1small\0octet\0"
        port = client.sock.getsockname()[1]
        assert lines == [f"tftp 127.0.0.1 port {port}: '66560': failed: the server is stopping"]
