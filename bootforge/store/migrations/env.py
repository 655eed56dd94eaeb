"""Alembic's entry: runs the migrations in the transaction that store/open.py holds."""

from alembic import context

from bootforge.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
