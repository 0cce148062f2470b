"""`lamplighter credential`: tokens in the formats of git, kubectl and mail programs."""

from __future__ import annotations

import hashlib
import os
import sys

import click

from tray_app.adapters.config import parser as config
from tray_app.base.paths import places
from tray_app.cli import client as asking
from tray_app.cli.commands.terminal import ACCOUNT, account_names, say
from tray_app.core.errors import LamplighterError, UnknownAccount
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
    question = words.read_git(sys.stdin.buffer.read(LONGEST_QUESTION).decode(errors="replace"))
    if what not in {"get", "erase"}:
        return  # there is nothing to store; and what git may ask in years to come is passed over (gitcredentials(7))
    name = _account(question, account)
    if name is None:
        return  # git asks its other helpers, and in the end the person
    if what == "get":
        found = asking.token(name, 0, wait=True)
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


def _account(question: GitQuestion, named: str | None) -> str | None:
    """The account that answers, None where none does.

    One named with `--account` answers wherever its helper is asked, which git's own configuration decides; its `hosts`,
    where there are any, still bound it.
    """
    if question.protocol and not question.may_be_answered:
        say(f"{question.host}: no token is sent over {question.protocol}, where others can read it")
        return None
    if named is None:
        accounts = config.load(places().config_file).accounts.values()
        return words.account_for(question, {account.name: account.hosts for account in accounts})
    hosts = _hosts(named)
    if hosts and not question.is_for(hosts):
        say(f"{named} answers for {', '.join(hosts)} alone, not for {question.host}")
        return None
    return named


def _hosts(name: str) -> tuple[str, ...]:
    """The hosts of a configured account; none where it is the account of an applet elsewhere (`LAMPLIGHTER_SOCKET`)."""
    here = places()
    try:
        accounts = config.load(here.config_file).accounts
    except LamplighterError:
        if here.named_socket is None:
            raise
        return ()
    if name not in accounts and here.named_socket is None:
        raise UnknownAccount(f"no account is called `{name}`", f"The accounts are: {', '.join(accounts) or 'none yet'}")
    return accounts[name].hosts if name in accounts else ()
