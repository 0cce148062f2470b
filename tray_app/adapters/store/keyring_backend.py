"""Which keyring is used, and what its errors mean.

A backend that the person chose by name (`PYTHON_KEYRING_BACKEND`, `keyringrc.cfg`) is obeyed, whatever it is. Otherwise
the first that works of those known to keep secrets is taken, in keyring's own order of priority. That is where
keyring's own choice would write too, without its loading of every installed plug-in: 1 MB and 50 ms less on Linux
(measured), and no plain-text plug-in can come first.
"""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

from tray_app.adapters.store.openssl import import_secretstorage
from tray_app.base.lean_imports import lean_imports
from tray_app.core.errors import StoreUnavailable
from tray_app.core.message import joined, msg

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

_FREEDESKTOP: Final = "keyring.backends.SecretService.Keyring"
_KWALLET: Final = "keyring.backends.kwallet.DBusKeyring"
_LIBSECRET: Final = "keyring.backends.libsecret.Keyring"
_WINDOWS: Final = "keyring.backends.Windows.WinVaultKeyring"
_MACOS: Final = "keyring.backends.macOS.Keyring"

PART_SIZE: Final = 1200
"""Characters in an entry of the Windows Credential Manager: it takes 2,560 bytes of UTF-16 and we write ASCII."""

_REMEDIES: Final = {
    "locked": msg("Unlock the keyring"),
    "missing": msg(
        'Start a keyring such as GNOME Keyring, KWallet or KeePassXC, or set store = "memory" in config.toml'
    ),
    "full": msg("Remove entries that are no longer needed from the keyring, or free disk space"),
    "silent": msg("Answer its prompt if there is one, or restart the keyring"),
    "insecure": msg(
        "Start a keyring that keeps secrets, choose this one by name in PYTHON_KEYRING_BACKEND, "
        'or set store = "memory" in config.toml'
    ),
    "broken": msg("Look whether your desktop's own password manager opens it"),
}
_REASONS: Final = {
    "KeyringLocked": "locked",
    "LockedException": "locked",
    "PromptDismissedException": "locked",
    "NoKeyringError": "missing",
    "InitError": "missing",
    "SecretServiceNotAvailableException": "missing",
    "ConnectionError": "missing",
    "EOFError": "missing",
    "FileNotFoundError": "missing",
    "TimeoutError": "silent",
}
"""By class name: most of these libraries are not on every platform."""

_SAID: Final = {
    "locked": msg("The keyring is locked"),
    "missing": msg("There is no keyring"),
    "full": msg("The keyring is full"),
    "silent": msg("The keyring does not answer"),
    "broken": msg("The keyring failed"),
}


@dataclass(frozen=True, slots=True)
class Backend:
    """The keyring that is used."""

    entries: KeyringBackend
    name: str
    """Module and class, as in `PYTHON_KEYRING_BACKEND`."""
    part_size: int | None = None
    """The most characters in one entry, where there is a limit."""
    unlock: Callable[[], bool] = lambda: False
    """Shows the desktop's own prompt, blocks until it is answered, says whether it helped. False where there is none
    to be had: other backends than the Secret Service prompt within any call.
    """


def choose() -> Backend:
    """The keyring to use, looked for anew each time. May block. Raises `StoreUnavailable`: missing or insecure."""
    try:
        chosen = _chosen_by_name()
    except Exception as error:
        what = msg("The keyring that was chosen by name cannot be used ({reason})", reason=_text(error))
        remedy = msg(
            "Correct or remove PYTHON_KEYRING_BACKEND, or default-keyring in keyringrc.cfg, or start that keyring"
        )
        raise StoreUnavailable(what, remedy, "missing") from error
    return _prepared(chosen or _found())


def backend_name() -> str:
    """The name of the keyring in use, for people. May block. Raises `StoreUnavailable` as `choose` does."""
    return choose().name


def store_error(error: Exception) -> StoreUnavailable:
    """The keyring's error as one with a reason and a remedy."""
    if isinstance(error, StoreUnavailable):
        return error
    reason = _reason(error)
    says_more = reason in {"missing", "broken"} and type(error).__name__ != "NoKeyringError"  # that advises plain text
    return unavailable(reason, _text(error) if says_more else "")


def unavailable(reason: str, detail: str = "") -> StoreUnavailable:
    """The error of that reason, in words, with what to do about it."""
    what = joined(" ", (_SAID[reason], f"({detail})" if detail else ""))
    return StoreUnavailable(what, _REMEDIES[reason], reason)


def _reason(error: Exception) -> str:
    # 1783: more than 2,560 bytes in the Credential Manager; 8, 14, 112: it, or the disk, is full.
    if getattr(error, "winerror", None) in {8, 14, 112, 1783} or getattr(error, "errno", None) == errno.ENOSPC:
        return "full"
    text = str(error)
    # errSecInteractionNotAllowed on macOS; KWallet's text for a dismissed prompt.
    if "-25308" in text or "Cancelled by user" in text:
        return "locked"
    for kind in type(error).__mro__:
        if kind.__name__ in _REASONS:
            return _REASONS[kind.__name__]
    return "broken"


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".rstrip(". :")


