"""The table of failures in .github/CONTRACT.md (section 5), row by row: what each answer is, and what comes of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from tests.builders import BOUND, NOW, POLICY, failure, tokens
from tray_app.core import record as change
from tray_app.core.account import RetryPolicy
from tray_app.core.failure import ENDS_SIGN_IN, Answer, Failure, FailureKind, classify, gave_up
from tray_app.core.health import Health, health_of, is_turned_away
from tray_app.core.record import Record
from tray_app.core.schedule import next_due, retry_due

RETRY = RetryPolicy()
JSON = {"content-type": "application/json"}
HTML = {"content-type": "text/html"}
PAGE = b"<html>Please log in</html>"


def oauth(code: str) -> bytes:
    return json.dumps({"error": code}).encode()


UNREACHABLE, THROTTLED = FailureKind.UNREACHABLE, FailureKind.THROTTLED
REFUSED, MISCONFIGURED = FailureKind.REFUSED, FailureKind.MISCONFIGURED

ANSWERS = [
    ("an error of the server", 500, HTML, PAGE, UNREACHABLE),
    ("a broken gateway", 502, HTML, PAGE, UNREACHABLE),
    ("an outage", 503, {}, b"", UNREACHABLE),
    ("a gateway that waited in vain", 504, HTML, PAGE, UNREACHABLE),
    ("a request that took too long", 408, {}, b"", UNREACHABLE),
    ("a redirect", 302, {"location": "https://portal.example/"}, b"", UNREACHABLE),
    ("a permanent redirect", 308, {"location": "https://portal.example/"}, b"", UNREACHABLE),
    ("server_error", 400, JSON, oauth("server_error"), UNREACHABLE),
    ("temporarily_unavailable", 400, JSON, oauth("temporarily_unavailable"), UNREACHABLE),
    ("a captive portal", 200, HTML, PAGE, UNREACHABLE),
    ("a proxy that forbids", 403, HTML, PAGE, UNREACHABLE),
    ("a proxy that wants a password", 407, HTML, PAGE, UNREACHABLE),
    ("401 without an OAuth body", 401, {}, b"", UNREACHABLE),
    ("404 without an OAuth body", 404, HTML, PAGE, UNREACHABLE),
    ("403 with JSON of somebody else", 403, JSON, b'{"message": "Forbidden"}', UNREACHABLE),
    ("JSON without an access token", 200, JSON, b'{"token_type": "Bearer"}', UNREACHABLE),
    ("an empty object", 200, JSON, b"{}", UNREACHABLE),
    ("a code that nobody knows", 400, JSON, oauth("cannot_do"), UNREACHABLE),
    ("GitHub's code at another provider", 200, JSON, oauth("bad_refresh_token"), UNREACHABLE),
    ("invalid_grant on a page", 400, HTML, b'<p>{"error": "invalid_grant"}</p>', UNREACHABLE),
    ("invalid_grant as plain text", 400, {"content-type": "text/plain"}, oauth("invalid_grant"), REFUSED),
    ("invalid_grant in a list of errors", 400, JSON, b'{"errors": [{"errorType": "invalid_grant"}]}', REFUSED),
    ("interaction_required", 400, JSON, oauth("interaction_required"), REFUSED),
    ("too many requests", 429, {}, b"", THROTTLED),
    ("too many requests, in OAuth", 429, JSON, oauth("server_error"), THROTTLED),
    ("an outage that says for how long", 503, {"retry-after": "60"}, b"", THROTTLED),
    ("invalid_grant", 400, JSON, oauth("invalid_grant"), REFUSED),
    ("invalid_grant with 401", 401, JSON, oauth("invalid_grant"), REFUSED),
    ("invalid_grant with 200", 200, JSON, oauth("invalid_grant"), REFUSED),
    ("invalid_grant with 429", 429, JSON, oauth("invalid_grant"), REFUSED),
    ("invalid_grant with 503", 503, JSON | {"retry-after": "60"}, oauth("invalid_grant"), REFUSED),
    ("invalid_client", 401, JSON, oauth("invalid_client"), MISCONFIGURED),
    ("unauthorized_client", 400, JSON, oauth("unauthorized_client"), MISCONFIGURED),
    ("invalid_scope", 400, JSON, oauth("invalid_scope"), MISCONFIGURED),
    ("invalid_request", 400, JSON, oauth("invalid_request"), MISCONFIGURED),
    ("unsupported_grant_type", 400, JSON, oauth("unsupported_grant_type"), MISCONFIGURED),
]


@pytest.mark.parametrize(
    ("status", "headers", "body", "kind"), [row[1:] for row in ANSWERS], ids=[r[0] for r in ANSWERS]
)
def test_an_answer_has_the_class_that_the_table_names(status, headers, body, kind):
    found = classify(Answer(status, headers, body), NOW, host="login.example.com")

    assert (found.kind, found.status) == (kind, status)
    assert found.message.startswith("login.example.com ")


def test_every_class_that_an_answer_can_have_is_in_the_table():
    from_elsewhere = {FailureKind.UNTRUSTED, FailureKind.STORE, FailureKind.INTERRUPTED}

    assert {row[-1] for row in ANSWERS} | from_elsewhere == set(FailureKind)


@pytest.mark.parametrize("kind", FailureKind)
def test_only_a_refusal_costs_the_tokens_and_whatever_else_fails_is_tried_again(kind):
    held = change.signed_in(Record(), tokens(), 0.5)
    failed = failure(kind)

    after = change.failed(held, failed, retry_due(failed, 1, RETRY, 0.5))

    assert (after.tokens is None) == (kind in ENDS_SIGN_IN)
    assert (next_due(after, BOUND, POLICY) is None) == (kind in ENDS_SIGN_IN)
    assert health_of(after, BOUND, NOW) is (Health.SIGN_IN_NEEDED if kind in ENDS_SIGN_IN else Health.RETRYING)


@pytest.mark.parametrize("kind", set(FailureKind) - ENDS_SIGN_IN - {FailureKind.MISCONFIGURED})
def test_an_outage_of_a_week_needs_no_sign_in_however_often_it_was_tried(kind):
    record, now = change.signed_in(Record(), tokens(), 0.5), NOW
    while now < NOW + timedelta(days=7):
        failed = failure(kind, at=now)
        record = change.failed(record, failed, retry_due(failed, change.attempts_with(record, failed), RETRY, 0.9))
        assert record.retry_at is not None
        assert record.retry_at - now <= RETRY.limit
        now = record.retry_at

    assert record.tokens is not None
    assert health_of(record, BOUND, now) is Health.EXPIRED


# -- throttled


def throttled(**headers: str) -> Failure:
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    return classify(Answer(429, headers, b""), NOW, host="login.example.com")


@pytest.mark.parametrize("attempts", [1, 20])
def test_nobody_is_asked_before_the_time_that_they_name(attempts):
    wish = throttled(retry_after="7200")

    assert retry_due(wish, attempts, RETRY, 0.0) == NOW + timedelta(hours=2)


def test_a_date_is_read_by_the_clock_of_whoever_wrote_it():
    theirs = NOW - timedelta(hours=3)
    wish = throttled(
        date=format_datetime(theirs, usegmt=True),
        retry_after=format_datetime(theirs + timedelta(minutes=5), usegmt=True),
    )

    assert wish.not_before == NOW + timedelta(minutes=5)


# -- misconfigured


def refused_configuration(times: int, record: Record | None = None) -> Record:
    record = record or change.signed_in(Record(), tokens(), 0.5)
    for _ in range(times):
        failed = failure(FailureKind.MISCONFIGURED)
        record = change.failed(record, failed, retry_due(failed, change.attempts_with(record, failed), RETRY, 0.5))
    return record


def test_a_refused_configuration_has_three_attempts_then_needs_you_and_is_tried_again_each_hour():
    twice, thrice, once_more = (refused_configuration(times) for times in (2, 3, 4))

    assert [health_of(one, BOUND, NOW) for one in (twice, thrice)] == [Health.RETRYING, Health.SIGN_IN_NEEDED]
    assert thrice.tokens == tokens()
    assert [next_due(one, BOUND, POLICY) for one in (thrice, once_more)] == [NOW + timedelta(hours=1)] * 2


# -- unreachable: turned away


def turned_away(*minutes: float, status: int = 403, kind: FailureKind = UNREACHABLE) -> Record:
    """Fails at these minutes after the token's end."""
    record = change.signed_in(Record(), tokens(0), 0.5)
    for minute in minutes:
        failed = failure(kind, at=NOW + timedelta(minutes=minute), status=status)
        record = change.failed(record, failed, failed.at + timedelta(minutes=5))
    return record


