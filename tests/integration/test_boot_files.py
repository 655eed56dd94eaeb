"""Boot files of hosts, by TFTP and by HTTP: what firmware, shim, GRUB and pxelinux ask for, what they get, and by whose
leave."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.edge import edge_site, http_pids, kill, mac, name, tftp_pid, until
from tests.integration.test_http_fuzz import size
from tests.integration.test_tftp import Client
from tests.support import Running, running, write_site

IPXE, SHIM, BARE, ADDED, PXELINUX, HELD = 1, 2, 3, 4, 5, 6
MORE = {
    SHIM: "  machine: {loader: shim}\n  install: {url: 'media:t'}\n",
    BARE: "  machine: {loader: shim}\n  install: {url: 'media:half/BaseOS'}\n",
    ADDED: "  machine: {loader: shim}\n  install: {url: 'http://mirror.example.com/9'}\n",
    PXELINUX: "  machine: {loader: pxelinux}\n  install: {url: 'media:t'}\n",
    HELD: "  machine: {loader: shim}\n  install: {url: 'media:t'}\n  state: held\n",
}
FILES = {
    "media/t/EFI/BOOT/BOOTX64.EFI": "the tree's shim " * 3000,
    "media/t/EFI/BOOT/grubx64.efi": "the tree's grub " * 90_000,
    "media/t/images/pxeboot/vmlinuz": "the kernel " * 1000,
    "media/t/images/pxeboot/initrd.img": "the initrd " * 1000,
    "media/half/EFI/BOOT/BOOTX64.EFI": "a shim that has no GRUB",
    "media/half/BaseOS/images/pxeboot/vmlinuz": "kernel",
}
GIVEN = {
    "undionly.kpxe": "iPXE",
    "snponly.efi": "iPXE of UEFI",
    "lpxelinux.0": "lpxelinux",
    "ldlinux.c32": "its module",
}
ABSENT = (1, "file not found")


def own(number: int, file: str, mark: str = "-") -> str:
    return f"m/{mac(number).replace(':', mark)}/{file}"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("boot")
    site = edge_site(root / "site", hosts=6)
    text = (site / "hosts/web.yaml").read_text()
    for number, more in MORE.items():
        head = f"{name(number)}:\n"
        assert head in text
        text = text.replace(head, head + more)
    write_site(site, {"hosts/web.yaml": text})
    write_site(root / "state", FILES)
    os.symlink("/etc/hostname", root / "state/media/t/EFI/BOOT/mmx64.efi")
    write_site(root / "given", GIVEN)
    with running(site, root / "state", BOOTFORGE_LOADERS=str(root / "given")) as running_server:
        yield running_server


def tftp(server: Running, file: str, source: str = "127.0.0.1") -> bytes:
    with Client(server.tftp_port, source=source) as client:
        return client.fetch(file, "blksize", 1468, "windowsize", 4)


def tftp_error(server: Running, file: str) -> tuple[int, str]:
    with Client(server.tftp_port) as client:
        client.ask(file)
        return client.error()


def test_a_host_with_shim_gets_the_pair_of_its_own_tree(server: Running) -> None:
    for file, at in (("shimx64.efi", "EFI/BOOT/BOOTX64.EFI"), ("grubx64.efi", "EFI/BOOT/grubx64.efi")):
        wanted = FILES[f"media/t/{at}"].encode()
        assert tftp(server, own(SHIM, file)) == wanted
        assert tftp(server, "/" + own(SHIM, file, ":")) == wanted
        for path in ("/" + own(SHIM, file), "/" + own(SHIM, f"/{file}"), "/" + own(SHIM, file) + "?x=1"):
            got = server.get(path)
            assert (got.status, got.body, got.headers["content-length"]) == (200, wanted, str(len(wanted)))
        head = server.send(f"HEAD /{own(SHIM, file)} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        assert head.startswith(b"HTTP/1.1 200 OK\r\n") and head.endswith(b"\r\n\r\n")
        assert f"Content-Length: {len(wanted)}\r\n".encode() in head
    part = server.get("/" + own(SHIM, "grubx64.efi"), Range="bytes=4-9")
    assert (part.status, part.body) == (206, b"tree's")
    assert tftp(server, own(SHIM, "kernel")) == FILES["media/t/images/pxeboot/vmlinuz"].encode()
    assert tftp(server, own(SHIM, "initrd")) == FILES["media/t/images/pxeboot/initrd.img"].encode()


def test_a_pair_comes_from_one_place(server: Running) -> None:
    """A tree with half of one has none; then it is what was added, whose tree is elsewhere too."""
    for number in (BARE, ADDED):
        assert tftp_error(server, own(number, "shimx64.efi")) == ABSENT
        refused = server.verb("arm", name(number))
        assert refused.status == 2 and "boots by shim, and there is no shimx64.efi" in refused.err
    shim, grub = (Path(server.site).parent / file for file in ("shimx64.efi", "grubx64.efi"))
    for path in (shim, grub):
        header = b"MZ".ljust(60, b"\0") + (64).to_bytes(4, "little") + b"PE\0\0" + b"\x64\x86" + bytes(100)
        path.write_bytes(header + path.name.encode())
        assert server.verb("loaders", "add", str(path)).status == 0
    try:
        for number in (BARE, ADDED):
            assert tftp(server, own(number, "shimx64.efi")).endswith(b"shimx64.efi")
            assert server.get("/" + own(number, "grubx64.efi")).body.endswith(b"grubx64.efi")
        assert tftp(server, own(SHIM, "shimx64.efi")).startswith(b"the tree's shim")
        rows = {(row["name"], row["hosts"]): row["file"] for row in server.verb("loaders", "list", "--json").json}
        assert rows[("shimx64.efi", 2)].endswith("/state/loaders/shimx64.efi")
        assert rows[("shimx64.efi", 1)].endswith("/media/t/EFI/BOOT/BOOTX64.EFI")
        assert server.verb("arm", name(ADDED)).status == 0
        assert server.verb("disarm", name(ADDED)).status == 0
    finally:
        assert server.verb("loaders", "remove", "shimx64.efi", "grubx64.efi").status == 0
    assert tftp_error(server, own(BARE, "shimx64.efi")) == ABSENT


def test_programs_for_everybody(server: Running) -> None:
    for file in ("undionly.kpxe", "snponly.efi"):
        assert tftp(server, file) == tftp(server, own(IPXE, file)) == GIVEN[file].encode()
        assert server.get(f"/loaders/{file}").body == GIVEN[file].encode()
    assert tftp_error(server, "loaders/undionly.kpxe") == ABSENT
    for file in ("", "shimx64.efi", "../key", "%2e%2e/key", "undionly.kpxe/", "x"):
        assert server.get(f"/loaders/{file}").status == 404, file


def test_pxelinux(server: Running) -> None:
    assert tftp(server, own(PXELINUX, "lpxelinux.0")) == b"lpxelinux"
    assert tftp(server, own(PXELINUX, "ldlinux.c32")) == b"its module"
    script = own(PXELINUX, f"pxelinux.cfg/01-{mac(PXELINUX).replace(':', '-')}")
    assert b"LOCALBOOT -1" in tftp(server, script) and b"LINUX" not in tftp(server, script)
    for other in ("01-02-00-00-00-00-99", "7F000001", "b8945908-d6a6-41a9-611d-74a6ab80b83d"):
        assert tftp_error(server, own(PXELINUX, f"pxelinux.cfg/{other}")) == ABSENT
    path = server.grant(name(PXELINUX))
    armed = tftp(server, script)
    assert b"LINUX http://127.0.0.1/media/t/images/pxeboot/vmlinuz" in armed and path.encode() in armed
    assert server.verb("disarm", name(PXELINUX)).status == 0
    assert b"LOCALBOOT -1" in tftp(server, script) and path.encode() not in tftp(server, script)


def test_the_script_of_grub_is_decided_on_when_it_is_asked_for(server: Running) -> None:
    """By TFTP as by HTTP, by the permission that iPXE has."""
    by_tftp, by_http = own(SHIM, "grub.cfg", ":"), "/" + own(SHIM, "grub.cfg")
    for script in (tftp(server, by_tftp), server.get(by_http).body):
        assert b"is not armed" in script and b"inst.ks" not in script and script.rstrip().endswith(b"exit 1")
    path = server.grant(name(SHIM))
    script = tftp(server, by_tftp, "127.0.0.7")
    assert path.encode() in script and b"/m/02-00-00-00-00-02/kernel" in script and script == server.get(by_http).body
    events = [event for event in server.recorded(name(SHIM)) if event.kind == "boot"]
    assert "127.0.0.7" in {event.address for event in events}, events
    assert server.get(path).status == 200  # the kickstart: the permission to boot is used up but for two retries
    assert until(lambda: b"is not armed" in tftp(server, by_tftp))
    assert b"is not armed" in server.get(by_http).body


def test_machines_that_nobody_knows_get_their_disk_and_are_recorded(server: Running) -> None:
    stranger = "m/02:00:00:00:77:01"
    assert b"is not armed" in tftp(server, f"{stranger}/grub.cfg")
    assert [event.mac for event in server.recorded() if event.kind == "discovered"] == ["02:00:00:00:77:01"]
    for file in ("shimx64.efi", "grubx64.efi", "kernel", "lpxelinux.0"):
        assert tftp_error(server, f"{stranger}/{file}") == ABSENT
        assert server.get(f"/{stranger}/{file}").status == 404
    assert tftp(server, f"{stranger}/undionly.kpxe") == b"iPXE"


def test_a_grub_that_looks_where_it_was_built_to_is_sent_on(server: Running) -> None:
    for path in ("/grub/grub.cfg", "grub2/grub.cfg", "boot/grub/grub.cfg", "EFI/redhat/grub.cfg", "EFI/BOOT/grub.cfg"):
        assert b"configfile /m/$net_default_mac/grub.cfg" in tftp(server, path)
    for path in ("/grub/x86_64-efi/http.mod", "grub.cfg", "EFI/../grub.cfg", "EFI/grub.cfg", "etc/grub/grub.cfg"):
        assert tftp_error(server, path) == ABSENT


def test_what_is_not_of_the_host_is_absent(server: Running) -> None:
    for number, file in (
        *((IPXE, file) for file in ("shimx64.efi", "kernel", "initrd", "lpxelinux.0")),
        *((HELD, file) for file in ("shimx64.efi", "grubx64.efi", "kernel")),
        *((SHIM, file) for file in ("mmx64.efi", "fbx64.efi", "revocations_sbat.efi", "shimaa64.efi", "lpxelinux.0")),
        *(
            (SHIM, file)
            for file in ("../../state/key", "..%2fkey", ".", "boot.ipxe", "kernel/", "BOOTX64.EFI", "\u00e9")
        ),
        (PXELINUX, "kernel"),
    ):
        assert tftp_error(server, own(number, file)) == ABSENT, (number, file)
        if file not in ("boot.ipxe", "\u00e9"):
            assert server.get("/" + own(number, file)).status == 404, (number, file)


def test_netascii_and_the_size_of_a_script(server: Running) -> None:
    with Client(server.tftp_port) as client:
        client.ask(own(IPXE, "grub.cfg"), "tsize", 0)
        assert int(client.oack()["tsize"]) == len(server.get("/" + own(IPXE, "grub.cfg")).body)
        client.ack(0)
        assert client.block() == 1
    with Client(server.tftp_port) as client:
        client.ask(own(IPXE, "grub.cfg"), mode="netascii")
        assert b"\r\n" in client.recv()


def test_questions_survive_the_worker_and_tftp(server: Running) -> None:
    """Whoever asks while one of them is being started again asks again, as machines do."""
    _, worker = http_pids(server)
    kill(worker)
    assert tftp(server, "undionly.kpxe") == b"iPXE", "iPXE needs no worker"
    wanted = FILES["media/t/EFI/BOOT/grubx64.efi"].encode()
    assert until(lambda: b"is not armed" in tftp(server, own(IPXE, "grub.cfg")), 60)
    assert until(lambda: server.get("/" + own(SHIM, "grubx64.efi")).body == wanted, 60)
    kill(tftp_pid(server))
    assert until(lambda: tftp(server, own(SHIM, "grubx64.efi")) == wanted, 60)


def test_hostile_names_cost_nothing(server: Running) -> None:
    """Names of hosts' files that were bent, of many machines at a time: each gets an answer or silence, and nothing
    stays open."""
    rng = random.Random(20_261_127)
    good = [own(SHIM, "shimx64.efi"), own(SHIM, "grub.cfg"), own(PXELINUX, "pxelinux.cfg/default"), "grub/grub.cfg"]
    pieces = (
        "..",
        "/",
        "//",
        "%2e",
        "%00",
        "\n",
        "\x1b[2J",
        "m/",
        ":",
        "-",
        "é",
        "\U0001f4a9",
        "a" * 300,
        ";",
        "$",
        "*",
    )
    pids = (*http_pids(server), tftp_pid(server))
    tftp(server, own(SHIM, "shimx64.efi"))
    before = {pid: size(pid) for pid in pids}
    for _ in range(40):
        clients = [Client(server.tftp_port) for _ in range(20)]
        for client in clients:
            text = rng.choice(good)
            for _ in range(rng.randrange(4)):
                at = rng.randrange(len(text) + 1)
                text = text[:at] + rng.choice(pieces) + text[at + rng.randrange(3) :]
            client.ask(text)
        for client in clients:
            packet = client.recv(0.2)
            assert packet[:2] in (b"", b"\0\3", b"\0\5"), packet
            assert server.env.get("BOOTFORGE_ROOT_HASH", "$6$").encode() not in packet
            if packet[:2] == b"\0\3":
                client.send(b"\0\5\0\0enough\0")
            client.sock.close()
    assert (*http_pids(server), tftp_pid(server)) == pids, "a process died"
    for pid, (descriptors, memory) in before.items():
        assert until(lambda pid=pid, most=descriptors + 8: size(pid)[0] <= most, 60), (descriptors, size(pid))
        assert size(pid)[1] <= memory + 16 * 1024
    assert tftp(server, own(SHIM, "shimx64.efi")) == FILES["media/t/EFI/BOOT/BOOTX64.EFI"].encode()
    log = server.log.read_text()
    assert "Traceback" not in log and "fault of this server" not in log
    assert all(line.isprintable() for line in log.splitlines())
