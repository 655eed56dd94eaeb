"""What installers get wrong or let through, and pykickstart does not say: rules of our own over a kickstart's text.

pykickstart's current handlers accept for old releases what their own parsers refuse (``%end`` in EL5), and commands
that anaconda then stops at (``multipath`` in EL6 and EL7). Nobody looks at a second root password, a gateway outside
its subnet or a mount point that stands twice. Overridden templates can write any of it.
"""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv4Interface, NetmaskValueError

from bootforge.plan.stack import is_bond_mode
from bootforge.releases import Release

_SECTIONS = {"%packages", "%pre", "%post", "%traceback"}
_NEWER_SECTIONS = {"%pre-install", "%onerror", "%addon", "%certificate"}
_NEVER = {"multipath": "anaconda stops at it", "dmraid": "anaconda stops at it", "interactive": "it asks"}
_ONCE = ("rootpw", "selinux", "timezone", "lang", "keyboard", "bootloader", "firewall", "zerombr", "text", "cmdline")
_SOURCES = ("url", "nfs", "cdrom", "harddrive", "liveimg", "ostreesetup", "ostreecontainer")
_ENDS = ("reboot", "poweroff", "halt", "shutdown")
_CRYPT = re.compile(r"\$(?:1|2[abxy]|5|6|7|y|gy)\$[./A-Za-z0-9$=,]+|[!*]+|@[a-z0-9_.:]+@")
_ADDONS = {"com_redhat_kdump", "com_redhat_oscap", "org_fedora_oscap", "com_redhat_subscription_manager"}


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the commands section: its words, without what is behind ``#``."""

    number: int
    words: tuple[str, ...]

    @property
    def command(self) -> str:
        return self.words[0]

    def options(self) -> dict[str, str]:
        """``--name=value`` and ``--name value`` alike; a flag has the value ''."""
        found: dict[str, str] = {}
        words = list(self.words[1:])
        for at, word in enumerate(words):
            if word.startswith("--"):
                name, equals, value = word[2:].partition("=")
                following = words[at + 1] if at + 1 < len(words) else ""
                found[name] = value if equals or following.startswith("--") else following
        return found


def complaints(text: str, release: Release) -> Iterator[str]:
    """Everything that the rules say about a kickstart, as ``line N: ...``."""
    if "\r" in text:
        yield "line 1: carriage returns; installers take them for a part of the last word"
    lines, sections = [], []
    packages: dict[str, int] = {}
    section = ""
    for number, raw in enumerate(text.splitlines(), 1):
        word = raw.split(None, 1)[0] if raw.startswith("%") and raw.split() else ""
        if word:
            sections.append((number, word, section, raw))
            section = "" if word == "%end" else word
        elif not section and (words := _words(raw)):
            lines.append(Line(number, words))
        elif section == "%packages":
            packages.setdefault(raw.partition("#")[0].strip(), number)
    yield from _about_sections(sections, release)
    yield from _about_packages(packages)
    yield from _about_commands(lines)
    yield from _about_network([line for line in lines if line.command == "network"])
    yield from _about_storage(lines)


def _words(raw: str) -> tuple[str, ...]:
    try:
        return tuple(shlex.split(raw, comments=True))
    except ValueError:
        return ()  # an open quote: pykickstart says so


def _about_sections(sections: list[tuple[int, str, str, str]], release: Release) -> Iterator[str]:
    for number, word, inside, raw in sections:
        if word == "%end":
            if not release.has_end:
                yield f"line {number}: %end, which {release.name}'s parser takes for a package or for shell"
        elif word in ("%include", "%ksappend"):
            yield f"line {number}: {word}; installers expand it wherever it stands, inside scripts too"
        elif release.has_end and inside:
            yield f"line {number}: {word} inside {inside}; %end is missing above it"
        elif word in _NEWER_SECTIONS and not release.boot_drive:
            yield f"line {number}: {word}, which {release.name}'s parser does not know"
        elif word not in _SECTIONS | _NEWER_SECTIONS:
            yield f"line {number}: {word} is no section"
        elif word == "%addon" and (name := (raw.split() + [""])[1]) not in _ADDONS:
            yield f"line {number}: addon {name!r}, which no installer has"
    if release.has_end and sections and sections[-1][1] != "%end":
        yield f"line {sections[-1][0]}: {sections[-1][1]} has no %end"


