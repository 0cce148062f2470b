"""oauthlib without its half for servers still does what a client needs."""

from __future__ import annotations

import subprocess
import sys

from tray_app.adapters.oauth.web_client import import_oauthlib


def test_what_a_client_needs_is_there() -> None:
    client = import_oauthlib()("app")

    assert client.prepare_refresh_body(refresh_token="r") == "grant_type=refresh_token&refresh_token=r"
    assert "code=c" in client.prepare_request_body(code="c")
    assert client.create_code_challenge("v" * 43, "S256")


def test_nothing_for_servers_is_loaded() -> None:
    code = (
        "import sys; from tray_app.adapters.oauth.web_client import import_oauthlib; import_oauthlib();"
        "print([name for name in sys.modules if 'grant_types' in name or 'endpoints' in name or 'openid' in name])"
    )

    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "[]\n"
