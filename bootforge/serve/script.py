"""The script that DHCP names for iPXE, by TFTP. What it holds is in its name, so it is made without the site and
without the HTTP worker: it works while either is gone."""

from __future__ import annotations

import re
from collections.abc import Callable

from bootforge.addr import is_address
from bootforge.render import Engine
from bootforge.render.netboot import render_first

_NAME = re.compile(r"/*http/([0-9.]{7,15})(:[1-9][0-9]{0,4})?/boot\.ipxe")


def first_scripts() -> Callable[[str], bytes | None]:
    """What finds the script behind the name that a machine asks for (plan/loader.py, ``first_script``); None for every
    other name."""
    engine = Engine({})

    def find(name: str) -> bytes | None:
        found = _NAME.fullmatch(name)
        if not found or not is_address(found[1]):
            return None
        return render_first(f"http://{found[1]}{found[2] or ''}", engine).encode()

    return find
