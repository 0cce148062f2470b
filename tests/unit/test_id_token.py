import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.oauth.id_token import Given, WrongIdToken, verified_subject
from tray_app.core.account import Offered
from tray_app.core.tokens import Secret

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ISSUER = "https://login.example.com"
LEFT_OUT = object()


def id_token(**claims: Any) -> str:
    now = int(NOW.timestamp())
    good = {"iss": ISSUER, "aud": "tray", "sub": "anna", "exp": now + 60, "iat": now, "nonce": "n"}
    payload = {name: value for name, value in {**good, **claims}.items() if value is not LEFT_OUT}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(payload).encode()).decode().rstrip('=')}.c2ln"


def subject(token: object, *, issuer: str | None = ISSUER, nonce: str | None = "n") -> str:
    return verified_subject(token, Given(Secret("A1")), client_id="tray", issuer=issuer, nonce=nonce, now=NOW)


def at(**time: float) -> float:
    return (NOW + timedelta(**time)).timestamp()


@pytest.mark.parametrize(
    "claims",
    [
        {},
        {"aud": ["tray"]},
        {"aud": ["tray", "api"], "azp": "tray"},
        {"azp": "tray"},
        {"exp": at(minutes=-4)},
        {"iat": at(minutes=4)},
        {"iat": at(hours=-2)},
        {"extra": {"a": 1}},
    ],
)
def test_an_id_token_for_this_sign_in_names_its_subject(claims: dict[str, Any]) -> None:
    assert subject(id_token(**claims)) == "anna"


@pytest.mark.parametrize(
    "claims",
    [
        {"iss": LEFT_OUT},
        {"iss": f"{ISSUER}/"},
        {"iss": "https://evil.example"},
        {"aud": LEFT_OUT},
        {"aud": "other"},
        {"aud": []},
        {"aud": ["other", "api"]},
        {"aud": ["tray", "api"]},
        {"aud": ["tray", "api"], "azp": "api"},
        {"azp": "api"},
        {"sub": LEFT_OUT},
        {"sub": ""},
        {"sub": 5},
        {"exp": LEFT_OUT},
        {"exp": at(minutes=-6)},
        {"exp": "never"},
        {"exp": True},
        {"exp": float("inf")},
        {"exp": 10**400},
        {"iat": LEFT_OUT},
        {"iat": at(days=-7)},
        {"iat": at(minutes=6)},
        {"nonce": LEFT_OUT},
        {"nonce": "other"},
        {"nonce": 5},
        {"nonce": "\ud800"},
    ],
    ids=str,
)
def test_an_id_token_for_anything_else_is_wrong(claims: dict[str, Any]) -> None:
    with pytest.raises(WrongIdToken):
        subject(id_token(**claims))


def test_what_is_not_known_is_not_compared() -> None:
    assert subject(id_token(iss=LEFT_OUT, nonce=LEFT_OUT), issuer=None, nonce=None) == "anna"


@given(
    st.none() | st.integers() | st.text() | st.binary().map(lambda raw: f"a.{base64.urlsafe_b64encode(raw).decode()}.b")
)
def test_what_cannot_be_read_is_wrong_and_nothing_worse(token: object) -> None:
    with pytest.raises(WrongIdToken):
        subject(token)


def signed(algorithm: str, key: str = "", **claims: Any) -> str:
    """With that `alg`; of HS algorithms signed in earnest with the key."""
    _, payload, _ = id_token(**claims).split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": algorithm}).encode()).decode().rstrip("=")
    digest = {"HS256": "sha256", "HS512": "sha512"}.get(algorithm, "sha256")
    signature = hmac.new(key.encode(), f"{header}.{payload}".encode(), digest).digest()
    return f"{header}.{payload}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


def subject_given(token: str, offered: Offered | None, secret: str | None = None, access_token: str = "A1") -> str:
    given = Given(Secret(access_token), Secret(secret) if secret else None, offered)
    return verified_subject(token, given, client_id="tray", issuer=ISSUER, nonce="n", now=NOW)


KEYS = Offered(publishes_keys=True)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS256", "HS512", ""])
def test_what_is_not_signed_or_with_what_everybody_has_is_refused_where_the_provider_publishes_its_keys(algorithm):
    with pytest.raises(WrongIdToken, match="not signed as the provider says"):
        subject_given(signed(algorithm, "tray"), KEYS)


def test_an_algorithm_that_the_provider_does_not_name_is_not_its_own():
    with pytest.raises(WrongIdToken, match="not signed as the provider says"):
        subject_given(signed("RS256"), Offered(id_token_algorithms=("ES256",)))

    assert subject_given(signed("ES256"), Offered(id_token_algorithms=("ES256",))) == "anna"


def test_a_signature_with_the_client_s_own_secret_is_checked():
    assert subject_given(signed("HS256", "s3cret"), KEYS, "s3cret") == "anna"
    assert subject_given(signed("HS512", "s3cret"), KEYS, "s3cret") == "anna"
    for wrong in (signed("HS256", "tray"), signed("HS256", "s3cret") + "x", signed("HS999", "s3cret")):
        with pytest.raises(WrongIdToken, match="not signed as the provider says"):
            subject_given(wrong, KEYS, "s3cret")


def test_the_access_token_that_came_with_it_is_the_one_that_it_names():
    # OpenID Connect Core, A.3: this access token with RS256 has this at_hash
    example, at_hash = "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y", "77QmUPtjPfzWtF2AnpK9RQ"

    assert subject_given(signed("RS256", at_hash=at_hash), KEYS, access_token=example) == "anna"
    with pytest.raises(WrongIdToken, match="another access token"):
        subject_given(signed("RS256", at_hash=at_hash), KEYS, access_token="another")
    with pytest.raises(WrongIdToken, match="another access token"):
        subject_given(signed("RS256", at_hash=7), KEYS, access_token=example)
