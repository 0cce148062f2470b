"""A sign-in through the browser, its answer pasted: nothing listens and nothing is sent."""

from __future__ import annotations

import base64
import hashlib
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.builders import ISSUER, NOW, account, endpoints
from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.client_auth import Client
from tray_app.adapters.oauth.loopback_listener import Listener, callback_of
from tray_app.core.errors import SignInFailed
from tray_app.core.tokens import Secret, TokenAnswer

REDIRECT = "http://127.0.0.1:8765/callback"


class Provider:
    """Exchanges any code and keeps what it was sent."""

    def __init__(self):
        self.sent = []

    async def exchange(self, _client, **sent):
        self.sent.append(sent)
        return TokenAnswer(Secret("A1"), "Bearer", NOW, timedelta(hours=1))


@pytest.fixture
async def signing_in():
    client = Client(account(), endpoints(ISSUER, issuer=ISSUER), "tray", scopes=("openid",))
    provider, patience = Provider(), timedelta(minutes=5)
    flow = SignIn(
        client=client, provider=provider, listener=Listener(REDIRECT, "state-1"), state="state-1", patience=patience
    )
    await flow._invite()
    return flow, provider


async def keep(_tokens):
    """Keeps nothing."""


async def test_the_code_is_exchanged_with_the_verifier_of_the_challenge_that_was_sent(signing_in):
    flow, provider = signing_in
    asked = parse_qs(urlsplit(flow.prompt.url).query)
    flow.paste(f"{REDIRECT}?code=c&state=state-1&iss={ISSUER}", bare=False)
    await flow.run(keep)
    digest = hashlib.sha256(provider.sent[0]["verifier"].reveal().encode()).digest()

    assert asked["code_challenge"] == [base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    assert (asked["code_challenge_method"], asked["state"]) == (["S256"], ["state-1"])


async def test_an_answer_of_another_issuer_is_refused_and_its_code_is_sent_nowhere(signing_in):
    flow, provider = signing_in
    flow.paste(f"{REDIRECT}?code=c&state=state-1&iss=https://evil.example", bare=False)

    with pytest.raises(SignInFailed, match="issuer"):
        await flow.run(keep)
    assert provider.sent == []


@pytest.mark.parametrize("query", ["code=c&state=another", "code=c", "code=c&state="])
def test_an_answer_with_another_state_is_none_of_ours(query):
    assert callback_of(query, "state-1") is None
    assert callback_of("code=c&state=state-1", "state-1") is not None
