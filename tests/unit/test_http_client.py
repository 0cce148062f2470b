"""What the connections are made with."""

from __future__ import annotations

import socket

import httpx
import pytest

from tray_app.adapters.oauth.http_client import HttpClient, _keepalive_options
from tray_app.base.clock import WallClock


@pytest.mark.enable_socket
def test_what_this_system_does_not_know_is_left_out_and_ends_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "TCP_KEEPIDLE", 9_999, raising=False)

    options = _keepalive_options()

    assert 9_999 not in {name for _, name, _ in options}
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options


@pytest.mark.enable_socket
async def test_a_redirect_is_an_answer_and_is_not_followed(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def redirect(request: httpx.Request) -> httpx.Response:
        asked.append(str(request.url))
        return httpx.Response(307, headers={"Location": "http://127.0.0.1/elsewhere"}, stream=httpx.ByteStream(b""))

    monkeypatch.setattr(httpx, "AsyncHTTPTransport", lambda **_: httpx.MockTransport(redirect))
    answer = await HttpClient(WallClock()).post("http://127.0.0.1/token", "refresh_token=R0", "text/plain")

    assert answer.status == 307
    assert asked == ["http://127.0.0.1/token"]
