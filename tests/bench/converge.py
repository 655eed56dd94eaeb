"""What it costs to keep a host as it is: the same job by a bootstrap of Bootforge, by cf-agent and by ansible-playbook.

    python tests/bench/converge.py [--runs N] [--without-ansible]      # as root

The job: four directories, three .repo files, two keys of rpm, authorized keys of two users, three settings in an
iscsid.conf of 350 lines, a multipath.conf; and a restart of iscsid or multipathd when theirs changed. Every tool gets a
copy of this machine's root that it alone writes to (overlayfs in a mount namespace) and must make the same tree of it.
CPU seconds of a process and its children, least and median of N runs; what is judged are ratios. The same script is
then shown every drift that it must mend, and the restart that fails once (who loses it?).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from bootforge.generation import build_generation  # noqa: E402
from tests.shell.world import script_of  # noqa: E402
from tests.support import write_site  # noqa: E402

DIRECTORIES = ("/etc/app", "/etc/app/conf.d", "/srv/data", "/var/lib/app")
SETTINGS = {
    "node.conn[0].timeo.noop_out_interval": "5",
    "node.conn[0].timeo.noop_out_timeout": "10",
    "node.session.timeo.replacement_timeout": "15",
}
KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI" + "B" * 43 + " {user}\n"


@dataclass(frozen=True)
class Wanted:
    """A whole file of the job."""

    path: str
    content: str
    mode: str = "644"
    owner: str = "root"
    restart: str = ""


def job() -> tuple[Wanted, ...]:
    repos = [
        Wanted(
            f"/etc/yum.repos.d/{name}.repo",
            f"[{name}]\nname={name}\nbaseurl=http://packages.example.com/stable/9/{name}/\nenabled=1\ngpgcheck=1\n"
            "gpgkey=file:///etc/pki/rpm-gpg/a\n",
        )
        for name in ("base", "site", "extras")
    ]
    keys = [Wanted(f"/etc/pki/rpm-gpg/{name}", f"{name}\n" + "mQENBF" * 300 + "\n") for name in "ab"]
    multipath = "".join(f'blacklist {{\n    wwid "3600508b1001c{n:020}"\n}}\n' for n in range(20))
    return (
        *repos,
        *keys,
        Wanted("/root/.ssh/authorized_keys", KEY.format(user="ops"), "600"),
        Wanted("/home/deploy/.ssh/authorized_keys", KEY.format(user="deploy"), "600", "deploy"),
        Wanted("/etc/multipath.conf", multipath, restart="multipathd"),
    )


def stock_iscsid() -> str:
    """A file of the size and shape of the distribution's iscsid.conf."""
    lines = [
        f"# What the setting number {n} is about is told in a line or two.\nnode.setting[{n}].x = {n}"
        for n in range(172)
    ]
    values = [f"{key} = 120" for key in SETTINGS]
    return "\n".join([*lines[:100], values[0], values[1], *lines[100:], values[2]]) + "\n"


