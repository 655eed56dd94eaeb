"""What a host's state does: who can be armed, whose addresses are free again, and what is shown."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootforge.errors import SiteError
from tests.sites import DB, WEB, base, generation_with, site_with
from tests.support import verb

OLD = "web00.prod.den.example.com"
MAC = "52:54:00:12:34:56"


def said(state: str, more: str = "") -> dict[str, str]:
    """The base with web01 in a state."""
    return {"hosts/den.yaml": base("hosts/den.yaml", (f"{WEB}:\n", f"{WEB}:\n  state: {state}\n{more}"))}


@pytest.mark.parametrize("state", ["planned", "held", "retired"])
def test_only_an_active_host_is_armed(tmp_path: Path, state: str) -> None:
    """One that is not keeps the others from being armed as well, so that a glob never does half of what it says."""
    site, store = site_with(tmp_path, said(state)), f"sqlite:///{tmp_path}/store.db"
    done = verb("arm", WEB, DB, "--site", site, "--store", store)
    assert done.status == 2 and done.out == ""
    assert f"{WEB} is {state}" in done.err and "nothing was armed" in done.err
    states = verb("status", "--site", site, "--store", store, "--json").json
    assert {row["state"] for row in states} == {"idle"}
    assert verb("arm", DB, "--site", site, "--store", store).status == 0


def test_many_others_are_counted(tmp_path: Path) -> None:
    nics = 'nics: {lan: {mac: "52:54:00:00:00:[11-19]"}}'
    files = {"hosts/many.yaml": f"web[11-19].prod.den.example.com:\n  state: planned\n  {nics}\n"}
    done = verb("arm", "web1*", "--site", site_with(tmp_path, files), "--store", f"sqlite:///{tmp_path}/store.db")
    assert done.status == 2 and "web13.prod.den.example.com is planned, and 6 others are not active" in done.err


@pytest.mark.parametrize("state,reserved", [("planned", True), ("held", True), ("retired", False)])
def test_a_retired_host_has_no_reservation(tmp_path: Path, state: str, reserved: bool) -> None:
    generation = generation_with(tmp_path, said(state))
    assert (MAC in generation.dnsmasq("full")) is reserved
    assert (MAC in generation.by_mac) is reserved
    assert {"kickstart", "bootstrap"} <= set(generation.artifacts(WEB))


def test_the_machine_of_a_retired_host_may_be_anothers(tmp_path: Path) -> None:
    old = f"{OLD}:\n  state: STATE\n  serial: 0911QAZ4711\n  nics: {{lan: {{mac: '{MAC}', address: 10.2.0.21}}}}\n"
    generation = generation_with(tmp_path, {"hosts/old.yaml": old.replace("STATE", "retired")})
    assert generation.by_mac[MAC] == WEB and generation.dnsmasq("full").count(MAC) == 1
    for state in ("planned", "held", "active"):
        with pytest.raises(SiteError) as caught:
            generation_with(tmp_path / state, {"hosts/old.yaml": old.replace("STATE", state)})
        assert [problem.code for problem in caught.value.problems] == ["BF050"] * 3


def test_state_labels_and_aliases_are_shown(tmp_path: Path) -> None:
    more = "  labels: {tenant: Ops & Co, rack: A12}\n  aliases: [www.example.com, a.example.org]\n"
    site = site_with(tmp_path, said("held", more))
    (row,) = verb("hosts", WEB, "--site", site, "--json").json
    assert row["state"] == "held" and list(row["labels"].items()) == [("rack", "A12"), ("tenant", "Ops & Co")]
    assert row["aliases"] == ["a.example.org", "www.example.com"]
    shown = verb("show", WEB, "--site", site, "--json").json
    assert (shown["state"], shown["labels"], shown["aliases"]) == (row["state"], row["labels"], row["aliases"])
    assert shown["facts"] == {"role": "web", "n": "01", "env": "prod", "site": "den"}
    assert "held" in verb("hosts", WEB, "--site", site).out


def test_facts_branch_and_releasever(tmp_path: Path) -> None:
    files = {
        "site.yaml": base("site.yaml", ("environments: {prod: {}", "environments: {prod: {branch: stable}")),
        "roles/web.yaml": 'nics: {lan: {network: "{site}-lan"}}\ninstall: {url: "http://m/{branch}/{releasever}"}\n',
        "roles/app.yaml": 'nics: {lan: {network: "{site}-lan"}}\ninstall: {url: "http://m/{branch}/{releasever}"}\n',
    }
    generation = generation_with(tmp_path, files)
    assert generation.host(WEB).spec.install.url == "http://m/stable/9"
    assert generation.host("app01.qa.den.example.com").spec.install.url == "http://m/qa/9"


def test_a_secret_for_each_environment_is_that_hosts_slot(tmp_path: Path) -> None:
    changed = base("site.yaml", ("{secret: root_hash}", '{secret: "root_{env}"}'), ("  root_hash:", "  root_qa:"))
    text = changed.replace("secrets:\n", "secrets:\n  root_prod: {env: BOOTFORGE_PROD}\n")
    generation = generation_with(tmp_path, {"site.yaml": text})
    for name, secret in ((WEB, "root_prod"), ("app01.qa.den.example.com", "root_qa")):
        slots = {use.slot.source for use in generation.artifact(name, "kickstart").slots}
        assert {source for source in slots if source.startswith("secret:")} == {f"secret:{secret}"}
