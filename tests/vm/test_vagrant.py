"""The machines of vagrant/Vagrantfile as Vagrant and libvirt make them, in namespaces of their own: a BIOS and a UEFI
ask a server of the example site what to boot.

There is no /dev/kvm and no box here, so QEMU emulates the processor, and the server is not the lab's own machine but
this one, on the lab's bridge. libvirt wants iptables for its networks; for one that leads nowhere, one that does
nothing will do.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import EXAMPLE, ROOT, ROOT_HASH, environment, need

pytestmark = [pytest.mark.vm, pytest.mark.slow]

_SCRIPT = r"""
scratch=$1 bootforge="$2 -m bootforge"
mount --make-rprivate /
mkdir -p "$scratch/sbin" "$scratch/libvirt"
mount -t tmpfs tmpfs "$scratch/sbin"
mkdir "$scratch/sbin/new" "$scratch/sbin/work"
for name in iptables ip6tables ebtables; do
    printf '#!/bin/sh\nexit 0\n' >"$scratch/sbin/new/$name"
    chmod 755 "$scratch/sbin/new/$name"
done
mount -t overlay overlay -o "lowerdir=/usr/sbin,upperdir=$scratch/sbin/new,workdir=$scratch/sbin/work" /usr/sbin
mkdir -p /var/lib/libvirt /etc/libvirt
for at in /run /var/lib/libvirt /var/cache /var/log /etc/libvirt; do mount -t tmpfs tmpfs "$at"; done
printf '%s\n' 'user = "root"' 'group = "root"' 'security_driver = "none"' 'stdio_handler = "file"' \
    >/etc/libvirt/qemu.conf
cp /etc/passwd /etc/group /run/
echo 'libvirt-qemu:x:64055:64055::/:/bin/false' >>/run/passwd
echo 'libvirt-qemu:x:64055:' >>/run/group
for name in passwd group; do mount --bind "/run/$name" "/etc/$name"; done
ip link set lo up
virsh() { command virsh -q -c qemu:///system "$@"; }
libvirtd >"$scratch/libvirtd.log" 2>&1 &
waited=0
until virsh list >/dev/null 2>&1 || [ $waited -gt 120 ]; do sleep 1; waited=$((waited + 1)); done
mkdir -p /var/lib/libvirt/images
virsh pool-define-as default dir --target /var/lib/libvirt/images
virsh pool-start default

cd "$scratch/vagrant" || exit 1
vagrant up xen01 || exit 1
bridge=$(virsh net-info bootforge-lab | sed -n 's/^Bridge: *//p')
ip address show dev "$bridge"
ip address add 10.2.0.5/20 dev "$bridge"
$bootforge serve --bind 10.2.0.5 >"$scratch/serve.log" 2>&1 &
$bootforge dhcp dnsmasq >"$scratch/dnsmasq.conf"
dnsmasq --keep-in-foreground --conf-file="$scratch/dnsmasq.conf" --no-ping --pid-file= \
    --dhcp-leasefile="$scratch/leases" >"$scratch/dnsmasq.log" 2>&1 &
waited=0
until grep -q '^tftp://' "$scratch/serve.log" || [ $waited -gt 120 ]; do sleep 1; waited=$((waited + 1)); done
$bootforge arm web02.prod.den.example.com
virsh reset "$(virsh list --name | grep xen01)"
vagrant up web02 || exit 1
waited=0
came() { grep -q ' local  xen01.den' "$scratch/events" && grep -q ' boot  web02' "$scratch/events"; }
until $bootforge events >"$scratch/events" && came || [ $waited -gt 300 ]; do
    sleep 5
    waited=$((waited + 5))
done
cat "$scratch/events"
vagrant destroy -f web02 xen01
echo "left: $(virsh list --all --name)"
"""


def test_the_machines_of_the_lab_ask_what_to_boot(tmp_path: Path) -> None:
    need("vagrant", "libvirtd", "virsh", "dnsmasq", "qemu-system-x86_64")
    if os.geteuid() != 0:
        need("root")
    lab = tmp_path / "vagrant"
    lab.mkdir()
    text = (ROOT / "vagrant/Vagrantfile").read_text()
    emulated = 'domain.driver = "qemu"; domain.cpu_mode = "custom"; domain.cpu_model = "qemu64"'
    assert 'domain.cpu_mode = "host-passthrough"' in text
    (lab / "Vagrantfile").write_text(text.replace('domain.cpu_mode = "host-passthrough"', emulated))
    env = environment(
        HOME=str(tmp_path),
        VAGRANT_HOME=str(tmp_path / "home"),
        VAGRANT_DEFAULT_PROVIDER="libvirt",
        VAGRANT_CHECKPOINT_DISABLE="1",
        BOOTFORGE_SITE=str(EXAMPLE),
        BOOTFORGE_STORE=f"sqlite:///{tmp_path}/store.db",
        BOOTFORGE_ROOT_HASH=ROOT_HASH,
    )
    apart = ["unshare", "-m", "-n", "-p", "-f", "--kill-child", "--mount-proc", "sh", "-c"]
    command = [*apart, _SCRIPT, "lab", str(tmp_path), sys.executable]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=1200, cwd=ROOT)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert "inet " not in done.stdout.partition("armed")[0], "the network has no address of the host's"
    assert "  local  xen01.den.example.com  10.2.0.11  not armed\n" in done.stdout, told
    assert "  boot  web02.prod.den.example.com  10.2.2.2\n" in done.stdout, told
    assert done.stdout.endswith("left: \n"), told
