"""The configuration, the folders, the keyring and the running applet."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tray_app._version import __version__
from tray_app.base.paths import Places
from tray_app.core.account import Configuration
from tray_app.core.errors import LamplighterError, Misconfigured, StoreUnavailable
from tray_app.core.message import joined, said
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
        remedy = said("Add Account... in the lamp's menu, or write one into {path}", path=path)
        return ok("configuration", said("no account yet"), remedy)
    return ok("configuration", said("1 account") if number == 1 else said("{count} accounts", count=number))


async def folders(here: Places) -> Finding:
    """Whether what must be written can be."""
    for folder in (here.config_file.parent, here.state, here.log_file.parent, here.runtime):
        nearest = next((one for one in (folder, *folder.parents) if one.exists()), folder)
        if hasattr(os, "getuid") and nearest == folder and nearest.stat().st_uid != os.getuid():
            says = said("{folder} belongs to another user", folder=folder)
            return cannot("folders", says, said("Move it away, or set LAMPLIGHTER_HOME"))
        if not os.access(nearest, os.W_OK | os.X_OK):
            says = said("{folder} cannot be written", folder=nearest)
            return cannot("folders", says, said("Make it yours: {command}", command=f"chmod u+rwx {nearest}"))
    says = said("configuration, state, log and socket have their places; the log: {path}", path=here.log_file)
    return ok("folders", says)


async def keyring(found: Configuration, here: Places) -> Finding:
    """Whether the keyring keeps what it is given: a real write, read and delete."""
    if found.store == "memory":
        says = said('the configuration says store = "memory": tokens live in the applet alone')
        return skipped("keyring", says)
    from tray_app.adapters.store.keyring_backend import backend_name
    from tray_app.adapters.store.keyring_store import KeyringStore

    store = KeyringStore(here.home)
    try:
        name = await in_thread(backend_name)
        async with asyncio.timeout(_PATIENCE):
            await store.check()
    except TimeoutError:
        says = said("it is locked, and its prompt was not answered")
        return cannot("keyring", says, said("Unlock it, and run this again"))
    except StoreUnavailable as error:
        missing = error.reason in {"missing", "insecure"}
        return cannot("keyring", error.what, advice.keyring() if missing else error.remedy)
    finally:
        await store.close()
    chosen = "PYTHON_KEYRING_BACKEND" in os.environ
    says = said("{name} has kept, given back and erased a probe", name=name)
    return ok("keyring", joined("; ", (says, said("chosen by name") if chosen else "")))


async def applet(here: Places) -> Finding:
    """Whether the applet runs and answers at its socket."""
    from tray_app.adapters.store.locks import InstanceLock
    from tray_app.interfaces.agent.client import AgentClient

    client = AgentClient(here.socket)
    try:
        if await in_thread(client.alive):
            version = (await in_thread(lambda: client.ask("GET", "/v1/status", seconds=5))).get("version")
            if version == __version__:
                return ok("applet", said("it runs and answers at {path}", path=here.socket))
            says = said("version {running} runs, and this is {ours}", running=version, ours=__version__)
            return cannot("applet", says, said("{command}, and start it again", command="lamplighter quit"))
    except LamplighterError as error:
        return cannot("applet", error.what, error.remedy)
    instance = InstanceLock(here.instance_lock)
    if here.instance_lock.exists() and not instance.try_acquire():
        remedy = said("{command}, or end its process; then start it", command="lamplighter quit")
        return cannot("applet", said("it runs, but does not answer"), remedy)
    instance.release()
    return skipped("applet", said("it does not run"), said("Start it: {command}", command="lamplighter"))
