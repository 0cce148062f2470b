import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.oauth.token_response import token_answer
from tray_app.core.failure import Answer, classify, server_time
from tray_app.core.tokens import LONGEST_LIFETIME, Secret, TokenAnswer

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


def read(
    body: bytes | None = None, *, status: int = 200, content_type: str = "application/json", **members: Any
) -> TokenAnswer | None:
    if body is None:
        body = json.dumps({"access_token": "abc", "token_type": "Bearer", **members}).encode()
    return token_answer(Answer(status, {"content-type": content_type}, body), NOW)


def tokens(**members: Any) -> TokenAnswer:
    answer = read(**members)
    assert answer is not None
    return answer


def test_a_full_answer_is_taken_over_byte_for_byte() -> None:
    answer = tokens(access_token="a+/=~.b", refresh_token="r t", expires_in=3600, scope="openid mail")

    assert answer == TokenAnswer(
        access_token=Secret("a+/=~.b"),
        token_type="Bearer",
        requested_at=NOW,
        lifetime=timedelta(hours=1),
        refresh_token=Secret("r t"),
        scopes=("openid", "mail"),
    )


def test_what_is_left_out_is_unknown() -> None:
    assert tokens() == TokenAnswer(Secret("abc"), "Bearer", NOW)


@pytest.mark.parametrize("status", [301, 302, 400, 401, 403, 500, 503])
def test_no_other_status_than_2xx_is_a_success(status: int) -> None:
    assert read(status=status) is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b'"abc"',
        b"123",
        b"{}",
        b'{"token_type": "Bearer"}',
        b'{"access_token": "abc", "token_type": "Bearer"',
        b'{"access_token": "ab\xe4", "token_type": "Bearer"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b"<html>Please log in</html>",
    ],
    ids=lambda body: repr(body[:40]),
)
def test_what_is_no_json_object_with_a_token_is_none(body: bytes) -> None:
    assert read(body) is None


@pytest.mark.parametrize(
    "wrong", [None, "", 1, 1.5, True, [], {}, {"a": 1}, "a b", "a\r\nX: y", "a\x00", "ä", "\ud800"]
)
def test_an_access_token_that_cannot_stand_in_a_header_is_none(wrong: object) -> None:
    assert read(access_token=wrong) is None


@pytest.mark.parametrize("wrong", ["MAC", "DPoP", "N_A", "BearerToken", 1, ["Bearer"], {"type": "Bearer"}, False])
def test_a_token_of_another_type_is_not_used(wrong: object) -> None:
    assert read(token_type=wrong) is None


@pytest.mark.parametrize("error", ["bad_refresh_token", {"type": "rate_limit_error"}, ["x"], True])
def test_an_error_with_status_200_is_an_error(error: object) -> None:
    assert read(error=error) is None


@pytest.mark.parametrize("error", [None, ""])
def test_an_empty_error_is_none(error: object) -> None:
    assert tokens(error=error).access_token == Secret("abc")


@pytest.mark.parametrize(
    ("stated", "seconds"),
    [(3600, 3600), ("3600", 3600), (" 3600 ", 3600), ("3599.5", 3599.5), (3599.5, 3599.5), ("1e3", 1000)],
)
def test_a_life_is_a_number_or_a_string_of_one(stated: object, seconds: float) -> None:
    assert tokens(expires_in=stated).lifetime == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "stated", [None, 0, "0", -1, "-1", "", "abc", True, False, [], {}, [3600], "nan", "inf", 10**400]
)
def test_a_life_that_says_nothing_is_unknown(stated: object) -> None:
    assert tokens(expires_in=stated).lifetime is None


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e400"])
def test_a_life_without_end_is_unknown(literal: str) -> None:
    answer = read(f'{{"access_token": "abc", "token_type": "Bearer", "expires_in": {literal}}}'.encode())

    assert answer is not None
    assert answer.lifetime is None


@pytest.mark.parametrize("stated", [1e18, "1e18", 10**18])
def test_a_life_of_ages_is_capped(stated: object) -> None:
    assert tokens(expires_in=stated).lifetime == LONGEST_LIFETIME


@pytest.mark.parametrize("stated", [None, "", 1, {}, [], "r\r\n", "ä"])
def test_a_refresh_token_that_is_none_is_left_out(stated: object) -> None:
    assert tokens(refresh_token=stated).refresh_token is None


@pytest.mark.parametrize("stated", [None, "", " ", 1, [], [1], [["openid"]], "open\x1bid"])
def test_scopes_that_say_nothing_are_unknown(stated: object) -> None:
    assert tokens(scope=stated).scopes is None


