"""What Alembic runs: the migrations, on the connection and in the transaction of ``store.upgrade``."""

from __future__ import annotations

from alembic import context

# SQLite's DDL is transactional once we begin the transaction ourselves; Alembic assumes the opposite.
context.configure(connection=context.config.attributes["connection"], transactional_ddl=True)
context.run_migrations()