@pytest.mark.parametrize("status", [200, 400, 401, 403, 404, 418, 422])
def test_who_is_turned_away_three_times_over_ten_minutes_is_offered_a_sign_in_and_retries_go_on(status):
    record = turned_away(0, 5, 10, status=status)

    assert is_turned_away(record, NOW + timedelta(minutes=10))
    assert health_of(record, BOUND, NOW + timedelta(minutes=10)) is Health.EXPIRED
    assert next_due(record, BOUND, POLICY) == NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    "record",
    [
        turned_away(0, 10),
        turned_away(0, 3, 9.9),
        turned_away(0, 5, 10, status=500),
        turned_away(0, 5, 10, status=407),
        turned_away(0, 5, 10, kind=FailureKind.THROTTLED),
        change.failed(turned_away(0, 5, 10), failure(at=NOW + timedelta(minutes=11)), NOW),
        change.refreshed(turned_away(0, 5, 10), tokens(60), NOW, 0.5),
    ],
    ids=["twice", "too soon", "an outage", "a proxy", "throttled", "not in a row", "mended"],
)
def test_nobody_is_offered_a_sign_in_for_less(record):
    assert not is_turned_away(record, NOW + timedelta(minutes=12))


def test_while_the_token_lives_nobody_is_bothered():
    assert not is_turned_away(turned_away(-20, -15, -5), NOW - timedelta(minutes=4))


