import os
import tomllib
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tray_app.adapters.config import parser as config
from tray_app.core.account import Configuration
from tray_app.core.errors import Misconfigured

GOOD = """
store = "memory"

[accounts.work]
issuer = "https://login.example.com"
client_id = "tray"
scopes = ["openid", "offline_access"]
authorization_parameters = { prompt = "consent" }
refresh_before = "5m"
refresh_every = "50m"

[accounts.api]
authorization_endpoint = "http://127.0.0.1:8080/authorize?tenant=x"
token_endpoint = "http://localhost:8080/token"
client_id = "tray"
redirect_uri = "http://localhost:54545/callback"
token_request = "json"
exchange_parameters = ["state"]

[retry]
first = "2s"
limit = "10m"
"""

MANY = "".join(
    f'[accounts.a{number}]\nissuer = "https://a.example"\nclient_id = "c"\nscopes = []\n\n' for number in range(1000)
)


def account(line, *, start='issuer = "https://a.example"\nclient_id = "c"'):
    return f"[accounts.work]\n{start}\n{line}\n"


def test_a_good_configuration_is_read_into_values():
    found = config.parse(GOOD)

    assert found.store == "memory"
    assert found.retry.first == timedelta(seconds=2)
    assert found.accounts["work"].policy.refresh_every == timedelta(minutes=50)
    assert found.accounts["work"].authorization_parameters == {"prompt": "consent"}
    assert found.accounts["api"].endpoints.token == "http://localhost:8080/token"
    assert found.accounts["api"].token_request == "json"


def test_no_file_is_no_error(tmp_path):
    assert config.load(tmp_path / "config.toml") == Configuration()


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        pytest.param("[accounts.work\n", ["line 1"], id="not TOML"),
        pytest.param(
            account('refesh_before = "5m"'), ["line 4", "accounts.work", "`refresh_before`"], id="unknown key"
        ),
        pytest.param(
            account('client_secret = "x"'), ["line 4", "`client_secret`", "lamplighter secret set work"], id="a secret"
        ),
        pytest.param('stoer = "memory"', ["line 1", "`stoer`", "`store`"], id="unknown at the top"),
        pytest.param('store = "file"', ["line 1", "keyring, memory"], id="unknown store"),
        pytest.param(account("scopes = 1"), ["line 4", "`scopes`", "a number", "list"], id="wrong type"),
        pytest.param(account('scopes = ["a b"]'), ["`scopes`", "`a b`"], id="two scopes in one"),
        pytest.param(account('refresh_before = "5"'), ["line 4", "`refresh_before`", '"50m"'], id="no unit"),
        pytest.param(account('refresh_before = "0s"'), ["`refresh_before`"], id="no length"),
        pytest.param(
            account('revocation_endpoint = "http://a.example/r"'), ["`revocation_endpoint`", "https"], id="http"
        ),
        pytest.param(
            account('redirect_uri = "https://a.example/cb"'), ["`redirect_uri`", "loopback"], id="foreign redirect"
        ),
        pytest.param(
            account('redirect_uri = "http://127.0.0.1.evil/cb"'), ["`redirect_uri`"], id="looks like loopback"
        ),
        pytest.param(
            account('authorization_parameters = { state = "x" }'), ["line 4", "`state`"], id="protected parameter"
        ),
        pytest.param(
            account('authorization_parameters = { client_id = "x" }'), ["line 4", "`client_id`"], id="a key twice"
        ),
        pytest.param(
            account('[accounts.work.authorization_parameters]\nclient_id = "x"'), ["line 5"], id="a key twice in tables"
        ),
        pytest.param(account('on_refresh = ["""\nbogus = 3\n"""]\nbogus = 3'), ["line 7"], id="a key in a text"),
        pytest.param(account("") + "accounts.home.bogus = 3", ["accounts.work"], id="a key of another table"),
        pytest.param("accounts.work.bogus = 3", ["line 1", "`bogus`"], id="a dotted key"),
        pytest.param(
            '[accounts.scopes]\nissuer = "https://a.example"\nclient_id = "c"\nscopes = 7',
            ["line 4", "`scopes`"],
            id="an account that is called like a key",
        ),
        pytest.param(MANY + "[issuer]\n", ["line 5001", "`issuer`"], id="a table after many"),
        pytest.param("[accounts]\n\nwork.bogus = 3", ["line 3", "`bogus`"], id="a dotted key in a table"),
        pytest.param('[accounts]\n"a.b".c = 1\n"a".b = 1', ["line 2", "`c`"], id="a dot in a name"),
        pytest.param(account('refresh_before = "\u0661\u0660s"'), ["line 4", '"50m"'], id="digits of another script"),
        pytest.param(account("", start='client_id = "c"'), ["accounts.work", "`issuer`"], id="no place named"),
        pytest.param(
            account('token_endpoint = "https://a.example/t"', start='client_id = "c"'),
            ["accounts.work", "`authorization_endpoint`"],
            id="half of the endpoints",
        ),
        pytest.param(
            account('issuer = "https://user@a.example"', start='client_id = "c"'), ["`issuer`"], id="a user in it"
        ),
        pytest.param('[accounts."a/b"]\n', ["a/b", "name"], id="a name that is a path"),
        pytest.param('[accounts."-h"]\n', ["-h", "name"], id="a name that is an option"),
        pytest.param(
            account("") + '[accounts.Work]\nissuer = "https://a.example"\nclient_id = "c"\n',
            ["line 5", "`Work`", "`work`", "capitals"],
            id="a name clash",
        ),
        pytest.param(account('provider = "gitbub"'), ["line 4", "`gitbub`", "github, gitlab"], id="no such preset"),
        pytest.param(account('tenant = "x"'), ["line 4", "`tenant`", "microsoft"], id="a tenant of nobody"),
        pytest.param(
            account("", start='provider = "github"'), ["accounts.work", "`client_id`"], id="a preset without a client"
        ),
        pytest.param(
            account("", start='provider = "microsoft"\nclient_id = "c"\ntenant = "a/b"'),
            ["line 4", "`tenant`"],
            id="a tenant that is a path",
        ),
        pytest.param(
            account('token_endpoint_auth_method = "private_key_jwt"'), ["line 4", "client_secret_post"], id="a method"
        ),
        pytest.param('accounts = "x"', ["`accounts`", "table"], id="no table"),
        pytest.param('[retry]\nfirst = "5m"\nlimit = "1s"', ["line 3", "retry", "`limit`"], id="limit below first"),
        pytest.param(account('client_secret = "x"'), ["`client_secret`"], id="a secret in the file"),
    ],
)
def test_each_mistake_names_file_place_and_remedy(text, parts):
    with pytest.raises(Misconfigured) as raised:
        config.parse(text)

    message = str(raised.value)
    assert message.startswith("config.toml")
    assert raised.value.remedy
    for part in parts:
        assert part in message


