"""What a person configured, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

from tray_app.core.tokens import TokenSet

NOTHING: Mapping[str, str] = MappingProxyType({})

RESERVED_PARAMETERS = frozenset(
    {
        "response_type",
        "client_id",
        "redirect_uri",
        "scope",
        "state",
        "nonce",
        "code_challenge",
        "code_challenge_method",
        "response_mode",
        "request",
        "request_uri",
        "resource",
    }
)
"""What extra parameters of the authorization request may not override (RFC 6749, 4.1.1; RFC 7636, 4.3)."""

DEFAULT_REDIRECT_URI = "http://127.0.0.1/callback"


@dataclass(frozen=True, slots=True)
class RefreshPolicy:
    """When a refresh is due."""

    refresh_before: timedelta = timedelta(minutes=10)
    refresh_every: timedelta | None = None


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait after a failure: from `first`, doubling, up to `limit`."""

    first: timedelta = timedelta(seconds=1)
    limit: timedelta = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Endpoints:
    """Where an authorization server listens, named by hand or found by discovery (RFC 8414)."""

    authorization: str
    token: str
    revocation: str | None = None
    device_authorization: str | None = None
    issuer: str | None = None
    iss_in_response: bool = False
    """The server promises `iss` in its authorization response (RFC 9207, 3)."""
    pushed_authorization: str | None = None
    """Where authorization requests are pushed to (RFC 9126, 5)."""
    requires_pushed_authorization: bool = False
    """The server takes no others."""
    registration: str | None = None
    """Where clients register themselves (RFC 7591)."""
    offered: Offered | None = None
    """What the server's metadata lists as supported; None where there is no metadata."""


@dataclass(frozen=True, slots=True)
class Offered:
    """Lists of a server's metadata (RFC 8414, 2). An empty one says nothing."""

    scopes: tuple[str, ...] = ()
    grant_types: tuple[str, ...] = ()
    auth_methods: tuple[str, ...] = ()
    id_token_algorithms: tuple[str, ...] = ()
    publishes_keys: bool = False
    """The metadata has a `jwks_uri`."""


@dataclass(frozen=True, slots=True)
class Quirks:
    """How a provider departs from the standards; from its preset (`oauth/presets.toml`)."""

    refused_codes: frozenset[str] = frozenset()
    """What it calls `invalid_grant`: a code, or the whole of a message where it has no codes."""
    bearer_types: frozenset[str] = frozenset()
    """What it calls Bearer, in small letters."""
    configuration_codes: frozenset[str] = frozenset()
    """What it calls `invalid_client` and its like."""
    assumed_lifetime: timedelta | None = None
    """Lifetime of an access token whose response states none."""
    id_token_issuer: str | None = None
    """The `iss` of its id_tokens, with `{tid}` for the claim of that name."""
    token_hosts: frozenset[str] = frozenset()
    """Hosts that its token endpoint may be on, although its authorization endpoint is elsewhere."""
    needs_client_secret: bool = False
    """A sign-in through the browser cannot do without one."""


STANDARD = Quirks()

AuthMethod = Literal["client_secret_basic", "client_secret_post", "none"]


@dataclass(frozen=True, slots=True)
class Account:
    """One `[accounts.NAME]` of the configuration."""

    name: str
    client_id: str | None = None
    issuer: str | None = None
    endpoints: Endpoints | None = None
    resource: str | None = None
    provider: str | None = None
    scopes: tuple[str, ...] = ()
    redirect_uri: str = DEFAULT_REDIRECT_URI
    token_request: Literal["form", "json"] = "form"  # noqa: S105 - a dialect, no secret
    authorization_parameters: Mapping[str, str] = field(default_factory=lambda: NOTHING)
    exchange_parameters: tuple[str, ...] = ()
    refresh_parameters: tuple[str, ...] = ()
    """What of the sign-in is repeated at a refresh: "scope" or nothing (RFC 6749, 6; some of Entra wants it)."""
    auth_method: AuthMethod | None = None
    """How a client with a secret authenticates (RFC 6749, 2.3.1); None: as the server's metadata says."""
    quirks: Quirks = STANDARD
    policy: RefreshPolicy = field(default_factory=RefreshPolicy)
    on_refresh: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    command: str | None = None
    directory: str | None = None
    allow_token_host: str | None = None
    """The token endpoint may be on this host, although the authorization endpoint is on another one."""
    bound_to: str = field(init=False, repr=False, compare=False)
    """What the tokens of this account belong to, by key and value: a change of it must not send them elsewhere."""

    def __post_init__(self) -> None:
        places = {
            "issuer": self.issuer,
            "token_endpoint": self.endpoints.token if self.endpoints else None,
            "resource": self.resource,
            "provider": self.provider,
            "client_id": self.client_id,
        }
        # once, and not at each look at each of a thousand accounts
        object.__setattr__(self, "bound_to", _bound(places))

    @property
    def finds_issuer(self) -> bool:
        """Whether the issuer is not configured but found by the resource's metadata."""
        return self.issuer is None and self.endpoints is None

    @property
    def secret_bound_to(self) -> str:
        """What the client secret belongs to: the same, and every endpoint that it could be sent to."""
        endpoints = self.endpoints
        named = {
            "revocation_endpoint": endpoints.revocation if endpoints else None,
            "device_authorization_endpoint": endpoints.device_authorization if endpoints else None,
        }
        return " ".join(part for part in (self.bound_to, _bound(named)) if part)

    def rebound(self, tokens: TokenSet | None) -> TokenSet | None:
        """The tokens from the store; those of a version that kept the values without their keys are bound anew.

        Without keys an issuer looked like a resource of the same address. Who found its issuer has kept it, so the two
        are told apart all the same.
        """
        if tokens is None or (tokens.issuer is not None) != self.finds_issuer:
            return tokens
        values = (self.issuer, self.endpoints.token if self.endpoints else None, self.resource, self.provider)
        before = " ".join(value for value in (*values, self.client_id) if value)
        return replace(tokens, bound_to=self.bound_to) if tokens.bound_to == before else tokens


def _bound(places: Mapping[str, str | None]) -> str:
    return " ".join(f"{key}={value}" for key, value in places.items() if value)


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole of `config.toml`."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    store: Literal["keyring", "memory"] = "keyring"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
