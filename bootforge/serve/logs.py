"""Lines of the server's log: as text, or each as one JSON object. Whatever a machine said, a line stays one line, and
has nothing in it that a terminal would obey."""

from __future__ import annotations

import json
import logging
import os
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Literal

from gunicorn.glogging import Logger

Format = Literal["text", "json"]
Told = dict[str, dict[str, Any]]

_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (0, 7))


def told(**fields: Any) -> Told:
    """``extra`` of a log call: what its line says, for programs: ``client``, ``host``, ``mac``, ``route``, ``status``,
    ``duration`` (seconds), ``bytes``. What is None or '' is left out."""
    return {"told": {key: value for key, value in fields.items() if value not in (None, "")}}


class Text(logging.Formatter):
    """For people: the time, the level, what happened; under systemd without the time, which the journal has."""

    def __init__(self, journal: bool) -> None:
        super().__init__("%(levelname)s %(message)s" if journal else "%(asctime)s %(levelname)s %(message)s")
        self.journal = journal

    def format(self, record: logging.LogRecord) -> str:
        # formatMessage alone would leave the line breaks of a traceback, which are ours, and those of a text, which
        # may not be.
        record.message = _shown(record.getMessage())
        record.asctime = self.formatTime(record)
        lines = [self.formatMessage(record), *(f"    {_shown(line)}" for line in _traceback(self, record))]
        prefix = _prefix(record) if self.journal else ""
        return "\n".join(prefix + line for line in lines)


class Json(logging.Formatter):
    """For programs: ``time`` (RFC 3339, UTC), ``level``, ``logger``, ``what``, and what `told` says. ASCII only."""

    def __init__(self, journal: bool) -> None:
        super().__init__()
        self.journal = journal

    def format(self, record: logging.LogRecord) -> str:
        at = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": at.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "what": record.getMessage(),
            **getattr(record, "told", {}),
        }
        if lines := _traceback(self, record):
            line["traceback"] = lines
        return (_prefix(record) if self.journal else "") + json.dumps(line, default=str)


def _traceback(formatter: logging.Formatter, record: logging.LogRecord) -> list[str]:
    """Made anew for each line: a formatter may not keep it, another one would print it."""
    return formatter.formatException(record.exc_info).split("\n") if record.exc_info else []


def _shown(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _prefix(record: logging.LogRecord) -> str:
    """The level, as journald takes it (sd-daemon(3))."""
    return f"<{next(number for level, number in _PRIORITIES if record.levelno >= level)}>"


def to_journal() -> bool:
    """Whether standard error is a stream of systemd's journal (systemd.exec(5), JOURNAL_STREAM)."""
    with suppress(OSError, ValueError):
        device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
        status = os.fstat(sys.stderr.fileno())
        return (status.st_dev, status.st_ino) == (int(device), int(inode))
    return False


def configure(form: Format) -> None:
    """Every line of this process and its children goes to standard error in that form."""
    for handler in logging.getLogger().handlers:
        handler.setFormatter((Json if form == "json" else Text)(to_journal()))
    logging.captureWarnings(True)


class GunicornLogger(Logger):  # type: ignore[misc]
    """gunicorn's lines, by the way of all others."""

    def setup(self, cfg: Any) -> None:
        super().setup(cfg)
        for handler in list(self.error_log.handlers):
            self.error_log.removeHandler(handler)
        self.error_log.propagate = True
