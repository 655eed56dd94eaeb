"""The scalars of the site language: YAML text in, a decided value out, never a guess.

Each raises ValueError with a message for the operator. ``no`` is the text "no", ``012`` is not a number and
``52:54:00:12:34:56`` is a MAC address, because pydantic's own conversions are never used. What makes a scalar is here,
with those of every subject: names, texts, numbers, words; the others are in scalars_network.py, scalars_storage.py and
scalars_system.py.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache
from typing import Annotated, Any

from pydantic import BeforeValidator, PlainValidator, ValidationInfo, WithJsonSchema

from bootforge.site.kinds import FACTS, HEX, SECRET, SET
from bootforge.words import HostName

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NAME = re.compile(r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
COUNT = re.compile(r"[1-9][0-9]{0,8}")
_SIZE = re.compile(r"([1-9][0-9]{0,11}) ?(MiB|GiB|TiB)")
_WORD = re.compile(r"[^\s\"'\\`]+")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,31}")
_HOST_ID = re.compile(r"[0-9a-f]{16}")
_FACT = re.compile(r"[a-z][a-z0-9_]*")
_ONE_WORD = ("one word", "write it without blanks, quotes and backslashes")


def clean(value: Any, *, longest: int = 4096, allowed: str = "") -> str:
    """Text of at most ``longest`` characters, without control characters and others that nobody sees; one line, unless
    newlines are among the ``allowed`` characters."""
    if not isinstance(value, str):
        raise ValueError("must be one value")
    if len(value) > longest:
        raise ValueError(f"is {len(value)} characters long; {longest} at most")
    seen = value.translate(dict.fromkeys(map(ord, allowed))) if allowed else value
    if control := _CONTROL.search(seen):
        hint = "write plain text" if "\n" in allowed else "write one line of text"
        raise ValueError(f"has the control character {control[0]!r}; {hint}")
    if not seen.isprintable():
        unseen = next(char for char in seen if not char.isprintable())
        raise ValueError(f"has the character {unseen!a}, which cannot be seen; remove it, or write a blank")
    return value


def _foreign(text: str) -> str:
    """What may be why a text is refused: a character that looks like another one."""
    char = next((char for char in text if not char.isascii()), "")
    return f" (it has {unicodedata.name(char, 'an unknown character')}, {char!a})" if char else ""


def scalar(
    read: Callable[[str], Any],
    pattern: str | None = None,
    *,
    facts: bool = False,
    longest: int = 4096,
    allowed: str = "",
    **schema: Any,
) -> Any:
    """An annotation for a value that ``read`` makes from clean text; ``{fact}``, where the key takes one, waits for
    the merged tree. ``longest`` and ``allowed`` as of ``clean``."""

    @lru_cache(maxsize=65536)
    def read_once(text: str) -> Any:
        text = clean(text, longest=longest, allowed=allowed)
        try:
            return read(text)
        except ValueError as error:
            message, semicolon, hint = str(error).partition("; ")
            raise ValueError(f"{message}{_foreign(text)}{semicolon}{hint}") from None

    def validate(value: Any, info: ValidationInfo) -> Any:
        text = value if isinstance(value, str) else clean(value)
        waits = facts and "{" in text and bool(info.context and info.context.get("layer"))
        return clean(text) if waits else read_once(text)

    shown = {"type": "string", **({"pattern": f"^(?:{pattern})$"} if pattern else {}), **schema}
    return PlainValidator(validate), WithJsonSchema(shown)


def with_facts(read: Callable[[str], Any], pattern: str | None = None) -> Any:
    """As ``scalar``, for a key in which ``{fact}`` is replaced."""
    return FACTS, *scalar(read, pattern, facts=True)


def matching(pattern: re.Pattern[str], what: str, hint: str) -> Callable[[str], str]:
    """A reader of texts that fit a pattern from end to end; ``hint`` says how to write one."""

    def read(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(f"{text!r} is not {what}; {hint}")
        return text

    return read


def parse_text(text: str) -> str:
    if not text or text != text.strip():
        what = "begins or ends with a blank" if text.strip() else "is empty"
        raise ValueError(f"{what}; write a text without blanks around it, or remove it")
    return text


parse_name = matching(_NAME, "a name", "use lower-case letters, digits and dashes, a letter first")


def parse_count(text: str) -> int:
    if not COUNT.fullmatch(text):
        raise ValueError(f"{text!r} is not a whole number above zero; write decimal digits, no zero first")
    return int(text)


def parse_bool(text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{text!r} is neither true nor false; write one of them in lower case")
    return text == "true"


def parse_size(text: str) -> int:
    match = _SIZE.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a size; write a whole number of MiB, GiB or TiB, as in 8GiB")
    return int(match[1]) * {"MiB": 1, "GiB": 1024, "TiB": 1024**2}[match[2]]


def parse_host(text: str) -> HostName:
    labels = text.split(".")
    fits = len(labels) > 1 and all(_LABEL.fullmatch(label) for label in labels)
    if len(text) > 253 or not fits or labels[-1].isdigit():
        raise ValueError(f"{text!r} is not a host name; write it in full, in lower case, as in web01.example.com")
    return HostName(text)


def parse_site_path(text: str) -> str:
    if text.startswith("/") or not all(part not in ("", ".", "..") for part in text.split("/")):
        raise ValueError(f"{text!r} is not a path below the site directory; write it as in keys/ops.pub")
    return text


def one_of(*words: str) -> Any:
    """An annotation for one of a few words."""

    def read(text: str) -> str:
        if text not in words:
            raise ValueError(f"no {text!r} here; write one of: {', '.join(words)}")
        return text

    return Annotated[str, *scalar(read, enum=list(words))]


def elements(value: Any) -> Any:
    """A merged set arrives as a dict of its elements; sorted, so that no order of writing can be seen."""
    return tuple(sorted(value)) if isinstance(value, dict) else value


# fmt: off
Text = Annotated[str, *scalar(parse_text)]
Name = Annotated[str, *scalar(parse_name, _NAME.pattern)]
FactsName = Annotated[str, *with_facts(parse_name, _NAME.pattern)]
Count = Annotated[int, *scalar(parse_count, COUNT.pattern)]
Bool = Annotated[bool, *scalar(parse_bool, enum=["true", "false"])]
Size = Annotated[int, *scalar(parse_size, _SIZE.pattern)]
Host = Annotated[HostName, *scalar(parse_host)]
Word = Annotated[str, *scalar(matching(_WORD, *_ONE_WORD), _WORD.pattern)]
FactsWord = Annotated[str, *with_facts(matching(_WORD, *_ONE_WORD), _WORD.pattern)]
User = Annotated[str, *scalar(matching(_USER, "a name", "use lower-case letters, digits, _ and -"), _USER.pattern)]
SitePath = Annotated[str, *scalar(parse_site_path)]
HostId = Annotated[str, HEX, *scalar(matching(_HOST_ID, "a host's id", "it has 16 hex digits in lower case"))]
FactName = Annotated[str, *scalar(matching(_FACT, "the name of a fact", "use lower-case letters, digits and _"))]
FactWord = Annotated[str, *scalar(matching(_LABEL, "a fact", "use lower-case letters, digits and dashes"))]
SecretName = Annotated[str, SECRET, *with_facts(matching(_USER, "a name", "use lower-case letters, digits, _ and -"))]
# fmt: on
AsSet = (SET, BeforeValidator(elements))
