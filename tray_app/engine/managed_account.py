"""What keeps an account: a keeper, or for Claude Code's what only watches it. The engine asks both alike."""

from __future__ import annotations

from collections.abc import Callable

from tray_app.adapters.claude_code.account import Watched, is_watched
from tray_app.core.account import Account, Configuration, RetryPolicy
from tray_app.core.ports import Parts
from tray_app.engine.refresher import Keeper

Kept = Keeper | Watched


def kept_of(account: Account, parts: Parts, retry: RetryPolicy, changed: Callable[[Kept], None]) -> Kept:
    """The one that the account is for."""
    if is_watched(account):
        return Watched(account, parts.facts, parts.clock, changed)
    return Keeper(account, parts, retry, changed)


def is_same(kept: Kept, configuration: Configuration) -> bool:
    """Whether the account is still there, and still kept or still watched."""
    account = configuration.accounts.get(kept.account.name)
    return account is not None and is_watched(account) == is_watched(kept.account)
