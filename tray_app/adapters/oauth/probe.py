"""A first look at the provider of an account that is being added."""

from __future__ import annotations

from dataclasses import dataclass, replace

from tray_app.adapters.oauth.client_auth import host_of
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.core.account import Account, Endpoints, Offered
from tray_app.core.failure import Failure, FailureKind
from tray_app.core.ports import Clock, ProviderError


@dataclass(frozen=True, slots=True)
class Look:
    """What was found: scopes to ask for, with what they need beside them, or why nothing was found yet."""

    scopes: tuple[str, ...] = ()
    wants_consent: bool = False
    unreachable: str | None = None
    hosts: tuple[str, ...] = ()
    """Where a sign-in leads: the page that is opened, and the server that its answer is handed to."""
    issuer: str | None = None


async def look(account: Account, clock: Clock, provider: OAuthProvider) -> Look:
    """Asks the account's provider for its metadata. Signs nobody in and registers nothing.

    Raises `RefreshFailed` where the account could not work as it is; a provider that cannot be reached is no reason.
    """
    try:
        endpoints = await provider.endpoints(account)
    except ProviderError as error:
        if error.failure.kind is FailureKind.MISCONFIGURED:
            raise
        address = account.issuer or account.resource or ""
        return Look(unreachable=error.failure.message, hosts=(host_of(address),) if address else ())
    if account.client_id is None and endpoints.registration is None:
        what = f"{endpoints.issuer} registers no clients by itself; name the one that it gave you: --client-id ID"
        raise ProviderError(Failure(FailureKind.MISCONFIGURED, what, clock.now()))
    hosts = tuple(dict.fromkeys((host_of(endpoints.authorization), host_of(endpoints.token))))
    if account.scopes or account.resource or account.endpoints:
        return Look(hosts=hosts, issuer=endpoints.issuer)
    return replace(_usual(endpoints), hosts=hosts, issuer=endpoints.issuer)


def _usual(endpoints: Endpoints) -> Look:
    """Who signs in, and a refresh token: with the consent that a server may demand for it (OpenID Connect Core, 11)."""
    known = (endpoints.offered or Offered()).scopes
    scopes = tuple(one for one in ("openid", "offline_access") if one in known)
    return replace(Look(scopes), wants_consent="openid" in scopes and "offline_access" in scopes)
