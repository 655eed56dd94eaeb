"""A machine that nobody knows asks, and becomes a host."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.edge import edge_site, is_local, until
from tests.support import Done, Running, bootforge, running, write_site

NEW = "web70.prod.example.com"
ADOPTED = "hosts/adopted.yaml"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Running]:
    with running(edge_site(tmp_path / "site", hosts=1), tmp_path / "state") as server:
        yield server


def asks(server: Running, mac: str, said: str = "") -> None:
    assert is_local(server.get(f"/m/{mac}/boot.ipxe{said}"))


def verb(server: Running, *args: str) -> Done:
    return bootforge(*args, "--site", str(server.site), "--store", server.store)


def discovered(server: Running) -> list[dict[str, object]]:
    found = json.loads(verb(server, "discovered", "--json").out)
    assert isinstance(found, list)
    return found


def test_a_machine_that_asked_becomes_a_host(server: Running) -> None:
    assert discovered(server) == []
    asks(server, "02:00:00:00:07:01")
    for _ in range(2):
        asks(server, "02-00-00-00-07-02", "?uuid=30313436&serial=CZ1234ABCD")
    first, second = discovered(server)
    assert (first["mac"], first["times"], first["serial"]) == ("02:00:00:00:07:01", 1, "")
    assert (second["mac"], second["times"]) == ("02:00:00:00:07:02", 2)
    assert (second["serial"], second["uuid"], second["address"]) == ("CZ1234ABCD", "30313436", "127.0.0.1")
    table = verb(server, "discovered").out
    assert table.splitlines()[3].split()[0] == "02:00:00:00:07:02" and "CZ1234ABCD" in table

    done = verb(server, "adopt", "0200.0000.0702", "--as", NEW, "--address", "127.0.9.70")
    assert done.status == 0, done.err
    assert done.out == (server.site / ADOPTED).read_text()
    assert [one["mac"] for one in discovered(server)] == ["02:00:00:00:07:01"]
    host = json.loads(bootforge("hosts", NEW, "--json", "--site", str(server.site)).out)[0]
    assert (host["mac"], host["address"]) == ("02:00:00:00:07:02", "127.0.9.70")
    assert (
        json.loads(bootforge("show", NEW, "--stage=plan", "--json", "--site", str(server.site)).out)["serial"]
        == "CZ1234ABCD"
    )
    until(lambda: NEW.encode() in server.get("/m/02:00:00:00:07:02/boot.ipxe").body)
    assert is_local(server.get("/m/02:00:00:00:07:02/boot.ipxe")), "it is not armed"

    assert verb(server, "adopt", "02:00:00:00:07:01", "--as", "web71.prod.example.com").status == 0
    assert (server.site / ADOPTED).read_text().startswith(done.out)
    assert bootforge("check", "--site", str(server.site)).status == 0


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["02:00:00:00:07:09", "--as", NEW], 3, "has not asked"),
        (["lan", "--as", NEW], 2, "MAC"),
        (["02:00:00:00:00:01", "--as", NEW], 2, "is web1.prod.example.com already"),
        (["02:00:00:00:07:01", "--as", "web1.prod.example.com"], 2, "is in the site already"),
        (["02:00:00:00:07:01", "--as", "wbe7.prod.example.com"], 2, "did you mean 'web"),
        (["02:00:00:00:07:01", "--as", "a: {}\nb"], 2, "is not the name of one host"),
        (["02:00:00:00:07:01", "--as", NEW, "--nic", "x: {}, lan"], 2, "hosts/adopted.yaml:3"),
        (["02:00:00:00:07:01", "--as", NEW, "--address", "127.0.9.1"], 2, "hosts/adopted.yaml:3"),
        (["02:00:00:00:07:01", "--as", NEW, "--address", "'}, x"], 2, "hosts/adopted.yaml:3"),
    ],
)
def test_what_cannot_be_is_told_and_nothing_is_written(
    server: Running, args: list[str], status: int, said: str
) -> None:
    asks(server, "02:00:00:00:07:01")
    done = verb(server, "adopt", *args)
    assert (done.status, said in done.err) == (status, True), done.err
    assert not (server.site / ADOPTED).exists()


def test_a_role_of_several_nics_asks_which(server: Running) -> None:
    write_site(server.site, {"roles/web.yaml": "nics: {lan: {network: lan}, san: {network: san}}\n"})
    asks(server, "02:00:00:00:07:01")
    done = verb(server, "adopt", "02:00:00:00:07:01", "--as", NEW)
    assert done.status == 2 and "which of its nics asked: lan, san?" in done.err
    done = verb(server, "adopt", "02:00:00:00:07:01", "--as", NEW, "--nic", "lan")
    assert done.status == 2 and "nic san has no MAC address" in done.err
    done = verb(server, "adopt", "02:00:00:00:07:01", "--as", NEW, "--mac", "san=02:00:00:00:07:02")
    assert done.status == 0, done.err
    plan = json.loads(bootforge("show", NEW, "--stage=plan", "--json", "--site", str(server.site)).out)
    assert {nic["name"]: nic["mac"] for nic in plan["nics"]} == {
        "lan": "02:00:00:00:07:01",
        "san": "02:00:00:00:07:02",
    }


@pytest.mark.parametrize(
    "serial", ["To%20be%20filled%20by%20O.E.M.", "Not%20Specified", "00000000", "%22%7D%0Ax:%20y", "None"]
)
def test_what_a_machine_says_is_only_written_if_it_can_be_a_serial_number(server: Running, serial: str) -> None:
    asks(server, "02:00:00:00:07:01", f"?uuid=1&serial={serial}")
    done = verb(server, "adopt", "02:00:00:00:07:01", "--as", NEW)
    assert done.status == 0 and "serial" not in done.out, done.out
