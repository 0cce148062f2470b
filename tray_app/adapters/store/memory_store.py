"""Tokens in this process alone, for `store = "memory"`."""

from __future__ import annotations

from tray_app.core.tokens import Secret, TokenSet


class MemoryStore:
    """Forgets everything when the process ends."""

    def __init__(self) -> None:
        self._tokens: dict[str, TokenSet] = {}
        self._client_secrets: dict[str, Secret] = {}
        self._registrations: dict[str, Secret] = {}

    async def load(self, account: str) -> TokenSet | None:
        """The tokens that were saved, or None."""
        return self._tokens.get(account)

    async def save(self, account: str, tokens: TokenSet) -> None:
        """Keeps the tokens until the process ends."""
        self._tokens[account] = tokens

    async def erase(self, account: str) -> None:
        """Forgets the account's tokens; its client secret stays."""
        self._tokens.pop(account, None)

    async def check(self) -> None:
        """Always succeeds."""

    async def client_secret(self, account: str) -> Secret | None:
        """The account's client secret, or None."""
        return self._client_secrets.get(account)

    async def set_client_secret(self, account: str, secret: Secret | None) -> None:
        """Keeps the client secret; None forgets it."""
        if secret is None:
            self._client_secrets.pop(account, None)
        else:
            self._client_secrets[account] = secret

    async def registration(self, account: str) -> Secret | None:
        """The clients that were registered for the account, as text, or None."""
        return self._registrations.get(account)

    async def set_registration(self, account: str, text: Secret | None) -> None:
        """Keeps them; None forgets them."""
        if text is None:
            self._registrations.pop(account, None)
        else:
            self._registrations[account] = text

    async def close(self) -> None:
        """Nothing to release."""
