"""Addresses out of metadata: this computer and private networks are reached by those who are there themselves."""

import pytest

from tray_app.core.urls import check_found_url

WEB = "https://login.example.com"
THIS = [
    "localhost",
    "localhost.",
    "a.localhost",
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0177.0.0.1",
    "0x7f.1",
]
THIS += ["0.0.0.0", "0", "[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "127.0.0.1."]
PRIVATE = ["10.0.0.1", "192.168.1.1", "172.16.0.9", "169.254.169.254", "[fe80::1]", "[fd00::1]", "100.64.0.1"]
PRIVATE += ["[::ffff:10.0.0.1]", "0xa9fea9fe", "2852039166", "0300.0250.1.1"]


@pytest.mark.parametrize("host", THIS + PRIVATE)
def test_a_server_of_the_web_names_no_address_of_this_computer_or_of_a_private_network(host):
    reason = check_found_url(f"https://{host}/token", WEB)

    assert reason is not None
    assert "login.example.com is not" in reason


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]"])
@pytest.mark.parametrize("configured", ["http://127.0.0.1:8080", "http://localhost", "http://[::1]/x"])
def test_one_on_this_computer_may(host, configured):
    assert check_found_url(f"http://{host}/token", configured) is None


def test_one_of_a_private_network_may_name_its_like_and_not_this_computer():
    assert check_found_url("https://10.0.0.2/token", "https://10.0.0.1") is None
    assert check_found_url("https://127.0.0.1/token", "https://10.0.0.1") is not None


@pytest.mark.parametrize(
    "host", ["intranet", "auth.corp", "8.8.8.8", "[2606:4700::1111]", "1e3.example", "256.1.1.1.1"]
)
def test_names_and_public_addresses_are_not_judged(host):
    assert check_found_url(f"https://{host}/token", WEB) is None


@pytest.mark.parametrize("url", ["http://login.example.com/t", "http://10.0.0.1/t", "ftp://x.example", "/t", ""])
def test_what_is_no_endpoint_at_all_is_none_here_either(url):
    assert check_found_url(url, "http://127.0.0.1") is not None


@pytest.mark.parametrize("host", ["-1", "0x", "08.1.1.1", "1..1", "+1", "1_0", "0b1", "1e3"])
def test_what_only_looks_like_an_old_address_is_a_name(host):
    reason = check_found_url(f"https://{host}/token", WEB)

    assert reason is None or "names no host" in reason
