"""The image, built twice, before anything leaves the network."""

from __future__ import annotations

import json
import subprocess
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import image.__main__ as building
import pytest

from image import debian

_STASH = pytest.StashKey["Built | Missing | str"]()


@dataclass(frozen=True, slots=True)
class Built:
    """Two archives of the same sources, and the bill of materials of the first."""

    first: Path
    second: Path
    materials: dict[str, Any]


class Missing(str):
    """Why Debian's packages cannot be had on this machine."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what the chosen tests need; why not, where that cannot be done on this machine."""
    if session.config.option.collectonly:
        return
    if any("built" in getattr(item, "fixturenames", ()) for item in session.items):
        folder = Path(session.config.rootpath) / ".cache" / "image" / "built"
        session.config.stash[_STASH] = _build(folder)


def _build(folder: Path) -> Built | Missing | str:
    try:
        for name in ("first", "second"):
            building.build(folder / name, "syncrollout:test")
    except debian.NotHere as error:
        return Missing(error)
    except subprocess.CalledProcessError as error:
        said = f"{error.cmd[0]}: {error.stderr}"
        return Missing(said) if error.cmd[0] == "apt-get" else said
    (materials,) = (folder / "first").glob("*.cdx.json")
    archives = [folder / name / "syncrollout-test.tar" for name in ("first", "second")]
    return Built(archives[0], archives[1], json.loads(materials.read_text()))


@pytest.fixture(scope="session")
def built(request: pytest.FixtureRequest) -> Built:
    """Both archives; skipped with the reason where Debian's packages cannot be had."""
    made = request.config.stash[_STASH]
    if isinstance(made, Missing):
        pytest.skip(f"no image: {made}")
    if isinstance(made, str):
        pytest.fail(made, pytrace=False)
    return made


@pytest.fixture(scope="session")
def root(built: Built, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image's file system as a folder."""
    folder = tmp_path_factory.mktemp("image")
    with tarfile.open(built.first) as archive:
        archive.extractall(folder / "oci", filter="data")
    for digest in manifest(folder / "oci")["layers"]:
        with tarfile.open(blob(folder / "oci", digest)) as layer:
            layer.extractall(folder / "root", filter="tar")
    return folder / "root"


def blob(oci: Path, described: dict[str, Any]) -> Path:
    """The file of what is described."""
    return oci / "blobs" / "sha256" / str(described["digest"]).removeprefix("sha256:")


def manifest(oci: Path) -> dict[str, Any]:
    """The one manifest of an archive."""
    (described,) = json.loads((oci / "index.json").read_text())["manifests"]
    found: dict[str, Any] = json.loads(blob(oci, described).read_text())
    return found
