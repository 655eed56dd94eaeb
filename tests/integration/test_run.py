"""``run`` against machines with a real sshd each, by the real ssh of an operator who has configured it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bootforge.generation import build_generation
from tests.integration.edge import until
from tests.integration.machines import (
    ROLE,
    SLOW,
    TOKEN,
    Lab,
    Machine,
    address,
    begun,
    changed,
    kinds,
    lab,
    leaking_processes,
    name,
    outcomes,
    places,
    rewrite,
    run_site,
    slow_lab,
    ssh_processes,
)
from tests.support import ROOT, need, verb, write_site


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return run_site(tmp_path / "site", 4, ROLE)


@pytest.fixture
def two(tmp_path: Path, site: Path) -> Iterator[Lab]:
    """Two machines of a site of four hosts."""
    with lab(tmp_path / "lab", site, 2) as made:
        made.configure(4)
        yield made


def tree(machine: Machine) -> dict[str, str]:
    """What is on the machine that its root did not bring, but for what sshd and lvm themselves write."""
    found = {}
    for top in (machine.upper, machine.run, machine.at / "shm"):
        for path in sorted(top.rglob("*")):
            if (
                not path.relative_to(machine.at)
                .as_posix()
                .startswith(("upper/etc/ssh", "upper/var/log", "run/utmp", "run/lock"))
            ):
                content = path.read_bytes().hex() if path.is_file() and not path.is_symlink() else ""
                found[path.relative_to(machine.at).as_posix()] = content
    return found


# What a run does


def test_a_new_host_is_only_checked_then_taken_over_then_nothing_then_exactly_the_change(two: Lab) -> None:
    one, other = two.machine(1), two.machine(2)
    before = tree(one)
    first = two.run("web1.*", "--diff", "--json")
    said = outcomes(first)["1"]
    assert (first.status, said["outcome"], said["check"]) == (1, "new", True) and "--take-over" in said["text"]
    assert "files:/etc/bf-motd" in changed(said) and {"step": "files:/etc/bf-motd", "text": "+hello"} in said["diff"]
    assert tree(one) == before, "a check left something"

    taken = two.run("web1.*", "--take-over", "--json")
    assert (taken.status, kinds(taken)) == (0, {"1": "changed"})
    assert set(changed(said)) < set(changed(outcomes(taken)["1"]))
    assert one.read("/etc/bf-motd") == "hello\n" and one.read("/etc/bf-token") == TOKEN + "\n"
    generation = build_generation(two.site)
    assert one.read("/var/lib/bootforge/bootstrap") == generation.artifact(name(1), "bootstrap").text
    assert f"revision {generation.site.revision}\n" in one.read("/etc/bootforge/stamp")
    mode = one.upper / "var/lib/bootforge/bootstrap"
    assert (mode.stat().st_mode & 0o777, mode.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    assert sorted(path.name for path in mode.parent.iterdir() if "bootstrap" in path.name) == ["bootstrap"]
    assert [*one.run.glob("bootforge.*")] == []

    after = tree(one)
    for args in (["--check"], []):
        again = two.run("web1.*", "--json", *args)
        assert (again.status, kinds(again), changed(outcomes(again)["1"])) == (0, {"1": "ok"}, [])
    kept = "upper/var/lib/bootforge/report"
    assert {k: v for k, v in tree(one).items() if k != kept} == {k: v for k, v in after.items() if k != kept}
    by_hand = one.sh("sh /var/lib/bootforge/bootstrap --check")
    assert "\tfailed\t" not in by_hand and by_hand.splitlines()[-1].startswith("end\t")

    log = verb("log", name(1), **two.environment())
    assert log.status == 0 and "files:/etc/bf-motd" in log.out

    rewrite(two.site / "roles/web.yaml", "hello", "goodbye")
    would = two.run("web1.*", "--check", "--diff")
    assert (
        would.status == 1
        and "files:/etc/bf-motd, 1 host: web1.prod.example.com" in would.out
        and "  +goodbye" in would.out
    )
    now = two.run("web1.*", "--json")
    assert (now.status, changed(outcomes(now)["1"])) == (0, ["files:/etc/bf-motd", "stamp"])
    assert one.read("/etc/bf-motd") == "goodbye\n" and not (other.upper / "etc/bf-motd").exists()


def test_a_machine_that_says_it_is_another_is_not_changed(two: Lab) -> None:
    assert two.run("web1.*", "--take-over").status == 0
    two.machine(1).sh("sed -i 's/^host .*/host db7.prod.example.com/' /etc/bootforge/stamp")
    rewrite(two.site / "roles/web.yaml", "hello", "goodbye")
    for args in ([], ["--check"]):
        said = two.run("web1.*", "--json", *args)
        assert (said.status, kinds(said)) == (1, {"1": "new"}) and "is db7.prod" in outcomes(said)["1"]["text"]
    assert two.machine(1).read("/etc/bf-motd") == "hello\n"


def test_only_some_steps(two: Lab) -> None:
    assert two.run("web1.*", "--take-over").status == 0
    two.machine(1).sh("echo x >/etc/bf-motd; echo y >/etc/hostname")
    done = two.run("web1.*", "--json", "--only", "files")
    (one,) = outcomes(done).values()
    assert changed(one) == ["files:/etc/bf-motd"] and {s["step"] for s in one["steps"]} - {"handler:network"} == {
        "files:/etc/bf-motd",
        "files:/etc/bf-token",
    }
    one_file = two.run("web1.*", "--json", "--only", "files:/etc/bf-motd", "--only", "hostname", "--check")
    assert changed(outcomes(one_file)["1"]) == ["hostname"]


def test_a_user_who_is_not_root_needs_sudo(two: Lab) -> None:
    need("sudo", "useradd")
    one = two.machine(1)
    one.sh("useradd -m -p '*' ops")
    two.configure(4, f"Host {name(1)}\n  User ops\n")
    refused = two.run("web1.*", "--json")
    (said,) = outcomes(refused).values()
    assert (refused.status, said["outcome"]) == (5, "failed") and "sudo says: sudo: a password is required" in said[
        "text"
    ]
    one.sh("echo 'ops ALL=(root) NOPASSWD: ALL' >/etc/sudoers.d/bf-test && chmod 440 /etc/sudoers.d/bf-test")
    taken = two.run("web1.*", "--take-over", "--json")
    assert (taken.status, kinds(taken)) == (0, {"1": "changed"})
    assert one.sh("stat -c %U /etc/bf-motd /var/lib/bootforge/bootstrap").split() == ["root", "root"]


@pytest.mark.parametrize(
    "shell", ["dash", "bash", *(pytest.param(one, marks=pytest.mark.slow) for one in ("mksh", "busybox"))]
)
def test_every_shell_receives(tmp_path: Path, site: Path, shell: str) -> None:
    """As /bin/sh, and as root's login shell, which reads the command first."""
    need(shell)
    path = shutil.which(shell)
    with lab(tmp_path / "lab", site, 1) as made:
        made.machine(1).sh(f"ln -sf {path} /bin/sh; sed -i '/^root:/s,:[^:]*$,:/bin/sh,' /etc/passwd")
        if shell == "busybox":
            tools = "cat cp grep head id mkdir mktemp mv rm sed stat tail wc"
            made.machine(1).sh(f"for tool in {tools}; do ln -sf {path} /usr/local/bin/$tool; done")
        done = made.run("web1.*", "--take-over", "--json")
        assert (done.status, kinds(done)) == (0, {"1": "changed"}), done
        assert made.machine(1).read("/etc/bf-token") == TOKEN + "\n"
        assert made.run("web1.*").status == 0


