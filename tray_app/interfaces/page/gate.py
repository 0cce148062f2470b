"""Who may see the status page: a browser that this applet has opened, and nobody else.

The address that is opened holds a key that serves once. It is exchanged for a cookie that scripts cannot read and
other sites cannot send (SameSite=Strict). Cookies of 127.0.0.1 go to every port of it; so this one belongs to a path
that only this page knows, and no other server on this computer is sent it. `Host` keeps out names that were bound to
this address (DNS rebinding), `Origin` and a JSON body keep out forms and scripts of other pages (CSRF).
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from typing import Final
from urllib.parse import parse_qs

from tray_app.base.http.messages import Request, Response

KEY_SECONDS: Final = 300.0
"""A browser's first start may take a while; nobody's takes longer."""
MOST_KEYS: Final = 8
COOKIE: Final = "lamplighter"


class Gate:
    """The keys, the cookie and the path of one page at `origin`. `time` gives seconds that only go forward."""

    def __init__(self, origin: str, time: Callable[[], float]) -> None:
        self.base = f"/{secrets.token_urlsafe(16)}/"
        self._origin = origin
        self._host = origin.partition("://")[2]
        self._cookie = secrets.token_urlsafe(32)
        self._keys: dict[str, float] = {}
        self._time = time
        self.proof_key = secrets.token_urlsafe(32)
        """Handed to the page once, when it was loaded; with it the server proves that it is still the same."""

    def address(self, fragment: str = "") -> str:
        """An address for the browser, good for one visit."""
        key = secrets.token_urlsafe(32)
        self._keys[key] = self._time() + KEY_SECONDS
        for old in list(self._keys)[:-MOST_KEYS]:
            del self._keys[old]
        return f"{self._origin}{self.base}?key={key}{fragment}"

    def proof(self, nonce: str) -> str:
        """What only this server can answer to the page's nonce: HMAC-SHA256, in hexadecimal digits.

        A tab outlives the applet, and another user's server may take the port next: it would be sent a form with a
        client secret.
        """
        return hmac.new(self.proof_key.encode(), nonce.encode(), "sha256").hexdigest()

    def refusal(self, request: Request) -> Response | None:
        """Why the request is not answered; None where it may be."""
        if request.header("host") != self._host:
            return Response(421, b"This page is at another address.")
        if not request.path.startswith(self.base):
            return Response(404, b"Nothing is here.")
        if not self._is_ours(request):
            return Response(403, b"Open this page from the lamp's menu.")
        return None

    def exchange(self, request: Request) -> Response | None:
        """For a request with a key: the cookie, on the way to the page without the key. None where there is no key."""
        if request.path != self.base or request.method != "GET" or request.header("host") != self._host:
            return None
        keys = parse_qs(request.query).get("key", [])
        if len(keys) != 1:
            return None
        ends = self._keys.pop(keys[0], None)
        if ends is None or ends < self._time():
            return Response(403, b"This address has served already. Open the page from the lamp's menu.")
        cookie = f"{COOKIE}={self._cookie}; Path={self.base}; HttpOnly; SameSite=Strict"
        return Response(303, headers=[("Location", self.base), ("Set-Cookie", cookie), ("Cache-Control", "no-store")])

    def _is_ours(self, request: Request) -> bool:
        pairs = (pair.strip().partition("=") for pair in (request.header("cookie") or "").split(";"))
        sent = [value for name, _, value in pairs if name == COOKIE]
        # Any server on 127.0.0.1 can set a cookie of the same name: one that is right is enough.
        if not any(hmac.compare_digest(one.encode(), self._cookie.encode()) for one in sent):
            return False
        if request.header("sec-fetch-site") not in {None, "same-origin", "none"}:
            return False
        origin = request.header("origin")
        if request.method in {"GET", "HEAD"}:
            return origin in {None, self._origin}
        return origin == self._origin and request.header("content-type") == "application/json"
