"""`make audit`: that what is installed and built is what was locked, and that all of it is asked for and used.

    python -m release.audit [--advisories FILE]

It asks no service, and so knows no vulnerability by itself: it says what can be said without. With a file of advisories
in the format of OSV, fetched by whoever may, every locked version is looked up in it. Ends with 1 where anything is
wrong, a line each.
"""

from __future__ import annotations

import argparse
import ast
import base64
import csv
import hashlib
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions, packages_distributions
from pathlib import Path
from typing import Any, Final

from packaging.requirements import Requirement

from release import advisories, licences
from release.distributions import uv
from release.lock import PROJECT, ROOT, Locked, brought, every, normal, read

INDEX: Final = "https://pypi.org/simple"
SHIPPED: Final = ("operator",)
OURS: Final = ("tests", "demo", "bench", "fuzz", "image", "install", "release", "soak")
NOT_IMPORTED: Final = {
    "tzdata": "data of zoneinfo",
    "ruff": "a program",
    "import-linter": "a program",
    "mypy": "a program; its plugin is pydantic's",
    "pytest-asyncio": "a plugin of pytest",
    "looptime": "a plugin of pytest",
    "types-pyyaml": "types alone",
    "types-requests": "types alone",
    "build": "a program",
    "twine": "a program",
    "hatchling": "the build backend",
}
"""Direct dependencies that no module imports, and what they are for."""
BROUGHT_BY: Final = {"pydantic-core": "pydantic"}
"""Halves of one project, of which the one names the other in one exact version."""
ACCEPTED: Final[Mapping[str, str]] = {}
"""Advisories that do not concern the project, by id, and why."""


def locked(lock: Iterable[Locked]) -> Iterator[str]:
    """Everything comes from the one index, and each of its files has its hash."""
    for each in lock:
        if each.name == PROJECT:
            continue
        if each.registry != INDEX:
            yield f"{each.name} does not come from {INDEX}: {dict(each.source)}"
        if not each.files:
            yield f"{each.name} {each.version} is locked without any file"
        yield from (f"{file.url} is locked without its hash" for file in each.files if not _is_hash(file.hash))


def _is_hash(text: str) -> bool:
    return re.fullmatch(r"sha256:[0-9a-f]{64}", text) is not None


def up_to_date() -> Iterator[str]:
    """uv.lock is what pyproject.toml asks for."""
    command = [uv(), "lock", "--check", "--offline", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        yield f"uv.lock is not what pyproject.toml asks for: run `uv lock` ({done.stderr.strip()})"


def environment(lock: Mapping[str, Locked], found: Sequence[Distribution]) -> Iterator[str]:
    """What is installed is what is locked, no more, in these versions; and what is needed is there."""
    there = {normal(each.metadata["Name"]): each for each in found}
    for name, each in there.items():
        if name == PROJECT:
            continue
        if name not in lock:
            yield f"{name} {each.version} is installed and not locked"
        elif lock[name].version != each.version:
            yield f"{name} is installed in {each.version} and locked in {lock[name].version}"
        elif each.read_text("direct_url.json"):
            yield f"{name} {each.version} was not installed from an index"
        else:
            yield from altered(each)
    project = lock[PROJECT]
    needed = [need for needs in (*project.of_extras.values(), project.of_groups["dev"]) for need in needs]
    yield from (f"{each.name} is locked and not installed" for each in brought(lock, needed) if each.name not in there)


def altered(distribution: Distribution) -> Iterator[str]:
    """Files of a distribution that are not what its RECORD says."""
    for path, digest, _ in csv.reader((distribution.read_text("RECORD") or "").splitlines()):
        kind, _, wanted = digest.partition("=")
        file = Path(str(distribution.locate_file(path)))
        if kind != "sha256" or ".dist-info/" in path or not file.is_file():
            continue
        got = base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest()).rstrip(b"=").decode()
        if got != wanted:
            yield f"{distribution.metadata['Name']}: {path} is not what was installed"


