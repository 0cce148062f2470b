"""Which URLs secrets may be sent to, and where an authorization server may send a browser back to."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, ip_address
from urllib.parse import SplitResult, urlsplit

from tray_app.core.message import msg

_NOT_URL = re.compile(r"[^\x21-\x7e]|\\")  # urlsplit silently drops line breaks, browsers read "\" as "/"
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*")
_LISTENER_HOSTS = frozenset({"127.0.0.1", "::1", "localhost"})


def is_loopback(host: str) -> bool:
    """Whether the host is this machine: 127.0.0.0/8 or ::1 as a literal, or "localhost" (RFC 8252, 7.3 and 8.3)."""
    if host == "localhost":
        return True
    try:
        address = ip_address(host)
    except ValueError:
        return False
    return address.is_loopback if isinstance(address, IPv4Address) else str(address) == "::1"


def check_endpoint_url(url: str) -> str | None:
    """Why the URL cannot be an endpoint or issuer, as the end of a sentence that begins with it; None where it can.

    An endpoint is https, or http on a loopback address, without user, password or fragment (RFC 6749, 3.1 and 3.2).
    The parsed host decides: `http://localhost@evil.example` and `http://127.0.0.1.evil.example` only begin like ours.
    """
    parts = _split(url)
    if isinstance(parts, str):
        return parts
    if parts.scheme not in {"https", "http"}:
        return msg("must start with https://")
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        return msg("must start with https:// (http is for loopback addresses alone)")
    return None


def check_redirect_uri(url: str) -> str | None:
    """Why the URL cannot be the redirect URI of a program on this machine (RFC 8252, 7.3); None where it can."""
    parts = _split(url)
    if isinstance(parts, str):
        return parts
    if parts.scheme != "http" or parts.hostname not in _LISTENER_HOSTS:
        return msg("must start with http://127.0.0.1, http://[::1] or http://localhost")
    return None


def _split(url: str) -> SplitResult | str:
    if _NOT_URL.search(url):
        return msg("holds a character that no URL holds")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return msg("is not a URL")
    if "@" in parts.netloc:
        return msg("must not hold a user or password")
    if "#" in url:
        return msg("must not hold a fragment (#)")
    if not _HOST.fullmatch(parts.hostname or ""):
        return msg("names no host")
    return msg("names the port 0, which is none") if port == 0 else parts
