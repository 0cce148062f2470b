import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.oauth.discovery import WrongMetadata, endpoints_of, metadata_urls
from tray_app.core.account import Endpoints, Offered
from tray_app.core.provider_errors import Answer
from tray_app.core.urls import check_endpoint_url

ISSUER = "https://login.example.com"


def read(status: int = 200, **members: Any) -> Endpoints | None:
    metadata = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize?tenant=x",
        "token_endpoint": f"{ISSUER}/token",
        **members,
    }
    return endpoints_of(Answer(status, {"content-type": "application/json"}, json.dumps(metadata).encode()), ISSUER)


@pytest.mark.parametrize(
    ("issuer", "urls"),
    [
        (
            "https://a.example",
            (
                "https://a.example/.well-known/oauth-authorization-server",
                "https://a.example/.well-known/openid-configuration",
            ),
        ),
        (
            "https://a.example:8443/realms/b/",
            (
                "https://a.example:8443/.well-known/oauth-authorization-server/realms/b",
                "https://a.example:8443/.well-known/openid-configuration/realms/b",
                "https://a.example:8443/realms/b/.well-known/openid-configuration",
                "https://a.example:8443/realms/b/.well-known/oauth-authorization-server",
            ),
        ),
    ],
)
def test_the_metadata_is_looked_for_in_every_place(issuer: str, urls: tuple[str, ...]) -> None:
    assert metadata_urls(issuer) == urls


def test_endpoints_are_taken_as_they_are_named() -> None:
    found = read(revocation_endpoint=f"{ISSUER}/revoke", authorization_response_iss_parameter_supported=True)

    assert found == Endpoints(
        authorization=f"{ISSUER}/authorize?tenant=x",
        token=f"{ISSUER}/token",
        revocation=f"{ISSUER}/revoke",
        issuer=ISSUER,
        iss_in_response=True,
        offered=Offered(),
    )


@pytest.mark.parametrize("members", [{"code_challenge_methods_supported": []}, {"response_types_supported": ["code"]}])
def test_what_metadata_does_not_tell_is_tried(members: dict[str, Any]) -> None:
    assert read(**members) is not None


@pytest.mark.parametrize(
    "members",
    [
        {"issuer": "http://login.example.com"},
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"token_endpoint": None},
        {"token_endpoint": 5},
        {"token_endpoint": "http://login.example.com/token"},
        {"token_endpoint": "file:///etc/passwd"},
        {"authorization_endpoint": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": "https://login.example.com/#x"},
        {"response_types_supported": ["token"]},
        {"code_challenge_methods_supported": ["plain"]},
    ],
    ids=str,
)
def test_metadata_that_lies_or_cannot_serve_is_refused(members: dict[str, Any]) -> None:
    with pytest.raises(WrongMetadata):
        read(**members)


def test_what_is_no_metadata_is_none() -> None:
    assert read(404) is None
    assert endpoints_of(Answer(200, {"content-type": "text/html"}, b"<html>"), ISSUER) is None
    assert endpoints_of(Answer(200, {"content-type": "application/json"}, b"[]"), ISSUER) is None


NAMES = st.sampled_from(
    [
        "issuer",
        "authorization_endpoint",
        "token_endpoint",
        "revocation_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
        "registration_endpoint",
        "jwks_uri",
        "response_types_supported",
        "code_challenge_methods_supported",
        "scopes_supported",
        "grant_types_supported",
        "token_endpoint_auth_methods_supported",
        "id_token_signing_alg_values_supported",
        "authorization_response_iss_parameter_supported",
    ]
)
TEXTS = st.text(st.characters()) | st.from_regex(r"https?://[\x00-\xff]{0,30}") | st.sampled_from(["S256", "code"])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)


@given(st.dictionaries(NAMES, ANYTHING))
def test_no_member_of_the_metadata_does_worse_than_being_refused(members: dict[str, Any]) -> None:
    try:
        found = read(**members)
    except WrongMetadata as error:
        assert str(error).isprintable()
        assert len(str(error)) < 400
    else:
        if found is not None:
            assert found.issuer == ISSUER
            named = (found.authorization, found.token, found.revocation, found.registration)
            assert all(check_endpoint_url(url) is None for url in named if url is not None)


@given(st.integers(0, 1000), st.binary(), st.sampled_from(["application/json", "text/html", ""]))
def test_no_bytes_are_metadata(status: int, body: bytes, content_type: str) -> None:
    assert endpoints_of(Answer(status, {"content-type": content_type}, body), ISSUER) is None


# -- what real servers write


@pytest.mark.parametrize("stated", [f"{ISSUER}/", "https://LOGIN.example.com", "HTTPS://login.example.com/"])
def test_an_issuer_that_is_the_same_url_is_accepted_and_spelled_as_the_server_spells_it(stated: str) -> None:
    found = read(issuer=stated)

    assert found is not None
    assert found.issuer == stated


@pytest.mark.parametrize(
    ("configured", "stated"),
    [("https://a.example/b", "https://a.example/b/"), ("https://a.example/b/", "https://a.example/b")],
)
def test_a_slash_behind_a_path_makes_another_issuer_and_the_line_to_write_is_told(configured: str, stated: str) -> None:
    body = json.dumps({"issuer": stated, "authorization_endpoint": stated, "token_endpoint": stated}).encode()

    with pytest.raises(WrongMetadata, match=f'issuer = "{stated}"$'):
        endpoints_of(Answer(200, {}, body), configured)


def test_another_issuer_is_told_with_the_way_out() -> None:
    with pytest.raises(WrongMetadata, match=r"https://other\.example; .*by hand"):
        read(issuer="https://other.example")


@pytest.mark.parametrize("wrong", ["", "/revoke", "http://login.example.com/revoke", 5, ["x"], "javascript:alert(1)"])
@pytest.mark.parametrize(
    "name",
    [
        "revocation_endpoint",
        "registration_endpoint",
        "device_authorization_endpoint",
        "pushed_authorization_request_endpoint",
    ],
)
def test_an_endpoint_that_a_sign_in_can_do_without_is_left_out_where_it_is_wrong(
    name: str, wrong: object, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        found = read(**{name: wrong})

    assert found == read()
    assert name in caplog.text


@pytest.mark.parametrize("content_type", ["text/html", "application/octet-stream", ""])
def test_metadata_is_read_whatever_its_content_type_and_byte_order_mark(content_type: str) -> None:
    body = json.dumps({"issuer": ISSUER, "authorization_endpoint": ISSUER, "token_endpoint": ISSUER}).encode(
        "utf-8-sig"
    )

    assert endpoints_of(Answer(200, {"content-type": content_type}, body), ISSUER) is not None


@pytest.mark.parametrize("stated", ["https://[", "https://[::1", "http://]", "\ud800"])
def test_an_issuer_that_is_no_url_at_all_is_another_issuer(stated: str) -> None:
    with pytest.raises(WrongMetadata):
        read(issuer=stated)
