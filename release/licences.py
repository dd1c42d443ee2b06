"""`make licences`: the licence of everything that the project depends on, by extra; and of what is in its image.

    python -m release.licences [--materials dist/syncrollout-0.1.0.cdx.json]

Ends with 1 where one is not in the list of those that go with Apache-2.0, or is not said at all. What is installed says
it of itself; what is not (the group `dist`, unless it was synchronised) is named as such.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path
from typing import Final

from release.lock import ROOT, Locked, parts, read

COMPATIBLE: Final = frozenset(
    {
        *("0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD", "CNRI-Python", "ISC", "MIT", "MIT-0"),
        *("PSF-2.0", "Unlicense", "Zlib"),
        "MPL-2.0",  # its copyleft is of its own files, which are used as they are
        "LicenseRef-public-domain",
    }
)
"""Licences of what may be installed beside, and imported by, a work under Apache-2.0."""

ELSEWHERE: Final = "not installed here"
_WORDS: Final = (  # as metadata of before PEP 639 has it; the first that is found counts
    (r"mozilla public license 2\.0|mpl-2\.0", "MPL-2.0"),
    (r"apache", "Apache-2.0"),
    (r"isc license|\(iscl\)|^isc$", "ISC"),
    (r"python software foundation|psf", "PSF-2.0"),
    (r"bsd[- ]2-clause|simplified bsd", "BSD-2-Clause"),
    (r"bsd[- ]3-clause", "BSD-3-Clause"),
    (r"bsd", "BSD"),
    (r"\bmit\b", "MIT"),
    (r"public domain", "LicenseRef-public-domain"),
)


def of(told: Mapping[str, Sequence[str]]) -> str:
    """An SPDX expression of what a distribution's metadata says; empty where it says nothing that is understood.

    `told`: each header with all its values.
    """
    expression = _first(told, "License-Expression")
    if expression:
        return expression
    said = _first(told, "License").splitlines()
    line = said[0].strip() if said else ""
    if line and len(line) < 80:
        alternatives = [_word(each) for each in re.split(r"\s+OR\s+", line)]
        if all(alternatives):
            return " OR ".join(alternatives)
    classified = [each.rpartition(" :: ")[2] for each in told.get("Classifier", ()) if each.startswith("License :: ")]
    words = list(dict.fromkeys(found for each in classified if (found := _word(each))))
    # Several classifiers are several licences of several parts, and all of them hold; what is not understood does too.
    unclear = [each for each in classified if not _word(each) and each != "OSI Approved"]
    return " AND ".join([*words, *unclear])


def _first(told: Mapping[str, Sequence[str]], header: str) -> str:
    values = told.get(header) or ("",)
    return values[0]


def _word(text: str) -> str:
    return next((spdx for pattern, spdx in _WORDS if re.search(pattern, text.lower())), "")


def compatible(expression: str) -> bool:
    """Whether one of its alternatives has nothing but what goes with Apache-2.0. `A OR B AND C` is `A OR (B AND C)`."""
    alternatives = re.split(r"\s+OR\s+", expression.replace("(", " ").replace(")", " ").strip())
    return any(
        all(part.strip() in COMPATIBLE for part in re.split(r"\s+AND\s+", each)) for each in alternatives if each
    )


REVIEWED: Final = {
    "atheris": ("Apache-2.0", "its licence file, and the head of its modules; the metadata names none"),
    "docutils": ("BSD-2-Clause AND LicenseRef-public-domain", "the GPL is of its Emacs mode, which the wheel has not"),
}
"""What a person has read, where the metadata says less than there is to say; and why."""


def installed(name: str) -> str:
    """The licence of a distribution; `ELSEWHERE` where it is not installed."""
    if name in REVIEWED:
        return REVIEWED[name][0]
    try:
        message = metadata(name)
    except PackageNotFoundError:
        return ELSEWHERE
    return of({header: [str(each) for each in message.get_all(header) or ()] for header in set(message)})


def problems(found: Iterable[tuple[str, str]]) -> list[str]:
    """A sentence for each (name, licence) that may not be."""
    return [
        f"{name}: {licence or 'says no licence'}: not among those that go with Apache-2.0 (release/licences.py)"
        for name, licence in found
        if licence != ELSEWHERE and not compatible(licence)
    ]


def of_all(lock: Mapping[str, Locked]) -> list[str]:
    """A sentence for each distribution of any extra or group whose licence may not be."""
    found = {each.name: installed(each.name) for _, several in parts(lock) for each in several}
    return problems(found.items())


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints them all; answers the exit code."""
    parser = argparse.ArgumentParser(prog="python -m release.licences", description="Licences of all dependencies.")
    parser.add_argument("--materials", type=Path, help="the bill of materials of an image, as `make image` writes it")
    parser.add_argument("--quiet", action="store_true", help="print only what is wrong")
    options = parser.parse_args(arguments)
    wrong: dict[str, None] = {}
    lock = read((ROOT / "uv.lock").read_text("utf-8"))
    for part, several in parts(lock):
        found = [(each.name, installed(each.name)) for each in several]
        wrong |= dict.fromkeys(problems(found))
        if not options.quiet:
            print(f"\n{part}")
            for each, (name, licence) in zip(several, found, strict=True):
                print(f"  {name} {each.version}: {licence}")
    if options.materials is not None:
        said = of_materials(json.loads(options.materials.read_text("utf-8")))
        if not options.quiet:
            print(f"\nimage ({options.materials.name})")
            print(*(f"  {name}: {licence}" for name, licence in said), sep="\n")
        wrong |= dict.fromkeys(
            f"{name}: the image has it, and its licence is not said" for name, each in said if not each
        )
    for sentence in wrong:
        print(sentence, file=sys.stderr)
    return 1 if wrong else 0


def of_materials(document: Mapping[str, object]) -> list[tuple[str, str]]:
    """Every component of a CycloneDX document with its licences. Debian's parts are programs and libraries of their
    own, beside the operator and not of it, so that theirs are listed and not compared."""
    found = []
    components = document["components"]
    assert isinstance(components, list)
    for each in components:
        licences = [entry["license"] for entry in each.get("licenses", ())]
        said = " AND ".join(str(one.get("id") or one.get("name")) for one in licences)
        found.append((f"{each['name']} {each['version']}", said))
    return found


if __name__ == "__main__":
    sys.exit(main())
