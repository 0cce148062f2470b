"""`lamplighter exec`: another program, with the token in its environment and nowhere else."""

from __future__ import annotations

import os
import signal
import sys

import click

from tray_app.base.paths import person_s_umask
from tray_app.cli import client as asking
from tray_app.cli.commands.terminal import ACCOUNT, say

NOT_FOUND, NOT_STARTED = 127, 126
"""As shells and `env` have it."""


def _variable(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not name or "=" in name or not name.isprintable():
        raise click.BadParameter("no name for a variable")
    return name


@click.command("exec", options_metavar="[--env NAME]", add_help_option=True)
@ACCOUNT
@click.option("--env", "variable", default="LAMPLIGHTER_TOKEN", callback=_variable, metavar="NAME",
              help="The variable that holds the token; LAMPLIGHTER_TOKEN if nothing is said.")  # fmt: skip
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD ...")
def execute(account: str, variable: str, command: tuple[str, ...]) -> int:
    """Run CMD with a valid token in its environment. The exit code is CMD's."""
    environment = os.environ | {variable: str(asking.token(account, 0, wait=True)["access_token"])}
    try:
        return _become(command, environment)
    except FileNotFoundError:
        say(f"{command[0]}: there is no such program")
        return NOT_FOUND
    except (OSError, ValueError) as error:
        say(f"{command[0]} cannot be started ({getattr(error, 'strerror', None) or error})")
        return NOT_STARTED


def _become(command: tuple[str, ...], environment: dict[str, str]) -> int:  # noqa: RET503 - the program returns
    """Replaces this process by the program: exit code and signals are its own, and no copy of the token stays here."""
    sys.stdout.flush()
    if sys.platform == "win32":
        import subprocess

        with subprocess.Popen(command, env=environment) as process:  # there, exec returns to the prompt at once
            while process.poll() is None:
                try:
                    process.wait()
                except KeyboardInterrupt:
                    continue  # it got the Ctrl-C as well, and decides
        return process.returncode
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # Python ignores it, and what is ignored stays so
        if person_s_umask() >= 0:
            os.umask(person_s_umask())
        os.execvpe(command[0], command, environment)  # noqa: S606 - no shell is wanted
