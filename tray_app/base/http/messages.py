"""One request of HTTP and its answer, as values."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Request:
    """One request, complete with its body."""

    method: str
    path: str
    """The path, percent-decoded; without the query."""
    query: str
    headers: tuple[tuple[str, str], ...]
    """In order, names in lower case."""
    body: bytes

    def header(self, name: str) -> str | None:
        """The header's only value; None where it is missing or stands more than once."""
        found = [value for key, value in self.headers if key == name]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, slots=True)
class Response:
    """One answer. With `stream` the body comes piece by piece and the connection closes after it."""

    status: int
    body: bytes = b""
    content_type: str = "text/plain; charset=utf-8"
    headers: Sequence[tuple[str, str]] = ()
    stream: AsyncGenerator[bytes, None] | None = None


Handler = Callable[[Request], Awaitable[Response]]
