"""sdist and wheel, built twice, looked into and installed with the tools that people use."""

from __future__ import annotations

import base64
import hashlib
import re
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tests.packaging.packages import ROOT, bill, built, said
from tray_app._version import __version__

PROGRAMS = Path(sys.executable).parent


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Wheel and sdist, each followed by its SBOM."""
    return built("wheel", tmp_path_factory.mktemp("dist"))


def test_two_builds_are_the_same_bytes(made: list[Path], tmp_path: Path) -> None:
    again = built("wheel", tmp_path / "again", umask=0o077)

    assert [path.name for path in again] == [
        f"lamplighter-{__version__}-py3-none-any.whl",
        f"lamplighter-{__version__}-py3-none-any.whl.cdx.json",
        f"lamplighter-{__version__}.tar.gz",
        f"lamplighter-{__version__}.tar.gz.cdx.json",
    ]
    assert [path.read_bytes() for path in again] == [path.read_bytes() for path in made]


def test_the_wheel_holds_the_package_and_nothing_else(made: list[Path]) -> None:
    package = {str(path.relative_to(ROOT)) for path in (ROOT / "tray_app").rglob("*") if path.is_file()}

    names = set(zipfile.ZipFile(made[0]).namelist())

    metadata = {name for name in names if name.startswith(f"lamplighter-{__version__}.dist-info/")}
    assert {name.rpartition("/")[2] for name in metadata} == {
        "LICENSE",
        "METADATA",
        "RECORD",
        "WHEEL",
        "entry_points.txt",
        "lamplighter.cdx.json",
        "top_level.txt",
    }
    assert names - metadata == {
        name
        for name in package
        if "__pycache__" not in name and not name.endswith(".po")  # catalogs are read as .mo
    }


def test_the_sbom_names_what_the_wheel_asks_for_and_stands_in_its_record(made: list[Path]) -> None:
    name = f"lamplighter-{__version__}.dist-info/sboms/lamplighter.cdx.json"  # where PEP 770 wants it
    with zipfile.ZipFile(made[0]) as wheel:
        inside, record = wheel.read(name), wheel.read(f"lamplighter-{__version__}.dist-info/RECORD").decode()
        metadata = wheel.read(f"lamplighter-{__version__}.dist-info/METADATA").decode()

    digest = base64.urlsafe_b64encode(hashlib.sha256(inside).digest()).rstrip(b"=").decode()
    assert f"{name},sha256={digest},{len(inside)}\n" in record
    assert made[1].read_bytes() == made[3].read_bytes() == inside
    asked_for = re.findall(r"^Requires-Dist: ([\w.-]+)", metadata, re.MULTILINE)
    assert bill(inside) == {name.lower(): None for name in asked_for}  # it brings none, so it knows no versions


def test_the_sdist_holds_what_builds_the_wheel_and_nothing_else(made: list[Path]) -> None:
    with tarfile.open(made[2]) as sdist:
        top_level = {name.split("/")[1] for name in sdist.getnames() if "/" in name}
        owners = {(member.uid, member.uname, member.mode) for member in sdist if member.isfile()}

    assert top_level == {
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "lamplighter.egg-info",
        "pyproject.toml",
        "setup.cfg",
        "tray_app",
    }
    assert owners == {(0, "", 0o644)}


@pytest.mark.parametrize("index", [0, 2], ids=["wheel", "sdist"])
def test_pipx_installs_it(made: list[Path], tmp_path: Path, index: int) -> None:
    places = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin"), "HOME": str(tmp_path)}

    said(PROGRAMS / "pipx", "install", "--python", sys.executable, made[index], **places)

    assert said(tmp_path / "bin/lamplighter", "--version") == f"lamplighter {__version__}\n"


def test_uv_installs_it(made: list[Path], tmp_path: Path) -> None:
    places = {"UV_TOOL_DIR": str(tmp_path / "tools"), "UV_TOOL_BIN_DIR": str(tmp_path / "bin"), "HOME": str(tmp_path)}

    said(PROGRAMS / "uv", "tool", "install", "--python", sys.executable, made[0], **places)

    assert said(tmp_path / "bin/lamplighter", "--version") == f"lamplighter {__version__}\n"
    assert "All went as told." in said(tmp_path / "bin/lamplighter", "demo", "--story", HOME=str(tmp_path))
