"""A person at an authorization server's pages, without a browser: plain HTTP, cookies and forms."""

import http.cookiejar
import urllib.parse
import urllib.request
from html.parser import HTMLParser
from typing import Any
from urllib.error import HTTPError

LOGIN, PASSWORD = "ada", "correct horse"
STEPS = 24  # more than any sign-in here has; an endless one ends


def redirect_after_approval(authorization_url: str, *, login: str = LOGIN, password: str = PASSWORD) -> str:
    """Where the server sends the browser once this person has logged in and agreed: the redirect URI with its code.

    Nothing is fetched there: `urllib.request.urlopen` of it is the browser's arrival. Raises LookupError, with the
    last page, where the pages lead nowhere.
    """
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), urllib.request.ProxyHandler({}), _StayHere
    )
    origin = urllib.parse.urlsplit(authorization_url)[:2]
    url, body, page = authorization_url, None, ""
    for _ in range(STEPS):
        try:
            with opener.open(url, body, timeout=30) as answer:
                page, onwards = answer.read().decode(), None
        except HTTPError as error:
            page, onwards = error.read().decode(), error.headers.get("Location")
        if onwards:
            url, body = urllib.parse.urljoin(url, onwards), None
            if urllib.parse.urlsplit(url)[:2] != origin:
                return url
            continue
        form = _Form(page)
        if form.action is None:
            break
        url, body = urllib.parse.urljoin(url, form.action), form.filled(login, password)
    raise LookupError(f"no way on from {url}:\n{page}")


def approve_device(verification_url: str, user_code: str) -> None:
    """Enters the code as this person, logs in and agrees. Raises LookupError where that ends early."""
    opener = urllib.request.build_opener(
        urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()), urllib.request.ProxyHandler({})
    )
    url, body, page = verification_url, None, ""
    for _ in range(STEPS):
        with opener.open(url, body, timeout=30) as answer:
            url, page = answer.url, answer.read().decode()
        form = _Form(page)
        if form.action is None:
            break
        url, body = urllib.parse.urljoin(url, form.action), form.filled(LOGIN, PASSWORD, user_code)
    if "success" not in page.lower():
        raise LookupError(f"no way on from {url}:\n{page}")


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        """None leaves the redirect to us: the last one goes to the program that is signing in."""


class _Form(HTMLParser):
    """The page's first form that is posted."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.action: str | None = None
        self._open = False
        self._fields: dict[str, tuple[str, str]] = {}  # name -> type, value
        self._buttons: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        has = {name: value or "" for name, value in attrs}
        if tag == "form" and self.action is None and has.get("method", "").lower() == "post":
            self.action, self._open = has.get("action", ""), True
        elif not self._open or "name" not in has:
            return
        elif has.get("type") == "submit":
            self._buttons.append((has["name"], has.get("value", "")))
        elif tag == "input":
            self._fields[has["name"]] = has.get("type", "text"), has.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._open = False

    def filled(self, login: str, password: str, user_code: str = "") -> bytes:
        mine = {"text": login, "email": login, "password": password}
        values = {name: value or mine.get(kind, "") for name, (kind, value) in self._fields.items()}
        if "user_code" in values:
            values["user_code"] = values["user_code"] or user_code
        yes = [button for button in self._buttons if button[1] in {"accept", "yes"}] or self._buttons[:1]
        return urllib.parse.urlencode(values | dict(yes)).encode()
