"""What a person configured, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from types import MappingProxyType
from typing import Literal

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
    """What it calls `invalid_grant`."""
    configuration_codes: frozenset[str] = frozenset()
    """What it calls `invalid_client` and its like."""
    assumed_lifetime: timedelta | None = None
    """Lifetime of an access token whose response states none."""
    id_token_issuer: str | None = None
    """The `iss` of its id_tokens, with `{tid}` for the claim of that name."""
    needs_client_secret: bool = False
    """A sign-in through the browser cannot do without one."""


STANDARD = Quirks()

AuthMethod = Literal["client_secret_basic", "client_secret_post"]


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
    auth_method: AuthMethod | None = None
    """How a client with a secret authenticates (RFC 6749, 2.3.1); None: as the server's metadata says."""
    quirks: Quirks = STANDARD
    policy: RefreshPolicy = field(default_factory=RefreshPolicy)
    on_refresh: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    command: str | None = None
    directory: str | None = None
    bound_to: str = field(init=False, repr=False, compare=False)
    """What this account's tokens are bound to: after a change they are not sent anywhere."""

    def __post_init__(self) -> None:
        token_endpoint = self.endpoints.token if self.endpoints else None
        places = (self.issuer, token_endpoint, self.resource, self.provider, self.client_id)
        # once, and not at each look at each of a thousand accounts
        object.__setattr__(self, "bound_to", " ".join(place for place in places if place))


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole of `config.toml`."""

    accounts: Mapping[str, Account] = field(default_factory=dict)
    store: Literal["keyring", "memory"] = "keyring"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
