"""The desktop starts Lamplighter at login, before panel, keyring and network are there: it is silent, and waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.desktop.approving import ApprovingBrowser
from tests.desktop.panel_session import PanelSession, missing_parts, panel_session, wait_for
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.unit.test_autostart import as_a_desktop_runs_it, entry
from tray_app.core.health import Health
from tray_app.interfaces.tray.icon_set import COLOUR

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="only on Linux"), pytest.mark.timeout(240)]
COMMAND = str(Path(sys.executable).with_name("lamplighter"))
CONFIGURATION = """\
[accounts.work]
issuer = "{issuer}"
client_id = "{client_id}"
scopes = ["openid", "offline_access"]
authorization_parameters = {{ prompt = "consent" }}

[retry]
limit = "2s"
"""


def status(session: PanelSession) -> dict[str, str]:
    asked = (COMMAND, "status", "--json")
    told = subprocess.run(asked, env=session.env, check=True, capture_output=True, text=True, timeout=60)
    found = json.loads(told.stdout)["accounts"][0]
    return {"health": found["health"], "kind": (found["last_error"] or {}).get("kind", "")}


def yesterday(session: PanelSession, provider: OidcProvider) -> None:
    """The person signs in, switches Start at Login on, and goes home."""
    browser = ApprovingBrowser(session)
    home = session.home / "lamplighter"
    session.env["LAMPLIGHTER_HOME"] = str(home)
    home.mkdir(mode=0o700)
    text = CONFIGURATION.format(issuer=provider.issuer, client_id=provider.client_id)
    (home / "config.toml").write_text(text, encoding="utf-8")
    session.run(COMMAND, "autostart", "on")
    session.run(COMMAND, "login", "work")
    assert len(browser.pages) == 1


def test_started_before_panel_keyring_and_network_it_is_silent_and_green_when_they_are_there() -> None:
    missing = oidc_provider_missing() or ", ".join(missing_parts("xfce4-panel", keyring=True))
    if missing:
        pytest.skip(f"not installed: {missing}")
    with OidcProvider(access_token_ttl=5) as provider, panel_session(None) as session:
        keyring = session.start_keyring()
        yesterday(session, provider)
        session.end(keyring)
        provider.down()
        exec_key = entry(session.home / ".config/autostart/lamplighter.desktop")["Exec"]

        applet = session.start(*as_a_desktop_runs_it(exec_key))
        wait_for((session.home / "lamplighter/run/agent.sock").exists, "the applet")
        wait_for(lambda: status(session) == {"health": "expired", "kind": "store"}, "the locked keyring to be told")
        assert not session.owns("org.freedesktop.Notifications"), "a notification was shown"

        session.unlock_keyring()
        wait_for(lambda: status(session)["kind"] == "unreachable", "the provider to be missed")
        provider.up()
        wait_for(lambda: status(session)["health"] == "fresh", "the first refresh of the day")
        session.start_panel("xfce4-panel")
        session.wait_for_colour(COLOUR[Health.FRESH])

        assert not session.owns("org.freedesktop.Notifications"), "a notification was shown"
        [said] = session.logs.glob(f"*-{Path(str(applet.args[0])).name}.log")
        assert said.read_text(encoding="utf-8") == ""
