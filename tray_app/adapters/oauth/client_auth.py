"""Who we are at an authorization server: the client of an account, and how it proves so (RFC 6749, 2.3.1)."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from enum import Enum, auto
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from tray_app.adapters.oauth.registration import on_localhost
from tray_app.core.account import Account, AuthMethod, Endpoints
from tray_app.core.failure import Answer, error_code, error_text, members
from tray_app.core.message import msg
from tray_app.core.tokens import Secret


class Proof(Enum):
    """How a client proves who it is (RFC 6749, 2.3.1), with what servers expect of it beyond the standard."""

    NONE = auto()
    """A public client: its id alone."""
    POST = auto()
    """Id and secret in the form."""
    BASIC = auto()
    """Id and secret in the header, form-encoded; the id in the form as well, since many look for it there alone."""
    BASIC_WITHOUT_ID = auto()
    """The same, for a server that takes the id in the form for a second proof."""
    BASIC_UNENCODED = auto()
    """The same as BASIC, for a server that does not decode what the header holds."""


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
    redirect_uris: tuple[str, ...] = ()
    """What a registered client was registered with; empty for one that the person named."""

    @property
    def wants_consent(self) -> bool:
        """Whether `offline_access` needs `prompt=consent` (OpenID Connect Core, 11)."""
        offered = self.endpoints.offered
        is_openid = offered is not None and "openid" in offered.scopes
        return is_openid and "offline_access" in self.scopes and "prompt" not in self.account.authorization_parameters

    def redirect_uri_for(self, listening_at: str) -> str:
        """What to send as redirect URI: as we listen, or by the name `localhost` where only that was registered."""
        return on_localhost(listening_at) if on_localhost(listening_at) in self.redirect_uris else listening_at

    @property
    def host(self) -> str:
        """The server in a message."""
        return host_of(self.endpoints.token)

    @property
    def registered(self) -> bool:
        """Whether we registered it ourselves (RFC 7591)."""
        return self.account.client_id is None

    @property
    def proof(self) -> Proof:
        """The proof that standard, configuration and metadata ask for.

        Basic that was asked for by name is sent without a secret, too: some servers want just that.
        """
        method = self.method or _usual_method(self.account, self.endpoints)
        if method == "none":
            return Proof.NONE
        if self.secret is None:
            return Proof.BASIC if self.account.auth_method == "client_secret_basic" else Proof.NONE
        return Proof.POST if method == "client_secret_post" else Proof.BASIC

    def other_proofs(self, proof: Proof, answer: Answer) -> tuple[Proof, ...]:
        """What to try after this answer to this proof: nothing, unless the answer is about the proof."""
        if proof is not Proof.BASIC:
            return ()
        body = members(answer)
        code, text = error_code(body), error_text(body).lower()
        if code == "invalid_request" and ("client_id" in text or "multiple" in text or "more than one" in text):
            return (Proof.BASIC_WITHOUT_ID,)
        secret = self.secret.reveal() if self.secret else ""
        if code == "invalid_client" and (quote_plus(self.id), quote_plus(secret)) != (self.id, secret):
            is_chosen = (self.method or self.account.auth_method) is not None
            return (Proof.BASIC_UNENCODED,) if is_chosen else (Proof.BASIC_UNENCODED, Proof.POST)
        return ()

    def authenticated(self, body: str, proof: Proof | None = None) -> tuple[str, dict[str, str]]:
        """The form, and the headers to send with it, in the name of this client. Its secret goes into no URL."""
        proof, secret = proof or self.proof, self.secret.reveal() if self.secret else ""
        if proof is Proof.NONE:
            return _with(body, client_id=self.id), {}
        if proof is Proof.POST:
            return _with(body, client_id=self.id, client_secret=secret), {}
        encoded = (self.id, secret) if proof is Proof.BASIC_UNENCODED else (quote_plus(self.id), quote_plus(secret))
        header = {"Authorization": f"Basic {base64.b64encode(':'.join(encoded).encode()).decode()}"}
        return (body if proof is Proof.BASIC_WITHOUT_ID else _with(body, client_id=self.id)), header


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
