"""Whatever somebody does to the records, ``verify`` says where it begins; erasing names is nothing to it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from shiftright.errors import StoreError
from shiftright.ship.chain import SIGNED_WITH, Checked, verify
from shiftright.ship.signatures import Signer
from shiftright.store import Records, open_records

RECORDS = 8
COLUMNS = (
    "number", "kind", "feature", "digest", "body", "personal", "personal_digest", "at", "previous", "record",
    "signature",
)  # fmt: skip


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    file = tmp_path_factory.mktemp("keys") / "key"
    file.write_bytes(
        Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    )
    return Signer(file)


def fill(records: Records, signer: Signer) -> None:
    for number in range(RECORDS):
        key = {SIGNED_WITH: signer.key} if number % 3 == 0 else {}
        records.releases.append(
            "release" if number % 2 == 0 else "promote",
            "triage" if number < 5 else "other",
            f"d{number // 2}",
            {"release": number, **key},
            by="Ada",
            reason=f"because {number}",
            sign=signer.sign if key else None,
        )


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory, signer: Signer) -> Path:
    file = tmp_path_factory.mktemp("chain") / "records.db"
    with open_records(f"sqlite:///{file}") as records:
        fill(records, signer)
    return file


@contextmanager
def tampered(written: Path, *statements: tuple[str, tuple[Any, ...]]) -> Iterator[Path]:
    copy = written.with_name("copy.db")
    copyfile(written, copy)
    with closing(sqlite3.connect(copy)) as connection, connection:
        for sql, values in statements:
            connection.execute(sql, values)
    yield copy
    for path in written.parent.glob("copy.db*"):
        path.unlink()


def checked(file: Path, head: str | None = None) -> Checked:
    with open_records(f"sqlite:///{file}") as records:
        return verify(records.releases.list(), head=head)


def raw(file: Path) -> list[tuple[Any, ...]]:
    """Every value as SQLite has it, with its type."""
    typed = ", ".join(f"typeof({column}), {column}" for column in COLUMNS)
    with closing(sqlite3.connect(file)) as connection:
        connection.text_factory = bytes
        return connection.execute(f"SELECT {typed} FROM releases ORDER BY number").fetchall()


def head_of(file: Path) -> str:
    with open_records(f"sqlite:///{file}") as records:
        newest = records.releases.newest()
    assert newest is not None
    return newest.record


def test_a_chain_as_it_was_written_is_whole(written: Path) -> None:
    found = checked(written, head_of(written))
    assert (found.records, found.signed, found.broken) == (RECORDS, 3, None)
    assert found.head == head_of(written)


def test_an_empty_chain_is_whole_and_has_no_head() -> None:
    assert verify([]) == Checked(0, "", 0, 0)
    broken = verify([], head="abc").broken
    assert broken is not None
    assert broken.number == 1


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from(COLUMNS),
    st.integers(1, RECORDS),
    st.one_of(
        st.text(max_size=20).filter(lambda text: text.isprintable()),
        st.integers(-5, 20),
        st.floats(allow_nan=False),
        st.binary(max_size=8),
        st.none(),
    ),
)
def test_a_changed_column_is_found_where_it_is(written: Path, column: str, number: int, value: Any) -> None:
    change = (f"UPDATE releases SET {column} = ? WHERE number = ?", (value, number))
    try:
        with tampered(written, change) as copy:
            if raw(copy) == raw(written) or (column == "personal" and value is None):
                return
            broken = checked(copy).broken
    except (sqlite3.IntegrityError, StoreError):  # refused by the table, or bytes that no text has
        return
    assert broken is not None
    assert broken.number == number or (column == "number" and broken.number < number)


@pytest.mark.parametrize("column", COLUMNS)
def test_a_plausible_change_of_every_column_is_found(written: Path, column: str) -> None:
    plausible: dict[str, Any] = {
        "number": 40,
        "kind": "override",
        "feature": "others",
        "digest": "d9",
        "body": '{"release":99}',
        "personal": '{"by":"Bo","reason":"","salt":""}',
        "personal_digest": "0" * 64,
        "at": 1.5,
        "previous": "0" * 64,
        "record": "0" * 64,
        "signature": None,
    }
    change = (f"UPDATE releases SET {column} = ? WHERE number = 4", (plausible[column],))
    with tampered(written, change) as copy:
        broken = checked(copy).broken
    assert broken is not None
    assert broken.number == 4


def test_a_removed_swapped_or_inserted_record_is_found(written: Path) -> None:
    with tampered(written, ("DELETE FROM releases WHERE number = 3", ())) as copy:
        found = checked(copy).broken
    assert found is not None
    assert (found.number, "missing" in found.why) == (3, True)

    gap = ("UPDATE releases SET number = number - 1 WHERE number > 3", ())
    with tampered(written, ("DELETE FROM releases WHERE number = 3", ()), gap) as copy:
        found = checked(copy).broken
    assert found is not None
    assert found.number == 3

    swap = [("UPDATE releases SET number = ? WHERE number = ?", pair) for pair in ((99, 2), (2, 3), (3, 99))]
    with tampered(written, *swap) as copy:
        found = checked(copy).broken
    assert found is not None
    assert found.number == 2

    names = ", ".join(COLUMNS)
    rest = ", ".join(COLUMNS[1:-2])
    room = [("UPDATE releases SET number = number + 100 WHERE number > 3", ())]
    room += [("UPDATE releases SET number = number - 99 WHERE number > 100", ())]
    twin = f"INSERT INTO releases ({names}) SELECT 4, {rest}, 'made up', NULL FROM releases WHERE number = 3"
    with tampered(written, *room, (twin, ())) as copy:
        found = checked(copy).broken
    assert found is not None
    assert found.number == 4


def test_a_cut_tail_is_found_by_the_head_alone(written: Path) -> None:
    head = head_of(written)
    with tampered(written, ("DELETE FROM releases WHERE number > 5", ())) as copy:
        assert checked(copy).broken is None
        found = checked(copy, head).broken
    assert found is not None
    assert (found.number, "cut off" in found.why) == (6, True)


def test_a_chain_written_anew_is_found_by_the_head(written: Path, tmp_path: Path, signer: Signer) -> None:
    with open_records(f"sqlite:///{tmp_path / 'records.db'}") as records:
        fill(records, signer)
        anew = records.releases.list()
    assert verify(anew).broken is None
    assert verify(anew, head=head_of(written)).broken is not None


def test_erasing_a_name_leaves_the_chain_whole(written: Path) -> None:
    copy = written.with_name("erased.db")
    copyfile(written, copy)
    with open_records(f"sqlite:///{copy}") as records:
        assert records.releases.erase_personal("Ada") == RECORDS
    found = checked(copy, head_of(written))
    assert (found.broken, found.erased) == (None, RECORDS)
    with open_records(f"sqlite:///{copy}") as records:
        assert all(record.personal is None for record in records.releases.list())


def test_signatures_by_others_and_promotions_of_what_nobody_signed(
    tmp_path: Path, written: Path, signer: Signer
) -> None:
    with open_records(f"sqlite:///{written}") as records:
        chain = records.releases.list()
    stranger = verify(chain, signers={"SHA256:other": "Bo"}).broken
    assert stranger is not None
    assert (stranger.number, "not allowed" in stranger.why) == (1, True)
    # d1 is promoted by record 4, which is signed; d2 by record 6, and record 5 is not
    unsigned = verify(chain, signers={signer.key: "Ada"}).broken
    assert unsigned is not None
    assert (unsigned.number, unsigned.digest) == (6, "d2")
