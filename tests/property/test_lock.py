"""What holds for every lock.yaml: it is written once, it never changes, and no two hosts share an identity."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bootforge.addr import parse_mac
from bootforge.plan import identity
from bootforge.plan.identity import additions, clashes, lock_text, owned
from bootforge.resolve import ResolvedHost, Resolver
from bootforge.site import files as site_files
from bootforge.site.load import Site, load_site
from tests.sites import base
from tests.support import write_site


@pytest.fixture(autouse=True, scope="module")
def _fast() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(site_files, "clean_commit", lambda root: "")
        yield


HOSTS = [f"{role}{number:02}.prod.den.example.com" for role in ("web", "app") for number in range(1, 9)]
"""Metal and guests: of the base, those of the role app are guests."""
own = st.fixed_dictionaries(
    {},
    optional={
        "state": st.sampled_from(["planned", "active", "held", "retired"]),
        "nics": st.sampled_from(["{lan: {}, two: {network: den-bmc}}", "{lan: {network: den-lan}}"]),
        "aliases": st.just("[]"),
    },
)
fleets = st.dictionaries(st.sampled_from(HOSTS), own, min_size=1, max_size=10)
Fleet = Mapping[str, Mapping[str, str]]


@contextmanager
def site_of(fleet: Fleet) -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="bf-lock-"))
    try:
        files = ("site.yaml", "rules.yaml", "roles/web.yaml", "roles/app.yaml", "roles/db.yaml")
        write_site(root, {file: base(file) for file in files})
        yield settle(root, fleet)
    finally:
        shutil.rmtree(root)


def settle(root: Path, fleet: Fleet) -> Path:
    """The fleet as the only hosts of a site."""
    lines = [
        f"{name}:\n" + "".join(f"  {key}: {value}\n" for key, value in said.items()) for name, said in fleet.items()
    ]
    return write_site(root, {"hosts/all.yaml": "".join(lines)})


def locked(root: Path) -> tuple[Site, dict[str, ResolvedHost], str]:
    """The site once it is locked, its hosts, and the text that was written."""
    site, hosts = resolved(root)
    text = lock_text(site, additions(site, hosts, hosts))
    (root / "lock.yaml").write_text(text)
    return *resolved(root), text


def resolved(root: Path) -> tuple[Site, dict[str, ResolvedHost]]:
    site = load_site(root)
    resolver = Resolver(site)
    return site, {name: resolver.resolve(name) for name in site.hosts}


@settings(max_examples=25, deadline=None)
@given(fleet=fleets)
def test_to_lock_twice_is_to_lock_once(fleet: Fleet) -> None:
    with site_of(fleet) as root:
        site, hosts, text = locked(root)
        assert additions(site, hosts, hosts) == {}
        assert lock_text(site, {}) == text


@settings(max_examples=25, deadline=None)
@given(first=fleets, more=fleets, poor=st.booleans())
def test_what_is_locked_never_changes(first: Fleet, more: Fleet, poor: bool) -> None:
    """More hosts, other lines at the same hosts, hosts that are gone: every identity stays, and all are different."""
    with site_of(first) as root, pytest.MonkeyPatch.context() as patch:
        if poor:
            patch.setattr(identity.hmac, "new", Poor)
        site, hosts, _ = locked(root)
        before = said(site)
        assert unique(hosts)
        site, hosts, _ = locked(settle(root, {**more}))
        after = said(site)
        assert {name: {path: after[name][path] for path in paths} for name, paths in before.items()} == before
        assert unique(hosts)


def test_the_planted_change_would_be_seen() -> None:
    """Without the values that are taken, poor digests give two hosts one identity."""
    with pytest.MonkeyPatch.context() as patch, site_of({name: {} for name in HOSTS}) as root:
        patch.setattr(identity.hmac, "new", Poor)
        patch.setattr(identity, "_draw", lambda key, path, make, taken: make(Poor(b"", b"\0000").digest()))
        _, hosts, _ = locked(root)
        assert not unique(hosts)


def said(site: Site) -> dict[str, dict[tuple[str, ...], object]]:
    return {
        name: {path: one.value for path, one in layer.says.items() if one.value} for name, layer in site.locks.items()
    }


def unique(hosts: Mapping[str, ResolvedHost]) -> bool:
    values = [value for host in hosts.values() for _, _, _, value in owned(host)]
    return len(values) == len(set(values)) and not list(clashes(hosts.values()))


def drawn(site: Site, hosts: Mapping[str, ResolvedHost]) -> dict[str, dict[tuple[str, ...], str]]:
    return {name: dict(more) for name, more in additions(site, hosts, hosts).items()}


@settings(max_examples=25, deadline=None)
@given(fleet=fleets, more=fleets, gone=st.sets(st.sampled_from(HOSTS)), seed=st.randoms(use_true_random=False))
def test_what_is_drawn_does_not_depend_on_the_others(fleet: Fleet, more: Fleet, gone: set[str], seed: Random) -> None:
    """Hosts that come, hosts that go, another order of files and lines: each host draws what it drew before."""
    with site_of(fleet) as root:
        before = drawn(*resolved(root))
        changed = [(name, said) for name, said in {**more, **fleet}.items() if name not in gone]
        seed.shuffle(changed)
        after = drawn(*resolved(settle(root, dict(changed)))) if changed else {}
        for name in before.keys() & after.keys():
            assert after[name] == before[name]


@settings(max_examples=25, deadline=None)
@given(fleet=fleets, other=st.sampled_from(["app98.prod.den.example.com", "app99.prod.den.example.com"]))
def test_who_is_renamed_keeps_its_identity(fleet: Fleet, other: str) -> None:
    with site_of(fleet) as root:
        site, _, text = locked(root)
        if not said(site):
            return
        old = min(said(site))
        (root / "lock.yaml").write_text(text.replace(f"\n{old}:", f"\n{other}:"))
        renamed = {other if name == old else name: lines for name, lines in fleet.items()}
        site2, hosts, _ = locked(settle(root, renamed))
        kept = said(site)[old]
        assert {path: said(site2)[other].get(path) for path in kept} == kept
        assert unique(hosts)


@pytest.mark.parametrize("virt, prefix", [("xen", "00:16:3e"), ("kvm", "52:54:00")])
@settings(max_examples=2, deadline=None)
@given(guests=st.integers(1, 2000), poor=st.booleans())
@example(guests=5000, poor=False)
def test_no_two_nics_of_a_fleet_share_a_mac(virt: str, prefix: str, guests: int, poor: bool) -> None:
    """Up to 10,000 nics: of 23 bits, some six pairs of so many are the same at first (the birthdays of a year)."""
    with site_of({}) as root, pytest.MonkeyPatch.context() as patch:
        if poor:
            guests = guests % 20 + 1
            patch.setattr(identity.hmac, "new", Poor)
        two = "nics: {lan: {}, two: {network: den-bmc}}"
        lines = f"app[0001-{guests:04}].prod.den.example.com: {{virt: {virt}, {two}}}\n"
        site, hosts = resolved(write_site(root, {"hosts/all.yaml": lines}))
        macs = [v for more in additions(site, hosts, hosts).values() for path, v in more.items() if path[-1] == "mac"]
        assert len(macs) == len(set(macs)) == 2 * guests
        assert all(mac.startswith(prefix) and parse_mac(mac).text == mac for mac in macs)


def test_so_many_would_collide() -> None:
    """The counter is what keeps them apart: without it the largest fleet above has nics that share an address."""
    with pytest.MonkeyPatch.context() as patch, site_of({}) as root:
        first = identity._draw
        patch.setattr(identity, "_draw", lambda key, path, make, taken: first(key, path, make, set()))
        lines = "app[0001-5000].prod.den.example.com: {nics: {lan: {}, two: {network: den-bmc}}}\n"
        site, hosts = resolved(write_site(root, {"hosts/all.yaml": lines}))
        macs = [v for more in additions(site, hosts, hosts).values() for path, v in more.items() if path[-1] == "mac"]
        assert len(set(macs)) < len(macs)


class Poor:
    """A digest of two bits: every draw collides again and again."""

    def __init__(self, key: bytes, message: bytes, *_: object) -> None:
        self.byte = (sum(key) + 4 * int(message.rpartition(b"\0")[2])) % 256

    def digest(self) -> bytes:
        return bytes([self.byte]) * 32
