"""The version: it stands in pyproject.toml, and wherever else it has to be written it is the same.

    python -m release.version                     # where it stands; ends with 1 where they differ
    python -m release.version --set 0.2.0         # writes it everywhere, and closes the changelog's Unreleased

What is built asks the installed distribution (`syncrollout.__version__`), so that operator, plugin and page agree.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from release.lock import ROOT

NUMBER: Final = r"\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?"
FIRST: Final = "pyproject.toml"
PLACES: Final = {
    "pyproject.toml": r'^version = "({})"$',
    "uv.lock": r'^name = "syncrollout"\nversion = "({})"$',
    "charts/syncrollout/Chart.yaml": r"^(?:appV|v)ersion: ({})$",
    "manifests/40-deployment.yaml": r"image: syncrollout:({})$",
    "image/Containerfile": r"-t syncrollout:({}) ",
    "image/__main__.py": r'default="syncrollout:({})"',
    "docs/image.md": r"syncrollout[:-]({})(?=[ .])",
}
"""Files and the text around the version in them, which may be there several times."""
CHANGELOG: Final = "CHANGELOG.md"
_UNRELEASED: Final = "## Unreleased\n"


def places(root: Path) -> dict[str, set[str]]:
    """Each file, and the versions that stand in it."""
    return {name: set(_pattern(text).findall((root / name).read_text("utf-8"))) for name, text in PLACES.items()}


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text.format(NUMBER), re.MULTILINE)


def problems(root: Path) -> list[str]:
    """A sentence for each file that says something else than pyproject.toml."""
    found = places(root)
    (version,) = found[FIRST]
    wrong = [
        f"{name} says {', '.join(sorted(said)) or 'nothing'}, and {FIRST} {version}"
        for name, said in found.items()
        if said != {version}
    ]
    if not (root / CHANGELOG).read_text("utf-8").partition(_UNRELEASED)[1]:
        wrong.append(f"{CHANGELOG} has no section Unreleased")
    return wrong


def set_to(root: Path, version: str, today: str) -> None:
    """Write it everywhere. Raises ValueError where it is no version, or there is nothing to release."""
    if re.fullmatch(NUMBER, version) is None:
        raise ValueError(f"{version} is no version: MAJOR.MINOR.PATCH, or with -alpha.N, -beta.N, -rc.N")
    changelog = (root / CHANGELOG).read_text("utf-8")
    before, heading, after = changelog.partition(_UNRELEASED)
    if not heading or not after.partition("\n## ")[0].strip():
        raise ValueError(f"{CHANGELOG} has nothing under Unreleased: there is nothing to release")
    if f"\n## {version} " in changelog:
        raise ValueError(f"{CHANGELOG} has {version} already")
    for name, text in PLACES.items():
        file = root / name
        file.write_text(_pattern(text).sub(lambda found: _with(found, version), file.read_text("utf-8")), "utf-8")
    (root / CHANGELOG).write_text(f"{before}{heading}\n## {version} - {today}\n{after}", "utf-8")


def _with(found: re.Match[str], version: str) -> str:
    start, end = (at - found.start() for at in found.span(1))
    return found[0][:start] + version + found[0][end:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.version", description="The version, in all its places.")
    parser.add_argument("--set", metavar="VERSION", dest="version", help="write this one everywhere")
    version: str | None = parser.parse_args(arguments).version
    try:
        if version is not None:
            set_to(ROOT, version, datetime.now(UTC).strftime("%Y-%m-%d"))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    wrong = problems(ROOT)
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    print(*places(ROOT)[FIRST])
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
