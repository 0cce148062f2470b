"""Accounts that were added on the page and whose first sign-in waits for the person's word, with the hosts it leads to.

Whoever could reach the page could add an account whose issuer is his own and borrows the company's authorization
endpoint: its sign-in would look right and hand the code to him. So the page names both hosts before the first one.
"""

from __future__ import annotations

import json
from pathlib import Path

from tray_app.base.paths import write_private


class Confirmations:
    """Kept in one small file: a restart confirms nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def hosts(self, account: str) -> list[str] | None:
        """The hosts to be confirmed for the account; None where nothing is to be."""
        return self._waiting().get(account)

    def wait(self, account: str, hosts: list[str]) -> None:
        """Holds the account's first sign-in until it is confirmed. Raises OSError."""
        self._save(self._waiting() | {account: hosts})

    def confirm(self, account: str) -> None:
        """The person has agreed. Raises OSError."""
        waiting = self._waiting()
        if waiting.pop(account, None) is not None:
            self._save(waiting)

    def _waiting(self) -> dict[str, list[str]]:
        try:
            found = json.loads(self._path.read_text("utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        if not isinstance(found, dict):
            return {}
        return {name: [str(host) for host in hosts] for name, hosts in found.items() if isinstance(hosts, list)}

    def _save(self, waiting: dict[str, list[str]]) -> None:
        write_private(self._path, json.dumps(waiting))
