"""Plans that can be carried out, and should not be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from bootforge.errors import Problem, did_you_mean
from bootforge.generation import Generation
from bootforge.lint.known import FIREWALL, KEYMAPS, LOCALES, is_known
from bootforge.model import Path, dotted
from bootforge.plan.accounts import present


def lint_plan(generation: Generation, name: str) -> Iterator[Problem]:
    """Warnings about one host."""
    spec = generation.host(name).spec
    users = present(spec.users)
    entered = any(spec.authorized_keys.values()) or any(user.password for user in users.values())
    if spec.root_password is None and not entered:
        hint = "set 'authorized_keys: {root: [keys/NAME.pub]}' or 'root_password: {secret: NAME}'"
        others = ", and no user has a password or a key" if users else ""
        message = f"nobody can log in: root is locked and has no key{others}"
        yield replace(generation.origin_problem(name, (), "BF060", message, hint), severity="warning")
    if generation.plan(name).boot.kernel.startswith("https:"):
        hint = "write an http:// URL for hosts that GRUB or pxelinux boots"
        message = "iPXE alone can fetch the installer by TLS: there is no script for GRUB and pxelinux"
        note = generation.origin_problem(name, ("install", "url"), "BF074", message, hint)
        yield replace(note, severity="note")
    yield from _unknown_words(generation, name)


def _unknown_words(generation: Generation, name: str) -> Iterator[Problem]:
    """Names that no installer checks: each would leave a machine with another keymap, locale or firewall, unasked."""
    spec = generation.host(name).spec
    said: list[tuple[Path, str, str, frozenset[str]]] = [
        (("keyboard",), "keymap", spec.keyboard, KEYMAPS),
        (("language",), "locale", spec.language, LOCALES),
    ]
    for word in spec.firewall.services:
        said.append((("firewall", "services", word), "service of firewalld", word, FIREWALL))
    for path, what, word, known in said:
        if not is_known(word, known):
            hint = did_you_mean(word, known) or "correct it, or leave it if the release has it"
            message = f"{dotted(path[:2])}: '{word}' is no {what} that is known"
            yield replace(generation.origin_problem(name, path, "BF094", message, hint), severity="warning")
