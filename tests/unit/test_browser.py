from __future__ import annotations

import pytest

from tray_app.adapters.platform.browser import _is_for_a_browser


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com/authorize?client_id=a&state=b%20c#d",
        "http://127.0.0.1:8080/",
        "http://[::1]:8080/",
        "HTTPS://LOGIN.EXAMPLE.COM",
        "https://bücher.example/ü",
    ],
)
def test_a_page_may_be_opened(url: str) -> None:
    assert _is_for_a_browser(url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "file:///etc/passwd",
        "data:text/html,x",
        "-new-window",
        "--help https://login.example.com",
        " https://login.example.com",
        "https://login.example.com/a b",
        "https://login.example.com/\n--help",
        "https://login.example.com/\t",
        "https://login.example.com/\x00",
        "https://login.example.com/\x1b[2J",
        "https://login.example.com/\u202etxt.exe",
        "https://login.example.com/\u00a0",
        "https://",
        "https:login.example.com",
        "https://[login",
        "login.example.com",
        "",
    ],
)
def test_anything_else_may_not(url: str) -> None:
    assert not _is_for_a_browser(url)
