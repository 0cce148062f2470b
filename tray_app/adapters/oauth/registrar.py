"""Registers clients where the configuration names none, keeps them, and knows when one has to be made anew (RFC 7591).

"With care" means: only while a person signs in, never from a refresh; and the client before stays kept until then,
since tokens that are still good belong to it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol
from urllib.parse import urlencode

from tray_app.adapters.oauth.back_channel import BackChannel
from tray_app.adapters.oauth.client_auth import Client, host_of
from tray_app.adapters.oauth.http_client import HttpClient
from tray_app.adapters.oauth.registration import (
    Registration,
    from_text,
    on_localhost,
    registration_of,
    request_body,
    to_text,
    without_port,
)
from tray_app.base.log import LOG
from tray_app.core.account import Account, Endpoints
from tray_app.core.errors import StoreUnavailable
from tray_app.core.failure import Answer, Failure, FailureKind, classify, error_code, members, plain
from tray_app.core.message import joined, msg
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.tokens import Secret

MOST_KEPT = 10
"""Registrations of an account. Each sign-in that was begun and given up may have made one; tokens that are still good
belong to one of them.
"""

UNKNOWN = frozenset({"invalid_client", "unauthorized_client"})
"""What a server says of a client that it does not know (any more)."""


class ClientStore(Protocol):
    """Where clients are kept: their secrets, and what they were registered as. Each raises `StoreUnavailable`."""

    async def client_secret(self, account: str) -> Secret | None:
        """The account's client secret, None for a public client."""

    async def set_client_secret(self, account: str, secret: Secret | None) -> None:
        """Keeps the account's client secret; None removes it."""

    async def registration(self, account: str) -> Secret | None:
        """What is kept of the clients that were registered for the account (RFC 7591), None where there is nothing."""

    async def set_registration(self, account: str, text: Secret | None) -> None:
        """Keeps it; None removes it."""


class Registrar:
    """The registered clients of all accounts. Raises `RefreshFailed`."""

    def __init__(self, transport: HttpClient, clock: Clock, store: Callable[[], ClientStore]) -> None:
        self._transport = transport
        self._clock = clock
        self._store = store
        self._channel = BackChannel(transport, clock)

    async def kept(self, account: Account, client_id: str | None = None) -> Registration | None:
        """The account's newest registration, or the one of that client id, good or not; None where there is none."""
        found = await self._all(account)
        return next((one for one in found if client_id in {None, one.client_id}), None)

    async def serving(
        self, account: Account, endpoints: Endpoints, redirect_uri: str | None, scopes: tuple[str, ...]
    ) -> Registration:
        """A client for a sign-in: the kept one where it still serves and is still known, else a new one."""
        before = await self._all(account)
        newest = before[0] if before else None
        if newest and newest.serves(endpoints.issuer, redirect_uri, self._clock.now()):
            client = Client(account, endpoints, newest.client_id, newest.secret, newest.method)
            if await self._is_known(newest, client):
                return newest
        made = await self._register(account, endpoints, redirect_uri, scopes)
        await self._keep(account, (made, *before)[:MOST_KEPT])
        return made

    async def refused(self, account: Account, client_id: str) -> None:
        """Remembers that the server does not know the client any more: the next sign-in makes a new one."""
        found = await self._all(account)
        if any(one.client_id == client_id and not one.refused for one in found):
            await self._keep(account, [one.gone() if one.client_id == client_id else one for one in found])

    async def forget(self, account: Account) -> None:
        """Deletes the clients at their server where that can be (RFC 7592, 2.3), and here."""
        found = await self._all(account)
        for one in found:
            if one.client_uri is not None and one.access_token is not None:
                with contextlib.suppress(ProviderError):  # a client without tokens is of no use to anybody
                    await self._transport.delete(one.client_uri, _bearing(one.access_token))
        if found:
            await self._keep(account, ())

    async def _register(
        self, account: Account, endpoints: Endpoints, redirect_uri: str | None, scopes: tuple[str, ...]
    ) -> Registration:
        host, endpoint = host_of(endpoints.token), endpoints.registration
        if endpoint is None:
            what = msg("{host} registers no clients by itself; the configuration needs a client_id", host=host)
            raise self._failed(FailureKind.MISCONFIGURED, what)
        first: Answer | None = None
        asked: set[str] = set()
        for wanted in _ever_less(account, redirect_uri, scopes):
            body = request_body(
                endpoints, wanted.uris, wanted.scopes, with_device=wanted.device, with_refresh=wanted.refresh
            )
            if body in asked:
                continue
            asked.add(body)
            answer = await self._transport.post(endpoint, body, "application/json")
            made = registration_of(answer, endpoints, wanted.uris)
            if made is not None:
                if first is not None:
                    LOG.warning("%s: %s registered a client %s", account.name, host, wanted.left_out)
                return made
            first = first or answer
            if answer.status not in {400, 422}:
                break
        assert first is not None  # noqa: S101 - all was asked for at least once
        raise ProviderError(self._meaning(host, first))

    async def _is_known(self, kept: Registration, client: Client) -> bool:
        """Whether the server still knows the client; where it cannot be asked, it is taken to.

        Such a server tells the browser alone, which then never comes back. Where no address is there to look at the
        client (RFC 7592), it sends a refresh token that nobody was given: who asks is looked at first (RFC 6749, 5.2).
        """
        try:
            if kept.client_uri is None or kept.access_token is None:
                answer = await self._channel.ask(client, client.endpoints.token, _NOBODYS_TOKEN)
                return error_code(members(answer)) != "invalid_client"
            answer = await self._transport.get(kept.client_uri, _bearing(kept.access_token))
        except ProviderError:
            return True
        return answer.status not in {401, 403, 404}

    async def _all(self, account: Account) -> tuple[Registration, ...]:
        try:
            return from_text(await self._store().registration(account.name))
        except StoreUnavailable as error:
            raise self._failed(FailureKind.STORE, error.what, error.reason) from error

    async def _keep(self, account: Account, registrations: Sequence[Registration]) -> None:
        try:
            await self._store().set_registration(account.name, to_text(registrations) if registrations else None)
        except StoreUnavailable as error:
            raise self._failed(FailureKind.STORE, error.what, error.reason) from error

    def _meaning(self, host: str, answer: Answer) -> Failure:
        """Why no client was registered: every OAuth error means the configuration (RFC 7591, 3.2.2)."""
        code = error_code(members(answer))
        if answer.status in {400, 401, 403} or code:
            reason = joined(
                ": ", (code or f"HTTP {answer.status}", plain(members(answer).get("error_description") or ""))
            )
            what = msg("{host} did not register a client ({reason}); give it a client_id", host=host, reason=reason)
            return self._failed(FailureKind.MISCONFIGURED, what, code).failure
        return classify(answer, self._clock.now(), host=host)

    def _failed(self, kind: FailureKind, message: str, code: str | None = None) -> ProviderError:
        return ProviderError(Failure(kind, message, self._clock.now(), code))


