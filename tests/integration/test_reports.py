"""Reports of an install and of first boots through a running server, and what status and log make of them."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from tests.integration.edge import edge_site, is_local, name, netboot, until
from tests.support import ROOT, Running, environment, heed_interrupts, running


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("reports")
    with running(edge_site(root / "site"), root / "state") as server:
        yield server


NUMBERS = count(1)


@pytest.fixture
def number() -> int:
    """A host that no other test uses."""
    return next(NUMBERS)


def text(host: str, phase: str, exit: int, *lines: tuple[str, str, str]) -> bytes:
    said = "".join(f"{status}\t10\t{step}\t{what}\n" for status, step, what in lines)
    return f"bootforge\t{host}\t{phase}\t\tr1\tp1\n{said}end\t900\t{exit}\t\n".encode()


def fetched(server: Running, host: str) -> str:
    """The URL's path of a grant whose kickstart and bootstrap were fetched."""
    path = server.grant(host)
    base = path.removesuffix("/kickstart")
    assert [server.get(f"{base}/{kind}").status for kind in ("kickstart", "bootstrap")] == [200, 200]
    return base


def test_a_host_whose_first_boot_fails_and_then_goes_well(server: Running, number: int) -> None:
    host = name(number)
    base = fetched(server, host)
    steps = (("changed", "hostname", "/etc/hostname"), ("changed", "stamp", ""))
    owed = ("skipped", "handler:restart:a", "left to the first boot")
    assert server.get(f"{base}/report/installed", data=text(host, "install", 0, *steps, owed)).status == 200
    (status,) = server.verb("status", host, "--json").json
    assert (status["state"], status["first_boot"], status["pending"]) == ("first-boot", "awaited", ["restart:a"])
    assert status["deadline"] == status["since"] + 3600
    assert is_local(netboot(server, number)), "it boots its disk while its first boot is awaited"

    broken = text(host, "boot", 5, ("failed", "sysctl", "no such key"), ("ok", "hostname", ""))
    for _ in range(2):  # the answer to the first was lost
        assert server.get(f"{base}/report/boot-failed", "127.0.0.77", broken).status == 200
    (status,) = server.verb("status", host, "--json").json
    assert (status["state"], status["result"]) == ("failed", "installed, first boot failed: sysctl: no such key")
    assert is_local(netboot(server, number))
    said = server.verb("log", host)
    assert said.out.splitlines()[0].endswith("failed: sysctl: no such key") and "FAILED" in said.out

    assert server.get(f"{base}/report/booted", "127.0.0.78", text(host, "boot", 0, *steps)).status == 200
    (status,) = server.verb("status", host, "--json").json
    assert (status["state"], status["result"], status["pending"]) == ("installed", "2 changed", [])
    runs = server.verb("log", host, "--runs", "--json").json
    assert [(run["phase"], run["by"], run["exit"]) for run in runs] == [
        ("install", "installer", 0), ("boot", "first boot", 5), ("boot", "first boot", 0),
    ]  # fmt: skip
    (row,) = server.verb("log", host, "sysctl", "--json").json
    assert (row["status"], row["text"]) == ("failed", "no such key")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\x00" * 262_144,
        b"\xff\xfe" * 131_072,
        b"failed\t1\ta\t\n" * 20_000,
        b"bootforge\tx\tinstall\t\tr\tp\n" + b"".join(b"changed\t1\ts%d\t\n" % n for n in range(14_000)),
        b"bootforge\tx\tinstall\t\tr\tp\nfailed\t99999999999999999999\ta\t\x1b[2J\nend\t-1\t1e9\t\n",
        b"bootforge\tx\trun\t\tr\tp\nfailed\t1\ta\tof another phase\nend\t1\t0\t\n",
        b"bootforge\tx\tinstall\tcheck\tr\tp\nfailed\t1\ta\ta check\nend\t1\t0\t\n",
    ],
    ids=["nothing", "zeros", "no text", "many", "many steps", "numbers", "another phase", "a check"],
)
def test_a_report_of_any_kind_is_taken_and_told(server: Running, number: int, body: bytes) -> None:
    host = name(number)
    base = fetched(server, host)
    assert server.get(f"{base}/report/installed", data=body).status == 200
    for args in (("status", host), ("status", host, "--json"), ("log", host, "bootstrap"), ("log", host, "a")):
        done = server.verb(*args)
        assert done.status in (0, 3) and "\x1b" not in done.out and "Traceback" not in done.err
    assert server.verb("status", host, "--json").json[0]["state"] == "first-boot"
    last = server.recorded(host)[-1]
    assert (last.kind, last.detail.partition(" ")[0]) == ("report", "installed:")
    odd = b"\trun\t" in body or b"\tcheck\t" in body
    assert ("(the text is of " in last.detail) == (odd or body.startswith(b"bootforge"))
    assert bool(server.verb("log", host, "--runs").status) == (odd or b"\ta\t" not in body and b"\ts1\t" not in body)
    assert "Traceback" not in server.log.read_text()


def test_a_report_counts_for_the_host_of_its_grant(server: Running, number: int) -> None:
    host, other = name(number), name(59)
    base = fetched(server, host)
    said = text(other, "install", 0, ("failed", "sysctl", "a lie"))
    assert server.get(f"{base.replace(host, other)}/report/installed", data=said).status == 404
    assert server.get(f"{base}/report/installed", data=said).status == 200
    assert server.verb("log", other).status == 3
    assert server.verb("log", host).out.startswith(f"{host}: install, ")
    assert "the text is of host" in server.recorded(host)[-1].detail


def test_many_hosts_report_at_once(server: Running) -> None:
    hosts = [name(n) for n in range(30, 54)]
    bases = {host: fetched(server, host) for host in hosts}

    def report(host: str) -> list[int]:
        said = (text(host, "install", 0, ("changed", "a", "")), text(host, "boot", 0, ("ok", "a", "")))
        routes = ("installed", "booted")
        return [
            server.get(f"{bases[host]}/report/{route}", data=one).status
            for route, one in zip(routes, said, strict=True)
        ]

    with ThreadPoolExecutor(12) as pool:
        assert [*pool.map(report, hosts)] == [[200, 200]] * len(hosts)
    rows = server.verb("status", *hosts, "--json").json
    assert {(row["state"], row["run"]["phase"], row["result"]) for row in rows} == {("installed", "boot", "ok")}


def test_status_is_printed_again_when_a_report_comes(server: Running, number: int) -> None:
    host = name(number)
    base = fetched(server, host)
    env = environment(BOOTFORGE_SITE=str(server.site), BOOTFORGE_STORE=server.store, **server.env)
    command = [sys.executable, "-m", "bootforge", "status", host, "--watch"]
    out = server.log.parent / f"watch.{number}"
    with out.open("w") as file:
        process = subprocess.Popen(command, stdout=file, env=env, cwd=ROOT, preexec_fn=heed_interrupts)
    try:
        assert until(lambda: "bootstrapping" in out.read_text(), 30)
        server.get(f"{base}/report/installed", data=text(host, "install", 0, ("changed", "hostname", "it is so")))
        assert until(lambda: "it is so" in out.read_text(), 30) and "first-boot" in out.read_text()
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
