"""Whatever somebody writes, the message says the same: to Python's strict reading, and to ours."""

from __future__ import annotations

import io

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.drafts import AWKWARD, TYPED, Typed, assert_fit_to_send, assert_says_the_same, drafted
from tests.views.conftest import Person
from webmail import compose


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=None)
@given(TYPED)
@example(AWKWARD)
@pytest.mark.django_db
def test_any_draft_becomes_a_message_that_says_the_same(alice: Person, typed: Typed) -> None:
    draft, out = drafted(alice.user, typed), io.BytesIO()
    compose.write(draft, out)
    assert_fit_to_send(out.getvalue())
    assert_says_the_same(out.getvalue(), typed, draft.text)
