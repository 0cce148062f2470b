"""A client that registers itself where the person has none (RFC 7591); what comes back is read and kept. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Self, cast, get_args
from urllib.parse import urlsplit, urlunsplit

from tray_app.core.account import AuthMethod, Endpoints, Offered
from tray_app.core.provider_errors import Answer, members
from tray_app.core.tokens import Secret
from tray_app.core.urls import check_endpoint_url

NAME = "Lamplighter"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
_ALGORITHMS = ("ES256", "PS256", "RS256", "EdDSA", "ES384", "RS384", "PS384", "ES512", "RS512", "PS512")


@dataclass(frozen=True, slots=True)
class Registration:
    """A client that a server has given us. Its secrets go into the keyring alone."""

    issuer: str
    client_id: str
    redirect_uris: tuple[str, ...]
    secret: Secret | None = None
    method: AuthMethod | None = None
    access_token: Secret | None = None
    """Opens `client_uri`, where the client can be looked at and deleted (RFC 7592)."""
    client_uri: str | None = None
    secret_expires_at: datetime | None = None
    refused: bool = False
    """The server has said that it does not know this client any more."""

    def serves(self, issuer: str | None, redirect_uri: str | None, now: datetime) -> bool:
        """Whether a sign-in can use it: the right server, a redirect URI that it knows, and not at its end."""
        at_end = self.refused or (self.secret_expires_at is not None and self.secret_expires_at <= now)
        if self.issuer != issuer or at_end:
            return False
        if redirect_uri is None or redirect_uri in self.redirect_uris:
            return True
        return self.redirect_uris == (without_port(redirect_uri),)

    @property
    def preferred_redirect_uri(self) -> str:
        """The one with a port: a server that compares letter by letter knows no other port."""
        return next((uri for uri in self.redirect_uris if urlsplit(uri).port), self.redirect_uris[0])

    def gone(self) -> Self:
        """The same, and the server does not know it any more."""
        return replace(self, refused=True)


def without_port(uri: str) -> str:
    """As a server takes it that lets the port of loopback vary (RFC 8252, 7.3)."""
    parts = urlsplit(uri)
    host = parts.hostname or ""
    return urlunsplit(parts._replace(netloc=f"[{host}]" if ":" in host else host))


def on_localhost(uri: str) -> str:
    """The same by name: some servers take no address (RFC 8252, 8.3 advises against it)."""
    parts = urlsplit(uri)
    return urlunsplit(parts._replace(netloc=f"localhost:{parts.port}" if parts.port else "localhost"))


def to_text(registrations: Sequence[Registration]) -> Secret:
    """For the keyring."""
    return Secret(json.dumps([_facts(one) for one in registrations]))


def from_text(text: Secret | None) -> tuple[Registration, ...]:
    """The registrations that `to_text` wrote; none for anything else: then a new one is made."""
    try:
        return tuple(_registration(facts) for facts in json.loads(text.reveal())) if text else ()
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()


def _facts(one: Registration) -> dict[str, Any]:
    return {
        "issuer": one.issuer,
        "client_id": one.client_id,
        "redirect_uris": one.redirect_uris,
        "method": one.method,
        "client_uri": one.client_uri,
        "refused": one.refused,
        "secret": one.secret and one.secret.reveal(),
        "access_token": one.access_token and one.access_token.reveal(),
        "secret_expires_at": one.secret_expires_at and one.secret_expires_at.timestamp(),
    }


def _registration(facts: Mapping[str, Any]) -> Registration:
    return Registration(
        **{name: facts[name] for name in ("issuer", "client_id", "method", "client_uri", "refused")},
        redirect_uris=tuple(facts["redirect_uris"]),
        secret=_secret(facts, "secret"),
        access_token=_secret(facts, "access_token"),
        secret_expires_at=_moment(facts["secret_expires_at"]),
    )


def request_body(
    endpoints: Endpoints,
    redirect_uris: tuple[str, ...],
    scopes: tuple[str, ...],
    *,
    with_device: bool = True,
    with_refresh: bool = True,
) -> str:
    """The metadata of our client (RFC 7591, 2): native, with the way to prove itself that most servers get right."""
    offered = endpoints.offered or Offered()
    device = (DEVICE_GRANT,) if with_device and DEVICE_GRANT in offered.grant_types else ()
    refresh = ("refresh_token",) if with_refresh else ()
    body: dict[str, Any] = {
        "client_name": NAME,
        "application_type": "native",
        "redirect_uris": redirect_uris,
        "response_types": ["code"],
        "grant_types": ["authorization_code", *refresh, *device],
        "token_endpoint_auth_method": usual_method(offered.auth_methods),
    }
    if scopes and (not offered.scopes or set(scopes) <= set(offered.scopes)):  # some refuse what a resource alone knows
        body["scope"] = " ".join(scopes)
    if offered.id_token_algorithms and "RS256" not in offered.id_token_algorithms:  # which is the default
        algorithm = next((one for one in _ALGORITHMS if one in offered.id_token_algorithms), None)
        body |= {"id_token_signed_response_alg": algorithm} if algorithm else {}
    return json.dumps(body)


def registration_of(answer: Answer, endpoints: Endpoints, redirect_uris: tuple[str, ...]) -> Registration | None:
    """The client that was registered (RFC 7591, 3.2.1; RFC 7592, 3); None where the answer gives none."""
    found = members(answer) if 200 <= answer.status < 300 else {}
    client_id = found.get("client_id")
    if not isinstance(client_id, str) or not client_id.isprintable() or not client_id or endpoints.issuer is None:
        return None
    if not f"{client_id}{found.get('client_secret')}".isascii():  # VSCHAR (RFC 6749, appendix A.1 and A.2)
        return None
    secret, token, uri = (
        found.get(name) for name in ("client_secret", "registration_access_token", "registration_client_uri")
    )
    asked_for = usual_method((endpoints.offered or Offered()).auth_methods)
    method = found.get("token_endpoint_auth_method") or asked_for  # what the answer says wins
    return Registration(
        issuer=endpoints.issuer,
        client_id=client_id,
        redirect_uris=redirect_uris,
        secret=Secret(secret) if isinstance(secret, str) and secret and method != "none" else None,
        method=cast("AuthMethod", method) if method in get_args(AuthMethod) else None,
        access_token=Secret(token) if isinstance(token, str) and token.isprintable() and token else None,
        client_uri=uri if _is_of(uri, endpoints.registration) else None,
        secret_expires_at=_moment(found.get("client_secret_expires_at") or None),
    )


def usual_method(offered: tuple[str, ...]) -> str:
    """How a client of ours proves itself where the server lists these methods; empty: it lists none."""
    known = ("client_secret_post", "none", "client_secret_basic")
    return next((one for one in known if one in offered), "client_secret_basic")  # which is the default of RFC 8414


def _is_of(uri: object, registration: str | None) -> bool:
    """Whether our access token may be sent there: to the server that gave it, and nobody else."""
    if not isinstance(uri, str) or check_endpoint_url(uri):
        return False
    return urlsplit(uri)[:2] == urlsplit(registration or "")[:2]


def _secret(found: Mapping[str, Any], name: str) -> Secret | None:
    return Secret(found[name]) if isinstance(found[name], str) else None


def _moment(seconds: object) -> datetime | None:
    """0 is no end (RFC 7591, 3.2.1), and what no calendar holds is none either."""
    try:
        return datetime.fromtimestamp(seconds, UTC) if isinstance(seconds, int | float) and seconds else None
    except (ValueError, OverflowError, OSError):
        return None
