"""Where the agent listens. Imports almost nothing: `lamplighter token` reads this before anything else."""

import os
import sys

HOME_VARIABLE = "LAMPLIGHTER_HOME"
SOCKET_VARIABLE = "LAMPLIGHTER_SOCKET"

_RUNTIME = {"linux": ("XDG_RUNTIME_DIR", "lamplighter"), "win32": ("LOCALAPPDATA", "Temp/lamplighter")}
"""A variable, and where the runtime folder is below what it names; `places()` asks the platform itself."""


def socket_in(runtime: str) -> str:
    """The agent's socket for this runtime folder; on Windows a named pipe."""
    if sys.platform == "win32":
        from tray_app.base.pipe_name import pipe_name

        return pipe_name(runtime)
    else:  # noqa: RET505 - so that the types of both platforms can be checked
        return f"{runtime}/agent.sock"


def socket_path() -> str | None:
    """Where `places().socket` is; None where the environment alone does not say."""
    named, home = os.environ.get(SOCKET_VARIABLE), os.environ.get(HOME_VARIABLE)
    variable, below = _RUNTIME.get(sys.platform, ("", ""))
    folder = os.environ.get(variable)
    if named or home:
        path = named or f"{home}/run"
    elif folder:
        path = f"{folder}/{below}"
    else:
        return None
    if path.startswith("~"):
        return None
    return path if named else socket_in(path)
