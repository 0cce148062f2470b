"""What every notifier promises, and what the native one promises about a daemon that lives its own life."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.fakes.notification_daemon import NotificationDaemon, bare_bus
from tests.fakes.notifier import RecordingNotifier
from tests.fakes.waiting import until
from tray_app.core.ports import Notification, Notifier
from tray_app.interfaces.notifications.native_notifier import NativeNotifier
from tray_app.interfaces.notifications.notifier import make_notifier
from tray_app.interfaces.notifications.plain_notifier import PlainNotifier, plyer_says

ACTIONS = (("sign-in", "Sign In"), ("later", "Later"))


def notification(name: str = "work", body: str = "login.example.com no longer accepts this sign-in.") -> Notification:
    otherwise = f"Click the lamp in the panel, then {name} > Sign In."
    return Notification(f"sign-in:{name}", f"Sign in to {name}", body, ACTIONS, otherwise, urgent=True)


def nobody(action: str) -> None:
    """For tests in which nobody clicks."""


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with tempfile.TemporaryDirectory(prefix="bus-") as folder, bare_bus(Path(folder)) as address:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", address)
        yield address


@dataclass
class Desk:
    """A notifier and the screen that it shows on."""

    notifier: Notifier
    screen: Any


@pytest.fixture(params=["recording", "desktop-notifier", "best"])
async def desk(request: pytest.FixtureRequest) -> AsyncIterator[Desk]:
    if request.param == "recording":
        fake = RecordingNotifier()
        yield Desk(fake, fake)
        return
    address = request.getfixturevalue("bus")
    daemon = await NotificationDaemon.start(address)
    notifier = NativeNotifier() if request.param == "desktop-notifier" else await make_notifier(lambda _t, _b: False)
    yield Desk(notifier, daemon)
    await notifier.close()
    await daemon.die()


@pytest.mark.parametrize("action", ["sign-in", "later"])
async def test_a_button_says_which_it_was(desk: Desk, action: str) -> None:
    chosen: list[str] = []
    assert await desk.notifier.show(notification(), chosen.append)
    assert desk.notifier.has_actions

    desk.screen.press("Sign in to work", action)

    await until(lambda: chosen)
    assert chosen == [action]
    assert desk.screen.titles == []


async def test_a_click_on_the_body_is_the_first_action(desk: Desk) -> None:
    chosen: list[str] = []
    await desk.notifier.show(notification(), chosen.append)

    desk.screen.click_body("Sign in to work")

    await until(lambda: chosen)
    assert chosen == ["sign-in"]


async def test_the_third_notification_of_a_key_answers_like_the_first(desk: Desk) -> None:
    chosen: list[str] = []
    for round_ in range(1, 4):
        await desk.notifier.show(notification(), chosen.append)
        desk.screen.press("Sign in to work", "sign-in")
        await until(lambda: len(chosen) == round_)  # noqa: B023 - awaited in this round

    assert chosen == ["sign-in"] * 3


async def test_a_notification_of_the_same_key_is_replaced(desk: Desk) -> None:
    await desk.notifier.show(notification("work"), nobody)
    await desk.notifier.show(notification("mail"), nobody)
    await desk.notifier.show(notification("work"), nobody)

    assert sorted(desk.screen.titles) == ["Sign in to mail", "Sign in to work"]


async def test_what_is_withdrawn_is_gone_and_nothing_else(desk: Desk) -> None:
    await desk.notifier.show(notification("work"), nobody)
    await desk.notifier.show(notification("mail"), nobody)

    await desk.notifier.withdraw("sign-in:work")
    await desk.notifier.withdraw("sign-in:work")
    await desk.notifier.withdraw("never shown")

    assert desk.screen.titles == ["Sign in to mail"]


async def test_after_close_nothing_is_on_the_screen(desk: Desk) -> None:
    await desk.notifier.show(notification("work"), nobody)
    await desk.notifier.show(notification("mail"), nobody)

    await desk.notifier.close()

    assert desk.screen.titles == []


# The native one and its daemon.


@pytest.fixture
async def native(bus: str) -> AsyncIterator[NativeNotifier]:
    notifier = NativeNotifier()
    yield notifier
    await notifier.close()


async def test_a_double_click_is_one_click(native: NativeNotifier, bus: str) -> None:
    daemon = await NotificationDaemon.start(bus)
    chosen: list[str] = []
    await native.show(notification(), chosen.append)
    await native.show(notification("mail"), chosen.append)

    daemon.press("Sign in to work", "sign-in", times=2)
    daemon.press("Sign in to mail", "later")

    await until(lambda: "later" in chosen)
    assert chosen == ["sign-in", "later"]
    await daemon.die()


async def test_a_sign_in_stays_on_the_screen_and_a_remark_does_not(native: NativeNotifier, bus: str) -> None:
    daemon = await NotificationDaemon.start(bus)
    await native.show(notification(), nobody)
    await native.show(Notification("welcome", "Welcome", "A lamp."), nobody)

    assert [(one.urgency, one.timeout) for one in daemon.shown.values()] == [(2, 0), (1, -1)]
    await daemon.die()


async def test_hostile_text_is_no_markup_and_no_wall_of_text(native: NativeNotifier, bus: str) -> None:
    daemon = await NotificationDaemon.start(bus)
    text = "\x1b]0;pwn\x07 \n\u202e<a href='x'>click</a> & <img src=y>" + "z" * 65536
    await native.show(notification(body=text), nobody)

    [shown] = daemon.shown.values()
    assert "&lt;a href='x'&gt;click&lt;/a&gt; &amp; &lt;img" in shown.body
    assert not set(shown.body) & set("<>\x1b\x07\n\u202e")
    assert len(shown.body) < 250
    await daemon.die()


async def test_a_daemon_without_markup_gets_the_text_as_it_is(native: NativeNotifier, bus: str) -> None:
    daemon = await NotificationDaemon.start(bus, ("actions", "body"))
    await native.show(notification(body="1 < 2 & 3"), nobody)

    assert [shown.body for shown in daemon.shown.values()] == ["1 < 2 & 3"]
    await daemon.die()


async def test_where_there_are_no_buttons_the_text_says_where_to_click(native: NativeNotifier, bus: str) -> None:
    daemon = await NotificationDaemon.start(bus, ("body",))
    assert await native.show(notification(), nobody)

    [shown] = daemon.shown.values()
    assert shown.body.endswith("Click the lamp in the panel, then work > Sign In.")
    assert "sign-in" not in shown.actions
    assert not native.has_actions
    await daemon.die()


async def test_where_buttons_are_not_drawn_the_text_says_so_and_the_body_signs_in(
    native: NativeNotifier, bus: str
) -> None:
    daemon = await NotificationDaemon.start(bus, product="dunst")
    chosen: list[str] = []
    await native.show(notification(), chosen.append)

    assert next(iter(daemon.shown.values())).body.endswith("then work &gt; Sign In.")
    daemon.click_body("Sign in to work")
    await until(lambda: chosen)
    assert chosen == ["sign-in"]
    await daemon.die()


async def test_a_restarted_daemon_shows_again_what_waits_and_answers(native: NativeNotifier, bus: str) -> None:
    chosen: list[str] = []
    first = await NotificationDaemon.start(bus)
    await native.show(notification(), chosen.append)
    await native.show(Notification("welcome", "Welcome", "A lamp."), nobody)
    await first.die()

    second = await NotificationDaemon.start(bus)

    await until(lambda: second.shown)
    assert second.titles == ["Sign in to work"]
    second.press("Sign in to work", "sign-in")
    await until(lambda: chosen)
    assert chosen == ["sign-in"]
    await second.die()


@pytest.fixture
async def restarted(native: NativeNotifier, bus: str) -> AsyncIterator[tuple[NotificationDaemon, list[str]]]:
    """A daemon that has given our welcome's number to another program, and the clicks on the welcome."""
    clicks: list[str] = []
    first = await NotificationDaemon.start(bus)
    await native.show(Notification("welcome", "Welcome", "A lamp.", (("add", "Add"),)), clicks.append)
    await first.die()
    second = await NotificationDaemon.start(bus)
    second.shown[1] = first.shown[1]
    second._last = 1
    yield second, clicks
    await second.die()


