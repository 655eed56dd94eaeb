"""What TFTP costs beside dnsmasq, by the benchmark itself: ratios of CPU, so other work matters little."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support import ROOT, need


def test_tftp_costs_no_more_than_it_may() -> None:
    need("dnsmasq", "ip", "ethtool", "taskset")
    if os.geteuid():
        pytest.skip("no network namespaces without root")
    loads = ("lock-step", "window 4", "window 16")
    options = ("--rounds", "3", "--share", "0.15", "--only", "bootforge", "dnsmasq", "--workload", *loads)
    command = [sys.executable, ROOT / "tests/bench/storm.py", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": met") == 3 and "nan" not in done.stdout, done.stdout


def test_a_range_costs_no_more_than_it_may() -> None:
    need("nginx", "ip", "ethtool", "taskset")
    if os.geteuid():
        pytest.skip("no network namespaces without root")
    options = ("http", "--rounds", "3", "--share", "0.3", "--workload", "ranged, 60 MiB")
    command = [sys.executable, ROOT / "tests/bench/storm.py", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count(": met") == 1 and "nan" not in done.stdout, done.stdout
