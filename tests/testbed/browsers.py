"""Chromium and its driver: those of $CHROMIUM and $CHROMEDRIVER, or of PATH, or the packages of a Debian system.

Both have to be of one version, which those of one distribution are. They are installed into the system, for that is how
its fonts and libraries come with them: as root alone, and on Debian and its like.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from testbed.errors import BuildFailed
from testbed.progress import Progress

PROGRAMS = ("chromium", "chromedriver")
_PACKAGES = ("chromium", "chromium-driver", "fonts-dejavu-core")
_NAMES = {
    "chromium": ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable"),
    "chromedriver": ("chromedriver",),
}
LONGEST = 300
"""Seconds that apt-get may take: most of a minute where the network is quick."""
HOW = "install Chromium and chromedriver of one version, or say where they are with CHROMIUM and CHROMEDRIVER"


def found() -> dict[str, Path] | None:
    """Both programs; None where one is missing."""
    places: dict[str, Path] = {}
    for program, names in _NAMES.items():
        given = os.environ.get(program.upper())
        place = given or next((path for name in names if (path := shutil.which(name))), None)
        if place is None or not Path(place).is_file():
            return None
        places[program] = Path(place)
    return places


def install(into: Path) -> None:
    """From the system's packages; `into` gets links to both programs. Raises BuildFailed."""
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise BuildFailed(f"there is no Chromium, and it is installed by itself as root on Debian alone: {HOW}")
    with Progress("installing Chromium"):
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", *_PACKAGES]):
            try:
                done = subprocess.run(
                    ["apt-get", *command],
                    capture_output=True,
                    text=True,
                    check=False,
                    stdin=subprocess.DEVNULL,
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    timeout=LONGEST,
                )
            except subprocess.TimeoutExpired as error:
                raise BuildFailed(f"apt-get {command[0]} takes more than {LONGEST} s: {HOW}") from error
            if done.returncode != 0:
                last = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
                raise BuildFailed(f"apt-get {command[0]} failed ({' '.join(last)}): {HOW}")
    places = found()
    if places is None:
        raise BuildFailed(f"the packages {', '.join(_PACKAGES)} hold no Chromium: {HOW}")
    for name, place in places.items():
        (into / name).symlink_to(place)


__all__ = ["PROGRAMS", "found", "install"]