def test_this_machine_itself(two: Lab) -> None:
    """Inside one of the machines, where the command line is what it is here."""
    one = two.machine(1)
    env = " ".join(f"{key}='{value}'" for key, value in two.environment().items() if key != "PATH")
    call = f"cd {ROOT}; hostname {name(1)}; {env} {sys.executable} -m bootforge run --local"
    assert "only checked" in one.sh(f"{call}; true") and not (one.upper / "etc/bf-motd").exists()
    assert "changed" in one.sh(f"{call} --take-over") and one.read("/etc/bf-token") == TOKEN + "\n"
    assert json.loads(one.sh(f"{call} {name(1)} --json"))[0]["outcome"] == "ok"
    assert "no host 'elsewhere'" in one.sh(
        f"rm /etc/bootforge/stamp; hostname elsewhere; {call.replace(f'hostname {name(1)};', '')} 2>&1; true"
    )


def test_hosts_whose_names_do_not_resolve_by_the_addresses_of_the_site(two: Lab) -> None:
    text = (two.at / "config").read_text()
    (two.at / "config").write_text(text[text.index("Host *") :])
    assert outcomes(two.run("web1.*", "--json"))["1"]["why"] == "name"
    assert kinds(two.run("web[12].*", "--by-address", "--json")) == {"1": "new", "2": "new"}


def test_a_store_that_cannot_be_had_is_a_warning(two: Lab) -> None:
    done = two.run("web1.*", "--take-over", "--json", BOOTFORGE_STORE="sqlite:////proc/no/store.db")
    assert (done.status, kinds(done)) == (0, {"1": "changed"})
    assert done.err.count("warning: reports of this run are not kept") == 1


