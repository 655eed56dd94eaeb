"""Plans that can be carried out, and should not be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootforge.errors import Problem
from bootforge.generation import Generation


def lint_plan(generation: Generation, name: str) -> Iterator[Problem]:
    """Warnings about one host."""
    spec = generation.host(name).spec
    if spec.root_password is None and not spec.authorized_keys.get("root"):
        hint = "set 'authorized_keys: {root: [keys/NAME.pub]}' or 'root_password: {secret: NAME}'"
        message = "nobody can log in: root is locked and has no key"
        yield replace(generation.origin_problem(name, (), "BF060", message, hint), severity="warning")
    if generation.plan(name).boot.kernel.startswith("https:"):
        hint = "write an http:// URL for hosts that GRUB or pxelinux boots"
        message = "iPXE alone can fetch the installer by TLS: there is no script for GRUB and pxelinux"
        note = generation.origin_problem(name, ("install", "url"), "BF074", message, hint)
        yield replace(note, severity="note")
