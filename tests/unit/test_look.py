"""A look: who may have one, and that it tells what would happen without making it happen."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bootforge.state import ServerKey
from bootforge.store import open_store

KEY = ServerKey(b"k" * 32)
MAC, OTHER = "52:54:00:00:00:01", "52:54:00:00:00:02"
NOW = 1_800_000_000.0


@pytest.mark.parametrize("late,good", [(0, True), (60, True), (-60, True), (61.5, False), (-61.5, False), (1e9, False)])
def test_a_look_is_good_for_a_minute(late: float, good: bool) -> None:
    assert KEY.is_look(MAC, KEY.look(MAC, NOW), NOW + late) == good


def test_a_look_is_for_one_machine_and_one_key() -> None:
    look = KEY.look(MAC, NOW)
    assert not KEY.is_look(OTHER, look, NOW)
    assert not ServerKey(b"l" * 32).is_look(MAC, look, NOW)
    said, _, code = look.partition("-")
    for forged in (
        f"{int(said) + 1}-{code}",
        f"0{look}",
        f"{look} ",
        f" {look}",
        look.upper(),
        code,
        f"-{code}",
        f"{said}-",
    ):
        assert not KEY.is_look(MAC, forged, NOW), forged


@given(st.text())
def test_no_text_is_a_look_by_chance_or_does_harm(text: str) -> None:
    assert not KEY.is_look(MAC, text, NOW)
    assert not KEY.is_look(MAC, f"{NOW:.0f}-{text}", NOW)


def test_what_would_happen_is_told_and_does_not_happen(tmp_path: Path) -> None:
    clock = [NOW]
    store = open_store(f"sqlite:///{tmp_path}/store.db", clock=lambda: clock[0])
    assert store.would_boot("web1", "10.0.0.1").reason == store.permit_boot("web1", "10.0.0.1").reason == "not armed"
    events = store.events()
    store.arm(["web1"], ttl=100, why="", by="x", tokens=lambda id: id)
    armed = store.status()
    for _ in range(20):
        looked = store.would_boot("web1", "10.0.0.1")
        assert looked.grant and looked.reason == ""
    assert store.status() == armed and len(store.events()) == len(events) + 1
    assert store.permit_boot("web1", "10.0.0.1").grant == looked.grant, "it is what the machine is told"
    clock[0] += 200
    before = store.status(), store.events()
    assert store.would_boot("web1", "10.0.0.1").reason == "expired"
    assert store.is_writable() and (store.status(), store.events()) == before
    store.close()
