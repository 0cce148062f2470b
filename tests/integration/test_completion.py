"""Shells complete commands and the names of accounts, each asked in its own way."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.integration.lamplighter_process import COMMAND, Lamplighter, Provider

ASKING = {"_LAMPLIGHTER_COMPLETE": "bash_complete", "COMP_WORDS": "lamplighter token w", "COMP_CWORD": "2"}
"""As bash's script asks us."""


@pytest.fixture
def home(keyless: Lamplighter, provider: Provider) -> Lamplighter:
    keyless.configure(provider.account("work"), provider.account("web-shop"), provider.account("home"))
    keyless.environment["PATH"] = f"{COMMAND.parent}{os.pathsep}{keyless.environment['PATH']}"
    return keyless


def words(home: Lamplighter, shell: str, *typed: str) -> list[str]:
    """What the shell offers for the last of these words."""
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    script = home.run("completion", shell)
    assert (script.code, script.err) == (0, "")
    file = Path(home.home.parent, f"completion.{shell}")
    file.write_text(script.out)
    programs = {
        "bash": f"source {file}; COMP_WORDS=({' '.join(repr(word) for word in typed)}); COMP_CWORD={len(typed) - 1}; "
        '_lamplighter_completion lamplighter; printf "%s\\n" "${COMPREPLY[@]}"',
        "fish": f"source {file}; complete -C '{' '.join(typed)}'",
    }
    done = subprocess.run(
        [shell, "-c", programs[shell]], env=home.environment, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""
    return [line.partition("\t")[0] for line in done.stdout.splitlines() if line]


@pytest.mark.parametrize("shell", ["bash", "fish"])
def test_a_shell_offers_commands_and_accounts(home: Lamplighter, shell: str) -> None:
    assert {"token", "exec", "credential", "status"} <= set(words(home, shell, "lamplighter", ""))
    assert words(home, shell, "lamplighter", "tok") == ["token"]
    assert sorted(words(home, shell, "lamplighter", "token", "w")) == ["web-shop", "work"]
    assert sorted(words(home, shell, "lamplighter", "login", "")) == ["home", "web-shop", "work"]
    assert words(home, shell, "lamplighter", "credential", "kubernetes", "h") == ["home"]
    assert words(home, shell, "lamplighter", "credential", "git", "--account", "h") == ["home"]
    assert words(home, shell, "lamplighter", "exec", "wo") == ["work"]


def test_zsh_offers_commands_and_accounts(home: Lamplighter) -> None:
    if shutil.which("zsh") is None:
        pytest.skip("zsh is not installed")
    file = Path(home.home.parent, "_lamplighter")
    file.write_text(home.run("completion", "zsh").out)
    program = (
        "compdef() { }; compadd() { print -l -- ${(P)@[-1]} }; "  # which is handed the name of a list
        f"source {file}; words=(lamplighter token w); CURRENT=3; _lamplighter_completion"
    )
    done = subprocess.run(
        ["zsh", "-f", "-c", program], env=home.environment, capture_output=True, text=True, check=True, timeout=60
    )

    assert sorted(done.stdout.split()) == ["web-shop", "work"]


def test_an_applet_elsewhere_names_its_accounts(home: Lamplighter) -> None:
    with home.applet():
        elsewhere = {"LAMPLIGHTER_SOCKET": str(home.socket), "LAMPLIGHTER_HOME": str(home.home.parent / "empty")}
        before = dict(home.environment)
        home.environment |= elsewhere | ASKING
        done = home.run()
        home.environment = before

    assert (done.code, sorted(done.out.split())) == (0, ["plain,web-shop", "plain,work"])


def test_a_broken_configuration_completes_nothing_and_says_nothing(home: Lamplighter) -> None:
    home.configure("accounts = 7")
    home.environment |= ASKING
    done = home.run()

    assert (done.code, done.out.strip(), done.err) == (0, "", "")
