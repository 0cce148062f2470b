"""A process that dies at a step of our choosing, and what it leaves behind.

    with Crasher(home, provider) as crasher:
        crasher.run("refresh", at=7)    # Died("http sent") at its seventh step, or what came of it

Steps are each write and removal in the keyring and on disk, each lock taken and let go, and each request before it is
sent and after its answer came. The process is forked from one that has imported everything and has no threads; it dies
by `os._exit`, so that nothing is tidied up: no `finally`, no destructor.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode, urlsplit

KILLED = 99


@dataclass(frozen=True)
class Outcome:
    """How one life ended: at which step it was killed, or what came of its act."""

    died_at: str | None
    health: str = ""
    kind: str | None = None
    error: str | None = None
    token: str | None = None


class Crasher:
    """The process that everything is forked from."""

    def __init__(self, home: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.crashing", str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "LAMPLIGHTER_HOME": str(home)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()
        self._process.wait(30)

    def run(self, act: str, at: int = 0) -> Outcome:
        """One life that does `act` and dies at its step number `at`; at none where `at` is 0."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([act, at]) + "\n")
        self._process.stdin.flush()
        return Outcome(**json.loads(self._process.stdout.readline()))


class _Steps:
    """Counts, and dies at one of them."""

    def __init__(self, at: int, report: int) -> None:
        self._left = at
        self._report = report

    def __call__(self, name: str) -> None:
        self._left -= 1
        if self._left == 0:
            os.write(self._report, json.dumps({"died_at": name}).encode())
            os._exit(KILLED)

    def around(self, owner: Any, method: str, name: str) -> None:
        """A step before each call of the method, and one after it."""
        real = getattr(owner, method)
        if asyncio.iscoroutinefunction(real):

            async def waited(*given: Any, **named: Any) -> Any:
                self(f"before {name}")
                result = await real(*given, **named)
                self(f"after {name}")
                return result

            setattr(owner, method, waited)
        else:

            def called(*given: Any, **named: Any) -> Any:
                self(f"before {name}")
                result = real(*given, **named)
                self(f"after {name}")
                return result

            setattr(owner, method, called)


class FolderOfSecrets:
    """A keyring backend on files, each of whose calls is one step that happens or does not."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)

    def get_password(self, service: str, username: str) -> str | None:
        path = self._path(service, username)
        return path.read_text() if path.exists() else None

    def set_password(self, service: str, username: str, password: str) -> None:
        fresh = self._path(service, username).with_suffix(".new")
        fresh.write_text(password)
        fresh.replace(self._path(service, username))

    def delete_password(self, service: str, username: str) -> None:
        self._path(service, username).unlink()

    def _path(self, service: str, username: str) -> Path:
        return self._folder / f"{service}.{username}.secret".replace("/", "_")


async def _life(home: Path, act: str) -> dict[str, Any]:
    from tray_app.adapters.config import parser as config
    from tray_app.adapters.store.keyring_backend import Backend
    from tray_app.adapters.store.keyring_store import KeyringStore
    from tray_app.base.paths import places_in
    from tray_app.bootstrap import Environment, build_engine
    from tray_app.core.errors import LamplighterError

    backend = Backend(FolderOfSecrets(home / "keyring"), "folder", 400)  # so small that a token set is two entries
    here = places_in(home)
    world = Environment(here, draw=lambda: 0.5, store=KeyringStore(home, choose=lambda: backend))
    engine = build_engine(world, config.load(here.config_file))
    found: dict[str, Any] = {"died_at": None, "error": None, "token": None}
    try:
        await engine.load()
        match act:
            case "login":
                await _sign_in(engine)
            case "refresh":
                await engine.refresh("work")
            case "logout":
                await engine.sign_out("work")
            case "token":
                found["token"] = (await engine.token("work")).access_token.reveal()
            case "look":
                pass
    except LamplighterError as error:
        found["error"] = error.name
    await engine.stop()
    failure = engine.account("work").record.failure
    return found | {"health": str(engine.account("work").health), "kind": failure and str(failure.kind)}


async def _sign_in(engine: Any) -> None:
    url = (await engine.sign_in("work", None)).url
    under_way = engine.sign_ins.under_way("work")
    asked = dict(parse_qsl(urlsplit(url).query))
    back = urlsplit(f"{asked['redirect_uri']}?{urlencode({'code': 'canary-code', 'state': asked['state']})}")
    reader, writer = await asyncio.open_connection(back.hostname, back.port)
    writer.write(f"GET {back.path}?{back.query} HTTP/1.1\r\nHost: {back.netloc}\r\n\r\n".encode())
    await asyncio.shield(under_way)
    writer.close()
    del reader


def _inject(steps: _Steps) -> None:
    from tray_app.adapters.oauth.http_client import HttpClient
    from tray_app.adapters.store import locks as lock
    from tray_app.adapters.store.facts import FactsFolder

    steps.around(FolderOfSecrets, "set_password", "a write in the keyring")
    steps.around(FolderOfSecrets, "delete_password", "a removal in the keyring")
    steps.around(FactsFolder, "save", "a note on disk")
    steps.around(FactsFolder, "erase", "a removal on disk")
    steps.around(lock.KernelLock, "try_acquire", "a lock")
    steps.around(lock.KernelLock, "release", "the release of a lock")
    steps.around(HttpClient, "get", "a question to the provider")
    steps.around(HttpClient, "post", "a request to the provider")


def main() -> None:
    """Forks a life for each line."""
    import tray_app.adapters.oauth.authorization_code_flow
    import tray_app.adapters.oauth.provider
    import tray_app.adapters.store.keyring_store
    import tray_app.interfaces.applet

    tray_app.adapters.oauth.provider.import_libraries()
    home = Path(sys.argv[1])
    for line in sys.stdin:
        act, at = json.loads(line)
        reading, report = os.pipe()
        child = os.fork()
        if child == 0:
            steps = _Steps(at, report)
            _inject(steps)
            os.write(report, json.dumps(asyncio.run(_life(home, act))).encode())
            os._exit(0)
        os.close(report)
        with os.fdopen(reading) as told:
            text = told.read()
        os.waitpid(child, 0)
        print(text, flush=True)  # noqa: T201 - the answer to the line


if __name__ == "__main__":
    main()
