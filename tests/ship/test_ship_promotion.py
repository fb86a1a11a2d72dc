"""Nothing reaches users without proof and signatures; who lets it pass all the same stays visible."""

from __future__ import annotations

from pathlib import Path

import pytest
from shop import CONTRACT, Shop

from shiftright.errors import UsageError
from shiftright.ship import promotion
from shiftright.ship.promotion import Gate


def kinds(gate: Gate) -> list[str]:
    return [need.kind for need in gate.missing]


def proven(shop: Shop) -> Gate:
    """``first`` is stable, ``second`` proven against it, released and signed."""
    shop.promote("first")
    shop.evaluate("second")
    shop.release("second")
    shop.sign("second", "legal")
    return shop.gate("second")


def test_what_is_missing_is_said_with_the_command_that_gets_it(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.promote("first")
    gate = shop.gate("second")
    assert not gate.open
    assert [(need.kind, need.command) for need in gate.missing] == [
        ("release", "shiftright release shop --variant second"),
        ("verdict", "shiftright eval shop --variant second"),
        ("sign_off", "shiftright sign shop --variant second --as legal --by NAME"),
    ]
    assert proven(shop).missing == ()
    assert shop.gate("second").open


def test_a_pass_of_other_code_contract_or_cases_proves_nothing(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    assert proven(shop).open
    code = (shop.folder / "shop.py").read_text()
    shop.edit("shop.py", "return ctx", "return '' + ctx")
    shop.write("prompts/second.md", "{{ input }}")
    shop.commit()
    assert kinds(shop.gate("second")) == ["release", "verdict", "sign_off"]
    shop.write("shop.py", code)
    shop.write("prompts/second.md", "{{ input | string }}")
    assert shop.gate("second").open
    shop.edit("spec.yaml", "10 points", "9 points")
    assert kinds(shop.gate("second")) == ["release", "verdict", "sign_off"]
    shop.edit("spec.yaml", "9 points", "10 points")
    shop.edit("cases.jsonl", '"expected": "hello', '"expected": "good morning')
    assert "verdict" in kinds(shop.gate("second"))


def test_cases_that_are_added_keep_a_proof_and_changed_must_cases_do_not(tmp_path: Path) -> None:
    must = CONTRACT.replace("cases: cases.jsonl", "cases: {gate: cases.jsonl, must: must.jsonl}")
    shop = Shop(tmp_path / "shop", must)
    shop.write("must.jsonl", '{"id": "m1", "input": "a", "expected": "a"}\n')
    assert proven(shop).open
    added = '{"id": "x", "input": "y", "expected": "y"}\n'
    shop.write("cases.jsonl", (shop.folder / "cases.jsonl").read_text() + added)
    assert shop.gate("second").open
    shop.write("must.jsonl", '{"id": "m1", "input": "b", "expected": "b"}\n')
    changed = shop.gate("second")
    assert [need.what for need in changed.missing] == [
        "release: the must cases have changed since it was decided"
    ]
    shop.evaluate("second")
    assert shop.gate("second").open
    shop.write("must.jsonl", '{"id": "m1", "input": "b", "expected": "c"}\n')
    shop.evaluate("second")
    assert kinds(shop.gate("second")) == ["verdict"]


def test_a_verdict_against_what_was_stable_before_is_none_against_what_is_now(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    assert proven(shop).open
    shop.edit("spec.yaml", "second: {", "third: {prompt: prompts/first.md, marks: 3}\n  second: {")
    shop.promote("third")
    assert shop.gate("second").missing[0].what.startswith("release: decided against release")
    shop.evaluate("second")
    assert shop.gate("second").open


def test_harm_and_doubt_are_no_proof(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop", cases=30)
    shop.promote("first")
    shop.evaluate("second", max_calls=10)
    assert [need.command for need in shop.gate("second").missing][1] == "shiftright plan shop"
    shop.write("prompts/second.md", "no")
    shop.evaluate("second")
    assert "release: fail" in shop.gate("second").missing[1].what


def test_only_roles_of_the_contract_sign_and_only_what_was_released(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    with pytest.raises(UsageError, match="not released as it stands"):
        shop.sign("first", "legal")
    shop.release("first")
    with pytest.raises(UsageError, match="'sales'") as unknown:
        shop.sign("first", "sales")
    assert "legal, owner" in str(unknown.value)
    with pytest.raises(UsageError, match="needs a name"):
        shop.sign("first", "legal", by=" ")
    shop.sign("first", "legal")
    shop.sign("first", "legal")
    with shop.records() as records:
        assert [record.kind for record in records.releases.list()] == ["release", "sign_off"]


def test_a_looser_contract_needs_its_owner_and_each_further_step_again(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    assert proven(shop).open

    def loosened(bound: str) -> Gate:
        (shop.folder / "spec.yaml").write_text(CONTRACT.replace("10 points", bound))
        shop.evaluate("second")
        shop.release("second")
        shop.sign("second", "legal")
        return shop.gate("second")

    looser = loosened("20 points")
    assert [(need.kind, "--as owner" in need.command) for need in looser.missing] == [("sign_off", True)]
    assert "20 points" in looser.missing[0].what
    shop.sign("second", "owner")
    assert shop.gate("second").open
    assert shop.gate("second").looser != ()
    assert kinds(loosened("30 points")) == ["sign_off"]
    assert loosened("5 points").open


def test_an_override_has_a_name_and_a_reason_and_stays_visible(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    shop.promote("first")
    with shop.records() as records, pytest.raises(UsageError, match="First: shiftright release"):
        promotion.override(records, shop.gate("second"), by="Ada", reason="in a hurry")
    shop.release("second")
    with shop.records() as records:
        with pytest.raises(UsageError, match="a reason and a name"):
            promotion.override(records, shop.gate("second"), by="Ada", reason="")
        promotion.override(records, shop.gate("second"), by="Ada", reason="in a hurry")
    passed = shop.gate("second")
    assert (passed.open, len(passed.missing)) == (True, 2)
    assert [(o.by, o.reason, len(o.missing)) for o in passed.overrides] == [("Ada", "in a hurry", 2)]
    with shop.records() as records:
        records.releases.erase_personal("Ada")
    erased = shop.gate("second")
    assert (erased.open, [o.by for o in erased.overrides]) == (True, [""])


def test_a_promotion_makes_a_release_stable_once_for_each_rollout(tmp_path: Path) -> None:
    shop = Shop(tmp_path / "shop")
    first = shop.promote("first", "o-1")
    assert shop.promote("first", "o-1") == first
    second = shop.promote("second", "o-2")
    with shop.records() as records:
        chain = records.releases.list()
        assert records.releases.stable("shop") == second
        assert [r.content["before"] for r in chain if r.kind == "promote"] == ["", first]
        with pytest.raises(UsageError, match="no release"):
            promotion.promote(records, "shop", "unknown")
