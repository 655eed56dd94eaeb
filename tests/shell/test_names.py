"""Names and trust: the host's own name on old releases, files of ours that go, certificate authorities."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bootforge.model_steps import Step, whole_file
from bootforge.plan.faults import Fault
from bootforge.plan.names import plan_names
from bootforge.site.schema import HostSpec
from tests.shell.world import HOST, SHELLS, Case, World, machine_shell, proofs, script_of, small

NETWORK = "NETWORKING=yes\nHOSTNAME=old\n# HOSTNAME=x\nGATEWAY=10.0.0.1\nHOSTNAME=\"other\"\nNOZEROCONF='a $b'"
BUNDLE = "# Somebody's\n-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
OURS = "-----BEGIN CERTIFICATE-----\nBBBB\n-----END CERTIFICATE-----\n"
ANCHORS = "/etc/pki/ca-trust/source/anchors"
CA_BUNDLE = "/etc/pki/tls/certs/ca-bundle.crt"


def trust(notify: str) -> tuple[Step, ...]:
    name = "bootforge-corp-0a1b2c3d.pem"
    return (
        whole_file(f"trust:{name}", f"{ANCHORS}/{name}", OURS, (), notify=(notify,)),
        Step("trust", "only", (ANCHORS, name), (), notify=(notify,)),
    )


def anchored(world: World) -> None:
    world.tool("update-ca-trust", "true")
    world.write(f"{ANCHORS}/bootforge-old.pem", OURS)
    world.write(f"{ANCHORS}/corp.pem", OURS)


def asked() -> tuple[Step, ...]:
    """The steps of /etc/hosts and /etc/resolv.conf of a host that says both."""
    said = {"host_entries": {"db.example.com": "10.2.0.30"}, "resolver": {"search": ["example.com"]}}
    host, faults = replace(small().host(HOST), spec=HostSpec.model_validate(said), memo={}), list[Fault]()
    steps = plan_names(host, small().plan(HOST).nics, faults)
    assert not faults and {step.id for step in steps} >= {"hosts", "resolver"}
    return steps


CASES = [
    Case(
        "hostname-of-sysconfig",
        (Step("hostname", "sysconfig_hostname", ("web01.example.com",), ()),),
        prepare=lambda w: w.write("etc/sysconfig/network", NETWORK),
        drifts={
            "name": lambda w: w.write("etc/sysconfig/network", NETWORK.replace("old", "web01.example.com")),
            "mode": lambda w: (w.root / "etc/sysconfig/network").chmod(0o600),
        },
        release="el6",
    ),
    Case(
        "hostname-of-sysconfig-without-a-file",
        (Step("hostname", "sysconfig_hostname", ("web01.example.com",), ()),),
        drifts={"removed": lambda w: (w.root / "etc/sysconfig/network").unlink()},
        release="el5",
    ),
    Case(
        "hosts-and-resolver",
        asked(),
        prepare=lambda w: w.write("etc/hosts", "127.0.0.1 localhost\n"),
        drifts={
            "hosts": lambda w: w.write("etc/hosts", "127.0.0.1 localhost db.example.com\n"),
            "resolver": lambda w: w.write("etc/resolv.conf", "nameserver 10.66.66.66\n"),
            "dns": lambda w: (w.root / "etc/NetworkManager/conf.d/bootforge-dns.conf").unlink(),
        },
        handlers=("systemctl reload-or-try-restart NetworkManager",),
    ),
    Case(
        "anchors",
        trust("trust"),
        prepare=anchored,
        drifts={
            "content": lambda w: w.write(f"{ANCHORS}/bootforge-corp-0a1b2c3d.pem", BUNDLE),
            "another": lambda w: w.write(f"{ANCHORS}/bootforge-a b.pem", OURS),
        },
        handlers=("update-ca-trust extract",),
    ),
    Case("old-anchors", trust("trust:enable"), prepare=anchored, handlers=("update-ca-trust enable",), release="el6"),
    Case(
        "bundle",
        (Step("trust", "ca_bundle", (CA_BUNDLE,), (), content=OURS),),
        prepare=lambda w: w.write(CA_BUNDLE, BUNDLE),
        drifts={
            "content": lambda w: w.write(CA_BUNDLE, (w.root / CA_BUNDLE[1:]).read_text().replace("BBBB", "CCCC")),
            "gone": lambda w: w.write(CA_BUNDLE, BUNDLE),
            "mode": lambda w: (w.root / CA_BUNDLE[1:]).chmod(0o600),
        },
        release="el5",
    ),
]  # fmt: skip

test_converges, test_drift, test_killed, test_full_disk = proofs(CASES)


@pytest.fixture(params=SHELLS)
def shell(request: pytest.FixtureRequest) -> list[str]:
    return machine_shell(request.param)


def test_other_keys_of_sysconfig_stay(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    script.write_text(script_of(CASES[0].steps))
    file = world.write("etc/sysconfig/network", NETWORK)
    assert world.run(shell, script).status == 0
    wanted = NETWORK.replace("old", "web01.example.com").replace('HOSTNAME="other"\n', "")
    assert file.read_text() == f"{wanted}\n" and not (world.root / "etc/hostname").exists()
    file.write_text("NETWORKING=no")
    assert world.run(shell, script).status == 0
    assert file.read_text() == "NETWORKING=no\nHOSTNAME=web01.example.com\n"
    file.unlink()
    assert world.run(shell, script).status == 0
    assert file.read_text() == "NETWORKING=yes\nHOSTNAME=web01.example.com\n"


def test_the_bundle_keeps_what_it_had(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    file = world.write(CA_BUNDLE, BUNDLE)
    script.write_text(script_of((Step("trust", "ca_bundle", (CA_BUNDLE,), ()),)))
    assert (world.run(shell, script).status, file.read_text()) == (0, BUNDLE)
    script.write_text(script_of(CASES[-1].steps))
    assert world.run(shell, script).status == 0
    made = file.read_text()
    assert made.startswith(BUNDLE) and made.count("-----BEGIN") == 2 and OURS in made
    file.write_text(made + "# after\n")
    assert world.run(shell, script, "--check").status == 0
    script.write_text(script_of((Step("trust", "ca_bundle", (CA_BUNDLE,), ()),)))
    assert world.run(shell, script).status == 0
    assert file.read_text() == f"{BUNDLE}# after\n"


def test_trust_is_made_in_the_installer_too(shell: list[str], tmp_path: Path) -> None:
    for name, calls in (("trust", ["extract"]), ("trust:enable", ["enable", "extract"])):
        world, script = World(tmp_path / str(len(calls))), tmp_path / "b"
        world.tool("update-ca-trust", "true")
        script.write_text(script_of(trust(name), "el6"))
        ran = world.run(shell, script, "--phase", "install")
        assert (ran.status, ran.statuses[f"handler:{name}"]) == (0, "changed")
        assert world.calls() == [f"update-ca-trust {word}" for word in calls]
        assert world.run(shell, script).status == 0 and len(world.calls()) == len(calls)


def test_files_of_others_stay(shell: list[str], tmp_path: Path) -> None:
    world, script = World(tmp_path / "w"), tmp_path / "b"
    anchored(world)
    script.write_text(script_of(trust("trust")))
    assert world.run(shell, script).status == 0
    left = sorted(path.name for path in (world.root / ANCHORS[1:]).iterdir())
    assert left == ["bootforge-corp-0a1b2c3d.pem", "corp.pem"]