@pytest.mark.skipif(os.name != "posix", reason="only on POSIX systems")
def test_a_fifo_or_a_folder_in_its_place_is_told_and_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "config.toml")

    with pytest.raises(Misconfigured, match="not a file"):
        config.load(tmp_path / "config.toml")
    with pytest.raises(Misconfigured, match="not a file"):
        config.load(tmp_path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\n\xff", "line 2: not UTF-8"),
        (b"a" * 1_000_001, "1 MB"),
        (b"a=" + b"[" * 5000, "deep|line"),
        (b"a=" + b"1" * 5000, "number"),
    ],
    ids=["latin-1", "too large", "nested deeply", "a long number"],
)
def test_a_file_that_is_no_text_of_ours_is_told(tmp_path, content, said):
    path = tmp_path / "config.toml"
    path.write_bytes(content)

    with pytest.raises(Misconfigured, match=said):
        config.load(path)


def test_a_byte_order_mark_is_no_mistake(tmp_path):
    path = tmp_path / "config.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.encode())

    assert set(config.load(path).accounts) == {"work", "api"}


def test_the_commented_example_is_a_good_configuration():
    assert config.parse(config.EXAMPLE) == Configuration()
    uncommented = config.EXAMPLE.replace("# [", "[").replace("# issuer", "issuer").replace("# client", "client")
    assert "work" in config.parse(uncommented).accounts


@given(
    st.recursive(
        st.none() | st.text(max_size=5), lambda inner: st.dictionaries(st.text(max_size=5), inner), max_leaves=5
    )
)
def test_no_text_brings_anything_but_the_named_error(value):
    text = f"[accounts.work]\nscopes = {value!r}\n"
    try:
        config.parse(text)
    except Misconfigured as error:
        assert "config.toml" in str(error)


