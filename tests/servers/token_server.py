"""A server of somebody's API that wants a token, in threads of its own.

    with TokenServer() as server:
        server.accepts = lambda token: token == "T1"
        server.answer = lambda asked: Answer(200, b"hello")
        ...
        assert [asked.token for asked in server.asked] == ["T1"]

A request without a token that it accepts is 401, with the challenges of `server.offers`. `TokenServer(tls=True)` has a
certificate of an authority of its own, whose own certificate is `server.authority`, in PEM.
"""

from __future__ import annotations

import base64
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

import trustme


@dataclass(frozen=True)
class Asked:
    """A request."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def token(self) -> str:
        """What it carries as bearer token or as Basic's password; empty where it carries none."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return value
        return base64.b64decode(value).decode().partition(":")[2] if scheme.lower() == "basic" else ""


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class TokenServer:
    def __init__(self, *, tls: bool = False) -> None:
        self.accepts: Callable[[str], bool] = lambda _: True
        self.answer: Callable[[Asked], Answer] = lambda _: Answer(200, b"{}", {"Content-Type": "application/json"})
        self.offers = ["Bearer"]
        self.wants_token = True
        self.asked: list[Asked] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"{'https' if tls else 'http'}://{self.host}"
        self.authority = b""
        if tls:
            authority, context = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            authority.issue_cert("127.0.0.1").configure_cert(context)
            self.authority = authority.cert_pem.bytes()
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def tokens(self) -> list[str]:
        """Of the requests that carried one, in order."""
        return [asked.token for asked in self.asked if asked.token]

    def _answered(self, asked: Asked) -> Answer:
        self.asked.append(asked)
        if not self.wants_token or (asked.token and self.accepts(asked.token)):
            return self.answer(asked)
        return Answer(401)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do(self) -> None:
                path, _, query = self.path.partition("?")
                headers = {name.lower(): value for name, value in self.headers.items()}
                body = self._chunks() if "transfer-encoding" in headers else b""
                body = body or self.rfile.read(int(headers.get("content-length", 0)))
                answer = server._answered(Asked(self.command, path, query, headers, body))
                self.send_response(answer.status)
                for offer in server.offers if answer.status == 401 else []:
                    self.send_header("WWW-Authenticate", offer)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

            def _chunks(self) -> bytes:
                body = b""
                while size := int(self.rfile.readline(), 16):
                    body += self.rfile.read(size)
                    self.rfile.readline()
                self.rfile.readline()
                return body

            do_GET = do_POST = do_PUT = do_PATCH = do_HEAD = do  # noqa: N815 - as http.server calls them

            def log_message(self, *_: object) -> None:
                pass

        return Handler
