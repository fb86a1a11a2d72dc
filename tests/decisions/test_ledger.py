from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import msgspec
import pytest
from contracts import case, check, scores, spec
from hypothesis import given
from hypothesis import strategies as st

from shiftright.core.case import Case, digest_of
from shiftright.core.spec import Clause
from shiftright.core.verdict import Verdict
from shiftright.decisions.contract import Estimand, Frozen
from shiftright.decisions.ledger import Book, Decision, Subject, open_decision
from shiftright.decisions.lock import BaselineScore, Lock, LockedDecision, Stable
from shiftright.decisions.order import arrange
from shiftright.errors import StoreError
from shiftright.evals.freeze import freeze
from shiftright.store.rows import ConsumedRow, DecisionRow

MADE = spec(check("right", Clause("max_drop", 0.03)))
SUBJECT = Subject("f", "clauses", "scorers", "candidate", "baseline", "population")
CASES = [case(f"c{i}") for i in range(50)]


def opened(cases: list[Case], book: Book, subject: Subject = SUBJECT, *, another: bool = False) -> Decision:
    ids = iter(range(100))

    def begin(attempt: int, seed: int) -> Frozen:
        return freeze(MADE, cases, attempt=attempt, seed=seed)

    return open_decision(
        subject,
        "v",
        "b",
        cases,
        book,
        new_id=lambda: f"d-{len(book.rows)}-{next(ids)}",
        freeze=begin,
        another=another,
    )


def used(decision: Decision, n: int) -> tuple[ConsumedRow, ...]:
    steps = decision.order.rest[:n]
    return tuple(
        ConsumedRow(decision.row.id, i, step.case.id, step.case.digest, {"right": (1.0,)}, {"right": (1.0,)})
        for i, step in enumerate(steps)
    )


def book_of(decision: Decision, n: int, verdict: Verdict | None = None) -> Book:
    row = msgspec.structs.replace(decision.row, verdict=verdict, decided=verdict is not None)
    return Book(((row, used(decision, n)),))


def test_the_same_question_continues_where_it_stopped() -> None:
    first = opened(CASES, Book())
    again = opened(CASES, book_of(first, 10))
    assert again.resumed
    assert again.row.id == first.row.id
    assert [*again.order.done, *(s.case for s in again.order.rest)] == [s.case for s in first.order.rest]


def test_a_decided_question_gives_its_verdict_whatever_is_added() -> None:
    first = opened(CASES, Book())
    more = [*CASES, *(case(f"new{i}") for i in range(20))]
    again = opened(more, book_of(first, 10, Verdict("pass", "yes")))
    assert again.verdict == Verdict("pass", "yes")


def test_added_cases_append_and_consumed_ones_keep_their_place() -> None:
    first = opened(CASES, Book())
    more = [case(f"new{i}") for i in range(20)] + CASES
    again = opened(more, book_of(first, 10))
    assert [c.id for c in again.order.done] == [s.case.id for s in first.order.rest[:10]]
    assert len(again.order.rest) == 60


def test_a_consumed_case_that_was_edited_is_another_question() -> None:
    first = opened(CASES, Book())
    edited = [case(c.id, content="edited") if c.id == first.order.rest[3].case.id else c for c in CASES]
    again = opened(edited, book_of(first, 10, Verdict("fail", "no")))
    assert again.verdict is None
    assert not again.resumed
    assert again.about.earlier == 1


def renamed(cases: list[Case], number: int = 0) -> list[Case]:
    """Other ids and names of groups, in another order of the file."""
    return [
        msgspec.structs.replace(c, id=digest_of(number, c.id), group=c.group and f"h{number}{c.group}")
        for c in reversed(cases)
    ]


