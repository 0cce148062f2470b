"""The answer to a device authorization request (RFC 8628, 3.2)."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW
from tray_app.adapters.oauth.device_code import LONGEST_LIFE, USUAL_INTERVAL, device_code_of
from tray_app.core.failure import Answer

GOOD = {
    "device_code": "D1",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://a.example/device",
    "verification_uri_complete": "https://a.example/device?user_code=WDJB-MJHT",
    "expires_in": 1800,
    "interval": 7,
}


def read(status=200, **changes):
    members = {name: value for name, value in {**GOOD, **changes}.items() if value is not ...}
    return device_code_of(Answer(status, {"content-type": "application/json"}, json.dumps(members).encode()), NOW)


def test_the_codes_their_pages_and_their_times_are_read():
    found = read()

    assert (found.secret.reveal(), found.user_code, found.interval) == ("D1", "WDJB-MJHT", 7)
    assert (found.verification_uri, found.complete_uri) == (GOOD["verification_uri"], GOOD["verification_uri_complete"])
    assert found.expires_at == NOW + timedelta(minutes=30)
    assert "D1" not in repr(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"status": 400},
        {"device_code": ...},
        {"device_code": ""},
        {"user_code": 12},
        {"user_code": "\x1b]0;pwn\x07"},
        {"user_code": "A\nlamplighter: all is well"},
        {"user_code": "A\u202eB"},
        {"user_code": "A" * 101},
        {"verification_uri": "javascript:alert(1)"},
        {"verification_uri": "http://a.example/device"},
        {"verification_uri": "https://a.example/\x1b[2J"},
        {"verification_uri": ...},
    ],
    ids=str,
)
def test_what_cannot_be_shown_and_opened_safely_is_no_answer(changes):
    assert read(**changes) is None


def test_a_complete_address_that_cannot_be_opened_is_left_out():
    assert read(verification_uri_complete="file:///etc/passwd").complete_uri is None


def test_google_s_older_name_of_the_page_is_known():
    assert read(verification_uri=..., verification_url="https://a.example/device").verification_uri.endswith("/device")


@pytest.mark.parametrize(
    ("value", "seconds"), [(..., USUAL_INTERVAL), ("soon", USUAL_INTERVAL), (0, 1), (1e9, 300), (True, USUAL_INTERVAL)]
)
def test_the_interval_is_five_seconds_where_none_is_named_and_never_a_storm(value, seconds):
    assert read(interval=value).interval == seconds


@pytest.mark.parametrize("value", [..., 1e300, "never", None, float("inf")])
def test_a_code_ends_within_the_hour(value):
    assert read(expires_in=value).expires_at == NOW + LONGEST_LIFE


@given(st.binary(max_size=60))
def test_no_bytes_break_it(body):
    assert device_code_of(Answer(200, {"content-type": "application/json"}, body), NOW) is None
