"""Real programs get their tokens: git, kubectl, curl, msmtp. None of them shows one that was not asked for."""

from __future__ import annotations

import os
import shutil
import smtplib
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.hostile_server import json_response
from tests.integration.lamplighter_process import COMMAND, Finished, Lamplighter, Provider, eventually
from tests.servers import mail_server
from tests.servers.git_server import serve_git
from tests.servers.mail_server import MailServer
from tests.servers.token_server import Answer, TokenServer

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="only where these programs are")
OLD, NEW = "canary-access-1", "canary-access-2"


def needs(program: str) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")


class Onlookers:
    """Looks at every process's arguments, again and again, for a token."""

    def __init__(self) -> None:
        self.seen: set[str] = set()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._ended.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._ended.wait(0.02):
            for process in Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    line = process.read_text(errors="replace")
                except OSError:
                    continue  # it has just ended
                if "canary-" in line:
                    self.seen.add(line)


@dataclass(frozen=True)
class Desk:
    """Where a person works: an applet, a shell, and a server that wants the token."""

    lamplighter: Lamplighter
    server: TokenServer

    def run(self, *argv: str, **environment: str) -> Finished:
        """A program with `lamplighter` on its path. It shows no token."""
        done = self.run_unwatched(*argv, **environment)
        assert "canary-" not in done.out + done.err
        return done

    def run_unwatched(self, *argv: str, stdin: str = "", **environment: str) -> Finished:
        variables = self.lamplighter.environment | {"PATH": f"{COMMAND.parent}:{os.environ['PATH']}"} | environment
        done = subprocess.run(
            argv, env=variables, input=stdin, capture_output=True, text=True, check=False, timeout=60,
            cwd=self.lamplighter.home.parent,
        )  # fmt: skip
        return Finished(done.returncode, done.stdout, done.stderr)

    def turns_down_the_first(self) -> None:
        """As servers do whose tokens were revoked."""
        self.server.accepts = lambda token: token != OLD


@pytest.fixture
def desk(lamplighter: Lamplighter, provider: Provider) -> Iterator[Desk]:
    with TokenServer() as server:
        lamplighter.given(provider)
        hosts = f'hosts = ["{server.host}"]\n'
        lamplighter.configure(provider.account() + hosts)
        onlookers = Onlookers()
        with lamplighter.applet():
            yield Desk(lamplighter, server)
        onlookers.close()
    assert onlookers.seen == set()
    assert "canary-" not in lamplighter.log


@pytest.fixture
def late_desk(lamplighter: Lamplighter, provider: Provider) -> Iterator[Desk]:
    """Without an applet; the token that was kept has ended."""
    with TokenServer() as server:
        lamplighter.given(provider, life=600, age=700)
        lamplighter.configure(provider.account() + f'hosts = ["{server.host}"]\n')
        yield Desk(lamplighter, server)


# -- git


class Checkout:
    """A repository of the person's, whose server wants a token."""

    def __init__(self, desk: Desk) -> None:
        needs("git")
        self._desk = desk
        self._folder = desk.lamplighter.home.parent / "project"
        served = desk.lamplighter.home.parent / "served"
        serve_git(desk.server, served)
        self.git("init", "--quiet", "--bare", str(served / "project.git"), folder=None)
        self.git("init", "--quiet", "--initial-branch=main", str(self._folder), folder=None)
        self.git("config", "credential.helper", "!lamplighter credential git")
        self.git("remote", "add", "origin", f"{desk.server.url}/project.git")

    def git(self, *words: str, folder: Path | None = Path()) -> Finished:
        where = [] if folder is None else ["-C", str(self._folder)]
        person = {"GIT_AUTHOR_NAME": "me", "GIT_AUTHOR_EMAIL": "me@example.com"}
        person |= {name.replace("AUTHOR", "COMMITTER"): value for name, value in person.items()}
        quiet = {"GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0", "LC_ALL": "C"}
        return self._desk.run("git", *where, *words, **person, **quiet)

    def push(self) -> Finished:
        self.git("commit", "--quiet", "--allow-empty", "--message", "more")
        return self.git("push", "origin", "main")


def test_git_pushes_and_after_a_token_was_turned_down_pushes_again(desk: Desk, provider: Provider) -> None:
    checkout = Checkout(desk)
    assert checkout.push().code == 0
    desk.turns_down_the_first()
    failed = checkout.push()
    again = checkout.push()

    assert "Authentication failed" in failed.err
    assert (again.code, provider.refreshes) == (0, 1)
    assert (set(desk.server.tokens), desk.server.tokens[-1]) == ({OLD, NEW}, NEW)


def test_git_pushes_through_an_expiry_without_an_applet(late_desk: Desk, provider: Provider) -> None:
    assert Checkout(late_desk).push().code == 0

    assert (set(late_desk.server.tokens), provider.refreshes) == ({NEW}, 1)


