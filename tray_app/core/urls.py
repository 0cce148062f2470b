"""Which URLs secrets may be sent to, and where an authorization server may send a browser back to."""

from __future__ import annotations

import re
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from urllib.parse import SplitResult, urlsplit

from tray_app.core.message import msg

_NOT_URL = re.compile(r"[^\x21-\x7e]|\\")  # urlsplit silently drops line breaks, browsers read "\" as "/"
_HOST = re.compile(r"[a-z0-9._-]+|[0-9a-f:.]*:[0-9a-f:.]*")
_NAT64 = IPv6Network("64:ff9b::/96")
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


def check_found_url(url: str, configured: str) -> str | None:
    """Why a URL out of metadata cannot be used, to be read after it; None where it can.

    `configured` is the issuer or resource that the person wrote: only where that is on this computer or in a private
    network itself may what it names be there. Else a server of the web would have us ask the services of this computer
    (server-side request forgery). Names are not judged, since https asks them for a certificate.
    """
    reason = check_endpoint_url(url)
    if reason is not None:
        return reason
    host, origin = urlsplit(url).hostname or "", urlsplit(configured).hostname or ""
    if _is_this_machine(host) and not _is_this_machine(origin):
        return msg("is on this computer, which {host} is not", host=origin)
    if _is_private(host) and not _is_private(origin):
        return msg("is in a private network, which {host} is not", host=origin)
    return None


def _is_this_machine(host: str) -> bool:
    """Loopback in every spelling that reaches it: 127.1, 0x7f000001, ::ffff:127.0.0.1, 0.0.0.0, x.localhost."""
    name = host.rstrip(".")
    if name == "localhost" or name.endswith(".localhost"):  # RFC 6761, 6.3
        return True
    address = _address(name)
    return address is not None and (address.is_loopback or address.is_unspecified)


def _is_private(host: str) -> bool:
    """A literal address that the internet does not know; this machine's as well."""
    address = _address(host.rstrip("."))
    return _is_this_machine(host) or (address is not None and not address.is_global)


def _address(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return _old_ipv4(host)
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address


def _old_ipv4(host: str) -> IPv4Address | None:
    """As inet_aton(3) reads it: one to four numbers, decimal, octal or hexadecimal, the last one for what is left."""
    parts = host.split(".")
    if len(parts) > 4 or not all(re.fullmatch("0x[0-9a-f]+|[0-9]+", part, re.IGNORECASE) for part in parts):
        return None
    try:
        *first, last = (int(part, 8 if re.fullmatch("0[0-9]+", part) else 0) for part in parts)
    except ValueError:  # 08 is no octal number
        return None
    if any(number > 255 for number in first) or last >= 256 ** (5 - len(parts)):
        return None
    return IPv4Address(sum(number << (24 - 8 * place) for place, number in enumerate(first)) + last)


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
