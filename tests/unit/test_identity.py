"""Identities that outlive names: what lock adds, what it never touches, and who has the last word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bootforge.errors import SiteError
from bootforge.generation import build_generation
from bootforge.plan import identity
from bootforge.plan.identity import additions, lock_text, missing
from bootforge.resolve import ResolvedHost, Resolver
from bootforge.site.load import Site, load_site
from bootforge.site.scalars_storage import parse_iqn
from bootforge.site.scalars_system import parse_uuid
from tests.sites import APP, DB, WEB, base, site_with
from tests.support import Done, verb

GUEST = base("hosts/den.yaml", ("lan: {mac: 52:54:00:12:34:58, address: 10.2.0.41}", "lan: {address: 10.2.0.41}"))


def lock(site: Path, *args: str) -> Done:
    return verb("lock", *args, "--site", site)


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return site_with(tmp_path, {"hosts/den.yaml": GUEST})


def resolved(root: Path) -> tuple[Site, dict[str, ResolvedHost]]:
    site = load_site(root)
    resolver = Resolver(site)
    return site, {name: resolver.resolve(name) for name in site.hosts}


def test_a_guest_gets_what_it_needs_and_metal_keeps_its_labels(site: Path) -> None:
    _, hosts = resolved(site)
    assert list(missing(hosts[APP])) == [("id",), ("initiator",), ("nics", "lan", "mac"), ("vm", "uuid")]
    assert list(missing(hosts[WEB])) == [("id",), ("initiator",)]


def test_lock_fills_and_then_has_nothing_to_do(site: Path) -> None:
    assert verb("check", "--site", site).status == 2
    assert (lock(site, "--check").status, (site / "lock.yaml").exists()) == (1, False)
    done = lock(site)
    assert done.status == 0 and "lock.yaml: 8 values of 3 hosts written" in done.err
    before = (site / "lock.yaml").stat()
    for args in ((), ("--check",), (WEB,)):
        again = lock(site, *args)
        assert (again.status, again.out, again.err) == (0, "", "lock.yaml: unchanged\n")
    assert (site / "lock.yaml").stat() == before
    assert (verb("check", "--site", site).status, lock(site, "--json").json) == (0, [])


def test_what_lock_draws_is_of_its_kind(site: Path) -> None:
    lock(site)
    spec = build_generation(site).host(APP).spec
    assert re.fullmatch("[0-9a-f]{16}", spec.id or "")
    assert re.fullmatch("00:16:3e:[0-7][0-9a-f](:[0-9a-f]{2}){2}", str(spec.nics["lan"].mac))
    assert parse_uuid(spec.vm.uuid or "")[14] == "8" and (spec.vm.uuid or "")[19] in "89ab"
    assert parse_iqn(spec.initiator or "") == f"iqn.2026-11.com.example.den.qa:{spec.id}"


def test_lock_draws_the_same_for_the_same_site(tmp_path: Path) -> None:
    sites = [site_with(tmp_path / word, {"hosts/den.yaml": GUEST}) for word in "ab"]
    assert [lock(site).status for site in sites] == [0, 0]
    assert (sites[0] / "lock.yaml").read_text() == (sites[1] / "lock.yaml").read_text()


def test_lock_of_some_hosts(site: Path) -> None:
    assert lock(site, "role_db").status == 0
    assert list(load_site(site).locks) == [DB]
    assert lock(site, "nobody.example.com").status == 3


def test_a_prefix_of_the_site(site: Path) -> None:
    (site / "site.yaml").write_text(base("site.yaml") + "macs: {xen: 02:00:5e}\n")
    lock(site)
    assert str(build_generation(site).host(APP).spec.nics["lan"].mac).startswith("02:00:5e:")


def test_the_host_wins_over_lock_and_lock_over_rules(tmp_path: Path) -> None:
    files = {
        "lock.yaml": f"{WEB}: {{initiator: iqn.2026-11.org:lock, id: 0123456789abcdef}}\n",
        "rules.yaml": base("rules.yaml") + "  - when: role_web\n    initiator: iqn.2026-11.org:rule\n",
        "hosts/den.yaml": base("hosts/den.yaml", (f"{WEB}:\n", f"{WEB}:\n  id: fedcba9876543210\n")),
    }
    host = Resolver(load_site(site_with(tmp_path, files))).resolve(WEB)
    assert (host.spec.initiator, host.spec.id) == ("iqn.2026-11.org:lock", "fedcba9876543210")
    assert [said.layer for said in host.trails["initiator",]] == ["rule 3", "lock"]
    assert [said.layer for said in host.trails["id",]] == ["lock", f"host {WEB}"]


def test_an_identity_makes_no_nic(tmp_path: Path) -> None:
    """A nic that is gone stays gone, also while lock.yaml still knows its address."""
    files = {"lock.yaml": f"{WEB}:\n  nics: {{gone: {{mac: 00:16:3e:00:00:09}}, lan: {{mac: 00:16:3e:00:00:08}}}}\n"}
    host = Resolver(load_site(site_with(tmp_path, files))).resolve(WEB)
    assert list(host.spec.nics) == ["lan"] and not any("gone" in path for path in host.trails)


def test_a_collision_is_drawn_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a digest that tells no two hosts apart, every value is another all the same."""
    many = "".join(
        f"app{n:02}.prod.den.example.com: {{vm: {{disks: {{xvda: {{backing: /dev/a}}}}}}}}\n" for n in range(20)
    )
    site, hosts = resolved(site_with(tmp_path, {"hosts/many.yaml": many}))

    class Poor:
        def __init__(self, key: bytes, message: bytes, *_: object) -> None:
            self.byte = int(message.rpartition(b"\0")[2])

        def digest(self) -> bytes:
            return bytes([self.byte]) * 32

    monkeypatch.setattr(identity.hmac, "new", Poor)
    added = additions(site, hosts, hosts)
    for path in (("id",), ("nics", "lan", "mac"), ("vm", "uuid"), ("initiator",)):
        drawn = [more[path] for more in added.values() if path in more]
        assert len(drawn) >= 20 and len(set(drawn)) == len(drawn), path


