"""Three accounts fail at once while the person wants no disturbance: a real daemon, a real server, one click."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desktop.approving import ApprovingBrowser
from tests.desktop.panel_session import Notifications, PanelSession, panel_session, program, wait_for
from tests.desktop.test_notifications import Desk
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing

pytestmark = [pytest.mark.skipif(os.name != "posix", reason="only on Linux"), pytest.mark.timeout(240)]
ACCOUNTS = ("home", "mail", "work")
ACCOUNT = """
[accounts.{name}]
issuer = "{issuer}"
client_id = "{client_id}"
scopes = ["openid", "offline_access"]
authorization_parameters = {{ prompt = "consent" }}
"""


class ThreeAccounts:
    """The applet with three accounts, on a desktop with a notification daemon; its browser approves by itself."""

    def __init__(self, session: PanelSession, daemon: Notifications, provider: OidcProvider) -> None:
        self.session = session
        self.desk = Desk(session, daemon)
        self.provider = provider
        self.home = session.home / "lamplighter"
        self.browser = ApprovingBrowser(session)
        session.env["LAMPLIGHTER_HOME"] = str(self.home)
        self.home.mkdir(mode=0o700)
        accounts = [ACCOUNT.format(name=n, issuer=provider.issuer, client_id=provider.client_id) for n in ACCOUNTS]
        (self.home / "config.toml").write_text('store = "memory"\n' + "".join(accounts), encoding="utf-8")
        session.start(self._command)
        wait_for((self.home / "run/agent.sock").exists, "the applet")
        for name in ACCOUNTS:
            session.run(self._command, "login", name)

    _command = str(Path(sys.executable).with_name("lamplighter"))

    def healths(self) -> list[str]:
        status = subprocess.run(
            (self._command, "status", "--json"), env=self.session.env, check=True, capture_output=True, text=True
        )
        return [account["health"] for account in json.loads(status.stdout)["accounts"]]

    def log(self) -> str:
        return (self.home / "log/lamplighter.log").read_text(encoding="utf-8")


@pytest.fixture(params=["xfce4-notifyd", "dunst"])
def three(request: pytest.FixtureRequest) -> Iterator[ThreeAccounts]:
    daemon: Notifications = request.param
    if missing := oidc_provider_missing() or (program(daemon) is None and f"not installed: {daemon}"):
        pytest.skip(missing)
    with OidcProvider(access_token_ttl=5) as provider, panel_session(None, notifications=daemon) as session:
        yield ThreeAccounts(session, daemon, provider)


def test_three_that_fail_while_nobody_wants_to_be_disturbed_are_one_click_when_that_ends(three: ThreeAccounts) -> None:
    three.desk.leave_alone("true")
    three.provider.revoke()
    wait_for(lambda: three.healths() == ["sign-in-needed"] * 3, "all three to need the person")
    wait_for(lambda: "do not disturb is on" in three.log(), "the line that says why nothing is shown")
    assert three.desk.windows() == []

    three.desk.leave_alone("false")
    wait_for(lambda: three.desk._still(1), "one notification for all three")
    three.desk.picture("three-accounts")
    three.desk.sign_in()

    wait_for(lambda: three.healths() == ["fresh"] * 3, "all three to be signed in again, in turn")
    wait_for(lambda: three.desk._still(0), "the notification to go")
    assert len(three.browser.pages) == 3 + 3
    assert three.log().count("the notification of what needs you waits") == 1
