"""What the tray shows, made from the accounts' statuses: a pure function, so that every menu can be read in a test."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from tray_app.core.claude_code import PROVIDER as CLAUDE_CODE
from tray_app.core.health import Health, worst
from tray_app.core.message import joined, msg
from tray_app.core.phrasing import HEALTH_IN_WORDS, account_line, clock_time, watched_words
from tray_app.core.ports import Clock, MenuEntry, TrayView
from tray_app.core.status import AccountStatus

_HARMLESS = frozenset({Health.FRESH, Health.ENDING, Health.RETRYING, Health.EXPIRED})


@dataclass(frozen=True, slots=True)
class Acts:
    """What the entries of the menu do."""

    sign_in: Callable[[str], None]
    copy_link: Callable[[str], None]
    paste_answer: Callable[[str], None]
    refresh: Callable[[str], None]
    copy_token: Callable[[str], None]
    sign_out: Callable[[str], None]
    open_page: Callable[[], None]
    add_account: Callable[[], None]
    edit_configuration: Callable[[], None]
    toggle_autostart: Callable[[], None]
    open_log: Callable[[], None]
    about: Callable[[], None]
    quit: Callable[[], None]


@dataclass(frozen=True, slots=True)
class Situation:
    """Everything that the menu depends on."""

    statuses: Sequence[AccountStatus]
    signing_in: frozenset[str]
    configuration_error: str | None
    autostart: bool
    now: datetime


def view_of(situation: Situation, acts: Acts, clock: Clock) -> TrayView:
    """Icon, tooltip and menu for the situation."""
    statuses = situation.statuses
    health = worst(status.health for status in statuses)
    broken = situation.configuration_error
    if broken and not statuses:
        health = Health.SIGN_IN_NEEDED  # started with a broken file: only the person can fix it
    return TrayView(
        health=health,
        signing_in=bool(situation.signing_in),
        tooltip=_tooltip(situation),
        menu=(*_accounts(situation, acts), *_program(situation, acts)),
        renewed=lambda: view_of(replace(situation, now=clock.now()), acts, clock),
    )


def person_needed(statuses: Sequence[AccountStatus]) -> str | None:
    """The account that a left click signs in: the worst one that needs the person, else the only one signed out."""
    for status in statuses:
        if status.health is Health.SIGN_IN_NEEDED:
            return status.name
    if all(status.health is Health.SIGNED_OUT for status in statuses):
        return next((status.name for status in statuses), None)
    return None


def _tooltip(situation: Situation) -> str:
    if situation.configuration_error:
        return joined(": ", ("Lamplighter", situation.configuration_error))
    if not situation.statuses:
        return msg("Lamplighter: no account yet")
    lines = [_status_line(status) for status in situation.statuses]
    return joined("\n" if len(lines) > 1 else ": ", ("Lamplighter", *lines))


def _status_line(status: AccountStatus) -> str:
    """Without remaining times, so that the tooltip stays true without updates (an idle applet does not wake up)."""
    words = HEALTH_IN_WORDS[status.health]
    ends_by_itself = status.health in {Health.FRESH, Health.RETRYING} and status.provider != CLAUDE_CODE
    if ends_by_itself and status.expires_at is not None:
        end = clock_time(status.expires_at)[:5]
        return msg("{name}: {health} until {time}", name=status.name, health=words, time=end)
    return joined(": ", (status.name, words))


def _accounts(situation: Situation, acts: Acts) -> list[MenuEntry | None]:
    entries: list[MenuEntry | None] = []
    for status in situation.statuses:
        text = account_line(status.name, status.health, status.expires_at, situation.now)
        if status.provider == CLAUDE_CODE:
            text = joined(": ", (status.name, watched_words(status.health, status.sign_in_ends_at, situation.now)))
        if status.name in situation.signing_in:
            text = msg("{name}: waiting for the browser", name=status.name)
        entries.append(MenuEntry(text, below=_account(status, acts, is_open=status.name in situation.signing_in)))
    if not entries:
        entries.append(MenuEntry(msg("No account yet"), enabled=False))
    return [*entries, None]


def _account(status: AccountStatus, acts: Acts, *, is_open: bool) -> tuple[MenuEntry | None, ...]:
    name, health = status.name, status.health
    reason = () if status.failure is None else (MenuEntry(status.failure.message, enabled=False), None)
    if status.provider == CLAUDE_CODE:
        return (*reason, MenuEntry(msg("Sign In"), lambda: acts.sign_in(name)))
    elsewhere = (  # for a browser that is not this desktop's, or whose answer did not reach us
        MenuEntry(msg("Copy Sign-in Link"), lambda: acts.copy_link(name)),
        MenuEntry(msg("Paste Answer"), lambda: acts.paste_answer(name)),
    )
    return (
        *reason,
        MenuEntry(msg("Sign In"), lambda: acts.sign_in(name)),
        *(elsewhere if is_open else ()),
        MenuEntry(msg("Refresh Now"), lambda: acts.refresh(name), enabled=health in _HARMLESS),
        MenuEntry(msg("Copy Token"), lambda: acts.copy_token(name), enabled=health in _HARMLESS - {Health.EXPIRED}),
        MenuEntry(msg("Sign Out"), lambda: acts.sign_out(name), enabled=health is not Health.SIGNED_OUT),
    )


def _program(situation: Situation, acts: Acts) -> tuple[MenuEntry | None, ...]:
    needed = person_needed(situation.statuses)
    broken = situation.configuration_error
    add = acts.add_account
    default = (lambda: acts.sign_in(needed)) if needed else (acts.edit_configuration if broken else None)
    return (
        *((MenuEntry(msg("Sign In to {name}", name=needed), default, default=True),) if needed else ()),
        MenuEntry(
            msg("Open Lamplighter"), acts.open_page, default=not needed and not broken and bool(situation.statuses)
        ),
        MenuEntry(msg("Add Account..."), add, default=not needed and not broken and not situation.statuses),
        MenuEntry(msg("Edit Configuration"), acts.edit_configuration, default=bool(broken) and not needed),
        None,
        MenuEntry(msg("Start at Login"), acts.toggle_autostart, ticked=situation.autostart),
        MenuEntry(msg("Open Log"), acts.open_log),
        MenuEntry(msg("About"), acts.about),
        MenuEntry(msg("Quit"), acts.quit),
    )
