"""A protected resource says which authorization server it trusts (RFC 9728). Pure: asks nobody."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from tray_app.adapters.oauth.discovery import WrongMetadata, texts
from tray_app.core.failure import Answer, members, plain
from tray_app.core.message import msg
from tray_app.core.urls import check_endpoint_url, check_found_url

_HINT = re.compile(r'\bresource_metadata\s*=\s*"([^"]*)"', re.IGNORECASE)
_MOST_SCOPES = 32


@dataclass(frozen=True, slots=True)
class Resource:
    """What a resource says of itself."""

    issuer: str
    scopes: tuple[str, ...]


def resource_metadata_url(resource: str) -> str:
    """Where the metadata of a resource is: before its path (RFC 9728, 3.1)."""
    parts = urlsplit(resource)
    path = parts.path if parts.path != "/" else ""
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{parts.netloc}/.well-known/oauth-protected-resource{path}{query}"


def hinted_metadata_url(answer: Answer, resource: str) -> str | None:
    """Where a resource that turned us down says its metadata is (RFC 9728, 5.1); None where it does not say.

    It must be on the resource's own origin: nobody else speaks for it.
    """
    found = _HINT.search(answer.headers.get("www-authenticate", ""))
    url = found[1] if found and answer.status == 401 else ""
    if check_endpoint_url(url) or urlsplit(url)[:2] != urlsplit(resource)[:2]:
        return None
    return url


def resource_of(answer: Answer, resource: str) -> Resource | None:
    """What the metadata says; None where the answer is none. Of several servers the first is taken.

    Raises `WrongMetadata` where it is another resource's (RFC 9728, 3.3: identical) or names no server to trust.
    """
    metadata = members(answer) if answer.status == 200 else {}
    if "resource" not in metadata:
        return None
    if metadata["resource"] != resource:
        raise WrongMetadata(msg("calls itself by another resource, {resource}", resource=plain(metadata["resource"])))
    issuers = texts(metadata, "authorization_servers")
    if not issuers:
        raise WrongMetadata(msg("names no authorization server"))
    if (reason := check_found_url(issuers[0], resource)) is not None:
        raise WrongMetadata(msg("names an authorization server that {reason}", reason=reason))
    scopes = texts(metadata, "scopes_supported")
    return Resource(issuers[0], scopes if len(scopes) <= _MOST_SCOPES else ())