# Secrets


def test_a_secret_is_on_the_wire_and_on_the_host_only(two: Lab, tmp_path: Path) -> None:
    write_site(two.site, {"hooks/wait.sh": '[ "$1" = apply ] || { sleep 1; exit 0; }\n'})
    rewrite(two.site / "roles/web.yaml", "firewall:", "hooks: {wait: {source: hooks/wait.sh}}\nfirewall:")
    process = two.begin("web[12].*", "--take-over", "--diff", "-v", TMPDIR=str(tmp_path))
    seen: set[str] = set()
    held: set[str] = set()
    modes = set()
    while process.poll() is None:
        seen |= leaking_processes(process.pid)
        held |= {*places(two.at), *places(tmp_path / "site")}
        for directory in two.machine(1).run.glob("bootforge.*"):
            modes.add((directory.stat().st_mode & 0o777, directory.stat().st_uid))
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert seen == set(), "seen by whoever looks"
    assert modes == {(0o700, 0)}
    final = {f"m{n}/upper/etc/bf-token" for n in (1, 2)}
    assert final < held and any("/run/bootforge." in place for place in held), "the sampling saw nothing"
    assert {re.sub(r"bootforge\.\d+\.\w+", "X", one) for one in held - final} <= {
        *(f"m{n}/run/X/{word}" for n in (1, 2) for word in ("received", "values", "secrets/token")),
        *(f"m{n}/upper/etc/.bf-token.bf-new" for n in (1, 2)),
    }
    assert TOKEN.encode() not in out + err and set(places(two.at)) == final
    assert places(tmp_path / "site") == []


def test_no_secret_goes_to_a_machine_that_is_not_known(two: Lab) -> None:
    log = two.at / "m1/upper/seen"
    one = two.machine(1)
    one.sh("cp /usr/bin/tail /usr/bin/tail.real; touch /seen; rm /usr/bin/tail")
    one.sh("echo 'tail.real \"$@\" | tee -a /seen' >/usr/bin/tail; chmod 755 /usr/bin/tail")
    for args in ([], ["--check"]):
        assert two.run("web1.*", *args).status == 1
        assert TOKEN not in log.read_text()
    assert two.run("web1.*", "--check", "--take-over").status == 1
    assert TOKEN in log.read_text()


def test_a_check_sees_that_a_secret_differs(two: Lab) -> None:
    assert two.run("web1.*", "--take-over").status == 0
    two.machine(1).sh("echo other >/etc/bf-token")
    done = two.run("web1.*", "--check", "--diff", "--json")
    assert changed(outcomes(done)["1"]) == ["files:/etc/bf-token"] and TOKEN not in done.out + done.err


def test_a_secret_that_cannot_be_had_concerns_its_hosts_only(two: Lab) -> None:
    rewrite(two.site / "roles/web.yaml", ", /etc/bf-token: {secret: token}", "")
    hosts = two.site / "hosts/web.yaml"
    hosts.write_text(
        hosts.read_text().replace(f"{name(2)}:\n", f"{name(2)}:\n  files: {{/etc/bf-token: {{secret: absent}}}}\n")
    )
    rewrite(two.site / "site.yaml", "secrets:\n", "secrets:\n  absent: {env: BOOTFORGE_TEST_ABSENT}\n")
    done = two.run("web[12].*", "--take-over", "--json")
    assert (done.status, kinds(done)) == (5, {"1": "changed", "2": "failed"})
    assert "BOOTFORGE_TEST_ABSENT is not in the environment" in outcomes(done)["2"]["text"]


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGTERM, signal.SIGKILL])
def test_secrets_of_a_run_that_was_ended_are_removed(two: Lab, number: int) -> None:
    """By the one who is ended; or, when he was killed, by the next."""
    rewrite(two.site / "roles/web.yaml", "firewall:", f"{SLOW}firewall:")
    rewrite(two.site / "roles/web.yaml", "{content: hello}", "{content: hello, notify: [run slow]}")
    one = two.machine(1)
    process = two.begin("web1.*", "--take-over")
    assert until(lambda: bool([*one.run.glob("bootforge.*/secrets/token")]), 30)
    receiver = [*one.run.glob("bootforge.*")][0].name.split(".")[1]
    one.sh(f"kill -{int(number)} {receiver}")
    process.communicate(timeout=60)
    assert process.returncode == 0, "the script is not disturbed"
    if number == signal.SIGKILL:
        assert [*one.run.glob("bootforge.*/secrets/token")]
        assert until(lambda: (one.upper / "bf-slow").exists(), 20), "the script goes on"
        two.run("web1.*", "--check")
    assert until(lambda: not [*one.run.glob("bootforge.*")], 20)


