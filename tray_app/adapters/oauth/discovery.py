"""Where an issuer's endpoints are, by its metadata (RFC 8414; OpenID Connect Discovery 1.0). Pure: asks nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tray_app.core.account import Endpoints, Offered
from tray_app.core.failure import Answer, members, plain
from tray_app.core.message import msg
from tray_app.core.urls import check_endpoint_url

_WORD = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class WrongMetadata(Exception):
    """The metadata cannot be trusted or used; says why, to be read after the issuer's host."""


def metadata_urls(issuer: str) -> tuple[str, str]:
    """Where the metadata may be: RFC 8414, 3.1 (before the issuer's path), then OpenID Connect (after it)."""
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    return (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}{path}/.well-known/openid-configuration",
    )


def endpoints_of(answer: Answer, issuer: str) -> Endpoints | None:
    """The endpoints that the metadata names; None where the answer is no metadata.

    Raises `WrongMetadata` where it is another issuer's (RFC 8414, 3.3: identical, a slash counts), names an endpoint
    that secrets may not be sent to, or says that the issuer cannot do what a sign-in needs.
    """
    metadata = members(answer) if answer.status == 200 else {}
    if "issuer" not in metadata:
        return None
    if metadata["issuer"] != issuer:
        raise WrongMetadata(msg("calls itself by another issuer, {issuer}", issuer=plain(metadata["issuer"])))
    _check_offer(metadata, "response_types_supported", "code")
    _check_offer(metadata, "code_challenge_methods_supported", "S256")
    authorization, token = _endpoint(metadata, "authorization_endpoint"), _endpoint(metadata, "token_endpoint")
    if authorization is None or token is None:
        raise WrongMetadata(msg("does not name its authorization and token endpoints"))
    return Endpoints(
        authorization=authorization,
        token=token,
        revocation=_endpoint(metadata, "revocation_endpoint"),
        device_authorization=_endpoint(metadata, "device_authorization_endpoint"),
        issuer=issuer,
        iss_in_response=metadata.get("authorization_response_iss_parameter_supported") is True,
        pushed_authorization=_endpoint(metadata, "pushed_authorization_request_endpoint"),
        requires_pushed_authorization=metadata.get("require_pushed_authorization_requests") is True,
        registration=_endpoint(metadata, "registration_endpoint"),
        offered=Offered(
            scopes=texts(metadata, "scopes_supported"),
            grant_types=texts(metadata, "grant_types_supported"),
            auth_methods=texts(metadata, "token_endpoint_auth_methods_supported"),
            id_token_algorithms=texts(metadata, "id_token_signing_alg_values_supported"),
            publishes_keys="jwks_uri" in metadata,
        ),
    )


def texts(metadata: Mapping[str, Any], name: str) -> tuple[str, ...]:
    """The words of a list in metadata; a stranger's, so only those that a scope could be (RFC 6749, 3.3)."""
    found = metadata.get(name)
    return (
        tuple(one for one in found if isinstance(one, str) and _WORD.fullmatch(one)) if isinstance(found, list) else ()
    )


def _check_offer(metadata: Mapping[str, Any], name: str, needed: str) -> None:
    # Absent or empty says nothing: many servers do PKCE without telling.
    offered = metadata.get(name)
    if isinstance(offered, list) and offered and needed not in offered:
        raise WrongMetadata(msg("does not offer what a sign-in needs ({needed} in {name})", needed=needed, name=name))


def _endpoint(metadata: Mapping[str, Any], name: str) -> str | None:
    url = metadata.get(name)
    if url is None:
        return None
    reason = check_endpoint_url(url) if isinstance(url, str) else msg("is not a URL")
    if reason is not None:
        raise WrongMetadata(msg("names a {name} that {reason}", name=name, reason=reason))
    return str(url)
