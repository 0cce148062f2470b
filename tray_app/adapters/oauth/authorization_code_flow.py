"""One sign-in through the browser: authorization code, PKCE S256, state, nonce, loopback redirect (RFC 8252)."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from datetime import timedelta
from urllib.parse import urlsplit

from tray_app.adapters.oauth import pages
from tray_app.adapters.oauth.client_auth import Client
from tray_app.adapters.oauth.http_client import AnswerLost
from tray_app.adapters.oauth.loopback_listener import Callback, Listener
from tray_app.adapters.oauth.pasted_answer import pasted_answer
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.adapters.oauth.registrar import UNKNOWN
from tray_app.adapters.oauth.sign_in_attempt import SEE_CONFIGURATION, Attempt, again, failed, sign_in_error
from tray_app.adapters.oauth.web_client import import_oauthlib
from tray_app.base.log import LOG
from tray_app.core.account import Account
from tray_app.core.errors import LamplighterError, Misconfigured, Unavailable
from tray_app.core.message import joined, msg
from tray_app.core.ports import ProviderError, SignInPrompt
from tray_app.core.provider_errors import CONFIGURATION, Failure, plain
from tray_app.core.time_phrasing import span
from tray_app.core.tokens import Secret, TokenAnswer, TokenSet
from tray_app.core.urls import check_redirect_uri

PATIENCE = timedelta(minutes=5)
"""How long a person may take in the browser."""


class SignIn:
    """A sign-in that is prepared: its listener is bound, its URL is ready for a browser. Run it once, or close it."""

    prompt: SignInPrompt

    def __init__(
        self, *, client: Client, provider: OAuthProvider, listener: Listener, state: str, patience: timedelta
    ) -> None:
        self._account = client.account
        self._client = client
        self._provider = provider
        self._listener = listener
        self._state = state
        self._patience = patience
        self._verifier = Secret(secrets.token_urlsafe(64))  # 86 characters of the 43 to 128 allowed (RFC 7636, 4.1)
        self._nonce = secrets.token_urlsafe(32) if "openid" in client.scopes else None
        self._attempt = Attempt(client.account)
        self._is_declined = False

    @classmethod
    async def prepare(
        cls, account: Account, provider: OAuthProvider, *, patience: timedelta = PATIENCE, must_listen: bool = True
    ) -> SignIn:
        """A sign-in that listens already, so that no browser comes back to a closed door.

        Without `must_listen` its answer may be pasted, and a port that cannot be had is no obstacle. Raises
        `RefreshFailed` where the endpoints cannot be found, `Misconfigured`, and `Unavailable` where the port that the
        configuration names is taken.
        """
        await _check_configuration(account, provider)
        state = secrets.token_urlsafe(32)
        listener = await _listening(account, provider, state, must_listen=must_listen)
        try:
            client = await provider.client_for(account, listener.redirect_uri)
            provider.check_token_host(client)
            if (uri := client.redirect_uri_for(listener.redirect_uri)) != listener.redirect_uri:
                await listener.close(b"")
                listener = await Listener.open(uri, state)
            prepared = cls(client=client, provider=provider, listener=listener, state=state, patience=patience)
            await prepared._invite()
        except BaseException:
            await listener.close(b"")
            raise
        return prepared

    async def run(self, keep: Callable[[TokenSet], Awaitable[None]]) -> TokenSet:
        """The tokens, once `keep` has kept them. Raises `LamplighterError`; the browser is then told as well.

        Waits for the browser's answer, exchanges its code once, and says "Signed in" only after `keep`.
        """
        page = pages.failed(self._account.name, msg("the sign-in was interrupted"))
        try:
            tokens = await self._attempt.tokens(self._obtain(), self._client)
            await keep(tokens)
            page = pages.signed_in(self._account.name)
            return tokens
        except LamplighterError as error:
            page = pages.failed(self._account.name, error.what, error.remedy)
            if self._is_declined:
                page = pages.declined(self._account.name, error.what)
            raise
        finally:
            try:
                await self._listener.close(page)
            finally:
                self._attempt.over()

    def paste(self, text: str, *, bare: bool) -> bool:
        """Takes what a person has pasted; False where it is no answer to this sign-in. `bare`: a code alone is one."""
        callback = pasted_answer(text, self._state, bare=bare)
        return callback is not None and self._listener.take(callback)

    async def close(self, why: str = msg("the sign-in was cancelled")) -> None:
        """Ends it: `run` raises `SignInFailed` with `why`. Returns when the port is free again."""
        if not await self._attempt.call_off(why):
            await self._listener.close(b"")

    async def _obtain(self) -> TokenAnswer:
        try:
            async with asyncio.timeout(self._patience.total_seconds()):
                callback = await self._listener.callback()
        except TimeoutError:
            late = msg("nobody finished the sign-in in the browser within {time}", time=span(self._patience))
            if self._listener.had_stray_error:
                late = msg("{failure}; an error came that does not belong to it, and was ignored", failure=late)
            raise failed(self._account, late) from None
        self._check_issuer(callback)
        if callback.code is None:
            raise self._refusal(callback)
        try:
            return await self._provider.exchange(
                self._client,
                code=callback.code,
                verifier=self._verifier,
                redirect_uri=self._listener.redirect_uri,
                state=self._state,
                nonce=self._nonce,
            )
        except AnswerLost as error:
            lost = msg("{failure}, and the code that it was sent is good only once", failure=error.failure.message)
            raise failed(self._account, lost) from error
        except ProviderError as error:
            raise sign_in_error(self._account, error.failure) from error

    def _check_issuer(self, callback: Callback) -> None:
        """Against mix-up: the answer must come from who was asked (RFC 9207, 2.4), an error too.

        A code that a person has copied by hand out of the answer cannot bring it.
        """
        endpoints = self._client.endpoints
        issuer = endpoints.issuer
        missing = callback.iss is None and callback.is_whole and endpoints.iss_in_response
        if callback.iss is not None and issuer is None:  # endpoints by hand: then at least the same origin
            missing = _origin(callback.iss) != _origin(endpoints.authorization)
        if not callback.is_whole and self._provider.needs_iss(self._client):
            whole = msg("a code alone does not tell who gave it; paste the whole address that the browser was sent to")
            raise failed(self._account, whole)
        if missing or (callback.iss is not None and issuer is not None and callback.iss != issuer):
            raise failed(self._account, msg("the browser's answer is not from the issuer that was asked (iss)"))

    def _refusal(self, callback: Callback) -> LamplighterError:
        """What the `error` of an authorization response means (RFC 6749, 4.1.2.1). Its text is a stranger's."""
        code, text = plain(callback.error), plain(callback.error_description or "")
        reason = f"{code}: {text}" if text and self._state not in text else code
        account, host = self._account, urlsplit(self._client.endpoints.authorization).hostname
        if code == "access_denied":
            self._is_declined = True
            return failed(account, msg("the sign-in was declined ({reason})", reason=reason))
        if code in CONFIGURATION or code == "unsupported_response_type":
            refused = msg("{host} refuses the configuration ({reason})", host=host, reason=reason)
            return Misconfigured(joined(": ", (account.name, refused)), SEE_CONFIGURATION)
        if code in {"server_error", "temporarily_unavailable"}:
            what = msg("{host} cannot help now ({reason})", host=host, reason=reason)
            return Unavailable(joined(": ", (account.name, what)), again(account))
        return failed(account, msg("{host} ended the sign-in ({reason})", host=host, reason=reason))

    async def _invite(self) -> None:
        """Makes the URL for the browser; where the server offers it, its parameters are pushed before (RFC 9126)."""
        from oauthlib.common import add_params_to_uri  # prepare_request_uri refuses http on loopback

        parameters = self._parameters()
        if self._client.endpoints.pushed_authorization is not None:
            try:
                request_uri = await self._pushed(parameters)  # which may make another client of us
            except ProviderError as error:
                if not self._can_do_without_pushing(error.failure):
                    raise
                LOG.warning("%s: %s; asked without pushing (RFC 9126)", self._account.name, error.failure.message)
                parameters = self._parameters()
            else:
                parameters = [("client_id", self._client.id), ("request_uri", request_uri)]
        self.prompt = SignInPrompt(add_params_to_uri(self._client.endpoints.authorization, parameters))

    def _can_do_without_pushing(self, failure: Failure) -> bool:
        """Whether the server offers pushed requests, does not take this one, and does not demand it.

        A client without a secret may be refused with any word; what is said of a client with one is told.
        """
        if self._client.endpoints.requires_pushed_authorization or failure.status is None:
            return False
        if failure.status >= 500 or failure.code == "unauthorized_client":
            return True
        if failure.status == 401 and self._client.secret is None:
            return True
        return failure.status in {401, 403, 404, 405} and failure.code is None

    async def _pushed(self, parameters: list[tuple[str, str]]) -> str:
        try:
            return await self._provider.push(self._client, parameters)
        except ProviderError as error:
            if not self._client.registered or error.failure.code not in UNKNOWN:
                raise
        self._client = await self._provider.client_for(self._account, self._listener.redirect_uri)  # a new one
        return await self._provider.push(self._client, self._parameters())

    def _parameters(self) -> list[tuple[str, str]]:
        """RFC 6749, 4.1.1; RFC 7636, 4.3; RFC 8707, 2. What the endpoint's URL already asks stays in it (3.1)."""
        client = import_oauthlib()("")
        parameters = {
            "response_type": "code",
            "client_id": self._client.id,
            "redirect_uri": self._listener.redirect_uri,
            "scope": " ".join(self._client.scopes),
            "state": self._state,
            "nonce": self._nonce,
            "code_challenge": client.create_code_challenge(self._verifier.reveal(), "S256"),
            "code_challenge_method": "S256",
            "resource": self._account.resource,
        }
        if self._client.wants_consent:
            parameters["prompt"] = "consent"
        return [
            *((name, value) for name, value in parameters.items() if value),
            *self._account.authorization_parameters.items(),
        ]


