"""The loopback listener that a browser comes back to: it hears one right answer and nothing else (RFC 8252, 7.3).

Everyone on this machine, and every page in the browser, can send it requests. What is not the answer to this sign-in
gets a 4xx and changes nothing: the sign-in keeps waiting.
"""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from urllib.parse import parse_qsl, unquote, urlsplit, urlunsplit

from tray_app.base.http.messages import Request, Response
from tray_app.base.http.server import PAGE_HEADERS, HttpServer, Limits, bind_loopback
from tray_app.base.log import LOG
from tray_app.core.tokens import Secret

LIMITS = Limits(head=131_072, connections=256, request_seconds=10.0)
"""Cookies of every server on 127.0.0.1 come along: 64 kB of them have been seen. Enough connections that 200 which say
nothing do not keep the browser out; each is gone after ten seconds."""

FETCH_SECONDS = 1.0
"""How long who brought the answer has to follow the redirect to the page that it was already shown."""
BROWSER_SECONDS = 10.0
"""The same for a browser, which says what it is and always follows (Fetch Metadata, Sec-Fetch-Mode): on a machine that
has no time, a closed door instead of "Signed in" were the last that a person sees.
"""

_ONCE = ("state", "code", "error", "iss")
_CODE = re.compile(r"[\x20-\x7e]+")  # RFC 6749, appendix A.11


@dataclass(frozen=True, slots=True)
class Callback:
    """The authorization response: a code or an error (RFC 6749, 4.1.2; RFC 9207). Its state was right."""

    code: Secret | None
    error: str | None
    error_description: str | None
    iss: str | None
    is_whole: bool = True
    """Whether it is the response itself; else a person has copied the code out of it, and `iss` cannot be there."""


class Listener:
    """Bound from `open` to `close`."""

    redirect_uri: str
    """What to send: the configured URI byte for byte, with the port where it had none."""

    def __init__(self, redirect_uri: str, state: str) -> None:
        self.redirect_uri = redirect_uri
        parts = urlsplit(redirect_uri)
        authority = parts.netloc.lower()
        self._hosts = {authority, authority.removesuffix(":80")}
        self._path = unquote(parts.path) or "/"
        self._clean = f"{parts.path.rstrip('/')}/done"  # where the code is not in the address bar any more
        self._state = state
        self._server = HttpServer(self._answer, LIMITS, own_user_only=True)
        loop = asyncio.get_running_loop()
        self._callback: asyncio.Future[Callback] = loop.create_future()
        self._fetch_seconds: float | None = None
        self._page: asyncio.Future[tuple[bytes, tuple[str, str]]] = loop.create_future()
        self._fetched = asyncio.Event()
        self._closed = False
        self.had_stray_error = False
        """Whether an error came without the sign-in's `state`."""

    @classmethod
    async def open(cls, redirect_uri: str, state: str) -> Listener:
        """Listening for the answer that carries `state`. Raises OSError where a port that was asked for is taken."""
        parts = urlsplit(redirect_uri)
        host = parts.hostname or ""
        sockets = bind_loopback(host, parts.port or 0)
        if parts.port is None:
            authority = f"[{host}]" if ":" in host else host
            redirect_uri = urlunsplit(parts._replace(netloc=f"{authority}:{sockets[0].getsockname()[1]}"))
        listener = cls(redirect_uri, state)
        for one in sockets:
            await listener._server.listen(one)
        return listener

    async def callback(self) -> Callback:
        """The first right answer; waits for it without end."""
        return await self._callback

    def take(self, callback: Callback) -> bool:
        """Takes an answer that came another way: a person has pasted it. False where there is one already."""
        if self._callback.done():
            return False
        self._callback.set_result(callback)
        return True

    async def close(self, page: bytes) -> None:
        """Shows the page to the browser that brought the answer, if one did, and stops listening. Idempotent.

        Returns as soon as the browser has the page at its clean address, after ten seconds at the latest.
        """
        if self._closed:
            return
        self._closed = True
        try:
            if self._fetch_seconds is not None:
                self._page.set_result((page, ("Location", self._clean)))
                async with asyncio.timeout(self._fetch_seconds):
                    await self._fetched.wait()
        except TimeoutError:
            pass  # no browser that follows redirects; it has the page all the same
        finally:
            await self._server.close()

    async def _answer(self, request: Request) -> Response:
        if (request.header("host") or "").lower() not in self._hosts:
            return Response(421, b"This address serves another host.")
        clean = request.path == unquote(self._clean)
        if not clean and request.path != self._path:
            return Response(404, b"There is nothing here.")
        if request.method != "GET":
            return Response(405, b"Only GET is answered here.", headers=[("Allow", "GET")])
        if clean:
            return self._the_page()
        if "prefetch" in f"{request.header('sec-purpose')} {request.header('purpose')}":
            return Response(503, b"Come back when the person does.")  # the real visit must find the code unused
        callback = callback_of(request.query, self._state)
        if callback is None:
            return self._no_answer(request.query)
        if self._callback.done() and self._callback.result() != callback:
            return Response(409, b"This sign-in has had its answer.")
        if not self._callback.done():
            self._fetch_seconds = BROWSER_SECONDS if request.header("sec-fetch-mode") == "navigate" else FETCH_SECONDS
            self._callback.set_result(callback)
        page, location = await asyncio.shield(self._page)  # a reload waits for the same page
        return _html(303, page, location)

    def _no_answer(self, query: str) -> Response:
        """An error without `state` may be anybody's: it is not believed and not quoted, but told that it came."""
        names = dict(parse_qsl(query, keep_blank_values=True, max_num_fields=50)) if query.count("&") < 50 else {}
        if "error" not in names or "state" in names:
            return Response(400, b"This is no answer to the sign-in that is under way.")
        self.had_stray_error = True
        LOG.warning("the browser brought an error that does not belong to the sign-in under way; it was ignored")
        return Response(
            400,
            b"An error came back that does not belong to this sign-in, so it was ignored. Start again from the lamp.",
        )

    def _the_page(self) -> Response:
        if not self._page.done():
            return Response(404, b"There is nothing here.")
        page, _ = self._page.result()

        async def body() -> AsyncGenerator[bytes, None]:
            yield page
            self._fetched.set()  # only now that it is written may the listener close

        return _html(200, b"", ("Content-Length", str(len(page))), body())


def _html(
    status: int, page: bytes, header: tuple[str, str], stream: AsyncGenerator[bytes, None] | None = None
) -> Response:
    return Response(status, page, "text/html; charset=utf-8", (*PAGE_HEADERS, header), stream)


def callback_of(query: str, state: str) -> Callback | None:
    """The authorization response in the query, None where it is none of ours. The state is looked at first."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        return None
    values = dict(pairs)
    if not hmac.compare_digest(values.get("state", "").encode("utf-8", "replace"), state.encode()):
        return None
    names = [name for name, _ in pairs]
    if any(names.count(name) > 1 for name in _ONCE):  # the first or the last, which one is forged?
        return None
    code, error = values.get("code"), values.get("error")
    if (error is None) == (code is None) or (code is not None and not _CODE.fullmatch(code)):
        return None
    return Callback(Secret(code) if code else None, error, values.get("error_description"), values.get("iss"))
