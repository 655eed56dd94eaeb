"""Connections, and what an operator is told when the database says no.

Whatever depends on the kind of database is in this module; the rest of the store is portable SQL.
"""

from __future__ import annotations

import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import exc

from bootforge.errors import BootforgeError, Exit, UsageError

BUSY = 20.0
"""Seconds that a connection waits for another one's write."""

_ONE_AT_A_TIME = 0x62666F7267650001
"""PostgreSQL's name for the lock that lets one process migrate at a time."""

_HOSTS = 0x62666F72
"""The first of the two numbers that name a host's lock."""


class StoreError(BootforgeError):
    """The store failed while it was in use; nothing of the transaction was kept."""

    exit = Exit.REMOTE


class StoreLocked(StoreError):
    """Another process kept the store for longer than :data:`BUSY`."""

    exit = Exit.LOCKED


_REMEDIES: tuple[tuple[str, type[BootforgeError], str], ...] = (
    ("locked", StoreLocked, "another process is writing; try again"),
    ("are busy", StoreLocked, "too many requests at once; try again"),
    ("disk is full", StoreError, "free some space there; the server refuses installs until it can write"),
    ("i/o error", StoreError, "look for the disk in the kernel's log"),
    ("readonly", UsageError, "run as the user the server runs as, or make the file writable for this one"),
    ("unable to open", UsageError, "run as the user the server runs as, or give another --store"),
    ("not a database", UsageError, "restore it from a backup, or give another --store"),
    ("malformed", UsageError, "restore it from a backup, or move it away: hosts are then disarmed"),
    (
        "connection",
        UsageError,
        "see that PostgreSQL is running and that the URL, user and password are right",
    ),
)


class Database:
    """An engine, and the two ways to use it. Raises UsageError for a URL of a kind that is not supported."""

    def __init__(self, url: sa.URL) -> None:
        self.engine = _make_engine(url)
        self._writer = self.engine.execution_options(writing=True)
        # SQLite lets its writers poll, and some then wait for seconds; the threads of one process take turns.
        self._turn = threading.Lock() if self.engine.dialect.name == "sqlite" else None

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection that reads one consistent state."""
        with self._explained(), self.engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A connection in a transaction: kept at the end, undone by an exception."""
        if self._turn and not self._turn.acquire(timeout=BUSY):
            raise StoreLocked(f"the store {self._place}: too many requests at once", "try again")
        try:
            with self._explained(), self._writer.begin() as connection:
                yield connection
        finally:
            if self._turn:
                self._turn.release()

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @property
    def _place(self) -> str:
        url = self.engine.url
        return str(url.database) if self.engine.dialect.name == "sqlite" else url.render_as_string()

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Turns a failure of the database into a StoreError or UsageError that says what to do about it."""
        try:
            yield
        except exc.DatabaseError as error:
            if type(error) not in (exc.OperationalError, exc.DatabaseError):
                raise  # a broken rule of the schema or a wrong statement is ours, not the operator's
            reason = str(error.orig).strip().partition("\n")[0]
        except exc.TimeoutError:
            reason = "all connections are busy"
        else:
            return
        for words, kind, hint in _REMEDIES:
            if words in reason.lower():
                raise kind(f"the store {self._place}: {reason}", hint)
        raise StoreError(f"the store {self._place}: {reason}")


def _make_engine(url: sa.URL) -> sa.Engine:
    if url.drivername == "sqlite":
        engine = sa.create_engine(url, hide_parameters=True)
        sa.event.listen(engine, "connect", _sqlite_connect)
        sa.event.listen(engine, "begin", _sqlite_begin)
        return engine
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        try:
            return sa.create_engine(url.set(drivername="postgresql+psycopg"), hide_parameters=True)
        except ImportError:
            raise UsageError("PostgreSQL needs psycopg", "pip install 'bootforge[postgres]'") from None
    raise UsageError(
        f"the store cannot be kept in {url.drivername!r}",
        "write sqlite:////var/lib/bootforge/store.db or postgresql://USER@HOST/DATABASE",
    )


def _sqlite_connect(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin in _sqlite_begin, not where the driver guesses
    connection.execute(f"PRAGMA busy_timeout = {int(BUSY * 1000)}")
    _sqlite_wal(connection)
    connection.execute("PRAGMA foreign_keys = ON")
    # A permission that was spent stays spent when the power fails: else the next boot would install again.
    connection.execute("PRAGMA synchronous = FULL")


def _sqlite_wal(connection: sqlite3.Connection) -> None:
    # When two connections change the journal of a fresh file, SQLite does not heed its busy_timeout.
    end = time.monotonic() + BUSY
    while True:
        try:
            (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
            break
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > end:
                raise
            time.sleep(0.01)
    if mode != "wal":
        raise UsageError(
            "the store's file system cannot share memory between processes (is it a network file system?)",
            "keep the store on a local disk, or in PostgreSQL",
        )


def _sqlite_begin(connection: sa.Connection) -> None:
    # A writer takes its lock first; one that begins as a reader cannot wait for another writer later.
    writing = connection.get_execution_options().get("writing", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def lock_schema(connection: sa.Connection) -> None:
    """Lets one process migrate at a time, until its transaction ends; on SQLite a writer is alone anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ONE_AT_A_TIME)))


def lock_host(connection: sa.Connection, host: str) -> None:
    """Lets one transaction at a time write what belongs to a host; on SQLite a writer is alone anyway. Two names may
    share a lock."""
    if connection.dialect.name == "postgresql":
        number = zlib.crc32(host.encode("utf-8", "backslashreplace")) - 2**31
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_HOSTS, sa.cast(number, sa.Integer))))


_creating = threading.Lock()


def create_file(path: Path) -> None:
    """Creates the database's file with mode 0600, and its directory with 0700, where they are missing.

    Raises UsageError when that is not possible. The lock and O_EXCL are there because closing any descriptor
    of a file drops the locks that SQLite holds on it in this process.
    """
    with _file_errors(path), _creating:
        if not path.parent.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.parent.chmod(0o700)
        try:
            path.touch(mode=0o600, exist_ok=False)
            path.chmod(0o600)
        except FileExistsError:
            if not path.is_file():
                raise UsageError(f"the store {path} is not a file", "give another --store") from None


def close_to_others(path: Path) -> None:
    """Takes every permission on the database's files from group and others, or raises UsageError."""
    with _file_errors(path):
        for part in (path, Path(f"{path}-wal"), Path(f"{path}-shm")):
            with suppress(FileNotFoundError):
                if part.stat().st_mode & 0o077:
                    part.chmod(0o600)


@contextmanager
def _file_errors(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = "run as the user the server runs as, or give another --store"
        raise UsageError(f"the store {path}: {error.strerror}", hint) from None
