from __future__ import annotations

import secrets
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from shiftright.errors import StoreError
from shiftright.store import Records, open_records
from shiftright.store.rows import CachedCall


def test_bytes_by_key_and_repeat(records: Records, url: str) -> None:
    body = secrets.token_bytes(5_000)
    records.model_cache.put("k", 0, body)
    assert records.model_cache.get("k") == body
    assert records.model_cache.get("k", 1) is None
    records.model_cache.put("k", 0, b"\x00newer")
    with open_records(url) as other:
        assert other.model_cache.get("k") == b"\x00newer"


def test_many_at_once(records: Records) -> None:
    records.model_cache.put_many(CachedCall(f"k{n}", n % 2, str(n).encode()) for n in range(1_200))
    wanted = [(f"k{n}", 0) for n in range(2_000)]
    found = records.model_cache.get_many(wanted)
    assert found == {(f"k{n}", 0): str(n).encode() for n in range(0, 1_200, 2)}
    assert records.model_cache.get_many([]) == {}


def test_from_many_threads(records: Records) -> None:
    def use(n: int) -> bool:
        records.model_cache.put(f"k{n}", 0, str(n).encode())
        return records.model_cache.get(f"k{n}") == str(n).encode()

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(use, range(100)))


def test_a_put_that_fails_fails_for_everyone_who_shared_it(tmp_path: Path) -> None:
    path = tmp_path / "records.db"
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    with open_records(f"sqlite:///{path}?timeout=0.1") as records:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(4) as threads:
            puts = [threads.submit(records.model_cache.put, f"k{n}", 0, b"x") for n in range(4)]
        assert {type(put.exception()) for put in puts} == {StoreError}
        other.execute("ROLLBACK")
        assert records.model_cache.get_many([(f"k{n}", 0) for n in range(4)]) == {}
    other.close()