def test_tokens_belong_to_issuer_token_endpoint_and_client_a_change_of_any_is_another_place():
    def bound_to(issuer, token_endpoint, client):
        endpoints = 'authorization_endpoint = "https://a.example/a"\n' + f'token_endpoint = "{token_endpoint}"'
        text = f'issuer = "{issuer}"\nclient_id = "{client}"\n{endpoints}'
        return config.parse(account("", start=text)).accounts["work"].bound_to

    one = bound_to("https://a.example", "https://a.example/t", "c")

    assert one == bound_to("https://a.example", "https://a.example/t", "c")
    assert one != bound_to("https://b.example", "https://a.example/t", "c")
    assert one != bound_to("https://a.example", "https://b.example/t", "c")
    assert one != bound_to("https://a.example", "https://a.example/t", "d")


def preset_account(text):
    return config.parse(account("", start=text)).accounts["work"]


@pytest.mark.parametrize("name", ["github", "gitlab", "google", "microsoft"])
def test_a_preset_needs_a_client_id_and_nothing_else(name):
    found = preset_account(f'provider = "{name}"\nclient_id = "c"')

    assert found.provider == name
    assert found.issuer or found.endpoints


def test_what_the_file_says_of_a_place_replaces_all_that_its_preset_says_and_the_quirks_remain():
    own = 'provider = "github"\nclient_id = "c"\nissuer = "https://git.example"\nscopes = ["repo"]'
    found = preset_account(own)

    assert (found.issuer, found.endpoints) == ("https://git.example", None)
    assert found.scopes == ("repo",)
    assert "bad_refresh_token" in found.quirks.refused_codes


def test_extra_parameters_join_those_of_the_preset():
    found = preset_account(
        'provider = "google"\nclient_id = "c"\nauthorization_parameters = { prompt = "none", hd = "x" }'
    )

    assert found.authorization_parameters == {"access_type": "offline", "prompt": "none", "hd": "x"}


def test_a_directory_of_microsoft_is_part_of_its_endpoints():
    anyone = preset_account('provider = "microsoft"\nclient_id = "c"')
    contoso = preset_account('provider = "microsoft"\nclient_id = "c"\ntenant = "contoso.com"')

    assert anyone.endpoints.token == "https://login.microsoftonline.com/common/oauth2/v2.0/token"
    assert contoso.endpoints.token == "https://login.microsoftonline.com/contoso.com/oauth2/v2.0/token"
    assert anyone.bound_to != contoso.bound_to


def test_each_preset_says_where_it_was_read_and_holds_only_what_is_read_of_it():
    from tray_app.adapters.config.presets import FILE

    known = {"source", "issuer", "tenant", "scopes", "redirect_uri", "authorization_parameters"}
    known |= {f"{name}_endpoint" for name in ("authorization", "token", "revocation", "device_authorization")}
    known |= {"token_endpoint_auth_method", "refused_codes", "configuration_codes", "assumed_lifetime_hours"}
    known |= {"id_token_issuer", "needs_client_secret", "title", "registration"}
    known |= {"bearer_types", "refresh_parameters", "token_hosts"}
    for name, facts in tomllib.loads(FILE.read_text()).items():
        assert facts.keys() <= known, name
        assert all(source.startswith("https://") for source in facts["source"]), name


@pytest.mark.parametrize(
    ("pasted", "meant"),
    [
        ("https://a.example/.well-known/openid-configuration", "https://a.example"),
        ("https://a.example/b/.well-known/openid-configuration", "https://a.example/b"),
        ("https://a.example/.well-known/oauth-authorization-server/b", "https://a.example/b"),
    ],
)
def test_the_address_of_the_metadata_in_place_of_the_issuer_is_told_with_what_to_write(pasted, meant):
    with pytest.raises(Misconfigured, match=f'issuer = "{meant}"'):
        preset_account(f'issuer = "{pasted}"\nclient_id = "tray"')


def test_an_account_can_be_a_resource_alone():
    found = preset_account('resource = "https://mcp.example/mcp"')

    assert (found.resource, found.issuer, found.client_id) == ("https://mcp.example/mcp", None, None)
