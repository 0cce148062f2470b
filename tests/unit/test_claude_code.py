"""Claude Code's file: two dates, whatever else is or is not in it."""

import json
import traceback
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import NOW
from tray_app.adapters.config import parser as config
from tray_app.core.claude_code import Reading, health_at, health_changes_at, is_new_sign_in, reading_of
from tray_app.core.errors import Misconfigured
from tray_app.core.health import Health
from tray_app.core.time_phrasing import watched_words


def ms(moment):
    return int(moment.timestamp() * 1000)


def file(**oauth):
    return json.dumps({"claudeAiOauth": {"accessToken": "canary-access", "refreshToken": "canary-refresh", **oauth}})


def ending(**time):
    return Reading(NOW + timedelta(hours=1), NOW + timedelta(**time))


def test_the_two_dates_are_read_as_milliseconds():
    end = NOW + timedelta(days=17)

    assert reading_of(file(expiresAt=ms(NOW), refreshTokenExpiresAt=ms(end))) == Reading(NOW, end)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("{}", id="nothing in it"),
        pytest.param('{"claudeAiOauth": null}', id="null"),
        pytest.param('{"claudeAiOauth": []}', id="a list"),
        pytest.param('{"claudeAiOauth": {}}', id="no dates"),
        pytest.param('{"mcpOAuth": {"expiresAt": 1795000000000}}', id="another program's key"),
        pytest.param(file(expiresAt="soon", refreshTokenExpiresAt=True), id="no numbers"),
        pytest.param(file(expiresAt=-5, refreshTokenExpiresAt=10**30), id="no dates of this world"),
    ],
)
def test_a_file_without_a_sign_in_in_it_tells_of_none(text):
    assert reading_of(text) is None


@given(st.integers(0, 200))
def test_a_half_written_file_is_told_from_an_empty_one_and_its_text_is_in_no_error(length):
    text = file(expiresAt=ms(NOW))[:length]
    try:
        reading_of(text)
    except ValueError as error:
        told = "".join(traceback.format_exception(error))
        assert "canary" not in told
        assert error.__context__ is None
    else:
        assert text == file(expiresAt=ms(NOW))


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.integers() | st.text(), st.lists))
def test_no_value_of_a_date_makes_it_raise(value):
    reading_of(json.dumps({"claudeAiOauth": {"expiresAt": value, "refreshTokenExpiresAt": value}}))


@pytest.mark.parametrize(
    ("reading", "health"),
    [
        pytest.param(None, Health.SIGNED_OUT, id="no sign-in"),
        pytest.param(ending(days=3, seconds=1), Health.FRESH, id="more than three days"),
        pytest.param(ending(days=3), Health.ENDING, id="three days"),
        pytest.param(ending(seconds=1), Health.ENDING, id="a second"),
        pytest.param(ending(seconds=0), Health.SIGN_IN_NEEDED, id="now"),
        pytest.param(Reading(NOW - timedelta(days=1), NOW + timedelta(days=9)), Health.FRESH, id="past expiresAt"),
        pytest.param(Reading(NOW - timedelta(days=1), None), Health.FRESH, id="no end is known"),
    ],
)
def test_the_end_of_the_sign_in_alone_decides(reading, health):
    assert health_at(reading, NOW) is health


@given(st.integers(-(10**6), 10**6))
def test_time_changes_the_health_at_no_other_moment_than_foretold(seconds):
    reading = ending(seconds=seconds)
    moment = health_changes_at(reading, NOW)
    if moment is None:
        assert health_at(reading, NOW + timedelta(days=99)) is health_at(reading, NOW)
    else:
        assert health_at(reading, moment - timedelta(seconds=1)) is health_at(reading, NOW)
        assert health_at(reading, moment) is not health_at(reading, NOW)


@pytest.mark.parametrize(
    ("before", "after", "new"),
    [
        pytest.param(None, ending(days=9), True, id="there was none"),
        pytest.param(ending(days=1), ending(days=9), True, id="a later end"),
        pytest.param(ending(days=9), ending(days=9), False, id="the same"),
        pytest.param(None, ending(days=-1), False, id="one that has ended"),
        pytest.param(ending(days=1), None, False, id="it is gone"),
        pytest.param(Reading(NOW, None), Reading(NOW + timedelta(hours=8), None), True, id="no end is known"),
        pytest.param(
            Reading(NOW, NOW + timedelta(days=1)),
            Reading(NOW + timedelta(hours=8), NOW + timedelta(days=1)),
            False,
            id="only its own renewal",
        ),
    ],
)
def test_a_sign_in_is_a_later_end(before, after, new):
    assert is_new_sign_in(before, after, NOW) is new


def test_the_words_say_until_when_and_who_renews():
    assert watched_words(Health.FRESH, NOW.replace(month=12, day=12), NOW) == (
        "signed in until 12 Dec; Claude Code renews its own token"
    )
    assert watched_words(Health.FRESH, NOW.replace(year=2027), NOW).startswith("signed in until 24 Nov 2027;")
    assert watched_words(Health.FRESH, None, NOW) == "signed in; Claude Code renews its own token"
    assert watched_words(Health.SIGN_IN_NEEDED, NOW, NOW) == "sign-in needed"


def test_the_account_needs_its_provider_alone():
    found = config.parse('[accounts.code]\nprovider = "claude-code"\ncommand = "~/bin/claude"').accounts["code"]

    assert (found.provider, found.command, found.directory, found.client_id) == (
        "claude-code",
        "~/bin/claude",
        None,
        None,
    )


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('provider = "claude-code"\nclient_id = "x"', "line 3, accounts.code: `client_id` has no meaning"),
        ('issuer = "https://a.example"\nclient_id = "x"\ncommand = "claude"', "`command` belongs to provider"),
        ('provider = "claude-code"\ndirectory = 3', "`directory` is a number"),
    ],
)
def test_what_has_no_meaning_there_is_named(text, words):
    with pytest.raises(Misconfigured, match=words):
        config.parse(f"[accounts.code]\n{text}")
