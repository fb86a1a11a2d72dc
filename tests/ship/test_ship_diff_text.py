"""What is read off one answer, and what groups of them say."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shiftright.core.answer import Answer, Failure
from shiftright.core.case import Case
from shiftright.core.spec import Spec
from shiftright.ship.diff.behaviours import behaviours
from shiftright.ship.diff.clusters import clusters, words_of
from shiftright.ship.diff.measures import measures
from shiftright.ship.diff.replayed import Replayed
from shiftright.ship.diff.text.language import language
from shiftright.ship.diff.text.refusal import refuses
from shiftright.ship.diff.text.sentiment import sentiment
from shiftright.ship.diff.text.shape import shape
from shiftright.ship.diff.traits import traits


@pytest.mark.parametrize(
    ("text", "declines"),
    [
        ("I'm sorry, but I can't assist with that.", True),
        ("I’m sorry, I cannot help with this request.", True),
        ("As an AI language model, I am not able to provide medical advice.", True),
        ("It is not appropriate or ethical to harm people.", True),
        ("Das tut mir leid, dabei kann ich nicht helfen.", True),
        ("Lo siento, no puedo ayudar con eso.", True),
        ("Je suis désolé, je ne peux pas vous aider.", True),
        ("Your order cannot be found. Please check the number.", False),
        ("Sorry for the delay! Your parcel is on its way.", False),
        ("You can't divide by zero: the result is not defined.", False),
        ("I cannot browse the web. However, I can give you an example: " + "word " * 200, False),
        ("", False),
    ],
)
def test_refusals_are_told_by_their_phrases(text: str, declines: bool) -> None:
    assert refuses(text) is declines


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"queue": "billing"}, "JSON"),
        ('{"queue": "billing"}', "JSON"),
        ('```json\n{"queue": "billing"}\n```', "JSON"),
        ('{"queue": "billing"', "broken JSON"),
        ("[Company], thank you for writing to us today about this.", "prose"),
        ("Use this:\n```python\nprint(1)\n```", "code"),
        ("- one\n- two\n- three", "list"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "table"),
        ("billing", "label"),
        ("1,024.5", "number"),
        (17, "number"),
        (True, "label"),
        ("Your parcel will arrive tomorrow before noon.", "prose"),
        (None, "empty"),
        ("  \n", "empty"),
    ],
)
def test_shapes(output: Any, expected: str) -> None:
    assert shape(output) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Your order has been shipped and will arrive tomorrow.", "English"),
        ("Ihre Bestellung wurde verschickt und kommt morgen an.", "German"),
        ("Gracias por su mensaje, le ayudaremos lo antes posible.", "Spanish"),
        ("billing", None),
        ("Vielen Dank!", None),
        ("```python\ndef parse(value): return value.strip().lower()\n```", None),
    ],
)
def test_languages_are_told_only_where_they_can_be(text: str, expected: str | None) -> None:
    assert language(text) == expected


def test_sentiment_knows_negation_and_no_length() -> None:
    friendly, hostile = "This is a great and helpful answer.", "This is a terrible, useless answer."
    assert sentiment(friendly) > 0.3 > 0 > -0.3 > sentiment(hostile)
    assert sentiment("This is not great.") < 0
    assert sentiment(" ".join([friendly] * 20)) == pytest.approx(sentiment(friendly))
    assert sentiment("") == sentiment("The train leaves at nine.") == 0.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=60),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.tuples(JSON, JSON), min_size=1, max_size=12))
def test_whatever_was_answered_is_told_and_turns_around(outputs: list[tuple[Any, Any]]) -> None:
    replayed = [
        Replayed(Case(f"c{i}", input=f"question {i}"), f"c{i}", True, Answer(old), Answer(new))
        for i, (old, new) in enumerate(outputs)
    ]
    both = [(traits(one.old), traits(one.new)) for one in replayed]
    turned = [Replayed(one.case, one.unit, True, one.new, one.old) for one in replayed]
    spec = Spec("x", path=None)  # type: ignore[arg-type]
    found, unchanged = behaviours(replayed, both, spec)
    back, same = behaviours(turned, [(new, old) for old, new in both], spec)
    assert unchanged == same
    there = sorted((g.kind, g.before, g.after, g.n, g.back) for g in found if g.kind != "label")
    here = sorted((g.kind, g.after, g.before, g.n, g.back) for g in back if g.kind != "label")
    assert there == here
    assert all(group.n == len(set(group.cases)) <= len(outputs) for group in found)
    asked = [None] * len(outputs)
    for one in measures(replayed, both, asked):
        assert one.interval[0] <= one.change + 1e-9
        assert one.change - 1e-9 <= one.interval[1]
        assert one.change == pytest.approx(one.new - one.old)


def test_a_failed_call_has_no_text_but_its_failure() -> None:
    found = traits(Answer(failure=Failure("timeout", "I can't help with that.")))
    assert (found.failure, found.refused, found.answered, found.text) == ("timeout", False, False, "")
    assert traits(Answer(failure=Failure("refused", "policy"))).refused


def test_clusters_are_named_by_words_that_are_rarer_elsewhere() -> None:
    texts = {f"r{i}": f"please look at the refund of order {i} for my broken lamp" for i in range(6)}
    texts |= {f"o{i}": f"please look at the password of account {i}" for i in range(20)}
    words = {id_: words_of(text) for id_, text in texts.items()}
    (found,) = clusters({id_: words[id_] for id_ in texts if id_.startswith("r")}, [*words.values()])
    assert set(found.name.split(" · ")) <= {"refund", "order", "broken", "lamp"}
    assert len(found.cases) == 6


def test_words_that_are_everywhere_make_no_cluster() -> None:
    words = {f"c{i}": words_of("please look at the password") for i in range(30)}
    assert clusters({id_: words[id_] for id_ in ("c1", "c2", "c3", "c4")}, [*words.values()]) == ()
