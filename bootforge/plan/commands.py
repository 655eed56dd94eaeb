"""Kickstart commands from Python arguments."""

from __future__ import annotations

from functools import lru_cache

from bootforge.model import KsCommand, KsOption


@lru_cache(maxsize=65536, typed=True)
def command(name: str, /, *words: str, **options: object) -> KsCommand:
    """``command('part', '/boot', size=1024, grow=True)``: True is a flag, None and False leave an option out.
    Hosts share most of their commands, so one is made once."""
    listed = [KsOption("", word) for word in words]
    for key, value in options.items():
        flag = "--" + key.replace("_", "-")
        if value is True:
            listed.append(KsOption(flag))
        elif value is not None and value is not False:
            listed.append(KsOption(flag, value))  # type: ignore[arg-type]
    return KsCommand(name, tuple(listed))
