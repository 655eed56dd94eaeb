"""Kickstart commands from Python arguments."""

from __future__ import annotations

from functools import cache, lru_cache

from bootforge.words import KsCommand, KsOption


def command_of_its_own(name: str, /, *words: str, **options: object) -> KsCommand:
    """``command_of_its_own('part', '/boot', size=1024, grow=True)``: True is a flag, None and False leave an option
    out. For what no two hosts have alike."""
    listed = [KsOption("", word) for word in words]
    for key, value in options.items():
        if value is True:
            listed.append(KsOption(_flag(key)))
        elif value is not None and value is not False:
            listed.append(KsOption(_flag(key), value))  # type: ignore[arg-type]
    return KsCommand(name, tuple(listed))


command = lru_cache(maxsize=65536, typed=True)(command_of_its_own)
"""As ``command_of_its_own``. Hosts share most of their commands, so one is made once."""


@cache
def _flag(key: str) -> str:
    return "--" + key.replace("_", "-")