def test_git_is_told_nothing_for_a_host_that_is_not_the_account_s(desk: Desk) -> None:
    def asked(url: str, *words: str) -> Finished:
        question = f"url={url}\n\n"
        return desk.run_unwatched("lamplighter", "credential", "git", *words, "get", stdin=question)

    def lines(*more: str) -> str:
        return "\n".join([*more, ""])

    ours = lines("protocol=http", f"host={desk.server.host}")
    elsewhere = lines("protocol=https", "host=evil.example")
    open_air = lines("protocol=http", "host=git.example.com")
    ask = ("lamplighter", "credential", "git")

    assert desk.run_unwatched(*ask, "get", stdin=ours).out == f"username=oauth2\npassword={OLD}\n"
    assert desk.run_unwatched(*ask, "--account", "work", "get", stdin=ours).out.endswith(f"{OLD}\n")
    assert desk.run(*ask, "store").code == 0
    assert desk.run(*ask, "unheard-of").code == 0
    for text in (elsewhere, open_air):
        assert desk.run_unwatched(*ask, "get", stdin=text).out == ""
        assert desk.run_unwatched(*ask, "--account", "work", "get", stdin=text).out == ""
    assert "others can read it" in desk.run_unwatched(*ask, "get", stdin=open_air).err
    assert desk.run_unwatched(*ask, "--account", "nobody", "get", stdin=ours).code == 5


def credential(desk: Desk, host: str, *words: str, more: str = "") -> Finished:
    """What git would ask for, and the answer."""
    question = f"protocol=https\nhost={host}\n{more}\n"
    return desk.run_unwatched("lamplighter", "credential", "git", *words, "get", stdin=question)


def test_git_is_told_nothing_by_an_account_without_hosts(desk: Desk, provider: Provider) -> None:
    """Neither by name nor by host: what answers everywhere answers whoever wrote a URL into a repository."""
    desk.lamplighter.configure(provider.account())
    eventually(lambda: desk.lamplighter.ask("GET", "/v1/status").body["accounts"][0]["hosts"] == [])
    named, unnamed = credential(desk, "git.example.com", "--account", "work"), credential(desk, "git.example.com")

    assert (named.code, named.out, unnamed.code, unnamed.out) == (0, "", 0, "")
    assert 'hosts = ["git.example.com"] below [accounts.work]' in named.err


def test_the_applet_that_is_asked_says_for_which_hosts_its_accounts_are(
    desk: Desk, provider: Provider, tmp_path: Path
) -> None:
    """Its machine's, as with `ssh -R`: this one's configuration names an account alike, with other hosts or none."""
    here = tmp_path / "here"
    here.mkdir(mode=0o700)
    there = {"LAMPLIGHTER_SOCKET": str(desk.lamplighter.socket), "LAMPLIGHTER_HOME": str(here)}
    ours = f"protocol=http\nhost={desk.server.host}\n"

    for configuration in (provider.account() + 'hosts = ["evil.example"]\n', provider.account(), "", "broken ="):
        (here / "config.toml").write_text(configuration)
        for words in ([], ["--account", "work"]):
            ask = ("lamplighter", "credential", "git", *words, "get")
            assert desk.run_unwatched(*ask, stdin=ours, **there).out.endswith(f"{OLD}\n")
            assert desk.run_unwatched(*ask, stdin="protocol=https\nhost=evil.example\n", **there).out == ""


@pytest.mark.parametrize("more", ["username=me\rpassword=x\n", "username=me\r\n", "path=a\0b\n"])
def test_git_is_told_nothing_where_a_value_holds_what_ends_a_line_elsewhere(desk: Desk, more: str) -> None:
    done = credential(desk, "git.example.com", more=more)

    assert (done.code, done.out) == (1, "")
    assert "CR, LF or NUL" in done.err


def test_the_agent_tells_hosts_and_resource_and_the_command_does_not(desk: Desk) -> None:
    [account] = desk.lamplighter.ask("GET", "/v1/status").body["accounts"]
    [shown] = desk.lamplighter.run("status", "--json").json()["accounts"]

    assert (account.pop("hosts"), account.pop("resource")) == ([desk.server.host], None)
    assert account == shown


def test_an_erased_token_is_refreshed_once_and_only_while_it_is_current(desk: Desk, provider: Provider) -> None:
    def erase(token: str) -> int:
        text = f"protocol=http\nhost={desk.server.host}\nauthtype=Bearer\ncredential={token}\n"
        return desk.run_unwatched("lamplighter", "credential", "git", "erase", stdin=text).code

    assert [erase(OLD), erase(OLD), erase("another")] == [0, 0, 0]
    assert provider.refreshes == 1


# -- kubectl

KUBECONFIG = """\
apiVersion: v1
kind: Config
current-context: here
clusters: [{{name: here, cluster: {{server: "{url}", certificate-authority: {authority}}}}}]
contexts: [{{name: here, context: {{cluster: here, user: me}}}}]
users:
- name: me
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1beta1
      command: lamplighter
      args: [credential, kubernetes, work]
"""


