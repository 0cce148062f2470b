"""The configuration, the folders, the keyring and the running applet."""

from __future__ import annotations

import asyncio
import os
import socket
from pathlib import Path

from tray_app._version import __version__
from tray_app.base.paths import Places, refuse_others
from tray_app.core.account import Configuration
from tray_app.core.errors import LamplighterError, Misconfigured, StoreUnavailable
from tray_app.core.message import joined, msg
from tray_app.interfaces.doctor import advice
from tray_app.interfaces.doctor.blocking import in_thread
from tray_app.interfaces.doctor.finding import Finding, cannot, ok, skipped

_PATIENCE = 15.0
"""Seconds for an answer to the keyring's prompt."""


def configuration(found: Configuration, broken: Misconfigured | None, path: Path) -> Finding:
    """Whether the configuration can be read."""
    if broken is not None:
        return cannot("configuration", broken.what, broken.remedy)
    number = len(found.accounts)
    if not number:
        remedy = msg("Add Account... in the lamp's menu, or write one into {path}", path=path)
        return ok("configuration", msg("no account yet"), remedy)
    return ok("configuration", msg("1 account") if number == 1 else msg("{count} accounts", count=number))


async def folders(here: Places) -> Finding:
    """Whether the folders are writable, and nobody else's."""
    try:
        for path in (*here.folders(), here.config_file):
            refuse_others(path)
    except Misconfigured as error:
        return cannot("folders", error.what, error.remedy)
    for folder in (here.config_file.parent, here.state, here.log_file.parent, here.runtime):
        nearest = next((one for one in (folder, *folder.parents) if one.exists()), folder)
        if hasattr(os, "getuid") and nearest == folder and nearest.stat().st_uid != os.getuid():
            says = msg("{folder} belongs to another user", folder=folder)
            return cannot("folders", says, msg("Move it away, or set LAMPLIGHTER_HOME"))
        if not os.access(nearest, os.W_OK | os.X_OK):
            says = msg("{folder} cannot be written", folder=nearest)
            return cannot("folders", says, msg("Make it yours: {command}", command=f"chmod u+rwx {nearest}"))
    says = msg("configuration, state, log and socket have their places; the log: {path}", path=here.log_file)
    return ok("folders", says)


async def keyring(found: Configuration, here: Places) -> Finding:
    """Whether the keyring works: a real write, read and delete."""
    if found.store == "memory":
        says = msg('the configuration says store = "memory": tokens live in the applet alone')
        return skipped("keyring", says)
    from tray_app.adapters.store.keyring_backend import backend_name
    from tray_app.adapters.store.keyring_store import KeyringStore

    store = KeyringStore(here.home)
    try:
        name = await in_thread(backend_name)
        async with asyncio.timeout(_PATIENCE):
            await store.check()
    except TimeoutError:
        says = msg("it is locked, and its prompt was not answered")
        return cannot("keyring", says, msg("Unlock it, and run this again"))
    except StoreUnavailable as error:
        missing = error.reason in {"missing", "insecure"}
        return cannot("keyring", error.what, advice.keyring() if missing else error.remedy)
    finally:
        await store.close()
    chosen = "PYTHON_KEYRING_BACKEND" in os.environ
    says = msg("{name} has kept, given back and erased a probe", name=name)
    return ok("keyring", joined("; ", (says, msg("chosen by name") if chosen else "")))


async def applet(here: Places) -> Finding:
    """Whether the applet runs and answers at its socket."""
    from tray_app.adapters.store.locks import InstanceLock
    from tray_app.interfaces.agent.client import AgentClient

    client = AgentClient(here.socket)
    try:
        if await in_thread(client.alive):
            version = (await in_thread(lambda: client.ask("GET", "/v1/status", seconds=5))).get("version")
            if version == __version__:
                return ok("applet", msg("it runs and answers at {path}", path=here.socket))
            says = msg("version {running} runs, and this is {ours}", running=version, ours=__version__)
            return cannot("applet", says, msg("{command}, and start it again", command="lamplighter quit"))
    except LamplighterError as error:
        return cannot("applet", error.what, error.remedy)
    instance = InstanceLock(here.instance_lock)
    if here.instance_lock.exists() and not instance.try_acquire():
        remedy = msg("{command}, or end its process; then start it", command="lamplighter quit")
        return cannot("applet", msg("it runs, but does not answer"), remedy)
    instance.release()
    return skipped("applet", msg("it does not run"), msg("Start it: {command}", command="lamplighter"))


async def connections() -> list[Finding]:
    """That the kernel does not tell whose connections are, where it is so."""
    from tray_app.base.http.peer_user import CANNOT_TELL, peers_of

    if await asyncio.to_thread(peers_of, socket.AF_INET) is not None:
        return []
    return [skipped("connections", CANNOT_TELL)]
