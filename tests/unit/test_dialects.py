"""Answers and refusals as real providers word them: wrapping never costs a token, and a refusal is told."""

import base64
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import BOUND, POLICY
from tests.builders import NOW as RECORD_NOW
from tests.builders import tokens as token_set
from tray_app.adapters.oauth.token_response import token_answer, unusable
from tray_app.core import record as change
from tray_app.core.account import RetryPolicy
from tray_app.core.failure import Answer, FailureKind, classify
from tray_app.core.health import Health, health_of
from tray_app.core.record import Record
from tray_app.core.record_json import facts_of, record_with
from tray_app.core.schedule import next_due, retry_due
from tray_app.core.tokens import Secret, TokenAnswer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
JSON = {"content-type": "application/json"}


def tokens(**members: Any) -> TokenAnswer:
    body = json.dumps({"access_token": "abc", "token_type": "Bearer", **members}).encode()
    found = token_answer(Answer(200, JSON, body), NOW)
    assert found is not None
    return found


# -- wrapping


@pytest.mark.parametrize("status", [200, 201, 202, 203, 299])
@pytest.mark.parametrize(
    "content_type",
    ["text/html", "text/plain", "text/json", "application/octet-stream", "application/x-www-form-urlencoded", "x", ""],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_json_object_is_read_whatever_its_status_type_and_byte_order_mark(status, content_type, encoding):
    body = '{"access_token": "abc", "refresh_token": "r", "note": "ä"}'.encode(encoding)

    found = token_answer(Answer(status, {"content-type": content_type}, body), NOW)

    assert found == TokenAnswer(Secret("abc"), "Bearer", NOW, refresh_token=Secret("r"))


@pytest.mark.parametrize("right", ["Bearer", "bearer", "BEARER", "Bearer ", " bearer", None, "", " "])
def test_an_empty_type_and_every_spelling_of_bearer_is_bearer(right):
    assert tokens(token_type=right).token_type == "Bearer"


def test_a_type_that_this_provider_calls_bearer_is_bearer():
    answer = Answer(200, {}, b'{"access_token": "abc", "token_type": "bot"}')

    assert token_answer(answer, NOW) is None
    assert token_answer(answer, NOW, bearer_types=frozenset({"bot"})) == TokenAnswer(Secret("abc"), "Bearer", NOW)


def test_scopes_may_be_a_list():
    assert tokens(scope=["read", "write"]).scopes == ("read", "write")


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"access_token": "abc", "token_type": "mac"}, "`token_type` mac"),
        ({"access_token": "abc", "token_type": "x" * 50}, "a `token_type`"),
        ({"access_token": "", "token_type": "Bearer"}, "without `access_token`"),
        ({"token_type": "Bearer"}, "without `access_token`"),
        ({"access_token": {"token": "abc"}}, "`access_token` that cannot be used"),
        ({"access_token": "a b"}, "`access_token` that cannot be used"),
    ],
)
def test_an_answer_of_no_use_says_why_and_keeps_its_new_refresh_token(members, reason):
    answer = Answer(200, {}, json.dumps(members | {"refresh_token": "new"}).encode())

    found = unusable(answer)

    assert token_answer(answer, NOW) is None
    assert found is not None
    assert reason in found.reason
    assert found.refresh_token == Secret("new")


@pytest.mark.parametrize(
    "answer",
    [
        Answer(400, {}, b'{"refresh_token": "new"}'),
        Answer(200, {}, b'{"refresh_token": "new", "error": "invalid_grant"}'),
        Answer(200, {}, b'{"refresh_token": "new", "ok": false}'),
        Answer(200, {"content-type": "text/html"}, b"<html>"),
    ],
)
def test_errors_and_pages_are_not_answers_of_no_use(answer):
    assert unusable(answer) is None


VALUES = st.none() | st.integers() | st.text() | st.lists(st.text(), max_size=2)
NAMES = st.sampled_from(["token_type", "expires_in", "expires_at", "scope", "id_token", "extra"])


@given(
    st.sampled_from([200, 201, 206]), st.sampled_from(["text/html", "text/plain", ""]), st.dictionaries(NAMES, VALUES)
)
def test_a_readable_refresh_token_is_never_lost(status, content_type, members):
    body = json.dumps({"access_token": "abc", "refresh_token": "new", **members}).encode()
    answer = Answer(status, {"content-type": content_type}, body)

    found = token_answer(answer, NOW) or unusable(answer)

    assert found is not None
    assert found.refresh_token == Secret("new")


# -- how long an access token lives

IN_AN_HOUR = NOW + timedelta(hours=1)
LIFE = ["expires_in", "expires_on", "expires_at", "expires", "expires_in_sec"]


@pytest.mark.parametrize("name", LIFE)
@pytest.mark.parametrize(
    "stated",
    [
        3600,
        "3600",
        IN_AN_HOUR.timestamp(),
        str(int(IN_AN_HOUR.timestamp())),
        int(IN_AN_HOUR.timestamp() * 1000),
        "2026-11-24T13:00:00Z",
        "2026-11-24T14:00:00.000+01:00",
    ],
)
def test_a_life_has_several_names_and_each_may_hold_a_life_or_a_moment(name, stated):
    found = tokens(**{name: stated})

    assert found.lifetime == timedelta(hours=1)
    assert found.lifetime_source == name


@pytest.mark.parametrize("seconds", [5_184_000, 3_600_000, 31_536_000])
@pytest.mark.parametrize("name", LIFE)
def test_a_long_life_is_taken_as_it_stands(name, seconds):
    assert tokens(**{name: seconds}).lifetime == timedelta(seconds=seconds)


@pytest.mark.parametrize("nothing", [0, -5, "", None, "soon"])
def test_another_name_counts_where_the_standards_says_nothing(nothing):
    assert tokens(expires_in=nothing, expires_at=IN_AN_HOUR.timestamp()).lifetime == timedelta(hours=1)


