"""`lamplighter`, `lamplighter-tray` and `python -m tray_app`. The bare command starts the tray before all else.

`token` is told apart before anything is imported: it is what scripts wait for.
"""

import os
import sys


def main() -> int:
    """Runs the command of `sys.argv`; its exit code."""
    try:
        if sys.argv[1:2] == ["token"]:
            from tray_app.interfaces.agent.fast_token import fetched

            code = fetched(sys.argv[2:])
            if code is not None:
                os._exit(code)  # nothing is left to be done; taking the interpreter apart costs 2 ms of 15
        return _main()
    except KeyboardInterrupt:  # before anything was there to be ended in order
        return 130


def _main() -> int:
    from tray_app.launch import keep_private, run_tray

    keep_private()
    if len(sys.argv) == 1 and "_LAMPLIGHTER_COMPLETE" not in os.environ:  # a shell that wants words to complete
        from tray_app.core.errors import LamplighterError

        try:
            return run_tray()
        except LamplighterError as error:
            print(f"lamplighter: {error}", file=sys.stderr)  # noqa: T201 - the last word to the terminal
            return error.exit_code
    from tray_app.cli.main import main as command

    return command()


if __name__ == "__main__":
    if not sys.flags.safe_path:
        del sys.path[0]  # the folder that we were started in: a keyring.py that lies there is not ours to import
    sys.exit(main())
