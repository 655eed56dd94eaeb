"""A machine on which the bootstrap of a whole host of the small site can run: every stand-in that its steps ask."""

from __future__ import annotations

from pathlib import Path

from tests.shell import test_accounts, test_network_step, test_packages, test_security
from tests.shell.test_system import unit
from tests.shell.world import World


def whole_host(at: Path) -> World:
    """What an installer leaves: accounts, zones, chrony, SELinux, firewalld, a repository that has what is wanted."""
    world = World(at)
    test_accounts.prepare(world)
    test_packages.prepare(world)
    test_security.prepare_selinux(world)
    test_security.prepare_firewalld(world)
    test_network_step.prepare(world)
    (world.fake / "offered").write_text("httpd 1\nmod_ssl 1\n")
    world.write("usr/share/zoneinfo/America/Denver", "TZif2\n")
    world.write("etc/chrony.conf", "pool 2.rocky.pool.ntp.org iburst\ndriftfile /var/lib/chrony/drift\n")
    unit("chronyd", "enabled", "active")(world)
    return world
