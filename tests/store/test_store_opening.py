"""Bad places for records: each gives a StoreError that says the way out."""

from __future__ import annotations

import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from store_rows import stored

from shiftright.core.answer import Answer
from shiftright.errors import StoreError, UsageError
from shiftright.store import open_records


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """An up-to-date SQLite file."""
    path = tmp_path / "records.db"
    open_records(f"sqlite:///{path}").close()
    return path


def test_no_records_yet(url: str) -> None:
    with pytest.raises(StoreError, match=r"there are no records at .* yet") as error:
        open_records(url, create=False)
    assert "shiftright eval" in str(error.value.hint)
    open_records(url).close()
    open_records(url, create=False).close()


def test_where_the_records_are_without_the_password(url: str) -> None:
    with open_records(url) as records:
        assert (sa.make_url(url).database or "") in records.place
    secret = "postgresql://me:pa55word@127.0.0.1:1/nothing"
    with pytest.raises(StoreError, match="no connection") as error:
        open_records(secret)
    assert "pa55word" not in str(error.value)
    assert "SHIFTRIGHT_RECORDS_URL" in str(error.value.hint)


@pytest.mark.parametrize("url", ["nonsense", "", "mysql://u@h/d", "sqlite://", "sqlite:///:memory:"])
def test_a_url_that_cannot_hold_records(url: str) -> None:
    with pytest.raises(UsageError) as error:
        open_records(url)
    assert "sqlite:///" in str(error.value.hint)


def test_the_server_has_no_such_database(url: str) -> None:
    if url.startswith("sqlite"):
        pytest.skip("a file is made when it is not there")
    with pytest.raises(StoreError) as error:
        open_records(f"{url}_not")
    assert "SHIFTRIGHT_RECORDS_URL" in str(error.value.hint)


def test_a_folder_that_cannot_be_made() -> None:
    with pytest.raises(StoreError, match="cannot be opened") as error:
        open_records("sqlite:////dev/null/records.db")
    assert "SHIFTRIGHT_HOME" in str(error.value.hint)


def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        open_records(f"sqlite:///{tmp_path}")


def test_not_an_sqlite_file(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    path.write_text("feature: triage\n" * 500)
    with pytest.raises(StoreError, match="not an SQLite file") as error:
        open_records(f"sqlite:///{path}")
    assert "Restore a copy" in str(error.value.hint)
    assert path.read_text() == "feature: triage\n" * 500


def test_a_damaged_file(path: Path) -> None:
    with open_records(f"sqlite:///{path}") as records:
        records.answers.put([stored(f"i{n}") for n in range(200)])
    data = bytearray(path.read_bytes())
    data[4096:] = b"\x5a" * (len(data) - 4096)
    path.write_bytes(data)
    with pytest.raises(StoreError, match="damaged") as error, open_records(f"sqlite:///{path}") as records:
        records.answers.get("v0")
    assert "Restore a copy" in str(error.value.hint)


def test_a_row_changed_by_something_else(path: Path) -> None:
    with open_records(f"sqlite:///{path}") as records:
        records.answers.put([stored()])
        connection = sqlite3.connect(path)
        connection.execute("UPDATE answers SET output = '{\"trunc'")
        connection.commit()
        connection.close()
        with pytest.raises(StoreError, match="a stored row cannot be read"):
            records.answers.get("v0")


def test_a_read_only_file_is_read_but_not_written(path: Path) -> None:
    with open_records(f"sqlite:///{path}") as records:
        records.answers.put([stored()])
    with open_records(f"sqlite:///file:{path}?mode=ro&uri=true") as records:
        assert len(records.answers.get("v0")) == 1
        with pytest.raises(StoreError, match="read-only") as error:
            records.answers.put([stored("i1")])
        assert "SHIFTRIGHT_HOME" in str(error.value.hint)


def test_locked_by_another_process(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None)
    with open_records(f"sqlite:///{path}?timeout=0.1") as records:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process") as error:
            records.answers.put([stored()])
        assert "run the command again" in str(error.value.hint)
        assert records.answers.get("v0") == {}
        other.execute("ROLLBACK")
        records.answers.put([stored()])
    other.close()


@pytest.fixture
def small_disk() -> Iterator[None]:
    """SQLite's own limit on the size of a file, which it reports as a full disk."""

    def limit(connection: Any, _: Any) -> None:
        connection.execute("PRAGMA max_page_count = 80")

    sa.event.listen(sa.pool.Pool, "connect", limit)
    yield
    sa.event.remove(sa.pool.Pool, "connect", limit)


@pytest.mark.usefixtures("small_disk")
def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path) -> None:
    with open_records(f"sqlite:///{path}") as records:
        records.answers.put([stored()])
        with pytest.raises(StoreError, match="the disk is full") as error:
            records.answers.put([stored(f"i{n}", Answer(output="x" * 2_000)) for n in range(100)])
        assert "Free some space" in str(error.value.hint)
        assert list(records.answers.get("v0")) == [("i0", 0)]
        records.answers.put([stored("i1")])


def test_a_quota_loses_nothing_that_was_acknowledged(path: Path) -> None:
    code = (
        "import sys; from shiftright.store import open_records; from shiftright.errors import StoreError\n"
        "with open_records(sys.argv[1]) as r:\n"
        "    r.model_cache.put('small', 0, b'x')\n"
        "    try: r.model_cache.put('large', 0, b'x' * 3_000_000)\n"
        "    except StoreError as error: print(error)"
    )
    size = 1_000_000
    done = subprocess.run(
        [sys.executable, "-c", code, f"sqlite:///{path}"],
        check=True,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size)),
    )
    assert "the disk cannot be read or written" in done.stdout
    assert "Free some space" in done.stdout
    with open_records(f"sqlite:///{path}") as records:
        assert records.model_cache.get("small") == b"x"
        assert records.model_cache.get("large") is None


def test_migrating_waits_its_turn(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("PRAGMA journal_mode = WAL")
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked by another process"):
        open_records(f"sqlite:///{path}?timeout=0.1")
    other.execute("ROLLBACK")
    other.close()
    open_records(f"sqlite:///{path}").close()


def test_the_driver_of_postgresql_is_not_installed() -> None:
    code = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from shiftright.store import open_records; from shiftright.errors import MissingDependency\n"
        "try: open_records('postgresql://127.0.0.1:1/x')\n"
        "except MissingDependency as error: print(error.hint)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert "shiftright[postgres]" in done.stdout