def test_a_value_that_a_host_takes_away_is_told(site: Path) -> None:
    """'nics!:' replaces what lock.yaml says too: lock says so, and does not draw a second address."""
    lock(site)
    text = GUEST.replace("  nics:\n    lan: {address: 10.2.0.41}", "  nics!:\n    lan: {network: den-lan}")
    assert text != GUEST
    (site / "hosts/den.yaml").write_text(text)
    done = lock(site)
    assert done.status == 2 and "BF083" in done.err and "nics.lan.mac of lock.yaml does not reach" in done.err


def test_two_hosts_with_one_identity_are_told(tmp_path: Path) -> None:
    one = "id: 0123456789abcdef"
    done = lock(site_with(tmp_path, {"lock.yaml": f"{WEB}: {{{one}}}\n{DB}: {{{one}}}\n"}))
    assert done.status == 2 and "error[BF050]" in done.err


def test_a_retired_host_gets_nothing_and_keeps_its_identity(tmp_path: Path) -> None:
    files = {"hosts/den.yaml": GUEST.replace(f"{APP}:\n", f"{APP}:\n  state: retired\n")}
    root = site_with(tmp_path, {**files, "lock.yaml": f"{APP}:\n  id: 0123456789abcdef\n"})
    site, hosts = resolved(root)
    assert APP not in additions(site, hosts, hosts)
    text = lock_text(site, additions(site, hosts, hosts))
    assert f"{APP}:\n  id: 0123456789abcdef\n" in text


def test_what_stands_is_written_as_it_stood(tmp_path: Path) -> None:
    files = {"lock.yaml": f"{WEB}: {{nics: {{lan: {{mac: 52-54-00-AA-BB-CC}}}}, vm: {{}}}}\nold.example.com: {{}}\n"}
    root = site_with(tmp_path, files)
    assert lock(root).status == 0
    text = (root / "lock.yaml").read_text()
    assert "    lan: {mac: 52-54-00-AA-BB-CC}\n" in text and "old.example.com: {}\n" in text
    hosts = [line for line in text.splitlines() if line[:1].isalnum()]
    assert hosts == sorted(hosts)


def test_a_long_domain_gives_an_initiator_that_fits(tmp_path: Path) -> None:
    name = ".".join(["a" * 60] * 4)
    files = {"hosts/long.yaml": f"{name}:\n  facts: {{role: web, env: prod, site: den}}\n"}
    site, hosts = resolved(site_with(tmp_path, files))
    initiator = additions(site, hosts, [name])[name]["initiator",]
    assert parse_iqn(initiator) and len(initiator) <= 223


def test_a_broken_site_is_not_locked(tmp_path: Path) -> None:
    root = site_with(tmp_path, {"roles/web.yaml": "nonsense: 1\n"})
    done = lock(root)
    assert done.status == 2 and "BF012" in done.err and not (root / "lock.yaml").exists()
    with pytest.raises(SiteError):
        load_site(root)
