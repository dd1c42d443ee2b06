"""Where the programs that scenarios run as processes find the project's modules."""

from __future__ import annotations

import os
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
MODULES = os.pathsep.join(map(str, (HERE.parent, ROOT, ROOT / "operator")))
"""PYTHONPATH of theirs."""
