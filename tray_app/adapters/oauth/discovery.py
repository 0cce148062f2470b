"""Where an issuer's endpoints are, by its metadata (RFC 8414; OpenID Connect Discovery 1.0). Pure: asks nobody."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from tray_app.base.log import LOG
from tray_app.core.account import Endpoints, Offered
from tray_app.core.message import msg
from tray_app.core.provider_errors import Answer, members, plain
from tray_app.core.urls import check_found_url

_WORD = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")


class WrongMetadata(Exception):
    """The metadata cannot be trusted or used; says why, to be read after the issuer's host."""


def metadata_urls(issuer: str) -> tuple[str, ...]:
    """Where the metadata may be, by RFC 8414, 3.1 (before the issuer's path) and OpenID Connect (after it).

    Each of the two is found in the other's place as well: FusionAuth, and Okta's custom servers.
    """
    parts = urlsplit(issuer)
    origin, path = f"{parts.scheme}://{parts.netloc}", parts.path.rstrip("/")
    urls = (
        f"{origin}/.well-known/oauth-authorization-server{path}",
        f"{origin}/.well-known/openid-configuration{path}",
        f"{origin}{path}/.well-known/openid-configuration",
        f"{origin}{path}/.well-known/oauth-authorization-server",
    )
    return tuple(dict.fromkeys(urls))


def is_same_issuer(one: str, other: str) -> bool:
    """Whether both are one URL: they may differ by the slash of an empty path, or by capitals in scheme and host
    (RFC 3986, 6.2.2.1 and 6.2.3). A slash behind a path makes another issuer.
    """
    return _comparable(one) == _comparable(other)


def _comparable(issuer: str) -> tuple[str, ...]:
    try:
        parts = urlsplit(issuer)
    except ValueError:  # a stranger wrote it
        return (issuer,)
    return parts.scheme, parts.netloc.lower(), parts.path or "/", parts.query, parts.fragment


def endpoints_of(answer: Answer, issuer: str, configured: str | None = None) -> Endpoints | None:
    """The endpoints that the metadata names; None where the answer is no metadata.

    `configured` is the resource that the person wrote, where the issuer was found by it.

    Raises `WrongMetadata` where it is another issuer's (RFC 8414, 3.3), names an endpoint that is needed and that
    secrets may not be sent to, or says that the issuer cannot do what a sign-in needs. The issuer of the endpoints is
    spelled as the server spells it, since its `iss` will be.
    """
    metadata = members(answer) if answer.status == 200 else {}
    if "issuer" not in metadata:
        return None
    stated = metadata["issuer"]
    if not isinstance(stated, str) or not is_same_issuer(stated, issuer):
        raise WrongMetadata(_another_issuer(plain(stated), issuer))
    issuer, origin = stated, configured or issuer
    _check_offer(metadata, "response_types_supported", "code")
    _check_offer(metadata, "code_challenge_methods_supported", "S256")
    authorization = _needed(metadata, "authorization_endpoint", origin)
    token = _needed(metadata, "token_endpoint", origin)
    return Endpoints(
        authorization=authorization,
        token=token,
        revocation=_endpoint(metadata, "revocation_endpoint", origin),
        device_authorization=_endpoint(metadata, "device_authorization_endpoint", origin),
        issuer=issuer,
        iss_in_response=metadata.get("authorization_response_iss_parameter_supported") is True,
        pushed_authorization=_endpoint(metadata, "pushed_authorization_request_endpoint", origin),
        requires_pushed_authorization=metadata.get("require_pushed_authorization_requests") is True,
        registration=_endpoint(metadata, "registration_endpoint", origin),
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


def _another_issuer(stated: str, issuer: str) -> str:
    if stated.rstrip("/") == issuer.rstrip("/"):
        return msg("calls itself by another issuer; write: issuer = {issuer}", issuer=f'"{stated}"')
    return msg("calls itself by another issuer, {issuer}; write that one, or name its endpoints by hand", issuer=stated)


def _needed(metadata: Mapping[str, Any], name: str, origin: str) -> str:
    url = metadata.get(name)
    if url is None:
        raise WrongMetadata(msg("does not name its authorization and token endpoints"))
    reason = _why_no_endpoint(url, origin)
    if reason is not None:
        raise WrongMetadata(msg("names a {name} that {reason}", name=name, reason=reason))
    return str(url)


def _endpoint(metadata: Mapping[str, Any], name: str, origin: str) -> str | None:
    """One that a sign-in can do without: what cannot be used is left out, with a line in the log."""
    url = metadata.get(name)
    if url is None:
        return None
    reason = _why_no_endpoint(url, origin)
    if reason is not None:
        LOG.info("%s names a %s that %s: left out", plain(metadata.get("issuer")), name, reason)
        return None
    return str(url)


def _why_no_endpoint(url: object, origin: str) -> str | None:
    return check_found_url(url, origin) if isinstance(url, str) else msg("is not a URL")
