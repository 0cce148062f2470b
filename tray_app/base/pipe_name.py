"""What the agent's pipe is called on Windows, where its socket has no path. Next to nothing is imported."""

import os
from _blake2 import blake2b  # what `hashlib` has it from: OpenSSL is not loaded for it

PREFIX = "\\\\.\\pipe\\"
LONGEST = 256
"""Characters in a pipe's whole name (CreateNamedPipe)."""


def pipe_name(runtime: str) -> str:
    r"""`\\.\pipe\lamplighter-...`: another one for each runtime folder, however that is written."""
    folder = os.path.normcase(os.path.abspath(runtime))  # noqa: PTH100 - `pathlib` costs more than the whole errand
    return f"{PREFIX}lamplighter-{blake2b(folder.encode(errors='surrogatepass'), digest_size=16).hexdigest()}"


def is_pipe(name: str) -> bool:
    """Whether it names a pipe of this machine."""
    return name.lower().startswith(PREFIX) and len(name) <= LONGEST and "\\" not in (name[len(PREFIX) :] or "\\")
