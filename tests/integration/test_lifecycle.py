"""A server through changes, breakage, signals, kills and a full disk: the last good generation goes on."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bootforge.serve.source import Source
from tests.integration.edge import (
    SITE,
    alive,
    child_pid,
    edge_site,
    host,
    http_pids,
    is_local,
    kill,
    name,
    netboot,
    tftp_pid,
    until,
)
from tests.support import ROOT, Running, bootforge, environment, need, running, write_site

SOON = 5.0
"""Seconds within which a server shows a change, or is back after one of its processes died."""

QUICK = "import bootforge.serve.keeper as keeper\nassert keeper._POLL <= 1.0\nkeeper._POLL = 0.2"
"""Most servers here look for changes more often; one does not."""

LOADER = bytes(range(256)) * 400


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("lifecycle")


@pytest.fixture(scope="module")
def loaders(root: Path) -> Path:
    (root / "loaders").mkdir()
    (root / "loaders" / "undionly.kpxe").write_bytes(LOADER)
    return root / "loaders"


@pytest.fixture(scope="module")
def started(root: Path, loaders: Path) -> Iterator[Running]:
    home = root / "home"
    home.mkdir()
    env = {"BOOTFORGE_LOADERS": str(loaders), "HOME": str(home), "XDG_RUNTIME_DIR": str(home)}
    with running(edge_site(root / "site", hosts=3), root / "state", patch=QUICK, **env) as server:
        yield server


@pytest.fixture
def server(started: Running) -> Iterator[Running]:
    """The module's server; at the end its site is good again, and served."""
    before = snapshot(started.site)
    yield started
    for file in set(snapshot(started.site)) - set(before):
        (started.site / file).unlink()
    if snapshot(started.site) != before:
        write_site(started.site, before)
        reload(started)


def snapshot(site: Path) -> dict[str, str]:
    return {path.relative_to(site).as_posix(): path.read_text() for path in sorted(site.rglob("*")) if path.is_file()}


def reload(server: Running) -> None:
    """SIGHUP, and wait until it is done."""
    before = len(re.findall("serving revision|the site is broken", server.log.read_text()))
    server.process.send_signal(signal.SIGHUP)
    assert until(lambda: len(re.findall("serving revision|the site is broken", server.log.read_text())) > before, SOON)


def answers(server: Running) -> bool:
    try:
        return server.get("/boot.ipxe").status == 200
    except OSError:
        return False


def knows(server: Running, number: int) -> bool:
    try:
        return name(number).encode() in netboot(server, number).body
    except OSError:
        return False


def add_host(server: Running, number: int) -> None:
    write_site(server.site, {f"hosts/more{number}.yaml": host(number)})


class Tftp:
    """A TFTP client that fetches block by block, so that it can be slow."""

    def __init__(self, port: int, file: str = "undionly.kpxe") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.settimeout(SOON)
        self.socket.sendto(b"\0\1" + file.encode() + b"\0octet\0", ("127.0.0.1", port))
        self.content, self.blocks, self.ended = b"", 0, False

    def block(self) -> None:
        """Takes the next block and acknowledges it; one that is repeated, because this client is slow, again."""
        packet, peer = self.socket.recvfrom(2048)
        assert packet[:2] == b"\0\3", packet
        if packet[2:4] == (self.blocks + 1).to_bytes(2, "big"):
            self.content += packet[4:]
            self.blocks += 1
            self.ended = len(packet) < 516
        self.socket.sendto(b"\0\4" + packet[2:4], peer)

    def rest(self) -> bytes:
        while not self.ended:
            self.block()
        self.socket.close()
        return self.content


def serves_loader(server: Running) -> bool:
    client = Tftp(server.tftp_port)
    client.socket.settimeout(0.5)
    try:
        client.block()
        return client.content == LOADER[:512]
    except OSError:
        return False


# Reloads


def test_a_new_host_is_served(server: Running) -> None:
    assert not knows(server, 7)
    add_host(server, 7)
    assert until(lambda: knows(server, 7), SOON)
    (server.site / "hosts" / "more7.yaml").unlink()
    reload(server)
    assert until(lambda: not knows(server, 7), SOON)


def test_a_changed_value_is_served(server: Running) -> None:
    path = server.grant(name(1))
    assert b"\ntimezone America/Denver" in server.get(path).body
    before = server.log.read_text().count("serving revision")
    write_site(server.site, {"site.yaml": SITE.replace("America/Denver", "Europe/Berlin")})
    assert until(lambda: server.log.read_text().count("serving revision") > before, SOON)
    assert b"\ntimezone Europe/Berlin" in server.get(path).body


