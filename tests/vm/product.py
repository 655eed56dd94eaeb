"""Bootforge in a lab, run the way an operator runs it: by its command line and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from bootforge.generation import build_generation
from bootforge.seal import seal
from bootforge.serve.keeper import Served
from bootforge.serve.netboot import make_grant
from bootforge.state import server_key
from bootforge.store import open_store
from tests.vm import lab as vm

SITE = Path(__file__).parent / "site"
BOOTFORGE = (sys.executable, "-m", "bootforge")
ROOT_HASH = "$6$bootforge.lab$" + "x" * 86


class Bootforge:
    """The product in a lab, with a store of its own; verbs find site and store in the environment."""

    def __init__(self, lab: vm.Lab, *more: str) -> None:
        """``more``: options of ``serve``."""
        self.lab = lab
        options = (*more, "--bind", vm.SERVER, "--http-port", "80", "--tftp-port", "69")
        self.server = lab.start("serve", *BOOTFORGE, "serve", *options)
        self.server.wait_for(r"^tftp://\S+", 15 * vm.PATIENCE)

    def __call__(self, *words: str) -> str:
        """``bootforge WORDS``: what it printed. Anything but success fails the test."""
        done = self.lab.run(*BOOTFORGE, *words)
        assert done.returncode == 0, f"bootforge {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    def json(self, *words: str) -> Any:
        return json.loads(self(*words, "--json"))


def serve(lab: vm.Lab, site: Path, monkeypatch: pytest.MonkeyPatch) -> Bootforge:
    """HTTP and TFTP by Bootforge, DHCP by dnsmasq with the file that Bootforge prints, and an install tree."""
    monkeypatch.setenv("BOOTFORGE_SITE", str(site))
    monkeypatch.setenv("BOOTFORGE_STORE", f"sqlite:///{lab.directory}/store.db")
    monkeypatch.setenv("BOOTFORGE_ROOT_HASH", ROOT_HASH)
    product = Bootforge(lab)
    lab.media()
    lab.dnsmasq(product("dhcp", "dnsmasq"))
    return product


def kickstart_digest(host: str, site: Path = SITE) -> str:
    """What an armed host must get, made anew from the site and sealed for the host's newest grant."""
    url = os.environ["BOOTFORGE_STORE"]
    served = Served(build_generation(site))
    store = open_store(url)
    [status] = store.status([host])
    store.close()
    grant = make_grant(served.generation.plan(host), status.grant.id, server_key(url), served, status.grant.wiped)
    return hashlib.sha256(seal(served.generation.artifact(host, "kickstart"), grant, served.vault)).hexdigest()
