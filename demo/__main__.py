"""Entry of `python -m demo`."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the testbed that brings the real parts lives with the tests, outside the installed package
    sys.path.append(str(Path(__file__).parents[1] / "tests"))
    from demo.cli import main

    sys.exit(main())