def test_a_broken_site_keeps_the_last_good_generation(server: Running) -> None:
    broken = "nics: {lan: {network: lan}}\npakcages: [httpd]\n"
    worker = http_pids(server)[1]
    write_site(server.site, {"roles/web.yaml": broken, "hosts/more8.yaml": host(8)})
    server.wait_for_log(r"roles/web.yaml:2:1: error\[BF012\]: .*pakcages", SOON)
    assert knows(server, 1) and not knows(server, 8)
    assert http_pids(server)[1] == worker

    kill(worker)
    assert until(lambda: knows(server, 1), SOON), "a worker that starts while the site is broken has the last good one"
    assert http_pids(server)[1] != worker and not knows(server, 8)
    server.grant(name(2))
    assert not is_local(netboot(server, 2))

    write_site(server.site, {"roles/web.yaml": broken.replace("pakcages", "packages")})
    assert until(lambda: knows(server, 8), SOON)


def test_a_site_that_vanishes_keeps_the_last_good_generation(server: Running) -> None:
    away = server.site.with_name("away")
    server.site.rename(away)
    try:
        server.wait_for_log("has no site.yaml", SOON)
        assert knows(server, 1)
        kill(http_pids(server)[1])
        assert until(lambda: knows(server, 1), SOON)
    finally:
        away.rename(server.site)
    reload(server)
    assert knows(server, 1)


def test_sighup_reloads_although_no_file_changed(server: Running) -> None:
    reload(server)  # so that no change is still to be seen
    before = server.log.read_text().count("serving revision")
    start = time.monotonic()
    server.process.send_signal(signal.SIGHUP)
    assert until(lambda: server.log.read_text().count("serving revision") > before, SOON)
    assert time.monotonic() - start < 1.0


def test_the_policy_of_a_mismatch_is_the_sites(server: Running) -> None:
    path = server.grant(name(1))
    stranger = {"X-RHN-Provisioning-MAC-0": "de:ad:be:ef:00:01"}
    assert server.get(path, **stranger).status == 404
    write_site(server.site, {"site.yaml": SITE.replace("mismatch: refuse", "mismatch: alarm")})
    reload(server)
    assert server.get(path[:-1] + "x", **stranger).status == 404
    assert server.get(path.replace("/i/", "/i/x"), **stranger).status == 404
    wrong = path.replace(path.split("/")[3], "0" * 32)
    assert server.get(wrong, **stranger).status == 404
    kinds = [event.kind for event in server.recorded(name(1))]
    assert "alarm" not in kinds, "nobody without a token raises an alarm"
    assert server.get(path, **stranger).status == 200
    alarms = [event.detail for event in server.recorded(name(1)) if event.kind == "alarm"]
    assert alarms == ["kickstart: the machine's MAC addresses are de:ad:be:ef:00:01"]


def test_a_host_that_is_held_is_not_installed_although_it_was_armed(server: Running) -> None:
    """Whoever writes 'state: held' has the last word over a permission that was given before."""
    server.grant(name(3))
    file = server.site / "hosts/web.yaml"
    text = file.read_text()
    assert f"{name(3)}:\n" in text
    file.write_text(text.replace(f"{name(3)}:\n", f"{name(3)}:\n  state: held\n"))
    reload(server)
    assert is_local(netboot(server, 3))
    file.write_text(text)
    reload(server)
    assert not is_local(netboot(server, 3))
    assert server.verb("disarm", name(3)).status == 0


def test_a_site_that_is_being_written_does_not_stop_the_watch(root: Path) -> None:
    site = edge_site(root / "churn", hosts=1)
    ends = threading.Event()

    def churn() -> None:
        while not ends.is_set():
            (site / "roles" / "a" / "b").mkdir(parents=True)
            (site / "roles" / "a" / "b" / "c").touch()
            (site / "roles" / "a" / "b" / "c").unlink()
            (site / "roles" / "a" / "b").rmdir()
            (site / "roles" / "a").rmdir()

    thread = threading.Thread(target=churn)
    thread.start()
    try:
        end = time.monotonic() + 1
        while time.monotonic() < end:
            assert len(Source(site).signature()) >= 5
    finally:
        ends.set()
        thread.join()


# Deaths


