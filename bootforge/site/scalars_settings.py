"""Scalars of settings of an installed system: sysctl keys, kernel modules, cron's lines, SELinux."""

from __future__ import annotations

import re
from typing import Annotated

from bootforge.site.scalars import matching, scalar

_SYSCTL = re.compile(r"[a-z0-9_]+([./][A-Za-z0-9_:@-]+)+")
_MODULE = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_OPTIONS = re.compile(r"[A-Za-z0-9_-]+(=\S+)?( [A-Za-z0-9_-]+(=\S+)?)*")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SELINUX = re.compile(r"[a-z][a-z0-9_]{0,99}")
_REGEX = re.compile(r"/[^\s\"'`$]*")
_ONE_MODULE = ("a module of the kernel", "write its name, as in br_netfilter")
_MOMENTS = ("@reboot", "@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of the month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of the week", 0, 7, _DAYS),
)
"""crontab(5): the five fields with their least and greatest numbers, and names that may stand for one."""
_PART = re.compile(r"(?:\*|([0-9]{1,2})(?:-([0-9]{1,2}))?)(?:/([1-9][0-9]?))?")
COMMAND_LENGTH = 998
"""Of a command in bytes: EL5's cron reads 1,000 with the end of the line and of the text (vixie-cron, MAX_COMMAND)."""


def sysctl_file(key: str) -> str:
    """The file below /proc/sys: dots and slashes change places when a dot comes first, so that a slash can stand for
    the dot in the name of a nic (sysctl.d(5))."""
    if re.search(r"[./]", key)[0] == "/":  # type: ignore[index]
        return key
    return key.translate({ord("."): "/", ord("/"): "."})


def parse_schedule(text: str) -> str:
    """When cron starts a command, as all of our releases understand it: no ranges of names, no random times."""
    if text.startswith("@"):
        if text not in _MOMENTS:
            raise ValueError(f"cron has no {text!r}; write one of: {', '.join(_MOMENTS)}")
        return text
    fields = text.split()
    if len(fields) != 5:
        hint = "write minute, hour, day of the month, month, day of the week, as in '30 4 * * sun'"
        raise ValueError(f"{text!r} has {len(fields)} fields, and cron reads five; {hint}")
    for field, (what, least, most, names) in zip(fields, _FIELDS, strict=True):
        if field.lower() in names:
            continue
        for part in field.split(","):
            match = _PART.fullmatch(part)
            first, last = (
                (int(number) for number in (match[1] or least, match[2] or match[1] or most)) if match else (0, 0)
            )
            if not match or not least <= first <= last <= most or (match[3] and match[1] and not match[2]):
                hint = f"write numbers from {least} to {most}, as in {most}, {least}-{most}, */2"
                raise ValueError(f"{part!r} is no {what} of cron's; {hint}" + (f", or {names[0]}" if names else ""))
    return " ".join(fields)


def parse_command(text: str) -> str:
    """A command of cron's as the shell will see it. Per cent signs are ours to escape, for cron takes one for the end
    of the line."""
    if not text or text != text.strip():
        raise ValueError(f"{text!r} is no command; write one without blanks around it")
    if "\\%" in text or text.endswith("\\"):
        what = "escapes a per cent sign" if "\\%" in text else "ends with a backslash, which cron would lose"
        raise ValueError(f"the command {what}; write it as you would type it")
    if len(text.encode()) + text.count("%") > COMMAND_LENGTH:
        raise ValueError(f"the command is longer than {COMMAND_LENGTH} bytes; write a script, and start that")
    return text


def parse_variable_value(text: str) -> str:
    """What cron puts between quotes, of which it knows no escapes."""
    if '"' in text:
        raise ValueError(f"{text!r} has a double quote; cron can read none in a variable")
    return text


def parse_regex(text: str) -> str:
    if not _REGEX.fullmatch(text):
        raise ValueError(f"{text!r} is no pattern of paths; write it as in /srv/web(/.*)?, without blanks and quotes")
    try:
        re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}; write it as in /srv/web(/.*)?") from None
    return text


# fmt: off
SysctlKey = Annotated[str, *scalar(matching(_SYSCTL, "a key of sysctl", "write it as in net.ipv4.ip_forward"))]
KernelModule = Annotated[str, *scalar(matching(_MODULE, *_ONE_MODULE), _MODULE.pattern)]
ModuleOptions = Annotated[str, *scalar(matching(_OPTIONS, "a module's options", "write them as in debug=1"))]
Schedule = Annotated[str, *scalar(parse_schedule)]
CronCommand = Annotated[str, *scalar(parse_command)]
CronVariable = Annotated[str, *scalar(matching(_VARIABLE, "a variable", "write it as in MAILTO"), _VARIABLE.pattern)]
CronValue = Annotated[str, *scalar(parse_variable_value)]
SelinuxName = Annotated[str, *scalar(matching(_SELINUX, "a name of SELinux's", "write it as in httpd_use_nfs"))]
PathRegex = Annotated[str, *scalar(parse_regex)]
# fmt: on
