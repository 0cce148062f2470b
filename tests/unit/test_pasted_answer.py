"""What a person may paste, and what is not taken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.oauth.pasted_answer import pasted_answer

STATE = "S-tate_0"


def code_in(text, *, bare=True):
    found = pasted_answer(text, STATE, bare=bare)
    return found and found.code and found.code.reveal()


@pytest.mark.parametrize(
    "text",
    [
        "C1",
        " C1\n",
        '"C1"',
        f"C1#{STATE}",
        f"http://127.0.0.1:40123/callback?code=C1&state={STATE}",
        f"<http://127.0.0.1/callback?state={STATE}&code=C1&iss=https%3A%2F%2Fa.example>",
        f"?code=C1&state={STATE}",
        f"code=C1&state={STATE}",
    ],
)
def test_a_code_with_its_state_or_the_whole_address_is_taken(text):
    assert code_in(text) == "C1"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        "#",
        f"#{STATE}",
        "C1#another",
        "http://127.0.0.1/callback?code=C1&state=another",
        "http://127.0.0.1/callback?code=C1",
        f"http://127.0.0.1/callback?code=C1&code=C2&state={STATE}",
        f"http://127.0.0.1/callback#code=C1&state={STATE}",
        f"http://[/callback?code=C1&state={STATE}",
        "two words",
        "C\x1b[2J",
        "C" * 20_000,
    ],
)
def test_what_is_no_answer_to_this_sign_in_is_not_taken(text):
    assert pasted_answer(text, STATE, bare=True) is None


def test_from_a_clipboard_a_code_counts_only_with_the_state_of_this_sign_in():
    assert code_in("correct-horse", bare=False) is None
    assert code_in(f"C1#{STATE}", bare=False) == "C1"


def test_an_error_in_the_address_is_an_answer_too():
    found = pasted_answer(f"http://127.0.0.1/?error=access_denied&state={STATE}", STATE, bare=True)

    assert (found.code, found.error, found.is_whole) == (None, "access_denied", True)


@given(st.text(max_size=80))
def test_no_text_breaks_it_and_none_is_taken_from_a_clipboard_without_the_state(text):
    pasted_answer(text, STATE, bare=True)

    assert STATE in text or pasted_answer(text, STATE, bare=False) is None
