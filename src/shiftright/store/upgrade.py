"""Bring the schema up to date: one transaction, after a backup, one process at a time."""

from __future__ import annotations

import logging
from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from shiftright.errors import StoreError
from shiftright.store.database import Database, schema_version

MIGRATIONS = Path(__file__).parent / "migrations"


def upgrade(database: Database, *, create: bool = True, migrations: Path = MIGRATIONS) -> Path | None:
    """Run the migrations that are missing.

    Args:
        create: whether an empty database may become records.
        migrations: an Alembic script folder.

    Returns:
        The backup of the SQLite file, None where there was nothing to back up.

    Raises:
        StoreError: when the database is empty (``create=False``), foreign, or newer than these migrations.
            The schema is then as it was.
    """
    config = Config()
    config.set_main_option("script_location", str(migrations).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    # Alembic announces each step at INFO; a person who opens records asked for none of that.
    logging.getLogger("alembic").setLevel(logging.WARNING)
    with database.write() as connection:
        # Asked again under the lock: another process may have migrated while this one waited.
        version = schema_version(connection)
        place = database.dialect.place
        if version == known[0]:
            return None
        if version is None:
            _require_empty(connection, place, create=create)
        elif version not in known:
            _refuse(version, known[0], place)
        backup = database.dialect.before_migration(connection, version)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
    return backup


def _require_empty(connection: sa.Connection, place: str, *, create: bool) -> None:
    tables = sa.inspect(connection).get_table_names()
    if tables:
        raise StoreError(
            f"{place}: holds tables of something else ({', '.join(sorted(tables)[:3])})",
            hint="Give the records a file or a database of their own (SHIFTRIGHT_RECORDS_URL).",
        )
    if not create:
        raise StoreError(f"there are no records at {place} yet", hint="Make some: shiftright eval FEATURE")


def _refuse(version: str, newest: str, place: str) -> None:
    if version.isdecimal() and version > newest:
        raise StoreError(
            f"{place}: written by a newer shiftright (schema {version}; this one knows up to {newest})",
            hint="Update it (pip install -U shiftright), or set SHIFTRIGHT_HOME to another folder.",
        )
    raise StoreError(
        f"{place}: is at schema {version!r}, which is not one of shiftright's",
        hint="Give the records a file or a database of their own (SHIFTRIGHT_RECORDS_URL).",
    )
