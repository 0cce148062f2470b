"""The one cipher that secretstorage needs, from the OpenSSL that Python's own `ssl` has loaded already.

secretstorage encrypts what it sends over D-Bus (Secret Service API, "dh-ietf1024-sha256-aes128-cbc-pkcs7"). It does so
with AES from the package `cryptography`, of which it uses nothing else, and which brings a whole OpenSSL of its own:
8.5 MB resident of 53 (measured). So it is imported with this cipher under the names of that package.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from functools import cache, partial
from types import SimpleNamespace
from typing import Any, Final

from tray_app.base.lean_imports import lean_imports

BLOCK: Final = 16
"""Bytes; as many as the key and the initialization vector have."""


def import_secretstorage() -> None:
    """Imports it with our cipher. Where that is impossible it does nothing: a later import uses `cryptography`."""
    algorithms, modes = SimpleNamespace(AES=bytes), SimpleNamespace(CBC=bytes)  # each is just its argument
    parts = {
        "cryptography.hazmat.backends": SimpleNamespace(default_backend=lambda: None),
        "cryptography.hazmat.primitives.ciphers": SimpleNamespace(Cipher=_cipher, algorithms=algorithms, modes=modes),
    }
    with suppress(ImportError, OSError, AttributeError):
        _libcrypto()
        with lean_imports(parts):
            import secretstorage  # noqa: F401 - for others to find


def aes_cbc(key: bytes, vector: bytes, text: bytes, *, encrypting: bool) -> bytes:
    """The text, encrypted or decrypted with AES-128-CBC; in whole blocks, as padding is secretstorage's own business.

    Raises ValueError for other sizes and where OpenSSL refuses.
    """
    if len(key) != BLOCK or len(vector) != BLOCK or len(text) % BLOCK:
        raise ValueError(f"AES-128-CBC takes blocks of {BLOCK} bytes")
    crypto = _libcrypto()
    result, length = ctypes.create_string_buffer(len(text) + BLOCK), ctypes.c_int()
    context = crypto.EVP_CIPHER_CTX_new()
    try:
        done = (
            crypto.EVP_CipherInit_ex(context, crypto.EVP_aes_128_cbc(), None, key, vector, encrypting)
            and crypto.EVP_CIPHER_CTX_set_padding(context, 0)
            and crypto.EVP_CipherUpdate(context, result, ctypes.byref(length), text, len(text))
        )
    finally:
        crypto.EVP_CIPHER_CTX_free(context)
    if not done or length.value != len(text):
        raise ValueError("OpenSSL refuses AES-128-CBC")
    return result.raw[: len(text)]


def _cipher(key: bytes, vector: bytes, _backend: None) -> Any:
    """`Cipher(algorithms.AES(key), modes.CBC(vector), default_backend())`."""

    def run(*, encrypting: bool) -> Any:
        return SimpleNamespace(update=partial(aes_cbc, key, vector, encrypting=encrypting), finalize=bytes)

    return SimpleNamespace(encryptor=partial(run, encrypting=True), decryptor=partial(run, encrypting=False))


@cache
def _libcrypto() -> Any:
    """Raises ImportError, OSError or AttributeError where Python's OpenSSL is linked statically."""
    import _ssl

    crypto = ctypes.CDLL(_ssl.__file__)  # also resolves functions of the libraries that it is linked with
    pointer, text, number = ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int
    crypto.EVP_aes_128_cbc.restype = crypto.EVP_CIPHER_CTX_new.restype = pointer
    crypto.EVP_CipherInit_ex.argtypes = (pointer, pointer, pointer, text, text, number)
    crypto.EVP_CIPHER_CTX_set_padding.argtypes = (pointer, number)
    crypto.EVP_CipherUpdate.argtypes = (pointer, text, ctypes.POINTER(number), text, number)
    crypto.EVP_CIPHER_CTX_free.argtypes = (pointer,)
    return crypto
