"""Events: what `GET /v1/events` sends of them (.github/CONTRACT.md, section 8), and how the bus delivers them."""

from __future__ import annotations

import pytest

from tests.builders import NOW
from tray_app.core.events import AccountGone, HealthChanged, SignInChanged
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.health import Health
from tray_app.core.status import AccountStatus
from tray_app.engine.events import _BACKLOG, Events


@pytest.mark.parametrize(
    ("event", "data"),
    [
        (SignInChanged("work", "started", "waiting"), {"account": "work", "state": "started", "message": "waiting"}),
        (
            SignInChanged("work", "failed", "no", "sign_in_failed"),
            {"account": "work", "state": "failed", "message": "no", "error": "sign_in_failed"},
        ),
    ],
)
def test_a_sign_in_has_an_error_only_where_one_ended_it(event, data):
    assert (event.kind, event.as_json()) == ("sign-in", data)


def test_a_health_is_the_account_of_status_json():
    failure = Failure(FailureKind.UNREACHABLE, "it cannot be reached", NOW)
    event = HealthChanged(AccountStatus("work", Health.RETRYING, failure=failure, attempts=2))

    assert (event.kind, event.account, event.reason) == ("health", "work", "it cannot be reached")
    assert event.as_json() == event.status.as_json()
    assert event.as_json()["last_error"]["attempts"] == 2


async def test_each_subscriber_has_every_event_in_order_and_one_that_stopped_reading_is_dropped():
    events, called = Events(), []
    events.call(called.append)
    reading, stopped = events.subscribe(), events.subscribe()
    sent = [AccountGone(str(number)) for number in range(_BACKLOG + 1)]
    received = []
    for event in sent:
        events.publish(event)
        received.append(reading.get_nowait())
    events.close()

    assert called == received == sent
    assert reading.get_nowait() is None
    assert [stopped.get_nowait() for _ in range(_BACKLOG)] == sent[:-1]
    assert stopped.get_nowait() is None
