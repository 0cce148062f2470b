from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from tests.fakes.notifier import RecordingNotifier
from tray_app.core.health import Health
from tray_app.interfaces.notifications.incidents import Incidents

REFUSED = "login.example.com no longer accepts this sign-in (invalid_grant)"


class Timer:
    def __init__(self, at: datetime, act: Callable[[], None]) -> None:
        self.at, self.act = at, act

    def cancel(self) -> None:
        self.act = lambda: None


class Desk:
    """An applet's incidents on a virtual clock, with a heartbeat every 30 s, and what the engine would keep."""

    def __init__(self) -> None:
        self.time = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
        self.notifier = RecordingNotifier()
        self.later: dict[str, datetime] = {}
        self.signing_in: list[str] = []
        self.alone: str | None = None
        self.listening: Callable[[], None] = lambda: None
        self._timers: list[Timer] = []
        self.start()

    def start(self) -> None:
        self.incidents = Incidents(
            self.notifier,
            self,
            self,
            sign_in=self.signing_in.append,
            later_until=self.later.get,
            set_later=self._set_later,
            call_later=self._call_later,  # type: ignore[arg-type] - a TimerHandle of this clock
        )

    async def restart(self) -> None:
        await self.incidents.close()
        await self.notifier.close()
        self.start()

    def now(self) -> datetime:
        return self.time

    async def because(self, changed: Callable[[], None]) -> str | None:
        """The desktop's quiet."""
        self.listening = changed
        return self.alone

    def close(self) -> None:
        self.listening = lambda: None

    def _set_later(self, account: str, until: datetime | None) -> None:
        self.later.pop(account, None)
        if until:
            self.later[account] = until

    def _call_later(self, delay: float, act: Callable[[], None]) -> Timer:
        self._timers.append(Timer(self.time + timedelta(seconds=delay), act))
        return self._timers[-1]

    async def passes(self, **span: float) -> None:
        """Time passes."""
        end = self.time + timedelta(**span)
        beat = self.time + timedelta(seconds=30)
        while True:
            due = min((timer.at for timer in self._timers), default=end)
            self.time = min(due, beat, end)
            for timer in [timer for timer in self._timers if timer.at <= self.time]:
                self._timers.remove(timer)
                timer.act()
            if self.time >= beat:
                self.incidents.tick(self.time)
                beat += timedelta(seconds=30)
            await self.settles()
            if self.time >= end and not any(timer.at <= end for timer in self._timers):
                return

    async def settles(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    def needs(self, *accounts: str, reason: str = REFUSED) -> None:
        for account in accounts:
            self.incidents.health_changed(account, Health.SIGN_IN_NEEDED, reason)

    async def becomes(self, account: str, health: Health) -> None:
        self.incidents.health_changed(account, health, "")
        await self.settles()

    @property
    def titles(self) -> list[str]:
        return self.notifier.titles

    @property
    def ever_shown(self) -> list[str]:
        return [notification.title for notification in self.notifier.seen]


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    desk = Desk()
    yield desk
    await desk.incidents.close()


async def test_an_incident_is_told_once_with_its_reason_and_two_actions(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    for _ in range(50):
        desk.needs("work")
    await desk.passes(hours=8)

    [told] = desk.notifier.seen
    assert told.title == "Sign in to work"
    assert told.body == f"{REFUSED}."
    assert told.actions == (("sign-in", "Sign In"), ("later", "Later"))
    assert told.otherwise == "Click the lamp in the panel, then work > Sign In."
    assert told.urgent


async def test_sign_in_starts_that_account_s_flow_and_so_does_the_body(desk: Desk) -> None:
    desk.needs("work", "mail")
    await desk.passes(seconds=1)

    desk.notifier.click_body("Sign in to mail")
    desk.notifier.press("Sign in to work", "sign-in")

    assert desk.signing_in == ["mail", "work"]


async def test_the_third_incident_of_the_day_works_like_the_first(desk: Desk) -> None:
    for round_ in range(1, 4):
        desk.needs("work")
        await desk.passes(seconds=1)
        desk.notifier.press("Sign in to work", "sign-in")
        assert desk.signing_in == ["work"] * round_
        await desk.becomes("work", Health.FRESH)
        await desk.passes(hours=2)

    assert desk.ever_shown == ["Sign in to work"] * 3


@pytest.mark.parametrize("health", [Health.FRESH, Health.ENDING, Health.RETRYING, Health.SIGNED_OUT])
async def test_it_is_withdrawn_when_the_account_is_well_or_signed_out(desk: Desk, health: Health) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    assert desk.titles == ["Sign in to work"]

    await desk.becomes("work", health)

    assert desk.titles == []


async def test_it_stays_while_a_sign_in_is_only_under_way_or_the_network_is_gone(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)

    desk.incidents.sign_in_ended("work")
    await desk.becomes("work", Health.EXPIRED)
    desk.needs("work")
    await desk.passes(seconds=40)

    assert desk.titles == ["Sign in to work"]
    assert desk.ever_shown == ["Sign in to work"]


@pytest.mark.parametrize("health", [health for health in Health if health is not Health.SIGN_IN_NEEDED])
async def test_no_other_health_raises_a_notification(desk: Desk, health: Health) -> None:
    await desk.becomes("work", health)
    await desk.passes(hours=2)

    assert desk.ever_shown == []


async def test_an_expired_account_can_be_told_to_be_hopeless(desk: Desk) -> None:
    await desk.becomes("work", Health.EXPIRED)
    desk.incidents.begin("work", "login.example.com answers 401 since ten minutes")
    await desk.becomes("work", Health.EXPIRED)
    await desk.passes(hours=2)

    assert desk.ever_shown == ["Sign in to work"]


async def test_an_incident_that_is_over_before_it_is_told_is_not_told(desk: Desk) -> None:
    desk.needs("work")
    await desk.becomes("work", Health.FRESH)
    await desk.passes(minutes=2)

    assert desk.ever_shown == []


async def test_a_removed_account_is_forgotten(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")

    desk.incidents.forget("work")
    await desk.passes(hours=2)

    assert desk.titles == []
    assert desk.later == {}


async def test_later_brings_it_back_in_an_hour_and_not_before(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")

    await desk.passes(minutes=59)
    assert desk.titles == []
    await desk.passes(minutes=2)
    assert desk.titles == ["Sign in to work"]
    desk.notifier.press("Sign in to work", "later")
    await desk.passes(minutes=61)
    assert desk.titles == ["Sign in to work"]
    assert desk.signing_in == []


async def test_later_is_over_when_the_laptop_wakes_up_after_it(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")

    desk.time += timedelta(hours=9)  # asleep: no timer runs
    desk.incidents.tick(desk.time)
    await desk.passes(seconds=1)

    assert desk.titles == ["Sign in to work"]


async def test_later_does_not_last_for_years_when_the_clock_was_wrong(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")

    desk.time -= timedelta(days=800)
    await desk.passes(minutes=1)

    assert desk.titles == ["Sign in to work"]


async def test_later_ends_with_the_incident(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")
    await desk.becomes("work", Health.FRESH)
    assert desk.later == {}

    desk.needs("work")
    await desk.passes(seconds=1)

    assert desk.titles == ["Sign in to work"]


async def test_a_restart_within_an_incident_tells_it_once_more(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)

    await desk.restart()
    desk.needs("work")
    await desk.passes(hours=3)

    assert desk.titles == ["Sign in to work"]
    assert len(desk.ever_shown) == 2


async def test_a_restart_does_not_shorten_later(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")

    await desk.restart()
    desk.needs("work")
    await desk.passes(minutes=58)
    assert desk.titles == []
    await desk.passes(minutes=3)
    assert desk.titles == ["Sign in to work"]


async def test_three_at_once_are_one_notification(desk: Desk) -> None:
    desk.needs("work", "mail", "code")
    await desk.passes(minutes=1)

    [told] = desk.notifier.seen
    assert told.title == "Sign in to 3 accounts"
    assert "work, mail and code" in told.body


async def test_two_at_once_are_two(desk: Desk) -> None:
    desk.needs("work", "mail")
    await desk.passes(minutes=1)

    assert sorted(desk.titles) == ["Sign in to mail", "Sign in to work"]


async def test_a_third_within_five_seconds_makes_one_of_them_and_a_fourth_joins(desk: Desk) -> None:
    for account in ("work", "mail"):
        desk.needs(account)
        await desk.passes(seconds=2)
    assert sorted(desk.titles) == ["Sign in to mail", "Sign in to work"]

    desk.needs("code")
    await desk.passes(seconds=4)
    assert desk.titles == ["Sign in to 3 accounts"]
    desk.needs("api")
    await desk.passes(seconds=1)
    assert desk.titles == ["Sign in to 4 accounts"]


async def test_a_third_after_five_seconds_is_told_apart(desk: Desk) -> None:
    desk.needs("work", "mail")
    await desk.passes(seconds=6)
    desk.needs("code")
    await desk.passes(seconds=6)

    assert sorted(desk.titles) == ["Sign in to code", "Sign in to mail", "Sign in to work"]


async def test_the_joint_sign_in_takes_the_accounts_in_turn(desk: Desk) -> None:
    desk.needs("work", "mail", "code", "api")
    await desk.passes(seconds=1)

    desk.notifier.press("Sign in to 4 accounts", "sign-in")
    assert desk.signing_in == ["work"]
    await desk.becomes("mail", Health.FRESH)  # by other means, before its turn
    desk.incidents.sign_in_ended("mail")
    assert desk.signing_in == ["work"]
    await desk.becomes("work", Health.FRESH)
    desk.incidents.sign_in_ended("work")
    assert desk.signing_in == ["work", "code"]
    desk.incidents.sign_in_ended("code")  # it failed
    assert desk.signing_in == ["work", "code", "api"]
    desk.incidents.sign_in_ended("api")
    desk.incidents.sign_in_ended("api")

    assert desk.signing_in == ["work", "code", "api"]


async def test_the_joint_one_is_withdrawn_with_its_last_account(desk: Desk) -> None:
    desk.needs("work", "mail", "code")
    await desk.passes(seconds=1)

    await desk.becomes("work", Health.FRESH)
    await desk.becomes("mail", Health.FRESH)
    assert desk.titles == ["Sign in to 3 accounts"]
    await desk.becomes("code", Health.FRESH)

    assert desk.titles == []


async def test_later_on_the_joint_one_brings_it_back_for_those_that_still_need_it(desk: Desk) -> None:
    desk.needs("work", "mail", "code", "api")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to 4 accounts", "later")
    await desk.becomes("work", Health.FRESH)

    await desk.passes(minutes=58)
    assert desk.titles == []
    await desk.passes(minutes=3)

    assert desk.titles == ["Sign in to 3 accounts"]


async def test_a_click_on_one_does_not_end_the_turn_of_the_others(desk: Desk) -> None:
    desk.needs("work", "mail", "code")
    await desk.passes(minutes=1)
    desk.needs("api")
    await desk.passes(seconds=1)

    desk.notifier.press("Sign in to 3 accounts", "sign-in")
    desk.notifier.press("Sign in to api", "sign-in")
    desk.incidents.sign_in_ended("api")
    desk.incidents.sign_in_ended("work")

    assert desk.signing_in == ["work", "api", "mail"]


async def test_a_desktop_that_comes_up_later_is_told_then(desk: Desk) -> None:
    desk.notifier.works = False
    desk.needs("work")
    await desk.passes(minutes=5)
    assert desk.ever_shown == []

    desk.notifier.works = True
    await desk.passes(seconds=31)

    assert desk.ever_shown == ["Sign in to work"]


async def test_messages_that_are_no_incident_are_shown_and_taken_away(desk: Desk) -> None:
    chosen: list[str] = []
    assert await desk.incidents.tell("welcome", "Welcome", "A lamp.", actions=[("add", "Add")], chosen=chosen.append)
    desk.notifier.click_body("Welcome")
    assert chosen == ["add"]

    await desk.incidents.tell("configuration", "config.toml", "line 14")
    await desk.incidents.untell("configuration")
    assert desk.titles == []


async def test_while_the_screen_is_locked_nothing_is_told_and_then_all_as_one(desk: Desk) -> None:
    desk.alone = "the screen is locked"
    for account in ("work", "mail", "home"):
        desk.needs(account)
        await desk.passes(minutes=40)
    assert desk.ever_shown == []

    desk.alone = None
    desk.listening()
    await desk.passes(seconds=1)

    assert desk.ever_shown == ["Sign in to 3 accounts"]


async def test_what_has_healed_meanwhile_is_not_told(desk: Desk) -> None:
    desk.alone = "do not disturb is on"
    desk.needs("work")
    await desk.passes(hours=1)
    await desk.becomes("work", Health.FRESH)

    desk.alone = None
    await desk.passes(hours=1)

    assert desk.ever_shown == []


async def test_an_end_of_quiet_that_nobody_signals_is_noticed_with_the_next_heartbeat(desk: Desk) -> None:
    desk.alone = "do not disturb is on"
    desk.needs("work")
    await desk.passes(hours=1)

    desk.alone = None
    await desk.passes(seconds=31)

    assert desk.titles == ["Sign in to work"]


async def test_what_was_on_the_screen_stays_there_when_quiet_begins(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)

    desk.alone = "the screen is locked"
    desk.needs("mail")
    await desk.passes(hours=1)

    assert desk.titles == ["Sign in to work"]


async def test_later_that_ends_within_quiet_waits_for_its_end(desk: Desk) -> None:
    desk.needs("work")
    await desk.passes(seconds=1)
    desk.notifier.press("Sign in to work", "later")
    desk.alone = "the screen is locked"
    await desk.passes(hours=3)
    assert desk.titles == []

    desk.alone = None
    await desk.passes(seconds=31)

    assert desk.titles == ["Sign in to work"]


async def test_quiet_is_told_in_the_log_once(desk: Desk, caplog: pytest.LogCaptureFixture) -> None:
    desk.alone = "the screen is locked"
    with caplog.at_level("INFO"):
        desk.needs("work")
        await desk.passes(hours=9)

    assert caplog.messages == ["the screen is locked; the notification of what needs you waits until that ends"]
