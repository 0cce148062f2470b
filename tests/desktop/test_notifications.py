"""Notifications on real daemons, clicked with a real mouse. What was seen lies in tests/artifacts."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.desktop.panel_session import Notifications, PanelSession, panel_session, program
from tests.fakes.waiting import until
from tray_app.core.ports import Notification
from tray_app.interfaces.notifications.do_not_disturb import SILENCE, DoNotDisturb
from tray_app.interfaces.notifications.native_notifier import NativeNotifier
from tray_app.interfaces.notifications.plain_notifier import PlainNotifier, plyer_says

pytestmark = [
    pytest.mark.skipif(os.name != "posix", reason="only on Linux"),
    pytest.mark.timeout(120),
]
ARTIFACTS = Path(__file__).parents[1] / "artifacts"
ACTIONS = (("sign-in", "Sign In"), ("later", "Later"))
REASON = (
    "login.example.com no longer accepts this sign-in (invalid_grant: <b>Token</b> & <a href='x'>grant</a> revoked)."
)
OTHERWISE = "Click the lamp in the panel, then work > Sign In."

BUTTONS = {
    "xfce4-notifyd": {"sign-in": (149, 30), "later": (57, 30), "add": (60, 30)},
    "mate-notification-daemon": {"sign-in": (124, 27), "later": (65, 27)},
}
"""Of the daemons that draw buttons: from the right lower corner of the window to the middle of each."""


def incident(name: str = "work") -> Notification:
    return Notification(f"sign-in:{name}", f"Sign in to {name}", REASON, ACTIONS, OTHERWISE, urgent=True)


class Desk:
    """A desktop with a notification daemon that can be killed, and a person in front of it."""

    def __init__(self, session: PanelSession, daemon: Notifications) -> None:
        self.session = session
        self.daemon = daemon
        self._process: subprocess.Popen[bytes] | None = None

    def start_daemon(self) -> None:
        self._process = self.session.start(program(self.daemon) or self.daemon)

    def signal_daemon(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill_daemon(self) -> None:
        self.signal_daemon(signal.SIGKILL)
        assert self._process is not None
        self._process.wait()

    def windows(self) -> list[tuple[int, int, int, int]]:
        """Left, top, width and height of each notification that is on the screen."""
        searched = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--class", self.daemon],
            env=self.session.env,
            check=False,
            capture_output=True,
            text=True,
        )
        found = []
        for window in searched.stdout.split():
            shell = subprocess.run(
                ["xdotool", "getwindowgeometry", "--shell", window],
                env=self.session.env,
                check=False,
                capture_output=True,
                text=True,
            )
            geometry = dict(line.split("=") for line in shell.stdout.split())
            if int(geometry.get("WIDTH", 0)) > 50:  # not the invisible ones that daemons keep
                found.append(tuple(int(geometry[key]) for key in ("X", "Y", "WIDTH", "HEIGHT")))
        return found

    async def sees(self, count: int = 1) -> None:
        # In a thread: a loop that stands still hears of the click together with the reply that names the notification.
        async with asyncio.timeout(20):
            while not await asyncio.to_thread(self._still, count):
                pass

    def _still(self, count: int) -> bool:
        """So many windows that have stopped moving: xfce4-notifyd fades in and sizes them while it does.

        Looked at three times, a tenth of a second apart: a busy daemon stands still between two of its steps.
        """
        before = self.windows()
        for _ in range(2 if len(before) == count else 0):
            threading.Event().wait(0.1)
            if self.windows() != before:
                return False
        return len(before) == count

    def picture(self, name: str) -> None:
        ARTIFACTS.mkdir(exist_ok=True)
        self.session.screenshot(ARTIFACTS / f"notification-{self.daemon}-{name}.png")

    def leave_alone(self, on: str) -> None:
        """The person's own switch: xfce4-notifyd's is a setting, dunst has a command."""
        setting = ("xfconf-query", "-c", "xfce4-notifyd", "-p", "/do-not-disturb", "-n", "-t", "bool", "-s", on)
        self.session.run(*(setting if self.daemon == "xfce4-notifyd" else ("dunstctl", "set-paused", on)))

    def press(self, action: str) -> None:
        """A click on the action's button."""
        [(left, top, width, height)] = self.windows()
        from_right, from_below = BUTTONS[self.daemon][action]
        self.session.click(left + width - from_right, top + height - from_below)

    def sign_in(self) -> None:
        """The person's way to Sign In: its button; dunst has none and takes the middle mouse button on the body."""
        if self.daemon in BUTTONS:
            self.press("sign-in")
        else:
            self.click_body(button=2)

    def click_body(self, button: int = 1) -> None:
        [(left, top, _, _)] = self.windows()
        self.session.click(left + 40, top + 30, button=button)


@pytest.fixture(params=["xfce4-notifyd", "dunst", "mate-notification-daemon"])
def desk(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Desk]:
    daemon: Notifications = request.param
    with panel_session(None) as session:
        if program(daemon) is None:
            pytest.skip(f"not installed: {daemon}")
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", session.env["DBUS_SESSION_BUS_ADDRESS"])
        desk = Desk(session, daemon)
        desk.start_daemon()
        yield desk


@pytest.fixture
async def notifier(desk: Desk) -> AsyncIterator[NativeNotifier]:
    await until(lambda: desk.session.owns("org.freedesktop.Notifications"))
    notifier = NativeNotifier()
    yield notifier
    await notifier.close()


