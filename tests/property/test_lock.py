"""What holds for every lock.yaml: it is written once, it never changes, and no two hosts share an identity."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
        patch.setattr(site_files, "_commit", lambda root: "")
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


class Poor:
    """A digest of two bits: every draw collides again and again."""

    def __init__(self, key: bytes, message: bytes, *_: object) -> None:
        self.byte = (sum(key) + 4 * int(message.rpartition(b"\0")[2])) % 256

    def digest(self) -> bytes:
        return bytes([self.byte]) * 32