# What goes wrong


def test_hosts_that_cannot_be_reached_are_told_apart(tmp_path: Path) -> None:
    site = run_site(tmp_path / "site", 8, ROLE)
    with lab(tmp_path / "lab", site, 5) as made:
        made.configure(8, f"Host {name(7)}\n  HostName no-such-host.invalid\nHost {name(8)}\n  ConnectTimeout 2\n")
        made.machine(2).stop()
        (made.machine(3).upper / "etc/ssh/bf_authorized").write_text("")
        known = (made.at / "known").read_text().splitlines()
        changed_key = [
            line if not line.startswith(name(4) + " ") else f"{name(4)} {known[0].partition(' ')[2]}" for line in known
        ]
        (made.at / "known").write_text(
            "".join(f"{line}\n" for line in changed_key if not line.startswith(name(5) + " "))
        )
        with _silent(address(8), made.port):
            done, table = made.run("web*", "--json"), made.run("web*").out
        said = outcomes(done)
        assert done.status == 5 and kinds(done) == {"1": "new", "6": "unreachable"} | {
            n: "unreachable" for n in "234578"
        }
        assert {n: said[n]["why"] for n in "2345678"} == {
            "2": "refused",
            "3": "auth",
            "4": "host-key-changed",
            "5": "host-key-unknown",
            "6": "refused",
            "7": "name",
            "8": "timeout",
        }
        assert "its host key has changed" in table and table.count("it refused the connection") == 2


def _silent(at: str, port: int) -> Any:
    """Accepts connections, and never says a word."""
    import socket

    return socket.create_server((at, port))


def test_garbage_and_silence(tmp_path: Path, site: Path) -> None:
    """A host whose login shell prints what a terminal obeys; one that prints for ever, one without a line's end; one
    that says nothing; one whose shell greets."""
    commands = {
        1: "printf '\\033]0;owned\\007\\033[31mgo away\\n'",
        2: "yes",
        3: "cat /dev/zero",
        4: "sleep 1000",
    }
    with lab(tmp_path / "lab", site, 4) as made:
        for number, command in commands.items():
            made.start(number, f"ForceCommand {command}\n")
        for number in commands:
            made.machine(number).wait()
        done = made.run("web*", "--json", "--timeout", "8s")
        said = outcomes(done)
        assert done.status == 5 and kinds(done) == {"1": "failed", "2": "failed", "3": "failed", "4": "unreachable"}
        assert "go away" in said["1"]["text"] and "\x1b" not in done.out + done.err + json.dumps(
            said, ensure_ascii=False
        )
        assert said["4"]["why"] == "timeout"
        greeting = (
            "printf 'bootforge\\tx\\trun\\t\\tr\\tp\\nok\\t1\\tx\\t\\nWelcome\\n'; eval \"$SSH_ORIGINAL_COMMAND\""
        )
        made.start(1, f"ForceCommand {greeting}\n")
        made.machine(1).wait()
        assert kinds(made.run("web1.*", "--take-over", "--json")) == {"1": "changed"}
        lying = "echo bootforge-ready -; cat >/dev/null; yes 'changed\t1\tfiles:/x\ty' | head -c 100000000"
        made.start(1, f'ForceCommand printf "bootforge-ready {name(1)}\\nbootforge\\tx\\trun\\t\\tr\\tp\\n"; {lying}\n')
        made.machine(1).wait()
        flooded = made.run("web1.*", "--json")
        assert kinds(flooded) == {"1": "failed"} and len(flooded.out) < 5_000_000


