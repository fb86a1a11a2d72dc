"""Make new records: the tables as they are now, without the steps by which older ones came to them."""

from __future__ import annotations

import sqlalchemy as sa

from shiftright.store import schema
from shiftright.store.database import Database

# Alembic's own table, in its own form: later migrations start from it.
_version = sa.Table(
    "alembic_version",
    sa.MetaData(),
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="alembic_version_pkc"),
)


def create(database: Database) -> None:
    """Fill an empty database; one that holds anything is left as it is.

    The migrations would give the same (a test holds the two together), but importing Alembic costs 0.2 s of CPU, which
    every fresh CI runner would pay.
    """
    with database.write() as connection:
        database.dialect.before_migration(connection, None)
        # asked under the lock: another process may have made them while this one waited
        if not sa.inspect(connection).get_table_names():
            schema.metadata.create_all(connection)
            _version.create(connection)
            connection.execute(sa.insert(_version).values(version_num=schema.HEAD))
