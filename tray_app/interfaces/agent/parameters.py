"""The parameters of requests to the agent."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from tray_app.base.http.messages import Request
from tray_app.core.tokens import TokenSet, has_digest

_SHA256 = re.compile(r"[0-9A-Fa-f]{64}")


class Misunderstood(Exception):
    """A parameter has a value that it cannot have; 400."""


def min_ttl(query: dict[str, list[str]]) -> timedelta:
    """How long the token must stay valid; zero by default. Raises `Misunderstood`."""
    text = query.get("min_ttl", ["0"])[-1]
    if not text.isascii() or not text.isdigit():
        raise Misunderstood("`min_ttl` is a number of seconds")
    digits = text.lstrip("0") or "0"
    return timedelta(seconds=int(digits) if len(digits) <= 9 else 999_999_999)  # no token lives for 31 years


def body_of(request: Request) -> dict[str, Any]:
    """The request's JSON object; empty where it has no body. Raises `Misunderstood`."""
    if not request.body:
        return {}
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise Misunderstood("the body is no JSON object")
    return found


def text_in(body: dict[str, Any], name: str) -> str:
    """The string of this name in the body, not empty. Raises `Misunderstood`."""
    text = body.get(name)
    if not isinstance(text, str) or not text:
        raise Misunderstood(f"`{name}` is a text")
    return text


def rejected(body: dict[str, Any]) -> Callable[[TokenSet], bool] | None:
    """A test for the tokens that a server rejected; None where the body names none. Raises `Misunderstood`."""
    digest = body.get("rejected_sha256")
    if digest is None:
        return None
    if not isinstance(digest, str) or not _SHA256.fullmatch(digest):
        raise Misunderstood("`rejected_sha256` is a text of 64 hexadecimal digits")
    return lambda tokens: has_digest(tokens, digest)
