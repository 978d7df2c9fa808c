"""Alembic's environment: online only, on the URL handed in by `gateway.db.migrate`.

On SQLite a migration opens its transaction itself, so that DDL is undone as one when a step fails.
"""

from alembic import context

from gateway import tables  # noqa: F401  registers the gateway's tables on the metadata
from gateway.db import open_engine, writing
from ledger.tables import metadata

engine = open_engine(context.config.attributes["url"])
try:
    with writing(engine) as connection:
        context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
finally:
    engine.dispose()
