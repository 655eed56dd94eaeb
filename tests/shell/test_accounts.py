"""Groups, users, passwords, keys and sudo: what the steps make so, mend, refuse, and leave alone."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bootforge.model_steps import Step, Whole
from tests.shell.world import SHELLS, Case, World, machine_shell, proofs, script_of
from tests.support import need

EDIT = r"""
etc=$BF_ROOT/etc
# edit FILE PROGRAM [NAME=VALUE]...: as the real tools do, by a new file that takes the place of the old one.
edit() {
    file=$etc/$1; program=$2; shift 2
    for one; do set -- "$@" -v "$one"; shift; done
    awk -F : -v OFS=: "$@" "$program" "$file" >"$file.new" && mv "$file.new" "$file" || { rm -f "$file.new"; exit 1; }
}
"""
GROUPADD = f'{EDIT}edit group \'{{ print }} END {{ print name ":x:" gid ":" }}\' "gid=$2" "name=$3"'
USERADD = (
    EDIT
    + r"""
while [ $# -gt 1 ]; do
    case $1 in -u) u=$2 ;; -g) g=$2 ;; -d) d=$2 ;; -s) s=$2 ;; -c) c=$2 ;; -M) shift; continue ;; *) exit 2 ;; esac
    shift 2
done
export c
edit passwd '{ print } END { print name, "x", u, g, ENVIRON["c"], d, s }' "name=$1" u=$u g=$g "d=$d" "s=$s"
edit shadow '{ print } END { print name, "!", "", "", "", "", "", "", "" }' "name=$1"
"""
)
USERMOD = (
    EDIT
    + r"""
for name; do :; done
set_field() { export v="$2"; edit "$3" '$1 == name { $f = ENVIRON["v"] } { print }' "name=$name" f=$1; }
while [ $# -gt 1 ]; do
    case $1 in
    -g) set_field 4 "$2" passwd ;;
    -c) set_field 5 "$2" passwd ;;
    -d) set_field 6 "$2" passwd ;;
    -s) set_field 7 "$2" passwd ;;
    -L) edit shadow '$1 == name { $2 = "!" $2 } { print }' "name=$name"; shift; continue ;;
    -a) add=1; shift; continue ;;
    -G)
        edit group '{
            count = split($4, had, ","); members = ""
            for (n = 1; n <= count; n++) if (had[n] != name || (add && !index("," want ",", "," $1 ",")))
                members = members (members == "" ? "" : ",") had[n]
            if (index("," want ",", "," $1 ",")) members = members (members == "" ? "" : ",") name
            $4 = members; print }' "name=$name" "want=$2" "add=${add-}"
        ;;
    *) exit 2 ;;
    esac
    shift 2
done
"""
)
USERDEL = (
    EDIT
    + r"""
for file in shadow passwd; do edit $file '$1 != name { print }' "name=$1"; done
edit group '$1 != name { print }' "name=$1"
"""
)
PWCONV = (
    EDIT
    + r"""
for name in $(awk -F : -v shadow=$etc/shadow \
    'BEGIN { while ((getline line <shadow) > 0) { split(line, f); has[f[1]] = 1 } } !($1 in has) { print $1 }' \
    $etc/passwd)
do edit shadow '{ print } END { print name, "!", "", "", "", "", "", "", "" }' "name=$name"; done
"""
)
CHPASSWD = (
    EDIT
    + r"""
