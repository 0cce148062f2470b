"""A small HTTP/1.1 server on asyncio: h11 parses, this module limits.

Serves the sign-in listener and the demo; the agent, which must be quicker, parses for itself. Every limit is there
because a stranger may connect: a line or header too long, a body too large, a client that dribbles or says nothing
costs one connection of a bounded number for a bounded time, and never a traceback. Nothing of a request is ever
logged: it may hold a code.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from urllib.parse import unquote

import h11

from tray_app.base.http.messages import Handler, Request, Response
from tray_app.base.http.peer_user import CANNOT_TELL, IsOwn, peers_of
from tray_app.base.log import LOG

PAGE_HEADERS = (
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
"""What every page of ours sends: kept nowhere, told nowhere, loads nothing."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost."""

    head: int = 16_384
    body: int = 0
    connections: int = 64
    request_seconds: float = 10.0
    """From the connection, or the previous answer, to the last byte of the request."""
    keep_alive: bool = False


class _TooLarge(Exception):
    pass


class HttpServer:
    """Answers requests with `handler`, on as many sockets as it is given."""

    def __init__(
        self,
        handler: Handler,
        limits: Limits = Limits(),
        *,
        own_user_only: bool = False,
    ) -> None:
        """With `own_user_only`, connections of other users are dropped before anything of them is read."""
        self._handler = handler
        self._limits = limits
        self._own_user_only = own_user_only
        self._has_dropped = False
        self._servers: list[asyncio.Server] = []
        self._connections: set[asyncio.Task[None]] = set()
        self._waiting: dict[asyncio.Task[None], None] = {}
        """Those that have not sent a whole request yet, the longest waiting first."""

    async def listen(self, listening: socket.socket) -> None:
        """Serves a bound TCP or Unix socket."""
        is_own = self._check_for(listening.family) if self._own_user_only else None

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            peer, own = writer.get_extra_info("peername"), writer.get_extra_info("sockname")
            if is_own is None or (peer and own and is_own(peer[:2], own[:2])):
                await self._connected(reader, writer)
            else:
                self._drop()
                writer.transport.abort()

        if sys.platform != "win32" and listening.family is socket.AF_UNIX:
            server = await asyncio.start_unix_server(connected, sock=listening, limit=self._limits.head)
        else:
            server = await asyncio.start_server(connected, sock=listening, limit=self._limits.head)
        self._servers.append(server)

    def _drop(self) -> None:
        """Says so once: whoever connects again and again must not fill the log."""
        if not self._has_dropped:
            LOG.warning("a connection of another user of this computer was dropped; more of them are not logged")
        self._has_dropped = True

    @staticmethod
    def _check_for(family: socket.AddressFamily) -> IsOwn | None:
        is_own = peers_of(family)
        if is_own is None:
            LOG.warning("%s; other users of this computer are not kept out by that", CANNOT_TELL)
        return is_own

    async def close(self) -> None:
        """Stops listening and ends every connection; returns when all are gone."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None or not self._has_room():
            writer.close()
            return
        self._connections.add(task)
        try:
            await self._converse(reader, writer)
        except (OSError, h11.LocalProtocolError, TimeoutError, asyncio.CancelledError):
            pass  # the client went away, or we are closing: there is nobody left to tell
        finally:
            self._connections.discard(task)
            self._waiting.pop(task, None)
            writer.close()

    def _has_room(self) -> bool:
        """Whether another connection can be had; the one that has kept us waiting longest goes for it."""
        if len(self._connections) < self._limits.connections:
            return True
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        del self._waiting[longest]
        longest.cancel()
        return True

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=self._limits.head)
        while True:
            try:
                request = await self._next(connection, reader)
            except TimeoutError:
                return
            except (h11.RemoteProtocolError, _TooLarge) as error:
                status = 413 if isinstance(error, _TooLarge) else getattr(error, "error_status_hint", 400)
                if connection.our_state in {h11.IDLE, h11.SEND_RESPONSE}:
                    await self._send(connection, writer, Response(status), last=True)
                return
            if request is None:
                return
            try:
                response = await self._handler(request)
            except Exception:
                await self._send(connection, writer, Response(500), last=True)
                raise  # a bug of ours: asyncio logs the traceback
            if request.method == "HEAD":
                response = replace(response, body=b"", stream=None)  # h11 refuses to send it one
            if response.stream is not None:
                await self._stream(connection, reader, writer, response, response.stream)
                return
            last = not self._limits.keep_alive
            await self._send(connection, writer, response, last=last)
            if last or connection.our_state is not h11.DONE or connection.their_state is not h11.DONE:
                return
            connection.start_next_cycle()

    async def _next(self, connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
        """The next request; until it is there, the connection may have to go for another one."""
        task = asyncio.current_task()
        if task is not None:
            self._waiting[task] = None
        async with asyncio.timeout(self._limits.request_seconds):
            request = await self._read(connection, reader)
        if task is not None:
            self._waiting.pop(task, None)
        return request

    async def _read(self, connection: h11.Connection, reader: asyncio.StreamReader) -> Request | None:
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                connection.receive_data(await reader.read(65_536))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > self._limits.body:
                    raise _TooLarge
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                return _request(head, bytes(body))
            else:  # closed by the other side
                return None

    async def _send(
        self, connection: h11.Connection, writer: asyncio.StreamWriter, response: Response, *, last: bool
    ) -> None:
        headers = [
            ("Content-Type", response.content_type),
            *response.headers,
            ("Content-Length", str(len(response.body))),
        ]
        if last:
            headers.append(("Connection", "close"))
        events = (
            h11.Response(status_code=response.status, headers=headers),
            h11.Data(data=response.body),
            h11.EndOfMessage(),
        )
        writer.write(b"".join(connection.send(event) or b"" for event in events))
        await writer.drain()
        if last:
            with contextlib.suppress(OSError):
                writer.write_eof()

    async def _stream(
        self,
        connection: h11.Connection,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        response: Response,
        stream: AsyncGenerator[bytes, None],
    ) -> None:
        """Sends piece by piece until the stream ends or the client goes away, which only its silence tells."""
        headers = [("Content-Type", response.content_type), *response.headers, ("Connection", "close")]
        writer.write(connection.send(h11.Response(status_code=response.status, headers=headers)) or b"")
        pump = asyncio.create_task(self._pump(connection, writer, stream))
        gone = asyncio.create_task(reader.read())
        try:
            await asyncio.wait({pump, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            pump.cancel()
            gone.cancel()
            await asyncio.gather(pump, gone, return_exceptions=True)

    async def _pump(
        self, connection: h11.Connection, writer: asyncio.StreamWriter, stream: AsyncGenerator[bytes, None]
    ) -> None:
        async for piece in stream:
            writer.write(connection.send(h11.Data(data=piece)) or b"")
            await writer.drain()
        writer.write(connection.send(h11.EndOfMessage()) or b"")
        await writer.drain()


def _request(head: h11.Request, body: bytes) -> Request:
    target = head.target.decode("ascii", "replace")
    path, _, query = target.partition("?")
    return Request(
        method=head.method.decode("ascii", "replace"),
        path=unquote(path),
        query=query,
        headers=tuple((name.decode("ascii"), value.decode("latin-1")) for name, value in head.headers),
        body=body,
    )


def bind_loopback(host: str, port: int) -> list[socket.socket]:
    """Listening sockets on the loopback addresses that `host` names, all on one port.

    "localhost" is both families, since a browser may try either, and another user could take the one left free
    (RFC 8252, 7.3 and 8.3). Port 0 is any free port. Raises OSError where the port is taken.
    """
    families = {
        "127.0.0.1": [(socket.AF_INET, "127.0.0.1")],
        "::1": [(socket.AF_INET6, "::1")],
        "localhost": [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")],
    }[host]
    bound: list[socket.socket] = []
    try:
        for family, address in families:
            try:
                bound.append(_bind(family, address, bound[0].getsockname()[1] if bound else port))
            except OSError:
                if family is socket.AF_INET6 and bound and not _has_ipv6():
                    continue  # a machine without IPv6: no other user can take that address either
                raise
    except BaseException:
        for one in bound:
            one.close()
        raise
    return bound


def _bind(family: socket.AddressFamily, address: str, port: int) -> socket.socket:
    one = socket.socket(family, socket.SOCK_STREAM)
    try:
        if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):  # Windows would otherwise let another process share the port
            one.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
        else:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind((address, port))
        one.listen(64)
        one.setblocking(False)
    except BaseException:
        one.close()
        raise
    return one


def _has_ipv6() -> bool:
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
