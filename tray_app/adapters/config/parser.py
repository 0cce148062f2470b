"""`config.toml`: parses it into values; each error names file, line, account and key."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from types import MappingProxyType

from tray_app.adapters.config.account_table import account_of
from tray_app.adapters.config.table import Table
from tray_app.base.paths import refuse_others
from tray_app.core.account import Account, Configuration, RetryPolicy
from tray_app.core.errors import Misconfigured

EXAMPLE = """\
# Lamplighter keeps these accounts signed in. Take away the marks before the lines that you want, and save:
# the lamp takes it up at once. All settings: README.md.

# [accounts.work]
# issuer = "https://login.example.com"
# client_id = "the client id that your provider gave you"
# scopes = ["openid", "offline_access"]
"""

_LARGEST_FILE = 1_000_000
_TOP = ("store", "accounts", "retry")
_RETRY = ("first", "limit")


def load(path: Path) -> Configuration:
    """The configuration in the file; without a file, one without accounts. Raises `Misconfigured`."""
    try:
        if not path.exists():
            return Configuration()
        refuse_others(path)
        if not path.is_file():
            raise Misconfigured(f"{path.name}: this is not a file", f"Put the configuration at {path}")
        if path.stat().st_size > _LARGEST_FILE:
            raise Misconfigured(f"{path.name}: larger than 1 MB", "A configuration is a few lines; look what is in it")
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise Misconfigured(f"{path.name}: cannot be read ({error.strerror})", f"Look at {path}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Misconfigured(f"{path.name}, line {line}: not UTF-8", "Save the file as UTF-8") from error
    return parse(text, path.name)


def parse(text: str, file: str = "config.toml") -> Configuration:
    """The configuration in the text. Raises `Misconfigured`, naming file, line, account and key."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = re.search(r"\(at line (\d+), column \d+\)|\(at end of document\)", str(error))
        line = found[1] if found and found[1] else str(text.count("\n") + 1)
        what = str(error).partition(" (at ")[0]
        raise Misconfigured(
            f"{file}, line {line}: {what[0].lower()}{what[1:]}", "See toml.io for how TOML is written"
        ) from error
    except RecursionError as error:
        raise Misconfigured(f"{file}: nested too deeply", "Accounts are tables, one level below `accounts`") from error
    except ValueError as error:
        raise Misconfigured(f"{file}: a number is too long to be one", "No key here has a number") from error
    top = Table(document, file, "", text)
    top.known(_TOP)
    retry = top.table("retry")
    retry.known(_RETRY)
    policy = RetryPolicy(retry.duration("first", RetryPolicy().first), retry.duration("limit", RetryPolicy().limit))
    if policy.limit < policy.first:
        raise retry.wrong("limit", "is shorter than `first`", "Let it be at least as long as `first`")
    accounts = top.table("accounts")
    found_accounts: dict[str, Account] = {}
    before: dict[str, str] = {}
    for name in accounts.values:
        found_accounts[name] = account_of(name, accounts, before)
        before[name.lower()] = name
    store = top.choice("store", ("keyring", "memory"), "keyring")
    return Configuration(MappingProxyType(found_accounts), "memory" if store == "memory" else "keyring", policy)
