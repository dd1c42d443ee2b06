"""`make dist`: sdist and wheel, the same bytes whoever builds them, checked, and what installing each extra brings.

    uv run --group dist python -m release.distributions [--out dist]

Ends with 1 and a sentence where something is not as it should be. Needs the group `dist`, and no network.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
EPOCH: Final = "315532800"
"""The earliest moment that a zip file can hold; what is built knows no other time."""
EXTRAS: Final = ("", "kubectl", "operator")


class Wrong(Exception):
    """Something is not as a release has to be; the message says what."""


@dataclass(frozen=True, slots=True)
class Weight:
    """What installing an extra brings."""

    distributions: int
    megabytes: float


def build(out: Path) -> tuple[Path, Path]:
    """sdist and wheel in `out`: the wheel is made of the sdist, and once more of the tree. Raises Wrong where the two
    differ."""
    env = {**os.environ, "SOURCE_DATE_EPOCH": os.environ.get("SOURCE_DATE_EPOCH", EPOCH)}
    command = (sys.executable, "-m", "build", "--no-isolation", "--outdir")
    _run([*command, str(out), str(ROOT)], env)  # the wheel from the sdist
    (sdist,), (wheel,) = out.glob("*.tar.gz"), out.glob("*.whl")
    with tempfile.TemporaryDirectory() as other:
        _run([*command, other, "--wheel", str(ROOT)], env)
        (again,) = Path(other).glob("*.whl")
        if digest(again) != digest(wheel):
            raise Wrong(f"{wheel.name} built from the sdist is not the one that is built from the tree")
    return sdist, wheel


def check(*files: Path) -> None:
    """Raises Wrong where an index would not take them, or would not show README.md."""
    _run([sys.executable, "-m", "twine", "check", "--strict", *map(str, files)], dict(os.environ))


def weigh(extra: str, folder: Path) -> Weight:
    """An environment with the project and one extra of uv.lock, nothing else."""
    asked = ["--extra", extra] if extra else []
    line = ["sync", "--frozen", "--no-default-groups", "--no-editable", "--quiet", "--python", sys.executable, *asked]
    _run([uv(), *line], {**os.environ, "UV_PROJECT_ENVIRONMENT": str(folder)})
    (packages,) = folder.glob("lib/python*/site-packages")
    size = sum(path.stat().st_size for path in packages.rglob("*") if path.is_file())
    return Weight(len(list(packages.glob("*.dist-info"))), size / 1e6)


def uv() -> str:
    """The program that made this environment."""
    return os.environ.get("UV") or "uv"


def digest(file: Path) -> str:
    """SHA-256, as hashes of lock files are written."""
    return hashlib.sha256(file.read_bytes()).hexdigest()


def _run(command: Sequence[str], env: dict[str, str]) -> None:
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False, timeout=600)
    if done.returncode:
        raise Wrong(f"{' '.join(command[:5])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.distributions", description="Builds and checks a release.")
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where to (default: dist/)")
    out: Path = parser.parse_args(arguments).out
    out.mkdir(parents=True, exist_ok=True)
    for old in (*out.glob("syncrollout-*.whl"), *out.glob("syncrollout-*.tar.gz")):
        old.unlink()
    try:
        files = build(out)
        check(*files)
        for file in files:
            print(f"{file.name}: {file.stat().st_size / 1e6:.2f} MB, sha256 {digest(file)}")
        with tempfile.TemporaryDirectory() as folder:
            for extra in EXTRAS:
                weight = weigh(extra, Path(folder, extra or "alone"))
                name = f"syncrollout[{extra}]" if extra else "syncrollout"
                print(f"{name}: {weight.distributions} distributions, {weight.megabytes:.1f} MB")
    except Wrong as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
