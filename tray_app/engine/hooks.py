"""Runs a person's own command after each refresh: `on_refresh` of an account."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress

from tray_app.base.log import LOG
from tray_app.base.paths import person_s_umask
from tray_app.core.account import Account

SECONDS = 60.0
"""A command that takes longer is ended: the next refresh would find it still there."""


async def run_command(account: Account) -> None:
    """Runs the account's command, if it has one: argv without a shell, the account's name in its environment.

    It is given no token; it can ask for one. Failures are logged.
    """
    if not account.on_refresh:
        return
    quiet = asyncio.subprocess.DEVNULL
    environment = os.environ | {"LAMPLIGHTER_ACCOUNT": account.name}
    try:
        process = await asyncio.create_subprocess_exec(
            *account.on_refresh,
            stdin=quiet,
            stdout=quiet,
            stderr=quiet,
            env=environment,
            umask=person_s_umask(),
            start_new_session=True,  # so that what it has started can be ended with it
        )
    except (OSError, ValueError) as error:
        LOG.warning("%s: on_refresh cannot be run: %s", account.name, error)
        return
    try:
        code = await asyncio.wait_for(process.wait(), SECONDS)
    except TimeoutError:
        _end(process)
        await process.wait()
        LOG.warning("%s: on_refresh took more than %d s and was ended", account.name, SECONDS)
    else:
        if code:
            LOG.warning("%s: on_refresh ended with %d", account.name, code)


def _end(process: asyncio.subprocess.Process) -> None:
    with suppress(ProcessLookupError):  # it has just ended by itself
        if sys.platform == "win32":
            process.kill()
        else:
            os.killpg(process.pid, signal.SIGKILL)