class Machine:
    """A root of its own for one tool: an overlay of this machine's, in ``directory`` (a tmpfs)."""

    def __init__(self, at: Path) -> None:
        self.root = at / "root"
        for name in ("upper", "work", "root"):
            (at / name).mkdir(parents=True)
        options = f"lowerdir=/,upperdir={at}/upper,workdir={at}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, self.root], check=True)
        subprocess.run(["mount", "-t", "proc", "proc", self.root / "proc"], check=True)
        subprocess.run(["mount", "--bind", "/dev", self.root / "dev"], check=True)
        subprocess.run(["chroot", self.root, "useradd", "-m", "-u", "1777", "deploy"], check=True, capture_output=True)
        for directory in ("etc/yum.repos.d", "etc/pki/rpm-gpg"):
            (self.root / directory).mkdir(parents=True, exist_ok=True)
        for home in ("root", "home/deploy"):
            (self.root / home / ".ssh").mkdir(mode=0o700, exist_ok=True)
        os.chown(self.root / "home/deploy/.ssh", 1777, 1777)
        self.write("/etc/iscsi/iscsid.conf", stock_iscsid())
        stub = '#!/bin/sh\ncase "$1" in try-restart) ;; *) exit 0 ;; esac\n'
        stub += "[ ! -e /fail-once ] || { rm /fail-once; exit 1; }\n"
        self.write("/usr/local/sbin/systemctl", stub + 'echo "$2" >>/restarts\n').chmod(0o755)
        self.write("/restarts", "")

    def write(self, path: str, text: str) -> Path:
        file = self.root / path.lstrip("/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def restarts(self) -> list[str]:
        return sorted((self.root / "restarts").read_text().split())

    def run(self, *argv: str) -> tuple[int, float, str]:
        """Exit status, CPU seconds with children, and what was said."""
        before = _children()
        path = "/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin"
        env = {"PATH": path, "HOME": "/root", "LC_ALL": "C.UTF-8", "ANSIBLE_LOCALHOST_WARNING": "0"}
        done = subprocess.run(
            ["chroot", self.root, *argv], capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL
        )
        return done.returncode, _children() - before, done.stdout + done.stderr

    def digest(self) -> str:
        """Of content, mode and owner of everything that the job is about."""
        total = hashlib.sha256()
        for path in (*DIRECTORIES, *(file.path for file in job()), "/etc/iscsi/iscsid.conf"):
            file = self.root / path.lstrip("/")
            stat = file.stat()
            content = file.read_bytes() if file.is_file() else b""
            total.update(f"{path} {stat.st_mode:o} {stat.st_uid} {stat.st_gid}\n".encode() + content)
        return total.hexdigest()


def _children() -> float:
    """CPU seconds of the processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def bootforge(shell: str) -> Callable[[Machine], list[str]]:
    def prepare(machine: Machine) -> list[str]:
        machine.write("/job/bootstrap", bootstrap())
        return [shell, "/job/bootstrap"]

    return prepare


def bootstrap() -> str:
    """The steps of a site that says the job; those that are about more (names, packages, disks) are left out."""
    with tempfile.TemporaryDirectory() as scratch:
        site = Path(scratch)
        shutil.copytree(ROOT / "tests" / "site", site, dirs_exist_ok=True)
        files: dict[str, dict[str, object]] = {}
        for number, file in enumerate(job()):
            write_site(site, {f"files/{number}": file.content})
            files[file.path] = {"source": f"files/{number}", "mode": f"0{file.mode}"}
            if file.owner != "root":
                files[file.path] |= {"owner": file.owner, "group": file.owner}
            if file.restart:
                files[file.path] |= {"notify": [f"restart {file.restart}"]}
        role = {
            "nics": {"lan": {"network": "{site}-lan"}},
            "directories": {path: {} for path in DIRECTORIES},
            "files": files,
            "edits": {
                "/etc/iscsi/iscsid.conf": {"settings": SETTINGS, "separator": " = ", "notify": ["restart iscsid"]}
            },
        }
        write_site(site, {"roles/web.yaml": json.dumps(role)})
        plan = build_generation(site).plan("web01.prod.den.example.com")
    kinds = ("directories", "files", "edits")
    return script_of([step for step in plan.steps if step.id.partition(":")[0] in kinds])


def cfengine(machine: Machine) -> list[str]:
    """A policy without the standard library, which alone would cost 0.2 s."""
    promises = [f'  "{path}/." create => "true", perms => m("755","root");' for path in DIRECTORIES]
    for number, file in enumerate(job()):
        machine.write(f"/job/payload/{number}", file.content)
        says = f', classes => r("{file.restart}")' if file.restart else ""
        perms = f'm("{file.mode}","{file.owner}")'
        promises.append(
            f'  "{file.path}" create => "true", copy_from => c("/job/payload/{number}"), perms => {perms}{says};'
        )
    keys = "\n".join(
        f'  "^{_regex(key)} = (?!{value}$).*$" replace_with => w("{key} = {value}");' for key, value in SETTINGS.items()
    )
    policy = f"""
body common control {{ bundlesequence => {{ "main" }}; }}
body perms m(mode,owner) {{ mode => "$(mode)"; owners => {{ "$(owner)" }}; groups => {{ "$(owner)" }}; }}
body copy_from c(from) {{ source => "$(from)"; compare => "digest"; copy_backup => "false"; }}
body classes r(p) {{ promise_repaired => {{ "$(p)_repaired" }}; }}
body replace_with w(text) {{ replace_value => "$(text)"; occurrences => "all"; }}
body edit_defaults none {{ edit_backup => "false"; }}
bundle edit_line settings {{ replace_patterns:
{keys}
}}
bundle agent main {{
 files:
{chr(10).join(promises)}
  "/etc/iscsi/iscsid.conf" edit_line => settings, edit_defaults => none, classes => r("iscsid");
 commands:
  iscsid_repaired:: "/usr/local/sbin/systemctl try-restart iscsid";
  multipathd_repaired:: "/usr/local/sbin/systemctl try-restart multipathd";
}}
"""
    machine.write("/job/promises.cf", policy).chmod(0o600)
    return ["cf-agent", "-K", "-f", "/job/promises.cf"]


def _regex(text: str) -> str:
    return "".join(f"\\{char}" if char in ".[]" else char for char in text)


def ansible(machine: Machine) -> list[str]:
    tasks: list[dict[str, object]] = [
        {"file": {"path": path, "state": "directory", "mode": "0755"}} for path in DIRECTORIES
    ]
    for number, file in enumerate(job()):
        machine.write(f"/job/payload/{number}", file.content)
        copy = {"src": f"/job/payload/{number}", "dest": file.path, "mode": f"0{file.mode}", "owner": file.owner}
        tasks.append({"copy": {**copy, "group": file.owner}, **({"notify": file.restart} if file.restart else {})})
    tasks += [
        {"lineinfile": {"path": "/etc/iscsi/iscsid.conf", "regexp": f"^{_regex(key)} = ", "line": f"{key} = {value}"},
         "notify": "iscsid"} for key, value in SETTINGS.items()
    ]  # fmt: skip
    names = ("iscsid", "multipathd")
    handlers = [{"name": name, "command": f"/usr/local/sbin/systemctl try-restart {name}"} for name in names]
    play = {"hosts": "localhost", "gather_facts": False, "connection": "local", "tasks": tasks, "handlers": handlers}
    machine.write("/job/play.json", json.dumps([play]))
    return ["ansible-playbook", "-i", "localhost,", "/job/play.json"]


TOOLS: dict[str, Callable[[Machine], list[str]]] = {
    "bootforge, dash": bootforge("dash"),
    "bootforge, bash": bootforge("bash"),
    "cf-agent without stdlib": cfengine,
    "ansible-playbook": ansible,
}

DRIFTS: dict[str, Callable[[Path], object]] = {
    "content": lambda root: (root / "etc/multipath.conf").write_text("x\n"),
    "mode": lambda root: (root / "root/.ssh/authorized_keys").chmod(0o644),
    "owner": lambda root: os.chown(root / "home/deploy/.ssh/authorized_keys", 0, 0),
    "removed file": lambda root: (root / "etc/yum.repos.d/site.repo").unlink(),
    "removed directory": lambda root: (root / "srv/data").rmdir(),
    "setting": lambda root: (root / "etc/iscsi/iscsid.conf").write_text(stock_iscsid()),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--without-ansible", action="store_true")
    options = parser.parse_args()
    if os.environ.get("BOOTFORGE_BENCH") != "inside":
        os.environ["BOOTFORGE_BENCH"] = "inside"
        os.execvp("unshare", ["unshare", "--mount", "--uts", sys.executable, *sys.argv])
    base = Path(tempfile.mkdtemp(prefix="bf-bench-"))
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", base], check=True)
    names = [name for name in TOOLS if not (options.without_ansible and name.startswith("ansible"))]
    machines = {name: Machine(base / str(number)) for number, name in enumerate(names)}
    commands = {name: TOOLS[name](machines[name]) for name in names}
    first, costs = {}, {name: [] for name in names}
    for name, machine in machines.items():
        status, first[name], said = machine.run(*commands[name])
        assert status == 0, f"{name}: {said}"
        assert machine.restarts() == ["iscsid", "multipathd"], f"{name}: {machine.restarts()} {said}"
    assert len({machine.digest() for machine in machines.values()}) == 1, "the tools do not agree on the tree"
    for number in range(options.runs):  # interleaved, so that other work on the machine hits all alike
        for name, machine in machines.items():
            if name.startswith("ansible") and number >= 3:
                continue
            status, spent, said = machine.run(*commands[name])
            assert status == 0 and machine.restarts() == ["iscsid", "multipathd"], f"{name}: {said}"
            costs[name].append(spent)
    ours = statistics.median(costs["bootforge, dash"])
    print(f"{'tool':28} {'first run':>10} {'no-op least':>12} {'median':>8} {'ratio':>7}   (CPU s)")
    for name in names:
        middle = statistics.median(costs[name])
        print(f"{name:28} {first[name]:10.3f} {min(costs[name]):12.4f} {middle:8.4f} {middle / ours:7.1f}")
    made = machines["bootforge, dash"].digest()
    for drift, plant in DRIFTS.items():
        for name, machine in machines.items():
            plant(machine.root)
            if name.startswith("bootforge"):
                assert machine.run(*commands[name], "--check")[0] == 1, f"{name} --check does not see: {drift}"
            status, _, said = machine.run(*commands[name])
            mended = "mended" if machine.digest() == made and status == 0 else f"NOT mended ({status})"
            print(f"drift of {drift:18} {name:28} {mended}")
    for name, machine in machines.items():
        (machine.root / "restarts").write_text("")
        (machine.root / "etc/multipath.conf").write_text("x\n")
        (machine.root / "fail-once").touch()
        statuses = [machine.run(*commands[name])[0] for _ in range(2)]
        lost = "restarted" if machine.restarts() == ["multipathd"] else "LOST"
        print(f"a restart that fails once    {name:28} exit {statuses[0]}, {statuses[1]}: {lost}")


if __name__ == "__main__":
    main()
