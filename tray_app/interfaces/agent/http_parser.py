"""Reads HTTP/1.1 requests (RFC 9112) from the pieces in which they come. No I/O.

The agent's own, because every program that needs a token waits for it: h11 alone took as long as all else together. It
reads what a server has to and refuses what is doubtful: a bare line feed, a second length, a length beside a transfer
coding, a blank before a colon.
"""

from __future__ import annotations

import re
from functools import lru_cache
from urllib.parse import unquote

from tray_app.base.http.messages import Request

LONGEST_HEAD = 16_384
LONGEST_BODY = 65_536
_LONGEST_CHUNK_LINE = 256

_START = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([!-~]+) HTTP/1\.([01])")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):([^\x00-\x08\x0a-\x1f\x7f]*)")
_LENGTH = re.compile(r"[0-9]{1,15}")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})(?:[ \t]*;[^\x00-\x08\x0a-\x1f\x7f]*)?")
_MAY_BEGIN = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]|\Z")
"""What is no request from its first byte on, TLS for example, is not waited for."""


class NotUnderstood(Exception):
    """No request that a server should act upon. Nothing after it on the connection can be trusted."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class RequestReader:
    """Takes bytes, gives requests."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._looked = 0
        """How far the end of the head was looked for: a client that sends byte by byte costs no more than others."""
        self._head: Request | None = None
        self._length: int | None = 0
        """Of the body; None where it comes in chunks."""
        self._body = bytearray()
        self.keeps_alive = False
        """Whether the connection may go on after the request that was given last."""
        self.wants_word = False
        """Whether the client sends the body of its request only after a `100 Continue`; true once."""

    def feed(self, piece: bytes) -> None:
        """What has come."""
        self._buffer += piece

    @property
    def waiting(self) -> int:
        """How many bytes have come that belong to no request given so far."""
        return len(self._buffer)

    def next(self) -> Request | None:
        """The next request, None until it is whole. Raises `NotUnderstood`, and may not be asked again then."""
        if self._head is None and not self._read_head():
            return None
        head = self._head
        if head is None or not (self._read_chunks() if self._length is None else self._read_body(self._length)):
            return None
        request = Request(head.method, head.path, head.query, head.headers, bytes(self._body)) if self._body else head
        self._head, self._looked, self.wants_word = None, 0, False
        self._body.clear()
        return request

    def _read_head(self) -> bool:
        buffer = self._buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._looked - 3), LONGEST_HEAD)
        if end < 0:
            self._looked = len(buffer)
            if not _MAY_BEGIN.match(buffer):
                raise NotUnderstood(400)
            if len(buffer) >= LONGEST_HEAD:
                raise NotUnderstood(431)
            return False
        self._head, self._length, self.keeps_alive, self.wants_word = _parsed(bytes(buffer[:end]))
        del buffer[: end + 4]
        return True

    def _read_body(self, length: int) -> bool:
        if len(self._buffer) < length:
            return False
        self._body += self._buffer[:length]
        del self._buffer[:length]
        return True

    def _read_chunks(self) -> bool:
        """RFC 9112, 7.1. Trailers are read over."""
        while (line := self._line()) is not None:
            size = _CHUNK.fullmatch(line)
            if size is None:
                raise NotUnderstood(400)
            length = int(size[1], 16)
            if len(self._body) + length > LONGEST_BODY:
                raise NotUnderstood(413)
            whole = len(line) + 2 + length + 2
            if length == 0:
                return self._read_trailers(len(line) + 2)
            if len(self._buffer) < whole:
                return False
            if self._buffer[whole - 2 : whole] != b"\r\n":
                raise NotUnderstood(400)
            self._body += self._buffer[len(line) + 2 : whole - 2]
            del self._buffer[:whole]
        return False

    def _line(self) -> bytes | None:
        end = self._buffer.find(b"\r\n", 0, _LONGEST_CHUNK_LINE)
        if end < 0 and len(self._buffer) >= _LONGEST_CHUNK_LINE:
            raise NotUnderstood(400)
        return bytes(self._buffer[:end]) if end >= 0 else None

    def _read_trailers(self, begin: int) -> bool:
        if self._buffer.startswith(b"\r\n", begin):
            del self._buffer[: begin + 2]
            return True
        end = self._buffer.find(b"\r\n\r\n", begin, begin + LONGEST_HEAD)
        if end < 0:
            if len(self._buffer) >= begin + LONGEST_HEAD:
                raise NotUnderstood(431)
            return False
        _fields(bytes(self._buffer[begin:end]).split(b"\r\n"))
        del self._buffer[: end + 4]
        return True


def last_request(piece: bytes) -> Request | None:
    """The request that this is, where it is whole, has no body and is the last; None for a `RequestReader`."""
    if len(piece) > LONGEST_HEAD or piece.find(b"\r\n\r\n") != len(piece) - 4:
        return None
    try:
        request, length, keeps_alive, _ = _parsed(piece[:-4])
    except NotUnderstood:
        return None
    return request if length == 0 and not keeps_alive else None


@lru_cache(maxsize=32)
def _parsed(head: bytes) -> tuple[Request, int | None, bool, bool]:
    """The request without its body, the body's length (None: chunks), whether the connection goes on after it, and
    whether the client waits for a word before it sends the body. Remembered, since a program asks the same again.
    """
    lines = head.split(b"\r\n")
    start = _START.fullmatch(lines[0])
    if start is None:
        raise NotUnderstood(400)
    method, target, minor = start.groups()
    request = Request(method.decode(), *_path_and_query(target.decode()), _fields(lines[1:]), b"")
    length, keeps_alive = _framed(request, is_1_1=minor == b"1")
    expects = (request.header("expect") or "").lower() == "100-continue"
    return request, length, keeps_alive, expects and minor == b"1" and length != 0


def _framed(head: Request, *, is_1_1: bool) -> tuple[int | None, bool]:
    """How long the body is and whether another request may follow it (RFC 9112, 6 and 9.3)."""
    fields = dict(head.headers)
    named = [name for name, _ in head.headers]
    if named.count("host") != 1 if is_1_1 else named.count("host") > 1:
        raise NotUnderstood(400)
    if named.count("content-length") > 1 or ("content-length" in fields and "transfer-encoding" in fields):
        raise NotUnderstood(400)  # two opinions on where the request ends: so are requests smuggled
    options = ",".join(value for name, value in head.headers if name == "connection").lower().split(",")
    keeps_alive = is_1_1 and "close" not in (option.strip() for option in options)
    if "transfer-encoding" in fields:
        if not is_1_1 or named.count("transfer-encoding") > 1 or fields["transfer-encoding"].lower() != "chunked":
            raise NotUnderstood(400)
        return None, keeps_alive
    length = fields.get("content-length", "0")
    if not _LENGTH.fullmatch(length):
        raise NotUnderstood(400)
    if int(length) > LONGEST_BODY:
        raise NotUnderstood(413)
    return int(length), keeps_alive


def _fields(lines: list[bytes]) -> tuple[tuple[str, str], ...]:
    fields = []
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise NotUnderstood(400)
        fields.append((found[1].decode().lower(), found[2].decode("latin-1").strip(" \t")))
    return tuple(fields)


def _path_and_query(target: str) -> tuple[str, str]:
    """Also of a whole URL, which a server must understand (RFC 9112, 3.2.2)."""
    if target[:7].lower() == "http://":
        target = "/" + target[7:].partition("/")[2]
    if not target.startswith("/") or "#" in target:
        raise NotUnderstood(400)
    path, _, query = target.partition("?")
    return (unquote(path) if "%" in path else path), query
