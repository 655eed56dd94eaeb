"""Scalars of files and services: paths, modes, texts of several lines, what a change owes, and what an edit finds."""

from __future__ import annotations

import re
from typing import Annotated

from bootforge.site.patterns import compile_match
from bootforge.site.scalars import matching, scalar, with_facts
from bootforge.site.scalars_system import parse_service

_PATH = re.compile(r"(/[A-Za-z0-9._+@,:=~-]+)+")
_TARGET = re.compile(r"[^\s\\]([^\\]*[^\s\\])?")
_MODE = re.compile(r"0?[0-7]{3}|[0-7]{4}")
_KEY = re.compile(r"[A-Za-z0-9_./*-][^\s#\"'\\`]*")
_SEPARATOR = re.compile(r"[ \t]+|[ \t]*[^\sA-Za-z0-9#\"'\\`]{1,3}[ \t]*")
_COMMENT = re.compile(r"[#;!%]|//|--")
_PROCESS = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:+@-]{0,14}")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_SECRET = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_NOTIFY = re.compile(r"(restart|reload|run) (\S+)|daemon-reload")
_PLAIN = "letters, digits and . _ + @ , : = ~ -"
_ONE_PROCESS = ("the name of a process", "write the first 15 characters of its command, without a path")
LONGEST_BLOCK = 65536


def parse_path(text: str) -> str:
    """An absolute path in its only spelling, so that two keys are two files."""
    if not _PATH.fullmatch(text) or any(part in (".", "..") for part in text.split("/")):
        raise ValueError(f"{text!r} is not the path of a file; write it as in /etc/motd, with {_PLAIN}")
    return text


def parse_mode(text: str) -> str:
    """A mode as stat(1) prints it: octal, no zero first."""
    if not _MODE.fullmatch(text):
        raise ValueError(f"{text!r} is not a mode; write three or four octal digits, as in 0644")
    return f"{int(text, 8):o}"


def parse_line(text: str) -> str:
    """A line of a file, which may begin and end with blanks."""
    if not text.strip():
        raise ValueError("is empty; write the line, or remove it")
    return text


def parse_value(text: str) -> str:
    """What stands behind the separator of a setting; nothing is a value too."""
    return text


def parse_block(text: str) -> str:
    """Lines of a file."""
    if not text.strip():
        raise ValueError("is empty; write some text, or remove it")
    return text


def parse_match(text: str) -> str:
    """A regular expression that every awk takes alike (patterns.py)."""
    compile_match(text)
    return text


def parse_notify(text: str) -> str:
    """A handler as the bootstrap calls it: ``restart:httpd`` for ``restart httpd``."""
    match = _NOTIFY.fullmatch(text)
    if not match:
        hint = "write 'restart NAME', 'reload NAME', 'run NAME' or 'daemon-reload'"
        raise ValueError(f"{text!r} is no handler; {hint}")
    if match[1] == "run" and not _NAME.fullmatch(match[2]):
        raise ValueError(f"{text!r} runs no command; write 'run' and a name of 'commands:'")
    if match[1] and match[1] != "run":
        parse_service(match[2])
    return text.replace(" ", ":")


# fmt: off
FilePath = Annotated[str, *scalar(parse_path, _PATH.pattern)]
LinkTarget = Annotated[str, *scalar(matching(_TARGET, "what a link can lead to", "write a path"))]
Mode = Annotated[str, *scalar(parse_mode, _MODE.pattern)]
Line = Annotated[str, *scalar(parse_line, allowed="\t")]
Value = Annotated[str, *scalar(parse_value, allowed="\t")]
Block = Annotated[str, *scalar(parse_block, longest=LONGEST_BLOCK, allowed="\t\n")]
Match = Annotated[str, *scalar(parse_match)]
Notify = Annotated[str, *scalar(parse_notify, _NOTIFY.pattern)]
SettingKey = Annotated[str, *scalar(matching(_KEY, "the key of a setting", "write one word that begins no comment"))]
Separator = Annotated[str, *scalar(matching(_SEPARATOR, "a separator", "write it as in ' = '"), allowed="\t")]
Comment = Annotated[str, *scalar(matching(_COMMENT, "what begins a comment", "write one of # ; ! % // --"))]
Process = Annotated[str, *scalar(matching(_PROCESS, *_ONE_PROCESS), _PROCESS.pattern)]
StepKind = Annotated[str, *scalar(matching(_NAME, "a kind of steps", "write it as in services"), _NAME.pattern)]
SecretWord = Annotated[str, *with_facts(matching(_SECRET, "a name", "use lower-case letters, digits, _ and -"))]
# fmt: on
