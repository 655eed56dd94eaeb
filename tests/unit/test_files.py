"""Plans of files, services and hooks for every release, and steps that only tell."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.generation import Generation
from bootforge.model_steps import Step
from bootforge.plan.steps import KINDS, stamp
from bootforge.render.slots import FILTERS
from bootforge.site.patterns import compile_match
from tests.sites import DB, base, generation_with
from tests.support import EXAMPLE

SAID = """
  files:
    /etc/motd: {content: "{role} {release}", facts: true, notify: [run motd, restart sshd]}
    /etc/plain: {source: files/plain, mode: "0600", owner: ops, watch: true}
    /etc/key: {secret: root_hash}
  directories: {/srv/app: {mode: "2775", group: daemon}}
  links: {/srv/l: {to: app}}
  absent_paths: [/etc/old]
  edits: {/etc/sysconfig/x: {settings: {B: "2", A: "{role}"}, lines: {z: {line: x y}}, block: "b"}}
  services: {a: on, b: off, c: enabled, d: running}
  no_processes: [nscd]
  commands: {motd: [update-motd, "a b"]}
  hooks: {h: {source: files/plain, phases: [run, install]}}
"""
PROFILES = {"centos5": "el5", "centos6": "el6", "centos7": "el7", "rocky8": "el8", "rocky9": "el9", "rocky10": "el10",
            "fedora46": "fedora46"}  # fmt: skip


def built(root: Path, profile: str = "rocky9", more: str = "", said: str = SAID) -> Generation:
    hosts = base("hosts/den.yaml", ("  serial: 0911QAZ4711\n", f"  profile: {profile}{said}{more}"))
    hosts = hosts.replace("{mac: 52:54:00:12:34:57", "{device: eth0, mac: 52:54:00:12:34:57")
    return generation_with(root, {"hosts/den.yaml": hosts, "files/plain": "exit 0"})


def steps_of(generation: Generation, name: str = DB) -> dict[str, Step]:
    return {step.id: step for step in generation.plan(name).steps}


@pytest.mark.parametrize("profile", PROFILES)
def test_every_release(tmp_path: Path, profile: str) -> None:
    generation = built(tmp_path, profile)
    plan, steps = generation.plan(DB), steps_of(generation)
    motd = steps["files:/etc/motd"]
    assert (motd.content, motd.notify, motd.watch) == (f"db {PROFILES[profile]}\n", ("restart:sshd", "run:motd"), False)
    assert motd.whole and (motd.whole.mode, motd.whole.owner) == ("644", "root:root")
    plain = steps["files:/etc/plain"]
    assert plain.whole and (plain.content, plain.whole.mode, plain.whole.owner) == ("exit 0\n", "600", "ops:root")
    assert plain.watch and plain.phases == ("boot", "run")
    key = steps["files:/etc/key"]
    assert (key.fn, key.args, key.secrets) == (
        "secret_file",
        ("/etc/key", "600", "root:root", "root_hash"),
        ("root_hash",),
    )
    assert steps["directories:/srv/app"].args == ("/srv/app", "2775", "root:daemon")
    assert steps["links:/srv/l"].args == ("/srv/l", "app") and steps["absent:/etc/old"].args == ("/etc/old",)
    edit = steps["edits:/etc/sysconfig/x"]
    assert edit.needs == ("packages",) and edit.content == (
        "set\nA\n=\nA={role}\nset\nB\n=\nB=2\npresent\n\nx y\nblock\n# BEGIN Bootforge\n# END Bootforge\n1\nb\n"
    )
    assert steps["services"].args == ("a", "on", "b", "off", "c", "enabled", "d", "running")
    assert steps["processes"].phases == ("boot", "run") and steps["hooks:h"].phases == ("install", "run")
    assert [(one.name, one.words) for one in plan.commands] == [("motd", ("update-motd", "a b"))]
    commands = [str(FILTERS["ks"](one)) for one in plan.install.security]
    assert "services --enabled=a,c --disabled=b" in commands
    kinds = [KINDS.index(step.id.partition(":")[0]) for step in plan.steps]
    assert kinds == sorted(kinds)
    assert "    motd) bf_within 300 update-motd 'a b' ;;\n" in generation.artifact(DB, "bootstrap").text


def test_a_unit_of_systemd_is_read_again(tmp_path: Path) -> None:
    said = "\n  files: {/etc/systemd/system/a.service: {content: x, notify: [restart a]}}\n"
    assert steps_of(built(tmp_path, said=said))["files:/etc/systemd/system/a.service"].notify == (
        "daemon-reload",
        "restart:a",
    )


def test_some_steps_only_tell(tmp_path: Path) -> None:
    plan = built(tmp_path, more="  bootstrap: {watch: [services, edits]}\n").plan(DB)
    watched = {step.id for step in plan.steps if step.watch}
    assert watched == {"services", "edits:/etc/sysconfig/x", "files:/etc/plain"}
    assert not [step for step in plan.steps if step.watch and "install" in step.phases]
    assert not stamp(plan, "").watch


def test_a_host_that_only_tells(tmp_path: Path) -> None:
    plan = built(tmp_path, more="  bootstrap: {mode: watch}\n").plan(DB)
    assert all(step.watch and "install" not in step.phases for step in (*plan.steps, stamp(plan, "")))


def test_hosts_share_what_they_have_in_common(tmp_path: Path) -> None:
    generation = generation_with(tmp_path, base=EXAMPLE)
    first, second = (steps_of(generation, f"web0{n}.prod.den.example.com") for n in (1, 2))
    assert first["services"] is second["services"]
    assert first["files:/etc/motd"].content == "This is a web server of den. Bootforge keeps it.\n"
    assert {step.id.partition(":")[0] for plan in generation.plans.values() for step in plan.steps} <= set(KINDS)


@pytest.mark.parametrize(
    ("pattern", "awk", "line", "found"),
    [
        (r"^a\.b$", r"^a\.b$", "a.b", True),
        (r"^a\.b$", r"^a\.b$", "axb", False),
        ("[^[:space:]]+=", "[^[:space:]]+=", "a =", False),
        ("[]x-]", "[]x-]", "]", True),
        ("[]x-]", "[]x-]", "y", False),
        ("^.$", "^.$", "\u00e9", False),
        ("(a|^b)+c?$", "(a|^b)+c?$", "bac", True),
        ("a~/&", "a~/&", "a~/&", True),
    ],
)
def test_patterns(pattern: str, awk: str, line: str, found: bool) -> None:
    assert (compile_match(pattern).awk, compile_match(pattern).finds(line)) == (awk, found)
