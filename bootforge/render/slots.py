"""Grammars: how a value becomes text in kickstart, shell, netboot and DHCP files; and holes that stay holes.

A filter returns :class:`Quoted`; nothing else may reach an output. For a :class:`~bootforge.words.Slot` it
returns a marker that records the grammar, so that ``seal`` can quote the secret as the place needs it. Markers
are made of control characters, which no value can hold, and never leave this package: an artifact has plain
text in which a slot prints as ``@secret:root@``, and the offsets of its slots.
"""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Callable, Iterable
from functools import partial
from xml.sax.saxutils import escape

from bootforge.errors import RenderError
from bootforge.model import Artifact, SlotUse
from bootforge.model_steps import Step
from bootforge.words import Arg, BootArg, Call, DiskNames, KsCommand, KsOption, Package, Slot

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MARKER = re.compile("\x02([a-z]+)\x1f([a-z][a-z0-9_.:-]*)\x1f([a-z0-9$,]*)\x03")
_NOT_TEXT = re.compile(r"[\x00-\x08\x0b\x0e-\x1a\x1c-\x1f]")
_IPXE = re.compile(r"[A-Za-z0-9._~:/?=@,+%&()\[\]*!-]+")
_PACKAGE = re.compile(r"(@\^?)?[A-Za-z0-9][A-Za-z0-9_.+-]*")
_KERNEL_WORD = re.compile(r"[!#-&(-\[\]-~]+")
_GRUB_BARE = re.compile(r"[A-Za-z0-9._/:=@,+%-]+")
_DNSMASQ = re.compile(r"[A-Za-z0-9._~:/?=@+%&()\[\]*!-]+")


class Quoted(str):
    """Text that is right in the grammar of the template that prints it."""


def _plain(value: object, grammar: str) -> str:
    text = str(value)
    if found := _CONTROL.search(text):
        raise RenderError(f"a value has the control character {found[0]!r} and cannot be written in {grammar}")
    return text


def _matching(pattern: re.Pattern[str], grammar: str, text: str) -> str:
    if not pattern.fullmatch(text):
        raise RenderError(f"{text!r} cannot be one word of {grammar}", "use letters, digits and . _ - : / =")
    return text


def quote_sh(text: str) -> str:
    """One word of a POSIX shell command line."""
    return shlex.quote(_plain(text, "sh"))


def quote_ks(text: str) -> str:
    """One word of a kickstart line; pykickstart splits lines as a shell does (parser.py, shlex.split)."""
    return shlex.quote(_plain(text, "kickstart"))


def quote_grub(text: str) -> str:
    """One word of a GRUB 2 script, as in a shell: within single quotes nothing is special (GRUB manual, "Quoting").

    Blanks, quotes and backslashes are refused: the command ``linux`` would write them into the kernel's command line
    with quotes and backslashes of its own (grub-core/lib/cmdline.c)."""
    word = _matching(_KERNEL_WORD, "a GRUB script", text)
    return word if _GRUB_BARE.fullmatch(word) else f"'{word}'"


QUOTERS: dict[str, Callable[[str], str]] = {
    "sh": quote_sh,
    "ks": quote_ks,
    "ipxe": partial(_matching, _IPXE, "an iPXE script"),
    "grub": quote_grub,
    "pxe": partial(_matching, _KERNEL_WORD, "a pxelinux configuration"),
    "dnsmasq": partial(_matching, _DNSMASQ, "a dnsmasq option"),
    "dhcpd": partial(_matching, _DNSMASQ, "a statement of dhcpd.conf"),
    "comment": lambda text: _plain(text, "a comment"),
    "xl": partial(_matching, _KERNEL_WORD, "a guest's definition"),
    "xml": lambda text: escape(_matching(_KERNEL_WORD, "a guest's definition", text)),
}
"""Every grammar in which a single value can be written. iPXE expands ``${...}`` and splits at blanks, and has
no quoting that all its versions share, so words outside a safe alphabet are refused. pxelinux takes a line as it
stands, so all that is refused there is what would end a word, or what the kernel reads as a quote."""


def _word(grammar: str, value: Arg) -> str:
    if isinstance(value, DiskNames) and not all(isinstance(name, str) for name in value.names):
        raise RenderError(f"disk {value} is known on the machine only", "write the command in %pre")
    if isinstance(value, Slot):
        return f"\x02{grammar}\x1f{value.source}\x1f{','.join(value.hashes)}\x03"
    return QUOTERS[grammar](str(value))