def _bearing(token: Secret) -> dict[str, str]:
    return {"Authorization": f"Bearer {token.reveal()}"}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a registration asks for, and in words what it no longer does."""

    uris: tuple[str, ...]
    scopes: tuple[str, ...]
    device: bool = True
    refresh: bool = True
    left_out: str = ""


def _ever_less(account: Account, redirect_uri: str | None, scopes: tuple[str, ...]) -> Iterator[_Wanted]:
    """All that we would like, and then less at each step: servers refuse what they do not know (RFC 7591, 3.2.2).

    A refresh token is given up last, since the account then needs a sign-in whenever its token ends.
    """
    if redirect_uri is None:  # a sign-in on another device
        wanted = _Wanted((account.redirect_uri,), scopes)
    else:
        wanted = _Wanted(tuple(dict.fromkeys((without_port(redirect_uri), redirect_uri))), scopes)
    yield wanted
    if redirect_uri is not None:
        wanted = replace(wanted, device=False, left_out="without the device flow")
        yield wanted
        wanted = replace(wanted, uris=(without_port(redirect_uri),), left_out="with one redirect URI")
        yield wanted
        wanted = replace(wanted, uris=(redirect_uri,), left_out="with a redirect URI of one port")
        yield wanted
        yield replace(wanted, uris=(on_localhost(redirect_uri),), left_out="with `localhost` in its redirect URI")
    wanted = replace(wanted, scopes=(), left_out="without scopes")
    yield wanted
    yield replace(wanted, refresh=False, left_out="without refresh tokens: the account needs a sign-in at each expiry")


_NOBODYS_TOKEN: Final = urlencode({"grant_type": "refresh_token", "refresh_token": "none"})
"""A question that no server mistakes for an attack, as it may a code without its verifier."""


class InMemoryClients:
    """Public clients, kept for as long as the process lives."""

    def __init__(self) -> None:
        self._kept: dict[str, Secret] = {}

    async def client_secret(self, _account: str) -> Secret | None:
        """None: a public client has none."""

    async def set_client_secret(self, _account: str, _secret: Secret | None) -> None:
        """There is none to keep."""

    async def registration(self, account: str) -> Secret | None:
        """What was kept."""
        return self._kept.get(account)

    async def set_registration(self, account: str, text: Secret | None) -> None:
        """Keeps it; None removes it."""
        if text is None:
            self._kept.pop(account, None)
        else:
            self._kept[account] = text
