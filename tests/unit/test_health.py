from datetime import timedelta

import pytest

from tests.builders import BOUND, NOW, failure, tokens
from tray_app.core.health import Health, health_of, worst
from tray_app.core.provider_errors import FailureKind
from tray_app.core.record import Record, failed, signed_in


def signed(**changes):
    return signed_in(Record(), tokens(**changes), 0.0)


@pytest.mark.parametrize(
    ("record", "health"),
    [
        pytest.param(Record(), Health.SIGNED_OUT, id="never signed in"),
        pytest.param(signed(), Health.FRESH, id="a valid token"),
        pytest.param(signed(sign_in_ends_at=NOW + timedelta(days=2)), Health.ENDING, id="the sign-in ends in two days"),
        pytest.param(signed(sign_in_ends_at=NOW + timedelta(days=4)), Health.FRESH, id="the sign-in ends in four days"),
        pytest.param(failed(signed(), failure(), NOW), Health.RETRYING, id="valid, the last refresh failed"),
        pytest.param(signed(minutes_left=0), Health.EXPIRED, id="ended just now"),
        pytest.param(failed(signed(minutes_left=-1), failure(), NOW), Health.EXPIRED, id="ended, retrying"),
        pytest.param(signed(minutes_left=-1, refresh_token=None), Health.SIGN_IN_NEEDED, id="ended, nothing to renew"),
        pytest.param(signed(minutes_left=1, refresh_token=None), Health.FRESH, id="valid, nothing to renew it with"),
        pytest.param(failed(signed(), failure(FailureKind.REFUSED), None), Health.SIGN_IN_NEEDED, id="refused"),
        pytest.param(failed(Record(), failure(FailureKind.STORE), NOW), Health.EXPIRED, id="the store cannot be read"),
        pytest.param(signed(bound_to="elsewhere"), Health.SIGNED_OUT, id="tokens of another client"),
        pytest.param(
            signed(minutes_left=-1, sign_in_ends_at=NOW - timedelta(days=1)), Health.EXPIRED, id="past its stated end"
        ),
    ],
)
def test_health_follows_from_the_facts(record, health):
    assert health_of(record, BOUND, NOW) is health


def test_a_refused_configuration_needs_the_person_after_three_attempts():
    record = signed()
    healths = []
    for _ in range(3):
        record = failed(record, failure(FailureKind.MISCONFIGURED), NOW)
        healths.append(health_of(record, BOUND, NOW))

    assert healths == [Health.RETRYING, Health.RETRYING, Health.SIGN_IN_NEEDED]
    assert record.tokens is not None


def test_the_icon_shows_the_worst_account_and_grey_only_where_all_are_signed_out():
    assert worst([Health.FRESH, Health.SIGNED_OUT]) is Health.FRESH
    assert worst([Health.FRESH, Health.RETRYING, Health.EXPIRED, Health.SIGN_IN_NEEDED]) is Health.SIGN_IN_NEEDED
    assert worst([Health.FRESH, Health.ENDING]) is Health.ENDING
    assert worst([Health.SIGNED_OUT, Health.SIGNED_OUT]) is Health.SIGNED_OUT
    assert worst([]) is Health.SIGNED_OUT
