"""`lamplighter credential`: tokens in the formats of git, kubectl and mail programs."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping, Sequence

import click

from tray_app.cli import client as asking
from tray_app.cli.commands.terminal import ACCOUNT, account_names, say
from tray_app.core.errors import UnknownAccount
from tray_app.interfaces.agent import credential as words
from tray_app.interfaces.agent.credential import GitQuestion

LONGEST_QUESTION = 1_000_000


@click.group("credential")
def credential() -> None:
    """A token as git, kubectl or a mail program wants it."""


@credential.command("git")
@click.option("--account", metavar="NAME", shell_complete=account_names, help="This one; else the one with the host.")
@click.argument("what", metavar="get|store|erase")
def git(account: str | None, what: str) -> None:
    """The git credential protocol, on stdin and stdout.

    git config --global credential.https://git.example.com.helper '!lamplighter credential git'
    """
    if what not in {"get", "erase"}:
        return  # there is nothing to store; other actions that git may add are ignored (gitcredentials(7))
    question = words.read_git(sys.stdin.buffer.read(LONGEST_QUESTION).decode(errors="replace"))
    applet = asking.running_applet()
    name = _account(question, account, asking.hosts(applet))
    if name is None:
        return  # git asks its other helpers, and in the end the person
    if what == "get":
        found = asking.token_of(applet, name, 0, wait=True)
        click.echo(words.git_answer(question, found["access_token"], found["expires_at"]))
    elif question.secret:
        asking.refresh(name, rejected_sha256=hashlib.sha256(question.secret.encode()).hexdigest())


@credential.command("kubernetes")
@ACCOUNT
def kubernetes(account: str) -> None:
    """An ExecCredential, for a kubeconfig's exec plugin."""
    found = asking.token(account, 0, wait=True)
    info = os.environ.get("KUBERNETES_EXEC_INFO")
    click.echo(words.exec_credential(info, found["access_token"], found["expires_at"]))


@credential.command("xoauth2")
@ACCOUNT
@click.option("--user", metavar="USER", help="The mailbox; if nothing is said, the account's name (XOAUTH2 alone).")
@click.option("--oauthbearer", is_flag=True, help="OAUTHBEARER (RFC 7628) instead of XOAUTH2.")
@click.option("--host", metavar="NAME", help="The server, where OAUTHBEARER has to name it.")
@click.option("--port", type=click.IntRange(1, 65535), help="Its port.")
def xoauth2(account: str, user: str | None, *, oauthbearer: bool, host: str | None, port: int | None) -> None:
    """A SASL string, in base64, for a mail program."""
    if user is not None and not user.isprintable():
        raise click.BadParameter("no name of a mailbox", param_hint="--user")
    if host is not None and not host.isprintable():
        raise click.BadParameter("no name of a server", param_hint="--host")
    token = asking.token(account, 0, wait=True)["access_token"]
    click.echo(words.oauthbearer(token, user, host, port) if oauthbearer else words.xoauth2(token, user or account))


def _account(question: GitQuestion, named: str | None, hosts: Mapping[str, Sequence[str]]) -> str | None:
    """The account that answers; None where none does, with the reason on stderr where the person can do something.

    `hosts` are those of each account. An account without any answers for no host, also where `--account` names it:
    a URL in a cloned repository's submodules decides what git asks for.
    """
    if not question.may_be_answered:
        protocol = question.protocol or "a protocol that is not named"
        say(f"{question.host or 'no host'}: no token is sent over {protocol}, where others can read it")
        return None
    if named is None:
        return words.account_for(question, hosts)
    if named not in hosts:
        raise UnknownAccount(f"no account is called `{named}`", f"The accounts are: {', '.join(hosts) or 'none yet'}")
    if not hosts[named]:
        line = f"hosts = {json.dumps([question.host])}"
        say(f"{named} answers for no host. Write {line} below [accounts.{named}] in config.toml, if it shall")
    elif not question.is_for(hosts[named]):
        say(f"{named} answers for {', '.join(hosts[named])} alone, not for {question.host}")
    else:
        return named
    return None