def _origin(url: str) -> tuple[str, str] | None:
    try:
        parts = urlsplit(url)
    except ValueError:  # a stranger wrote it
        return None
    return parts.scheme, parts.netloc


async def _check_configuration(account: Account, provider: OAuthProvider) -> None:
    """Raises `Misconfigured` where a sign-in through the browser cannot go well."""
    reason = check_redirect_uri(account.redirect_uri)
    if reason is not None:
        what = joined(": ", (account.name, joined(" ", ("redirect_uri", reason))))
        raise Misconfigured(what, SEE_CONFIGURATION)
    if account.quirks.needs_client_secret and not await provider.has_client_secret(account):
        what = msg("{name}: this provider demands the client secret of your app", name=account.name)
        raise Misconfigured(what, msg("Store it: lamplighter secret set {name}", name=account.name))


async def _listening(account: Account, provider: OAuthProvider, state: str, *, must_listen: bool) -> Listener:
    """The listener, on the port of a registered client where that is free: some servers know no other."""
    preferred = await provider.preferred_redirect_uri(account)
    for uri in dict.fromkeys((preferred, account.redirect_uri)):
        try:
            return await Listener.open(uri, state)
        except OSError as error:
            if uri == account.redirect_uri and must_listen:
                raise _taken(account) from error
    return Listener(account.redirect_uri, state)


def _taken(account: Account) -> Unavailable:
    port = urlsplit(account.redirect_uri).port
    reason = msg("port {port} is taken by another program", port=port) if port else msg("no loopback port can be had")
    return Unavailable(
        msg("{name}: {reason}, so the browser could not bring the sign-in back", name=account.name, reason=reason),
        msg("End that program, or name another port in redirect_uri"),
    )