@pytest.mark.parametrize("estimand", ["population", "suite"])
@pytest.mark.parametrize("verdict", [None, Verdict("fail", "no")])
def test_a_renamed_case_is_the_same_case(estimand: Estimand, verdict: Verdict | None) -> None:
    subject = msgspec.structs.replace(SUBJECT, estimand=estimand)
    first = opened(CASES, Book(), subject)
    book = book_of(first, 10, verdict)
    for number in range(3):
        again = opened(renamed(CASES, number), book, subject)
        assert (again.row.id, again.verdict, again.about.earlier) == (first.row.id, verdict, 0)
        order = [*again.order.done, *(s.case for s in again.order.rest)]
        assert [c.digest for c in order] == [s.case.digest for s in first.order.rest]


def test_harm_is_not_forgotten_when_cases_are_renamed() -> None:
    refused = book_of(opened(CASES, Book()), 10, Verdict("fail", "no"))
    newer = msgspec.structs.replace(SUBJECT, generation=1)
    assert opened(renamed(CASES), refused, newer).about.refused is not None
    other = msgspec.structs.replace(SUBJECT, candidate="other")
    assert len(opened(renamed(CASES), refused, other).about.others) == 1


def test_of_two_equal_cases_one_that_was_used_is_used_up() -> None:
    twins = [case("x"), msgspec.structs.replace(case("x"), id="y")]
    first = opened(twins, Book())
    again = opened(renamed(twins), book_of(first, 1))
    assert (again.resumed, len(again.order.done), len(again.order.rest)) == (True, 1, 1)
    assert not opened(renamed(twins[:1]), book_of(first, 2)).resumed, "one of the two is gone"


@pytest.mark.parametrize("field", ["clauses", "scorers", "candidate", "baseline"])
def test_whatever_is_decided_is_part_of_the_key(field: str) -> None:
    first = opened(CASES, Book())
    other = msgspec.structs.replace(SUBJECT, **{field: "other"})
    assert opened(CASES, book_of(first, 10, Verdict("fail", "no")), other).verdict is None


def test_another_attempt_is_numbered_and_stricter() -> None:
    first = opened(CASES, Book())
    second = opened(CASES, book_of(first, 10, Verdict("fail", "no")), another=True)
    assert second.row.attempt == 2
    assert second.frozen.clauses[0].alpha < first.frozen.clauses[0].alpha / 6
    assert [s.case.id for s in second.order.rest] != [s.case.id for s in first.order.rest]


def test_new_answers_of_the_baseline_begin_anew_with_attempts_and_harm_remembered() -> None:
    first = opened(CASES, Book())
    second = opened(CASES, book_of(first, 10, Verdict("fail", "no")), another=True)
    book = Book(book_of(first, 10, Verdict("fail", "no")).rows + book_of(second, 5).rows)
    newer = msgspec.structs.replace(SUBJECT, generation=1)
    third = opened(CASES, book, newer)
    assert (third.resumed, third.consumed, third.row.attempt) == (False, (), 2)
    assert third.about.refused is not None
    assert third.about.refused.id == first.row.id
    assert third.frozen.clauses[0].alpha == second.frozen.clauses[0].alpha
    assert third.row.key != second.row.key
    # and once begun it is what goes on, whatever the older answers had come to
    book = Book(book.rows + book_of(third, 3).rows)
    assert opened(CASES, book, newer).row.id == third.row.id


def test_a_suite_to_which_a_case_is_added_is_another_suite() -> None:
    suite = msgspec.structs.replace(SUBJECT, estimand="suite")
    first = opened(CASES, Book(), suite)
    decided = book_of(first, 10, Verdict("pass", "yes"))
    assert opened(list(reversed(CASES)), decided, suite).verdict == Verdict("pass", "yes")
    for other in ([*CASES, case("new")], CASES[:-1]):
        again = opened(other, decided, suite)
        assert again.verdict is None
        assert not again.resumed
        assert (again.row.attempt, again.about.earlier) == (1, 1)
    third = opened(CASES, decided, suite, another=True)
    assert opened([*CASES, case("new")], book_of(third, 0), suite).row.attempt == 2, "the number is kept"


