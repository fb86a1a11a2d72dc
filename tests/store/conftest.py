"""Every test of the store runs over both backends; PostgreSQL when there is a server to run it on."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from shiftright.store import Records, open_records

SERVER = "SHIFTRIGHT_TEST_POSTGRES_URL"


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where records can be made; nothing is there yet."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'home' / 'records.db'}"
        return
    if SERVER not in os.environ:
        pytest.skip(f"no PostgreSQL: set {SERVER}=postgresql://user:password@host/postgres to a test server")
    server = sa.make_url(os.environ[SERVER]).set(drivername="postgresql+psycopg")
    name = f"shiftright_test_{secrets.token_hex(6)}"
    engine = sa.create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE DATABASE {name}")
    yield server.set(drivername="postgresql", database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {name} WITH (FORCE)")
    engine.dispose()


@pytest.fixture
def records(url: str) -> Iterator[Records]:
    with open_records(url) as opened:
        yield opened
