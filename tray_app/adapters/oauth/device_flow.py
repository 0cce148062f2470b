"""A sign-in on another device: the person opens a page there and enters a short code (RFC 8628)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from tray_app.adapters.oauth.client_auth import Client
from tray_app.adapters.oauth.device_code import LONGEST_INTERVAL, DeviceCode
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.adapters.oauth.registrar import UNKNOWN
from tray_app.adapters.oauth.sign_in_attempt import Attempt, failed, sign_in_error
from tray_app.core.account import Account
from tray_app.core.errors import Misconfigured
from tray_app.core.message import joined, msg
from tray_app.core.ports import Clock, ProviderError, SignInPrompt
from tray_app.core.provider_errors import FailureKind
from tray_app.core.tokens import TokenAnswer, TokenSet

SLOWER = 5.0
"""Seconds that each `slow_down` adds for good (RFC 8628, 3.5)."""

Sleep = Callable[[float], Awaitable[None]]


class DeviceSignIn:
    """A sign-in whose code waits to be entered. Run it once, or close it."""

    prompt: SignInPrompt

    def __init__(
        self, client: Client, provider: OAuthProvider, code: DeviceCode, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> None:
        self._client = client
        self._provider = provider
        self._code = code
        self._clock = clock
        self._sleep = sleep
        self._attempt = Attempt(client.account)
        url = code.complete_uri or code.verification_uri
        self.prompt = SignInPrompt(url, code.user_code, code.verification_uri, code.expires_at)

    @classmethod
    async def prepare(
        cls, account: Account, provider: OAuthProvider, clock: Clock, sleep: Sleep = asyncio.sleep
    ) -> DeviceSignIn:
        """A sign-in with its code. Raises `RefreshFailed`, and `Misconfigured` where the provider offers none."""
        client = await provider.client_for(account, None)
        if client.endpoints.device_authorization is None:
            what = msg("{host} offers no sign-in on another device", host=client.host)
            paste = msg("Sign in with: {command}", command=f"lamplighter login {account.name} --paste")
            raise Misconfigured(joined(": ", (account.name, what)), paste)
        provider.check_token_host(client, client.endpoints.device_authorization)
        try:
            code = await provider.device_code(client)
        except ProviderError as error:
            if not client.registered or error.failure.code not in UNKNOWN:
                raise
            client = await provider.client_for(account, None)  # a new one
            code = await provider.device_code(client)
        return cls(client, provider, code, clock, sleep)

    async def run(self, keep: Callable[[TokenSet], Awaitable[None]]) -> TokenSet:
        """The tokens, once `keep` has kept them. Raises `LamplighterError`."""
        try:
            tokens = await self._attempt.tokens(self._obtain(), self._client)
            await keep(tokens)
            return tokens
        finally:
            self._attempt.over()

    def paste(self, _text: str, *, bare: bool) -> bool:  # noqa: ARG002 - as `SignIn` has it
        """Nothing can be pasted here: the answer comes by itself."""
        return False

    async def close(self, why: str = msg("the sign-in was cancelled")) -> None:
        """Ends it: `run` raises `SignInFailed` with `why`."""
        await self._attempt.call_off(why)

    async def _obtain(self) -> TokenAnswer:
        """Asks until the person has agreed; as often as the server allows, and never after the code's end."""
        interval = self._code.interval
        while True:
            await self._sleep(interval)
            if self._clock.now() >= self._code.expires_at:
                raise failed(self._client.account, msg("nobody entered the code before it ended"))
            try:
                return await self._provider.device_tokens(self._client, self._code)
            except ProviderError as error:
                interval = self._next_interval(interval, error)

    def _next_interval(self, interval: float, error: ProviderError) -> float:
        """How long to wait after this answer (RFC 8628, 3.5). Raises where it is the last one."""
        account, failure = self._client.account, error.failure
        match failure.code:
            case "authorization_pending":
                return interval
            case "slow_down":
                return min(interval + SLOWER, LONGEST_INTERVAL)
            case "access_denied" | "authorization_declined" as code:
                raise failed(account, msg("the sign-in was declined ({reason})", reason=code)) from error
            case "expired_token":
                raise failed(account, msg("nobody entered the code before it ended")) from error
            case "bad_verification_code" | "incorrect_device_code" as code:
                what = msg("{host} ended the sign-in ({reason})", host=self._client.host, reason=code)
                raise failed(account, what) from error
            case _ if failure.kind in _PASSING:  # an outage, or a word that nobody knows: asked again until the end
                asked_to_wait = failure.not_before - self._clock.now() if failure.not_before else timedelta(0)
                return max(min(interval * 2, LONGEST_INTERVAL), asked_to_wait.total_seconds())
            case _:
                raise sign_in_error(account, failure) from error


_PASSING = frozenset({FailureKind.UNREACHABLE, FailureKind.UNTRUSTED, FailureKind.THROTTLED})
