"""Builds what the tests of this folder install, once for all of them, as a person would: with packaging/build.py."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tray_app._version import __version__

ROOT = Path(__file__).parents[2]
BARE = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}


@cache
def built(kind: str, into: Path, umask: int = 0o022) -> list[Path]:
    """The files that `build.py KIND --into INTO` makes, in order of their names."""
    command = [sys.executable, str(ROOT / "packaging/build.py"), kind, "--into", str(into)]
    done = subprocess.run(command, env=BARE, umask=umask, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return sorted(into.iterdir())


def bill(content: bytes) -> dict[str, str | None]:
    """The components that an SBOM names, with their versions, once it was held against CycloneDX's schema."""
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(content.decode()) is None
    document = json.loads(content)
    assert not {"serialNumber", "timestamp"} & {*document, *document["metadata"]}  # the same bytes each time
    own = document["metadata"]["component"]
    assert (own["name"], own["version"]) == ("lamplighter", __version__)
    return {component["name"].lower(): component.get("version") for component in document["components"]}


def pinned() -> dict[str, str]:
    """The versions in the hashed requirements of what the packages freeze."""
    texts = [(ROOT / f"packaging/requirements/{name}.txt").read_text("utf-8") for name in ("run", "freeze")]
    return dict(re.findall(r"^([\w.-]+)==(\S+)", "\n".join(texts), re.MULTILINE))


def said(*command: str | Path, **variables: str) -> str:
    """What the program prints on both; it must end well, within five minutes."""
    done = subprocess.run(
        list(map(str, command)),
        env={**BARE, **variables},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout
