"""A token in the words of git, kubectl and mail programs."""

from __future__ import annotations

import base64
import json

import pytest

from tray_app.core.errors import LamplighterError, Misconfigured
from tray_app.interfaces.agent.credential import (
    GitQuestion,
    account_for,
    exec_credential,
    git_answer,
    oauthbearer,
    read_git,
    xoauth2,
)

END = "2026-11-24T12:00:00Z"
CAN_BEARER = ["capability[]=authtype", "capability[]=state"]


def asked(*lines: str) -> GitQuestion:
    return read_git("\n".join(["protocol=https", "host=git.example.com", *lines, "", "after=the end"]))


def answered(*lines: str, expires_at: str | None = END) -> list[str]:
    return git_answer(asked(*lines), "T0", expires_at).split("\n")


# -- git


def test_a_git_that_announces_nothing_gets_the_token_as_a_password() -> None:
    assert answered() == ["username=oauth2", "password=T0"]


def test_the_user_of_the_url_is_repeated() -> None:
    assert answered("username=me", "path=a/b.git", "unheard-of=1") == ["username=me", "password=T0"]


def test_a_git_that_can_gets_a_bearer_token_with_its_end() -> None:
    assert answered(*CAN_BEARER) == [
        "capability[]=authtype",
        "authtype=Bearer",
        "credential=T0",
        "ephemeral=1",
        "password_expiry_utc=1795521600",
    ]


def test_a_server_that_takes_basic_alone_gets_a_password() -> None:
    basic = answered(*CAN_BEARER, 'wwwauth[]=Basic realm="x"')

    assert basic == ["username=oauth2", "password=T0", "password_expiry_utc=1795521600"]
    assert "authtype=Bearer" in answered(*CAN_BEARER, "wwwauth[]=Basic realm=x", "wwwauth[]=bearer realm=x")


def test_an_empty_value_takes_back_what_came_before() -> None:
    assert answered(*CAN_BEARER, "capability[]=") == ["username=oauth2", "password=T0"]


def test_no_end_is_told_where_none_is_known() -> None:
    assert "password_expiry_utc" not in "".join(answered(*CAN_BEARER, expires_at=None))


@pytest.mark.parametrize("line", ["password=T0", "authtype=Bearer\ncredential=T0"])
def test_what_was_turned_down_is_read(line: str) -> None:
    assert asked(*line.split("\n")).secret == "T0"


@pytest.mark.parametrize(
    ("text", "question"),
    [
        ("", GitQuestion()),
        ("\n\nhost=x", GitQuestion()),
        ("host", GitQuestion()),
        ("host=a\r\nprotocol=https\r\n\r\nhost=b", GitQuestion(protocol="https", host="a")),
        ("password=a=b", GitQuestion(secret="a=b")),
        ("wwwauth[]= ", GitQuestion()),
    ],
)
def test_odd_questions_are_read_as_git_means_them(text: str, question: GitQuestion) -> None:
    assert read_git(text) == question


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https git.example.com", True),
        ("https git.example.com:8443", True),
        ("http git.example.com", False),
        ("http localhost:8080", True),
        ("http 127.0.0.1", True),
        ("http [::1]:8080", True),
        ("http localhost.example.com:80", False),
        ("smtp mail.example.com", False),
    ],
)
def test_a_token_is_only_sent_under_cover_or_to_this_computer(url: str, may: bool) -> None:  # noqa: FBT001
    protocol, host = url.split()

    assert GitQuestion(protocol=protocol, host=host).may_be_answered is may


@pytest.mark.parametrize(
    ("host", "configured", "found"),
    [
        ("git.example.com", "git.example.com", True),
        ("GIT.example.com", "git.EXAMPLE.com", True),
        ("git.example.com:443", "git.example.com", True),
        ("git.example.com", "git.example.com:443", True),
        ("git.example.com:8443", "git.example.com:8443", True),
        ("git.example.com:8443", "git.example.com", False),
        ("git.example.com.evil.example", "git.example.com", False),
        ("example.com", "git.example.com", False),
        ("", "git.example.com", False),
        ("", "", False),
        ("git.example.com.", "git.example.com", True),
        ("git.example.com", "git.example.com.:443", True),
        ("git.example.com..", "git.example.com", False),
        ("git.example.com:0443", "git.example.com", False),
        ("git.example.com:\u0664\u0664\u0663", "git.example.com", False),
        ("git.example.com@evil.example", "git.example.com", False),
        ("git.example.com/evil.example", "git.example.com", False),
        ("evil.example?git.example.com", "git.example.com", False),
        ("git\u3002example\u3002com", "git.example.com", False),
        ("xn--bcher-kva.example", "b\u00fccher.example", True),
        ("BU\u0308CHER.example", "xn--bcher-kva.example", True),
        ("xn--BCHER-KVA.example:8443", "b\u00fccher.example:8443", True),
        ("xn--bcher-kva.evil.example", "b\u00fccher.example", False),
        ("fa\u00df.example", "fass.example", False),
        ("xn--fa-hia.example", "fa\u00df.example", True),
        ("xn--\u00fc.example", "xn--\u00fc.example", True),
        ("[::1]:443", "[::1]", True),
        ("[::1]", "[::2]", False),
    ],
)
def test_a_host_is_the_whole_host_with_its_port(host: str, configured: str, found: bool) -> None:  # noqa: FBT001
    question = GitQuestion(protocol="https", host=host)

    assert account_for(question, {"work": [configured]}) == ("work" if found else None)
    assert account_for(question, {"work": []}) is None


