"""What the tests of the server's edge share: a site whose network is loopback, and its hosts by number."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from tests.support import SMALL, Answer, Running, write_site

KEY = (SMALL / "keys" / "ops.pub").read_text()

SITE = """\
schema: 1
environments: {prod: {}}
names: ["{role}{n:int}.{env}.example.com"]
networks:
  lan: {subnet: 127.0.0.0/8, server: "http://127.0.0.1"}
  san: {subnet: 10.9.0.0/24}
secrets:
  root_hash: {env: BOOTFORGE_ROOT_HASH}
  absent: {env: BOOTFORGE_TEST_ABSENT}
  plain: {env: BOOTFORGE_TEST_PLAIN}
policy: {mismatch: refuse}
defaults:
  profile: rocky9
  layout: lvm
  timezone: America/Denver
  root_password: {secret: root_hash}
"""

ABSENT, PLAIN, SANBOOT = 90, 91, 92
"""The numbers of hosts whose secret is not in the environment, is no hash, and whose loader boots the disk itself."""


def name(number: int) -> str:
    return f"web{number}.prod.example.com"


def mac(number: int) -> str:
    """The booting nic's; a host's other nic has 03 in front."""
    return f"02:00:00:00:00:{number:02x}"


def planned(number: int) -> str:
    """The address that the plan gives a host; every other address of loopback is a stranger's or a lease."""
    return f"127.0.9.{number}"


def host(number: int, more: str = "") -> str:
    san = "02:00:00:00:03" + mac(number)[-3:]
    nics = f"{{lan: {{mac: '{mac(number)}', address: {planned(number)}}}, san: {{mac: '{san}', network: san}}}}"
    return f"{name(number)}:\n  serial: SN-{number}\n  nics: {nics}\n{more}"


def edge_site(root: Path, hosts: int = 60) -> Path:
    """web1 ... web60, two whose secrets cannot be had, and one with a way of its own to the disk."""
    numbered = [host(number) for number in range(1, hosts + 1)]
    numbered += [host(ABSENT, "  root_password: {secret: absent}\n"), host(PLAIN, "  root_password: {secret: plain}\n")]
    numbered.append(host(SANBOOT, "  machine: {local_boot: sanboot}\n"))
    files = {"site.yaml": SITE, "roles/web.yaml": "nics: {lan: {network: lan}}\n", "hosts/web.yaml": "".join(numbered)}
    return write_site(root, files)


def netboot(server: Running, number: int, source: str = "127.0.0.1") -> Answer:
    return server.get(f"/m/{mac(number)}/boot.ipxe", source)


def is_local(answer: Answer) -> bool:
    """Whether a netboot script boots the local disk, and nothing else."""
    assert answer.status == 200 and answer.body.startswith(b"#!ipxe\n")
    assert b"inst.ks" not in answer.body or b"kernel " in answer.body
    return b"kernel " not in answer.body and answer.body.rstrip().endswith(b"exit 1")


def until(condition: Callable[[], bool], seconds: float = 10) -> bool:
    """Waits for a condition, and says whether it came; what is not there yet may fail."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with suppress(OSError, LookupError):
            if condition():
                return True
        time.sleep(0.05)
    return False


def parents() -> dict[int, int]:
    """Every process and its parent."""
    found = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue
    return found


def children(pid: int) -> list[int]:
    return sorted(child for child, parent in parents().items() if parent == pid)


def http_pids(server: Running) -> tuple[int, int]:
    """The process that keeps the HTTP worker, and the worker."""
    for child in children(server.process.pid):
        if workers := children(child):
            return child, workers[0]
    raise LookupError(f"no HTTP worker below {server.process.pid}")


def child_pid(server: Running, name: str) -> int:
    """A child of the supervisor by its name: front, http or tftp."""
    found = [pid for pid in children(server.process.pid) if _name(pid) == f"bootforge-{name}"]
    if len(found) != 1:
        raise LookupError(f"{len(found)} processes {name} below {server.process.pid}")
    return found[0]


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""


def tftp_pid(server: Running) -> int:
    return child_pid(server, "tftp")


def front_pid(server: Running) -> int:
    return child_pid(server, "front")


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def state_bytes(*places: Path) -> Iterator[tuple[Path, bytes]]:
    """Every file below the places and its content, the names of files included."""
    for place in places:
        for path in [place, *place.rglob("*")]:
            content = path.read_bytes() if path.is_file() else b""
            yield path, content + str(path.relative_to(place)).encode()
