"""Prints the manual page, made of what the commands say of themselves: `python man_page.py DATE`.

Runs with a Python that has Lamplighter in it. The layout is that of man-pages(7).
"""

from __future__ import annotations

import sys

import click

from tray_app._version import __version__
from tray_app.cli.main import cli

HEAD = r""".TH LAMPLIGHTER 1 "{date}" "lamplighter {version}" "User Commands"
.SH NAME
lamplighter \- a lamp in the tray that keeps you signed in
.SH SYNOPSIS
.B lamplighter
.RI [ COMMAND " [" ARGUMENTS ]]
.SH DESCRIPTION
A lamp in the system tray that is lit while your OAuth 2.0 tokens are fresh. It refreshes them before they end, and one
click on its notification signs you in again when only you can help. Other programs ask it for tokens.
.PP
Without a command it starts the applet. A second start finds the first. All commands but
.B quit
also work while no applet runs. Results go to standard output, messages to standard error.
.SH COMMANDS
"""
TAIL = r""".SH "EXIT STATUS"
0 done; 1 unexpected; 2 wrong usage; 3 a sign-in is needed; 4 unavailable for now; 5 the configuration is wrong;
6 no token store; 7 no applet is running; 130 after Ctrl-C.
.SH FILES
.TP
.I ~/.config/lamplighter/config.toml
The accounts. Changes are taken up at once.
.TP
.I $XDG_RUNTIME_DIR/lamplighter/agent.sock
The applet speaks HTTP here with programs of the same user.
.TP
.I ~/.local/state/lamplighter/log/lamplighter.log
One line for each change of state; no token is ever in it.
.PP
Tokens lie in the desktop's keyring only.
.SH ENVIRONMENT
.TP
.B LAMPLIGHTER_HOME
A folder in which all of these lie instead.
.TP
.B LAMPLIGHTER_SOCKET
Another socket, for example one that ssh forwards.
.SH EXAMPLES
.TP
.B lamplighter demo
Try it on a provider of its own.
.TP
.B lamplighter token work
Print a valid token of the account
.IR work .
"""


def main() -> None:
    """The page of the day that the command line names."""
    sys.stdout.write(HEAD.format(date=sys.argv[1], version=__version__))
    for words, command in commands("", cli):
        sys.stdout.write(described(words, command))
    sys.stdout.write(TAIL)


def commands(before: str, group: click.Group) -> list[tuple[str, click.Command]]:
    """Each command with the words that call it, those of groups in their place."""
    context = click.Context(group)
    found: list[tuple[str, click.Command]] = []
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if command is None or command.hidden:
            continue
        words = f"{before} {name}".strip()
        found += commands(words, command) if isinstance(command, click.Group) else [(words, command)]
    return found


def described(words: str, command: click.Command) -> str:
    """Its paragraph: how it is called, what it does, its options."""
    context = click.Context(command)
    usage = " ".join(piece for piece in command.collect_usage_pieces(context) if piece != "[OPTIONS]")
    text = f".TP\n.B {escaped(words)}\n" if not usage else f'.TP\n.BI "{escaped(words)} " "{escaped(usage)}"\n'
    text += f"{escaped(' '.join((command.help or '').split()))}\n"
    options = [option.get_help_record(context) for option in command.params if isinstance(option, click.Option)]
    rows = [record for record in options if record]
    if rows:
        text += ".RS\n" + "".join(f".TP\n.B {escaped(left)}\n{escaped(right)}\n" for left, right in rows) + ".RE\n"
    return text


def escaped(text: str) -> str:
    r"""For troff: a hyphen that is typed is `\-`, and a line does not begin with a control character."""
    plain = text.replace("\\", r"\e").replace("-", r"\-")
    return rf"\&{plain}" if plain.startswith((".", "'")) else plain


if __name__ == "__main__":
    main()
