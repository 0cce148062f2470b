"""Adds an account to `config.toml` or removes one, and preserves every comment."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tray_app.adapters.config.parser import load, parse
from tray_app.base.paths import write_private
from tray_app.core.account import Account
from tray_app.core.errors import Misconfigured, UnknownAccount

ASKED = "this account"
"""The name in error messages for an account that is not in the file yet."""


class WrongRequest(Misconfigured):
    """The requested change would make the configuration invalid."""


@dataclass(frozen=True, slots=True)
class Draft:
    """The changed file, not yet written."""

    path: Path
    text: str
    account: Account
    """The account that is added or removed."""

    def save(self) -> None:
        """Replaces the file atomically. A symlink to it (dotfile managers) stays one."""
        write_private(self.path.resolve(), self.text)


def with_account(path: Path, name: str, values: Mapping[str, Any]) -> Draft:
    """The file with `[accounts.NAME]` added.

    Raises `Misconfigured` where the file is broken or has such an account, `WrongRequest` where this one is wrong.
    """
    text = _text(path)
    for one in load(path).accounts:
        if one.lower() == name.lower():
            differs = "" if one == name else f", from which `{name}` differs in capitals alone"
            what = f"{path.name}: there is an account `{one}` already{differs}"
            raise Misconfigured(what, f"Choose another name, or first: lamplighter accounts remove {one}")
    import tomlkit

    document = tomlkit.parse(text)
    table = tomlkit.table()
    for key, value in values.items():
        table.add(key, _inline(value) if isinstance(value, Mapping) else value)
    if "accounts" not in document:
        document["accounts"] = tomlkit.table(is_super_table=True)
    elif list(document)[-1] != "accounts":
        table.add(tomlkit.nl())
    accounts: Any = document["accounts"]
    accounts[name] = table
    expected = tomllib.loads(text)
    expected.setdefault("accounts", {})[name] = dict(values)
    new = _checked(path, document.as_string(), expected)
    try:
        return Draft(path, new, parse(new, ASKED).accounts[name])
    except Misconfigured as error:
        raise WrongRequest(error.what, error.remedy) from error


def without_account(path: Path, name: str) -> Draft:
    """The file without `[accounts.NAME]`. Raises `Misconfigured` where it is broken, `UnknownAccount`."""
    text, known = _text(path), load(path).accounts
    if name not in known:
        names = ", ".join(known) or "none yet"
        raise UnknownAccount(f"no account is called `{name}`", f"The accounts are: {names}")
    import tomlkit

    document = tomlkit.parse(text)
    accounts: Any = document["accounts"]
    del accounts[name]
    expected = tomllib.loads(text)
    del expected["accounts"][name]
    return Draft(path, _checked(path, document.as_string(), expected), known[name])


def _text(path: Path) -> str:
    load(path)  # a broken file raises the usual error
    return path.read_text(encoding="utf-8-sig") if path.exists() else ""


def _checked(path: Path, text: str, expected: dict[str, Any]) -> str:
    """The text, if it parses to what was intended: TOML has many spellings, and an edit must not break any."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        found = {}
    if {"accounts": {}} | found != {"accounts": {}} | expected:
        raise Misconfigured(f"{path.name}: it is written in a way that cannot be changed safely", f"Edit it: {path}")
    return text


def _inline(value: Mapping[str, Any]) -> Any:
    import tomlkit

    table = tomlkit.inline_table()
    table.update(value)
    return table
