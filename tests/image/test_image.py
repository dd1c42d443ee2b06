"""The operator's image: the same bytes from the same packages, nothing in it that nobody needs, and it runs."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Any

from image.wheels import PACKAGES
from release.licences import of_materials

from image import debian
from syncrollout import __version__


def test_the_same_sources_give_the_same_bytes(built: Any) -> None:
    assert built.first.read_bytes() == built.second.read_bytes()


def test_it_has_no_shell_and_nothing_that_raises_rights(root: Path) -> None:
    assert not [name for name in ("sh", "bash", "dash", "busybox", "apt", "dpkg") if list(root.glob(f"**/bin/{name}"))]
    risen = [path for path in root.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o6000]
    assert not risen
    others = [
        path
        for path in root.rglob("*")
        if not path.is_symlink() and path.stat().st_mode & (stat.S_IWOTH | stat.S_IWGRP)
    ]
    assert not others


def test_the_bill_of_materials_has_all_that_is_in_it(built: Any, root: Path) -> None:
    told = {each["name"].lower().replace("_", "-") for each in built.materials["components"]}
    installed = {
        info.name.removesuffix(".dist-info").rpartition("-")[0].lower().replace("_", "-")
        for info in (root / PACKAGES).glob("*.dist-info")
    }
    assert told == installed | set(debian.PACKAGES)
    assert all(each["version"] for each in built.materials["components"])
    assert all(licence for _, licence in of_materials(built.materials)), "each says under which licence it is"
    assert {f"usr/share/doc/{name}/copyright" for name in debian.PACKAGES} <= {
        str(path.relative_to(root)) for path in root.glob("usr/share/doc/*/copyright")
    }


def test_it_runs_as_nobody_and_writes_nothing(root: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in root.rglob("*")}
    enter = ["unshare", "--user", "--map-root-user", "chroot", str(root)]
    done = subprocess.run(
        [*enter, "/usr/bin/python3.11", "-m", "syncrollout", "--version"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={"PATH": "/usr/bin:/usr/sbin", "PYTHONDONTWRITEBYTECODE": "1"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"syncrollout {__version__} ")
    assert {path: path.lstat().st_mtime_ns for path in root.rglob("*")} == before
