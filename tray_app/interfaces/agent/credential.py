"""Tokens in the formats of other programs: git, kubectl, mail. Pure: text in, text out.

git: gitcredentials(7), git-credential(1). Kubernetes: client.authentication.k8s.io. Mail: RFC 7628 (OAUTHBEARER), and
XOAUTH2, which Google and Microsoft describe.
"""

from __future__ import annotations

import base64
import json
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tray_app.core.errors import LamplighterError, Misconfigured

LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}
DEFAULT_PORTS = {"https": "443", "http": "80"}
KUBERNETES_GROUP = "client.authentication.k8s.io/"
A = "\x01"


# -- git


@dataclass(frozen=True, slots=True)
class GitQuestion:
    """What git says about the credential that it needs, has used, or had rejected."""

    protocol: str = ""
    host: str = ""
    """With its port, if there is one in the URL."""
    username: str = ""
    secret: str = ""
    """The password, or the credential of an authentication scheme."""
    capabilities: frozenset[str] = frozenset()
    schemes: frozenset[str] = frozenset()
    """The authentication schemes that the server offers, in lower case; empty where git does not say."""

    @property
    def may_be_answered(self) -> bool:
        """Whether a token sent there is encrypted, or does not leave this computer."""
        name = self.host.rpartition(":")[0] if self.host.rpartition(":")[2].isdigit() else self.host
        return self.protocol == "https" or (self.protocol == "http" and name.lower() in LOOPBACK)

    def is_for(self, hosts: Iterable[str]) -> bool:
        """Whether the host is one of these. Without a port it is the protocol's default port and no other."""
        port = DEFAULT_PORTS.get(self.protocol, "")
        return bool(self.host) and _normalized(self.host, port) in {_normalized(host, port) for host in hosts}


def read_git(text: str) -> GitQuestion:
    """Reads git's request: a `key=value` per line, up to an empty line. Unknown keys are ignored.

    Lines may all end in CRLF. Raises `LamplighterError` where a value holds CR or NUL (CVE-2024-52006).
    """
    single: dict[str, str] = {}
    several: dict[str, list[str]] = {}
    lines = text.split("\n")
    if all(line.endswith("\r") for line in lines[:-1]):
        lines = [line.removesuffix("\r") for line in lines]
    for line in lines:
        if not line:
            break
        key, _, value = _checked(line).partition("=")
        if not key.endswith("[]"):
            single[key] = value
        elif value:
            several.setdefault(key, []).append(value)
        else:
            several[key] = []  # an empty value clears the list (git-credential(1))
    return GitQuestion(
        protocol=single.get("protocol", ""),
        host=single.get("host", ""),
        username=single.get("username", ""),
        secret=single.get("credential") or single.get("password", ""),
        capabilities=frozenset(several.get("capability[]", [])),
        schemes=frozenset(value.split()[0].lower() for value in several.get("wwwauth[]", []) if value.strip()),
    )


def git_answer(question: GitQuestion, token: str, expires_at: str | None) -> str:
    """The credential: a bearer token where git supports it, unless the server offers only other schemes; else a
    password, which every git takes. The expiry is added where git announces any capability.

    Raises `LamplighterError` where a value holds CR, LF or NUL.
    """
    if "authtype" in question.capabilities and (not question.schemes or "bearer" in question.schemes):
        lines = ["capability[]=authtype", "authtype=Bearer", f"credential={token}", "ephemeral=1"]
    else:
        lines = [f"username={question.username or 'oauth2'}", f"password={token}"]
    if expires_at is not None and question.capabilities:
        lines.append(f"password_expiry_utc={int(datetime.fromisoformat(expires_at).timestamp())}")
    return "\n".join(map(_checked, lines))


def account_for(question: GitQuestion, hosts: Mapping[str, Sequence[str]]) -> str | None:
    """The account with this host: the one named like the user in the URL, else the first; None where none has it."""
    names = [name for name, its_hosts in hosts.items() if question.is_for(its_hosts)]
    return question.username if question.username in names else next(iter(names), None)


def _checked(line: str) -> str:
    if any(mark in line for mark in "\r\n\0"):
        raise LamplighterError("a line of the git credential protocol holds CR, LF or NUL, which no value may hold")
    return line


def _normalized(host: str, port: str) -> tuple[str, str]:
    """The host in lower case, without the dot of an absolute name, in Unicode; and its port, `port` where it has none.

    Punycode is decoded and nothing is mapped: IDNA 2003 would make two different hosts, `faß.de` and `fass.de`, one.
    """
    name, _, its_port = host.rpartition(":")
    if not (its_port.isascii() and its_port.isdigit()):
        name, its_port = host, port
    labels = name.lower().removesuffix(".").split(".")
    return unicodedata.normalize("NFC", ".".join(map(_decoded, labels))), its_port


def _decoded(label: str) -> str:
    try:
        return label[4:].encode("ascii").decode("punycode") if label.startswith("xn--") else label
    except UnicodeError:
        return label


# -- kubectl


def exec_credential(info: str | None, token: str, expires_at: str | None) -> str:
    """An ExecCredential in the version that `KUBERNETES_EXEC_INFO` asks for; v1 where it is absent.

    Raises `Misconfigured` where the variable asks for something else.
    """
    version = f"{KUBERNETES_GROUP}v1"
    if info:
        try:
            asked: Any = json.loads(info)
            version = asked["apiVersion"]
        except (ValueError, RecursionError, LookupError, TypeError) as error:
            raise Misconfigured(
                "KUBERNETES_EXEC_INFO holds no ExecCredential", "kubectl sets it; leave it alone"
            ) from error
        if not isinstance(version, str) or not version.startswith(f"{KUBERNETES_GROUP}v1"):
            raise Misconfigured(
                f"KUBERNETES_EXEC_INFO asks for {str(version)[:80]!r}",
                f"Write {KUBERNETES_GROUP}v1 into the kubeconfig",
            )
    status = {"token": token} | ({"expirationTimestamp": expires_at} if expires_at is not None else {})
    return json.dumps({"apiVersion": version, "kind": "ExecCredential", "status": status})


# -- mail


def xoauth2(token: str, user: str) -> str:
    """The initial response of SASL XOAUTH2, in base64."""
    return _base64(f"user={user}{A}auth=Bearer {token}{A}{A}")


def oauthbearer(token: str, user: str | None = None, host: str | None = None, port: int | None = None) -> str:
    """The initial response of SASL OAUTHBEARER, in base64 (RFC 7628, 3.1; the header is RFC 5801's)."""
    who = f"a={user.replace('=', '=3D').replace(',', '=2C')}" if user else ""
    where = (f"host={host}{A}" if host else "") + (f"port={port}{A}" if port else "")
    return _base64(f"n,{who},{A}{where}auth=Bearer {token}{A}{A}")


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
