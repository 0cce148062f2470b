"""Prints the SBOM of what is bundled: `python sbom.py BUNDLED`, with the Python that it was bundled from.

BUNDLED is the list of files that lamplighter.spec writes. The SBOM is CycloneDX 1.6 in JSON, and the same bytes each
time: it has no serial number and no time. The standard library alone.
"""

from __future__ import annotations

import importlib.metadata
import json
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import licences
import pins

NAME = "lamplighter.cdx.json"
"""What it is called within a package; beside it, it has the package's own name with `.cdx.json` after it."""


def main() -> None:
    """The applet, Python, PyInstaller's loader and each bundled library, with their versions."""
    files = {Path(line).with_suffix("") for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()}
    found = [each for each in importlib.metadata.distributions() if licences.is_bundled(each, files)]
    own = next(each for each in found if each.name == "lamplighter")
    python = ".".join(map(str, sys.version_info[:3]))
    parts = [
        {"type": "platform", "bom-ref": "python", "name": "Python", "version": python, **_licence("PSF-2.0")},
        _library(importlib.metadata.distribution("pyinstaller"), "its loader, which starts the program"),
        *(_library(each) for each in found if each is not own),
    ]
    sys.stdout.buffer.write(written(own.version, parts))


def put(content: bytes, inside: Path, package: Path) -> None:
    """Writes it to `inside`, a folder that goes into the package, and beside the package itself."""
    for path in (inside / NAME, package.with_name(f"{package.name}.cdx.json")):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def of_wheel(version: str) -> bytes:
    """The SBOM of the wheel, which bundles nothing: the libraries that it asks for, with the versions it allows."""
    return written(version, map(_wanted, pins.runtime()))


def written(version: str, components: Iterable[dict[str, Any]]) -> bytes:
    """The document about this version of Lamplighter, with the components in order of their names."""
    listed = sorted(components, key=lambda component: str(component["name"]).lower())
    own = {
        "type": "application",
        "bom-ref": "lamplighter",
        "name": "lamplighter",
        "version": version,
        "purl": f"pkg:pypi/lamplighter@{version}",
        **_licence("MIT"),
    }
    document = {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": own},
        "components": listed,
        "dependencies": [{"ref": "lamplighter", "dependsOn": [component["bom-ref"] for component in listed]}],
    }
    return json.dumps(document, indent=2, sort_keys=True).encode() + b"\n"


def _library(found: importlib.metadata.Distribution, description: str = "") -> dict[str, Any]:
    """The component for an installed distribution."""
    url = f"pkg:pypi/{_normal(found.name)}@{found.version}"
    component: dict[str, Any] = {"type": "library", "bom-ref": url, "name": found.name, "version": found.version}
    component |= {"purl": url, **_licence(licences.licence_of(found))}
    return component | ({"description": description} if description else {})


def _wanted(requirement: str) -> dict[str, Any]:
    """The component for a line of pyproject, such as `httpx>=0.28,<0.29` or `watchdog>=4; sys_platform != 'linux'`."""
    name = re.split(r"[<>=!~;\[ ]", requirement)[0]
    url = f"pkg:pypi/{_normal(name)}"
    properties = [{"name": "lamplighter:requirement", "value": requirement}]
    return {"type": "library", "bom-ref": url, "name": name, "purl": url, "properties": properties}


def _normal(name: str) -> str:
    """The name as package URLs have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _licence(name: str) -> dict[str, Any]:
    """The licence by its name: what metadata says is not always one of SPDX's."""
    return {"licenses": [{"license": {"name": name}}]}


if __name__ == "__main__":
    main()
