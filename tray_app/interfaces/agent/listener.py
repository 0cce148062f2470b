"""What the HTTP server and the places where it listens know of each other: a Unix socket, a named pipe."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path
from typing import Protocol


class Connections(Protocol):
    """What serves accepted connections."""

    def protocol(self) -> asyncio.Protocol:
        """What serves the next one."""

    def answer_at_once(self, received: bytes) -> bytes | None:
        """The whole answer to a client that has sent this and closes after it; None where that takes a `protocol`.

        It is short enough for the socket's empty buffer.
        """

    def serve(self, connected: socket.socket, received: bytes = b"") -> None:
        """Serves one from which so much was read already."""


class Listener(Protocol):
    """Accepts connections."""

    def close(self) -> None:
        """Accepts no more; those that are there stay."""


class Bound(Protocol):
    """A socket or pipe at which programs find the agent. They can connect at once, and wait until `open` is called."""

    path: Path

    def open(self, connections: Connections) -> Listener:
        """Begins to accept. To be called in the loop's thread."""

    def is_gone(self) -> bool:
        """Whether nothing is at its path any more. Something else that is there counts, and is not touched."""

    def close(self) -> None:
        """Ends it, and removes it where it is still there."""
