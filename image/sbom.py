"""The bill of materials of the image, as CycloneDX: every package and distribution with its version and licence."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from image.debian import Package
from image.wheels import Distribution, version


def of(packages: Sequence[Package], distributions: Sequence[Distribution]) -> dict[str, Any]:
    """The document. It holds no time and no serial number, so that the same image has the same one."""
    own = version(list(distributions))
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "container",
                "bom-ref": "image",
                "name": "syncrollout",
                "version": own,
                "licenses": [{"license": {"id": "Apache-2.0"}}],
            }
        },
        "components": [
            *(_package(each) for each in packages),
            *(_distribution(each) for each in distributions),
        ],
    }


def _package(package: Package) -> dict[str, Any]:
    purl = f"pkg:deb/debian/{package.name}@{quote(package.version, safe='')}?arch={package.architecture}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": package.name,
        "version": package.version,
        "purl": purl,
        "hashes": [{"alg": "SHA-256", "content": package.sha256}],
        "licenses": [{"license": {"name": each}} for each in package.licences],
    }


def _distribution(distribution: Distribution) -> dict[str, Any]:
    purl = f"pkg:pypi/{distribution.name.lower().replace('_', '-')}@{distribution.version}"
    return {
        "type": "library",
        "bom-ref": purl,
        "name": distribution.name,
        "version": distribution.version,
        "purl": purl,
        "licenses": [{"license": {"name": distribution.licence}}],
    }
