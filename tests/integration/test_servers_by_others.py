"""The whole life of a sign-in, without a screen, at three authorization servers that other people wrote."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from unittest.mock import patch
from urllib.error import HTTPError

import pytest

from tests.integration.lamplighter_process import Lamplighter, arrive, eventually
from tests.servers.canaille_server import CanailleServer, canaille_missing
from tests.servers.django_server import DjangoServer, django_missing
from tests.servers.oidc_provider import OidcProvider, oidc_provider_missing
from tests.servers.person import redirect_after_approval
from tray_app.adapters.oauth.discovery import metadata_urls
from tray_app.adapters.store.keyring_store import KeyringStore

LIFE = 4
"""Seconds that an access token of these servers lives."""


@dataclass(frozen=True)
class Server:
    """One of them, as this test needs it."""

    issuer: str
    table: str
    """The account's, in the configuration."""
    revoke: Callable[[Lamplighter], object]
    """Ends the sign-in at the server, without Lamplighter's knowledge."""
    hears_sign_out: bool = True
    """A client without a secret may revoke there (RFC 7009)."""


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.fixture(params=["oidc-provider", "canaille", "django-oauth-toolkit"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    if request.param == "oidc-provider":
        skip_where(oidc_provider_missing())
        with OidcProvider(access_token_ttl=LIFE) as provider:
            table = account(
                provider.issuer, ["openid", "offline_access"], 'authorization_parameters = { prompt = "consent" }'
            )
            yield Server(provider.issuer, table, lambda _: provider.revoke())
    elif request.param == "canaille":
        skip_where(canaille_missing())
        redirect_uri = f"http://127.0.0.1:{free_port()}/callback"
        with CanailleServer(redirect_uri=redirect_uri, access_token_ttl=LIFE) as canaille:
            table = account(canaille.issuer, ["openid", "email"], f'redirect_uri = "{redirect_uri}"')
            yield Server(canaille.issuer, table, lambda at: use_up(canaille.issuer, at), hears_sign_out=False)
    else:
        skip_where(django_missing())
        with DjangoServer(access_token_ttl=LIFE) as toolkit:
            table = account(toolkit.issuer, ["openid", "read"])
            yield Server(toolkit.issuer, table, lambda at: revoked(toolkit.issuer, at))


def skip_where(missing: str | None) -> None:
    if missing:
        pytest.skip(missing)


def account(issuer: str, scopes: list[str], more: str = "") -> str:
    return f'[accounts.work]\nissuer = "{issuer}"\nclient_id = "tray"\nscopes = {json.dumps(scopes)}\n{more}\n'


def use_up(issuer: str, lamplighter: Lamplighter) -> None:
    """Its refresh token, good once, is used by somebody else: a client without a secret cannot revoke it there."""
    assert refreshed(issuer, refresh_token(lamplighter)) == 200


def revoked(issuer: str, lamplighter: Lamplighter) -> None:
    """By RFC 7009, as anybody may who has the token."""
    form = {"token": refresh_token(lamplighter), "token_type_hint": "refresh_token", "client_id": "tray"}
    assert post(endpoint(issuer, "revocation_endpoint"), form) == 200


def refreshed(issuer: str, token: str) -> int:
    """The status that this refresh token gets at the server."""
    form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "tray"}
    return post(endpoint(issuer, "token_endpoint"), form)


def endpoint(issuer: str, name: str) -> str:
    for url in metadata_urls(issuer):
        with contextlib.suppress(HTTPError), urllib.request.urlopen(url, timeout=30) as answer:
            return str(json.load(answer)[name])
    raise LookupError(f"{issuer} names no {name}")


def post(url: str, form: dict[str, str]) -> int:
    try:
        with urllib.request.urlopen(url, urllib.parse.urlencode(form).encode(), timeout=30) as answer:
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def refresh_token(lamplighter: Lamplighter) -> str:
    async def stored() -> str:
        store = KeyringStore(lamplighter.home)
        tokens = await store.load("work")
        await store.close()
        assert tokens is not None
        assert tokens.refresh_token is not None
        return tokens.refresh_token.reveal()

    with patch.dict(os.environ, lamplighter.environment):
        return asyncio.run(stored())


def sign_in(lamplighter: Lamplighter) -> None:
    login = lamplighter.start("login", "work", "--no-browser")
    url = login.line()
    assert url, login.wait()
    arrive(redirect_after_approval(url))
    assert login.wait().code == 0, login.wait()


def test_a_sign_in_is_kept_fresh_until_it_is_revoked_and_begins_anew(lamplighter: Lamplighter, server: Server) -> None:
    lamplighter.configure(server.table, '[retry]\nfirst = "1s"\nlimit = "2s"')
    sign_in(lamplighter)
    assert lamplighter.health() == "fresh"
    first = lamplighter.run("token", "work").out

    with lamplighter.applet():
        seen: set[str] = set()

        def refreshed_several_times() -> bool:
            seen.add(str(lamplighter.account()["last_refresh_at"]))
            assert lamplighter.health() in {"fresh", "expired"}  # on a busy machine a life of seconds ends first
            return len(seen - {"None"}) >= 2

        eventually(refreshed_several_times, 30)
        now = lamplighter.account()
        assert now["last_error"] is None
        assert datetime.fromisoformat(now["expires_at"]) > datetime.fromisoformat(now["last_refresh_at"])
        assert lamplighter.run("token", "work").out != first
    assert lamplighter.log.count("next refresh at") >= 2

    server.revoke(lamplighter)
    with lamplighter.applet():
        lamplighter.until_health("sign-in-needed", seconds=30)
        assert lamplighter.account()["last_error"]["kind"] == "refused"
        assert lamplighter.run("token", "work").code == 3
        sign_in(lamplighter)
        assert lamplighter.health() == "fresh"
        last = refresh_token(lamplighter)
        assert lamplighter.run("logout", "work").code == 0
        assert lamplighter.health() == "signed-out"
    assert refreshed(server.issuer, last) == (400 if server.hears_sign_out else 200)
