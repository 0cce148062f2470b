"""Which kind of sign-in it is: in a browser here, pasted, or on another device."""

from __future__ import annotations

from tray_app.adapters.oauth.authorization_code_flow import SignIn
from tray_app.adapters.oauth.device_flow import DeviceSignIn
from tray_app.adapters.oauth.provider import OAuthProvider
from tray_app.base.log import LOG
from tray_app.core.account import Account
from tray_app.core.errors import Misconfigured
from tray_app.core.ports import Clock, Flow, ProviderError


async def prepared(account: Account, provider: OAuthProvider, flow: Flow, clock: Clock) -> SignIn | DeviceSignIn:
    """The sign-in of that kind. "elsewhere": on another device where the provider offers that, else pasted.

    Raises `RefreshFailed` and `LamplighterError`.
    """
    if flow == "device":
        return await DeviceSignIn.prepare(account, provider, clock)
    if flow == "elsewhere" and (await provider.endpoints(account)).device_authorization is not None:
        try:
            return await DeviceSignIn.prepare(account, provider, clock)
        except (ProviderError, Misconfigured) as error:  # this client may not do so: many are for browsers alone
            LOG.info("%s: no sign-in on another device: %s", account.name, error)
    return await SignIn.prepare(account, provider, must_listen=flow == "browser")
