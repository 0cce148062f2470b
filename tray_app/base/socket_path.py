"""Where the agent listens. Imports almost nothing: `lamplighter token` reads this before anything else."""

import os
import sys

HOME_VARIABLE = "LAMPLIGHTER_HOME"
SOCKET_VARIABLE = "LAMPLIGHTER_SOCKET"


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
    path: str | None
    if named or home:
        path = named or f"{home}/run"
    else:
        from tray_app.base.runtime_folder import runtime_folder

        path = runtime_folder()
    if path is None or path.startswith("~"):
        return None
    return path if named else socket_in(path)
