"""Accounts by the system's own useradd, usermod, chpasswd, runuser and visudo: in a copy of this machine's root that
only this test sees, an overlay in a mount namespace of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootforge.model_steps import Step
from tests.shell.test_accounts import DBA, GECOS, HOSTILE, KEY, SUDO, keys, sudo, user
from tests.shell.world import Ran, script_of
from tests.support import need

TOOLS = ("unshare", "useradd", "usermod", "userdel", "groupadd", "chpasswd", "pwconv", "runuser", "visudo", "openssl")
ALICE = user("alice", 5001, "dba", "sudo", gecos=GECOS, secret="alice_hash")
CAROL = user("carol", 5003, "dba", member="only", login="/usr/sbin/nologin", home="/srv/people/carol")
STEPS = (
    DBA,
    ALICE,
    CAROL,
    keys("root", 0, "/root", "exclusive", KEY.format("R", "ops")),
    keys("alice", 5001, "/home/alice", "additive", HOSTILE),
    keys("carol", 5003, "/srv/people/carol", "additive", KEY.format("S", "carol")),
    sudo("ops", SUDO.replace("%wheel", "alice")),
    Step("sudo", "only", ("/etc/sudoers.d", "bootforge-ops"), ()),
)


class Copy:
    """The machine's root, as it is, with what was changed in it below ``at``."""

    def __init__(self, at: Path) -> None:
        self.at = at
        for name in ("upper", "work", "root"):
            (at / name).mkdir()

    def sh(self, code: str) -> Ran:
        mounts = (
            f"cd {self.at} && mount -t overlay overlay -o lowerdir=/,upperdir=upper,workdir=work root &&"
            " mount --rbind /proc root/proc && mount --rbind /dev root/dev && exec chroot root sh -c"
        )
        command = ["unshare", "-m", "sh", "-c", f"{mounts} {shlex.quote(code)}"]
        path = "/usr/sbin:/usr/bin:/sbin:/bin"
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env={"PATH": path, "LC_ALL": "C"})
        return Ran(done.returncode, done.stdout, done.stderr)

    def bootstrap(self, steps: tuple[Step, ...], *args: str) -> Ran:
        (self.at / "upper/bootstrap").write_text(script_of(steps))
        return self.sh(shlex.join(["sh", "/bootstrap", *args]))

    def says(self, code: str) -> str:
        done = self.sh(code)
        assert done.status == 0, (code, done)
        return done.out.rstrip("\n")


@pytest.fixture
def copy(tmp_path: Path) -> Iterator[Copy]:
    need(*TOOLS)
    if os.geteuid():
        pytest.skip("mounts need root")
    at = tmp_path / "copy"
    at.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", at], check=True)
    try:
        copy = Copy(at)
        copy.says("rm -rf /root/.ssh /srv/people /home/alice; mkdir -p /etc/skel && echo x >/etc/skel/.bf-test")
        yield copy
    finally:
        subprocess.run(["umount", at], check=True)