@pytest.mark.parametrize("name", ["refresh_token_expires_in", "refresh_expires_in", "x_refresh_token_expires_in"])
def test_the_life_of_the_sign_in_has_several_names(name: str) -> None:
    assert tokens(**{name: 86400}).sign_in_lifetime == timedelta(days=1)


IN_A_DAY = NOW + timedelta(days=1)


@pytest.mark.parametrize("name", ["refresh_token_expires_at", "refresh_expires_at", "refresh_token_expires_on"])
@pytest.mark.parametrize(
    "end",
    [
        IN_A_DAY.timestamp(),
        int(IN_A_DAY.timestamp() * 1000),
        str(int(IN_A_DAY.timestamp())),
        "2026-11-25T12:00:00Z",
        "2026-11-25T13:00:00+01:00",
    ],
)
def test_the_end_of_the_sign_in_may_be_a_moment(name: str, end: Any) -> None:
    assert tokens(**{name: end}).sign_in_lifetime == timedelta(days=1)


def test_such_a_moment_is_read_by_the_servers_clock() -> None:
    body = json.dumps({"access_token": "a", "token_type": "Bearer", "refresh_token_expires_at": IN_A_DAY.timestamp()})
    headers = {"content-type": "application/json", "date": "Tue, 24 Nov 2026 18:00:00 GMT"}

    answer = token_answer(Answer(200, headers, body.encode()), NOW)

    assert answer is not None
    assert answer.sign_in_lifetime == timedelta(hours=18)


@pytest.mark.parametrize("end", ["soon", "2026-11-25", True, None, 0, "", [], 1e400, "nan", "1e300"])
def test_a_moment_that_cannot_be_read_is_unknown(end: Any) -> None:
    assert tokens(refresh_token_expires_at=end).sign_in_lifetime in {None, LONGEST_LIFETIME}


def test_a_sign_in_life_of_zero_is_unknown() -> None:
    assert tokens(refresh_expires_in=0).sign_in_lifetime is None
    assert tokens(refresh_token_expires_in=0, refresh_expires_in=60).sign_in_lifetime == timedelta(minutes=1)


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/x+json"])
def test_json_is_known_by_its_content_type(content_type: str) -> None:
    assert read(content_type=content_type) is not None


def test_a_form_is_read_where_the_server_says_it_is_one() -> None:
    answer = read(
        b"access_token=gho_1&token_type=bearer&expires_in=60&scope=repo",
        content_type="application/x-www-form-urlencoded",
    )

    assert answer == TokenAnswer(Secret("gho_1"), "Bearer", NOW, timedelta(minutes=1), scopes=("repo",))


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)
NAMES = st.sampled_from(
    ["access_token", "token_type", "expires_in", "refresh_token", "scope", "error", "refresh_token_expires_at"]
)


@given(st.dictionaries(NAMES, ANYTHING))
def test_no_members_make_it_raise(members: dict[str, Any]) -> None:
    answer = read(**members)

    assert answer is None or answer.access_token.reveal().isascii()


@given(
    st.integers(100, 599), st.binary(), st.sampled_from(["application/json", "application/x-www-form-urlencoded", ""])
)
def test_no_bytes_make_it_raise(status: int, body: bytes, content_type: str) -> None:
    answer = read(body, status=status, content_type=content_type)

    assert answer is None or 200 <= status < 300


DATES = (
    st.text(st.characters(codec="latin-1"))
    | st.datetimes().map(format_datetime)
    | st.from_regex(
        r"[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,5} [0-9:]{3,9} ([+-][0-9]{1,6}|GMT)", fullmatch=True
    )
    | st.sampled_from(
        ["Fri, 31 Dec 9999 23:59:59 GMT", "Fri, 31 Dec 9999 23:59:59 -2359", "Mon, 01 Jan 0001 00:00:00 +2359"]
    )
)
AGES = st.integers(-1, 10**10).map(str) | st.text(st.characters(codec="latin-1"))
ENDS = (
    st.none() | st.integers() | st.floats() | st.text() | st.datetimes(timezones=st.timezones()).map(datetime.isoformat)
)


@given(DATES, AGES, DATES | AGES, ENDS, st.sampled_from([200, 400, 429, 503]))
def test_no_header_makes_it_raise(date: str, age: str, retry_after: str, ends: object, status: int) -> None:
    headers = {"content-type": "application/json", "date": date, "age": age, "retry-after": retry_after}
    body = json.dumps({"access_token": "abc", "token_type": "Bearer", "refresh_token_expires_at": ends}).encode()
    answer = Answer(status, headers, body)

    found = token_answer(answer, NOW)

    assert (found is not None) == (status == 200)
    assert server_time(answer) is None or server_time(answer).tzinfo is UTC
    failed = classify(answer, NOW, host="login.example.com")
    assert failed.not_before is None or NOW < failed.not_before <= NOW + timedelta(days=31)
