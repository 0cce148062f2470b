"""A client secret with what it belongs to beside it, as one text for the store.

An edited issuer, client id or endpoint must not be sent a secret that was set for another one (MCP 2026-07-28,
"Authorization Server Binding").
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from tray_app.core.tokens import Secret

_MARK: Final = "lamplighter-secret-1 "
"""What is kept without it was written by a version that bound secrets to nothing."""


@dataclass(frozen=True, slots=True)
class KeptSecret:
    """A client secret as it was kept."""

    secret: Secret
    bound_to: str | None = None
    """The account's `secret_bound_to` when it was set; None: not noted."""
    issuer: str | None = None
    """Who it belongs to where the configuration names a resource: noted when that was first found."""


def bound_secret(secret: Secret, bound_to: str, issuer: str | None = None) -> Secret:
    """The text for the store."""
    return Secret(_MARK + json.dumps({"secret": secret.reveal(), "bound_to": bound_to, "issuer": issuer}))


def kept_secret(text: Secret) -> KeptSecret:
    """What `bound_secret` wrote; any other text is a secret that is bound to nothing."""
    if not text.reveal().startswith(_MARK):
        return KeptSecret(text)
    try:
        found = json.loads(text.reveal().removeprefix(_MARK))
        return KeptSecret(Secret(found["secret"]), found["bound_to"], found["issuer"])
    except (ValueError, KeyError, TypeError):
        return KeptSecret(text)
