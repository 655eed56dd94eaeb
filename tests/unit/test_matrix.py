"""Release x firmware x layout x network: every combination that can be, through the release's own parser with warnings
as errors, and our own rule table. And the example site, host by host."""

from __future__ import annotations

import re
import subprocess
from itertools import product
from pathlib import Path

import pytest

from bootforge.generation import Generation, build_generation
from bootforge.lint import lint
from bootforge.lint.shape import sections
from bootforge.model import Plan
from bootforge.releases import RELEASES
from tests.sites import base, generation_with
from tests.support import EXAMPLE, RELEASES_SITE, SMALL, need
from tests.unit.test_layouts import LAYOUTS, PROFILES, fits
from tests.unit.test_network import NETWORKS

KINDS = {
    "static": "a: {mac: M0, device: eth0, network: v20, address: A}",
    "dhcp": "a: {mac: M0, device: eth0, network: v20}",
    "two families": "a: {mac: M0, device: eth0, network: v20, address: A, address6: B}",
    "bond": (
        "a: {mac: M0, device: eth0}, b: {mac: M1, device: eth1},"
        " bond0: {kind: bond, ports: [a, b], network: v20, address: A}"
    ),
    "vlan": (
        "a: {mac: M0, device: eth0, network: v20, address: A}, b: {mac: M1, device: eth1},"
        " v: {kind: vlan, parent: b, network: v21}"
    ),
    "bridge": "a: {mac: M0, device: eth0}, br0: {kind: bridge, ports: [a], network: v20, address: A}",
}
COMBINATIONS = [
    (release, firmware, layout, kind)
    for release, firmware, layout, kind in product(RELEASES, ("bios", "uefi"), LAYOUTS, KINDS)
    if fits(layout, release, firmware)
]


def host_text(number: int, release: str, firmware: str, layout: str, kind: str) -> str:
    address = f"address: 10.20.{number >> 8}.{number & 255}"
    nics = KINDS[kind].replace("address: A", address).replace("address6: B", f"address6: '2001:db8:20::{number:x}'")
    for index in (0, 1):
        nics = nics.replace(f"M{index}", f"'02:00:00:0{index}:{number >> 8:02x}:{number & 255:02x}'")
    return (
        f"web{number:03d}.prod.den.example.com:\n  profile: {PROFILES[release]}\n  layout: {layout}\n"
        f"  machine: {{firmware: {firmware}}}\n  install: {{url: http://m.example.com/t}}\n  nics: {{{nics}}}\n"
    )


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> Generation:
    site = base("site.yaml", ("networks:\n", NETWORKS.replace("10.20.0.0/24", "10.20.0.0/16")))
    hosts = "".join(host_text(number, *one) for number, one in enumerate(COMBINATIONS, 10))
    files = {"site.yaml": site, "hosts/den.yaml": hosts, "roles/web.yaml": "packages: [httpd]\n"}
    return generation_with(tmp_path_factory.mktemp("matrix"), files)


def test_every_combination_passes_its_own_parser_and_our_rules(matrix: Generation) -> None:
    assert len(matrix.plans) == len(COMBINATIONS) >= 300
    assert {plan.release for plan in matrix.plans.values()} == set(RELEASES)
    errors = [problem.line() for problem in lint(matrix, matrix.plans, exhaustive=True) if problem.severity == "error"]
    assert errors == []


def plans_of(matrix: Generation, **wanted: str) -> list[Plan]:
    names = ("release", "firmware", "layout", "kind")
    return [
        matrix.plans[f"web{number:03d}.prod.den.example.com"]
        for number, one in enumerate(COMBINATIONS, 10)
        if wanted.items() <= dict(zip(names, one, strict=True)).items()
    ]


def test_what_a_layout_and_a_network_say_does_not_depend_on_each_other(matrix: Generation) -> None:
    """One layout on one firmware: the same storage commands but for the mark, whatever the network; and the reverse."""
    for release in RELEASES:
        plans = plans_of(matrix, release=release, firmware="bios", layout="lvm")
        marks = {repr(plan.install.storage).replace(plan.install.disks.mark, "MARK") for plan in plans}
        assert len(plans) == len(KINDS) and len(marks) == 1


# The example


@pytest.fixture(scope="module")
def example() -> Generation:
    return build_generation(EXAMPLE)


def test_the_example_is_silent_host_by_host(example: Generation) -> None:
    problems = [one.line() for one in lint(example, example.hosts, exhaustive=True) if one.severity != "note"]
    assert problems == [] and len(example.hosts) >= 40


