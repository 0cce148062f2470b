"""Reads HTTP/1.1 requests with httptools (llhttp, the parser of Node.js), and refuses what llhttp alone lets pass."""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from urllib.parse import unquote

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser

from tray_app.base.http.messages import Request

LONGEST_HEAD = 16_384
LONGEST_BODY = 65_536
LONGEST_REQUEST = LONGEST_HEAD + 2 * LONGEST_BODY
"""Bytes as sent: with the framing of chunks, and with trailers."""
SLICE = 4096
"""Bytes between two checks of these limits."""
LONGEST_REMEMBERED = 2048


class _Refused(Exception):
    """Raised in a callback, which httptools takes for the end; the argument is the status."""


class RequestReader:
    """Takes bytes, gives requests. The methods that begin with `on_` are httptools' callbacks."""

    def __init__(self) -> None:
        self.requests: deque[tuple[Request, bool]] = deque()
        """Complete requests, each with whether the connection stays open after it."""
        self.refusal: int | None = None
        """The status for what follows them and cannot be understood; nothing more is read then."""
        self.awaits_continue = False
        """Whether the client sends the rest of its request only after a `100 Continue` (RFC 9110, 10.1.1)."""
        self._parser: HttpRequestParser | None = None
        self._is_over = False
        self._size = 0
        self._in_request = False

    def feed(self, received: bytes | bytearray) -> None:
        """Reads what has come. How it is cut into pieces makes no difference."""
        data = bytes(received)  # asyncio has bytearrays on Windows; bytes are not copied
        if self._parser is None and not self._is_over and (known := _known_request(data)) is not None:
            self.requests.append(known)
            self._is_over = not known[1]
            return
        for begin in range(0, len(data), SLICE):
            if self._is_over:
                return
            self._parse(data[begin : begin + SLICE])

    def _parse(self, data: bytes) -> None:
        if self._parser is None:
            self._parser = HttpRequestParser(self)
        complete = len(self.requests)
        try:
            self._parser.feed_data(data)
        except HttpParserUpgrade:
            return  # the request was accepted without the upgrade (RFC 9110, 7.8), and what follows it is not read
        except HttpParserError as error:
            if not self._is_over:  # else this is what followed the last request
                cause = error.__context__
                self._refuse(cause.args[0] if isinstance(cause, _Refused) else 400)
            return
        self._size = 0 if len(self.requests) > complete else self._size + len(data)
        if self._in_request and not self._has_head and self._size > LONGEST_HEAD:
            self._refuse(431)
        elif self._in_request and self._size > LONGEST_REQUEST:
            self._refuse(413)

    def _refuse(self, status: int) -> None:
        self.refusal, self._is_over, self.awaits_continue = status, True, False

    # -- what httptools calls

    def on_message_begin(self) -> None:
        if self._is_over:
            raise _Refused(400)
        self._in_request, self._has_head = True, False
        self._target, self._body = b"", b""
        self._headers: list[tuple[str, str]] = []

    def on_url(self, piece: bytes) -> None:
        self._target += piece

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._has_head:  # else it is a trailer
            self._headers.append((name.decode("ascii").lower(), value.decode("latin-1").strip(" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        assert parser is not None  # noqa: S101 - it is calling
        version = parser.get_http_version()
        names = [name for name, _ in self._headers]
        hosts = names.count("host")
        if version not in {"1.1", "1.0"} or hosts > 1 or (hosts == 0 and version == "1.1"):
            raise _Refused(400)
        method, (path, query) = parser.get_method().decode(), _path_and_query(self._target.decode("ascii"))
        self._request = Request(method, path, query, tuple(self._headers), b"")
        coding, length = self._request.header("transfer-encoding"), self._request.header("content-length")
        if "transfer-encoding" in names and (coding is None or coding.lower() != "chunked" or version == "1.0"):
            raise _Refused(400)
        if int(length or "0") > LONGEST_BODY:
            raise _Refused(413)
        has_body, upgrades = coding is not None or int(length or "0") > 0, parser.should_upgrade()
        if upgrades and has_body:
            raise _Refused(400)  # llhttp skips such a body, and would take it for the next request
        self._keeps_alive = version == "1.1" and parser.should_keep_alive() and not upgrades
        expects = (self._request.header("expect") or "").lower() == "100-continue"
        self.awaits_continue = expects and version == "1.1" and has_body
        self._has_head = True

    def on_body(self, piece: bytes) -> None:
        self._body += piece
        if len(self._body) > LONGEST_BODY:
            raise _Refused(413)

    def on_message_complete(self) -> None:
        self._in_request = self.awaits_continue = False
        head = self._request
        request = Request(head.method, head.path, head.query, head.headers, self._body) if self._body else head
        self.requests.append((request, self._keeps_alive))
        self._is_over = not self._keeps_alive


def _known_request(data: bytes) -> tuple[Request, bool] | None:
    """The request where `data` is exactly one and a GET; None for `_parse`. Others may hold secrets in their body."""
    is_get = len(data) <= LONGEST_REMEMBERED and data.startswith(b"GET ") and data.endswith(b"\r\n\r\n")
    return _remembered(data) if is_get else None


@lru_cache(maxsize=32)
def _remembered(data: bytes) -> tuple[Request, bool] | None:
    """Remembered, since programs ask the same again and again: so the same bytes are the same object."""
    reader = RequestReader()
    reader._parse(data)  # noqa: SLF001 - its own class
    is_one = len(reader.requests) == 1 and not reader._in_request and reader.refusal is None  # noqa: SLF001
    return reader.requests[0] if is_one else None


def only_request(data: bytes) -> Request | None:
    """The request where `data` is exactly one, a GET, after which the connection closes; else None."""
    known = _known_request(data)
    return known[0] if known is not None and not known[1] else None


def _path_and_query(target: str) -> tuple[str, str]:
    """Also of a whole URL, which a server has to accept (RFC 9112, 3.2.2)."""
    if target[:7].lower() == "http://":
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") or "#" in target:
        raise _Refused(400)
    path, _, query = target.partition("?")
    return (unquote(path) if "%" in path else path), query