def test_an_open_decision_is_not_continued_on_larger_groups() -> None:
    first = opened(CASES, Book())
    pair = [case(f"p{i}", group="pair") for i in range(2)]
    again = opened([*CASES, *pair], book_of(first, 10))
    assert not again.resumed
    assert (again.row.attempt, again.frozen.largest_unit) == (1, 2)
    assert (again.about.earlier, again.about.outgrown) == (1, 1)
    both = Book((*book_of(first, 10).rows, *book_of(again, 5).rows))
    assert opened([*CASES, *pair], both).row.id == again.row.id
    # what is decided stays decided: nothing more enters its test
    decided = book_of(first, 10, Verdict("fail", "no"))
    assert opened([*CASES, *pair], decided).verdict == Verdict("fail", "no")
    # a case that joins a used group is left out, and does not make it larger
    used_group = [case("a1", group="a"), *CASES]
    alone = opened(used_group, Book())
    at = next(i for i, step in enumerate(alone.order.rest) if step.case.id == "a1")
    joined = opened([*used_group, case("a2", group="a")], book_of(alone, at + 1))
    assert joined.resumed
    assert joined.order.skipped == ("a2",)


def test_an_open_decision_never_comes_back_beside_a_decided_one_of_its_number() -> None:
    first = opened(CASES, Book())
    pair = [case(f"p{i}", group="pair") for i in range(2)]
    second = opened([*CASES, *pair], book_of(first, 10))
    places = [i for i, step in enumerate(second.order.rest) if step.case.group]
    n = min(places) or max(places) + 1
    verdict = Verdict("fail", "yes")
    both = Book((*book_of(first, 10).rows, *book_of(second, n, verdict).rows))
    assert opened([*CASES, *pair], both).verdict == verdict
    if min(places):
        assert opened(CASES, both).verdict == verdict


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (Verdict("fail", "no"), Verdict("fail", "yes")),
        (Verdict("fail", "yes"), Verdict("pass", "yes")),
        (Verdict("inconclusive", "yes"), Verdict("pass", "yes")),
        (Verdict("inconclusive", "yes"), None),
    ],
)
def test_of_two_branches_decisions_the_worse_holds(one: Verdict, other: Verdict | None) -> None:
    ours, theirs = (opened(CASES, Book()) for _ in range(2))
    theirs = msgspec.structs.replace(theirs, row=msgspec.structs.replace(theirs.row, id="d-z"))
    rows = (*book_of(ours, 10, one).rows, *book_of(theirs, 20, other).rows)
    for book in (Book(rows), Book(rows[::-1])):
        assert opened(CASES, book).row.id == ours.row.id


def test_of_two_open_decisions_the_further_goes_on() -> None:
    ours, theirs = (opened(CASES, Book()) for _ in range(2))
    theirs = msgspec.structs.replace(theirs, row=msgspec.structs.replace(theirs.row, id="d-z"))
    rows = (*book_of(ours, 20).rows, *book_of(theirs, 10).rows)
    for book in (Book(rows), Book(rows[::-1])):
        assert opened(CASES, book).row.id == ours.row.id


def test_harm_to_the_population_is_harm_in_suite_mode_and_not_the_other_way_round() -> None:
    suite = msgspec.structs.replace(SUBJECT, estimand="suite")
    refused = book_of(opened(CASES, Book()), 10, Verdict("fail", "no"))
    about = opened(CASES, refused, suite).about
    assert about.refused == refused.rows[0][0]
    assert [row.estimand for row in about.others] == ["population"]
    edited = [case(c.id, content="edited") for c in CASES]
    assert opened(edited, refused, suite).about.refused is None
    other = msgspec.structs.replace(suite, candidate="other")
    assert opened(CASES, refused, other).about.refused is None
    only_suite = book_of(opened(CASES, Book(), suite), 10, Verdict("fail", "no"))
    assert opened(CASES, only_suite).about.refused is None