def test_the_http_side_comes_back_when_both_its_processes_die(server: Running) -> None:
    arbiter, worker = http_pids(server)
    kill(arbiter)
    assert until(lambda: answers(server), SOON)
    assert until(lambda: not alive(worker), SOON), "the orphan goes"
    assert until(lambda: http_pids(server)[0] != arbiter and answers(server), SOON)


def test_tftp_comes_back_under_load(server: Running) -> None:
    fetched, ends = [0], threading.Event()

    def fetch_again_and_again() -> None:
        while not ends.is_set():
            client = Tftp(server.tftp_port)
            client.socket.settimeout(0.5)
            with suppress(OSError):  # what dies, dies; machines ask again
                assert client.rest() == LOADER
                fetched[0] += 1
            client.socket.close()

    threads = [threading.Thread(target=fetch_again_and_again) for _ in range(8)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            before = fetched[0]
            assert until(lambda before=before: fetched[0] > before, SOON)
            child = tftp_pid(server)
            kill(child)
            assert until(lambda child=child: not alive(child) and serves_loader(server), SOON)
    finally:
        ends.set()
        for thread in threads:
            thread.join()
    assert Tftp(server.tftp_port).rest() == LOADER


def test_tftp_gives_the_script_that_dhcp_names_also_when_http_is_gone(server: Running) -> None:
    """What it holds is in its name, so nobody has to be asked; a name that says something else is no name."""
    kill(child_pid(server, "front"))
    for address in ("127.0.0.1", "10.2.0.5:8080"):
        text = Tftp(server.tftp_port, f"http/{address}/boot.ipxe").rest().decode()
        assert text.startswith("#!ipxe\n") and text.endswith("exit 1\n")
        assert f"\nchain --timeout 5000 --replace http://{address}/boot.ipxe && exit ||\n" in text
    for wrong in ("http/10.2.0.5:0/boot.ipxe", "http/1.2.3/boot.ipxe", "http/999.2.0.5/boot.ipxe", "boot.ipxe",
                  "http/10.2.0.5/x/boot.ipxe", "http/10.2.0.5/boot.ipxe\n", "https/10.2.0.5/boot.ipxe"):  # fmt: skip
        refused = Tftp(server.tftp_port, wrong).socket
        assert refused.recv(2048)[:4] == b"\0\5\0\1", wrong
        refused.close()


def test_a_single_port_for_tftp(root: Path, loaders: Path) -> None:
    site, env = edge_site(root / "single", hosts=1), {"BOOTFORGE_LOADERS": str(loaders)}
    with running(site, root / "single-port", "--tftp-single-port", **env) as server:
        client = Tftp(server.tftp_port)
        packet, peer = client.socket.recvfrom(2048)
        assert packet[4:] == LOADER[:512] and peer == ("127.0.0.1", server.tftp_port)
        client.socket.sendto(b"\0\5\0\0enough\0", peer)
        client.socket.close()
        assert Tftp(server.tftp_port).rest() == LOADER


def test_nothing_is_left_lying_about(server: Running, root: Path) -> None:
    """No control socket of gunicorn in the user's home, one copy of the last good site, modes closed to others."""
    assert list((root / "home").iterdir()) == []
    state = server.log.parent
    for _ in range(3):
        reload(server)
    kept = sorted(path.name for path in state.iterdir() if path.name.startswith("last-good"))
    assert len(kept) == 2 and kept[0] == "last-good" and os.readlink(state / "last-good") == kept[1]
    for secret in (state / "key", state / "store.db", state / kept[1]):
        assert secret.stat().st_mode & 0o077 == 0, secret


def test_the_children_die_with_the_supervisor(started: Running, root: Path, loaders: Path) -> None:
    arbiter, worker = http_pids(started)
    tftp = tftp_pid(started)
    port = int(started.http.rpartition(":")[2])
    transfer = Tftp(started.tftp_port)
    transfer.block()
    kill(started.process.pid)
    started.process.wait()
    assert until(lambda: not alive(arbiter) and not alive(worker), SOON)
    assert alive(tftp), "it lets the transfer finish"
    socket.create_server(("127.0.0.1", port)).close()
    assert transfer.rest() == LOADER
    assert until(lambda: not alive(tftp), SOON)
    ports = ("--http-port", started.http.rpartition(":")[2], "--tftp-port", str(started.tftp_port))
    with running(started.site, root / "again", *ports, store=started.store, BOOTFORGE_LOADERS=str(loaders)) as server:
        assert (server.http, server.tftp_port) == (started.http, started.tftp_port)
        assert knows(server, 1) and serves_loader(server)


# The end


def test_sigterm_lets_what_is_in_flight_finish(root: Path, loaders: Path) -> None:
    site = edge_site(root / "drain", hosts=2)
    with running(site, root / "drained", BOOTFORGE_LOADERS=str(loaders)) as server:
        path = server.grant(name(1))
        assert server.get(path).status == 200
        base = path.removesuffix("/kickstart")
        port = int(server.http.rpartition(":")[2])
        slow = socket.create_connection(("127.0.0.1", port), 20)
        slow.sendall(
            f"POST {base}/report/installed HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nten bytes.".encode()
        )
        transfer = Tftp(server.tftp_port)
        for _ in range(3):
            transfer.block()
        time.sleep(0.2)

        server.process.send_signal(signal.SIGTERM)
        time.sleep(0.8)
        assert server.process.poll() is None, "it waits for both"
        slow.sendall(b"and ten...")
        assert slow.recv(65536).startswith(b"HTTP/1.1 200 ")
        slow.close()
        assert transfer.rest() == LOADER
        assert server.process.wait(10) == 0
        with server.opened() as store:
            assert [row.text for row in store.logs(name(1))] == ["ten bytes.and ten..."]
            assert [one.state for one in store.status([name(1)])] == ["first-boot"]


# Those who do not finish asking


HALF = b"GET /boot.ipxe HT"
SLOW = f"POST /i/{name(1)}/x/report/installed HTTP/1.1\r\nHost: x\r\nContent-Length: 20\r\n\r\nten bytes.".encode()


def connect(server: Running, source: str, sent: bytes) -> socket.socket:
    port = int(server.http.rpartition(":")[2])
    connection = socket.create_connection(("127.0.0.1", port), 20, source_address=(source, 0))
    connection.sendall(sent)
    return connection


def test_clients_that_are_slow_or_many_do_not_keep_others_out(root: Path) -> None:
    site = edge_site(root / "slow", hosts=2)
    patch = (
        "import bootforge.serve.front as front, bootforge.serve.worker as worker\nfront.ASKING = worker.READING = 3.0"
    )
    with running(site, root / "slowed", patch=patch) as server:
        start = time.monotonic()
        many = [connect(server, "127.0.0.9", HALF) for _ in range(600)]
        assert server.get("/boot.ipxe").status == 200 and server.get("/boot.ipxe", "127.0.0.9").status == 200
        # Whose head is whole has a thread; a half of them at most, and whoever else asks from there has to wait.
        slow = [connect(server, "127.0.0.8", SLOW) for _ in range(300)]
        time.sleep(0.2)
        assert server.get("/boot.ipxe").status == 200 and time.monotonic() - start < 3, "before any of them is cut off"
        late = server.get("/boot.ipxe", "127.0.0.8")
        assert late.status == 200 and time.monotonic() - start >= 2, "it waits, and is answered"
        trickle = connect(server, "127.0.2.1", HALF)
        for _ in range(30):
            time.sleep(0.2)
            try:
                trickle.sendall(b"x")
            except OSError:
                break
        for connection in [*many, *slow, trickle]:
            connection.settimeout(20)
            with suppress(ConnectionResetError):
                assert not connection.recv(100).startswith(b"HTTP/1.1 200")
            connection.close()
        log = server.log.read_text()
        assert "Traceback" not in log and "127.0.0.8 has 128 requests that are not answered yet" in log


# Starts that fail


def test_a_start_with_a_broken_site_says_what_is_wrong(root: Path) -> None:
    site = edge_site(root / "broken", hosts=1)
    write_site(site, {"roles/web.yaml": "nics: {lan: {network: lan}}\nnonsense: 1\n"})
    done = bootforge("serve", "--site", site, "--store", f"sqlite:///{root}/broken-state/store.db", "--http-port", "0")
    assert done.status == 2 and done.out == ""
    assert "roles/web.yaml:2:1: error[BF012]" in done.err and "nonsense" in done.err


@pytest.mark.parametrize("option", ["--http-port", "--tftp-port"])
def test_a_port_that_is_in_use_is_told(root: Path, option: str) -> None:
    kind = socket.SOCK_STREAM if option == "--http-port" else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as taken:
        taken.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            taken.listen()
        ports = {"--http-port": "0", "--tftp-port": "0", option: str(taken.getsockname()[1])}
        words = [word for pair in ports.items() for word in pair]
        site = edge_site(root / "taken", hosts=1)
        store = f"sqlite:///{root}/taken-state/store.db"
        done = bootforge("serve", "--site", site, "--store", store, "--bind", "127.0.0.1", *words)
    assert done.status == 2 and done.out == ""
    assert "Address already in use" in done.err and ports[option] in done.err
    assert "--http-port and --tftp-port choose others" in done.err


def plain_user() -> list[str]:
    """For root: a command that lets modes count, as they do for everybody else."""
    if os.geteuid():
        return []
    need("setpriv")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def test_a_state_directory_that_cannot_be_written_is_told(root: Path) -> None:
    site = edge_site(root / "unwritable", hosts=1)
    closed = root / "closed"
    closed.mkdir(mode=0o500)
    code = """
import sys
from bootforge.cli import main
for store in sys.argv[2:]:
    try:
        main(["serve", "--site", sys.argv[1], "--store", f"sqlite:///{store}", "--http-port", "0", "--tftp-port", "0"])
    except SystemExit as stop:
        print(stop.code)
"""
    stores = [closed / "store.db", closed / "below" / "store.db"]
    command = [*plain_user(), sys.executable, "-c", code, str(site), *map(str, stores)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment(), cwd=ROOT, timeout=30)
    assert (done.returncode, done.stdout) == (0, "2\n2\n"), done.stderr
    for store in stores:
        assert str(store.parent) in done.stderr
    assert done.stderr.count("Permission denied") == 2 and done.stderr.count("--store") == 2
    assert "Traceback" not in done.stderr


# Two servers, and a disk that is full


def test_a_second_server_on_the_same_store(root: Path) -> None:
    site = edge_site(root / "both", hosts=3)
    with running(site, root / "first") as first, running(site, root / "second", store=first.store) as second:
        path = first.grant(name(1))
        assert netboot(first, 1).body == netboot(second, 1).body
        assert first.get(path).body == second.get(path).body
        assert second.get(path, "127.0.0.2").status == 404, "the first client is known to both"
        base = path.removesuffix("/kickstart")
        assert second.get(f"{base}/bootstrap").status == 200
        assert first.get(f"{base}/report/installed", data=b"done").status == 200
        assert is_local(netboot(second, 1))
        write_site(site, {"hosts/more9.yaml": host(9)})
        assert until(lambda: knows(first, 9) and knows(second, 9), SOON), "both watch the site, as often as they do"
        write_site(site, {"roles/web.yaml": "broken"})
        kill(http_pids(first)[1])
        assert until(lambda: knows(first, 9), SOON) and answers(second)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB."""
    if os.geteuid():
        pytest.skip("only root can mount")
    need("mount", "umount")
    place = tmp_path / "small"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)]).returncode:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("tmpfs cannot be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(place: Path) -> Path:
    """Takes every block that is free."""
    filler = place / "filler"
    with filler.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            pass
    return filler


def test_a_full_disk_permits_nothing_that_is_not_recorded(root: Path, small_disk: Path) -> None:
    site = edge_site(root / "full", hosts=9)
    with running(site, root / "filled", store=f"sqlite:///{small_disk}/store.db") as server:
        paths = {number: server.grant(name(number)) for number in range(1, 9)}
        filler = fill(small_disk)
        booted, fetched, failed = [], [], 0
        for number in range(1, 6):
            answer = netboot(server, number)
            if answer.status == 200 and not is_local(answer):
                booted.append(name(number))
            answer = server.get(paths[number])
            assert answer.status in (200, 404) and b"Traceback" not in answer.body
            if answer.status == 200:
                fetched.append(name(number))
            failed += answer.status == 404
        assert failed, "the disk was not full"
        assert is_local(server.get("/m/52:54:00:dd:00:01/boot.ipxe")), "an unknown machine boots its disk"
        assert server.get("/boot.ipxe").status == 200
        done = server.verb("arm", name(9))
        assert (done.status, done.out) == (5, "") and "disk is full" in done.err and "free some space" in done.err

        filler.unlink()
        events = server.recorded()
        assert {event.host for event in events if event.kind == "kickstart"} == set(fetched)
        assert {event.host for event in events if event.kind == "boot"} == set(booted)
        with server.opened() as store:
            assert store.status([name(9)]) == []
            counted = {one.host: one.grant.kickstarts for one in store.status()}
        assert counted == {name(number): int(name(number) in fetched) for number in range(1, 9)}
        for number in range(6, 9):
            assert not is_local(netboot(server, number)) and server.get(paths[number]).status == 200
        log = server.log.read_text()
        assert "database or disk is full" in log and "Traceback" not in log
