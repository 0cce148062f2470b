"""What the agent's pipe is called on Windows, where sockets have no path. Imports almost nothing."""

import os
from _blake2 import blake2b  # hashlib's own source for it, without loading OpenSSL

PREFIX = "\\\\.\\pipe\\"
LONGEST = 256
"""Characters in a pipe's whole name (CreateNamedPipe)."""


def pipe_name(runtime: str) -> str:
    r"""`\\.\pipe\lamplighter-...`: one per runtime folder, however its path is written."""
    folder = os.path.normcase(os.path.abspath(runtime))  # noqa: PTH100 - `pathlib` takes longer to import than the request itself
    return f"{PREFIX}lamplighter-{blake2b(folder.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def is_pipe(name: str) -> bool:
    """Whether it names a pipe of this machine."""
    return name.lower().startswith(PREFIX) and len(name) <= LONGEST and "\\" not in (name[len(PREFIX) :] or "\\")
