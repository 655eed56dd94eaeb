"""The lab of vagrant/: Vagrant itself reads it, for both providers, and its machines are those of the example site."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from bootforge.generation import Generation, build_generation
from tests.support import EXAMPLE, ROOT, environment, need
from tests.verbs import commands

VAGRANT = ROOT / "vagrant"
PROVIDERS = ("libvirt", "virtualbox")
CLIENT = re.compile(r'^  "(\w+)" => \{firmware: "(\w+)", .*?disks: (\d).*?nics: \{(.*?)\}\}', re.MULTILINE | re.DOTALL)
NIC = re.compile(r'"([0-9a-f:]{17})" => "([0-9.]+)"')


def validate(directory: Path, provider: str, scratch: Path) -> subprocess.CompletedProcess[str]:
    """'vagrant validate'. Of VirtualBox, which Debian has not, it asks for a version before it looks at anything."""
    tools = scratch / "bin"
    tools.mkdir(exist_ok=True)
    manage = tools / "VBoxManage"
    manage.write_text("#!/bin/sh\necho 7.0.20r163906\n")
    manage.chmod(0o755)
    own = {"HOME": str(scratch), "VAGRANT_HOME": str(scratch / "home"), "VAGRANT_DOTFILE_PATH": str(scratch / "dot")}
    env = environment(**own, VAGRANT_DEFAULT_PROVIDER=provider, VAGRANT_CHECKPOINT_DISABLE="1")
    env["PATH"] = f"{tools}:{env['PATH']}"
    return subprocess.run(["vagrant", "validate"], cwd=directory, env=env, capture_output=True, text=True, timeout=300)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_vagrant_takes_the_lab(tmp_path: Path, provider: str) -> None:
    """And would refuse it with a setting that the provider has not."""
    need("vagrant")
    done = validate(VAGRANT, provider, tmp_path)
    if "vagrant-libvirt" in done.stderr and provider == "libvirt":
        need("vagrant-libvirt (the plugin)")
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "validated successfully" in done.stdout

    wrong = tmp_path / "wrong"
    shutil.copytree(VAGRANT, wrong, ignore=shutil.ignore_patterns(".vagrant", "site"))
    name = {"libvirt": "domain", "virtualbox": "vb"}[provider]
    text = (wrong / "Vagrantfile").read_text()
    (wrong / "Vagrantfile").write_text(text.replace(f"{name}.memory = client", f"{name}.memori = client"))
    done = validate(wrong, provider, tmp_path)
    assert done.returncode != 0 and "memori" in done.stdout + done.stderr


@pytest.fixture(scope="module")
def example() -> Generation:
    return build_generation(EXAMPLE)


def test_the_machines_of_the_lab_are_hosts_of_the_example(example: Generation) -> None:
    """By MAC address, firmware and disks; one is a stranger. Both kinds of firmware are there."""
    found = CLIENT.findall((VAGRANT / "Vagrantfile").read_text())
    assert {name for name, *_ in found} == {"web02", "xen01", "stranger"}
    assert {firmware for _, firmware, *_ in found} == {"bios", "uefi"}
    for name, firmware, disks, nics in found:
        macs = NIC.findall(nics)
        hosts = {example.by_mac.get(mac) for mac, _ in macs}
        if name == "stranger":
            assert hosts == {None}
            continue
        (host,) = hosts
        assert host and host.startswith(f"{name}.")
        plan = example.plan(host)
        assert plan.boot_mac.text == macs[0][0] and str(plan.boot_nic.address).startswith(f"{macs[0][1]}/")
        assert {mac for mac, _ in macs} == {nic.mac.text for nic in plan.nics if nic.mac and nic.kind == "physical"}
        assert example.host(host).spec.machine.firmware == firmware
        assert len(plan.install.disks.numbers) == int(disks)


def test_the_server_of_the_lab_is_that_of_the_example(example: Generation) -> None:
    lan = example.site.networks["den-lan"]
    vagrantfile, provision = ((VAGRANT / name).read_text() for name in ("Vagrantfile", "provision.sh"))
    assert lan.server == "http://10.2.0.5" and f'ip: "10.2.0.5", netmask: "{lan.subnet.netmask}"' in vagrantfile
    assert f"for address in {lan.gateway} {lan.dns[0]}; do" in provision
    assert f"ip saddr {lan.subnet} " in provision and f'"$address/{lan.subnet.prefixlen}"' in provision
    urls = [str(repo.url) for repo in example.site.repos.values()]
    assert all(url.startswith("http://packages.example.com/") for url in urls)
    assert f"--host-record=packages.example.com,{lan.dns[0]}\n" in provision


def test_the_server_is_started_with_options_that_there_are() -> None:
    (line,) = re.findall(r"^ExecStart=/opt/bootforge/bin/bootforge (.*)$", (VAGRANT / "provision.sh").read_text(), re.M)
    verb, *words = line.split()
    known = {name for option in commands()[verb].params for name in option.opts}
    assert {word for word in words if word.startswith("--")} <= known
