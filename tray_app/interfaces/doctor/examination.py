"""Runs all checks concurrently, each with a timeout; reports as text and as JSON."""

from __future__ import annotations

import asyncio
import platform
from collections.abc import Awaitable, Callable
from typing import Any, Final

from tray_app._version import __version__
from tray_app.adapters.config import parser as config
from tray_app.base.clock import WallClock
from tray_app.base.log import LOG
from tray_app.base.paths import Places
from tray_app.core.account import Account, Configuration
from tray_app.core.claude_code import is_watched
from tray_app.core.errors import LamplighterError, Misconfigured
from tray_app.core.message import msg
from tray_app.core.ports import Clock
from tray_app.interfaces.doctor import advice, desktop, home, network
from tray_app.interfaces.doctor.finding import Finding, Verdict, cannot, masked, ok
from tray_app.interfaces.doctor.network import Offset

LIMIT: Final = 20.0
"""Seconds for a check. They run concurrently, so the whole takes about as long at most."""


async def examine(here: Places, clock: Clock | None = None) -> list[Finding]:
    """Every check's finding, in the order of a report. Never raises: a failure is a finding."""
    clock = clock or WallClock()
    broken: Misconfigured | None = None
    try:
        found = await asyncio.to_thread(config.load, here.config_file)
    except Misconfigured as error:
        found, broken = Configuration(), error
    of_accounts = [_account(account, clock) for account in found.accounts.values()]
    general = [
        _within("folders", home.folders(here)),
        _within("keyring", home.keyring(found, here)),
        _within("tray", desktop.tray()),
        _within("notifications", desktop.notifications()),
        _within("browser", desktop.browser()),
        _within("autostart", desktop.autostart()),
        _within("applet", home.applet(here)),
    ]
    findings, accounts = await asyncio.gather(asyncio.gather(*general), asyncio.gather(*of_accounts))
    offsets = [offset for _, offset in accounts if offset is not None]
    return [
        home.configuration(found, broken, here.config_file),
        *findings,
        *await home.connections(),
        network.clock_finding(offsets),
        *(finding for findings, _ in accounts for finding in findings),
    ]


async def _account(account: Account, clock: Clock) -> tuple[list[Finding], Offset | None]:
    if is_watched(account):
        return [await _watched(account)], None
    found: list[tuple[list[Finding], Offset | None]] = []

    async def ask() -> Finding:
        found.append(await network.of_account(account, clock))
        return found[0][0][0]

    trouble = await _within("network", ask(), account.name)
    return found[0] if found else ([trouble], None)


async def _watched(account: Account) -> Finding:
    from tray_app.adapters.claude_code.command import command_of
    from tray_app.adapters.claude_code.credentials_file import credentials_file

    try:
        program = (await asyncio.to_thread(command_of, account))[0]
    except LamplighterError as error:
        return cannot("Claude Code", error.what, error.remedy, account.name)
    path = credentials_file(account)
    if path.exists():
        says = msg("{program}; its sign-in is watched in {path}", program=program, path=path)
    else:
        says = msg("{program}; no sign-in is in {path}", program=program, path=path)
    return ok("Claude Code", says, account=account.name)


async def _within(name: str, check: Awaitable[Finding], account: str | None = None) -> Finding:
    try:
        async with asyncio.timeout(LIMIT):
            return await check
    except TimeoutError:
        says = msg("no end within {seconds} s", seconds=f"{LIMIT:.0f}")
        return cannot(name, says, msg("Something there hangs: try again after a new login"), account)
    except Exception as error:  # noqa: BLE001 - a bug of ours must not hide what the other checks have found
        LOG.exception("doctor: %s ended in a way that was not foreseen", name)
        says = msg("this check failed by itself ({error})", error=type(error).__name__)
        return cannot(name, says, msg("Please tell us"), account)


def report_json(findings: list[Finding], translate: Callable[[str], str] = str) -> dict[str, Any]:
    """The report for programs. `translate` translates its texts, for the page."""
    return {
        "version": __version__,
        "python": platform.python_version(),
        "system": advice.system_name(),
        "desktop": advice.desktop_name() or None,
        "ok": all_is_well(findings),
        "checks": [finding.as_json(translate) for finding in findings],
    }


def all_is_well(findings: list[Finding]) -> bool:
    """Whether nothing failed."""
    return all(finding.verdict is not Verdict.CANNOT for finding in findings)


def report_lines(findings: list[Finding]) -> list[tuple[Verdict | None, str]]:
    """The report for a terminal, in English: each line with its verdict, if any."""
    head = (f"Lamplighter {__version__}", f"Python {platform.python_version()}", advice.system_name())
    lines: list[tuple[Verdict | None, str]] = [(None, ", ".join((*head, *filter(None, [advice.desktop_name()]))))]
    account = None
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        if finding.account != account:
            account = finding.account
            lines.append((None, f"\n{account}"))
        lines.append((finding.verdict, f"  {finding.verdict:<8}{finding.name:<{width}}  {masked(finding.says)}"))
        if finding.remedy:
            lines.append((None, f"  {'':<8}{'':<{width}}  > {masked(finding.remedy)}"))
    failed = sum(finding.verdict is Verdict.CANNOT for finding in findings)
    end = {0: "Nothing failed.", 1: "One thing failed; its remedy stands below it."}
    lines.append((None, "\n" + end.get(failed, f"{failed} things failed; the remedy of each stands below it.")))
    return lines
