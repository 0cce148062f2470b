"""Who we are at an authorization server: the client of an account, and how it proves so (RFC 6749, 2.3.1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from tray_app.core.account import Account, AuthMethod, Endpoints
from tray_app.core.message import msg
from tray_app.core.tokens import Secret


@dataclass(frozen=True, slots=True)
class Client:
    """An account's client at the server that was found for it. The configuration may name neither."""

    account: Account
    endpoints: Endpoints
    id: str
    secret: Secret | None = None
    method: AuthMethod | None = None
    """As the client was registered; None: as configuration or metadata have it."""
    scopes: tuple[str, ...] = ()
    """What a sign-in asks for."""

    @property
    def wants_consent(self) -> bool:
        """Whether `prompt=consent` belongs to the scopes that we chose ourselves (OpenID Connect Core, 11)."""
        offered = self.endpoints.offered
        is_openid = offered is not None and "openid" in offered.scopes
        chosen = not self.account.scopes and "prompt" not in self.account.authorization_parameters
        return chosen and is_openid and "offline_access" in self.scopes

    @property
    def host(self) -> str:
        """The server in a message."""
        return host_of(self.endpoints.token)

    @property
    def registered(self) -> bool:
        """Whether we registered it ourselves (RFC 7591)."""
        return self.account.client_id is None

    def authenticated(self, body: str) -> tuple[str, dict[str, str]]:
        """The form, and the headers to send with it, in the name of this client. Its secret goes into no URL."""
        if self.secret is None:
            return _with(body, client_id=self.id), {}
        if (self.method or _usual_method(self.account, self.endpoints)) == "client_secret_post":
            return _with(body, client_id=self.id, client_secret=self.secret.reveal()), {}
        pair = f"{quote_plus(self.id)}:{quote_plus(self.secret.reveal())}"  # encoded first, as the RFC has it
        return body, {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode()}"}


def host_of(url: str) -> str:
    """The host in a message."""
    return urlsplit(url).hostname or msg("the provider")


def _usual_method(account: Account, endpoints: Endpoints) -> AuthMethod:
    """As configured; else Basic, which every server must know, unless its metadata leaves it out (RFC 8414, 2).

    Where endpoints were named by hand, providers without metadata are met, and those read the form.
    """
    if account.auth_method is not None:
        return account.auth_method
    offered = endpoints.offered
    if offered is None or (offered.auth_methods and "client_secret_basic" not in offered.auth_methods):
        return "client_secret_post"
    return "client_secret_basic"


def _with(body: str, **parameters: str) -> str:
    named = {name for name, _ in parse_qsl(body)}  # a pushed authorization request names its client anyhow
    more = urlencode({name: value for name, value in parameters.items() if name not in named})
    return "&".join(part for part in (body, more) if part)
