"""Opening a store: its file, its schema, and no surprise for two servers that start together."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import sqlalchemy as sa

from bootforge.errors import UsageError
from bootforge.store.database import Database, close_to_others, create_file, lock_schema
from bootforge.store.schema import REVISIONS
from bootforge.store.store import Store


def open_store(url: str, clock: Callable[[], float] = time.time) -> Store:
    """Opens the store at ``url``, creating it or bringing its schema up to date first.

    ``url`` is ``sqlite:////absolute/path.db`` or ``postgresql://USER@HOST/DATABASE``. ``clock`` says the time
    in seconds since the epoch (UTC). A process that forks opens its store after the fork.

    Raises UsageError when the URL, the file, its permissions or its version is not right, StoreLocked when
    another process keeps it, and StoreError for what else the database reports; each with the remedy.
    """
    try:
        parsed = sa.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise UsageError(
            "the store's URL cannot be read",  # not the URL: it may have a password
            "write sqlite:////var/lib/bootforge/store.db or postgresql://USER@HOST/DATABASE",
        ) from None
    path = None
    if parsed.drivername == "sqlite":
        if parsed.database in (None, "", ":memory:") or str(parsed.database).startswith("file:"):
            raise UsageError("the store must be a file", "write sqlite:////var/lib/bootforge/store.db")
        path = Path(str(parsed.database))
        create_file(path)
    database = Database(parsed)
    try:
        _bring_up_to_date(database)
        if path:  # only now: before, it might have been anybody's file
            close_to_others(path)
    except BaseException:
        database.close()
        raise
    return Store(database, clock)


def _bring_up_to_date(database: Database) -> None:
    with database.read() as connection:
        if _revision(connection) == REVISIONS[-1]:
            return
    with database.write() as connection:
        lock_schema(connection)
        _migrate(connection)  # which does nothing when another process did it while this one waited


def _revision(connection: sa.Connection) -> str:
    """The schema's revision, '' for an empty database. Raises UsageError for one that is not known."""
    inspector = sa.inspect(connection)
    if not inspector.has_table("alembic_version"):
        if inspector.get_table_names():
            raise UsageError(
                "the database has tables, but they are not those of a Bootforge store",
                "give a new file or an empty database",
            )
        return ""
    found = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar_one()
    if found not in REVISIONS:
        raise UsageError(
            f"the store is of a newer Bootforge: its schema is {found}, this version knows {REVISIONS[-1]}",
            "run the newer version, or restore the backup that was made before the upgrade",
        )
    return str(found)


def _migrate(connection: sa.Connection) -> None:
    from alembic import command  # slow to import, and needed once in a store's life
    from alembic.config import Config

    config = Config()
    scripts = Path(__file__).parent / "migrations"
    config.set_main_option("script_location", str(scripts).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
