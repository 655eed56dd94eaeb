"""A lab for each test, and Bootforge in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.vm import lab as vm
from tests.vm.product import ROOT_HASH, SITE, Bootforge


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[vm.Lab]:
    lacking = vm.missing()
    if lacking and os.environ.get("CI"):
        pytest.fail(f"CI must have what the VM tests need: {', '.join(lacking)}")
    if lacking:
        pytest.skip(f"no virtual machines here, missing: {', '.join(lacking)}")
    with vm.Lab(tmp_path) as running:
        yield running


@pytest.fixture
def bootforge(served: Bootforge) -> Bootforge:
    """A served lab whose DHCP is dnsmasq with the file that Bootforge prints."""
    served.lab.dnsmasq(served("dhcp", "dnsmasq"))
    return served


@pytest.fixture
def served(lab: vm.Lab, monkeypatch: pytest.MonkeyPatch) -> Bootforge:
    """HTTP and TFTP by Bootforge, and an install tree."""
    return start(lab, monkeypatch)


def start(lab: vm.Lab, monkeypatch: pytest.MonkeyPatch, *options: str) -> Bootforge:
    """``serve`` with options, and an install tree."""
    monkeypatch.setenv("BOOTFORGE_SITE", str(SITE))
    monkeypatch.setenv("BOOTFORGE_STORE", f"sqlite:///{lab.directory}/store.db")
    monkeypatch.setenv("BOOTFORGE_ROOT_HASH", ROOT_HASH)
    product = Bootforge(lab, *options)
    lab.media()
    return product
