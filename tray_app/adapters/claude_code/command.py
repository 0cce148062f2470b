"""The person's own `claude`: where it is, and how it is run."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from tray_app.adapters.claude_code.credentials_file import folder_of
from tray_app.core.account import Account
from tray_app.core.claude_code import PROGRAM, SIGN_IN
from tray_app.core.errors import LamplighterError, Misconfigured
from tray_app.core.message import msg


def command_of(account: Account, words: Sequence[str] = SIGN_IN) -> list[str]:
    """The argument list of the person's own program. Raises `Misconfigured` where it is nowhere."""
    from tray_app.base.processes import find_program

    program = find_program(account.command or PROGRAM)
    if program is None:
        raise Misconfigured(
            msg("{name}: the program `{program}` was not found", name=account.name, program=account.command or PROGRAM),
            name_it(account),
        )
    return [program, *words]


async def in_terminal(account: Account) -> None:
    """Runs `claude auth login` in a window of its own. Raises `LamplighterError` where there is no terminal."""
    from tray_app.base.processes import start_and_forget, terminal_for

    argv = terminal_for(command_of(account))
    if argv is None:
        raise LamplighterError(
            msg("{name}: no terminal was found here", name=account.name),
            msg("Run in one: {command}", command="claude auth login"),
        )
    await asyncio.to_thread(start_and_forget, argv, environment_of(account))


def environment_of(account: Account) -> dict[str, str]:
    """So that the program writes where we look."""
    return {"CLAUDE_CONFIG_DIR": str(folder_of(account))} if account.directory else {}


def name_it(account: Account) -> str:
    """The remedy where it was not found."""
    return msg(
        "Install Claude Code, or name the program in the configuration of {name} with `command`", name=account.name
    )
