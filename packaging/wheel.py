"""The sdist and the wheel that is made from it: the same bytes each time, whoever builds them and whenever."""

from __future__ import annotations

import base64
import gzip
import hashlib
import os
import shutil
import tarfile
import tempfile
import zipfile
from pathlib import Path

import changelog
import sbom
import setup_machine
from setup_machine import ROOT, run, say

SOURCES = ("pyproject.toml", "README.md", "LICENSE", "tray_app")
JUNK = shutil.ignore_patterns("__pycache__", "*.pyc", ".*")


def build(into: Path) -> list[Path]:
    """Both, in the folder `into`."""
    python = setup_machine.environment(["package"]) / ("python.exe" if os.name == "nt" else "python")
    epoch = changelog.newest().epoch
    os.umask(0o022)  # permissions are in the wheel as well
    with tempfile.TemporaryDirectory() as folder:
        sources, made = Path(folder, "sources"), Path(folder, "made")
        copy_sources(sources)
        # Without isolation: the backend is the one that is installed, nothing is fetched.
        argv = [str(python), "-m", "build", "--no-isolation", "--outdir", str(made), str(sources)]
        run("Building sdist and wheel ...", argv, variables={"SOURCE_DATE_EPOCH": str(epoch)})
        [sdist], [wheel] = made.glob("*.tar.gz"), made.glob("*.whl")
        into.mkdir(parents=True, exist_ok=True)
        _normalized(sdist, into / sdist.name, epoch)
        bom = sbom.of_wheel(changelog.newest().version)
        sbom.put(bom, Path(folder), into / wheel.name)
        sbom.put(bom, Path(folder), into / sdist.name)
        _with_sbom(wheel, into / wheel.name, bom)
    for name in (sdist.name, wheel.name):
        say(f"{into / name}: {(into / name).stat().st_size / 1000:.0f} kB")
    return [into / sdist.name, into / wheel.name]


def copy_sources(to: Path) -> None:
    """What a distribution is made of, with the permissions that everyone's checkout may not have."""
    to.mkdir(parents=True)
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=JUNK)
        else:
            shutil.copyfile(ROOT / name, to / name)
    for path in [to, *to.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def _with_sbom(wheel: Path, to: Path, bom: bytes) -> None:
    """The wheel with the SBOM in its metadata (PEP 770), and in its RECORD."""
    with zipfile.ZipFile(wheel) as old, zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED) as new:
        record = next(name for name in old.namelist() if name.endswith(".dist-info/RECORD"))
        added = zipfile.ZipInfo(f"{record.removesuffix('RECORD')}sboms/{sbom.NAME}", old.getinfo(record).date_time)
        added.external_attr, added.compress_type = 0o100644 << 16, zipfile.ZIP_DEFLATED
        digest = base64.urlsafe_b64encode(hashlib.sha256(bom).digest()).rstrip(b"=").decode()
        line = f"{added.filename},sha256={digest},{len(bom)}\n".encode()
        for member in old.infolist():
            if member.filename == record:
                new.writestr(added, bom)
                new.writestr(member, line + old.read(member))
            else:
                new.writestr(member, old.read(member))


def _normalized(archive: Path, to: Path, epoch: int) -> None:
    """The same archive in order, of nobody and of one date: setuptools writes those of the machine."""
    with (
        tarfile.open(archive) as old,
        to.open("wb") as file,
        gzip.GzipFile("", "wb", 9, file, mtime=epoch) as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as new,
    ):
        for member in sorted(old.getmembers(), key=lambda member: member.name):
            content = old.extractfile(member)
            member.mtime, member.uid, member.gid, member.uname, member.gname = epoch, 0, 0, "", ""
            member.mode, member.pax_headers = 0o755 if member.isdir() else 0o644, {}
            new.addfile(member, content)
