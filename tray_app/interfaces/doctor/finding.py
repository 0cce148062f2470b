"""The result of a check, safe to paste into a bug report."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

from tray_app.core.failure import plain
from tray_app.core.message import msg

_LONGEST = 400
_CHECKS: Final = {
    str(name): name
    for name in (
        msg("configuration"),
        msg("folders"),
        msg("keyring"),
        msg("tray"),
        msg("notifications"),
        msg("browser"),
        msg("autostart"),
        msg("connections"),
        msg("applet"),
        msg("clock"),
        msg("network"),
        msg("proxy"),
        msg("DNS"),
        msg("TLS"),
        msg("discovery"),
        msg("Claude Code"),
    )
}
"""The names of all checks, translatable."""


class Verdict(StrEnum):
    """How a check ended."""

    OK = "ok"
    CANNOT = "cannot"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One check's result."""

    name: str
    verdict: Verdict
    says: str
    remedy: str = ""
    account: str | None = None

    def as_json(self, translate: Callable[[str], str] = str) -> dict[str, Any]:
        """The finding for programs, masked. `translate` translates its texts."""
        return {
            "name": translate(_CHECKS.get(self.name, self.name)),
            "account": self.account,
            "verdict": str(self.verdict),
            "says": masked(translate(self.says)),
            "remedy": masked(translate(self.remedy)) or None,
        }


def ok(name: str, says: str, remedy: str = "", account: str | None = None) -> Finding:
    """It works; `remedy` then says what could be improved."""
    return Finding(name, Verdict.OK, says, remedy, account)


def cannot(name: str, says: str, remedy: str, account: str | None = None) -> Finding:
    """It does not work, and what to do."""
    return Finding(name, Verdict.CANNOT, says, remedy, account)


def skipped(name: str, says: str, remedy: str = "", account: str | None = None) -> Finding:
    """It was not tried, and why."""
    return Finding(name, Verdict.SKIPPED, says, remedy, account)


def masked(text: str) -> str:
    """The text without what is the person's alone: the home folder's name, a user and password in an address, its
    query.
    """
    home = str(Path.home())
    text = text.replace(home, "~") if len(home) > 1 else text
    text = re.sub(r"//[^/@\s]+@", "//***@", text)
    return plain(re.sub(r"(https?://[^\s?#]+)[?#]\S+", r"\1?***", text), _LONGEST)