def test_accounts_with_the_real_tools(copy: Copy) -> None:
    hashed = copy.says("umask 077; mkdir /secrets; openssl passwd -6 -salt abc 'pass word' | tee /secrets/alice_hash")
    before = copy.says("cat /etc/passwd /etc/group /etc/shadow")
    checked = copy.bootstrap(STEPS, "--check", "--diff")
    assert (checked.status, checked.err) == (1, "") and copy.says("cat /etc/passwd /etc/group /etc/shadow") == before
    ran = copy.bootstrap(STEPS, "--phase", "install", "--secrets", "/secrets")
    assert (ran.status, ran.err) == (0, ""), ran
    assert {id for id, s in checked.statuses.items() if s == "would"} == {
        id for id, s in ran.statuses.items() if s == "changed"
    }
    assert copy.says("getent passwd alice") == f"alice:x:5001:5001:{GECOS}:/home/alice:/bin/bash"
    assert copy.says("id -Gn alice; id -Gn carol").splitlines() == ["alice sudo dba", "carol dba"]
    assert copy.says("getent shadow alice | cut -d: -f2") == hashed
    assert copy.says("getent shadow carol | cut -d: -f2").startswith("!")
    stat = "stat -c '%a %U:%G %n' /home/alice /home/alice/.bf-test /home/alice/.ssh/. /home/alice/.ssh/authorized_keys"
    assert [line.split()[:2] for line in copy.says(stat).splitlines()] == [
        ["700", "alice:alice"],
        ["644", "alice:alice"],
        ["700", "alice:alice"],
        ["600", "alice:alice"],
    ]
    assert HOSTILE in copy.says("cat /home/alice/.ssh/authorized_keys").splitlines()
    assert copy.says("stat -c '%a %U' /srv/people/carol/.ssh/authorized_keys") == "600 carol"
    assert "NOPASSWD: /bin/ls" in copy.says("sudo -l -U alice") and copy.says("visudo -c").count("parsed OK") >= 2
    made = copy.says("cat /etc/passwd /etc/group /etc/shadow")
    for args in ((), ("--check",)):
        again = copy.bootstrap(STEPS, "--secrets", "/secrets", *args)
        assert (again.status, {*again.statuses.values()}) == (0, {"ok"}), again
    assert copy.says("cat /etc/passwd /etc/group /etc/shadow") == made

    copy.says(
        "usermod -s /bin/sh -c '' -d /nowhere -G '' alice; usermod -a -G sudo carol; usermod -U carol; passwd -d carol;"
        " chsh -s /bin/sh carol; usermod -L alice; sed -i '/^carol:/d' /etc/gshadow; rm -rf /home/alice/.ssh;"
        " echo 'alice ALL=(ALL) ALL' >/etc/sudoers.d/bootforge-stale"
    )
    mended = copy.bootstrap(STEPS, "--secrets", "/secrets")
    assert (mended.status, mended.err) == (0, ""), mended
    passwd = "getent passwd alice carol; id -Gn alice; id -Gn carol; getent shadow alice | cut -d: -f2"
    assert copy.says(passwd).splitlines() == [
        f"alice:x:5001:5001:{GECOS}:/home/alice:/bin/bash",
        "carol:x:5003:5003::/srv/people/carol:/usr/sbin/nologin",
        *("alice sudo dba", "carol dba", hashed),
    ]
    assert copy.says("getent shadow carol | cut -d: -f2").startswith("!")
    assert "bootforge-stale" not in copy.says("ls /etc/sudoers.d")
    assert copy.bootstrap(STEPS, "--secrets", "/secrets", "--check").status == 0

    gone = (Step("users:alice", "no_users", ("alice", 5001), ()), Step("users:bin", "no_users", ("bin", 5009), ()))
    removed = copy.bootstrap(gone)
    assert (removed.statuses["users:alice"], removed.statuses["users:bin"]) == ("changed", "failed")
    assert copy.sh("getent passwd alice").status == 2 and copy.sh("getent group alice").status == 2
    assert copy.says("getent group dba") == "dba:x:5000:carol" and copy.sh("test -d /home/alice").status == 0
    assert copy.bootstrap(gone[:1], "--check").statuses["users:alice"] == "ok"


def test_a_hash_is_in_no_arguments(copy: Copy) -> None:
    """Whatever the password step starts, seen as any user could: by a chpasswd that tells what it was called with."""
    copy.says("mkdir /secrets; echo '$6$abc$def' >/secrets/alice_hash")
    copy.says(
        "mv /usr/sbin/chpasswd /usr/sbin/chpasswd.real && printf '%s\\n' '#!/bin/sh'"
        ' \'cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ 2>/dev/null | tr "\\0" "\\n" >/seen\''
        " 'exec /usr/sbin/chpasswd.real \"$@\"' >/usr/sbin/chpasswd && chmod 755 /usr/sbin/chpasswd"
    )
    assert copy.bootstrap((DBA, ALICE), "--secrets", "/secrets").status == 0
    assert copy.says("getent shadow alice | cut -d: -f2") == "$6$abc$def"
    seen = copy.says("cat /seen")
    assert "chpasswd" in seen and "abc$def" not in seen
