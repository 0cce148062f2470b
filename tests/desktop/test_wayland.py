"""The lamp in waybar and its notifications in mako, on sway: seen on the screen and clicked. Pictures in artifacts."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.approving import ApprovingBrowser
from tests.desktop.panel_session import PanelSession, wait_for
from tests.desktop.test_tray_on_panels import ARTIFACTS, Lamp
from tests.desktop.wayland_session import MAKO, wayland_session
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tray_app.core.health import Health
from tray_app.interfaces.tray.icon_set import COLOUR

pytestmark = pytest.mark.timeout(180)
MENU = (0, 40, 260, 240)
"""Where the lamp's menu hangs, waybar left out."""
NOTIFICATION = (700, 40, 1024, 240)
BESIDE = (600, 740)
"""A point of the screen where the pointer hides nothing: sway draws it into the picture."""
WHITE = (255, 255, 255)
COMMAND = str(Path(sys.executable).with_name("lamplighter"))
CONFIGURATION = """\
store = "memory"

[accounts.work]
issuer = "{issuer}"
client_id = "{client_id}"
scopes = ["openid", "offline_access"]
authorization_parameters = {{ prompt = "consent" }}
"""


@pytest.fixture(scope="module")
def desktop() -> Iterator[PanelSession]:
    with wayland_session("waybar") as session:
        session.point(*BESIDE)
        yield session


@pytest.fixture
def lamp(desktop: PanelSession) -> Iterator[Lamp]:
    lamp = Lamp(desktop)
    lamp.wait_for("ready")
    yield lamp
    desktop.point(*BESIDE)
    lamp.quit()
    for colour in COLOUR.values():
        desktop.wait_for_no_colour(colour)


def picture(desktop: PanelSession, name: str) -> None:
    ARTIFACTS.mkdir(exist_ok=True)
    desktop.screenshot(ARTIFACTS / f"wayland-{name}.png")


def last_entry(desktop: PanelSession) -> tuple[int, int]:
    """Where the last entry of the open menu is, once all of that is on the screen."""

    def white() -> set[tuple[int, int]]:
        return {at for at, seen in desktop._pixels(MENU).items() if seen == WHITE}

    menu = wait_for(lambda: (seen := white()) == white() and seen, "the menu")
    assert menu
    return min(x for x, _ in menu) + 40, max(y for _, y in menu) - 18


def test_the_lamp_is_green_and_red_in_waybar(desktop: PanelSession, lamp: Lamp) -> None:
    lamp.show(Health.FRESH)
    picture(desktop, "green")
    lamp.show(Health.SIGN_IN_NEEDED)
    picture(desktop, "red")

    assert lamp.words()[0] == "tray status-notifier"
    desktop.wait_for_no_colour(COLOUR[Health.FRESH])


def test_a_left_click_in_waybar_does_the_default_entry(desktop: PanelSession, lamp: Lamp) -> None:
    desktop.click(*lamp.show(Health.FRESH))

    lamp.wait_for("chosen Open Lamplighter")


def test_an_entry_of_the_menu_is_clicked_in_waybar(desktop: PanelSession, lamp: Lamp) -> None:
    x, y = lamp.show(Health.FRESH)

    desktop.click(x, y, button=3)
    x, y = last_entry(desktop)
    picture(desktop, "menu")
    desktop.click(x, y)

    lamp.wait_for("chosen Quit")
    desktop.point(*BESIDE)
    desktop.wait_for_no_colour(WHITE, MENU)


def test_when_waybar_has_died_the_next_one_has_the_lamp(desktop: PanelSession, lamp: Lamp) -> None:
    lamp.show(Health.SIGN_IN_NEEDED)

    desktop.stop_panel()
    desktop.wait_for_no_colour(COLOUR[Health.SIGN_IN_NEEDED])
    desktop.start_panel("waybar")

    desktop.click(*desktop.wait_for_colour(COLOUR[Health.SIGN_IN_NEEDED]))
    lamp.wait_for("chosen Open Lamplighter")


def test_a_click_on_makos_notification_makes_a_red_lamp_green() -> None:
    if missing := oidc_provider_missing():
        pytest.skip(missing)
    with OidcProvider(access_token_ttl=5) as provider, wayland_session("waybar", notifications="mako") as desktop:
        desktop.point(*BESIDE)
        home = desktop.home / "lamplighter"
        home.mkdir(mode=0o700)
        desktop.env["LAMPLIGHTER_HOME"] = str(home)
        browser = ApprovingBrowser(desktop)
        text = CONFIGURATION.format(issuer=provider.issuer, client_id=provider.client_id)
        (home / "config.toml").write_text(text, encoding="utf-8")
        desktop.start(COMMAND)
        wait_for((home / "run/agent.sock").exists, "the applet")
        desktop.run(COMMAND, "login", "work")
        desktop.wait_for_colour(COLOUR[Health.FRESH])
        provider.revoke()
        desktop.wait_for_colour(COLOUR[Health.SIGN_IN_NEEDED])
        notification = desktop.wait_for_colour(MAKO, NOTIFICATION)
        picture(desktop, "notification")
        [[shown]] = json.loads(desktop.run("makoctl", "list"))["data"]
        assert [shown["actions"]["data"].get(name) for name in ("sign-in", "later")] == ["Sign In", "Later"]

        desktop.click(*notification)

        desktop.wait_for_colour(COLOUR[Health.FRESH])
        desktop.wait_for_no_colour(MAKO, NOTIFICATION)
        assert len(browser.pages) == 2
