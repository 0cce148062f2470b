"""A stand-in for the person's own `claude`: it does what its plan says, and notes how it was called.

claude = Claude(tmp_path)            # its folder of credentials is tmp_path/.claude
claude.signs_in(days=28, exit_code=1)
claude.calls                         # [["auth", "login"]]
"""

from __future__ import annotations

import json
import os
import sys
from datetime import timedelta
from pathlib import Path

from tray_app.base.clock import WallClock

_PROGRAM = """#!{python}
import json, os, signal, sys, time
from pathlib import Path
plan = json.loads(Path({plan!r}).read_text())
folder = Path(os.environ.get("CLAUDE_CONFIG_DIR") or {folder!r})
with open({calls!r}, "a") as calls:
    call = {{"argv": sys.argv[1:], "pid": os.getpid(), "leader": os.getsid(0) == os.getpid(), "folder": str(folder),
            "terminal": os.isatty(0)}}
    calls.write(json.dumps(call) + "\\n")
if plan["text"] is not None:
    folder.mkdir(exist_ok=True)
    half = folder / ".credentials.json"
    half.write_text(plan["text"][: len(plan["text"]) // 2])   # as carelessly as it can be done
    half.write_text(plan["text"])
until = Path({plan!r} + ".end")
while plan["stays"] and not until.exists():
    time.sleep(0.02)
sys.exit(plan["exit_code"])
"""


class Claude:
    """The program and its credentials below `home`."""

    def __init__(self, home: Path, folder: str = ".local/bin") -> None:
        self.home = home
        self.program = home / folder / "claude"
        self.credentials = home / ".claude/.credentials.json"
        self._plan = home / "claude-plan.json"
        self._calls = home / "claude-calls"
        self.program.parent.mkdir(parents=True)
        text = _PROGRAM.format(
            python=sys.executable, plan=str(self._plan), calls=str(self._calls), folder=str(home / ".claude")
        )
        self.program.write_text(text)
        self.program.chmod(0o755)
        self.does_nothing()

    def credentials_until(self, days: float) -> str:
        """The file's text, with canaries where its secrets are."""
        now = WallClock().now()
        oauth = {
            "accessToken": "canary-claude-access",
            "refreshToken": "canary-claude-refresh",
            "expiresAt": int((now + timedelta(hours=8)).timestamp() * 1000),
            "refreshTokenExpiresAt": int((now + timedelta(days=days)).timestamp() * 1000),
            "scopes": ["user:inference"],
        }
        return json.dumps({"claudeAiOauth": oauth, "mcpOAuth": {"other": "canary-claude-other"}})

    def signed_in(self, days: float) -> None:
        """Somebody has signed in, in a terminal say."""
        self.credentials.parent.mkdir(exist_ok=True)
        fresh = self.credentials.with_suffix(".new")
        fresh.write_text(self.credentials_until(days))
        fresh.replace(self.credentials)

    def signs_in(self, days: float, *, exit_code: int = 0, stays: bool = False) -> None:
        """From now on a run of it brings a sign-in; with `stays` it goes on running until `end`."""
        self._write({"text": self.credentials_until(days), "exit_code": exit_code, "stays": stays})

    def does_nothing(self, *, exit_code: int = 0, stays: bool = False) -> None:
        """From now on a run of it brings none."""
        self._write({"text": None, "exit_code": exit_code, "stays": stays})

    def end(self) -> None:
        """What stays ends."""
        Path(f"{self._plan}.end").touch()

    @property
    def calls(self) -> list[dict[str, object]]:
        """How it was called, in order."""
        return [json.loads(line) for line in self._calls.read_text().splitlines()] if self._calls.exists() else []

    def runs(self) -> bool:
        """Whether the last one that was started still does."""
        try:
            os.kill(int(str(self.calls[-1]["pid"])), 0)
        except ProcessLookupError:
            return False
        return True

    def _write(self, plan: dict[str, object]) -> None:
        self._plan.write_text(json.dumps(plan))