def _chosen_by_name() -> KeyringBackend | None:
    import importlib.metadata
    from functools import cache

    # The first as keyring has it from Python 3.12 on; of the other it uses this one function. 1 MB (measured).
    with lean_imports({"importlib_metadata": importlib.metadata, "jaraco.functools": SimpleNamespace(once=cache)}):
        from keyring import core
    if sys.platform == "linux":
        import_secretstorage()
    return core.load_env() or core.load_config()


def _candidates() -> tuple[str, ...]:
    kde = "KDE" in os.environ.get("XDG_CURRENT_DESKTOP", "").split(":")
    linux = (_KWALLET, _FREEDESKTOP, _LIBSECRET) if kde else (_FREEDESKTOP, _KWALLET, _LIBSECRET)
    return {"win32": (_WINDOWS,), "darwin": (_MACOS,)}.get(sys.platform, linux)


def _found() -> KeyringBackend:
    from keyring import core

    reasons = []
    for name in _candidates():
        try:
            return core.load_keyring(name)
        except Exception as error:  # noqa: BLE001 - a backend that does not fit here may fail in any way
            reasons.append(str(error).rstrip("."))
    raise _none_found(reasons)


def _none_found(reasons: list[str]) -> StoreUnavailable:
    """Logs which backend keyring itself would have chosen, so that whoever installed it knows why it is not used."""
    from keyring import backend

    found = map(_name, backend.get_all_keyring())
    names = sorted(name for name in found if not name.startswith("keyring.backends."))
    if names:
        what = msg("The only keyring found is {names}, which is not known to keep secrets", names=", ".join(names))
        return StoreUnavailable(what, _REMEDIES["insecure"], "insecure")
    return unavailable("missing", reasons[0])


def _prepared(entries: KeyringBackend) -> Backend:
    name = _name(entries)
    if name == _WINDOWS:
        return Backend(_own_targets(entries), name, PART_SIZE)
    if name == _FREEDESKTOP:
        return Backend(_without_prompt(entries), name, unlock=lambda: _unlock(entries))
    return Backend(entries, name)


def _own_targets(entries: Any) -> KeyringBackend:
    """The same backend, with each entry under its own target, where its get and delete look as well.

    Its own set_password moves the last entry aside to make room under the bare service name: two processes that write
    at once lose an entry, and an old value may stay behind. Entries stay on this machine instead of roaming.
    """
    if "KEYRING_PROPERTY_PERSIST" not in os.environ:
        entries.persist = "local machine"

    def set_password(service: str, username: str, password: str) -> None:
        entries._set_password(entries._compound_name(username, service), username, password)  # noqa: SLF001 - see above

    same: KeyringBackend = entries.with_properties(set_password=set_password)
    return same


def _without_prompt(entries: Any) -> KeyringBackend:
    """The same backend, which raises `KeyringLocked` where it would ask the person and block until the answer.

    It lists first and reads then: an entry that another process removes in between is as one that was not there.
    """
    import secretstorage
    from keyring.errors import KeyringLocked

    def get_preferred_collection() -> Any:
        with ExitStack() as unless_kept:
            bus = unless_kept.enter_context(closing(_connected()))
            with suppress(secretstorage.ItemNotFoundException):  # none yet: making one asks for its password
                collection = _collection(entries, bus)
                if not collection.is_locked():
                    unless_kept.pop_all()
                    return collection
            raise KeyringLocked("locked")

    def get_password(service: str, username: str) -> str | None:
        with suppress(secretstorage.ItemNotFoundException):
            found: str | None = asking_nobody.get_password(service, username)
            return found
        return None

    asking_nobody = entries.with_properties(get_preferred_collection=get_preferred_collection)
    same: KeyringBackend = asking_nobody.with_properties(get_password=get_password)
    return same


def _unlock(entries: Any) -> bool:
    """What keyring itself would do about a locked or missing collection, without its leak of the connection."""
    import secretstorage

    with closing(_connected()) as bus:
        try:
            collection = _collection(entries, bus)
        except secretstorage.ItemNotFoundException:
            collection = secretstorage.get_default_collection(bus)
        return not collection.unlock()


def _connected() -> Any:
    """A connection to the Secret Service whose first question, which does no harm, is asked and answered.

    GNOME Keyring (seen with 42, known of 50) now and then handles the first one before it has noted who asks. Then it
    aborts, and the whole keyring with it is locked, once in some 10,000 connections (tests/bench/first_question.py);
    but at an alias that nobody has it looks for no asker.
    """
    import secretstorage
    from jeepney import DBusErrorResponse

    with ExitStack() as unless_kept:
        bus = unless_kept.enter_context(closing(secretstorage.dbus_init()))
        with suppress(secretstorage.ItemNotFoundException, DBusErrorResponse):
            secretstorage.get_collection_by_alias(bus, "lamplighter")
        unless_kept.pop_all()
        return bus


def _collection(entries: Any, bus: Any) -> Any:
    import secretstorage

    preferred = getattr(entries, "preferred_collection", None)  # KEYRING_PROPERTY_PREFERRED_COLLECTION
    return secretstorage.Collection(bus, preferred) if preferred else secretstorage.Collection(bus)


def _name(entries: KeyringBackend) -> str:
    return f"{type(entries).__module__}.{type(entries).__qualname__}"