[ "$*" = -e ] || exit 2
IFS=: read -r name hash
export hash
edit shadow '$1 == name { $2 = ENVIRON["hash"] } { print }' "name=$name"
"""
)
RUNUSER = r"""
[ "$1 $2 $3" = "-s /bin/sh -c" ] || exit 2
code=$4; user=$5; shift 5
ids=$(awk -F : -v user="$user" '$1 == user { print "--reuid=" $3 " --regid=" $4 }' "$BF_ROOT/etc/passwd")
[ -n "$ids" ] || exit 1
if (true >&3) 2>/dev/null; then echo "file 3 is open" >&2; exit 1; fi
# The directories of pytest are closed to others; to search them is all that this user may besides.
exec setpriv $ids --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search /bin/sh -c "$code" "$@"
"""
TOOLS = {
    "groupadd": GROUPADD,
    "useradd": USERADD,
    "usermod": USERMOD,
    "userdel": USERDEL,
    "pwconv": PWCONV,
    "chpasswd": CHPASSWD,
    "runuser": RUNUSER,
}
PASSWD = "root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\n"
GROUP = "root:x:0:\nbin:x:1:\nwheel:x:10:\ndocker:x:990:\n"
SHADOW = "root:$6$a$b:1::::::\nbin:*:1::::::\n"
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA{} {}"
GECOS = 'Alice O\'Hara "x" $HOME `id` \\n ā, '


def prepare(world: World) -> None:
    """A machine with its own accounts only."""
    for name, script in TOOLS.items():
        world.tool(name, script)
    for name in ("dd", "visudo"):
        (world.bin / name).symlink_to(shutil.which(name, path="/usr/bin:/usr/sbin") or name)
    world.write("etc/passwd", PASSWD)
    world.write("etc/group", GROUP)
    world.write("etc/shadow", SHADOW, 0o600)
    world.write("etc/skel/.profile", "x\n")
    world.write("etc/sudoers", "root ALL=(ALL) ALL\n#includedir /etc/sudoers.d\n", 0o440)
    (world.root / "root").mkdir(mode=0o700)


def edit(file: str, old: str, new: str) -> Callable[[World], Any]:
    def change(world: World) -> None:
        path = world.root / file
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new))

    return change


def user(name: str, uid: int, *groups: str, member: str = "also", secret: str = "", **other: str) -> Step:
    home, shell, gecos = other.get("home", f"/home/{name}"), other.get("login", "/bin/bash"), other.get("gecos", "")
    args = (name, uid, uid, home, shell, gecos, member, secret, "6 y" if secret else "", *groups)
    return Step(f"users:{name}", "users", args, ("users", name))


def keys(name: str, uid: int, home: str, policy: str, *listed: str) -> Step:
    content = "".join(f"{key}\n" for key in listed) or None
    return Step(f"keys:{name}", "keys", (name, uid, home, policy), ("authorized_keys",), content=content)


def sudo(name: str, text: str) -> Step:
    import hashlib

    path = f"/etc/sudoers.d/bootforge-{name}"
    whole = Whole(path, hashlib.sha256(text.encode()).hexdigest(), "440", "root:root")
    return Step(f"sudo:{name}", "sudo", (path,), ("sudo", name), content=text, whole=whole)


ALICE = user("alice", 5001, "dba", "wheel", gecos=GECOS)
DBA = Step("groups:dba", "groups", ("dba", 5000), ())
HOSTILE = KEY.format("Q", "a'b\"c $(id) `id` \\n ā %s")
SUDO = "# Comment\n%wheel ALL=(ALL) NOPASSWD: /bin/ls '/x $y'\nDefaults:alice !requiretty\n"

CASES = [
    Case(
        "accounts",
        (DBA, ALICE),
        prepare=prepare,
        drifts={
            "shell-and-gecos": edit("etc/passwd", f"{GECOS}:/home/alice:/bin/bash", "A:/home/alice:/bin/sh"),
            "home": edit("etc/passwd", "/home/alice", "/home/other"),
            "gid": edit("etc/passwd", ":5001:5001:", ":5001:10:"),
            "no-member": edit("etc/group", "dba:x:5000:alice", "dba:x:5000:"),
            "no-password-needed": edit("etc/shadow", "alice:!:", "alice::"),
            "no-shadow": edit("etc/shadow", "alice:!:::::::\n", ""),
            "no-home": lambda w: shutil.rmtree(w.root / "home/alice"),
        },
    ),
    Case(
        "absent-and-exact",
        (
            Step("users:gone", "no_users", ("gone", 5004), ()),
            Step("users:never", "no_users", ("never", 5005), ()),
            user("bob", 5002, "wheel", member="only", login="/bin/sh"),
        ),
        prepare=lambda w: (
            prepare(w),
            w.write("etc/passwd", f"{PASSWD}gone:x:5004:5004::/home/gone:\nbob:x:5002:5002::/home/bob:/bin/sh\n"),
            w.write("etc/group", GROUP.replace("docker:x:990:", "docker:x:990:al,bob,zoe") + "bob:x:5002:\n"),
            w.write("etc/shadow", SHADOW + "gone:!:::::::\nbob:!:::::::\n", 0o600),
            (w.root / "home/gone").mkdir(parents=True),
            (w.root / "home/bob").mkdir(),
        ),
        drifts={"in-a-group": edit("etc/group", "docker:x:990:al,zoe", "docker:x:990:bob,al,zoe")},
    ),
    Case(
        "keys",
        (
            user("carol", 5003),
            keys("root", 0, "/root", "additive", KEY.format("R", "ops@x")),
            keys("carol", 5003, "/home/carol", "additive", HOSTILE, KEY.format("S", "two")),
        ),
        prepare=lambda w: (
            prepare(w),
            w.write("root/.ssh/authorized_keys", f"# mine\n{KEY.format('R', 'first')}\n{KEY.format('T', '')}", 0o644),
        ),
        drifts={
            "key-of-root-lost": edit("root/.ssh/authorized_keys", "R ops@x", "R"),
            "again-outside": edit("root/.ssh/authorized_keys", "# mine", f"# mine\n{KEY.format('R', 'x')}"),
            "key-in-block": edit("home/carol/.ssh/authorized_keys", "S two\n", f"S two\n{KEY.format('X', 'evil')}\n"),
            "removed": lambda w: (w.root / "home/carol/.ssh/authorized_keys").unlink(),
            "directory": lambda w: shutil.rmtree(w.root / "home/carol/.ssh"),
            "mode": lambda w: (w.root / "home/carol/.ssh/authorized_keys").chmod(0o644),
            "mode-of-directory": lambda w: (w.root / "home/carol/.ssh").chmod(0o755),
            "owner": lambda w: (
                (w.root / "home/carol/.ssh/authorized_keys").chmod(0o644),
                os.chown(w.root / "home/carol/.ssh/authorized_keys", 0, 0),
            ),
        },
    ),
    Case(
        "exclusive",
        (keys("root", 0, "/root", "exclusive", HOSTILE),),
        prepare=lambda w: (prepare(w), w.write("root/.ssh/authorized_keys", KEY.format("T", "another's"))),
        drifts={
            "another": edit("root/.ssh/authorized_keys", "# Keys", f"{KEY.format('X', 'evil')}\n# Keys"),
        },
    ),
    Case("group", (DBA,), prepare=prepare, drifts={"gone": edit("etc/group", "dba:x:5000:\n", "")}),
    Case(
        "password",
        (Step("users:root", "password", ("root", "root_hash", "6 y"), (), secrets=("root_hash",)),),
        prepare=lambda w: (prepare(w), w.write("../secrets/root_hash", "$6$r$H/.a\n", 0o600)),
        drifts={"another": edit("etc/shadow", "$6$r$H/.a", "$6$a$b")},
        args=("--secrets", "{at}/secrets"),
    ),
    Case(
        "sudo",
        (sudo("ops", SUDO), Step("sudo", "only", ("/etc/sudoers.d", "bootforge-ops"), ())),
        prepare=lambda w: (prepare(w), w.write("etc/sudoers.d/bootforge-old", "x"), w.write("etc/sudoers.d/mine", "y")),
        drifts={
            "content": lambda w: (w.root / "etc/sudoers.d/bootforge-ops").write_text("alice ALL=(ALL) ALL\n"),
            "mode": lambda w: (w.root / "etc/sudoers.d/bootforge-ops").chmod(0o644),
            "another": lambda w: w.write("etc/sudoers.d/bootforge-x y", "x"),
        },
    ),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def machine(tmp_path: Path, *steps: Step) -> tuple[World, Path]:
    need("setpriv")
    world, script = World(tmp_path / "w"), tmp_path / "bootstrap"
    prepare(world)
    script.write_text(script_of(steps))
    return world, script


def shadow(world: World) -> dict[str, str]:
    lines = (world.root / "etc/shadow").read_text().splitlines()
    return {name: hashed for name, hashed, *_ in (line.split(":") for line in lines)}


def test_a_password_is_set_when_its_secret_came(shell: list[str], tmp_path: Path) -> None:
    root = Step("users:root", "password", ("root", "root_hash", "6 y"), ())
    world, script = machine(tmp_path, user("alice", 5001, secret="alice_hash"), root)
    before = shadow(world)
    ran = world.run(shell, script)
    assert (ran.status, shadow(world)) == (0, {**before, "alice": "!"})
    assert "secret alice_hash not given" in ran.texts["users:alice"]
    assert ran.texts["users:root"] == "secret root_hash not given"
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    hashes = {"alice_hash": "$6$rounds=5000$s/alt$a.b/C", "root_hash": "$y$j9T$x$z"}
    for name, value in hashes.items():
        (secrets / name).write_text(value + "\n")
    checked = world.run(shell, script, "--secrets", str(secrets), "--check", "--diff")
    assert (checked.status, {*checked.statuses.values()}) == (1, {"would", "ok"}) and shadow(world)["alice"] == "!"
    ran = world.run(shell, script, "--secrets", str(secrets))
    assert (ran.status, ran.texts["users:alice"], ran.texts["users:root"]) == (0, "password", "password")
    assert shadow(world) == {**before, "alice": hashes["alice_hash"], "root": hashes["root_hash"]}
    again = world.run(shell, script, "--secrets", str(secrets))
    assert (again.status, {*again.statuses.values()}) == (0, {"ok"})
    edit("etc/shadow", "alice:$6", "alice:!$6")(world)
    assert world.run(shell, script, "--secrets", str(secrets)).statuses["users:alice"] == "changed"
    assert shadow(world)["alice"] == hashes["alice_hash"]
    told = "\n".join([checked.out, ran.out, *world.calls()])
    assert not any(value in told for value in hashes.values()), "a hash was shown"


@pytest.mark.parametrize("value", ["secret", "$1$old$x", "$6$a:b", "$6$a b", "$6", ""])
def test_what_is_no_hash_is_never_set(shell: list[str], tmp_path: Path, value: str) -> None:
    world, script = machine(tmp_path, Step("users:root", "password", ("root", "root_hash", "6 y"), ()))
    before = shadow(world)
    (tmp_path / "root_hash").write_text(value + "\n")
    for args in (("--check",), ()):
        ran = world.run(shell, script, "--secrets", str(tmp_path), *args)
        assert (ran.status, ran.statuses["users:root"]) == (5, "failed")
        assert (
            ran.texts["users:root"] == "secret root_hash is no hash that this release verifies; it verifies kinds 6 y"
        )
    assert shadow(world) == before


@pytest.mark.parametrize(
    ("steps", "passwd", "group", "said"),
    [
        ((user("alice", 5001),), "alice:x:1001:1001::/home/alice:/bin/sh\n", "", "alice has the uid 1001, not 5001"),
        ((user("alice", 5001),), "eve:x:5001:1001::/home/eve:/bin/sh\n", "", "the uid 5001 is that of eve already"),
        ((user("alice", 5001),), "", "alice:x:77:\n", "group alice has the gid 77, not 5001"),
        ((DBA,), "", "ops:x:5000:\n", "the gid 5000 is that of the group ops already"),
        ((Step("users:bin", "no_users", ("bin", 5001), ()),), "", "", "bin has the uid 1, not 5001"),
    ],
)
def test_what_belongs_to_another_is_left(
    shell: list[str], tmp_path: Path, steps: tuple[Step, ...], passwd: str, group: str, said: str
) -> None:
    world, script = machine(tmp_path, *steps)
    world.write("etc/passwd", PASSWD + passwd)
    world.write("etc/group", GROUP + group)
    for args in (("--check",), ()):
        ran = world.run(shell, script, *args)
        assert ran.status == 5 and ran.texts[steps[0].id].endswith(said) or said in ran.texts[steps[0].id], ran
    assert (world.root / "etc/passwd").read_text() == PASSWD + passwd


# Keys

CAROL = keys("carol", 5003, "/home/carol", "additive", HOSTILE)


def carol(tmp_path: Path, *steps: Step) -> tuple[World, Path, Path]:
    """A machine where carol is, and her home."""
    world, script = machine(tmp_path, *steps)
    world.write("etc/passwd", PASSWD + "carol:x:5003:5003::/home/carol:/bin/bash\n")
    world.write("etc/group", GROUP + "carol:x:5003:\n")
    home = world.root / "home/carol"
    home.mkdir(parents=True)
    os.chown(home, 5003, 5003)
    return world, script, home


def own(path: Path, uid: int = 5003) -> Path:
    os.chown(path, uid, uid, follow_symlinks=False)
    return path


def test_a_hostile_user_leads_root_nowhere(shell: list[str], tmp_path: Path) -> None:
    """Each thing that a user can plant in his home is refused with a clear text, and what it points to is unharmed."""
    world, script, home = carol(tmp_path, CAROL)
    secret = world.write("root/secret", "root's own\n", 0o600)
    elsewhere = world.root / "root/.ssh"
    elsewhere.mkdir(mode=0o700)

    def planted(expected: str, plant: Callable[[], Any]) -> None:
        plant()
        for args in (("--check",), ()):
            ran = world.run(shell, script, *args)
            assert (ran.status, ran.statuses["keys:carol"]) == (5, "failed"), (expected, ran)
            assert expected in ran.texts["keys:carol"], ran.texts
        assert secret.read_text() == "root's own\n" and [*elsewhere.iterdir()] == []
        ssh = home / ".ssh"
        if ssh.is_symlink() or ssh.is_file():
            ssh.unlink()
        elif ssh.exists():
            shutil.rmtree(ssh)

    def link_in_ssh(make: Callable[[Path], Any]) -> None:
        own(_made(home / ".ssh"))
        make(home / ".ssh/authorized_keys")

    def _made(path: Path) -> Path:
        path.mkdir(mode=0o700)
        return path

    planted("/home/carol/.ssh is a symbolic link", lambda: (home / ".ssh").symlink_to(elsewhere))
    planted("/home/carol/.ssh is a symbolic link", lambda: (home / ".ssh").symlink_to("nowhere"))
    planted("/home/carol/.ssh is no directory", lambda: own(world.write("home/carol/.ssh", "x")))
    planted("authorized_keys is a symbolic link", lambda: link_in_ssh(lambda file: own_link(file, secret)))
    planted("authorized_keys is a fifo", lambda: link_in_ssh(lambda file: os.mkfifo(file)))
    planted("authorized_keys is a directory", lambda: link_in_ssh(lambda file: file.mkdir()))
    planted("larger than 1 MiB", lambda: link_in_ssh(lambda file: own(file_of(file, "x" * 1048577))))
    planted("/home/carol/.ssh belongs to the uid 0, not to carol", lambda: _made(home / ".ssh"))
    planted("/home/carol/.ssh belongs to the uid 5009", lambda: own(_made(home / ".ssh"), 5009))
    planted("/home/carol belongs to the uid 5009, not to carol", lambda: own(home, 5009))


def own_link(path: Path, target: Path) -> None:
    path.symlink_to(target)
    own(path)


def file_of(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_hard_link_to_what_he_cannot_read_gives_it_to_nobody(shell: list[str], tmp_path: Path) -> None:
    world, script, home = carol(tmp_path, CAROL)
    secret = world.write("root/secret", "root's own\n", 0o600)
    (home / ".ssh").mkdir(mode=0o700)
    own(home / ".ssh")
    os.link(secret, home / ".ssh/authorized_keys")
    for parent in (world.root, *world.root.parents):
        if str(parent) not in ("/", "/tmp"):
            parent.chmod(parent.stat().st_mode | 0o011)
    world.tool("runuser", re.sub(" --inh-caps=.* --ambient-caps=[^ ]*", "", RUNUSER))
    ran = world.run(shell, script)
    assert (ran.status, secret.read_text(), secret.stat().st_uid) == (5, "root's own\n", 0), ran
    assert "cannot be read by its user" in ran.texts["keys:carol"] and "root's own" not in ran.out
    assert [path.name for path in (home / ".ssh").iterdir()] == ["authorized_keys"]


def test_a_link_planted_after_the_look_leads_the_user_no_further_than_he_can_go(
    shell: list[str], tmp_path: Path
) -> None:
    """The race at its worst: between root's look and the writing, .ssh becomes a link to root's own directory."""
    world, script, home = carol(tmp_path, CAROL)
    target = world.root / "root/.ssh"
    target.mkdir(mode=0o755)
    (world.root / "root").chmod(0o755)
    world.tool("runuser", f"ln -s {target} {home}/.ssh; chown -h 5003:5003 {home}/.ssh\n" + RUNUSER)
    ran = world.run(shell, script)
    assert (ran.status, ran.statuses["keys:carol"], [*target.iterdir()]) == (5, "failed", [])


def test_what_leaves_the_site_leaves_the_host_and_no_more(shell: list[str], tmp_path: Path) -> None:
    gone = keys("carol", 5003, "/home/carol", "additive")
    world, script, home = carol(tmp_path, gone)
    assert world.run(shell, script).statuses["keys:carol"] == "ok" and not (home / ".ssh").exists()
    file = home / ".ssh/authorized_keys"
    script.write_text(script_of((CAROL,)))
    assert world.run(shell, script).status == 0
    assert [line.split()[0] for line in file.read_text().splitlines()] == ["#", "ssh-ed25519", "#"]
    own_line, limited = KEY.format("Z", "mine"), 'from="10.0.0.1" ' + KEY.format("Q", "x")
    file.write_text(f"{own_line}\n{file.read_text()}{limited}\n# Keys of the site, by Bootforge;\n")
    assert world.run(shell, script, "--check").status == 0, "lines of others are no drift"
    script.write_text(script_of((gone,)))
    assert world.run(shell, script, "--check").statuses["keys:carol"] == "would"
    assert world.run(shell, script).statuses["keys:carol"] == "changed"
    assert file.read_text() == f"{own_line}\n{limited}\n# Keys of the site, by Bootforge;\n"
    assert (file.stat().st_uid, file.stat().st_mode & 0o777) == (5003, 0o600)
    assert world.run(shell, script, "--check").status == 0


def test_a_block_without_its_end_takes_nothing_with_it(shell: list[str], tmp_path: Path) -> None:
    world, script, home = carol(tmp_path, CAROL)
    assert world.run(shell, script).status == 0
    file = home / ".ssh/authorized_keys"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:-1], KEY.format("Z", "mine"), ""]))
    assert world.run(shell, script).status == 0
    assert file.read_text().splitlines() == [KEY.format("Z", "mine"), *lines]


def test_a_home_that_is_not_there_is_a_failure(shell: list[str], tmp_path: Path) -> None:
    world, script, home = carol(tmp_path, CAROL)
    home.rmdir()
    assert world.run(shell, script, "--check").statuses["keys:carol"] == "would"
    ran = world.run(shell, script)
    assert (ran.statuses["keys:carol"], "/home/carol is no directory" in ran.texts["keys:carol"]) == ("failed", True)


# sudo


@pytest.mark.parametrize("text", ["alice ALL=(ALL\n", "Defaults no_such_thing=1=2\n", "alice\n", "x y z = \n"])
def test_sudo_gets_no_file_that_visudo_refuses(shell: list[str], tmp_path: Path, text: str) -> None:
    need("visudo")
    world, script = machine(tmp_path, sudo("ops", text))
    for args in (("--check",), ()):
        ran = world.run(shell, script, *args)
        assert (ran.status, ran.statuses["sudo:ops"]) == (5, "failed")
        assert ran.texts["sudo:ops"].startswith("visudo: ")
    assert not (world.root / "etc/sudoers.d").exists()


def test_sudo_that_does_not_read_the_directory_is_told(shell: list[str], tmp_path: Path) -> None:
    world, script = machine(tmp_path, sudo("ops", SUDO))
    for main in ("root ALL=(ALL) ALL\n", "# includedir /etc/sudoers.d\n", "#includedir /etc/other.d\n", None):
        path = world.root / "etc/sudoers"
        path.unlink() if main is None else path.write_text(main)
        ran = world.run(shell, script)
        told = "/etc/sudoers does not read /etc/sudoers.d; add the line '#includedir /etc/sudoers.d' to it with visudo"
        assert (ran.status, ran.texts["sudo:ops"]) == (5, told)
    (world.root / "etc/sudoers").write_text("@includedir /etc/sudoers.d")
    assert world.run(shell, script).status == 0
    (world.bin / "visudo").unlink()
    (world.root / "etc/sudoers.d/bootforge-ops").unlink()
    assert world.run(shell, script).texts["sudo:ops"] == "there is no visudo; the package sudo brings it"
