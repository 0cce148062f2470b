from __future__ import annotations

import pytest

from tray_app.adapters.platform.browser import _is_for_a_browser, shell_safe


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


@pytest.mark.parametrize(
    ("url", "opened"),
    [
        ("https://a.example/x?state=a&b=c%20d#e", "https://a.example/x?state=a&b=c%20d#e"),
        ("https://[::1]:8080/", "https://[::1]:8080/"),
        (
            "https://a.example/$(touch${IFS}x);`id`|y&z",
            "https://a.example/%24%28touch%24%7BIFS%7Dx%29%3B%60id%60%7Cy%26z",
        ),
        ("https://a.example/?a='b\"c\\&d=(e)", "https://a.example/?a=%27b%22c%5C&d=%28e%29"),
        ("https://a.example/?a=b&reboot&/bin/sh=x", "https://a.example/?a=b&reboot=&%2Fbin%2Fsh=x"),
        ("https://a;b@a.example/*[x]!~<>?q=?#f#g", "https://a%3Bb@a.example/%2A%5Bx%5D%21%7E%3C%3E?q=%3F#f%23g"),
    ],
)
def test_what_a_shell_would_act_on_is_data(url: str, opened: str) -> None:
    assert shell_safe(url) == opened
