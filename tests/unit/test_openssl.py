from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tray_app.adapters.store.openssl import aes_cbc

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only on Linux: the Secret Service is there")

# NIST SP 800-38A, F.2.1: CBC-AES128.
KEY = bytes.fromhex("2b7e151628aed2a6abf7158809cf4f3c")
VECTOR = bytes(range(16))
PLAIN = bytes.fromhex(
    "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e51"
    "30c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
)
CRYPT = bytes.fromhex(
    "7649abac8119b246cee98e9b12e9197d5086cb9b507219ee95db113a917678b2"
    "73bed6b8e3c1743b7116e69e222295163ff1caa1681fac09120eca307586e1a7"
)


def test_it_is_the_cipher_of_the_standard() -> None:
    assert aes_cbc(KEY, VECTOR, PLAIN, encrypting=True) == CRYPT
    assert aes_cbc(KEY, VECTOR, CRYPT, encrypting=False) == PLAIN
    assert aes_cbc(KEY, VECTOR, b"", encrypting=True) == b""


def test_it_agrees_with_the_package_that_it_stands_in_for() -> None:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

    for blocks in range(8):
        key, vector, text = os.urandom(16), os.urandom(16), os.urandom(16 * blocks)
        theirs = Cipher(algorithms.AES(key), modes.CBC(vector)).encryptor()
        expected = theirs.update(text) + theirs.finalize()

        assert aes_cbc(key, vector, text, encrypting=True) == expected
        assert aes_cbc(key, vector, expected, encrypting=False) == text


@pytest.mark.parametrize(("key", "vector", "text"), [(15, 16, 16), (16, 15, 16), (16, 16, 17), (32, 16, 16)])
def test_other_sizes_are_refused_before_openssl_reads_beyond_their_end(key: int, vector: int, text: int) -> None:
    with pytest.raises(ValueError, match="blocks of 16"):
        aes_cbc(bytes(key), bytes(vector), bytes(text), encrypting=True)


def test_secretstorage_speaks_through_it_and_others_still_get_the_package() -> None:
    code = """
import sys
from tray_app.adapters.store.openssl import aes_cbc, import_secretstorage
import_secretstorage()
assert not [name for name in sys.modules if name.startswith("cryptography")], sys.modules
from secretstorage.dhcrypto import Session
from secretstorage.util import format_secret
session = Session()
session.object_path, session.aes_key = "/session", bytes(16)
_, vector, sent, _ = format_secret(session, b"secret", "text/plain")
assert aes_cbc(bytes(16), vector, sent, encrypting=False) == b"secret" + bytes([10]) * 10
from cryptography.fernet import Fernet
assert Fernet(Fernet.generate_key())
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_where_pythons_openssl_is_out_of_reach_secretstorage_gets_the_package() -> None:
    code = """
import sys, _ssl
del _ssl.__file__  # as in a Python that has it built in
from tray_app.adapters.store.openssl import import_secretstorage
import_secretstorage()
assert "secretstorage" not in sys.modules
import secretstorage
assert secretstorage.util.Cipher.__module__.startswith("cryptography.")
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
