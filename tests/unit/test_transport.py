"""What the connections are made with."""

from __future__ import annotations

import socket

import pytest

from tray_app.adapters.oauth.http_client import _told_of_a_dead_way


@pytest.mark.enable_socket
def test_what_this_system_does_not_know_is_left_out_and_ends_no_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "TCP_KEEPIDLE", 9_999, raising=False)

    options = _told_of_a_dead_way()

    assert 9_999 not in {name for _, name, _ in options}
    assert (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1) in options
