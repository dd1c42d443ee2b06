"""The root file system: Python and the little that it needs, of Debian's packages, unpacked into a folder.

No shell, no package manager, no setuid program. Of each package its copyright file stays.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PACKAGES: Final = (
    "ca-certificates",
    "gcc-12-base",
    "libbz2-1.0",
    "libc6",
    "libcrypt1",
    "libexpat1",
    "libffi8",
    "libgcc-s1",
    "liblzma5",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "libssl3",
    "libuuid1",
    "python3.11-minimal",
    "zlib1g",
)
_NEEDLESS: Final = (
    "usr/lib/python3.11/ensurepip",
    "usr/lib/python3.11/idlelib",
    "usr/lib/python3.11/lib2to3",
    "usr/lib/python3.11/pydoc_data",
    "usr/lib/python3.11/test",
    "usr/lib/python3.11/tkinter",
    "usr/lib/python3.11/turtledemo",
    "usr/lib/*/gconv",
    "usr/lib/*/audit",
    "usr/lib/valgrind",
    "usr/sbin",
    "usr/share/applications",
    "usr/share/binfmts",
    "usr/share/bug",
    "usr/share/ca-certificates",
    "usr/share/doc-base",
    "usr/share/lintian",
    "usr/share/locale",
    "usr/share/man",
    "usr/share/menu",
    "usr/share/pixmaps",
    "usr/share/python3",
    "etc/ca-certificates",
    "etc/init.d",
    "etc/ld.so.conf.d",
    "etc/ssl/private",
    "var",
)
_USERS: Final = {
    "passwd": "root:x:0:0:root:/:/nonexistent\nsyncrollout:x:65532:65532:syncrollout:/:/nonexistent\n",
    "group": "root:x:0:\nsyncrollout:x:65532:\n",
}


class NotHere(Exception):
    """The image cannot be built on this machine; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Package:
    """A Debian package that is in the image."""

    name: str
    version: str
    architecture: str
    sha256: str
    licences: tuple[str, ...]
    """By the names of Debian's copyright file, which stays in the image; where that is prose, its path."""


def unpack(root: Path, cache: Path) -> list[Package]:
    """Fill `root` with the packages, in the versions that apt offers; they are kept in `cache`.

    Raises NotHere where there is no apt, or its lists do not know a package.
    """
    files = fetch(PACKAGES, cache)
    root.mkdir(parents=True)
    for file in files:
        extract(file, root)
    _merge_usr(root)
    _trust(root)
    for pattern in _NEEDLESS:
        for found in root.glob(pattern):
            shutil.rmtree(found)
    _documents(root)
    (root / "tmp").mkdir(exist_ok=True)
    for name, lines in _USERS.items():
        (root / "etc" / name).write_text(lines)
    for path in root.rglob("*"):
        if not path.is_symlink():
            path.chmod(stat.S_IMODE(path.stat().st_mode) & ~(stat.S_ISUID | stat.S_ISGID))
    return [_package(file, root) for file in files]


def extract(file: Path, root: Path) -> None:
    """Unpack one package; nothing of it is run."""
    _run("dpkg-deb", "--extract", str(file), str(root))


def fetch(packages: Sequence[str], cache: Path) -> list[Path]:
    """The files of packages, in the versions that apt offers. Raises NotHere as `unpack` does."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        raise NotHere("there is no apt here; build with a container engine: docker build -f image/Containerfile .")
    cache.mkdir(parents=True, exist_ok=True)
    names = _known(packages)
    if len(names) != len(packages) and os.geteuid() == 0:
        _run("apt-get", "--quiet", "update")
        names = _known(packages)
    if len(names) != len(packages):
        raise NotHere(f"apt knows {len(names)} of the {len(packages)} packages; run: apt-get update")
    if not all((cache / name).is_file() for name in names):
        _run("apt-get", "--quiet", "download", *packages, cwd=cache)
    return sorted(cache / name for name in names)


def _known(packages: Sequence[str]) -> list[str]:
    """The file names of the packages, as far as apt's lists have them."""
    with tempfile.TemporaryDirectory() as empty:  # of what lies there already it would print nothing
        asked = ["apt-get", "--print-uris", "download", *packages]
        done = subprocess.run(asked, capture_output=True, text=True, check=False, cwd=empty)
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("'")]


def _package(file: Path, root: Path) -> Package:
    fields = _run("dpkg-deb", "--field", str(file), "Package", "Version", "Architecture")
    told = dict(line.split(": ", 1) for line in fields.splitlines())
    digest = _run("sha256sum", str(file)).split()[0]
    return Package(told["Package"], told["Version"], told["Architecture"], digest, _licences(root, told["Package"]))


def _licences(root: Path, package: str) -> tuple[str, ...]:
    path = Path("usr/share/doc", package, "copyright")
    said = re.findall(r"^License: *(\S.*?) *$", (root / path).read_text("utf-8"), flags=re.MULTILINE)
    names = [each for each in said if re.fullmatch(r"[\w.+-]+(?: (?:or|and|with) [\w.+-]+)*", each)]
    prose = not said or len(names) < len(said)
    return (*dict.fromkeys(names), *((f"see /{path}",) if prose else ()))


def _merge_usr(root: Path) -> None:
    """Debian's packages still use /lib and /lib64 beside /usr; one place, and links, as on an installed system."""
    for name in ("lib", "lib64"):
        old, new = root / name, root / "usr" / name
        if old.is_dir() and not old.is_symlink():
            shutil.copytree(old, new, symlinks=True, dirs_exist_ok=True)
            shutil.rmtree(old)
        new.mkdir(parents=True, exist_ok=True)
        old.symlink_to(f"usr/{name}")


def _trust(root: Path) -> None:
    """What update-ca-certificates would make of the certificates."""
    made = root / "etc/ssl/certs/ca-certificates.crt"
    made.parent.mkdir(parents=True, exist_ok=True)
    found = sorted((root / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    made.write_text("".join(each.read_text() for each in found))


def _documents(root: Path) -> None:
    for path in sorted((root / "usr/share/doc").glob("*/*")):
        if path.name == "copyright" or path.parent.is_symlink():
            continue
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _run(*command: str, cwd: Path | None = None) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=cwd).stdout