@given(st.integers(0, 2**32), st.lists(st.sampled_from(["a", "b", "c", None]), max_size=30))
def test_order_keeps_groups_together_and_closes_each_once(seed: int, groups: list[str | None]) -> None:
    cases = [case(f"c{i}", group=group) for i, group in enumerate(groups)]
    steps = arrange(cases, seed=seed).rest
    assert sorted(s.case.id for s in steps) == sorted(c.id for c in cases)
    closed = [s.unit for s in steps if s.closes]
    assert len(closed) == len(set(closed)) == len({s.unit for s in steps})
    assert arrange(list(reversed(cases)), seed=seed).rest == steps
    others = arrange(renamed(cases), seed=seed).rest
    assert [(s.case.digest, s.closes) for s in others] == [(s.case.digest, s.closes) for s in steps]


def test_large_groups_do_not_come_first() -> None:
    cases = [case(f"c{i}", group="large" if i < 30 else None) for i in range(60)]
    places = [next(i for i, s in enumerate(arrange(cases, seed=k).rest) if s.case.group) for k in range(400)]
    assert 12 < sum(places) / 400 < 18, "15 of the 30 others before it on average"


def test_a_case_that_joins_a_consumed_group_is_left_out() -> None:
    cases = [case("a1", group="a"), case("b1", group="b"), case("a2", group="a")]
    order = arrange(cases, seed=1, consumed=[ConsumedRow("d", 0, "a1", cases[0].digest)])
    assert order.skipped == ("a2",)
    assert [s.case.id for s in order.rest] == ["b1"]


def test_the_lock_remembers_and_merges(tmp_path: Path) -> None:
    path = tmp_path / "shiftright.lock"
    first = opened(CASES, Book())
    mine, theirs = Lock.read(path), Lock.read(path)
    mine.merge(
        [
            Stable("f", "b", "identity"),
            BaselineScore("f", "identity", "c1", "digest", {"right": (1.0, None)}),
            LockedDecision(first.row, used(first, 3)),
        ]
    )
    mine.write(path)
    theirs.merge([LockedDecision(msgspec.structs.replace(first.row, id="d-other"), ())])
    theirs.write(path)
    back = Lock.read(path)
    assert set(back.decisions) == {first.row.id, "d-other"}
    assert back.baseline_scores("f", "identity")["c1"].scores == {"right": (1.0, None)}
    assert opened(CASES, back.book).row.id == first.row.id
    before = path.read_bytes()
    back.write(path)
    assert path.read_bytes() == before


def test_processes_that_write_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "shiftright.lock"

    def write(i: int) -> None:
        lock = Lock()
        row = DecisionRow(f"d-{i}", "k", "f", "v", 1.0, 2.0)
        lock.merge([LockedDecision(row, ())])
        lock.write(path)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(write, range(40)))
    assert len(Lock.read(path).decisions) == 40


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"<<<<<<< HEAD", "merge conflict"),
        (b'{"kind": "nonsense"}', "not a line of a lock file"),
        (b"\xff\xfe", "not a line of a lock file"),
        (b'{"kind": "lock", "version": 99}', "newer version"),
    ],
)
def test_a_damaged_lock_names_file_and_line(tmp_path: Path, line: bytes, says: str) -> None:
    path = tmp_path / "shiftright.lock"
    path.write_bytes(b'{"kind":"lock","version":1}\n' + line + b"\n")
    with pytest.raises(StoreError) as failed:
        Lock.read(path)
    assert says in failed.value.message
    assert failed.value.line == 2


def test_rows_survive_the_lock(tmp_path: Path) -> None:
    row = DecisionRow("d-1", "k", "f", "v", 1.0, 2.0, verdict=Verdict("pass", "yes"), decided=True)
    lock = Lock()
    lock.merge([LockedDecision(row, (ConsumedRow("d-1", 0, "c", "x", {"right": (0.5,)}, {}),))])
    lock.write(tmp_path / "l")
    assert Lock.read(tmp_path / "l").decisions["d-1"].row == row
    assert scores("c", 1.0).unit == "c"
