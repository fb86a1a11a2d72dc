"""The API under any request its document allows and many it does not; readers of strangers' text under any text."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from shiftright.errors import UsageError
from shiftright.web.application import application
from shiftright.web.conversation import preview, turns, window
from shiftright.web.moments import moment
from shiftright.web.site import Site

schemathesis = pytest.importorskip("schemathesis", reason="schemathesis is not installed")
from schemathesis import checks  # noqa: E402
from schemathesis.specs.openapi import checks as openapi_checks  # noqa: E402

HOST = {"host": "127.0.0.1"}
quick = settings(
    max_examples=15,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
SOUND = [
    checks.not_a_server_error,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.status_code_conformance,
]


def test_every_answer_is_as_documented(served: Site) -> None:
    document = schemathesis.openapi.from_asgi("/api/openapi.json", application(served), headers=HOST)
    operations = [found.ok() for found in document.get_all_operations()]
    assert len(operations) > 12
    for operation in operations:

        @quick
        @given(operation.as_strategy())
        def answers(case: Any) -> None:
            case.validate_response(case.call(headers=HOST), checks=SOUND)

        answers()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(
                ["role", "content", "parts", "type", "text", "tool_calls", "function", "name", "x"]
            ),
            inner | st.sampled_from(["user", "system", "tool", "tool_call", "tool_result"]),
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(anything, st.integers(0, 10**6))
@settings(deadline=None)
def test_any_json_is_a_conversation_whose_parts_add_up(data: Any, tokens: int) -> None:
    found = turns(json.dumps(data))
    shares = window(found, tokens)
    if shares:
        assert abs(sum(share.width for share in shares) - 100) < 0.2
        if tokens:
            assert abs(sum(share.tokens for share in shares) - tokens) <= len(shares)


@given(st.text() | st.text().map(json.dumps) | anything.map(json.dumps).map(lambda text: text[:50]))
def test_any_text_has_a_preview(text: str) -> None:
    assert isinstance(preview(text), str)
    turns(text)


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9]{1,7}[mhdwx]\Z"))
def test_a_moment_is_a_time_or_an_error_that_says_how(text: str) -> None:
    try:
        found = moment(text)
    except UsageError as error:
        found, hint = None, error.hint
    else:
        hint = ""
    assert hint is not None
    assert found is None or isinstance(found, int)
