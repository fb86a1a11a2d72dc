from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from store_rows import stored

from shiftright.errors import StoreError
from shiftright.store import Records, open_records, schema
from shiftright.store.creation import create
from shiftright.store.database import Database
from shiftright.store.records import dialect_of
from shiftright.store.upgrade import MIGRATIONS, upgrade

NEXT = """
import sqlalchemy as sa
from alembic import op
revision = "9000"
down_revision = "{head}"
def upgrade():
    op.add_column("answers", sa.Column("note", sa.Text))
    op.execute("UPDATE answers SET note = feature")
    {then}
"""


def engine_of(url: str) -> sa.Engine:
    return sa.create_engine(url.replace("postgresql:", "postgresql+psycopg:"))


def migrate_to_next(url: str, folder: Path, then: str = "pass") -> Path | None:
    shutil.copytree(MIGRATIONS, folder / "migrations")
    (folder / "migrations" / "versions" / "v9000_next.py").write_text(
        NEXT.format(then=then, head=schema.HEAD)
    )
    database = Database(dialect_of(url), create=False)
    try:
        return upgrade(database, migrations=folder / "migrations")
    finally:
        database.close()


@pytest.mark.parametrize("make", [upgrade, create], ids=["migrated", "new"])
def test_migrations_and_new_records_have_the_tables_of_the_schema(
    url: str, make: Callable[[Database], None]
) -> None:
    database = Database(dialect_of(url), create=True)
    make(database)
    make(database)
    database.close()
    engine = engine_of(url)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, schema.metadata) == []
        assert context.get_current_revision() == schema.HEAD
    engine.dispose()


def test_the_head_named_in_the_schema_is_the_last_migration() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.HEAD


def test_making_records_and_opening_up_to_date_ones_leave_alembic_alone(url: str) -> None:
    code = (
        "import sys; from shiftright.store import open_records\n"
        "assert 'sqlalchemy' not in sys.modules\n"
        "open_records(sys.argv[1]).close(); open_records(sys.argv[1], create=False).close()\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, url], check=True)


def test_a_migration_keeps_the_rows_and_a_backup_of_the_file(url: str, tmp_path: Path) -> None:
    a = stored()
    with open_records(url) as records:
        records.answers.put([a])
    backup = migrate_to_next(url, tmp_path)
    engine = engine_of(url)
    with engine.connect() as connection:
        assert connection.execute(sa.text("SELECT note FROM answers")).scalars().all() == ["triage"]
    engine.dispose()
    if url.startswith("postgresql"):
        assert backup is None
        return
    assert backup is not None
    with pytest.raises(StoreError, match="written by a newer shiftright"):
        open_records(url)
    with open_records(f"sqlite:///{backup}") as before:
        assert before.answers.by_ids([a.id]) == {a.id: a}


def test_a_migration_that_fails_changes_nothing(url: str, tmp_path: Path) -> None:
    a = stored()
    with open_records(url) as records:
        records.answers.put([a])
    with pytest.raises(StoreError):
        migrate_to_next(url, tmp_path, then='op.execute("SELECT * FROM nowhere")')
    with open_records(url) as records:
        assert records.answers.by_ids([a.id]) == {a.id: a}
    if url.startswith("sqlite"):
        (backup,) = (tmp_path / "home").glob("*.bak")
        with open_records(f"sqlite:///{backup}") as before:
            assert before.answers.by_ids([a.id]) == {a.id: a}
        assert not list((tmp_path / "home").glob("*.partial*"))


def test_a_backup_that_cannot_be_written_stops_the_migration(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / ('r' * 230)}"  # the file's name leaves no room for the backup's
    open_records(url).close()
    with pytest.raises(StoreError, match="no backup could be written"):
        migrate_to_next(url, tmp_path)
    open_records(url, create=False).close()


@pytest.fixture
def changed(records: Records, url: str) -> str:
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '0042'"))
    engine.dispose()
    return url


def test_records_of_a_newer_version_are_left_alone(changed: str) -> None:
    with pytest.raises(
        StoreError, match=rf"newer shiftright \(schema 0042; this one knows up to {schema.HEAD}\)"
    ) as error:
        open_records(changed)
    assert "pip install -U shiftright" in str(error.value.hint)


def test_the_database_of_something_else_is_left_alone(url: str, tmp_path: Path) -> None:
    if url.startswith("sqlite"):
        (tmp_path / "home").mkdir()
    engine = engine_of(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE runs (x INTEGER)"))
    with pytest.raises(StoreError, match=r"holds tables of something else \(runs\)"):
        open_records(url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE alembic_version (version_num VARCHAR(32))"))
        connection.execute(sa.text("INSERT INTO alembic_version VALUES ('a1b2c3')"))
    with pytest.raises(StoreError, match="schema 'a1b2c3', which is not one of shiftright's"):
        open_records(url)
    engine.dispose()


def test_a_backup_is_an_ordinary_sqlite_file(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'records.db'}"
    open_records(url).close()
    backup = migrate_to_next(url, tmp_path)
    assert backup is not None
    connection = sqlite3.connect(backup)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
