from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.store.serialized import from_text, to_text
from tray_app.core.tokens import Secret, TokenSet

moments = st.datetimes(min_value=datetime(1971, 1, 1), max_value=datetime(9000, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
secrets = st.builds(Secret, st.text(st.characters()))
token_sets = st.builds(
    TokenSet,
    access_token=secrets,
    token_type=st.text(),
    received_at=moments,
    lifetime=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=3650)),
    refresh_token=st.none() | secrets,
    scopes=st.lists(st.text()).map(tuple),
    subject=st.none() | st.text(),
    sign_in_ends_at=st.none() | moments,
    bound_to=st.text(),
)
SOME = TokenSet(
    access_token=Secret("canary-access"),
    token_type="Bearer",
    received_at=datetime(2026, 11, 24, 1, 2, 3, tzinfo=UTC),
    lifetime=timedelta(hours=1),
    refresh_token=Secret("canary-refresh"),
    scopes=("openid",),
    subject=None,
    sign_in_ends_at=None,
    bound_to="https://login.example.com abc",
)


@given(token_sets)
def test_what_was_written_is_read_again(tokens: TokenSet) -> None:
    assert from_text(to_text(tokens)) == tokens


@given(token_sets)
def test_the_text_is_ascii_so_that_its_length_is_its_length_in_utf_16(tokens: TokenSet) -> None:
    assert to_text(tokens).isascii()


def test_the_tokens_stand_in_the_text_as_they_are() -> None:
    text = to_text(SOME)

    assert "canary-access" in text
    assert "canary-refresh" in text


def test_a_time_of_another_zone_is_the_same_moment_in_utc() -> None:
    found = json.loads(to_text(SOME))
    found["received_at"] = SOME.received_at.astimezone(timezone(timedelta(hours=5))).isoformat()

    read = from_text(json.dumps(found))

    assert read == SOME
    assert read.received_at.tzinfo is UTC


@given(st.text() | st.recursive(st.none() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_anything_else_is_no_token_set(text: str) -> None:
    with pytest.raises(ValueError, match="not a token set"):
        from_text(text)


@pytest.mark.parametrize("member", json.loads(to_text(SOME)))
@pytest.mark.parametrize("value", [{}, [[]], 1e300, True, "yesterday", "2026-11-24T01:02:03"], ids=repr)
def test_a_member_of_a_wrong_kind_is_an_error_or_harmless_but_never_a_crash(member: str, value: object) -> None:
    found = json.loads(to_text(SOME))
    found[member] = value

    try:
        read = from_text(json.dumps(found))
    except ValueError as error:
        assert "canary" not in str(error)
    else:
        assert from_text(to_text(read)) == read


@pytest.mark.parametrize("text", ["[" * 100_000, to_text(SOME)[:-1]], ids=["nested without end", "cut off"])
def test_the_error_does_not_quote_the_text(text: str) -> None:
    with pytest.raises(ValueError, match="not a token set") as caught:
        from_text(text)

    assert caught.value.__suppress_context__
    assert "canary" not in str(caught.value)


def test_tokens_of_another_version_are_not_guessed_at() -> None:
    found = json.loads(to_text(SOME)) | {"version": 2}

    with pytest.raises(ValueError, match="another version"):
        from_text(json.dumps(found))
