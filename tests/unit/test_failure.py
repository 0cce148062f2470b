import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.core.failure import Answer, Failure, FailureKind, classify, plain

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def failure(status: int, error: Any = None, *, retry_after: str | None = None, **more: Any) -> Failure:
    headers = {"content-type": "application/json"}
    if retry_after is not None:
        headers["retry-after"] = retry_after
    body = json.dumps({"error": error, **more} if error is not None else more).encode()
    return classify(Answer(status, headers, body), NOW, host="login.example.com")


def page(status: int, content_type: str = "text/html", body: bytes = b"<html>Log in</html>") -> Failure:
    return classify(Answer(status, {"content-type": content_type}, body), NOW, host="login.example.com")


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 429, 500, 503])
def test_invalid_grant_is_final_whatever_the_status(status: int) -> None:
    assert failure(status, "invalid_grant").kind is FailureKind.REFUSED


@pytest.mark.parametrize(
    "code", ["invalid_client", "unauthorized_client", "invalid_scope", "invalid_request", "unsupported_grant_type"]
)
@pytest.mark.parametrize("status", [200, 400, 401, 403])
def test_what_is_wrong_with_the_configuration_is_told_as_that(status: int, code: str) -> None:
    assert failure(status, code).kind is FailureKind.MISCONFIGURED


@pytest.mark.parametrize(
    "code", ["server_error", "temporarily_unavailable", "slow_down", "bad_refresh_token", "x" * 9000]
)
@pytest.mark.parametrize("status", [200, 400, 401, 500, 503])
def test_other_codes_are_retried(status: int, code: str) -> None:
    assert failure(status, code).kind is FailureKind.UNREACHABLE


def test_a_preset_may_call_invalid_grant_by_another_name() -> None:
    body = json.dumps({"error": "bad_refresh_token"}).encode()
    answer = Answer(200, {"content-type": "application/json"}, body)

    found = classify(answer, NOW, host="github.com", refused_codes=frozenset({"bad_refresh_token"}))

    assert found.kind is FailureKind.REFUSED
    assert found.code == "bad_refresh_token"


@pytest.mark.parametrize(
    "status", [200, 201, 204, 301, 302, 307, 400, 401, 403, 404, 405, 407, 408, 418, 500, 502, 503]
)
@pytest.mark.parametrize("content_type", ["text/html", "text/plain", "", "application/json"])
def test_a_page_that_is_not_oauth_never_ends_the_sign_in(status: int, content_type: str) -> None:
    assert page(status, content_type).kind is FailureKind.UNREACHABLE
    assert page(status, content_type, b"invalid_grant").kind is FailureKind.UNREACHABLE


def test_a_page_that_quotes_the_error_is_no_oauth_body() -> None:
    assert page(400, "text/html", b'<p>{"error": "invalid_grant"}</p>').kind is FailureKind.UNREACHABLE


@pytest.mark.parametrize(
    "body",
    [b"[]", b"null", b"1", b'"invalid_grant"', b"{", b"[" * 100_000, b'{"error": null}', b'{"error": 5}', b"\xff"],
)
def test_json_that_is_no_oauth_body_is_retried(body: bytes) -> None:
    assert page(400, "application/json", body).kind is FailureKind.UNREACHABLE


@pytest.mark.parametrize(
    ("status", "text", "wait"),
    [
        (429, "30", 30),
        (503, "30", 30),
        (429, "1.5", 1.5),
        (429, "0", 1),
        (429, "999999999", 31 * 86400),
        (429, format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120),
        (503, format_datetime(NOW + timedelta(minutes=2), usegmt=True), 120),
    ],
)
def test_a_provider_may_ask_to_be_left_alone(status: int, text: str, wait: float) -> None:
    found = failure(status, retry_after=text)

    assert found.kind is FailureKind.THROTTLED
    assert found.not_before == NOW + timedelta(seconds=wait)


@pytest.mark.parametrize(
    "text", ["", "soon", "-5", "nan", "inf", "1e999", "Tue, 24 Nov 2026 11:00:00 GMT", "Tue, 99 X"]
)
def test_a_wish_that_cannot_be_read_leaves_our_own_back_off(text: str) -> None:
    found = failure(429, retry_after=text)

    assert found.kind is FailureKind.THROTTLED
    assert found.not_before is None


def test_a_503_without_a_wish_is_an_outage() -> None:
    assert failure(503).kind is FailureKind.UNREACHABLE


def test_the_error_of_a_nested_object_is_its_type() -> None:
    found = failure(429, {"type": "rate_limit_error", "message": "slow down"}, retry_after="5")

    assert (found.kind, found.code) == (FailureKind.THROTTLED, "rate_limit_error")


@pytest.mark.parametrize(
    "hostile", ["\x1b]0;pwn\x07", "a\n2026-11-24 INFO fake", "a\u202eb", "a\u2028b", "x" * 65_536, "\ud800"]
)
def test_hostile_words_become_one_short_line(hostile: str) -> None:
    message = failure(400, "invalid_grant", error_description=hostile).message

    assert len(message) < 300
    assert message.isprintable()


@pytest.mark.parametrize("description", [None, 5, ["a"], {"a": "b"}])
def test_a_description_that_is_no_text_does_no_harm(description: object) -> None:
    assert failure(400, "invalid_grant", error_description=description).kind is FailureKind.REFUSED


def test_the_reason_names_the_host_and_the_code() -> None:
    found = failure(400, "invalid_grant", error_description="Token has been revoked")

    assert found.message == ("login.example.com no longer accepts this sign-in (invalid_grant: Token has been revoked)")
    assert (found.code, found.at) == ("invalid_grant", NOW)


@given(st.text())
def test_plain_text_is_one_short_printable_line(text: str) -> None:
    assert len(plain(text)) <= 200
    assert all(character.isprintable() for character in plain(text))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["error", "type", "code", "x"]), inner),
)
BODIES = (
    st.binary()
    | JSON.map(lambda value: json.dumps(value).encode())
    | JSON.map(lambda value: json.dumps({"error": value, "error_description": value}).encode())
)
CONTENT_TYPES = st.text() | st.sampled_from(
    ["application/json", "application/problem+json; charset=x", "application/x-www-form-urlencoded", "text/html"]
)
RETRY_AFTER = (
    st.none() | st.text() | st.integers().map(str) | st.floats().map(str) | st.datetimes().map(format_datetime)
)


@given(st.integers(0, 1000), CONTENT_TYPES, RETRY_AFTER, BODIES)
def test_nothing_that_comes_back_makes_it_raise(
    status: int, content_type: str, retry_after: str | None, body: bytes
) -> None:
    headers = {"content-type": content_type} | ({} if retry_after is None else {"retry-after": retry_after})

    found = classify(Answer(status, headers, body), NOW, host="login.example.com")

    assert found.message
    assert found.kind is not FailureKind.REFUSED or found.code == "invalid_grant"
    assert found.not_before is None or NOW < found.not_before <= NOW + timedelta(days=31)
