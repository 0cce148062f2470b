"""The whole applet: real panel, notification daemon, keyring, browser and authorization server, used with the mouse.

The lamp's colour is read off the screen. The screen at each step lies in tests/artifacts.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.desktop.panel_session import Notifications, Panel, wait_for
from tests.desktop.whole_applet import WholeApplet, whole_desktop
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.servers.person import redirect_after_approval
from tray_app.core.health import Health
from tray_app.interfaces.tray.icon_set import SIGNING_IN

pytestmark = pytest.mark.skipif(os.name != "posix", reason="only on Linux")
DESKTOPS: tuple[tuple[Panel, Notifications], ...] = (("xfce4-panel", "xfce4-notifyd"), ("lxqt-panel", "dunst"))


@pytest.fixture
def provider() -> Iterator[OidcProvider]:
    if missing := oidc_provider_missing():
        pytest.skip(missing)
    with OidcProvider(access_token_ttl=5) as provider:
        yield provider


@pytest.fixture
def applet(request: pytest.FixtureRequest, provider: OidcProvider) -> Iterator[WholeApplet]:
    panel, daemon = getattr(request, "param", DESKTOPS[0])
    with whole_desktop(panel, daemon, f"{request.node.originalname.removeprefix('test_')}-{panel}") as applet:
        applet.configure(provider)
        applet.start()
        yield applet


def sign_in_by_lamp(applet: WholeApplet, provider: OidcProvider) -> None:
    """From grey to green, as a person does it the first time."""
    applet.lamp(Health.SIGNED_OUT)
    applet.picture("grey")
    applet.click_the_lamp(Health.SIGNED_OUT)
    applet.lamp(SIGNING_IN)
    applet.browser.log_in(provider.issuer)
    applet.picture("consent")
    applet.browser.approve(provider.issuer)
    applet.lamp(Health.FRESH)
    applet.picture("green")


def sign_in_by_notification(applet: WholeApplet, provider: OidcProvider) -> None:
    """From red to green with one click, and the notification is gone."""
    applet.press_sign_in()
    applet.lamp(SIGNING_IN)
    applet.browser.asks_for_consent(provider.issuer)
    applet.picture("consent-again")
    applet.browser.approve(provider.issuer)
    applet.lamp(Health.FRESH)
    applet.notified(0)
    applet.picture("green-again")


def revoke(applet: WholeApplet, provider: OidcProvider) -> None:
    """The provider ends the sign-in: at the next refresh the lamp is red, and a notification says why."""
    provider.revoke()
    applet.lamp(Health.SIGN_IN_NEEDED)
    applet.notified()
    applet.picture("red")


@pytest.mark.parametrize("applet", DESKTOPS, indirect=True, ids=lambda desktop: desktop[0])
def test_one_click_lights_the_lamp_and_one_more_after_the_provider_revoked(
    applet: WholeApplet, provider: OidcProvider
) -> None:
    sign_in_by_lamp(applet, provider)
    secrets = applet.keyring_has_the_newest(provider)
    provider.wait_for(lambda: provider.refreshes >= 3)
    applet.lamp(Health.FRESH)
    secrets |= applet.keyring_has_the_newest(provider)
    applet.browser.minimize()
    revoke(applet, provider)
    applet.open_menu(Health.SIGN_IN_NEEDED)
    applet.choose("Down", "Down")
    applet.picture("red-menu")
    applet.desktop.key("Escape")
    assert not applet.in_keyring()["refresh_token"]

    sign_in_by_notification(applet, provider)

    secrets |= applet.keyring_has_the_newest(provider)
    assert len(applet.browser.pages) == 2
    assert len(secrets) >= 6
    for page in applet.browser.pages:
        asked = parse_qs(urlsplit(page).query)
        secrets.add(asked["request_uri"][0])  # a pushed request (RFC 9126): the rest of it is in no address
    written = applet.written()
    assert "work: sign-in-needed" in written
    assert [secret for secret in secrets if secret in written] == []
    assert provider.refused == 1
    assert "grant.revoked" not in {event["event"] for event in provider.events}


def test_sign_in_opens_the_browser_at_every_incident_and_after_the_daemon_was_restarted(
    applet: WholeApplet, provider: OidcProvider
) -> None:
    sign_in_by_lamp(applet, provider)
    for _ in range(3):
        revoke(applet, provider)
        sign_in_by_notification(applet, provider)

    applet.desk.kill_daemon()
    applet.desk.start_daemon()
    revoke(applet, provider)
    sign_in_by_notification(applet, provider)
    revoke(applet, provider)
    applet.desk.kill_daemon()
    applet.notified(0)
    applet.desk.start_daemon()
    sign_in_by_notification(applet, provider)

    assert len(applet.browser.pages) == 6
    for page in applet.browser.pages:
        assert page.startswith(f"{provider.issuer}/auth?")


@pytest.mark.parametrize("applet", DESKTOPS, indirect=True, ids=lambda desktop: desktop[0])
def test_after_quit_nothing_runs_and_the_next_start_is_green_without_a_browser(
    applet: WholeApplet, provider: OidcProvider
) -> None:
    sign_in_by_lamp(applet, provider)
    applet.browser.close()
    applet.open_menu(Health.FRESH)
    applet.picture("menu")
    assert any("/lamplighter" in process for process in applet.processes())
    applet.desktop.key("Up", "Return")

    assert applet.exit_code() == 0
    wait_for(lambda: not applet.processes(), "the end of all that it started, the browser's last parts among it")
    applet.no_lamp(Health.FRESH)
    applet.picture("gone")

    refreshes = provider.refreshes
    applet.start()
    applet.lamp(Health.FRESH)
    applet.picture("green-at-once")
    wait_for(lambda: provider.refreshes > refreshes, "a refresh with the stored token")
    assert len(applet.browser.pages) == 1
    assert provider.refused == 0


def test_a_sign_in_is_carried_to_a_browser_elsewhere_and_back_by_the_clipboard(provider: OidcProvider) -> None:
    """The browser of this desktop opens nothing; two entries of the menu do what it would have done."""
    with whole_desktop("xfce4-panel", "xfce4-notifyd", "clipboard") as applet:
        applet.configure(provider)
        applet.start(BROWSER="true")
        applet.click_the_lamp(Health.SIGNED_OUT)

        applet.open_menu(SIGNING_IN)
        applet.choose("Down", "Right", "Down")
        applet.picture("copy-link")
        applet.desktop.key("Return")
        clipboard = ("xclip", "-selection", "clipboard")

        def copied() -> str:
            command = (*clipboard, "-o")  # which fails where nothing is on it
            return subprocess.run(
                command, env=applet.desktop.env, check=False, capture_output=True, text=True, timeout=20
            ).stdout

        wait_for(lambda: copied().startswith(f"{provider.issuer}/auth?"), "the link on the clipboard")
        answer = redirect_after_approval(copied())
        subprocess.run(clipboard, env=applet.desktop.env, input=answer, text=True, check=True, timeout=20)
        wait_for(lambda: copied() == answer, "the answer on the clipboard")
        applet.open_menu(SIGNING_IN)
        applet.choose("Down", "Right", "Down", "Down")
        applet.picture("paste-answer")
        applet.desktop.key("Return")

        applet.lamp(Health.FRESH)
        applet.keyring_has_the_newest(provider)
