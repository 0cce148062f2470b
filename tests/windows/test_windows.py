"""The parts of Windows itself: Credential Manager, Run key, balloons where toasts are not. Under Wine as well."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.builders import tokens
from tray_app.adapters.platform.autostart import autostart
from tray_app.adapters.store.keyring_store import KeyringStore
from tray_app.core.ports import Notification
from tray_app.interfaces.notifications.native_notifier import NativeNotifier
from tray_app.interfaces.notifications.notifier import make_notifier

pytestmark = pytest.mark.skipif(sys.platform != "win32", reason="only on Windows")
LIMIT = 2560
"""Bytes in one credential (wincred.h, CRED_MAX_CREDENTIAL_BLOB_SIZE); Wine has no limit, so the test brings it."""


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the credentials that were written; one over the limit is refused as Windows does it."""
    from keyring.backends import Windows

    written: list[int] = []
    write = Windows.win32cred.CredWrite

    def cred_write(credential: dict[str, Any], flags: int) -> None:
        size = len(credential["CredentialBlob"].encode("utf-16-le"))
        if size > LIMIT:
            raise Windows.pywintypes.error(1783, "CredWrite", "The stub received bad data")
        written.append(size)
        write(credential, flags)

    replaced = SimpleNamespace(**{**vars(Windows.win32cred), "CredWrite": cred_write})
    monkeypatch.setattr(Windows, "win32cred", replaced)
    return written


async def test_large_tokens_are_kept_by_the_credential_manager_in_parts(tmp_path: Path, limited: list[int]) -> None:
    store = KeyringStore(tmp_path)
    large = tokens(access_token="a" * 6_000, refresh_token="r" * 3_000)
    await store.save("work", large)
    found = await store.load("work")
    await store.erase("work")
    left = await store.load("work")
    await store.close()

    assert found is not None
    assert found.access_token.reveal() == "a" * 6_000
    assert left is None
    assert len(limited) > 4


def test_the_run_key_starts_it_at_login() -> None:
    import winreg

    autostart().turn_on([r"C:\Program Files\Lamplighter\lamplighter-tray.exe"])
    with winreg.OpenKey(winreg.HKEY_CURRENT_USER, r"Software\Microsoft\Windows\CurrentVersion\Run") as key:
        line = winreg.QueryValueEx(key, "Lamplighter")[0]
    was_on = autostart().is_on()
    autostart().turn_off()

    assert line == r'"C:\Program Files\Lamplighter\lamplighter-tray.exe"'
    assert (was_on, autostart().is_on()) == (True, False)


async def test_a_notification_is_shown_even_where_there_are_no_toasts() -> None:
    balloons: list[tuple[str, str]] = []

    def balloon(title: str, body: str) -> bool:
        balloons.append((title, body))
        return True

    notifier = await make_notifier(balloon)
    incident = Notification("sign-in:work", "Sign in to work", "It has ended.", otherwise="Click the lamp.")
    shown = await notifier.show(incident, lambda _: None)
    native = await NativeNotifier().probe()
    await notifier.close()

    assert shown
    assert notifier.has_actions == native
    assert balloons == ([] if native else [("Sign in to work", "It has ended. Click the lamp.")])