def test_the_example_has_what_a_data_centre_has(example: Generation) -> None:
    plans = example.plans
    assert {plan.release for plan in plans.values()} >= {"el5", "el6", "el7", "el8", "el9", "el10"}
    assert {host.facts["site"] for host in example.hosts.values()} == {"den", "ams"}
    assert {host.facts["env"] for host in example.hosts.values()} == {"prod", "qa"}
    assert {role for plan in plans.values() for role in plan.roles} == {
        *("web", "db", "app", "dom0", "build", "kvm", "ci")
    }
    policies = {name: plan.storage.policy for name, plan in plans.items() if plan.storage}
    assert {name for name, policy in policies.items() if policy == "bond"} == {
        f"xen0{number}.den.example.com" for number in (1, 2, 3, 4)
    }
    paths = {len(plan.storage.arrays[0].paths) for plan in plans.values() if plan.storage}
    assert paths == {1, 2} and any(nic.address6 for plan in plans.values() for nic in plan.nics)


def test_the_example_is_locked(example: Generation, tmp_path: Path) -> None:
    assert all(host.spec.id and host.spec.initiator for host in example.hosts.values())


# Every shell script


def scripts(generation: Generation, seen: set[str]) -> tuple[list[str], list[str]]:
    """Bootstraps and scripts of kickstarts, each but once of those that differ in numbers, addresses and digests only.
    ``seen``: what was found before is left out."""
    bootstraps, others = [], []
    for host in generation.plans:
        bootstrap = generation.artifact(host, "bootstrap").text
        made = sections(generation.artifact(host, "kickstart").text, "%pre", "%post")
        for text, into in ((bootstrap, bootstraps), *((script, others) for script in made)):
            alike = re.sub(r"[0-9a-f.:-]*[0-9][0-9a-f.:-]*", "0", text)
            if alike not in seen:
                seen.add(alike)
                into.append(text)
    return bootstraps, others


def by_library(bootstraps: list[str]) -> list[list[str]]:
    """Scripts with the same library together: what is below the host's name, up to the first function of a host."""
    found: dict[str, list[str]] = {}
    for text in bootstraps:
        found.setdefault(text[: text.index("bf_describe() {")].split("\n", 2)[2], []).append(text)
    return [*found.values()]


def one_script(bootstraps: list[str]) -> str:
    """All in one: the library once, and each host's own functions by names of their own. Its parser reads each line of
    each, and the library is not read a hundred times. Hosts with volumes have more of it."""
    start, end = "bf_describe() {", "# The last line runs everything"
    bootstraps = sorted(bootstraps, key=lambda text: -text.index(start))
    library, last = bootstraps[0][: bootstraps[0].index(start)], bootstraps[0][bootstraps[0].index(end) :]
    own = []
    for number, text in enumerate(bootstraps):
        # below the host's name
        assert set(text[: text.index(start)].split("\n")[2:]) <= set(library.split("\n")[2:])
        part = text[text.index(start) : text.index(end)]
        own.append(re.sub(r"^(bf_(?:describe|whole_files|command|steps))\(\)", rf"\1_{number}()", part, flags=re.M))
    return library + "".join(own) + last


def complaints(script: str) -> str:
    """What shellcheck, and what `-n` of each shell that a machine may have, says of it."""
    said = ""
    for command in (
        ["shellcheck", "-s", "sh"],
        ["dash", "-n"],
        ["bash", "-n"],
        ["mksh", "-n"],
        ["busybox", "sh", "-n"],
    ):
        words = [*command, "-"] if command[0] == "shellcheck" else [*command, "/dev/stdin"]
        done = subprocess.run(words, input=script, capture_output=True, text=True, timeout=300)
        if done.returncode or done.stderr:
            said += f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return said


def test_every_script_of_every_host_is_clean(matrix: Generation, example: Generation) -> None:
    need("shellcheck", "dash", "bash", "mksh", "busybox")
    seen: set[str] = set()
    found = [scripts(one, seen) for one in (build_generation(RELEASES_SITE), example, build_generation(SMALL), matrix)]
    bootstraps = [script for one, _ in found for script in one]
    others = [script for _, some in found for script in some]
    assert len(bootstraps) > 20 and len(others) > 20
    alike = by_library(bootstraps)
    assert len(alike) == 2, "with the library of storage, and without"
    for some in alike:
        assert complaints(one_script(some)) == ""
    for script in others:
        assert complaints(f"#!/bin/sh\n{script}") == ""


def test_a_script_that_is_not_clean_is_found(example: Generation) -> None:
    need("shellcheck", "dash", "bash", "mksh", "busybox")
    text = next(iter(scripts(example, set())[0]))
    assert complaints(text.replace("bf_steps() {", "bf_steps() {\n    echo $1", 1)).startswith("shellcheck")
    assert "busybox sh -n" in complaints(text.replace("bf_steps() {", "bf_steps() {\n    if true; fi", 1))
