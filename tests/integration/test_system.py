"""Settings of the system with the real kernel: sysctl keys of a network namespace."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.shell.test_system import steps_of
from tests.shell.world import script_of
from tests.support import need

SETTINGS = {
    "net.ipv4.ip_forward": "1",
    "net.ipv4.tcp_rmem": "4096 90000 500000",
    "net.ipv4.conf.nic0/1.rp_filter": "2",
}


def test_the_kernel_has_what_the_site_says(tmp_path: Path) -> None:
    """In a namespace of its own, below a root whose /proc is the real one; a nic has a dot in its name."""
    need("unshare", "ip", "dash")
    if os.geteuid():
        pytest.skip("a network namespace needs root")
    script, root = tmp_path / "b", tmp_path / "root"
    (root / "proc").mkdir(parents=True)
    script.write_text(script_of(steps_of("el9", "sysctl-live", sysctl=SETTINGS)))
    inside = f"""
        ip link add nic0.1 type veth && mount -t proc proc {root}/proc || exit 99
        BF_ROOT={root} dash {script} --check; echo "was $?"
        BF_ROOT={root} dash {script}; echo "ran $?"
        BF_ROOT={root} dash {script} --check; echo "is $?"
        cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/tcp_rmem /proc/sys/net/ipv4/conf/nic0.1/rp_filter
    """
    command = [shutil.which("unshare") or "unshare", "-n", "-m", "-p", "-f", "sh", "-c", inside]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode == 99:
        pytest.skip(f"no namespace here: {done.stderr}")
    lines = done.stdout.splitlines()
    assert [line for line in lines if line.startswith(("was ", "ran ", "is "))] == ["was 1", "ran 0", "is 0"], done
    assert [line.split() for line in lines[-3:]] == [["1"], ["4096", "90000", "500000"], ["2"]]
