from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import BOUND, NOW, POLICY, failure, tokens
from tray_app.core.account import RefreshPolicy, RetryPolicy
from tray_app.core.failure import FailureKind
from tray_app.core.record import Record, failed, signed_in
from tray_app.core.schedule import SHORTEST_PLANNED_LIFE, health_changes_at, next_due, refresh_due, retry_due

LIVES = st.timedeltas(min_value=timedelta(seconds=5), max_value=timedelta(days=90))
DRAWS = st.floats(0, 1, exclude_max=True)
FRACTIONS = st.timedeltas(min_value=timedelta(seconds=1), max_value=timedelta(days=30))


@given(life=LIVES, draw=DRAWS, refresh_before=FRACTIONS)
def test_for_any_life_the_refresh_is_due_after_receipt_and_before_expiry(life, draw, refresh_before):
    held = tokens(minutes_left=life / timedelta(minutes=1), life=life)

    due = refresh_due(held, RefreshPolicy(refresh_before), draw)

    assert held.received_at < due < held.expires_at


@given(life=LIVES, draw=DRAWS)
def test_the_lead_is_ten_minutes_or_a_fifth_and_the_spread_at_most_a_twentieth(life, draw):
    held = tokens(minutes_left=life / timedelta(minutes=1), life=life)
    lead = min(timedelta(minutes=10), life / 5)

    due = refresh_due(held, POLICY, draw)

    assert held.expires_at - lead - life / 20 <= due + timedelta(milliseconds=1)
    assert due <= held.expires_at - lead


@pytest.mark.parametrize("draw", [0.0, 0.5, 0.999])
def test_a_token_of_an_hour_is_refreshed_47_to_50_minutes_in(draw):
    held = tokens(minutes_left=60, life=timedelta(hours=1))

    minutes = (refresh_due(held, POLICY, draw) - NOW) / timedelta(minutes=1)

    assert 47 <= minutes <= 50


def test_a_life_under_three_seconds_is_planned_as_three_so_that_a_lying_provider_makes_no_storm():
    held = tokens(minutes_left=0, life=timedelta(0))

    due = refresh_due(held, POLICY, 0.999)

    assert due - held.received_at > SHORTEST_PLANNED_LIFE * 0.7


@given(draw=DRAWS)
def test_refresh_every_brings_the_refresh_forward_and_never_puts_it_off(draw):
    every = RefreshPolicy(refresh_every=timedelta(minutes=20))
    long, short = tokens(480, life=timedelta(hours=8)), tokens(5, life=timedelta(minutes=5))

    assert timedelta(minutes=19) <= refresh_due(long, every, draw) - NOW <= timedelta(minutes=20)
    assert refresh_due(short, every, draw) == refresh_due(short, POLICY, draw)


@given(attempts=st.integers(1, 10_000), draw=DRAWS)
def test_retries_wait_between_first_and_limit_however_often_it_failed(attempts, draw):
    at = retry_due(failure(), attempts, RetryPolicy(), draw)

    assert at is not None
    assert timedelta(seconds=1) <= at - NOW <= timedelta(minutes=5)


def test_retries_back_off_exponentially():
    waits = [(retry_due(failure(), n, RetryPolicy(), 0.999) - NOW).total_seconds() for n in range(1, 7)]

    assert [round(wait) for wait in waits] == [2, 4, 8, 16, 32, 64]


def test_retries_are_spread_over_the_whole_wait():
    waits = [(retry_due(failure(), 6, RetryPolicy(), draw) - NOW).total_seconds() for draw in (0.25, 0.5, 0.75)]

    assert waits == [16, 32, 48]


def test_a_throttling_provider_is_not_called_before_it_says():
    throttled = failure(FailureKind.THROTTLED, not_before=NOW + timedelta(hours=2))

    assert retry_due(throttled, 1, RetryPolicy(), 0.0) == NOW + timedelta(hours=2)


def test_a_refused_configuration_is_tried_three_times_and_then_once_an_hour():
    refused = failure(FailureKind.MISCONFIGURED)

    assert retry_due(refused, 2, RetryPolicy(), 0.5) < NOW + timedelta(minutes=1)
    assert retry_due(refused, 3, RetryPolicy(), 0.5) == NOW + timedelta(hours=1)


@pytest.mark.parametrize("kind", [FailureKind.REFUSED, FailureKind.INTERRUPTED])
def test_a_refused_sign_in_is_not_retried(kind):
    assert retry_due(failure(kind), 1, RetryPolicy(), 0.5) is None


def test_a_store_that_fails_stops_no_refresh():
    record = failed(signed_in(Record(), tokens(), 0.0), failure(FailureKind.STORE), NOW + timedelta(hours=5))

    assert next_due(record, BOUND, POLICY) == refresh_due(tokens(), POLICY, 0.0)


def test_nothing_is_due_for_tokens_that_belong_elsewhere_nor_without_a_refresh_token():
    elsewhere = failed(signed_in(Record(), tokens(bound_to="other"), 0.0), failure(), NOW)

    assert next_due(elsewhere, BOUND, POLICY) is None
    assert next_due(signed_in(Record(), tokens(refresh_token=None), 0.0), BOUND, POLICY) is None


def test_time_alone_changes_the_health_at_expiry_and_three_days_before_the_sign_in_ends():
    record = signed_in(Record(), tokens(sign_in_ends_at=NOW + timedelta(days=3, minutes=1)), 0.0)

    assert health_changes_at(record, NOW) == NOW + timedelta(minutes=1)
    assert health_changes_at(record, NOW + timedelta(minutes=2)) == tokens().expires_at
    assert health_changes_at(record, NOW + timedelta(days=1)) is None