async def test_a_click_on_another_program_s_notification_of_our_old_number_is_not_ours(
    native: NativeNotifier, restarted: tuple[NotificationDaemon, list[str]]
) -> None:
    daemon, clicks = restarted
    daemon.ActionInvoked(1, "default")
    later: list[str] = []
    await native.show(notification(), later.append)
    daemon.press("Sign in to work", "later")
    await until(lambda: later)

    assert clicks == []


async def test_another_program_s_notification_of_our_old_number_is_not_withdrawn(
    native: NativeNotifier, restarted: tuple[NotificationDaemon, list[str]]
) -> None:
    daemon, _ = restarted
    await native.withdraw("welcome")
    await native.show(notification(), nobody)

    assert daemon.closed_by_program == []
    assert 1 in daemon.shown


async def test_a_daemon_that_comes_up_later_is_found(native: NativeNotifier, bus: str) -> None:
    assert not await native.show(notification(), nobody)
    daemon = await NotificationDaemon.start(bus)
    assert await native.show(notification(), nobody)

    assert daemon.titles == ["Sign in to work"]
    await daemon.die()


async def test_a_daemon_that_went_away_is_noticed(native: NativeNotifier, bus: str) -> None:
    daemon = await NotificationDaemon.start(bus)
    assert await native.show(notification("work"), nobody)
    await daemon.die()

    assert not await native.show(notification("mail"), nobody)
    assert not native.has_actions


# The ways down.


async def test_plyer_says_nothing_where_no_daemon_listens(bus: str) -> None:
    assert not await PlainNotifier(plyer_says).show(notification(), nobody)


async def test_without_a_bus_there_is_no_notification_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nonexistent/bus")
    notifier = await make_notifier(lambda _title, _body: False)

    assert not await notifier.show(notification(), nobody)
    await notifier.withdraw("sign-in:work")
    await notifier.close()


async def test_where_no_daemon_shows_it_the_balloon_says_it_and_names_the_menu_entry(bus: str) -> None:
    said: list[tuple[str, str]] = []

    def balloon(title: str, body: str) -> bool:
        said.append((title, body))
        return True

    notifier = await make_notifier(balloon)
    assert await notifier.show(notification(), nobody)
    assert not notifier.has_actions
    assert said == [
        (
            "Sign in to work",
            "login.example.com no longer accepts this sign-in. Click the lamp in the panel, then work > Sign In.",
        )
    ]

    daemon = await NotificationDaemon.start(bus)  # and the next one is native again
    assert await notifier.show(notification(), nobody)
    assert daemon.titles == ["Sign in to work"]
    assert notifier.has_actions
    await notifier.close()
    await daemon.die()


async def test_a_desktop_without_notifications_is_told_in_the_log_once(
    bus: str, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = await make_notifier(lambda _title, _body: False)
    for _ in range(5):
        assert not await notifier.show(notification(), nobody)
    await notifier.close()

    assert [record.getMessage() for record in caplog.records if record.levelname != "DEBUG"] == [
        "This desktop shows no notifications; the lamp and `lamplighter status` tell the same."
    ]
