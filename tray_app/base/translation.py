"""Translation of messages into the desktop's language.

The catalogs lie in `locale`, made with Babel by `python packaging/languages.py`. English is the source and needs none:
nothing is read or imported for it. What a catalog lacks stays English.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Final

from tray_app.core.message import Message, filled, msg

DOMAIN: Final = "lamplighter"
CATALOGS: Final = Path(__file__).with_name("locale")
SOURCE: Final = "en"


def translated(text: str) -> str:
    """A message (`core/message.py`) in the desktop's language; an ordinary string unchanged."""
    return translated_with(text, catalog(language()))


def _(template: str, /, **arguments: object) -> str:
    """For pages: makes a message and translates it at once."""
    return translated(msg(template, **arguments))


def translated_with(text: str, translate: Callable[[str], str] | None) -> str:
    """The text with its template and its arguments' templates translated."""
    if translate is None or not isinstance(text, Message):
        return str(text)
    arguments = {name: translated_with(value, translate) for name, value in text.arguments.items()}
    return filled(translate(text.template), arguments)


@cache
def language() -> str:
    """The first of the desktop's languages that has a catalog, as its folder's name; else English."""
    for wanted in preferred(os.environ, _platforms):
        for name in (wanted, wanted.partition("_")[0]):
            if name == SOURCE or _file(name).is_file():
                return name
    return SOURCE


@cache
def catalog(name: str) -> Callable[[str], str] | None:
    """The translations of templates into this language; None for English."""
    if name == SOURCE:
        return None
    from gettext import GNUTranslations

    with _file(name).open("rb") as file:
        return GNUTranslations(file).gettext


def preferred(environment: Mapping[str, str], platforms: Callable[[], str]) -> list[str]:
    """The languages that the person reads, best first, such as "de_AT"; the order of GNU gettext.

    LANGUAGE is a list, and counts only where a locale is set that is not C. `platforms` tells the operating system's
    language where the environment says nothing.
    """
    names = ("LC_ALL", "LC_MESSAGES", "LANG")
    locale = next((environment[name] for name in names if environment.get(name)), "") or platforms()
    if _plain(locale) in {"", "C", "POSIX"}:
        return []
    return [_plain(one) for one in environment.get("LANGUAGE", "").split(":") if one] or [_plain(locale)]


def _plain(locale: str) -> str:
    """The locale "de_DE.UTF-8@euro", or "de-DE", as "de_DE"."""
    return locale.partition(".")[0].partition("@")[0].replace("-", "_")


def _file(name: str) -> Path:
    # The name comes from the environment: "../x" would leave the folder.
    return CATALOGS / (name if name.replace("_", "").isalnum() else "_") / "LC_MESSAGES" / f"{DOMAIN}.mo"


def _platforms() -> str:
    """The language of the menus on Windows and macOS; unverified on real machines. Linux uses the environment."""
    found = ""
    if sys.platform == "win32":
        import ctypes
        import locale

        found = locale.windows_locale.get(ctypes.windll.kernel32.GetUserDefaultUILanguage(), "")
    elif sys.platform == "darwin":
        from Foundation import NSLocale  # type: ignore[import-not-found]  # pystray brings it on macOS

        found = str(next(iter(NSLocale.preferredLanguages()), ""))
    return found
