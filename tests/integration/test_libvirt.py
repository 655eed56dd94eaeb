"""A host of KVM guests with the real libvirt: what the bootstrap's steps of guests do, in a mount namespace of its own.

There is no /dev/kvm where tests run, so the definitions say ``qemu`` instead of ``kvm`` and name no model of processor;
everything else of them libvirt has to take as it is.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from tests.guests.matrix import generations
from tests.shell.world import script_of
from tests.support import need

HOST = "host03.lab.example.com"
EDITED, GONE = "guest36.lab.example.com", "guest33.lab.example.com"

_SCRIPT = r"""
mount --make-rprivate /
for at in /run /var/lib /var/cache /var/log /etc/libvirt; do mount -t tmpfs tmpfs "$at"; done
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' >/etc/libvirt/qemu.conf
cp /etc/passwd /etc/group /run/
echo 'libvirt-qemu:x:64055:64055::/:/bin/false' >>/run/passwd
echo 'libvirt-qemu:x:64055:' >>/run/group
for name in passwd group; do mount --bind "/run/$name" "/etc/$name"; done
libvirtd >"$1/libvirtd.log" 2>&1 &
daemon=$!
waited=0
until virsh -q -c qemu:///system list >/dev/null 2>&1 || [ $waited -gt 120 ]; do sleep 1; waited=$((waited + 1)); done
run() {
    echo "== $1"
    BF_ROOT=$2/root dash "$2/$3"
    echo "status $?"
}
run first "$1" both
run again "$1" both
virsh -q -c qemu:///system dumpxml --inactive EDITED | sed 's/2097152/1048576/' >"$1/edited.xml"
virsh -q -c qemu:///system define "$1/edited.xml"
virsh -q -c qemu:///system autostart --disable guest31.lab.example.com
run drifted "$1" both
run mended "$1" both
run moved "$1" one
echo "== left"
virsh -q -c qemu:///system list --all --name
echo "== memory"
virsh -q -c qemu:///system dominfo EDITED | sed -n 's/^Max memory: *//p'
echo "== end"
kill $daemon
wait $daemon
"""


def as_qemu(script: str) -> str:
    for old, new in (('<domain type="kvm">', '<domain type="qemu">'), ('  <cpu mode="host-model" />\n', "")):
        assert old in script
        script = script.replace(old, new)
    return script


def test_libvirt_takes_keeps_and_forgets_guests(tmp_path: Path) -> None:
    need("libvirtd", "virsh", "unshare", "dash", "qemu-system-x86_64")
    if os.geteuid():
        pytest.skip("libvirtd of our own needs root")
    plan = generations()[0].plan(HOST)
    steps = tuple(step for step in plan.steps if step.id.partition(":")[0] in ("guests", "guests-defined"))
    names = [step.id.partition(":")[2] for step in steps if step.id.startswith("guests-defined:")]
    assert len(names) == 7 and GONE in names
    left = tuple(name for name in names if name != GONE)
    fewer = tuple(replace(step, args=left) if step.id == "guests" else step for step in steps if GONE not in step.id)
    for name, chosen in (("both", steps), ("one", fewer)):
        (tmp_path / name).write_text(as_qemu(script_of(chosen)))
    (tmp_path / "root").mkdir()
    (tmp_path / "test.sh").write_text(_SCRIPT.replace("EDITED", EDITED))
    done = subprocess.run(
        ["unshare", "-m", "bash", tmp_path / "test.sh", tmp_path],
        capture_output=True,
        text=True,
        timeout=900,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"},
    )
    parts = dict(re.findall(r"^== (\w+)\n(.*?)(?=^== )", done.stdout, re.MULTILINE | re.DOTALL))
    log = (tmp_path / "libvirtd.log").read_text()
    assert "end" in done.stdout and len(parts) == 7, f"{done.stdout}{done.stderr}{log}"
    for name in ("first", "again", "drifted", "mended", "moved"):
        assert parts[name].endswith("status 0\n"), f"{name}: {parts[name]}{log}"
    changed = {name: re.findall(r"^changed\t\d+\t(\S+)\t(.*)$", text, re.MULTILINE) for name, text in parts.items()}
    assert {step for step, _ in changed["first"]} >= {f"guests-defined:{name}" for name in names}
    assert changed["again"] == changed["mended"] == []
    assert changed["drifted"] == [
        ("guests-defined:guest31.lab.example.com", "guest31.lab.example.com (started at boot)"),
        (f"guests-defined:{EDITED}", f"{EDITED} (defined)"),
    ]
    files = f"/etc/bootforge/libvirt/{GONE}.xml (removed), /etc/bootforge/guests"
    assert changed["moved"][0] == ("guests", f"{GONE} (undefined), {files}")
    assert parts["left"].split() == sorted(set(names) - {GONE})
    assert parts["memory"] == "2097152 KiB\n"
