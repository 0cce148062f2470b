import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.core.urls import check_endpoint_url, check_redirect_uri, is_loopback


@pytest.mark.parametrize(
    "url",
    [
        "https://login.example.com",
        "https://login.example.com:8443/realms/a/token?tenant=x",
        "HTTPS://login.example.com/",
        "https://[2001:db8::1]/token",
        "http://127.0.0.1:8080/token",
        "http://127.8.9.10/token",
        "http://[::1]:8080/token",
        "http://localhost/token",
        "http://LOCALHOST/token",
    ],
)
def test_https_and_loopback_http_are_endpoints(url: str) -> None:
    assert check_endpoint_url(url) is None


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://login.example.com/token", "https"),
        ("HTTP://login.example.com/token", "https"),
        ("http://127.0.0.1.evil.example/token", "https"),
        ("http://localhost.evil.example/token", "https"),
        ("http://localhost./token", "https"),
        ("http://[::ffff:10.0.0.1]/token", "https"),
        ("http://[::ffff:127.0.0.1]/token", "https"),
        ("http://0.0.0.0/token", "https"),
        ("http://2130706433/token", "https"),
        ("http://localhost@evil.example/token", "user"),
        ("http://localhost:80@evil.example/token", "user"),
        ("https://user:password@login.example.com/", "user"),
        ("https://login.example.com/#fragment", "fragment"),
        ("https://login.example.com/#", "fragment"),
        ("ftp://login.example.com/", "https"),
        ("javascript:alert(1)", "no host"),
        ("file:///etc/passwd", "no host"),
        ("-new-window", "no host"),
        ("", "no host"),
        ("https://", "no host"),
        ("https:///token", "no host"),
        ("https://a b/", "character"),
        ("https://login.example.com/\r\nHost: evil", "character"),
        ("https://login.example.com\\@evil.example/", "character"),
        ("https://müller.example/", "character"),
        ("https://login.example.com:port/", "URL"),
        ("https://login.example.com:99999/", "URL"),
        ("https://[::1/", "URL"),
        ("https://login.example.com:0/", "port"),
        ("https://evil%00.example/", "host"),
    ],
)
def test_everything_else_is_refused_with_its_reason(url: str, reason: str) -> None:
    assert reason in (check_endpoint_url(url) or "")


@given(st.text() | st.from_regex(r"https?://[\x00-\xff]{0,30}"))
def test_no_text_makes_the_check_raise_or_lets_http_out_of_this_machine(url: str) -> None:
    reason = check_endpoint_url(url)

    assert reason is not None or url.lower().startswith(("https://", "http://127.", "http://localhost", "http://[::1]"))


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1/callback", "http://127.0.0.1:8400", "http://[::1]:1/", "http://localhost/a?b=c"]
)
def test_a_redirect_uri_leads_to_the_listener(url: str) -> None:
    assert check_redirect_uri(url) is None


@pytest.mark.parametrize(
    "url",
    [
        "https://127.0.0.1/callback",
        "http://127.0.0.2/callback",
        "http://0.0.0.0/callback",
        "http://example.com/callback",
        "http://127.0.0.1/callback#x",
        "com.example.app:/callback",
        "http://u@127.0.0.1/",
        "",
    ],
)
def test_other_redirect_uris_are_refused(url: str) -> None:
    assert check_redirect_uri(url) is not None


def test_only_literals_and_localhost_are_loopback() -> None:
    assert is_loopback("127.255.255.254")
    assert is_loopback("::1")
    assert not is_loopback("127.1")
    assert not is_loopback("localhost.localdomain")
