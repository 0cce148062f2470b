"""Tokens are sent to the server and by the client that they are bound to."""

import pytest

from tests.builders import account, endpoints, tokens
from tests.integration.hostile_server import HandClock
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.core.failure import FailureKind
from tray_app.core.ports import ProviderError


async def test_tokens_that_are_bound_elsewhere_are_not_sent():
    mine = account(issuer=None, endpoints=endpoints("https://login.example.com"))

    with pytest.raises(ProviderError) as caught:
        await OAuthProvider(HandClock()).client_of(mine, tokens(bound_to="https://other.example tray"))

    assert caught.value.failure.kind is FailureKind.MISCONFIGURED


async def test_tokens_that_are_bound_here_have_their_client():
    mine = account(issuer=None, endpoints=endpoints("https://login.example.com"))

    client = await OAuthProvider(HandClock()).client_of(mine, tokens(bound_to=mine.bound_to))

    assert (client.id, client.endpoints.token) == ("tray", "https://login.example.com/token")
