"""Alembic's environment: online only, on the engine handed in by `gateway.db.migrate_on`.

DDL is undone as one when a step fails: on SQLite because the transaction is opened here, on PostgreSQL because
it is transactional there. On PostgreSQL a second migration waits for the first.
"""

from alembic import context

from gateway import tables  # noqa: F401  registers the gateway's tables on the metadata
from gateway.db import writing
from ledger.tables import metadata

engine = context.config.attributes["engine"]
with writing(engine) as connection:
    if engine.dialect.name == "postgresql":
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(hashtext('chengxin migrations'))")
    context.configure(connection=connection, target_metadata=metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
