"""Which token hosts a person has confirmed for an issuer whose authorization endpoint is elsewhere.

Mix-up (RFC 9700, 4.4): an attacker's metadata borrows an honest authorization endpoint, and the code goes to his token
endpoint. Where the honest server puts no `iss` into its answer (RFC 9207), only the person can tell.
"""

from __future__ import annotations

import json
from pathlib import Path

from tray_app.base.paths import write_private


class TokenHosts:
    """Kept in one small file in the state folder; without a path, while the process lives."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._allowed: dict[str, list[str]] = {}

    def is_allowed(self, issuer: str, at: str, to: str) -> bool:
        """Whether the person has said that a sign-in of the issuer at one host may be handed to the other."""
        return f"{at} {to}" in self._read().get(issuer, [])

    def allow(self, issuer: str, at: str, to: str) -> None:
        """Remembers that it may. Raises OSError."""
        allowed = self._read()
        allowed[issuer] = sorted({*allowed.get(issuer, []), f"{at} {to}"})
        self._allowed = allowed
        if self._path is not None:
            write_private(self._path, json.dumps(allowed))

    def _read(self) -> dict[str, list[str]]:
        if self._path is None:
            return self._allowed
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {issuer: [str(host) for host in hosts] for issuer, hosts in found.items() if isinstance(hosts, list)}
