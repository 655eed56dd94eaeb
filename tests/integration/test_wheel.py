"""The wheel, installed alone in a fresh environment, does what a checkout does."""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest

from tests.support import ROOT, environment


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin directory of an environment that holds the wheel and its dependencies, and nothing of ours else."""
    base = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(base), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    (wheel,) = base.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", base / "venv"], check=True, timeout=120)
    pip = [base / "venv/bin/pip", "install", "-q", "--disable-pip-version-check", wheel]
    subprocess.run(pip, check=True, capture_output=True, timeout=300)
    return base / "venv" / "bin"


def test_the_wheel_alone_checks_and_serves_the_site_that_init_writes(installed: Path, tmp_path: Path) -> None:
    bootforge, site, store = installed / "bootforge", tmp_path / "site", f"sqlite:///{tmp_path}/store.db"
    env = environment(BOOTFORGE_SITE=str(site), BOOTFORGE_STORE=store)

    def run(*args: str) -> str:
        done = subprocess.run([bootforge, *args], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("init", str(site))
    assert run("check") == ""
    assert "rootpw --iscrypted @secret:root_hash@" in run("render", "web01.prod.example.com", "kickstart")
    command = [bootforge, "serve", "--bind", "127.0.0.1", "--http-port", "0", "--tftp-port", "0"]
    server = subprocess.Popen(
        command, env=env, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    try:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        for _ in range(100):
            try:
                script = urllib.request.urlopen(f"{url}m/52:54:00:00:00:01/boot.ipxe", timeout=5).read()
                break
            except OSError:
                time.sleep(0.1)
        assert b"web01.prod.example.com is not armed" in script
    finally:
        server.terminate()
        assert server.wait(40) == 0
