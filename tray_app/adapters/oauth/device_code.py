"""What a server gives for a sign-in on another device (RFC 8628, 3.2), read strictly. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from tray_app.core.failure import Answer, members
from tray_app.core.tokens import Secret
from tray_app.core.urls import check_endpoint_url

GRANT: Final = "urn:ietf:params:oauth:grant-type:device_code"
USUAL_INTERVAL = 5.0
"""Seconds between two questions, where the server names none (3.5)."""
LONGEST_INTERVAL = 300.0
LONGEST_LIFE = timedelta(hours=1)
"""A person who has not come by then does not come any more."""

_LONGEST_CODE: Final = 100


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """The two codes: the person's, and ours, which is as good as the sign-in itself."""

    secret: Secret
    user_code: str
    verification_uri: str
    complete_uri: str | None
    """With the user code in it."""
    expires_at: datetime
    interval: float
    """Seconds."""


def device_code_of(answer: Answer, requested_at: datetime) -> DeviceCode | None:
    """The codes; None where the answer has none that could be shown and opened."""
    found = members(answer) if 200 <= answer.status < 300 else {}
    secret, user_code, complete = (
        found.get(name) for name in ("device_code", "user_code", "verification_uri_complete")
    )
    place = found.get("verification_uri", found.get("verification_url"))  # the second is Google's, from before the RFC
    if not isinstance(secret, str) or not secret or not isinstance(user_code, str) or not _can_be_shown(user_code):
        return None
    if not _can_be_opened(place):
        return None
    life = _seconds(found, "expires_in") or LONGEST_LIFE.total_seconds()
    interval = _seconds(found, "interval")
    return DeviceCode(
        secret=Secret(secret),
        user_code=user_code,
        verification_uri=str(place),
        complete_uri=str(complete) if _can_be_opened(complete) else None,
        expires_at=requested_at + min(timedelta(seconds=min(life, 86_400)), LONGEST_LIFE),
        interval=USUAL_INTERVAL if interval is None else min(max(interval, 1.0), LONGEST_INTERVAL),
    )


def _can_be_shown(code: str) -> bool:
    """On one line of a terminal: no escapes, nothing invisible around it."""
    return code.isprintable() and code == code.strip() and 0 < len(code) <= _LONGEST_CODE


def _can_be_opened(uri: object) -> bool:
    return isinstance(uri, str) and check_endpoint_url(uri) is None


def _seconds(found: dict[str, Any], name: str) -> float | None:
    try:
        value = float(found.get(name, "") if not isinstance(found.get(name), bool) else "")
    except (TypeError, ValueError, OverflowError):
        return None
    return value if math.isfinite(value) and value >= 0 else None
