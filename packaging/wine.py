"""A Windows Python under Wine, for tests and for building where no Windows is: `python3 packaging/wine.py ARGUMENTS`.

It is a hybrid: python.org's DLLs, as the game engine panda3d ships them, with the standard library of the Python that
runs this and a python.exe of ten lines. What is built with it is tried, never shipped. Lamplighter is in it, with the
dependency group of its tests. The ARGUMENTS are Python's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

import pins
import setup_machine
import wheel
from setup_machine import ROOT, run, say

FOLDER = setup_machine.cache() / "wine"
"""Not in the checkout: its drive Z: leads to all of this computer, also those who walk through the checkout."""
PYTHON = FOLDER / "python"
NEEDS = "wine wine64 nsis gcc-mingw-w64-x86-64"
PINNED = ("run", "freeze", "wine")
"""The files of packaging/requirements that it is made of."""
VARIABLES = {
    "WINEPREFIX": str(FOLDER / "prefix"),
    "WINEARCH": "win64",
    "WINEDEBUG": "-all",
    "WINEDLLOVERRIDES": "mscoree,mshtml=",  # else it asks whether to download Mono and Gecko
    "PYTHONUTF8": "1",
}
_LAUNCHER = r"""
#include <windows.h>
typedef int (*Main)(int, wchar_t **);
int wmain(int argc, wchar_t **argv) {
    HMODULE python = LoadLibraryW(PYTHON_DLL);
    Main run = python ? (Main)(void *)GetProcAddress(python, "Py_Main") : NULL;
    return run ? run(argc, argv) : 101;
}
"""
# A program without this is told that it runs on Windows 8.
_MANIFEST = """<?xml version="1.0" encoding="UTF-8" standalone="yes"?>
<assembly xmlns="urn:schemas-microsoft-com:asm.v1" manifestVersion="1.0">
  <compatibility xmlns="urn:schemas-microsoft-com:compatibility.v1"><application>
    <supportedOS Id="{8e0f7a12-bfb3-4fe8-b9a5-48fd50a15a9a}"/>
  </application></compatibility>
</assembly>
"""


def set_up() -> None:
    """Wine and the Windows Python in it, with what its tests need. Exits where one of them cannot be had."""
    if missing := setup_machine.missing_debian_packages(NEEDS.split()):
        say(f"Windows programs are built and tried with these Debian packages: {' '.join(missing)}")
        setup_machine.install_debian_packages(missing)
    ready = FOLDER / "ready"
    if not ready.exists():
        shutil.rmtree(FOLDER, ignore_errors=True)
        FOLDER.mkdir(parents=True)
        _make_python()
        run(
            "Setting up Wine ...",
            ["sh", "-c", "wineboot -i && wine winecfg /v win10 && wineserver -w"],
            variables=VARIABLES,
        )
        pip = ["-m", "pip", "install", "--quiet", "--no-warn-script-location"]
        run("Installing what its tests need ...", _command(*pip, *_hashed(*PINNED)), variables=VARIABLES)
        ready.touch()


def prepare() -> None:
    """Installs this checkout's Lamplighter in the Windows Python, which is set up where it is not there yet."""
    set_up()
    _, package = wheel.build(FOLDER / "dist")
    again = ["-m", "pip", "install", "--quiet", "--no-warn-script-location"]
    run("Installing what Lamplighter needs in it ...", _command(*again, *_hashed(*PINNED)), variables=VARIABLES)
    afresh = [*again, "--no-deps", "--force-reinstall", windows(package)]
    run("Installing this checkout in it ...", _command(*afresh), variables=VARIABLES)


def python(*arguments: str, cwd: Path = ROOT) -> int:
    """Runs the Windows Python in this terminal; its exit code."""
    return subprocess.run(_command(*arguments), cwd=cwd, env={**os.environ, **VARIABLES}, check=False).returncode


def windows(path: Path) -> str:
    """The path as Windows programs know it."""
    return "Z:" + str(path.absolute()).replace("/", "\\")


def _hashed(*names: str) -> list[str]:
    """As setup_machine.hashed, with the paths that Windows knows."""
    files = [word for name in names for word in ("-r", windows(pins.file(name)))]
    return ["--require-hashes", "--only-binary=:all:", *files]


def _command(*arguments: str) -> list[str]:
    # Wine's programs want a pipe as their output; and Python none of our input.
    line = ["wine", str(PYTHON / "python.exe"), *arguments]
    return ["bash", "-o", "pipefail", "-c", '"$@" </dev/null 2>&1 | cat', "bash", *line]


def _make_python() -> None:
    minor = sys.version_info[1]
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        host = setup_machine.environment(["package"]) / "python"
        download = [str(host), "-m", "pip", "download", "--quiet", "--no-deps", "--dest", folder]
        target = ["--platform", "win_amd64", "--only-binary=:all:", "--python-version", f"3.{minor}", "panda3d"]
        run("Fetching Python's DLLs for Windows ...", [*download, *target])
        run("Fetching pip ...", [*download, "pip"])
        [engine], [pip] = work.glob("panda3d-*.whl"), work.glob("pip-*.whl")
        with zipfile.ZipFile(engine) as archive:
            archive.extractall(work, [name for name in archive.namelist() if name.startswith("deploy_libs/")])
        (PYTHON / "DLLs").mkdir(parents=True)
        for file in (work / "deploy_libs").iterdir():
            name = file.name.lower()
            if name.startswith((f"python3{minor}.dll", "vcruntime140", "msvcp140")):
                shutil.copy(file, PYTHON)
            elif (name.endswith(".pyd") and "t-win" not in name) or name.startswith(
                ("libffi", "libssl", "libcrypto", "sqlite3.dll", "zlib1.dll")
            ):
                shutil.copy(file, PYTHON / "DLLs")
        leave = shutil.ignore_patterns(
            "site-packages", "dist-packages", "lib-dynload", "__pycache__", "test", "config-*", "_sysconfigdata*"
        )
        shutil.copytree(sysconfig.get_path("stdlib"), PYTHON / "Lib", ignore=leave)
        with zipfile.ZipFile(pip) as archive:
            archive.extractall(PYTHON / "Lib/site-packages")
        (work / "launcher.c").write_text(_LAUNCHER, encoding="utf-8")
        (work / "app.manifest").write_text(_MANIFEST, encoding="utf-8")
        (work / "app.rc").write_text('1 24 "app.manifest"\n', encoding="utf-8")
        mingw = "x86_64-w64-mingw32"
        run("Making its python.exe ...", [f"{mingw}-windres", "app.rc", "-O", "coff", "-o", "app.res"], cwd=work)
        defined = f'-DPYTHON_DLL=L"python3{minor}.dll"'
        made = ["-municode", "-O2", "-s", defined, "launcher.c", "app.res", "-o", str(PYTHON / "python.exe")]
        run("Linking it ...", [f"{mingw}-gcc", *made], cwd=work)


if __name__ == "__main__":
    try:
        prepare()
        sys.exit(python(*sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