# -- unreachable: no network


def test_without_a_network_it_is_looked_for_every_twenty_seconds_however_long_that_takes():
    waits = [
        (retry_due(failure(offline=True), n, RETRY, draw) - NOW).total_seconds() for n in (1, 3, 9) for draw in (0, 0.9)
    ]

    assert waits == [2, 2, 8, 8, 20, 20]


def test_a_night_without_a_network_does_not_put_off_the_first_attempt_with_one():
    record = change.signed_in(Record(), tokens(), 0.5)
    for _ in range(1000):
        record = change.failed(record, failure(offline=True), NOW)

    assert change.attempts_with(record, failure()) == 1


@pytest.mark.parametrize(
    ("status", "before", "lost"),
    [(504, None, True), (502, 503, True), (504, 502, True), (504, 504, False), (503, None, False), (None, 504, False)],
)
def test_a_gateway_may_have_lost_an_answer_but_one_that_does_so_again_is_out_of_order(status, before, lost):
    assert gave_up(failure(status=status), before and failure(status=before)) is lost


# -- the rest


def test_without_a_refresh_token_the_end_of_the_token_needs_a_sign_in():
    record = change.signed_in(Record(), tokens(1, refresh_token=None), 0.5)

    assert health_of(record, BOUND, NOW) is Health.FRESH
    assert health_of(record, BOUND, NOW + timedelta(minutes=1)) is Health.SIGN_IN_NEEDED


def test_past_the_end_of_the_sign_in_it_is_still_tried():
    record = change.signed_in(Record(), tokens(-5, sign_in_ends_at=NOW - timedelta(days=9)), 0.5)

    assert health_of(record, BOUND, NOW) is Health.EXPIRED
    assert next_due(record, BOUND, POLICY) <= NOW


def test_a_clock_that_goes_back_makes_nothing_younger():
    record = change.failed(
        change.signed_in(Record(), tokens(20, sign_in_ends_at=NOW + timedelta(days=2)), 0.5),
        failure(FailureKind.THROTTLED, not_before=NOW + timedelta(minutes=5)),
        NOW + timedelta(minutes=5),
    )
    back = timedelta(days=400)

    after = change.set_back(record, back)

    assert after.tokens.valid_for(NOW - back) == tokens(20).valid_for(NOW)
    assert after.retry_at == after.failure.not_before == NOW + timedelta(minutes=5) - back
    assert after.tokens.sign_in_ends_at == NOW + timedelta(days=2) - back
    assert after.tokens.is_same_as(record.tokens)


def test_a_clock_may_go_back_beyond_all_dates():
    record = change.signed_in(Record(), tokens(now=datetime(1970, 1, 2, tzinfo=UTC)), 0.5)

    assert change.set_back(record, timedelta(days=365 * 2000)).tokens.received_at.year == 1


def test_what_failed_at_the_provider_is_not_mended_by_a_store_that_takes_the_tokens_after_all():
    record = change.unstored(change.signed_in(Record(), tokens(), 0.5), failure(FailureKind.STORE), NOW)
    throttled_since = change.failed(record, failure(FailureKind.THROTTLED), NOW + timedelta(hours=5))

    assert change.stored(throttled_since).failure == throttled_since.failure
    assert not change.stored(throttled_since).unsaved
    assert change.stored(record).failure is None
