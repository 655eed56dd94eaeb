"""Decisions that hosts of one site share, made once: what follows from the same settings is the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from bootforge.plan.faults import Fault
from bootforge.resolve import ResolvedHost

T = TypeVar("T")


def shared(host: ResolvedHost, settings: tuple[object, ...], faults: list[Fault], decide: Callable[[], T]) -> T:
    """What ``decide`` decides from ``settings``, of which the first says what it is, and nothing else. Hosts that
    were given equal texts have the same objects (site/values.py, Typer), so identity tells. Faults are each host's own:
    a decision that finds some is not kept."""
    key = tuple(one if isinstance(one, str) else id(one) for one in settings)
    if key not in host.memo:
        before = len(faults)
        decided = decide()
        if len(faults) > before:
            return decided
        host.memo[key] = settings, decided  # the settings as well: while they live, nothing else has their identity
    return host.memo[key][1]  # type: ignore[return-value]