def kubectl(desk: Desk, server: TokenServer) -> Finished:
    needs("kubectl")
    folder = desk.lamplighter.home.parent
    file, authority = folder / "kubeconfig", folder / "authority.pem"
    authority.write_bytes(server.authority)
    file.write_text(KUBECONFIG.format(url=server.url, authority=authority))
    server.answer = lambda _: Answer(200, b'{"major": "1"}', {"Content-Type": "application/json"})
    return desk.run("kubectl", f"--kubeconfig={file}", "get", "--raw", "/version")


@pytest.fixture
def cluster() -> Iterator[TokenServer]:
    with TokenServer(tls=True) as server:  # kubectl tells nothing to one that does not hide it
        yield server


def test_kubectl_asks_its_cluster(desk: Desk, cluster: TokenServer) -> None:
    done = kubectl(desk, cluster)

    assert (done.code, done.out, set(cluster.tokens)) == (0, '{"major": "1"}', {OLD})


def test_kubectl_asks_its_cluster_through_an_expiry(late_desk: Desk, cluster: TokenServer) -> None:
    assert kubectl(late_desk, cluster).code == 0
    assert set(cluster.tokens) == {NEW}


# -- curl, a helper for keys, mail


def test_curl_takes_a_bearer_token_from_its_standard_input(desk: Desk) -> None:
    needs("curl")
    line = 'printf \'oauth2-bearer = "%s"\' "$(lamplighter token work)" | curl -sS --fail -K - "$0"'
    done = desk.run("sh", "-c", line, f"{desk.server.url}/me")

    assert (done.code, done.out, desk.server.tokens) == (0, "{}", [OLD])


def test_a_program_that_runs_a_command_for_its_key_gets_one_line(desk: Desk) -> None:
    """Claude Code's `apiKeyHelper`, mail programs' `passwordeval` and their like: a shell, no questions."""
    first = desk.run_unwatched("/bin/sh", "-c", "lamplighter token work")
    desk.lamplighter.ask("POST", "/v1/accounts/work/refresh")
    second = desk.run_unwatched("/bin/sh", "-c", "lamplighter token work")

    assert [(done.code, done.out, done.err) for done in (first, second)] == [(0, f"{OLD}\n", ""), (0, f"{NEW}\n", "")]


def test_a_key_is_good_before_and_after_its_expiry(late_desk: Desk, provider: Provider) -> None:
    assert late_desk.run_unwatched("/bin/sh", "-c", "lamplighter token work").out == f"{NEW}\n"
    provider.answer(json_response(400, error="invalid_grant"))
    late_desk.lamplighter.run("refresh", "work")
    refused = late_desk.run("/bin/sh", "-c", "lamplighter token work")

    assert (refused.code, refused.out) == (3, "")
    assert "lamplighter login work" in refused.err


@pytest.fixture
def mail(desk: Desk) -> Iterator[MailServer]:
    if missing := mail_server.missing_part():
        pytest.skip(f"{missing} is not installed")
    desk.server.answer = lambda _: Answer(200, b'{"active": true, "username": "me@example.com"}')
    with MailServer(desk.lamplighter.home.parent / "mail", desk.server.url) as server:
        yield server
    assert "canary-" not in server.log


MSMTP = """\
account default
host 127.0.0.1
port {port}
tls off
auth oauthbearer
user me@example.com
from me@example.com
passwordeval "lamplighter token work"
"""


def test_msmtp_sends_with_oauthbearer(desk: Desk, mail: MailServer) -> None:
    needs("msmtp")
    file = desk.lamplighter.home.parent / "msmtprc"
    file.write_text(MSMTP.format(port=mail.port))
    file.chmod(0o600)
    argv = ["msmtp", "-C", str(file), "you@example.com"]
    done = desk.run_unwatched(*argv, stdin="Subject: hello\n\nby msmtp\n")

    assert (done.code, done.out, done.err) == (0, "", "")
    assert "by msmtp" in mail.taken
    assert desk.server.tokens == [OLD]


@pytest.mark.parametrize(("mechanism", "option"), [("XOAUTH2", []), ("OAUTHBEARER", ["--oauthbearer"])])
def test_dovecot_takes_the_string_as_it_is_printed(
    desk: Desk, mail: MailServer, mechanism: str, option: list[str]
) -> None:
    ask = ["lamplighter", "credential", "xoauth2", "work", "--user", "me@example.com", *option]
    string = desk.run(*ask).out.strip()
    with smtplib.SMTP("127.0.0.1", mail.port, timeout=60) as smtp:
        smtp.ehlo()
        good = smtp.docmd("AUTH", f"{mechanism} {string}")
    desk.turns_down_the_first()
    with smtplib.SMTP("127.0.0.1", mail.port, timeout=60) as smtp:
        smtp.ehlo()
        bad = smtp.docmd("AUTH", f"{mechanism} {string}")

    assert (good[0], bad[0] == 235) == (235, False)
