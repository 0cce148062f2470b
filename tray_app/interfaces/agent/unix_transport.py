"""Connections of a Unix socket, read and answered in one go where that can be.

A program that wants a token connects, asks, reads and goes. With asyncio's own server and transports that takes the
loop five rounds and a place in its poll, 130 us; here it is one call, 30 us. Only who is slow to ask or to read, or
wants what takes time, becomes a connection.
"""

from __future__ import annotations

import asyncio
import select
import socket
from contextlib import suppress
from typing import Protocol

from tray_app.interfaces.agent.peer import is_own

AT_ONCE = 64
"""So many are let in before the rest of the loop has its turn."""
REST_SECONDS = 0.5
"""Before the next attempt where this process may open no more files."""
A_MOMENT = 0.0001
"""Seconds that one who comes alone has to ask: it is at it now, and another round of the loop takes longer."""
MOST_SELECTED = 1024
"""`select` knows no file with a higher number."""
PIECE = 65_536
MOST_READ_OVER = 16
HIGH, LOW = 65_536, 16_384
"""Bytes that a client has not taken yet: from HIGH on it is told nothing more, until they are down to LOW."""


class Talk(Protocol):
    """What those hear who come in."""

    def __call__(self) -> asyncio.Protocol:
        """A conversation with one more."""

    def last_word(self, piece: bytes) -> bytes | None:
        """All that is to be said to one who has sent this and nothing else; None where it takes a conversation."""


class Door:
    """Lets in who connects to a listening socket, until `close`."""

    def __init__(self, listening: socket.socket, talk: Talk) -> None:
        self._loop = asyncio.get_running_loop()
        self._listening = listening
        self._talk = talk
        self._rest: asyncio.TimerHandle | None = None
        self._open()

    def close(self) -> None:
        """Lets nobody in any more; the socket stays as it is."""
        self._loop.remove_reader(self._listening)
        if self._rest is not None:
            self._rest.cancel()

    def _open(self) -> None:
        self._rest = None
        self._loop.add_reader(self._listening, self._let_in)

    def _let_in(self) -> None:
        silent: list[socket.socket] = []
        for _ in range(AT_ONCE):
            try:
                connected = self._listening.accept()[0]
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                break
            except OSError:
                self._loop.remove_reader(self._listening)
                self._rest = self._loop.call_later(REST_SECONDS, self._open)
                break
            connected.setblocking(False)
            if not self._has_asked(connected):
                silent.append(connected)
        for connected in silent:  # meanwhile they have asked
            if len(silent) == 1 and connected.fileno() < MOST_SELECTED:
                select.select((connected,), (), (), A_MOMENT)
            if not self._has_asked(connected):
                Connection(self._loop, connected, self._talk()).go_on_reading()

    def _has_asked(self, connected: socket.socket) -> bool:
        """Whether it has said something; then that has been seen to, at once where that can be."""
        try:
            piece = connected.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError:
            piece = b""
        if not piece or not is_own(connected):
            connected.close()
        elif (answer := self._talk.last_word(piece)) is None:
            Connection(self._loop, connected, self._talk()).received(piece)
        else:
            self._dismiss(connected, answer)
        return True

    def _dismiss(self, connected: socket.socket, answer: bytes) -> None:
        try:
            sent = connected.send(answer)
        except (BlockingIOError, InterruptedError):
            sent = 0
        except OSError:
            sent = len(answer)  # nobody is there any more
        if sent == len(answer):
            connected.close()
        else:
            rest = Connection(self._loop, connected, self._talk())
            rest.write(answer[sent:])
            rest.close()


class Connection(asyncio.Transport):
    """One accepted socket, as asyncio's protocols know it; but what they do may end it before the call returns."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connected: socket.socket, protocol: asyncio.Protocol) -> None:
        super().__init__({"socket": connected})
        self._loop = loop
        self._socket = connected
        self._protocol = protocol
        self._unsent = bytearray()
        self._is_read = self._is_paused = self._is_full = self._is_closing = self._is_lost = False
        self._may_have_more = False
        protocol.connection_made(self)

    # -- what a protocol asks of its transport

    def is_closing(self) -> bool:
        return self._is_closing

    def write(self, data: bytes | bytearray | memoryview) -> None:
        if self._is_closing:
            return
        if not self._unsent:
            try:
                sent = self._socket.send(data)
            except (BlockingIOError, InterruptedError):
                sent = 0
            except OSError as error:
                self._lose(error)
                return
            if sent == len(data):
                return
            data = memoryview(data)[sent:]
            self._loop.add_writer(self._socket, self._writable)
        self._unsent += data
        if len(self._unsent) > HIGH and not self._is_full:
            self._is_full = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Closes once all is sent; nothing more is read."""
        if not self._is_closing:
            self._is_closing = True
            self._stop_reading()
            if not self._unsent:
                self._lose(None)

    def abort(self) -> None:
        """Closes at once."""
        self._is_closing = True
        self._lose(None)

    def pause_reading(self) -> None:
        self._is_paused = True
        self._stop_reading()

    def resume_reading(self) -> None:
        if self._is_paused:
            self._is_paused = False
            self.go_on_reading()

    # -- what the door and the loop tell

    def go_on_reading(self) -> None:
        """Takes what comes from now on."""
        if not (self._is_read or self._is_paused or self._is_closing):
            self._is_read = True
            self._loop.add_reader(self._socket, self._readable)

    def received(self, data: bytes) -> None:
        """So much has come; nothing where that was all."""
        if self._is_closing:
            return
        if data:
            self._may_have_more = len(data) == PIECE
            self._protocol.data_received(data)
            self.go_on_reading()
        else:
            self._stop_reading()
            self._is_paused = False  # there is nothing left to go on with
            if not self._protocol.eof_received():
                self.close()

    def _readable(self) -> None:
        try:
            data = self._socket.recv(PIECE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
        else:
            self.received(data)

    def _writable(self) -> None:
        try:
            sent = self._socket.send(self._unsent)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self._lose(error)
            return
        del self._unsent[:sent]
        if not self._unsent:
            self._loop.remove_writer(self._socket)
            if self._is_closing:
                self._lose(None)
                return
        if self._is_full and len(self._unsent) <= LOW:
            self._is_full = False
            self._protocol.resume_writing()

    # -- small parts

    def _stop_reading(self) -> None:
        if self._is_read:
            self._is_read = False
            self._loop.remove_reader(self._socket)

    def _lose(self, error: OSError | None) -> None:
        if self._is_lost:
            return
        self._is_closing = self._is_lost = True
        self._stop_reading()
        if self._unsent:
            self._unsent.clear()
            self._loop.remove_writer(self._socket)
        if error is None and self._may_have_more:
            self._read_over()
        self._socket.close()
        self._protocol.connection_lost(error)

    def _read_over(self) -> None:
        """What is left unread when a socket closes, the kernel tells the other end as an error."""
        with suppress(OSError):
            for _ in range(MOST_READ_OVER):
                if len(self._socket.recv(PIECE)) < PIECE:
                    return