def test_of_two_accounts_on_a_host_the_user_in_the_url_decides() -> None:
    hosts = {"other": [], "work": ["git.example.com"], "home": ["git.example.com"]}

    assert account_for(asked(), hosts) == "work"
    assert account_for(asked("username=home"), hosts) == "home"
    assert account_for(asked("username=other"), hosts) == "work"


@pytest.mark.parametrize("mark", ["\r", "\0"])
@pytest.mark.parametrize("where", ["begin", "middle", "end"])
@pytest.mark.parametrize("key", ["username", "host", "path", "wwwauth[]", "unheard-of"])
def test_a_value_that_could_be_read_as_another_line_is_refused(key: str, where: str, mark: str) -> None:
    value = {"begin": f"{mark}x", "middle": f"x{mark}password=y", "end": f"x{mark}"}[where]

    with pytest.raises(LamplighterError, match="CR, LF or NUL"):
        read_git(f"protocol=https\nhost=git.example.com\n{key}={value}\n\n")


def test_line_endings_of_windows_are_no_part_of_a_value_but_others_are() -> None:
    assert read_git("host=a\r\nusername=me\r\n\r\n") == GitQuestion(host="a", username="me")
    with pytest.raises(LamplighterError, match="CR, LF or NUL"):
        read_git("host=a\r\nusername=me\r\r\n\r\n")


@pytest.mark.parametrize("mark", "\r\n\0")
def test_an_answer_holds_no_more_lines_than_it_has_values(mark: str) -> None:
    with pytest.raises(LamplighterError, match="CR, LF or NUL"):
        git_answer(asked(), f"T0{mark}quit=1", None)


# -- kubectl


@pytest.mark.parametrize("version", ["v1", "v1beta1"])
def test_kubectl_gets_the_version_that_it_asks_for(version: str) -> None:
    info = {"apiVersion": f"client.authentication.k8s.io/{version}", "kind": "ExecCredential", "spec": {}}
    found = json.loads(exec_credential(json.dumps(info), "T0", END))

    assert found == {
        "apiVersion": f"client.authentication.k8s.io/{version}",
        "kind": "ExecCredential",
        "status": {"token": "T0", "expirationTimestamp": END},
    }


def test_version_1_is_told_where_kubectl_says_nothing() -> None:
    found = json.loads(exec_credential(None, "T0", None))

    assert found["apiVersion"] == "client.authentication.k8s.io/v1"
    assert found["status"] == {"token": "T0"}


@pytest.mark.parametrize("info", ["{", "[]", "7", '{"apiVersion": 7}', '{"apiVersion": "v1"}', "[" * 100_000])
def test_what_is_no_exec_info_is_told(info: str) -> None:
    with pytest.raises(Misconfigured, match="KUBERNETES_EXEC_INFO"):
        exec_credential(info, "T0", END)


# -- mail


def test_xoauth2_is_as_google_and_microsoft_have_it() -> None:
    assert base64.b64decode(xoauth2("T0", "me@example.com")) == b"user=me@example.com\x01auth=Bearer T0\x01\x01"


def test_oauthbearer_is_as_rfc_7628_has_it() -> None:
    """The example of its section 4.1."""
    token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg=="
    example = (
        "bixhPXVzZXJAZXhhbXBsZS5jb20sAWhvc3Q9c2VydmVyLmV4YW1wbGUuY29tAXBvcnQ9MTQzAWF1dGg9QmVhcmVyI"
        "HZGOWRmdDRxbVRjMk52YjNSbGNrQmhiSFJoZG1semRHRXVZMjl0Q2c9PQEB"
    )

    assert oauthbearer(token, "user@example.com", "server.example.com", 143) == example


def test_a_user_with_the_protocol_s_own_marks_is_escaped() -> None:
    assert base64.b64decode(oauthbearer("T0", "a,b=c")) == b"n,a=a=2Cb=3Dc,\x01auth=Bearer T0\x01\x01"
    assert base64.b64decode(oauthbearer("T0")) == b"n,,\x01auth=Bearer T0\x01\x01"
