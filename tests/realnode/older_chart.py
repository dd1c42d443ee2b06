"""The chart as an earlier release could have had it: its CRD lacks a field."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, Final

CHART: Final = Path(__file__).parents[2] / "charts" / "syncrollout"
CRD: Final = ("apiextensions.k8s.io/v1", "CustomResourceDefinition", "syncrollouts.syncrollout.io")
NEWER: Final = "lastGoodRevision"
"""What the older CRD does not know of the status."""


def older_chart(folder: Path) -> Path:
    """A copy in `folder`, of version 0.0.9."""
    made = folder / "syncrollout"
    shutil.copytree(CHART, made)
    crd = made / "templates" / "crd.yaml"
    text, cut = re.subn(rf"^( {{14}}){NEWER}:\n(?:\1 .*\n)+", "", crd.read_text(), flags=re.MULTILINE)
    assert cut == 1
    crd.write_text(text)
    about = made / "Chart.yaml"
    about.write_text(re.sub(r"^version: .*$", "version: 0.0.9", about.read_text(), flags=re.MULTILINE))
    return made


def knows_the_newer_field(kube: Any) -> bool:
    """Whether the CRD in the cluster has it."""
    [version] = kube.get(*CRD)["spec"]["versions"]
    return NEWER in version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]
