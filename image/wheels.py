"""The application: its wheel and all that it depends on, in the versions and with the hashes of uv.lock."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from email.parser import HeaderParser
from pathlib import Path
from typing import Final

PACKAGES: Final = "usr/local/lib/python3.11/dist-packages"
"""Where Debian's Python looks for what is not Debian's."""
EPOCH: Final = "315532800"
"""The earliest moment that a zip file can hold: what is built here knows no other time."""
_OF_THE_INSTALLER: Final = ("INSTALLER", "RECORD", "REQUESTED", "direct_url.json", "uv_cache.json")

_NEEDLESS: Final = ("bin", "kubernetes/aio")
"""Programs, whose first line would name this machine's Python; the client's other half, which the operator has none of
and which is a third of everything."""


class NotBuilt(Exception):
    """The application could not be put together; the message says why."""


@dataclass(frozen=True, slots=True)
class Distribution:
    """A Python distribution that is in the image."""

    name: str
    version: str
    licence: str


def install(root: Path, project: Path) -> list[Distribution]:
    """Fill `root` with the operator and its dependencies. Raises NotBuilt where there is no uv."""
    uv = os.environ.get("UV") or shutil.which("uv") or str(project / ".cache/uv/bin/uv")
    if shutil.which(uv) is None:
        raise NotBuilt("uv is not on PATH: run this by `make image`, which brings it")
    target = root / PACKAGES
    target.mkdir(parents=True)
    with tempfile.TemporaryDirectory() as scratch:
        asked = ("export", "--frozen", "--no-dev", "--extra", "operator", "--no-emit-project", "--quiet")
        locked = Path(scratch, "requirements.txt")
        _run(uv, *asked, "--output-file", str(locked), cwd=project)
        _run(uv, "build", "--wheel", "--quiet", "--out-dir", scratch, cwd=project)
        (wheel,) = Path(scratch).glob("*.whl")
        into = ("pip", "install", "--quiet", "--no-deps", "--target", str(target), "--python-version", "3.11")
        kind = ("--python-platform", f"{platform.machine()}-manylinux_2_36", "--only-binary", ":all:")
        _run(uv, *into, *kind, "--require-hashes", "--requirement", str(locked))
        _run(uv, *into, *kind, str(wheel))
    for name in _NEEDLESS:
        shutil.rmtree(target / name, ignore_errors=True)
    for info in target.glob("*.dist-info"):
        for name in _OF_THE_INSTALLER:
            (info / name).unlink(missing_ok=True)
    for file in (*target.glob(".lock"), *target.glob("*.pth")):
        file.unlink()
    return sorted((_read(each) for each in target.glob("*.dist-info/METADATA")), key=lambda each: each.name.lower())


def version(distributions: list[Distribution]) -> str:
    """Of the operator."""
    return next(each.version for each in distributions if each.name == "syncrollout")


def compile_all(base: Path, application: Path) -> None:
    """Compile everything once, by the image's own Python: it starts sooner, and nobody can write bytecode later.

    What is compiled counts by the content of its source, so that the same source gives the same bytes.
    """
    libraries = sorted({str(path.parent) for path in base.rglob("*.so*")})
    loader = next((base / "usr").glob("lib*/ld-linux*"))
    python = [str(loader), "--library-path", ":".join(libraries), str(base / "usr/bin/python3.11"), "-s", "-S"]
    for root, folder in ((base, "usr/lib/python3.11"), (application, PACKAGES)):
        how = ["-m", "compileall", "-q", "-f", "--invalidation-mode", "unchecked-hash", "-s", str(root), "-p", "/"]
        # Templates in wheels may look like modules and not be Python; what does not compile is never imported.
        subprocess.run(
            [*python, *how, str(root / folder)],
            check=False,
            capture_output=True,
            env={"PYTHONHOME": str(base / "usr"), "PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1"},
        )
    if not list((application / PACKAGES / "syncrollout").glob("__pycache__/*.pyc")):
        raise NotBuilt("the image's own Python could not compile the operator")


def _read(metadata: Path) -> Distribution:
    told = HeaderParser().parsestr(metadata.read_text("utf-8"))
    classified = [each for each in told.get_all("Classifier", []) if each.startswith("License ::")]
    licence = told.get("License-Expression") or (classified[0].rpartition(" :: ")[2] if classified else "")
    return Distribution(told["Name"], told["Version"], licence or (told.get("License") or "unknown").splitlines()[0])


def _run(*command: str, cwd: Path | None = None) -> None:
    environment = {**os.environ, "SOURCE_DATE_EPOCH": EPOCH}
    subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd, env=environment)