def _ks(value: KsCommand | Package | Arg) -> Quoted:
    if isinstance(value, Package):
        return Quoted("-" * value.excluded + _matching(_PACKAGE, "%packages", value.text))
    if not isinstance(value, KsCommand):
        return Quoted(_word("ks", value))
    return Quoted(" ".join([_word("ks", value.name), *(_ks_option(option) for option in value.options)]))


def _ks_option(option: KsOption) -> str:
    if option.value is None:
        return _word("ks", option.name)
    return (option.name and f"{option.name}=") + _word("ks", option.value)


def _boot(grammar: str) -> Callable[[BootArg | Arg], Quoted]:
    """A filter for words of a netboot script; ``name=value`` of the kernel's command line is one of them."""

    def quote(value: BootArg | Arg) -> Quoted:
        if not isinstance(value, BootArg):
            return Quoted(_word(grammar, value))
        name = _word(grammar, value.name)
        return Quoted(name if value.value is None else f"{name}={_word(grammar, value.value)}")

    return quote


def boot_words(args: Iterable[BootArg], grammar: str) -> str:
    """The kernel's command line in a guest's definition. Of XML a slot alone is written as such: who writes the rest
    escapes it."""
    one = _boot("xl")
    return " ".join(
        f"{one(arg.name)}={_word(grammar, arg.value)}" if isinstance(arg.value, Slot) else one(arg) for arg in args
    )


def _shks(command: KsCommand) -> Quoted:
    """A kickstart command as one word of a shell script, in which the shell fills in the disks that it found."""
    words = [_shell_text(quote_ks(command.name))]
    for option in command.options:
        value = option.value
        if isinstance(value, DiskNames):
            text = ",".join(_shell_text(quote_ks(n)) if isinstance(n, str) else _DISK.format(n) for n in value.names)
        elif isinstance(value, Slot):
            raise RenderError(f"{value} cannot be in a storage command", "take it out")
        else:
            text = "" if value is None else _shell_text(quote_ks(str(value)))
        name = _shell_text(quote_ks(option.name)) if option.name else ""
        words.append(f"{name}={text}" if name and value is not None else name or text)
    return Quoted(f'"{" ".join(words)}"')


_DISK = "${{bf_disk{}}}"


def _shell_text(text: str) -> str:
    """Text between double quotes of a shell script."""
    return re.sub(r'([\\"$`])', r"\\\1", text)


def _call(call: Step | Call) -> Quoted:
    """A call of a library function: ``bf_hostname web01.example.com``; what a step has for its standard input follows
    as a here-document, which ends with a line that its own content decides."""
    line = " ".join([f"bf_{call.fn}", *(_word("sh", arg) for arg in call.args)])
    content = call.content if isinstance(call, Step) else None
    if content is None:
        return Quoted(line)
    if found := _NOT_TEXT.search(content):
        raise RenderError(f"a file's content has the control character {found[0]!r}", "a package can bring it")
    if content and not content.endswith("\n"):
        content += "\n"
    end = f"BF_{hashlib.sha256(content.encode()).hexdigest()[:16]}"
    return Quoted(f"{line} <<'{end}'\n{content}{end}")


FILTERS: dict[str, Callable[..., Quoted]] = {
    "sh": lambda value: Quoted(_word("sh", value)),
    "ks": _ks,
    "ipxe": _boot("ipxe"),
    "grub": _boot("grub"),
    "pxe": _boot("pxe"),
    "shks": _shks,
    "dnsmasq": lambda value: Quoted(_word("dnsmasq", value)),
    "dhcpd": lambda value: Quoted(_word("dhcpd", value)),
    "comment": lambda value: Quoted(_word("comment", value)),
    "call": _call,
    "xl": _boot("xl"),
    "xml": _boot("xml"),
}
"""The grammar filters of templates, by name."""


def make_artifact(name: str, media_type: str, rendered: str) -> Artifact:
    """An artifact from rendered text: markers become ``@source@`` and are listed as slots."""
    pieces: list[str] = []
    slots: list[SlotUse] = []
    at = end = 0
    for match in _MARKER.finditer(rendered):
        before = rendered[end : match.start()]
        slot = Slot(match[2], tuple(match[3].split(",")) if match[3] else ())
        pieces += [before, str(slot)]
        slots.append(SlotUse(at + len(before), len(str(slot)), match[1], slot))
        at += len(before) + len(str(slot))
        end = match.end()
    text = "".join([*pieces, rendered[end:]])
    return Artifact(name, media_type, text, tuple(slots), hashlib.sha256(text.encode()).hexdigest())
