"""What keeps an account: a keeper, or for Claude Code's what only watches it. The engine asks both alike."""

from __future__ import annotations

from collections.abc import Callable

from tray_app.adapters.claude_code.account import WatchedAccount, is_watched
from tray_app.core.account import Account, Configuration, RetryPolicy
from tray_app.core.ports import Dependencies
from tray_app.engine.refresher import Refresher

ManagedAccount = Refresher | WatchedAccount


def new_account(
    account: Account, parts: Dependencies, retry: RetryPolicy, changed: Callable[[ManagedAccount], None]
) -> ManagedAccount:
    """The one that the account is for."""
    if is_watched(account):
        return WatchedAccount(account, parts.facts, parts.clock, changed)
    return Refresher(account, parts, retry, changed)


def is_same(kept: ManagedAccount, configuration: Configuration) -> bool:
    """Whether the account is still there, and still kept or still watched."""
    account = configuration.accounts.get(kept.account.name)
    return account is not None and is_watched(account) == is_watched(kept.account)