def test_the_standards_name_goes_before_others():
    assert tokens(expires_in=60, expires_at=IN_AN_HOUR.timestamp()).lifetime == timedelta(minutes=1)


@pytest.mark.parametrize("end", [NOW.timestamp(), (NOW - timedelta(days=30)).timestamp(), "2026-11-24T11:00:00Z"])
def test_a_moment_that_has_passed_says_nothing(end):
    assert tokens(expires_at=end).lifetime is None


def test_a_moment_counts_from_the_servers_clock():
    body = json.dumps({"access_token": "a", "expires_at": (NOW + timedelta(hours=7)).timestamp()}).encode()

    found = token_answer(Answer(200, {"date": "Tue, 24 Nov 2026 18:00:00 GMT"}, body), NOW)

    assert found is not None
    assert found.lifetime == timedelta(hours=1)


def jwt(**claims: object) -> str:
    parts = [base64.urlsafe_b64encode(json.dumps(one).encode()).rstrip(b"=").decode() for one in ({"alg": "x"}, claims)]
    return ".".join([*parts, "sig"])


@pytest.mark.parametrize(
    ("stated", "claims", "seconds"),
    [
        (3600, {"iat": 1000, "exp": 1600}, 600),
        (None, {"iat": 1000, "exp": 1600}, 600),
        (0, {"iat": 1000, "exp": 1600}, 600),
        (300, {"iat": 1000, "exp": 1600}, 300),
        (None, {"exp": NOW.timestamp() + 900}, 900),
        (3600, {"exp": 5, "iat": 10}, 3600),
        (3600, {"exp": "soon", "iat": 10}, 3600),
        (3600, {"exp": True}, 3600),
        (3600, {"exp": 1e400}, 3600),
        (3600, {}, 3600),
    ],
)
def test_a_jwt_that_ends_sooner_than_the_answer_promises_is_believed(stated, claims, seconds):
    assert tokens(access_token=jwt(**claims), expires_in=stated).lifetime == timedelta(seconds=seconds)


@pytest.mark.parametrize("token", ["a.b.c", "..", "a.!!.c", "a.W10.c", "a.b.c.d", "a." + "W" * 10_000 + ".c"])
def test_what_only_looks_like_a_jwt_says_nothing(token):
    assert tokens(access_token=token, expires_in=60).lifetime == timedelta(minutes=1)


# -- refusals


@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "application/octet-stream", ""])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("status", [200, 400, 401, 403, 500])
def test_a_refusal_counts_whatever_its_status_and_content_type(status, content_type, bom):
    answer = Answer(status, {"content-type": content_type}, bom + b'{"error": "invalid_grant"}')

    assert classify(answer, NOW, host="h").kind is FailureKind.REFUSED


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        (b'{"status": 400, "message": "Invalid refresh token"}', {"Invalid refresh token"}),
        (b'{"ok": false, "error": "invalid_refresh_token"}', {"invalid_refresh_token"}),
        (b'{"errors": [{"field": "refresh_token", "code": "invalid"}]}', {"refresh_token: invalid"}),
        (b'{"error": "invalid_client", "error_codes": [700082]}', {"700082"}),
    ],
    ids=["Twitch", "Slack", "Strava", "Entra"],
)
def test_what_a_preset_names_as_invalid_grants_equal_ends_the_sign_in(body, codes):
    answer = Answer(400, JSON, body)

    named = classify(answer, NOW, host="h", refused_codes=frozenset(codes))

    assert named.ends_sign_in
    assert classify(answer, NOW, host="h").kind is not FailureKind.REFUSED


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b'{"message": "Invalid refresh token"}', "Invalid refresh token"),
        (b'{"errors": [{"message": "gone"}]}', "gone"),
        (b'{"error": {"message": "Token is not active"}}', "Token is not active"),
        (b'{"error": "cannot_do", "error_description": "one\\ntwo"}', "cannot_do: one two"),
    ],
)
def test_a_refusal_in_whatever_words_is_told_in_them_on_one_line(body, words):
    assert words in classify(Answer(400, JSON, body), NOW, host="h").message


@pytest.mark.parametrize(
    "code", ["interaction_required", "login_required", "consent_required", "account_selection_required"]
)
def test_a_refusal_that_says_nothing_of_the_refresh_token_keeps_it_and_is_tried_once_an_hour(code):
    held = change.signed_in(Record(), token_set(60), 0.5)
    refused = classify(Answer(400, JSON, json.dumps({"error": code}).encode()), RECORD_NOW, host="h")

    after = change.failed(held, refused, retry_due(refused, 1, RetryPolicy(), 0.5))

    assert refused.kind is FailureKind.REFUSED
    assert after.tokens == held.tokens
    assert health_of(after, BOUND, RECORD_NOW) is Health.SIGN_IN_NEEDED
    assert next_due(after, BOUND, POLICY) == RECORD_NOW + timedelta(hours=1)
    assert record_with(Record(), held.tokens, facts_of(after), 0.5).failure == refused


@pytest.mark.parametrize(
    ("content_type", "body", "is_maybe_a_portal"),
    [("text/html", b"<html>", True), ("", b" <!doctype html>", True), ("text/html", b"{}", False), ("", b"", False)],
)
def test_only_a_page_from_the_token_endpoint_is_maybe_the_sign_in_page_of_a_network(
    content_type, body, is_maybe_a_portal
):
    answer = Answer(200, {"content-type": content_type}, body)

    told = classify(answer, NOW, host="h", from_token_endpoint=True).message

    assert ("page of this network" in told) is is_maybe_a_portal
    assert "page of this network" not in classify(answer, NOW, host="h").message
