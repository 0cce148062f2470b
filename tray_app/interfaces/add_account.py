"""Adds an account without a file or a terminal: what can be added, and the configuration with it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from tray_app.core.account import DEFAULT_REDIRECT_URI, Configuration
from tray_app.core.claude_code import PROGRAM, is_watched
from tray_app.core.claude_code import PROVIDER as CLAUDE_CODE
from tray_app.core.errors import LamplighterError, Misconfigured
from tray_app.core.message import msg
from tray_app.core.tokens import Secret
from tray_app.engine.engine import Engine

if TYPE_CHECKING:
    from tray_app.adapters.oauth.probe import Look

KEYS: Final = ("provider", "tenant", "issuer", "resource", "client_id")
TAKEN_UP_SECONDS: Final = 5.0
"""How long the running engine may take to know the account; .github/CONTRACT.md gives it three (section 3)."""


def offer(configuration: Configuration) -> dict[str, Any]:
    """The presets, and whether Claude Code is on this computer and not watched yet."""
    from tray_app.adapters.config.presets import offered
    from tray_app.base.processes import find_program

    has_one = any(map(is_watched, configuration.accounts.values()))
    presets = [
        {
            "name": preset.name,
            "title": preset.title,
            "registration": preset.registration,
            "redirect_uri": preset.redirect_uri or DEFAULT_REDIRECT_URI,
            "needs_client_secret": preset.quirks.needs_client_secret,
            "tenant": preset.tenant,
        }
        for preset in offered()
    ]
    return {"presets": presets, "claude_code": not has_one and find_program(PROGRAM) is not None}


async def add(engine: Engine, path: Path, wanted: dict[str, str], *, hold: Callable[[str, list[str]], None]) -> None:
    """Writes the account into the configuration, after a look at its provider; returns once it is applied.

    A client secret goes into the keyring and never into the file. Before the account is there, `hold` is called with
    its name and the hosts that its first sign-in leads to. Raises `LamplighterError`.
    """
    from tray_app.adapters.config.editor import with_account
    from tray_app.bootstrap import first_look

    provider = wanted.get("provider", "")
    name = wanted.get("name") or _free(
        "claude" if provider == CLAUDE_CODE else provider or "work", engine.configuration
    )
    values: dict[str, Any] = {key: wanted[key] for key in KEYS if wanted.get(key)}
    if not values.keys() & {"provider", "issuer", "resource"}:
        raise Misconfigured(msg("Nothing says where to sign in"))
    draft = await asyncio.to_thread(with_account, path, name, values)
    found = await asyncio.to_thread(first_look, draft.account)
    if scopes := _scopes(found):
        draft = await asyncio.to_thread(with_account, path, name, values | scopes)
    if provider != CLAUDE_CODE:
        await asyncio.to_thread(hold, name, list(found.hosts))
    queue = engine.events.subscribe()
    try:
        await asyncio.to_thread(draft.save)
        async with asyncio.timeout(TAKEN_UP_SECONDS):
            while name not in engine.configuration.accounts:
                await queue.get()
    except TimeoutError as error:
        what = msg("{name} is in the configuration, but was not taken up", name=name)
        raise LamplighterError(what, msg("The log tells more")) from error
    finally:
        engine.events.unsubscribe(queue)
    if secret := wanted.get("client_secret"):
        await engine.set_client_secret(name, Secret(secret))


def _scopes(found: Look) -> dict[str, Any]:
    if not found.scopes:
        return {}
    consent = {"authorization_parameters": {"prompt": "consent"}} if found.wants_consent else {}
    return {"scopes": list(found.scopes), **consent}


def _free(name: str, configuration: Configuration) -> str:
    names = {one.lower() for one in configuration.accounts}
    return next(
        each for number in range(1, 1000) if (each := name if number == 1 else f"{name}-{number}").lower() not in names
    )
