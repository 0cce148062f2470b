"""An authorization server as the engine sees it: our client there, exchange, refresh, revocation.

oauthlib prepares what is sent; what comes back is read by `token_response`, since oauthlib takes an error for a token
where the member `error` is missing. Secrets go into bodies and headers alone (RFC 6749, 2.3.1).
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tray_app.adapters.oauth.back_channel import BackChannel
from tray_app.adapters.oauth.client_auth import Client, host_of
from tray_app.adapters.oauth.device_code import GRANT, DeviceCode, device_code_of
from tray_app.adapters.oauth.discovery import is_same_issuer
from tray_app.adapters.oauth.http_client import DEADLINE, HttpClient, import_httpx
from tray_app.adapters.oauth.id_token import Given, WrongIdToken, claims_of, verified_subject
from tray_app.adapters.oauth.metadata_cache import MetadataCache, NoMetadata
from tray_app.adapters.oauth.registrar import UNKNOWN, ClientStore, InMemoryClients, Registrar
from tray_app.adapters.oauth.token_hosts import TokenHosts
from tray_app.adapters.oauth.web_client import import_oauthlib
from tray_app.core.account import Account, Endpoints
from tray_app.core.client_secret import KeptSecret, bound_secret, kept_secret
from tray_app.core.errors import StoreUnavailable, UnconfirmedTokenHost
from tray_app.core.message import msg
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.provider_errors import ANOTHER_SUBJECT, Failure, FailureKind, error_code, error_text, members
from tray_app.core.tokens import Secret, TokenAnswer, TokenSet

if TYPE_CHECKING:
    from oauthlib.oauth2 import WebApplicationClient


class OAuthProvider:
    """Every account's authorization server. Raises `ProviderError` alone, with the class and the reason.

    `store` keeps the clients; without one they are public, and what is registered ends with the process.
    """

    def __init__(
        self,
        clock: Clock,
        store: ClientStore | None = None,
        *,
        token_hosts: TokenHosts | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self._clock = clock
        self.store = store or InMemoryClients()
        """May be replaced by another one."""
        self.token_hosts = token_hosts or TokenHosts()
        self._secrets: dict[str, Secret | None] = {}
        self._transport = HttpClient(clock, deadline)
        self.directory = MetadataCache(self._transport, clock)
        self.registrar = Registrar(self._transport, clock, lambda: self.store)
        self._channel = BackChannel(self._transport, clock)

    @property
    def clock_offset(self) -> timedelta | None:
        """How far the clock of the server that answered last is ahead of this computer's; None before an answer."""
        return self._transport.clock_offset

    # -- who we are

    async def endpoints(self, account: Account) -> Endpoints:
        """Where the account's server listens: as configured, else found (RFC 8414, RFC 9728)."""
        return await self.directory.endpoints(account)

    async def has_client_secret(self, account: Account) -> bool:
        """Whether a client secret is kept for the account."""
        return await self._kept_secret(account) is not None

    async def client_secret(self, account: Account, issuer: str | None) -> Secret | None:
        """The secret of a confidential client at this issuer, None for a public one.

        It is sent only to where it was set for. One that a resource's server was set for is bound to that server when
        it is first found; one of a version that bound secrets to nothing, to what the configuration says now.
        """
        kept = await self._kept_secret(account)
        if kept is None:
            return None
        expected, found = account.secret_bound_to, issuer if account.finds_issuer else None
        if kept.bound_to not in {None, expected} or kept.issuer not in {None, found}:
            what = msg(
                "the client secret was set for another issuer, client id or endpoint; set it again: {command}",
                command=f"lamplighter secret set {account.name}",
            )
            raise self._failed(FailureKind.MISCONFIGURED, what)
        if (kept.bound_to, kept.issuer) != (expected, found):
            with contextlib.suppress(StoreUnavailable):  # it is bound at the next use then
                await self.store.set_client_secret(account.name, bound_secret(kept.secret, expected, found))
        return kept.secret

    async def _kept_secret(self, account: Account) -> KeptSecret | None:
        try:
            self._secrets[account.name] = await self.store.client_secret(account.name)
        except StoreUnavailable as error:
            if account.name not in self._secrets:  # a store that cannot be read now stops no refresh
                raise ProviderError(Failure(FailureKind.STORE, error.what, self._clock.now(), error.reason)) from error
        text = self._secrets[account.name]
        return None if text is None else kept_secret(text)

    async def preferred_redirect_uri(self, account: Account) -> str:
        """As configured; a registered client knows the port that it was registered with."""
        kept = await self.registrar.kept(account) if account.client_id is None else None
        return kept.preferred_redirect_uri if kept else account.redirect_uri

    async def client_for(self, account: Account, redirect_uri: str | None) -> Client:
        """Our client for a sign-in that comes back to `redirect_uri`. It is registered where the person has none."""
        endpoints = await self.endpoints(account)
        scopes = await self._scopes(account, endpoints)
        if account.client_id is not None:
            secret = await self.client_secret(account, endpoints.issuer)
            return Client(account, endpoints, account.client_id, secret, scopes=scopes)
        made = await self.registrar.serving(account, endpoints, redirect_uri, scopes)
        return Client(account, endpoints, made.client_id, made.secret, made.method, scopes, made.redirect_uris)

    async def client_of(self, account: Account, tokens: TokenSet) -> Client:
        """The client that the tokens were given to, at the server that gave them: they are sent nowhere else."""
        if tokens.bound_to != account.bound_to:
            raise self._failed(FailureKind.MISCONFIGURED, msg("these tokens belong to another provider or client"))
        try:
            endpoints = await self.directory.endpoints(account, tokens.issuer)
        except NoMetadata as error:
            raise ProviderError(replace(error.failure, kind=FailureKind.UNREACHABLE)) from error
        if tokens.issuer is not None and not is_same_issuer(tokens.issuer, endpoints.issuer or tokens.issuer):
            raise self._failed(FailureKind.MISCONFIGURED, msg("these tokens belong to another provider or client"))
        if account.client_id is not None:
            secret = await self.client_secret(account, endpoints.issuer)
            return Client(account, endpoints, account.client_id, secret)
        if tokens.client_id is None:
            raise self._failed(FailureKind.MISCONFIGURED, msg("nobody knows which client these tokens belong to"))
        kept = await self.registrar.kept(account, tokens.client_id)
        is_theirs = kept is not None and is_same_issuer(kept.issuer, endpoints.issuer or "")
        secret, method = (kept.secret, kept.method) if kept and is_theirs else (None, None)
        return Client(account, endpoints, tokens.client_id, secret, method)

    def check_token_host(self, client: Client, place: str | None = None) -> None:
        """Raises `UnconfirmedTokenHost` where the code could be handed to another server than gives it (RFC 9700, 4.4).

        That is so where metadata names endpoints of two origins and no `iss` is promised, unless the preset, the
        configuration or the person has said that it is right. `place` is the device authorization endpoint, in whose
        flow there is no `iss`; None: the authorization endpoint.
        """
        account, endpoints = client.account, client.endpoints
        if (place is None and endpoints.iss_in_response) or not self._leads_elsewhere(client, place):
            return
        at, host = urlsplit(place or endpoints.authorization), urlsplit(endpoints.token).hostname or ""
        what = msg(
            "{name}: your sign-in at {one} would be handed to {other}", name=account.name, one=at.hostname, other=host
        )
        remedy = msg(
            "If that is right, write into accounts.{name}: allow_token_host = {host}",
            name=account.name,
            host=f'"{host}"',
        )
        raise UnconfirmedTokenHost(what, remedy, endpoints.issuer or "", (at.hostname or "", host))

    def needs_iss(self, client: Client) -> bool:
        """Whether `iss` alone tells that the code is handed to who gave it."""
        return client.endpoints.iss_in_response and self._leads_elsewhere(client, None)

    def _leads_elsewhere(self, client: Client, place: str | None) -> bool:
        """Whether metadata hands the code to another origin, which nobody has said to be right."""
        account, endpoints = client.account, client.endpoints
        if account.endpoints is not None or endpoints.issuer is None:
            return False
        at, to = urlsplit(place or endpoints.authorization), urlsplit(endpoints.token)
        host = to.hostname or ""
        if at[:2] == to[:2] or host in {account.allow_token_host, *account.quirks.token_hosts}:
            return False
        return not self.token_hosts.is_allowed(endpoints.issuer, at.hostname or "", host)

    async def _scopes(self, account: Account, endpoints: Endpoints) -> tuple[str, ...]:
        """What is asked for: as configured; else what the resource knows, and a refresh token where one can be had."""
        is_named = account.issuer is not None or account.endpoints is not None
        if account.scopes or (account.client_id is not None and is_named):
            return account.scopes
        resource = None if is_named else await self.directory.resource(account)
        known = endpoints.offered.scopes if endpoints.offered else ()
        more = [
            one
            for one in ("openid", "offline_access")
            if one in known and (one != "openid" or account.resource is None)
        ]
        return tuple(dict.fromkeys((*(resource.scopes if resource else ()), *more)))

    # -- signing in

    async def push(self, client: Client, parameters: Sequence[tuple[str, str]]) -> str:
        """The `request_uri` that stands for the parameters of an authorization request (RFC 9126, 2)."""
        from oauthlib.common import urlencode

        endpoint = client.endpoints.pushed_authorization or ""
        answer = await self._channel.ask(client, endpoint, urlencode(list(parameters)))
        uri = members(answer).get("request_uri")
        if answer.status not in {200, 201} or not isinstance(uri, str) or not uri.isprintable() or not uri:
            raise await self._told(client, ProviderError(self._channel.meaning(client, endpoint, answer)))
        return uri

    async def exchange(
        self, client: Client, *, code: Secret, verifier: Secret, redirect_uri: str, state: str, nonce: str | None
    ) -> TokenAnswer:
        """The tokens for the code of a sign-in (RFC 6749, 4.1.3; RFC 7636, 4.5). Sent once, as a code is good once.

        An id_token that is not for this sign-in fails it as a whole; an absent one leaves the subject unknown.
        """
        account = client.account
        body = _oauthlib(client).prepare_request_body(
            code=code.reveal(),
            redirect_uri=redirect_uri,
            code_verifier=verifier.reveal(),
            include_client_id=False,
            resource=account.resource,
            state=state if "state" in account.exchange_parameters else None,
        )
        return await self._first_tokens(client, body, nonce, code, verifier)

    async def device_code(self, client: Client) -> DeviceCode:
        """What a person needs to sign in on another device (RFC 8628, 3.1 and 3.2)."""
        from oauthlib.common import urlencode

        endpoint = client.endpoints.device_authorization or ""
        scope, resource = " ".join(client.scopes), client.account.resource
        parameters = [(name, value) for name, value in (("scope", scope), ("resource", resource)) if value]
        parameters += client.account.authorization_parameters.items()
        requested_at = self._clock.now()
        answer = await self._channel.ask(client, endpoint, urlencode(parameters))
        found = device_code_of(answer, requested_at)
        if found is None:
            raise await self._told(client, ProviderError(self._channel.meaning(client, endpoint, answer)))
        return found

    async def device_tokens(self, client: Client, code: DeviceCode) -> TokenAnswer:
        """The tokens, once the person has agreed on their device (RFC 8628, 3.4); `failure.code` says what is up."""
        from oauthlib.common import urlencode

        parameters = [("grant_type", GRANT), ("device_code", code.secret.reveal())]
        if client.account.resource is not None:
            parameters.append(("resource", client.account.resource))  # RFC 8707, 2.2
        body = urlencode(parameters)
        return await self._first_tokens(client, body, None, code.secret)

    async def _first_tokens(self, client: Client, body: str, nonce: str | None, *sent: Secret) -> TokenAnswer:
        try:
            got = await self._channel.tokens(client, body, *sent)
        except ProviderError as error:
            raise await self._told(client, error) from error
        if got.id_token is None or "openid" not in client.scopes:
            return got.answer
        try:
            subject = verified_subject(
                got.id_token,
                Given(got.answer.access_token, client.secret, client.endpoints.offered),
                client_id=client.id,
                issuer=client.account.quirks.id_token_issuer or client.endpoints.issuer,
                nonce=nonce,
                now=got.server_now,
            )
        except WrongIdToken as error:
            message = msg("{host} sent an id_token {reason}", host=client.host, reason=error.args[0])
            raise self._failed(FailureKind.REFUSED, message) from error
        return replace(got.answer, subject=subject)

    # -- the life of tokens

    async def refresh(self, account: Account, tokens: TokenSet) -> TokenAnswer:
        """New tokens for the refresh token (RFC 6749, 6).

        Scopes are left out, since asking for more than was granted fails, unless the account's `refresh_parameters`
        name them. An id_token for another subject refuses the whole (OpenID Connect Core, 12.2).
        """
        refresh_token = tokens.refresh_token
        client = await self.client_of(account, tokens)
        if refresh_token is None:
            raise ValueError("a refresh was asked for where there is no refresh token")
        scopes = account.scopes or tokens.scopes if "scope" in account.refresh_parameters else ()
        body = _oauthlib(client).prepare_refresh_body(
            refresh_token=refresh_token.reveal(), scope=list(scopes) or None, resource=account.resource
        )
        try:
            got = await self._channel.tokens(client, body, refresh_token)
        except ProviderError as error:
            raise await self._told(client, error) from error
        if tokens.subject is not None and _subject(got.id_token) not in {None, tokens.subject}:
            message = msg("{host} sent an id_token for another subject", host=client.host)
            failure = Failure(FailureKind.REFUSED, message, self._clock.now(), ANOTHER_SUBJECT, keeps_tokens=True)
            raise ProviderError(failure, got.answer.refresh_token)
        return got.answer

    async def revoke(self, account: Account, tokens: TokenSet) -> str | None:
        """Revokes refresh token, then access token (RFC 7009, 2). None when done, else what was not, and why."""
        try:
            client = await self.client_of(account, tokens)
        except ProviderError as error:
            return f"nothing was revoked: {error}"
        if client.endpoints.revocation is None:
            host = host_of(client.endpoints.issuer or client.endpoints.token)
            return f"nothing was revoked: {host} offers no revocation"
        if account.endpoints is not None and not _is_bound(client.endpoints, tokens):
            return "nothing was revoked: revocation_endpoint was changed since the sign-in"
        kept: list[str] = []
        for name, token in (("refresh_token", tokens.refresh_token), ("access_token", tokens.access_token)):
            if token is not None:
                try:
                    await self._revoke_one(client, client.endpoints.revocation, name, token)
                except ProviderError as error:
                    kept.append(f"the {name.replace('_', ' ')} was not revoked: {error}")
        return "; ".join(kept) or None

    async def _revoke_one(self, client: Client, endpoint: str, name: str, token: Secret) -> None:
        from oauthlib.common import urlencode  # its prepare_token_revocation_request refuses http on loopback

        body = urlencode([("token", token.reveal()), ("token_type_hint", name)])
        answer = await self._channel.ask(client, endpoint, body)
        found = members(answer)
        is_unknown = error_code(found) == "invalid_token" or "unknown token" in error_text(found).lower()
        if not 200 <= answer.status < 300 and not is_unknown:  # a token that is not known there is as good as revoked
            raise ProviderError(self._channel.meaning(client, endpoint, answer, token))

    async def forget(self, account: Account) -> None:
        """Lets go of what was registered for the account: there (RFC 7592, 2.3), and here."""
        await self.registrar.forget(account)

    async def _told(self, client: Client, error: ProviderError) -> ProviderError:
        """The error; a registered client that its server does not know is remembered as such."""
        if client.registered and error.failure.code in UNKNOWN:
            await self.registrar.refused(client.account, client.id)
        return error

    def _failed(self, kind: FailureKind, message: str) -> ProviderError:
        return ProviderError(Failure(kind, message, self._clock.now()))


def _is_bound(endpoints: Endpoints, tokens: TokenSet) -> bool:
    """Whether the revocation endpoint is the one of the sign-in, or on the token endpoint's own origin."""
    revocation = endpoints.revocation or ""
    return revocation == tokens.revocation_endpoint or urlsplit(revocation)[:2] == urlsplit(endpoints.token)[:2]


def import_libraries() -> None:
    """Imports what the first request needs. In good time, so that the first click on Sign In does not wait for it."""
    import_oauthlib()
    import_httpx()


def _oauthlib(client: Client) -> WebApplicationClient:
    return import_oauthlib()(client.id)


def _subject(id_token: object) -> object:
    try:
        return claims_of(id_token).get("sub")
    except WrongIdToken:
        return None