def test_a_step_that_fails_a_handler_that_is_owed_and_a_lock(two: Lab) -> None:
    one = two.machine(1)
    assert two.run("web1.*", "--take-over").status == 0
    one.sh("rm /etc/bf-motd && mkdir /etc/bf-motd")
    failed = two.run("web1.*", "--json")
    steps = {step["step"]: step for step in outcomes(failed)["1"]["steps"]}
    assert (failed.status, kinds(failed)) == (5, {"1": "failed"})
    assert steps["files:/etc/bf-motd"]["text"] == "/etc/bf-motd is a directory"
    assert "files:/etc/bf-motd: /etc/bf-motd is a directory" in two.run("web1.*").out

    one.sh("rmdir /etc/bf-motd")
    rewrite(two.site / "roles/web.yaml", "firewall:", "commands: {no: [/bin/false]}\nfirewall:")
    rewrite(two.site / "roles/web.yaml", "{content: hello}", "{content: hello, notify: [run no]}")
    owed = two.run("web1.*", "--json")
    assert (owed.status, kinds(owed)) == (6, {"1": "pending"})
    rewrite(two.site / "roles/web.yaml", "/bin/false", "/bin/true")
    assert kinds(two.run("web1.*", "--json")) == {"1": "changed"}

    holder = "read -r w </proc/$$/stat; set -- $w; echo $$ ${22} $(cat /proc/sys/kernel/random/boot_id)"
    one.sh(f"(sh -c 'ln -s \"$({holder})\" /var/lib/bootforge/lock; exec sleep 1000') >/dev/null 2>&1 </dev/null &")
    assert until(lambda: (one.upper / "var/lib/bootforge/lock").is_symlink())
    locked = two.run("web1.*", "--json")
    assert (locked.status, kinds(locked)) == (75, {"1": "locked"}), locked
    assert "which is at it already" in outcomes(locked)["1"]["text"]
    assert kinds(two.run("web1.*", "--check", "--json")) == {"1": "ok"}, "a check waits for nobody"


def test_a_disk_that_is_full(two: Lab) -> None:
    one = two.machine(1)
    assert two.run("web1.*", "--take-over").status == 0
    before = one.read("/var/lib/bootforge/bootstrap")
    rewrite(two.site / "roles/web.yaml", "hello", "goodbye")
    one.sh("mount -t tmpfs -o size=64k tmpfs /var/lib/bootforge && ls /var/lib/bootforge")
    done = two.run("web1.*", "--json")
    assert (done.status, kinds(done)) == (5, {"1": "failed"})
    assert outcomes(done)["1"]["text"] == "bootforge: /var/lib/bootforge/bootstrap could not be written"
    assert one.sh("ls /var/lib/bootforge; umount /var/lib/bootforge") == ""
    assert (one.read("/var/lib/bootforge/bootstrap"), one.read("/etc/bf-motd")) == (before, "hello\n")
    one.sh("mount -t tmpfs -o size=40k tmpfs /run && mkdir /run/sshd")
    done = two.run("web1.*", "--json")
    assert (done.status, kinds(done)) == (5, {"1": "failed"}) and "No space left" in outcomes(done)["1"]["text"]
    assert one.sh("ls /run; umount /run") == "sshd\n"
    assert two.run("web1.*").status == 0 and one.read("/etc/bf-motd") == "goodbye\n"


def test_a_transfer_that_is_cut_off_runs_nothing(two: Lab) -> None:
    """An ssh that gives a part of what it is given, whatever the part."""
    one = two.machine(1)
    assert two.run("web1.*", "--take-over").status == 0
    rewrite(two.site / "roles/web.yaml", "hello", "goodbye")
    before = {**tree(one)}
    wrapper = two.at / "bin/ssh"
    whole = wrapper.read_text()
    for size in (0, 5, 60, 1000, 50_000, 100_000):
        wrapper.write_text(whole.replace("exec ", f"head -c {size} | ").replace("#!/bin/sh\n", "#!/bin/bash\n"))
        done = two.run("web1.*", "--json")
        assert (done.status, kinds(done)) == (5, {"1": "failed"}), (size, done)
        assert tree(one) == before, size
    wrapper.write_text(whole)
    assert two.run("web1.*").status == 0 and one.read("/etc/bf-motd") == "goodbye\n"


def test_an_ssh_that_is_killed_is_told_and_the_host_goes_on(two: Lab) -> None:
    slow_lab(two)
    process = two.begin("web1.*", "--json")
    assert until(begun(two.machine(1)), 30)
    (ssh,) = ssh_processes(two)
    os.kill(ssh, signal.SIGKILL)
    out, _ = process.communicate(timeout=30)
    (said,) = json.loads(out)
    assert (process.returncode, said["outcome"]) == (5, "lost") and "goes on there by itself" in said["text"]
    assert until(lambda: (two.machine(1).upper / "bf-slow").exists(), 20)
    assert until(lambda: "\nend\t" in two.machine(1).read("/var/lib/bootforge/report")), "its report is whole"
    assert until(lambda: not [*two.machine(1).run.glob("bootforge.*")], 20)
    assert kinds(two.run("web1.*", "--json")) == {"1": "ok"}


def test_a_host_that_takes_too_long_is_let_go(two: Lab) -> None:
    slow_lab(two)
    done = two.run("web1.*", "--json", "--timeout", "3s")
    assert (done.status, kinds(done)) == (5, {"1": "lost"}) and "after 3 s" in outcomes(done)["1"]["text"]
    assert ssh_processes(two) == []
    assert until(lambda: (two.machine(1).upper / "bf-slow").exists(), 20)
