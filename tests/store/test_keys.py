"""Access keys and spend, through the records."""

from __future__ import annotations

from pathlib import Path

import pytest

from shiftright.errors import UsageError
from shiftright.store import Records, open_records
from shiftright.store.keys import Limits, digest_of_key
from shiftright.store.spend import Spent, month_of


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return open_records(f"sqlite:///{tmp_path / 'records.db'}")


def test_a_key_is_known_by_the_digest_of_its_text_until_it_is_revoked(records: Records) -> None:
    limits = Limits(requests_per_minute=60, month_at_most_usd=5.0, features=("triage",))
    key, secret = records.keys.create("shop", limits)
    assert records.keys.list() == (key,)
    assert digest_of_key(secret) == key.digest != digest_of_key(secret + "x")
    assert key.limits == limits
    records.keys.revoke("shop")
    assert records.keys.list()[0].revoked_at is not None
    with pytest.raises(UsageError, match="no key 'shop' in use"):
        records.keys.revoke("shop")


def test_the_text_of_a_key_is_stored_nowhere(records: Records, tmp_path: Path) -> None:
    _, secret = records.keys.create("shop")
    records.close()
    assert all(secret.encode() not in path.read_bytes() for path in tmp_path.iterdir())


def test_a_name_can_be_used_again_after_its_key_was_revoked(records: Records) -> None:
    records.keys.create("shop")
    with pytest.raises(UsageError, match="already"):
        records.keys.create("shop")
    records.keys.revoke("shop")
    records.keys.create("shop")
    assert [key.revoked_at is None for key in records.keys.list()] == [False, True]


def test_spend_adds_up_by_scope_and_month(records: Records) -> None:
    records.spend.add("2026-11", {"key:a": Spent(0.25, 1), "feature:triage": Spent(0.25, 1)})
    records.spend.add("2026-11", {"key:a": Spent(0.5, 2)})
    records.spend.add("2026-12", {"key:a": Spent(9.0, 1)})
    assert records.spend.month("2026-11") == {"key:a": Spent(0.75, 3), "feature:triage": Spent(0.25, 1)}
    assert month_of(1795376977) == "2026-11"
