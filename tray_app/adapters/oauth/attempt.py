"""What every sign-in has in common: it can be called off until its tokens are being kept, and its failures are told."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any

from tray_app.adapters.oauth.client_auth import Client
from tray_app.core.account import Account
from tray_app.core.errors import LamplighterError, Misconfigured, SignInFailed, StoreUnavailable, Unavailable
from tray_app.core.failure import Failure, FailureKind, configuration_remedy
from tray_app.core.message import joined, msg
from tray_app.core.tokens import TokenAnswer, TokenSet, merged

SEE_CONFIGURATION = msg("See the configuration: {command}", command="lamplighter config check")


class Attempt:
    """Obtains the tokens of one sign-in, unless it is called off before."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._obtaining: asyncio.Task[TokenAnswer] | None = None
        self._called_off_because: str | None = None
        self._over = asyncio.Event()

    async def tokens(self, obtain: Coroutine[Any, Any, TokenAnswer], client: Client) -> TokenSet:
        """What `obtain` brings, and whom it belongs to. Raises `SignInFailed` when it is called off."""
        self._obtaining = asyncio.ensure_future(obtain)
        if self._called_off_because is not None:
            self._obtaining.cancel()
        try:
            answer = await self._obtaining
        except asyncio.CancelledError:
            if self._called_off_because is None:
                raise
            raise failed(self._account, self._called_off_because) from None
        account = self._account
        found = merged(None, answer, requested_scopes=client.scopes, bound_to=account.bound_to)
        is_found = account.issuer is None and account.endpoints is None
        return replace(
            found,
            issuer=client.endpoints.issuer if is_found else None,
            client_id=client.id if client.registered else None,
            revocation_endpoint=account.endpoints.revocation if account.endpoints else None,
        )

    def over(self) -> None:
        """Nothing of it is left."""
        self._over.set()

    async def call_off(self, why: str) -> bool:
        """Ends it, and returns when nothing of it is left; False where it had not begun, so there is nobody to tell.

        Tokens that are being kept already are kept to the end: half a write would be worse than a late cancel.
        """
        self._called_off_because = why
        if self._obtaining is None:
            return False
        self._obtaining.cancel()
        await self._over.wait()
        return True


def failed(account: Account, what: str) -> SignInFailed:
    """The sign-in is over, and another one may go better."""
    return SignInFailed(joined(": ", (account.name, what)), again(account))


def sign_in_error(account: Account, failure: Failure) -> LamplighterError:
    """A provider's failure during a sign-in as the error that is told, with its exit code."""
    what = joined(": ", (account.name, failure.message))
    match failure.kind:
        case FailureKind.REFUSED:
            return SignInFailed(what, again(account))
        case FailureKind.MISCONFIGURED:
            return Misconfigured(what, configuration_remedy(account.name, failure, f"lamplighter login {account.name}"))
        case FailureKind.STORE:
            return StoreUnavailable(what, reason=failure.code or "broken")
        case _:
            return Unavailable(what, again(account), failure.not_before)


def again(account: Account) -> str:
    """What helps where a sign-in did not go well."""
    return msg("Sign in again: {command}", command=f"lamplighter login {account.name}")
