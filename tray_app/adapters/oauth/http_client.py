"""The only module that talks to authorization servers: it sends every request and classifies every way to fail.

httpx has no deadline for the whole, no limit of size, sends loopback requests to `HTTP_PROXY` and keeps cookies
(each tried); so here each request has a client of its own, a deadline, a cap, and the proxy that belongs to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
import ssl
import zlib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from tray_app._version import __version__
from tray_app.adapters.oauth.connection_watch import until_moved
from tray_app.base.lean_imports import lean_imports
from tray_app.base.log import LOG
from tray_app.core.account import NOTHING
from tray_app.core.failure import Answer, Failure, FailureKind, plain, server_time
from tray_app.core.message import Message, joined, msg
from tray_app.core.ports import Clock, ProviderError
from tray_app.core.urls import check_endpoint_url, is_loopback

if TYPE_CHECKING:
    import httpx

DEADLINE = 30.0
"""Seconds from the first packet to the last byte, however slowly the server sends."""
CONNECT_DEADLINE = 10.0
TOKEN_CAP = 256 * 1024
METADATA_CAP = 1024 * 1024
CLOCKS_APART = timedelta(minutes=5)
"""A larger difference between clocks is logged: certificates and id_tokens are refused because of it."""

_OFFLINE: Final = frozenset({errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTUNREACH, 10050, 10051, 10065})
"""There is no route; the last three are what Windows calls them (WSAENETDOWN, WSAENETUNREACH, WSAEHOSTUNREACH)."""
_WRONG_CLOCK: Final = frozenset({9, 10})
_OWN_AUTHORITY: Final = frozenset({18, 19, 20, 21})
_ANOTHER_NAME: Final = frozenset({62, 64})
"""X509_V_ERR_... of OpenSSL, which tells by these why a certificate does not verify (openssl-verification-options)."""


class AnswerLost(ProviderError):
    """The request went out and no whole answer came back: the server may have acted on it."""

    answer_lost = True


class HttpClient:
    """Sends one request and returns the whole response, or raises `ProviderError` with the class and the reason."""

    def __init__(self, clock: Clock, deadline: float = DEADLINE) -> None:
        self._clock = clock
        self._deadline = deadline
        self._trusting: ssl.SSLContext | None = None
        self.clock_offset: timedelta | None = None
        """How far the clock of the server that answered last is ahead of ours, to some seconds; None before."""

    async def get(self, url: str, headers: Mapping[str, str] = NOTHING) -> Answer:
        """The answer to a GET, at most 1 MB of it."""
        return await self._ask("GET", url, METADATA_CAP, headers=headers)

    async def post(self, url: str, body: str, content_type: str, headers: Mapping[str, str] = NOTHING) -> Answer:
        """The answer to a POST, at most 256 kB of it. Nothing is sent twice: codes are used once (RFC 9700, 4.5)."""
        return await self._ask("POST", url, TOKEN_CAP, body.encode(), {"Content-Type": content_type, **headers})

    async def delete(self, url: str, headers: Mapping[str, str]) -> Answer:
        """The answer to a DELETE."""
        return await self._ask("DELETE", url, TOKEN_CAP, headers=headers)

    async def _ask(
        self, method: str, url: str, cap: int, content: bytes | None = None, headers: Mapping[str, str] = NOTHING
    ) -> Answer:
        host = urlsplit(url).hostname or url
        reason = check_endpoint_url(url)
        if reason is not None:
            raise ProviderError(self._failure(FailureKind.MISCONFIGURED, joined(" ", (url, reason))))
        with self._told(host):
            async with (
                asyncio.timeout(self._deadline) as deadline,
                until_moved(deadline) as traced,
                await self._client(url, host) as client,
                client.stream(method, url, content=content, headers=headers, extensions=traced) as response,
            ):
                body = bytearray()
                async for piece in response.aiter_raw():
                    body += piece
                    if len(body) > cap:
                        message = msg("{host} answered with more than {size} kB", host=host, size=cap // 1024)
                        raise AnswerLost(self._unreachable(message))
                plain_body = _decoded(bytes(body), response.headers.get("content-encoding", ""), cap)
                answer = Answer(response.status_code, dict(response.headers.items()), plain_body)
        self._compare_clocks(host, answer)
        return answer

    def _compare_clocks(self, host: str, answer: Answer) -> None:
        """Logs that a clock is wrong, once per occurrence."""
        theirs = server_time(answer)
        if theirs is None:
            return
        before, self.clock_offset = self.clock_offset, theirs - self._clock.now()
        if abs(self.clock_offset) > CLOCKS_APART and (before is None or abs(before) <= CLOCKS_APART):
            minutes = round(abs(self.clock_offset) / timedelta(minutes=1))
            order = "behind" if self.clock_offset > timedelta(0) else "ahead of"
            LOG.warning("this computer's clock is %d min %s that of %s; set it, or sign-ins fail", minutes, order, host)

    async def _client(self, url: str, host: str) -> httpx.AsyncClient:
        library = import_httpx()
        proxy: str | None = None
        if url.lower().startswith("http:"):  # loopback, or check_endpoint_url would have refused it
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # empty: reading a bundle of CAs costs time and memory
        else:
            context = self._trusting = self._trusting or _system_trust()
            if not is_loopback(host):
                proxy = await asyncio.to_thread(proxy_for, host)  # Windows may look names up
        transport = library.AsyncHTTPTransport(
            verify=context,
            proxy=_as_proxy(proxy, context) if proxy else None,
            trust_env=False,
            socket_options=_keepalive_options(),
        )
        client: httpx.AsyncClient = library.AsyncClient(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=library.Timeout(self._deadline, connect=min(CONNECT_DEADLINE, self._deadline)),
            headers={
                "User-Agent": f"lamplighter/{__version__}",
                "Accept": "application/json",
                "Accept-Encoding": "identity",
                "Connection": "close",
            },
        )
        return client

    @contextlib.contextmanager
    def _told(self, host: str) -> Iterator[None]:
        """Every exception of httpx, TLS, sockets and time-outs becomes a `Failure` in words."""
        httpx = import_httpx()
        try:
            yield
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError, httpx.InvalidURL, ValueError) as error:
            raise ProviderError(self._not_connected(host, error)) from error
        except (httpx.HTTPError, OSError) as error:  # TimeoutError is an OSError
            late = isinstance(error, httpx.TimeoutException | TimeoutError)
            why = msg("{host} did not answer in time") if late else msg("{host} did not answer to the end")
            raise AnswerLost(self._unreachable(msg(why, host=host))) from error

    def _not_connected(self, host: str, error: Exception) -> Failure:
        for cause in _causes(error):
            if isinstance(cause, ssl.SSLCertVerificationError):
                why = plain(cause.verify_message or "it cannot be verified")
                message = msg("the certificate of {host} does not verify ({reason})", host=host, reason=why)
                return self._failure(FailureKind.UNTRUSTED, joined("; ", (message, _hint(cause.verify_code))))
        message = msg("{host} cannot be reached ({reason})", host=host, reason=_why(error))
        return Failure(FailureKind.UNREACHABLE, message, self._clock.now(), offline=_is_offline(error))

    def _unreachable(self, message: str) -> Failure:
        return self._failure(FailureKind.UNREACHABLE, message)

    def _failure(self, kind: FailureKind, message: str) -> Failure:
        return Failure(kind, message, self._clock.now())


def import_httpx() -> Any:
    """The library without what it provides for and a tray need not carry: its command line (click, rich and pygments,
    6 MB) and trio (4 MB where it is installed; httpcore, which httpx imports late, tries both event loops).
    """
    with lean_imports({"httpx._main": None, "trio": None}):
        import httpcore  # noqa: F401
        import httpx
    return httpx


def _keepalive_options() -> list[tuple[int, int, int]]:
    """Keep-alive probes, answered by the other side's kernel however slow its program is.

    After roaming, an old connection stays silent for ever: so it is given up after eleven seconds, before the
    deadline. Rotating providers accept the old token again for half a minute at most (found in simulation).
    Options that this system does not know (Windows before 1709, Wine) are omitted: they would fail every connection.
    """
    options = [(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)]
    with socket.socket() as trial:
        for name, value in (("TCP_KEEPIDLE", 5), ("TCP_KEEPALIVE", 5), ("TCP_KEEPINTVL", 2), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):  # macOS calls the first one by the second name
                option = (socket.IPPROTO_TCP, getattr(socket, name), value)
                with contextlib.suppress(OSError):
                    trial.setsockopt(*option)
                    options.append(option)
    return options


def _system_trust() -> ssl.SSLContext:
    import truststore

    return truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def proxy_for(host: str) -> str | None:
    """The proxy for https to this host, by environment or operating system. ValueError where it is of no use."""
    from urllib.request import getproxies, proxy_bypass

    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if not proxy or proxy_bypass(host):
        return None
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    if not proxy.lower().startswith(("http://", "https://", "socks5://", "socks5h://")):
        raise ValueError(msg("its proxy is neither http, https nor socks5"))
    return proxy


def _as_proxy(url: str, context: ssl.SSLContext) -> httpx.Proxy:
    """The proxy as httpx wants it. ValueError, without the URL, which may hold a password, where it is none."""
    library = import_httpx()
    try:
        proxy: httpx.Proxy = library.Proxy(url, ssl_context=context if url.lower().startswith("https:") else None)
    except (library.InvalidURL, ValueError):
        raise ValueError(msg("the address of its proxy cannot be read")) from None
    return proxy


def _decoded(body: bytes, encoding: str, cap: int) -> bytes:
    """The decompressed body, up to the cap (no compression was requested).

    httpx would unpack 200 kB to 200 MB in one piece (tried). What is cut off is no JSON any more.
    """
    if encoding.lower() not in {"gzip", "deflate"}:
        return body
    try:
        return zlib.decompressobj(wbits=47).decompress(body, cap)
    except zlib.error:
        return b""


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _causes(one)
        error = error.__cause__ or error.__context__


def _why(error: Exception) -> str:
    for cause in _causes(error):
        if isinstance(cause, socket.gaierror):
            return msg("no DNS")
        if isinstance(cause, ConnectionRefusedError):
            return msg("connection refused")
        if isinstance(cause, TimeoutError):
            return msg("no connection in time")
        if isinstance(cause, ssl.SSLError):
            return msg("no TLS")
    if _is_offline(error):
        return msg("no network")
    if error.args and isinstance(error.args[0], Message):
        return error.args[0]
    return plain(str(error) or type(error).__name__)


def _is_offline(error: Exception) -> bool:
    """Whether there was no DNS, or no route for any of the addresses: nothing of the request has been sent."""
    causes = list(_causes(error))
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return True
    numbers = {cause.errno for cause in causes if isinstance(cause, OSError) and cause.errno is not None}
    return bool(numbers) and numbers <= _OFFLINE


def _hint(verify_code: int) -> str:
    """What may be the matter with a certificate that does not verify, and what helps; nothing where it may be much."""
    if verify_code in _WRONG_CLOCK:
        return msg("maybe this computer's clock is wrong")
    if verify_code in _OWN_AUTHORITY:
        return msg("maybe this network looks into what is sent: then the system must trust its certificate authority")
    if verify_code in _ANOTHER_NAME:
        return msg("maybe a sign-in page of this network answers in its place")
    return ""