def _about_packages(packages: dict[str, int]) -> Iterator[str]:
    for name, number in packages.items():
        if name.startswith("-") and name[1:] in packages:
            yield f"line {number}: {name[1:]} is left out, and line {packages[name[1:]]} wants it"


def _about_commands(lines: list[Line]) -> Iterator[str]:
    counted = Counter(line.command for line in lines)
    seen: dict[str, int] = {}
    for line in lines:
        group = "an install source" if line.command in _SOURCES else line.command
        if line.command in _NEVER:
            yield f"line {line.number}: {line.command}; {_NEVER[line.command]}"
        if "{{" in line.words or "{%" in line.words:
            yield f"line {line.number}: what is left of a template"
        if group in seen and (group in _ONCE or line.command in _SOURCES):
            yield f"line {line.number}: {line.command} again; line {seen[group]} has {group} already"
        seen.setdefault(group, line.number)
        if line.command in ("rootpw", "user") and "iscrypted" in line.options():
            value = line.options().get("password") or next((w for w in line.words[1:] if not w.startswith("--")), "")
            if not _CRYPT.fullmatch(value):
                yield f"line {line.number}: --iscrypted, but what follows is no crypt(5) hash"
    for command, why in (
        ("bootloader", "nothing would boot"),
        ("rootpw", "the installer would ask for root's password"),
        ("timezone", "the installer would ask"),
    ):
        if not counted[command]:
            yield f"line 1: no {command}; {why}"
    if not any(counted[command] for command in _SOURCES):
        yield "line 1: no install source; the installer would ask"
    if not any(counted[command] for command in _ENDS):
        yield "line 1: neither reboot nor poweroff; the machine would wait at the end"


def _about_network(lines: list[Line]) -> Iterator[str]:
    routed: list[int] = []
    for line in lines:
        options = line.options()
        if "gateway" in options and "nodefroute" not in options:
            routed.append(line.number)
            if len(routed) > 1:
                yield f"line {line.number}: a second default route; line {routed[0]} has one (--nodefroute)"
        if {"ip", "netmask", "gateway"} <= options.keys():
            yield from _about_gateway(line, options)
        members = options.get("bondslaves", "").split(",")
        if len(members) != len(set(members)):
            yield f"line {line.number}: a nic stands twice in --bondslaves"
        mode = re.search(r"mode=([^,;]+)", options.get("bondopts", ""))
        if mode and not is_bond_mode(mode[1]):
            yield f"line {line.number}: {mode[1]!r} is no mode of bonding"


def _about_gateway(line: Line, options: dict[str, str]) -> Iterator[str]:
    try:
        subnet = IPv4Interface(f"{options['ip']}/{options['netmask']}").network
        if IPv4Address(options["gateway"]) not in subnet:
            yield f"line {line.number}: gateway {options['gateway']} is not in {subnet}"
    except (AddressValueError, NetmaskValueError, ValueError) as error:
        yield f"line {line.number}: {error}"


def _about_storage(lines: list[Line]) -> Iterator[str]:
    mounts: dict[str, int] = {}
    if not any(line.command in ("clearpart", "ignoredisk", "zerombr") for line in lines):
        yield "line 1: neither clearpart nor ignoredisk; a disk that is not empty would stop the installer"
    for line in lines:
        if line.command in ("part", "partition", "logvol", "raid") and len(line.words) > 1:
            mount = next((word for word in line.words[1:] if word.startswith("/")), "")
            if mount and mount in mounts:
                yield f"line {line.number}: {mount} again; line {mounts[mount]} mounts it already"
            mounts.setdefault(mount, line.number)
    if any(line.command == "autopart" for line in lines):
        mounts.setdefault("/", 0)
    if "/" not in mounts:
        yield "line 1: nothing is mounted at /"
