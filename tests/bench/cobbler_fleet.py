"""Cobbler's cost for N systems by its own Python interface, without its daemon and web server, which only add to it.
Prints CPU seconds for each system as one line of JSON. Run by cobbler_fleet.sh with a Python that has Cobbler."""

import json
import logging
import os
import statistics
import sys
import tempfile
import time
from importlib.metadata import version

from cobbler.api import CobblerAPI
from cobbler.autoinstallgen import AutoInstallationGen


def used():
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(count):
    logging.disable(logging.WARNING)  # in its favour: it logs every snippet that it does not find
    api = CobblerAPI(is_cobblerd=True)
    tree = tempfile.mkdtemp()
    for name in ("vmlinuz", "initrd.img"):
        with open(os.path.join(tree, name), "wb") as file:
            file.write(b"x" * 1000)
    distro = api.new_distro()
    distro.name, distro.arch, distro.breed, distro.os_version = "rocky9", "x86_64", "redhat", "rhel9"
    distro.kernel, distro.initrd = os.path.join(tree, "vmlinuz"), os.path.join(tree, "initrd.img")
    distro.autoinstall_meta = {"tree": "http://mirror.example.com/rocky9"}
    api.add_distro(distro)
    profile = api.new_profile()
    profile.name, profile.distro, profile.autoinstall = "rocky9", "rocky9", "sample.ks"
    api.add_profile(profile)
    for index in range(count):
        system = api.new_system()
        system.name, system.profile, system.netboot_enabled = f"web{index}", "rocky9", True
        system.hostname, system.gateway = f"web{index}.example.com", "10.0.0.1"
        system.name_servers = ["10.0.0.2", "10.0.0.3"]
        for nic in range(2):
            octets = (2 * index + nic).to_bytes(3, "big")
            mac = "00:16:3e:" + ":".join(f"{octet:02x}" for octet in octets)
            address = f"10.{1 + nic}.{index // 250}.{index % 250 + 1}"
            interface = {
                "macaddress": mac, "ipaddress": address, "netmask": "255.255.0.0", "static": True, "dnsname": "",
            }  # fmt: skip
            system.modify_interface({f"{key}-eth{nic}": value for key, value in interface.items()})
        api.add_system(system, with_sync=False, with_triggers=False)
    generator = AutoInstallationGen(api)
    assert "clearpart" in generator.generate_autoinstall_for_system("web0")
    times = []
    for index in range(min(count, 300)):
        start = time.process_time()
        generator.generate_autoinstall_for_system(f"web{index}")
        times.append(time.process_time() - start)
    sync = []
    for _ in range(2):
        start = used()
        api.sync()
        sync.append((used() - start) / count)
    found = {"version": version("cobbler"), "kickstart": statistics.median(times)}
    print("\n" + json.dumps({**found, "sync": sync[0], "sync again": sync[1]}))


main(int(sys.argv[1]))