async def test_sign_in_is_clicked_three_times_a_day(desk: Desk, notifier: NativeNotifier) -> None:
    chosen: list[str] = []
    for round_ in range(1, 4):
        assert await notifier.show(incident(), chosen.append)
        await desk.sees()
        desk.picture(f"incident-{round_}")
        desk.sign_in()
        await until(lambda: len(chosen) == round_)  # noqa: B023 - awaited in this round
        await desk.sees(0)

    assert chosen == ["sign-in"] * 3


async def test_sign_in_is_clicked_after_the_daemon_was_killed_and_came_back(
    desk: Desk, notifier: NativeNotifier
) -> None:
    chosen: list[str] = []
    assert await notifier.show(incident(), chosen.append)
    await desk.sees()
    desk.kill_daemon()
    await desk.sees(0)

    desk.start_daemon()
    await desk.sees()  # what still waited is there again
    desk.picture("restarted")
    desk.sign_in()
    await until(lambda: chosen)
    assert await notifier.show(incident("mail"), chosen.append)
    await desk.sees()
    desk.sign_in()
    await until(lambda: len(chosen) == 2)

    assert chosen == ["sign-in", "sign-in"]


async def test_what_is_withdrawn_leaves_the_screen(desk: Desk, notifier: NativeNotifier) -> None:
    assert await notifier.show(incident("work"), pytest.fail)
    await desk.sees()
    assert await notifier.show(incident("work"), pytest.fail)
    await desk.sees()

    await notifier.withdraw("sign-in:work")

    await desk.sees(0)


@pytest.mark.parametrize("desk", BUTTONS, indirect=True)
async def test_later_is_a_button_too(desk: Desk, notifier: NativeNotifier) -> None:
    chosen: list[str] = []
    await notifier.show(incident(), chosen.append)
    await desk.sees()

    desk.press("later")

    await until(lambda: chosen)
    assert chosen == ["later"]


@pytest.mark.parametrize("desk", ["mate-notification-daemon"], indirect=True)
async def test_a_click_on_the_body_is_sign_in(desk: Desk, notifier: NativeNotifier) -> None:
    chosen: list[str] = []
    await notifier.show(incident(), chosen.append)
    await desk.sees()

    desk.click_body()

    await until(lambda: chosen)
    assert chosen == ["sign-in"]


@pytest.mark.parametrize("desk", ["xfce4-notifyd", "dunst"], indirect=True)
async def test_a_notification_that_is_clicked_away_stays_away_and_does_nothing(
    desk: Desk, notifier: NativeNotifier
) -> None:
    """The left button closes with both of them; xfce4-notifyd knows no click on the body."""
    chosen: list[str] = []
    await notifier.show(incident(), chosen.append)
    await desk.sees()
    desk.click_body()
    await desk.sees(0)

    await notifier.show(incident("mail"), chosen.append)
    await desk.sees()
    desk.sign_in()
    await until(lambda: chosen)

    assert chosen == ["sign-in"]
    assert notifier._shown == {}


async def test_a_frozen_daemon_costs_a_moment_and_leaves_no_dead_notification(
    desk: Desk, notifier: NativeNotifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen: list[str] = []
    assert await notifier.show(Notification("welcome", "Welcome", "A lamp."), chosen.append)
    await notifier.withdraw("welcome")
    monkeypatch.setattr("tray_app.interfaces.notifications.native_notifier.PATIENCE", 0.5)
    desk.signal_daemon(signal.SIGSTOP)
    try:
        assert not await notifier.show(incident("mail"), chosen.append)
    finally:
        desk.signal_daemon(signal.SIGCONT)
    monkeypatch.setattr("tray_app.interfaces.notifications.native_notifier.PATIENCE", 10.0)

    assert await notifier.show(incident("work"), chosen.append)
    await desk.sees()
    desk.sign_in()
    await until(lambda: chosen)

    assert chosen == ["sign-in"]


@pytest.mark.parametrize("desk", ["xfce4-notifyd", "dunst"], indirect=True)
async def test_do_not_disturb_is_heard_and_so_is_its_end(desk: Desk, notifier: NativeNotifier) -> None:
    assert await notifier.show(incident(), pytest.fail)  # dunst and xfce4-notifyd are set up
    quiet, changes = DoNotDisturb(), list[None]()
    assert await quiet.because(lambda: None) is None

    desk.leave_alone("true")
    await until_it_is(SILENCE, quiet, changes)
    changes.clear()
    desk.leave_alone("false")
    await until(lambda: changes)

    await until_it_is(None, quiet, changes)
    quiet.close()


async def until_it_is(reason: str | None, quiet: DoNotDisturb, changes: list[None]) -> None:
    for _ in range(400):
        if await quiet.because(lambda: changes.append(None)) == reason:
            return
        await asyncio.sleep(0.05)
    pytest.fail(f"waited 20 s for {reason}")


async def test_plyer_says_it_on_a_real_daemon_and_names_the_menu_entry(
    desk: Desk, notifier: NativeNotifier, tmp_path: Path
) -> None:
    log = tmp_path / "bus.log"
    with log.open("wb") as output:
        desk.session.start("dbus-monitor", "--session", "interface=org.freedesktop.Notifications", stdout=output)
    await until(lambda: b"NameAcquired" in log.read_bytes())

    assert await PlainNotifier(plyer_says).show(incident(), pytest.fail)

    await desk.sees()
    desk.picture("plyer")
    await until(lambda: OTHERWISE.replace(">", "&gt;").encode() in log.read_bytes())
    assert b"&lt;b&gt;Token&lt;/b&gt; &amp;" in log.read_bytes()
    assert b'string "Sign in to work"' in log.read_bytes()
