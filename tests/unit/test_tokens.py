"""Token sets: what an answer leaves out, how long they may be handed out, and that they do not show themselves."""

from datetime import timedelta

from tests.builders import BOUND, NOW, tokens
from tray_app.core.tokens import Secret, TokenAnswer, merged


def answer(refresh_token: str | None) -> TokenAnswer:
    return TokenAnswer(
        Secret("A1"), "Bearer", NOW, timedelta(hours=1), refresh_token=Secret(refresh_token) if refresh_token else None
    )


def test_an_answer_without_a_refresh_token_keeps_the_old_one():
    fresh = merged(tokens(refresh_token="R0"), answer(None), requested_scopes=(), bound_to=BOUND)

    assert (fresh.access_token, fresh.refresh_token) == (Secret("A1"), Secret("R0"))


def test_an_answer_with_a_refresh_token_replaces_the_old_one():
    fresh = merged(tokens(refresh_token="R0"), answer("R1"), requested_scopes=(), bound_to=BOUND)

    assert fresh.refresh_token == Secret("R1")


def test_a_token_from_the_future_is_over():
    assert tokens(60, now=NOW + timedelta(hours=1)).valid_for(NOW) == timedelta(0)


def test_a_secret_shows_itself_in_no_text():
    secret = Secret("canary")

    assert {str(secret), repr(secret), f"{secret}", f"{secret!r}", "%s" % secret} == {"***"}  # noqa: UP031 - as logging does
