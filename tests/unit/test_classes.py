"""The derivation table: domains, networks, and classes that would mean two things."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.classes import domains, possible_classes, rule_problems
from bootforge.resolve import Resolver
from bootforge.site.load import load_site
from tests.sites import WEB, base, site_with

TWO = base("site.yaml").replace("  den-bmc:\n", "  den-san: {subnet: 10.9.0.0/24}\n  den-bmc:\n")


def nets(root: Path, nics: str, role: str = "") -> set[str]:
    files = {"hosts/den.yaml": f"{WEB}:\n  nics: {{{nics}}}\n", "site.yaml": TWO}
    files["roles/web.yaml"] = role or base("roles/web.yaml")
    found = Resolver(load_site(site_with(root, files))).resolve(WEB).classes
    return {word for word in found if word.startswith("net_")}


def test_domains_are_the_proper_parents_of_two_labels_at_least() -> None:
    assert domains("web01.prod.den.example.com") == ["prod.den.example.com", "den.example.com", "example.com"]
    assert domains("web01.example.com") == ["example.com"] and domains("example.com") == []


@pytest.mark.parametrize(
    "nics,found",
    [
        ("lan: {mac: 52:54:00:00:00:01}", set()),
        ("lan: {address: 10.2.0.9}", {"net_den_lan"}),
        ("lan: {address: 10.2.0.9}, bmc: {network: den-bmc}", {"net_den_lan", "net_den_bmc"}),
        ('bmc: {network: "{site}-bmc"}', {"net_den_bmc"}),
        ("lan: {address: 10.2.16.0}", set()),
        ("lan: {address: 10.1.255.255}", set()),
        ("lan: {address: 10.9.0.255}", {"net_den_san"}),
        ("lan: {address: 1.1.1.1}", set()),
    ],
)
def test_a_network_is_named_or_holds_an_address(tmp_path: Path, nics: str, found: set[str]) -> None:
    """What the role says about networks is not known when assign is asked; the host's own lines are."""
    assert nets(tmp_path, nics) == found


def test_an_address_of_lock_is_not_needed_for_a_network(tmp_path: Path) -> None:
    files = {"rules.yaml": "assign:\n  - when: net_den_lan & domain_prod_den_example_com\n    classes: [near]\n"}
    assert "near" in Resolver(load_site(site_with(tmp_path, files))).resolve(WEB).classes


def test_every_class_of_a_host_is_possible(tmp_path: Path) -> None:
    site = load_site(site_with(tmp_path))
    resolver = Resolver(site)
    for name in site.hosts:
        assert resolver.resolve(name).classes <= possible_classes(site)


def test_one_thing_is_no_collision_with_itself(tmp_path: Path) -> None:
    """A role of a file, of a name and of a pattern is one role; a class said twice is one class."""
    files = {
        "rules.yaml": base("rules.yaml").replace("    virt: xen\n", "    virt: xen\n    classes: [near]\n"),
        "hosts/den.yaml": base("hosts/den.yaml").replace(f"{WEB}:\n", f"{WEB}:\n  classes: [near]\n"),
        "site.yaml": base("site.yaml").replace(
            "names:\n", 'names:\n  - "xen{n:int}.{site}.example.com = role:db env:prod"\n'
        ),
    }
    assert rule_problems(load_site(site_with(tmp_path, files))) == []