def imports(project: Mapping[str, Any], by_module: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Every module that is imported is of a direct dependency, and every direct dependency is imported."""
    extras = {name for needs in project["project"]["optional-dependencies"].values() for name in _names(needs)}
    groups = {name for needs in project["dependency-groups"].values() for name in _names(needs)} - {PROJECT}
    shipped, ours = imported(SHIPPED), imported(OURS)
    for found, allowed, how in ((shipped, extras, "an extra"), (ours, extras | groups, "an extra or a group")):
        for module, where in sorted(found.items()):
            of = {normal(each) for each in by_module.get(module, ())}
            if of and not {BROUGHT_BY.get(name, name) for name in of} & allowed:
                yield f"{where} imports {module}, and {', '.join(sorted(of))} is in {how} of pyproject.toml nowhere"
    used = {normal(name) for module in (shipped.keys() | ours.keys()) for name in by_module.get(module, ())}
    of_shipped = {normal(name) for module in shipped for name in by_module.get(module, ())}
    for name in sorted(extras - of_shipped - NOT_IMPORTED.keys()):
        yield f"{name} is a dependency of what is shipped, and nothing there imports it"
    for name in sorted(groups - used - NOT_IMPORTED.keys()):
        yield f"{name} is a dependency, and nothing imports it"
    for name in sorted(NOT_IMPORTED.keys() - extras - groups):
        yield f"{name} is no dependency any more: take it out of NOT_IMPORTED"


def _names(needs: Sequence[str]) -> list[str]:
    return [normal(Requirement(each).name) for each in needs]


def imported(folders: Sequence[str]) -> dict[str, Path]:
    """Top-level modules that files below these folders import, and one file that does."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text("utf-8"))):
                if isinstance(node, ast.Import):
                    names = [each.name for each in node.names]
                elif isinstance(node, ast.ImportFrom) and not node.level:
                    names = [node.module or ""]
                else:
                    continue
                for name in names:
                    found.setdefault(name.partition(".")[0], file.relative_to(ROOT))
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names}


def go_modules(folder: Path) -> Iterator[advisories.Part]:
    """What a go.mod asks for, with what it is replaced by."""
    text = (folder / "go.mod").read_text("utf-8")
    replaced = {old: (new, version) for old, new, version in re.findall(r"(\S+) => (\S+) (v\S+)", text)}
    for name, version in re.findall(r"^(?:require )?\s*([\w.~-]+\.[\w./~-]+) (v\S+)", text, flags=re.MULTILINE):
        new, of = replaced.get(name, (name, version))
        yield advisories.Part(advisories.GO, new, of)


def go_sums(folder: Path) -> Iterator[str]:
    """Every module of a go.mod has its sum in go.sum, and none comes from a folder or a fork."""
    text = (folder / "go.mod").read_text("utf-8")
    for old, new in re.findall(r"^\s*(?:replace )?(\S+)(?: v\S+)? => (\S+)", text, flags=re.MULTILINE):
        if old != new:
            yield f"{folder.name}/go.mod replaces {old} by {new}"
    sums = folder / "go.sum"
    known = {tuple(line.split()[:2]) for line in sums.read_text("utf-8").splitlines()} if sums.is_file() else set()
    for each in go_modules(folder):
        if (each.name, each.version) not in known and (each.name, f"{each.version}/go.mod") not in known:
            yield f"{folder.name}: {each.name} {each.version} has no sum in go.sum"


def folders() -> list[Path]:
    """Those of Go modules."""
    return sorted(path.parent for path in (ROOT / "tests" / "testbed" / "gomod").glob("*/go.mod"))


def known_to(file: Path, lock: Iterable[Locked]) -> Iterator[str]:
    """What is locked and has an advisory in this file."""
    parts = [advisories.Part(advisories.PYPI, each.name, each.version) for each in lock if each.registry]
    parts += {each for folder in folders() for each in go_modules(folder)}
    found = advisories.hits(advisories.read(file), parts)
    yield from (str(hit) for hit in found if hit.advisory not in ACCEPTED)


def main(arguments: Sequence[str] | None = None) -> int:
    """Answers the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m release.audit", description="What is installed is what was locked."
    )
    parser.add_argument("--advisories", type=Path, metavar="FILE", help="advisories in the format of OSV: JSON, or zip")
    options = parser.parse_args(arguments)
    text = (ROOT / "uv.lock").read_text("utf-8")
    lock, all_of_it = read(text), every(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    wrong = [
        *locked(all_of_it),
        *up_to_date(),
        *environment(lock, list(distributions())),
        *imports(project, packages_distributions()),
        *(sentence for folder in folders() for sentence in go_sums(folder)),
        *licences.of_all(lock),
    ]
    if options.advisories is not None:
        try:
            wrong += known_to(options.advisories, all_of_it)
        except (OSError, advisories.Unreadable) as error:
            wrong.append(str(error))
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    said = f"with the advisories of {options.advisories}" if options.advisories else "no advisories were given"
    print(f"audit: {len(lock) - 1} distributions, {len(folders())} Go modules; {said}; {len(wrong) or 'nothing'} wrong")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
